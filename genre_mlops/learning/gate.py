"""Whether a challenger takes the champion's place: a pure decision on figures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """How a version did on the frozen test set.

    Attributes
    ----------
    version : int
        Of the registered model.
    accuracy : float
        Share of the test tracks right.
    log_loss : float
        In nats; a track of a genre that the version does not know costs as if ruled out.
    synthetic : bool
        Whether it was trained on music made for testing.
    """

    version: int
    accuracy: float
    log_loss: float
    synthetic: bool


@dataclass(frozen=True)
class Verdict:
    """The decision and, in one sentence, why."""

    promote: bool
    reason: str


def judge(challenger: Score, champion: Score | None) -> Verdict:
    """Decide on promotion.

    Both were measured on the same tracks. Better is a higher accuracy, or the same accuracy and
    a lower log-loss. A model of synthetic music never takes the place of one of real music.
    """
    if champion is None:
        return Verdict(True, "there was no champion")
    if challenger.synthetic and not champion.synthetic:
        return Verdict(
            False,
            f"trained on synthetic music; champion version {champion.version} was trained on "
            "real music",
        )
    figures = (
        f"test accuracy {challenger.accuracy:.3f} and log-loss {challenger.log_loss:.3f} against "
        f"{champion.accuracy:.3f} and {champion.log_loss:.3f} of champion version "
        f"{champion.version} on the same tracks"
    )
    ours = (challenger.accuracy, -challenger.log_loss)
    theirs = (champion.accuracy, -champion.log_loss)
    if ours > theirs:
        return Verdict(True, f"better: {figures}")
    return Verdict(False, f"not better: {figures}")
