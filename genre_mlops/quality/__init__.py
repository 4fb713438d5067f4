"""Whether the data can be trusted, by Great Expectations, and the report that says so."""

from genre_mlops.quality.inspection import Inspection, inspect, inspect_listing
from genre_mlops.quality.lines import in_lines
from genre_mlops.quality.suites import Check

__all__ = ["Check", "Inspection", "in_lines", "inspect", "inspect_listing"]
