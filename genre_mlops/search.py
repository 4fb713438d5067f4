"""Hyperparameter search: the only import of optuna.

A study belongs to one search: its name carries a digest of all that decides the outcome. A
search that was killed is taken up by the next one with the same digest, with the trials it has;
one that has ended is followed by a new study. What a trial tries follows from the seed and the
trials before it, so that with one worker an interrupted search ends where an uninterrupted one
would have.
"""

import hashlib
import json
import logging
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

import genre_mlops
from genre_mlops import tracking
from genre_mlops.config import Config
from genre_mlops.engine import Engine
from genre_mlops.errors import GenreError
from genre_mlops.fitting import Plan, fit
from genre_mlops.processes import is_gone, this_process

SEARCH_SPACE: dict[str, BaseDistribution] = {
    "network.filters": CategoricalDistribution((12, 16, 24)),
    "network.dropout": FloatDistribution(0.1, 0.5),
    "training.learning_rate": FloatDistribution(1e-3, 1e-2, log=True),
    "training.weight_decay": FloatDistribution(1e-3, 1e-1, log=True),
    "training.label_smoothing": FloatDistribution(0.0, 0.2),
}
"""Config key -> the values tried. The first trial is the config as it is."""

FINISHED, OWNER = "genre.finished", "genre.owner"
# Of a trial: the file in its study's folder where its training keeps its state.
UNFINISHED = "genre.unfinished"
_DONE = (TrialState.COMPLETE, TrialState.PRUNED)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BestTrial:
    """The trial that won.

    Attributes
    ----------
    study : str
        Its study's name.
    number : int
        From 0.
    run_id : str
        Its MLflow run.
    config : Config
        With its overrides.
    network : Path
        The trained network, a `.keras` file.
    validation_loss, validation_accuracy : float
        Track-level.
    n_trials, n_pruned : int
        How many were done, and how many of these were cut short.
    """

    study: str
    number: int
    run_id: str
    config: Config
    network: Path
    validation_loss: float
    validation_accuracy: float
    n_trials: int
    n_pruned: int

    def provenance(self) -> dict[str, str | int | float]:
        """Return what a bundle says of where it comes from."""
        return {
            "study": self.study,
            "trial": self.number,
            "trial_run_id": self.run_id,
            "features_digest": self.config.features.digest(),
            "seed": self.config.seed,
            "validation_loss": self.validation_loss,
        }

    def summary(self) -> dict[str, float]:
        """Return the figures for the search's run."""
        return {
            "best_validation_loss": self.validation_loss,
            "best_validation_accuracy": self.validation_accuracy,
            "trials": self.n_trials,
            "pruned_trials": self.n_pruned,
        }


def study_key(config: Config, split_digest: str) -> str:
    """Return 12 hexadecimal digits of all that decides what a search finds.

    But for the number of workers: one that was killed may go on with more or fewer.
    """
    parts: dict[str, Any] = {
        "code": genre_mlops.__version__,
        "split": split_digest,
        "space": {key: str(space) for key, space in search_space(config).items()},
        "config": config.model_dump(
            mode="json", exclude={"data", "quality", "split", "evaluation", "baseline", "registry"}
        ),
    }
    parts["config"]["search"].pop("workers")
    return _digest(parts)


def search(plan: Plan, engine: Engine) -> BestTrial:
    """Run trials until the budget is met, and return the best.

    Parameters
    ----------
    plan : Plan
        What to search; `config.search` names the budget.
    engine : Engine
        Where trials run, as many at a time as it has workers.

    Returns
    -------
    BestTrial
        Least track-level validation loss.

    Raises
    ------
    GenreError
        No trial ran to its end.
    """
    study = _open_study(plan)
    n_done = len(study.get_trials(deepcopy=False, states=_DONE))
    budget = plan.config.search.trials
    if n_done:
        _log.info("study %s goes on after %d of %d trials", study.study_name, n_done, budget)
    tasks = ((plan, study.study_name, n, engine.threads) for n in range(n_done, budget))
    engine.progress("search", n_done, budget, told=True)
    for line in engine.stream(run_trial, tasks):
        n_done += 1
        _log.info("%s; %s; %d of %d", line, _best_so_far(study), n_done, budget)
        engine.progress("search", n_done, budget, told=True)
    return _best(study, plan)


def end_study(bundle: Path) -> None:
    """Mark the search that made a bundle as over, and drop its trials' networks.

    The next search with the same digest starts anew.
    """
    folder = bundle.parent
    storage = optuna.storages.RDBStorage(_storage_url(folder.parent), skip_table_creation=True)
    study = optuna.load_study(study_name=folder.name, storage=storage)
    study.set_user_attr(FINISHED, True)
    for pattern in ("trial-*.keras", "member-*.keras", "*.npz"):
        for path in folder.glob(pattern):
            path.unlink()


def newest_bundle(folder: Path, config: Config, split_digest: str) -> Path:
    """Return the bundle that the last search of this config and data left.

    Raises
    ------
    GenreError
        There is none.
    """
    bundles = sorted(folder.glob(f"{study_key(config, split_digest)}-*/bundle"))
    if not bundles:
        raise GenreError(
            "nothing to register: no search with this data and config has ended; run the train "
            "entry point with the same parameters first"
        )
    return bundles[-1]


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
    _quieten()
    tracking.use_tracking_uri(plan.tracking_uri)
    study = _load_study(plan, study_name)
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


def search_space(config: Config) -> dict[str, BaseDistribution]:
    """Return what is searched: `SEARCH_SPACE`, but for keys the config sets outside of it.

    Whoever sets `network.filters=64` wants 64.
    """
    flat = config.flat()
    return {key: space for key, space in SEARCH_SPACE.items() if _within(flat[key], space)}


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
    save_network(network, _network_path(plan, trial.study.study_name, trial.number))
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


def _open_study(plan: Plan) -> optuna.Study:
    """Take up the newest study of this key that a dead process left, or begin another."""
    _quieten()
    plan.folder.mkdir(parents=True, exist_ok=True)
    storage = optuna.storages.RDBStorage(_storage_url(plan.folder))
    names = [n for n in optuna.get_all_study_names(storage) if n.startswith(f"{plan.key}-")]
    if names:
        study = optuna.load_study(study_name=max(names), storage=storage)
        left = not study.user_attrs.get(FINISHED) and is_gone(study.user_attrs.get(OWNER, {}))
        if left:
            for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                study.tell(trial.number, state=TrialState.FAIL)
            study.set_user_attr(OWNER, this_process())
            _go_on_with_unfinished(study, plan.folder / study.study_name)
            _try_config_first(study, plan.config)
            return study
    study = _create_study(plan.key, len(names) + 1, storage)
    study.set_user_attr(OWNER, this_process())
    _try_config_first(study, plan.config)
    return study


def _create_study(key: str, number: int, storage: optuna.storages.RDBStorage) -> optuna.Study:
    """Create the study of this number, or of the next that nobody has taken meanwhile."""
    try:
        return optuna.create_study(
            study_name=f"{key}-{number:03d}", storage=storage, direction="minimize"
        )
    except optuna.exceptions.DuplicatedStudyError:
        return _create_study(key, number + 1, storage)


def _go_on_with_unfinished(study: optuna.Study, folder: Path) -> None:
    """Ask for the trials that were cut off once more, each with the state that it left."""
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    taken = {trial.user_attrs.get(UNFINISHED) for trial in waiting}
    for trial in study.get_trials(deepcopy=False, states=(TrialState.FAIL,)):
        name = trial.user_attrs.get(UNFINISHED)
        if name and name not in taken and (folder / name).exists():
            study.enqueue_trial(trial.params, user_attrs={UNFINISHED: name})
            taken.add(name)


def _try_config_first(study: optuna.Study, config: Config) -> None:
    flat = config.flat()
    as_it_is = {key: flat[key] for key in search_space(config)}
    tried = study.get_trials(deepcopy=False, states=(*_DONE, TrialState.WAITING))
    if not any(trial.system_attrs.get("fixed_params") == as_it_is for trial in tried):
        study.enqueue_trial(as_it_is)


def _load_study(plan: Plan, name: str) -> optuna.Study:
    storage = optuna.storages.RDBStorage(_storage_url(plan.folder), skip_table_creation=True)
    pruner = optuna.pruners.MedianPruner(
        n_startup_trials=2, n_warmup_steps=plan.config.search.pruning_warmup_epochs
    )
    return optuna.load_study(study_name=name, storage=storage, pruner=pruner)


def _storage_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'search.db'}"


def _best(study: optuna.Study, plan: Plan) -> BestTrial:
    done = study.get_trials(deepcopy=False, states=_DONE)
    complete = [trial for trial in done if trial.state is TrialState.COMPLETE]
    if not complete:
        raise GenreError(
            f"none of {len(done)} trials ran to its end; see their reasons in MLflow, and try a "
            "lower training.learning_rate"
        )
    best = study.best_trial
    return BestTrial(
        study=study.study_name,
        number=best.number,
        run_id=best.user_attrs["run_id"],
        config=plan.config.override(best.params),
        network=_network_path(plan, study.study_name, best.number),
        validation_loss=float(best.values[0]),
        validation_accuracy=best.user_attrs["validation_accuracy"],
        n_trials=len(done),
        n_pruned=len(done) - len(complete),
    )


def _best_so_far(study: optuna.Study) -> str:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        return "none complete yet"
    best = min(complete, key=lambda trial: trial.values[0])
    return f"best {best.values[0]:.4f}, trial {best.number}"


def _network_path(plan: Plan, study: str, number: int) -> Path:
    return plan.folder / study / f"trial-{number:03d}.keras"


def _digest(parts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _within(value: object, space: BaseDistribution) -> bool:
    if isinstance(space, CategoricalDistribution):
        return value in space.choices
    assert isinstance(space, FloatDistribution)  # noqa: S101  the space holds no other kind
    return isinstance(value, int | float) and space.low <= value <= space.high


def _quieten() -> None:
    """Leave the terminal to our own lines."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
