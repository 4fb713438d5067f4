"""What is wrong with which tracks, in few lines."""

from collections import defaultdict
from collections.abc import Mapping

from genre_mlops.wording import printable

OFFENDERS_SHOWN = 20
# More files than this with one and the same reason share a line.
_ALIKE = 5


def in_lines(
    offenders: Mapping[str, str], *, n_shown: int = OFFENDERS_SHOWN, rest: str = ""
) -> list[str]:
    """Say what is wrong with which tracks, in no more than a screen of lines.

    Parameters
    ----------
    offenders : mapping of str to str
        Track -> what is wrong with it.
    n_shown : int
        Lines at the most; the last one says how many tracks have none.
    rest : str
        Where these are named: words for that line.

    Returns
    -------
    list of str
        What a name holds beside letters is in escapes: a line is a line.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for track, why in offenders.items():
        alike[why].append(track)
    told: list[tuple[str, int]] = []
    for why, tracks in alike.items():
        if len(tracks) > _ALIKE:
            told.append((f"{tracks[0]} and {len(tracks) - 1} more: {why}", len(tracks)))
        else:
            told += [(f"{track}: {why}", 1) for track in tracks]
    lines = [printable(line) for line, _ in told[:n_shown]]
    n_more = sum(n for _, n in told[n_shown:])
    if n_more:
        lines.append(f"and {n_more} more, {rest}" if rest else f"and {n_more} more")
    return lines
