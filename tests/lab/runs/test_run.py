"""`lvmsnap run` on real LVM: what the command is given, every way it can end, and that nothing stays."""

from __future__ import annotations

import re
import signal
import time

import pytest

from tests.lab import looking
from tests.lab.faults import MOUNTPOINT
from tests.lab.stage import Scene, Stage
from tests.lab.support import lvmsnap, profile_text, shell_line, start_lvmsnap

pytestmark = pytest.mark.lab

SNAP = MOUNTPOINT
DEVICE = "/dev/vg0/system-lvmsnap-p"
# Files on the origin, profiles p (mounted) and d (device only).
SCENE = Scene(
    profiles={
        "p": profile_text(size="16MiB", mountpoint=SNAP),
        "d": profile_text(size="100%ORIGIN", mountpoint=None),
    },
    more="mkdir /mnt/d; for i in 1 2 3 4; do head -c 1M /dev/urandom > /mnt/d/$i; done; echo old > /mnt/file",
)


def test_an_archive_is_the_origin_at_the_moment_of_the_snapshot_and_the_environment_is_set(stage: Stage) -> None:
    old = stage.run("cd /mnt; find . -type f | sort | xargs cksum").stdout
    script = (
        "for i in 1 2 3 4; do head -c 1M /dev/zero > /mnt/d/$i; done; echo new > /mnt/file; sync;"
        'env | grep ^LVMSNAP | sort; tar -cf /run/a.tar -C "$LVMSNAP_MOUNTPOINT" .'
    )

    done = lvmsnap(stage, f"run p -- sh -c '{script}'")

    assert done.stdout.splitlines() == [
        f"LVMSNAP_DEVICE={DEVICE}",
        f"LVMSNAP_DEVICE_1={DEVICE}",
        f"LVMSNAP_MOUNTPOINT={SNAP}",
        f"LVMSNAP_MOUNTPOINT_1={SNAP}",
        "LVMSNAP_PROFILE=p",
    ]
    stage.run("mkdir /run/out; tar -xf /run/a.tar -C /run/out")
    assert stage.run("cd /run/out; find . -type f | sort | xargs cksum").stdout == old
    assert stage.run("cat /mnt/file; rm -r /run/out /run/a.tar").stdout == "new\n"
    stage.run("echo old > /mnt/file; sync")
    stage.assert_as_before()
    assert looking.mount_options(stage, SNAP) == []


def test_a_profile_without_mountpoint_gives_the_device_of_a_frozen_origin(stage: Stage) -> None:
    stage.run("umount /mnt")
    sum_before = stage.run("md5sum < /dev/vg0/system").stdout

    script = 'mount /dev/vg0/system /mnt; echo new > /mnt/file; umount /mnt; dd if="$LVMSNAP_DEVICE" bs=1M status=none'
    done = lvmsnap(stage, f"run d -- sh -c '{script} | md5sum; test -z \"$LVMSNAP_MOUNTPOINT\"'")

    assert done.stdout == sum_before != stage.run("md5sum < /dev/vg0/system").stdout
    stage.run("mount /dev/vg0/system /mnt; echo old > /mnt/file; sync")
    stage.assert_as_before()


def test_statuses_of_the_command_and_what_never_starts(stage: Stage) -> None:
    lvmsnap(stage, "run p -- sh -c 'exit 7'", code=7)
    stage.assert_as_before()
    lvmsnap(stage, "run p -- sh -c 'kill -9 $$'", code=137)
    stage.assert_as_before()
    assert lvmsnap(stage, "run p -- surely-not-there", code=125).stderr.startswith("error: surely-not-there: no such")
    stage.run("echo text > /run/text; chmod +x /run/text")
    assert "Exec format error" in lvmsnap(stage, "run p -- /run/text", code=125).stderr
    stage.assert_as_before()
    stage.run(f"mkdir {SNAP}; touch {SNAP}/file")
    refused = lvmsnap(stage, "run p -- touch /run/ran", code=125).stderr
    assert f"mountpoint {SNAP} cannot be used: the directory is not empty" in refused
    assert not looking.exists(stage, "/run/ran")
    stage.run(f"rm -r {SNAP} /run/text")
    stage.assert_as_before()


def test_input_passes_through_a_closed_stderr_does_no_harm(stage: Stage) -> None:
    done = stage.run(shell_line("run p -- sh -c 'read a; echo got $a'"), stdin="words\n")
    assert done.stdout == "got words\n"
    # The reader of our messages is gone before the first of them.
    stage.run(f"({shell_line('run p -- touch /run/ran')}) 2>&1 | true", check=False)
    stage.assert_as_before()
    stage.run("rm -f /run/ran")


@pytest.mark.parametrize("group", [False, True])
def test_a_signal_to_lvmsnap_ends_the_command_and_nothing_is_left(stage: Stage, group: bool) -> None:
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)):
        job = start_lvmsnap(stage, "run p -- sh -c 'echo running; exec sleep 99'")
        job.wait_for_output("running")
        job.kill(number, group=group)
        assert job.wait().returncode == status, job.stderr
        stage.assert_as_before()
    assert stage.run("pgrep -x sleep", check=False).returncode == 1


LV = "vg0/system-lvmsnap-p"
LOSSES = {
    "it overflowed": "dd if=/dev/urandom of=/mnt/big bs=1M count=30 conv=fsync 2>/dev/null",
    f"{SNAP} was unmounted or mounted over": f"umount {SNAP}",
    f"{SNAP} was unmounted for a while": f"umount {SNAP}; mount -o ro,noload {DEVICE} {SNAP}",
    # Stopped meanwhile, it does not see that the removal begins with an umount.
    "it was removed or replaced": f"kill -STOP $PPID; umount {SNAP}; lvremove -qqy {LV}; kill -CONT $PPID",
}


@pytest.mark.parametrize("why", LOSSES)
def test_a_lost_snapshot_is_124_though_the_command_exits_0_even_quietly(stage: Stage, why: str) -> None:
    done = lvmsnap(stage, f"-q run p -- sh -c '{LOSSES[why]}; exit 0'", code=124)

    # What is over in a moment is seen while it lasts, or from what it left behind.
    seen = re.escape(why).replace("for\\ a\\ while", "(for a while|or mounted over)")
    assert re.search(f"error: sh exited 0, but its snapshot was lost: {seen}", done.stderr)
    assert "do not trust" in done.stderr
    stage.run("rm -f /mnt/big")
    stage.assert_as_before()


def test_replace_takes_down_a_leftover_first_and_without_it_run_refuses(stage: Stage) -> None:
    lvmsnap(stage, "up p")
    stage.run("echo newer > /mnt/file; sync")

    lvmsnap(stage, "run p -- touch /run/ran", code=125)
    assert not looking.exists(stage, "/run/ran")
    done = lvmsnap(stage, f"run p --replace -- cat {SNAP}/file")

    assert done.stdout == "newer\n"
    stage.run("echo old > /mnt/file; sync")
    stage.assert_as_before()


def test_what_the_command_left_running_in_the_snapshot_is_named_and_waited_for(stage: Stage) -> None:
    done = lvmsnap(stage, f"run p -- sh -c 'cd {SNAP}; sleep 4 > /dev/null 2>&1 & sleep 1'")

    assert f"the command ended, but {SNAP} is still in use: pid" in done.stderr
    assert f"(sleep): {SNAP}" in done.stderr
    stage.assert_as_before()


def test_what_does_not_leave_the_snapshot_is_residue_with_its_own_status(stage: Stage) -> None:
    start = time.monotonic()

    job = start_lvmsnap(stage, f"-v run p -- sh -c 'cd {SNAP}; sleep 99 > /dev/null 2>&1 & sleep 1'")
    job.wait_for_output("still in use")
    job.kill(signal.SIGINT, group=False)  # no longer wait
    done = job.wait()

    assert done.returncode == 4, done.stderr
    assert "(sleep)" in done.stderr
    assert "left: mount" in done.stderr
    assert time.monotonic() - start < 60
    stage.run("pkill -x sleep")
    lvmsnap(stage, "down p")
    stage.assert_as_before()


def test_on_a_terminal_ctrl_c_ends_the_command_and_the_snapshot_goes(stage: Stage) -> None:
    line = shell_line("run p -- sh -c 'echo run; exec sleep 99'")
    job = stage.start(f"exec {line}", tty=(100, 30))
    job.wait_for_output("run\r\n")
    job.write("\x1a")  # nobody could continue it: it does not stop
    time.sleep(1)
    job.write("\x03")

    assert job.wait().returncode == 130
    stage.assert_as_before()
