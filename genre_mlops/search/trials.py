"""One trial of a search, in any process."""

import time
from pathlib import Path

import optuna
from optuna.trial import TrialState

from genre_mlops import tracking
from genre_mlops.fitting import Plan, fit
from genre_mlops.search.space import search_space
from genre_mlops.search.studies import UNFINISHED, load_study, network_path, quieten


def run_trial(task: tuple[Plan, str, int, int]) -> str:
    """Train one network and return one line about it.

    What happens is told to Optuna and MLflow from here, so that this may be any process.

    Parameters
    ----------
    task : tuple
        Plan, study name, how many trials were done or begun before, and threads (0: TensorFlow's
        choice).
    """
    plan, study_name, n_before, threads = task
    quieten()
    tracking.use_tracking_uri(plan.tracking_uri)
    study = load_study(plan, study_name)
    # Drawn anew for each trial: what is tried does not depend on which process asks, or whether
    # the search was interrupted.
    study.sampler = optuna.samplers.TPESampler(
        seed=plan.config.seed + n_before,
        n_startup_trials=plan.config.search.startup_trials,
        multivariate=True,
    )
    trial = study.ask(search_space(plan.config))
    kind = "synthetic " if plan.synthetic else ""
    name = f"{kind}trial {trial.number:03d}"
    log = tracking.TrialLog(plan.experiment_id, plan.parent_run_id, name, plan.tags)
    trial.set_user_attr("run_id", log.run_id)
    trial.set_user_attr(UNFINISHED, trial.user_attrs.get(UNFINISHED, f"{trial.number:03d}.npz"))
    unfinished = plan.folder / study_name / trial.user_attrs[UNFINISHED]
    state, status, tags = TrialState.FAIL, "FAILED", {"genre.state": "failed"}
    value: float | None = None
    began = time.monotonic()
    try:
        value = _train(plan, trial, log, unfinished, threads)
        state, status, tags = TrialState.COMPLETE, "FINISHED", {"genre.state": "complete"}
        line = f"{kind}validation loss {value:.4f}"
    except optuna.TrialPruned as reason:
        state, status = TrialState.PRUNED, "KILLED"
        tags = {"genre.state": "pruned", "genre.reason": str(reason)}
        line = f"{reason}"
    except (KeyboardInterrupt, SystemExit):
        status, tags = "KILLED", {"genre.state": "interrupted"}
        raise
    except BaseException as error:
        tags |= {"genre.reason": str(error)[:5_000]}
        raise
    finally:
        # First the run: whoever took the study over may have ended the trial already.
        try:
            log.close(status, tags=tags)
        finally:
            study.tell(trial.number, value, state, skip_if_finished=True)
    # Only now that nobody would have to begin anew.
    unfinished.unlink(missing_ok=True)
    return f"trial {trial.number}: {line}, {time.monotonic() - began:.0f} s"


def _train(
    plan: Plan, trial: optuna.Trial, log: tracking.TrialLog, unfinished: Path, threads: int
) -> float:
    from genre_mlops.learning.networks import save_network
    from genre_mlops.learning.training import TrainingDivergedError

    config = plan.config.override(trial.params)
    log.params({**trial.params, "seed": config.seed})

    def report(epoch: int, loss: float) -> None:
        trial.report(loss, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned(f"pruned after epoch {epoch} at validation loss {loss:.4f}")

    try:
        network, result = fit(
            plan, config, log=log, report=report, state=unfinished, threads=threads
        )
    except TrainingDivergedError as error:
        raise optuna.TrialPruned(str(error)) from error
    save_network(network, network_path(plan, trial.study.study_name, trial.number))
    trial.set_user_attr("validation_accuracy", result.validation_accuracy)
    log.metrics(
        {
            "best_epoch": result.best_epoch,
            "best_validation_loss": result.validation_loss,
            "best_validation_accuracy": result.validation_accuracy,
        },
        step=result.epochs,
    )
    return result.validation_loss
