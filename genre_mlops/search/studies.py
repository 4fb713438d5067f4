"""Studies in their database: opened, taken up again, ended.

A study belongs to one search: its name carries a digest of all that decides the outcome. A
search that was killed is taken up by the next one with the same digest, with the trials it has;
one that has ended is followed by a new study.
"""

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.trial import TrialState

import genre_mlops
from genre_mlops.config import Config
from genre_mlops.errors import GenreError
from genre_mlops.fitting import Plan
from genre_mlops.processes import is_gone, this_process
from genre_mlops.search.space import search_space

FINISHED, OWNER = "genre.finished", "genre.owner"
# Of a trial: the file in its study's folder where its training keeps its state.
UNFINISHED = "genre.unfinished"
DONE = (TrialState.COMPLETE, TrialState.PRUNED)
# What is learnt from, how, and what trials are ranked by.
_TRAINING_MODULES = (
    *(f"learning/{name}.py" for name in ("augment", "batches", "learner", "metrics", "networks")),
    *("learning/training.py", "logmel.py", "segments.py"),
)
# Seconds that a process waits for the others to be done with the database.
_PATIENCE_S = 120


def study_key(config: Config, split_digest: str) -> str:
    """Return 12 hexadecimal digits of all that decides what a search finds.

    But for the number of workers: one that was killed may go on with more or fewer.
    """
    parts: dict[str, Any] = {
        "code": [genre_mlops.__version__, _code_digest()],
        "split": split_digest,
        "space": {key: str(space) for key, space in search_space(config).items()},
        "config": config.model_dump(
            mode="json", exclude={"data", "quality", "split", "evaluation", "baseline", "registry"}
        ),
    }
    parts["config"]["search"].pop("workers")
    return _digest(parts)


def open_study(plan: Plan) -> optuna.Study:
    """Take up the newest study of this key that a dead process left, or begin another.

    Two processes that look at the same moment, just after a third was killed, may both take it up.
    """
    quieten()
    plan.folder.mkdir(parents=True, exist_ok=True)
    storage = open_storage(plan.folder)
    names = [n for n in optuna.get_all_study_names(storage) if n.startswith(f"{plan.key}-")]
    if names:
        study = optuna.load_study(study_name=max(names, key=_number), storage=storage)
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
    tried = study.get_trials(deepcopy=False, states=(*DONE, TrialState.WAITING))
    if not any(trial.system_attrs.get("fixed_params") == as_it_is for trial in tried):
        study.enqueue_trial(as_it_is)


def load_study(plan: Plan, name: str) -> optuna.Study:
    """Load a study that `open_study` opened, in any process."""
    pruner = optuna.pruners.MedianPruner(
        n_startup_trials=2, n_warmup_steps=plan.config.search.pruning_warmup_epochs
    )
    return optuna.load_study(study_name=name, storage=open_storage(plan.folder), pruner=pruner)


def end_study(bundle: Path) -> None:
    """Mark the search that made a bundle as over, and drop its trials' networks.

    The next search with the same digest starts anew.
    """
    folder = bundle.parent
    study = optuna.load_study(study_name=folder.name, storage=open_storage(folder.parent))
    study.set_user_attr(FINISHED, True)
    for pattern in ("trial-*.keras", "member-*.keras", ".*.keras", "*.npz"):
        for path in folder.glob(pattern):
            path.unlink()


def newest_bundle(folder: Path, config: Config, split_digest: str) -> Path:
    """Return the bundle that the last search of this config and data left.

    Raises
    ------
    GenreError
        There is none.
    """
    bundles = [*folder.glob(f"{study_key(config, split_digest)}-*/bundle")]
    if not bundles:
        raise GenreError(
            "nothing to register: no search with this data and config has ended; run the train "
            "entry point with the same parameters first"
        )
    return max(bundles, key=lambda bundle: _number(bundle.parent.name))


def open_storage(folder: Path) -> optuna.storages.RDBStorage:
    """Open the database of the studies in a folder; one that is not there is made.

    Each transaction locks the file from its beginning. SQLite's own way is to lock it at the first
    write: two processes that ask for a trial then read that the same one is waiting, and both get
    it.
    """
    storage = optuna.storages.RDBStorage(
        f"sqlite:///{folder / 'search.db'}",
        # No transactions of the driver's own: it would begin them at the first write.
        engine_kwargs={"connect_args": {"isolation_level": None, "timeout": _PATIENCE_S}},
    )
    sqlalchemy.event.listen(
        storage.engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE")
    )
    return storage


def network_path(plan: Plan, study: str, number: int) -> Path:
    """Return where the network of a trial is kept."""
    return plan.folder / study / f"trial-{number:03d}.keras"


def quieten() -> None:
    """Leave the terminal to our own lines."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def _number(study_name: str) -> int:
    return int(study_name.rpartition("-")[2])


def _code_digest() -> str:
    """Return a digest of the modules that train: half a search of each of two codes is none."""
    folder = Path(genre_mlops.__file__).parent
    code = [(folder / name).read_bytes() for name in _TRAINING_MODULES]
    return hashlib.sha256(b"".join(code)).hexdigest()


def _digest(parts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
