"""Benchmarks that are quick at a small size still run."""

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_checks_of_a_made_table_run():
    command = [sys.executable, "-m", "benchmarks.checks", "--tracks", "1000", "--repeats", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "near-duplicates" in done.stdout
    assert "10 pairs" in done.stdout
    assert "ratio, scikit-learn's to ours" in done.stdout
