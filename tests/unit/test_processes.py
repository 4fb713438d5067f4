import os
import subprocess
import sys

import psutil
import pytest

from genre_mlops.processes import is_gone, quiet_stderr, this_process


def test_this_process_is_here_and_a_later_one_with_its_pid_is_another():
    me = this_process()
    assert not is_gone(me)
    assert is_gone(me | {"process_started": str(float(me["process_started"]) - 3_600)})
    # The clock was set by a second: still the same process.
    assert not is_gone(me | {"process_started": str(float(me["process_started"]) + 1)})


def test_an_ended_process_is_gone_and_another_machines_is_not_ours_to_judge():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert is_gone(this_process() | {"pid": str(ended.pid)})
    assert not is_gone(this_process() | {"pid": str(ended.pid), "host": "elsewhere"})


def test_a_process_that_nobody_waited_for_is_gone():
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(this_process() | {"pid": str(zombie.pid)})
    zombie.wait()


def test_what_libraries_write_to_stderr_is_dropped_and_then_no_more(capfd):
    with quiet_stderr():
        os.write(2, b"noise")
    os.write(2, b"news")
    assert capfd.readouterr().err == "news"


@pytest.mark.parametrize("killed", [True, False])
def test_a_worker_ends_with_its_parent_however_that_ends(killed: bool):
    started = """
import os, subprocess, sys, time
code = "from genre_mlops.processes import end_with; end_with(%d); import time; time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", code % os.getpid()])
print(child.pid, flush=True)
time.sleep(5 if sys.argv[1] == "waits" else 600)
"""
    how = "never" if killed else "waits"
    parent = subprocess.Popen(
        [sys.executable, "-c", started, how], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    child = psutil.Process(int(parent.stdout.readline()))
    assert child.status() != psutil.STATUS_ZOMBIE
    if killed:
        parent.kill()
    parent.wait()
    parent.stdout.close()
    _, alive = psutil.wait_procs([child], timeout=60)
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in alive)
