"""The model card of a version: what it is for, what it was shown to do, where it comes from."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from genre_mlops import tracking
from genre_mlops.learning.judged import Judged
from genre_mlops.lineage import Lineage
from genre_mlops.registry import ModelVersion
from genre_mlops.wording import in_cell

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
  :root {{ color-scheme: light dark; }}
  body {{ max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }}
  body {{ font: 1rem/1.5 system-ui, sans-serif; }}
  h1, h2 {{ line-height: 1.2; }}
  h2 {{ margin-top: 2rem; }}
  table {{ border-collapse: collapse; display: block; overflow-x: auto; margin: 1rem 0; }}
  th, td {{ padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top; }}
  tr {{ border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }}
  code {{ font-size: .9em; overflow-wrap: anywhere; }}
  pre {{ padding: .8rem; overflow-x: auto; }}
  pre {{ background: color-mix(in srgb, currentColor 7%, transparent); }}
  blockquote {{ margin: 1rem 0; padding: .2rem 1rem; border-left: .3rem solid #c2560c; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


@dataclass(frozen=True)
class Setting:
    """What a card says beside lineage and scores.

    Attributes
    ----------
    splits : Counter of str
        Split -> tracks.
    scheme : str
        How they were split.
    n_quarantined : int
        Files set aside.
    faults : str
        What is known to be wrong with the data set.
    n_shared : int
        Groups, artists or recordings, with tracks in test and in another split.
    """

    splits: Counter[str]
    scheme: str
    n_quarantined: int
    faults: str
    n_shared: int


def model_card(
    version: ModelVersion,
    lineage: Lineage,
    judged: Judged,
    setting: Setting,
) -> str:
    """Return the card as Markdown."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("genre_mlops", ""),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  (Markdown, in which `cell` escapes)
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = in_cell
    config = lineage.trained_config()
    features = config.features
    members = int(judged.info.provenance.get("members", 1))
    said: Mapping[str, object] = {
        "name": version.name,
        "number": version.version,
        "lineage": lineage,
        "scores": judged.markdown(),
        "kept_apart": _kept_apart(setting.n_shared),
        "counts": setting.splits,
        "n_quarantined": setting.n_quarantined,
        "scheme": setting.scheme,
        "faults": setting.faults or "none is noted; the quality report has what was found",
        "kind": config.network.kind,
        "members": members,
        "segment_s": config.network.segment_frames * features.hop_length / features.sr,
        "cpu": _cpu_time(lineage.cpu_s, members),
        "files": judged.info.sha256,
    }
    return environment.get_template("card.md.j2").render(said)


def as_page(card: str) -> str:
    """Return a card as an HTML page that loads nothing from anywhere."""
    from markdown_it import MarkdownIt

    title = card.partition("\n")[0].removeprefix("# ")
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(card)
    return _PAGE.format(title=escape(title), body=body)


def in_short(card: str, *, end: str, most: int = tracking.MOST_DESCRIBED) -> str:
    """Return a card with an end, without its last sections where the registry holds no more."""
    end = f"\n\n{end}"
    sections = card.rstrip().split("\n## ")
    while len(sections) > 1 and len("\n## ".join(sections)) + len(end) > most:
        sections.pop()
    return "\n## ".join(sections)[: most - len(end)] + end


def _cpu_time(seconds: float, members: int) -> str:
    """Say how much computing the trials were, and what is not in it; energy is not measured."""
    told = f"{seconds / 3_600:.1f} CPU-hours" if seconds >= 3_600 else f"{seconds:.0f} CPU-seconds"
    without = " and the training of the other networks averaged" * (members > 1)
    return f"{told}, without tries that were cut off{without}; its energy was not measured"


def _kept_apart(n_shared: int) -> str:
    who = f"{n_shared:,} artists or recordings are" if n_shared else "No artist or recording is"
    if n_shared == 1:
        who = "1 artist or recording is"
    return f"{who} known to have tracks both among them and among the others."
