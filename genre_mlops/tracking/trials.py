"""The run of a trial, written from any process."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from genre_mlops.tracking.runs import own_tags

# What a store takes in one write.
_PARAMS_PER_BATCH, _METRICS_PER_BATCH = 100, 1_000
# What is measured is written this often, and not one by one: a short epoch takes less than a write.
_FLUSH_S = 5.0


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

    Attributes
    ----------
    run_id : str
        The run's.
    spent_s : float
        How long all this writing took until now, in seconds.
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
        self.spent_s = 0.0
        self._waiting: list[Metric] = []
        own = {MLFLOW_PARENT_RUN_ID: parent_run_id, **own_tags(step), **tags}
        with self._timed():
            run = self._client.create_run(experiment_id, tags=own, run_name=name)
        self.run_id: str = run.info.run_id
        self._flushed_s = time.monotonic()

    def params(self, values: Mapping[str, object]) -> None:
        """Record what the trial was asked to do."""
        params = [Param(key, str(value)) for key, value in values.items()]
        with self._timed():
            for i in range(0, len(params), _PARAMS_PER_BATCH):
                self._client.log_batch(self.run_id, params=params[i : i + _PARAMS_PER_BATCH])

    def metrics(self, values: Mapping[str, float], *, step: int) -> None:
        """Record what was measured at `step`; it is written within seconds, or at the end."""
        now_ms = round(time.time() * 1_000)
        self._waiting += [Metric(key, value, now_ms, step) for key, value in values.items()]
        if time.monotonic() - self._flushed_s > _FLUSH_S:
            self._flush()

    def close(self, status: str, *, tags: Mapping[str, str]) -> None:
        """End the run as FINISHED, FAILED or KILLED, and say why in tags."""
        self._flush()
        now_ms = round(time.time() * 1_000)
        spent = [Metric("tracking_s", self.spent_s, now_ms, 0)]
        with self._timed():
            said = [RunTag(key, value) for key, value in tags.items()]
            self._client.log_batch(self.run_id, metrics=spent, tags=said)
            self._client.set_terminated(self.run_id, status)

    def _flush(self) -> None:
        with self._timed():
            for i in range(0, len(self._waiting), _METRICS_PER_BATCH):
                part = self._waiting[i : i + _METRICS_PER_BATCH]
                self._client.log_batch(self.run_id, metrics=part)
        self._waiting.clear()
        self._flushed_s = time.monotonic()

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.spent_s += time.perf_counter() - began
