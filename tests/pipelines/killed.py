"""An entry point that is killed before its n-th change of the registry, from 0.

Run as `python -m tests.pipelines.killed N STEP [ARGUMENT ...]`.
"""

import runpy
import sys

from tests.promotions import die_before

if __name__ == "__main__":
    number, step, *arguments = sys.argv[1:]
    die_before(int(number))
    sys.argv = [step, *arguments]
    runpy.run_module(f"pipelines.{step}", run_name="__main__")
