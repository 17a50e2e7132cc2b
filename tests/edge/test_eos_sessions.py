"""Which pending configuration sessions on EOS may be aborted: ours, of processes that are gone, and no others."""

import os
import subprocess
import sys

from switchguard.edge.eos_sessions import abandoned, give_up, new_name, start_of

NEW_NAME = "from switchguard.edge.eos_sessions import new_name; print(new_name())"


def test_every_session_has_a_name_of_its_own() -> None:
    assert len({new_name() for _ in range(10)}) == 10


def test_a_session_of_a_process_that_runs_is_in_use() -> None:
    assert abandoned([new_name()]) == ()


def test_one_that_this_process_has_given_up_is_abandoned() -> None:
    given_up, in_use = new_name(), new_name()
    give_up(given_up)
    assert abandoned([given_up, in_use]) == (given_up,)


def test_a_session_of_a_process_that_ended_is_abandoned() -> None:
    theirs = subprocess.run([sys.executable, "-c", NEW_NAME], capture_output=True, text=True, check=True).stdout.strip()
    assert abandoned([theirs, new_name()]) == (theirs,)


def test_another_process_with_the_same_number_is_another_process() -> None:
    mine = new_name()
    began = start_of(os.getpid())
    older = mine.replace(f"-{began}-", f"-{(began or 0) - 1}-")
    assert abandoned([mine, older]) == (older,)


def test_what_others_have_open_is_left_alone() -> None:
    elsewhere = new_name().replace("switchguard-", "switchguard-x")
    assert abandoned(["napalm_123456", "cfg-2034--574620864-1", "alice", elsewhere]) == ()


def test_where_nobody_tells_of_processes_nothing_is_abandoned() -> None:
    assert abandoned(["switchguard-host-1-1-1"], start=lambda _pid: None) == ()
