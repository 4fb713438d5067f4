"""Whether a challenger takes the champion's place: a pure decision on figures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """How a version did on test tracks that neither it nor its rival has learnt from.

    Attributes
    ----------
    version : int
        Of the registered model.
    n_tracks : int
        How many they were.
    accuracy : float
        Share of these right.
    log_loss : float
        In nats; a track of a genre that the version does not know costs as if ruled out.
    synthetic : bool
        Whether it was trained on music made for testing.
    """

    version: int
    n_tracks: int
    accuracy: float
    log_loss: float
    synthetic: bool


@dataclass(frozen=True)
class Verdict:
    """The decision and, in one sentence, why."""

    promote: bool
    reason: str


def judge(challenger: Score, champion: Score) -> Verdict:
    """Decide on promotion.

    Better is a higher accuracy on the same tracks, or the same accuracy and a lower log-loss.
    Between a model of synthetic music and one of real music there is no contest.

    Parameters
    ----------
    challenger, champion : Score
        Measured on the same tracks.

    Returns
    -------
    Verdict
        Promote or hold.
    """
    who = f"champion version {champion.version}"
    if challenger.synthetic != champion.synthetic:
        kinds = ("synthetic", "real") if challenger.synthetic else ("real", "synthetic")
        return Verdict(
            not challenger.synthetic,
            f"trained on {kinds[0]} music; {who} was trained on {kinds[1]} music",
        )
    if challenger.n_tracks == 0:
        return Verdict(False, f"not comparable: {who} has learnt from every test track")
    figures = (
        f"{'synthetic ' * challenger.synthetic}test accuracy {challenger.accuracy:.3f} and "
        f"log-loss {challenger.log_loss:.3f} against {champion.accuracy:.3f} and "
        f"{champion.log_loss:.3f} of {who} on the same {challenger.n_tracks} tracks, no "
        "file of which either has learnt from"
    )
    ours = (challenger.accuracy, -challenger.log_loss)
    theirs = (champion.accuracy, -champion.log_loss)
    if ours > theirs:
        return Verdict(True, f"better: {figures}")
    return Verdict(False, f"not better: {figures}")
