"""The run of a trial, written from any process."""

import time
from collections.abc import Mapping

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from genre_mlops.tracking.runs import own_tags

_PARAMS_PER_BATCH = 100


class TrialLog:
    """A nested run written by `MlflowClient`: safe in any process, never the open run.

    Parameters
    ----------
    experiment_id, parent_run_id : str
        Where it hangs.
    name : str
        The run's name.
    tags : mapping of str to str
        What is known of it from the start.
    step : str
        What it is: a tag.
    """

    def __init__(
        self,
        experiment_id: str,
        parent_run_id: str,
        name: str,
        tags: Mapping[str, str],
        *,
        step: str = "trial",
    ) -> None:
        self._client = MlflowClient()
        own = {MLFLOW_PARENT_RUN_ID: parent_run_id, **own_tags(step), **tags}
        self.run_id: str = self._client.create_run(
            experiment_id, tags=own, run_name=name
        ).info.run_id

    def params(self, values: Mapping[str, object]) -> None:
        """Record what the trial was asked to do."""
        params = [Param(key, str(value)) for key, value in values.items()]
        for i in range(0, len(params), _PARAMS_PER_BATCH):
            self._client.log_batch(self.run_id, params=params[i : i + _PARAMS_PER_BATCH])

    def metrics(self, values: Mapping[str, float], *, step: int) -> None:
        """Record what was measured at `step`, in one write."""
        now_ms = round(time.time() * 1_000)
        metrics = [Metric(key, value, now_ms, step) for key, value in values.items()]
        self._client.log_batch(self.run_id, metrics=metrics)

    def close(self, status: str, *, tags: Mapping[str, str]) -> None:
        """End the run as FINISHED, FAILED or KILLED, and say why in tags."""
        self._client.log_batch(
            self.run_id, tags=[RunTag(key, value) for key, value in tags.items()]
        )
        self._client.set_terminated(self.run_id, status)
