"""Studies in their database: opened, shared, taken up again, ended.

A study belongs to one search: its name carries a digest of all that decides what its trials find.
Jobs that search the same at the same time share it; one that was killed is taken up by the next,
with the trials it has; one that has ended is followed by a new study.
"""

import hashlib
import json
import logging
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

import genre_mlops
from genre_mlops import files
from genre_mlops.config import Config
from genre_mlops.errors import GenreError
from genre_mlops.fitting import Plan
from genre_mlops.processes import in_one_line, is_elsewhere, is_gone, repeating
from genre_mlops.search.attributes import DATA, FINISHED, PLACE, SEARCHED, SYNTHETIC, WORKSPACE
from genre_mlops.search.budget import has_ended
from genre_mlops.search.space import search_space
from genre_mlops.search.storage import UNREACHABLE, alone, open_storage, reachable

_log = logging.getLogger(__name__)
# What is learnt from, how, and what trials are ranked by.
_TRAINING_MODULES = (
    *(f"learning/{name}.py" for name in ("augment", "batches", "learner", "metrics", "networks")),
    *("learning/training.py", "logmel.py", "segments.py"),
)
NOTE_EVERY_S = 10.0
"""How often a job notes that it is at a study."""
_LATELY_S = 60.0
# Settings that do not decide what a trial finds.
_APART = {"data", "quality", "split", "evaluation", "baseline", "gate", "registry", "monitor"}
_APART_OF_SEARCH = ("trials", "minutes", "workers", "space")


def study_key(config: Config, split_digest: str) -> str:
    """Return 12 hexadecimal digits of all that decides what the trials of a search find.

    But for how many there are, and how many at a time: a search that was killed may go on with more
    or fewer.
    """
    parts: dict[str, Any] = {
        "code": [genre_mlops.__version__, _code_digest()],
        "split": split_digest,
        "space": {key: str(space) for key, space in search_space(config).items()},
        "config": config.model_dump(mode="json", exclude=_APART),
    }
    for name in _APART_OF_SEARCH:
        parts["config"]["search"].pop(name)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def open_study(plan: Plan) -> optuna.Study:
    """Share or take up the newest study of a plan's key in its workspace, or begin another.

    Raises
    ------
    GenreError
        The database cannot be used.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    storage = open_storage(plan.database)
    with alone(plan.database):
        names = [n for n in optuna.get_all_study_names(storage) if n.startswith(f"{plan.key}-")]
        for name in sorted(names, key=_number, reverse=True):
            study = optuna.load_study(study_name=name, storage=storage)
            if _is_of(study, plan.folder):
                if study.user_attrs.get(FINISHED):
                    break
                return study
        # Nor the name of a study of another database in the same workspace.
        names += [folder.name for folder in plan.folder.glob(f"{plan.key}-*")]
        number = max(map(_number, names), default=0) + 1
        return _create_study(plan, f"{plan.key}-{number:03d}", storage)


@dataclass(frozen=True)
class StudyState:
    """How far a study is.

    Attributes
    ----------
    name, data, begun : str
        Its name, its data set, and when its first trial was asked for, in local time.
    synthetic : bool
        Whether its data set is.
    n_ended, n_running : int
        Its trials.
    best : float or None
        The least validation loss of a trial that ran to its end.
    finished : bool
        Whether what it found has been registered.
    """

    name: str
    data: str
    synthetic: bool
    begun: str
    n_ended: int
    n_running: int
    best: float | None
    finished: bool


def list_studies(database: str) -> list[StudyState]:
    """Return the studies of a database, the newest first."""
    storage = open_storage(database)
    found = [
        optuna.load_study(study_name=name, storage=storage)
        for name in optuna.get_all_study_names(storage)
    ]
    return sorted(map(_state, found), key=lambda study: study.begun, reverse=True)


def _state(study: optuna.Study) -> StudyState:
    trials = study.get_trials(deepcopy=False)
    losses = [trial.values[0] for trial in trials if trial.state is TrialState.COMPLETE]
    times = [trial.datetime_start for trial in trials if trial.datetime_start]
    return StudyState(
        name=study.study_name,
        data=study.user_attrs.get(DATA, ""),
        synthetic=study.user_attrs.get(SYNTHETIC, False),
        begun=min(times).isoformat(" ", "seconds") if times else "",
        n_ended=sum(map(has_ended, trials)),
        n_running=sum(trial.state is TrialState.RUNNING for trial in trials),
        best=min(losses, default=None),
        finished=bool(study.user_attrs.get(FINISHED)),
    )


def find_study(bundle: Path, database: str) -> optuna.Study:
    """Load the study that a bundle comes from.

    Raises
    ------
    GenreError
        It is not in this database, or that cannot be used.
    """
    try:
        with reachable():
            return optuna.load_study(study_name=bundle.parent.name, storage=open_storage(database))
    except KeyError as error:
        raise GenreError(
            f"study {bundle.parent.name} is not in the studies' database: name the one that its "
            "search had by GENRE_SEARCH_STORAGE"
        ) from error


def end_study(bundle: Path, study: optuna.Study, job: Mapping[str, str]) -> None:
    """Mark the search that made a bundle as over, and drop its trials' networks.

    The next search with the same digest starts anew. While another job than this one is at it, the
    study stays open.
    """
    folder = bundle.parent
    with reachable():
        # Before the lock too: another job may hold it for as long as its members train.
        if _is_used(study, but=job):
            _log.info("study %s stays open: another job is at it", study.study_name)
            return
    with files.alone(folder), reachable():
        if _is_used(study, but=job):
            return
        study.set_user_attr(FINISHED, True)
        for pattern in ("trial-*.keras", ".*.keras", "*.npz"):
            for path in folder.glob(pattern):
                path.unlink()


@contextmanager
def in_use(plan: Plan, study: str) -> Iterator[None]:
    """Keep other jobs from ending a study, until the block ends well."""
    with reachable():
        opened = optuna.load_study(study_name=study, storage=open_storage(plan.database))
    _note(opened, plan.job)
    with repeating(partial(_note, opened, plan.job), NOTE_EVERY_S):
        yield
    _note(opened, plan.job, seen=0.0)


def _is_used(study: optuna.Study, *, but: Mapping[str, str]) -> bool:
    """Whether a job but one is at a study; of one on another machine, whether it said so lately."""
    return any(
        note["seen"]
        and note["job"] != but
        and not is_gone(note["job"])
        and (not is_elsewhere(note["job"]) or time.time() - note["seen"] < _LATELY_S)
        for note in _notes(study)
    )


def newest_bundle(folder: Path, config: Config, split_digest: str) -> Path:
    """Return the bundle that the last search of this config and data left.

    Raises
    ------
    GenreError
        There is none.
    """
    bundles = [*folder.glob(f"{study_key(config, split_digest)}-*/bundle-*")]
    if not bundles:
        raise GenreError(
            "nothing to register: no search with this data and config has ended; run the train "
            "entry point with the same parameters first"
        )
    return max(bundles, key=lambda path: (_number(path.parent.name), path.stat().st_mtime))


def network_path(plan: Plan, study: str, place: int) -> Path:
    """Return where the network of a trial is kept."""
    return plan.folder / study / f"trial-{place:03d}.keras"


def note_searched(study: optuna.Study, job: Mapping[str, str], since_s: float) -> None:
    """Note that a job has searched from `since_s`, in seconds since 1970, until now."""
    _note(study, job, searched=[since_s, time.time()])


def _note(study: optuna.Study, job: Mapping[str, str], **more: object) -> None:
    name = f"{SEARCHED}{in_one_line(job)}"
    # A database that cannot be reached now may be there for the next note.
    with suppress(*UNREACHABLE):
        known = study.user_attrs.get(name, {})
        study.set_user_attr(name, known | {"job": job, "seen": time.time()} | more)


def _notes(study: optuna.Study) -> list[dict[str, Any]]:
    return [note for name, note in study.user_attrs.items() if name.startswith(SEARCHED)]


def searched_s(study: optuna.Study) -> float:
    """Return how long a study was searched, by one job or several at once, in seconds."""
    spans = sorted(note["searched"] for note in _notes(study) if "searched" in note)
    total_s = until_s = 0.0
    for begin_s, end_s in spans:
        total_s += max(0.0, end_s - max(begin_s, until_s))
        until_s = max(until_s, end_s)
    return total_s


def _create_study(plan: Plan, name: str, storage: optuna.storages.RDBStorage) -> optuna.Study:
    n_objectives = len(plan.config.search.objective.split("+"))
    study = optuna.create_study(
        study_name=name, storage=storage, directions=["minimize"] * n_objectives
    )
    if n_objectives > 1:
        study.set_metric_names(["validation loss", "multiply-adds"])
    study.set_user_attr(DATA, plan.tags.get("genre.dataset", ""))
    study.set_user_attr(SYNTHETIC, plan.synthetic)
    flat = plan.config.flat()
    as_it_is = {key: flat[key] for key in search_space(plan.config)}
    study.enqueue_trial(as_it_is, user_attrs={PLACE: 0})
    token, file = uuid.uuid4().hex, plan.folder / name / WORKSPACE
    file.parent.mkdir()
    file.write_text(token)
    # Last: without it nobody takes the study up.
    study.set_user_attr(WORKSPACE, token)
    return study


def _is_of(study: optuna.Study, folder: Path) -> bool:
    """Whether a study's networks are in this workspace, which machines may share."""
    file = folder / study.study_name / WORKSPACE
    return file.is_file() and file.read_text() == study.user_attrs.get(WORKSPACE)


def _number(study_name: str) -> int:
    return int(study_name.rpartition("-")[2])


def _code_digest() -> str:
    """Return a digest of the modules that train: half a search of each of two codes is none."""
    folder = Path(genre_mlops.__file__).parent
    code = [(folder / name).read_bytes() for name in _TRAINING_MODULES]
    return hashlib.sha256(b"".join(code)).hexdigest()
