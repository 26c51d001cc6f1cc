"""`lvmsnap hold` on real LVM: up until it is stopped, whoever asks meanwhile, what it says of a loss, what stays."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab.faults import MOUNTPOINT
from tests.lab.machine import Job
from tests.lab.runs.test_run import LOSSES
from tests.lab.stage import Scene, Stage
from tests.lab.support import lvmsnap, profile_text, start_lvmsnap, status

pytestmark = pytest.mark.lab

SNAP = MOUNTPOINT
SCENE = Scene(profiles={"p": profile_text(size="16MiB", mountpoint=SNAP)})


@contextmanager
def held(stage: Stage) -> Iterator[Job]:
    job = start_lvmsnap(stage, "hold p")
    try:
        job.wait_for_output(SNAP)
        yield job
    finally:
        if job.is_running():
            job.kill(signal.SIGKILL)


def test_it_is_up_and_guarded_until_a_signal_and_nobody_else_takes_it_meanwhile(stage: Stage) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with held(stage) as job:
            assert job.stdout == f"{SNAP}\n"
            assert stage.run(f"cat {SNAP}/file").stdout == "before\n"
            assert lvmsnap(stage, "hold p --check").stdout == ""
            assert status(stage, "p")["state"] == "up"
            if number == signal.SIGTERM:
                for arguments, code in (("up p", 3), ("hold p --replace", 3), ("run p --replace -- true", 125)):
                    assert "is using p" in lvmsnap(stage, arguments, code=code).stderr
                assert "is using it" in lvmsnap(stage, "recover").stdout
            job.kill(number, group=False)
            assert job.wait().returncode == 0, job.stderr
            assert job.stderr == ""
        stage.assert_as_before()
    assert "no hold has p up" in lvmsnap(stage, "hold p --check", code=124).stderr
    last = status(stage, "p")["last_run"]
    assert (last["command"], last["result"], last["exit_code"]) == ("lvmsnap hold", "ok", 0)
    assert 0 < last["snapshots"][0]["peak_fill_ratio"] < 1


@pytest.mark.parametrize("why", LOSSES)
def test_a_lost_snapshot_ends_it_with_124_and_no_check_passes(stage: Stage, why: str) -> None:
    with held(stage) as job:
        # As a backup that ends, and whose unit asks, at the very moment of the loss.
        stage.run(LOSSES[why])
        lvmsnap(stage, "hold p --check", code=124)

        done = job.wait()

    assert done.returncode == 124, done.stderr
    assert "was lost while it was held: " in done.stderr
    assert "do not trust what was read from it" in done.stderr
    lvmsnap(stage, "hold p --check", code=124)
    stage.run("rm -f /mnt/big")
    stage.assert_as_before()


def test_down_by_somebody_else_ends_it_with_124(stage: Stage) -> None:
    with held(stage) as job:
        lvmsnap(stage, "down p")

        assert job.wait().returncode == 124, job.stderr
    stage.assert_as_before()


def test_who_still_uses_the_snapshot_is_named_and_waited_for(stage: Stage) -> None:
    with held(stage) as job:
        user = stage.start(f"cd {SNAP} && echo there && exec sleep 99")
        user.wait_for_output("there")
        job.kill(signal.SIGTERM, group=False)
        job.wait_for_output("still in use")
        assert f"hold is stopped, but {SNAP} is still in use: pid" in job.stderr
        user.kill(signal.SIGTERM)

        assert job.wait().returncode == 0, job.stderr
    stage.assert_as_before()


def test_what_a_killed_hold_left_passes_no_check_and_the_next_one_takes_it_down_first(stage: Stage) -> None:
    with held(stage) as job:
        job.kill(signal.SIGKILL, group=False)
        job.wait()
        assert "no hold has p up" in lvmsnap(stage, "hold p --check", code=124).stderr
        assert "which has ended" in status(stage, "p")["problem"]
    stage.run("echo after > /mnt/file; sync")
    with held(stage) as job:
        assert stage.run(f"cat {SNAP}/file").stdout == "after\n"
        job.kill(signal.SIGTERM, group=False)
        assert job.wait().returncode == 0
    told = lvmsnap(stage, "status p --history").stdout
    assert re.search(r"killed +137 +lvmsnap hold.*\n.* ok +0 +lvmsnap hold", told), told
    stage.run("echo before > /mnt/file; sync")
    stage.assert_as_before()


def test_a_signal_while_it_comes_up_leaves_nothing(stage: Stage) -> None:
    job = start_lvmsnap(stage, "-v hold p")
    job.wait_for_output("lvcreate")
    job.kill(signal.SIGTERM, group=False)

    assert job.wait().returncode == 143, job.stderr
    assert job.stdout == ""
    stage.assert_as_before()
