"""Great Expectations' own page of validation results, made to open offline."""

import copy
import re
from collections.abc import Sequence
from typing import Any

# Counts only. The page does not escape what is found in the data: a file name could put a script
# into it.
_KEPT = (
    "element_count",
    "unexpected_count",
    "unexpected_percent",
    "unexpected_percent_nonmissing",
    "unexpected_percent_total",
    "missing_count",
    "missing_percent",
)
# Styles, scripts and logos come from other hosts, which nothing here may ask.
_FROM_ELSEWHERE = re.compile(
    r"<script\b.*?</script>|<style\b.*?</style>|<footer\b.*?</footer>|<link\b[^>]*>|<img\b[^>]*>"
    # To pages of a Data Docs site, which there is not.
    r"|<a href=\"[.][^>]*>",
    re.DOTALL | re.IGNORECASE,
)
_STYLE = """<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 0 auto; padding: 1rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; }
nav, .sticky { display: none; }
.fa-check-circle::before { content: "✔"; }
.fa-times::before { content: "✖"; }
.fa-exclamation-triangle::before { content: "!"; }
th, td { border-bottom: 1px solid #8886; overflow-wrap: anywhere; }
</style>
"""


def data_docs_page(results: Sequence[Any]) -> str:
    """Render validation results as Great Expectations renders its Data Docs.

    Parameters
    ----------
    results : sequence of ExpectationSuiteValidationResult
        One for each suite, at least one; they are not changed.

    Returns
    -------
    str
        A whole HTML page with what was expected and how many rows are otherwise, and without the
        rows themselves, scripts and anything from another host.
    """
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView

    renderer = ValidationResultsPageRenderer(run_info_at_end=True)
    documents = [renderer.render(_counts_only(result)) for result in results]
    whole = documents[0]
    whole.sections = [section for document in documents for section in document.sections]
    view: Any = DefaultJinjaPageView()  # its methods carry no types
    page = _FROM_ELSEWHERE.sub("", view.render(whole))
    return page.replace("</head>", f"{_STYLE}</head>", 1)


def _counts_only(suite_result: Any) -> Any:
    """Return a result without values and rows; the lists are not copied."""
    kept = copy.copy(suite_result)
    kept.results = []
    for result in suite_result.results:
        plain = copy.copy(result)
        plain.result = {key: result.result[key] for key in _KEPT if key in result.result}
        observed = result.result.get("observed_value")
        if isinstance(observed, int | float):
            plain.result["observed_value"] = observed
        kept.results.append(plain)
    return kept
