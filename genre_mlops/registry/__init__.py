"""The registry: versions of the registered model, who is champion, and the history of that."""

from genre_mlops.names import CHAMPION
from genre_mlops.registry.history import Entry, History, OvertakenError, in_words, read_history
from genre_mlops.registry.promotion import (
    champion_number,
    differences,
    former_champion,
    note_verdict,
    promote,
    read_verdict,
    roll_back,
    settle,
)
from genre_mlops.registry.versions import (
    CHALLENGER,
    PREVIOUS,
    ModelVersion,
    challenge,
    find_champion,
    find_version,
    load_champion,
    read_lineage,
    register,
    version_of,
)

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "PREVIOUS",
    "Entry",
    "History",
    "ModelVersion",
    "OvertakenError",
    "challenge",
    "champion_number",
    "differences",
    "find_champion",
    "find_version",
    "former_champion",
    "in_words",
    "load_champion",
    "note_verdict",
    "promote",
    "read_history",
    "read_lineage",
    "read_verdict",
    "register",
    "roll_back",
    "settle",
    "version_of",
]
