"""A profile's walk, a group's change and LVM's own locks: who waits for whom, how long, and what children keep."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lvmsnap.execution import context, locks
from lvmsnap.execution.locks import GroupLocks, Waiting
from lvmsnap.model.errors import LvmsnapError, RefusedError
from lvmsnap.model.plan import Action, Thing
from lvmsnap.model.profile import Hooks
from lvmsnap.model.target import Include, LuksMapping, MountTarget
from lvmsnap.planning import actions
from lvmsnap.planning.identify import find
from lvmsnap.system import lvm_config, lvm_lock_holder
from lvmsnap.system.processes import Runner
from tests import TOP, samples

ROOT = TOP
# A process of its own that holds a lock until its stdin ends; it says "held" once it has it. `older` is an older
# lvmsnap, which has one lock for all.
HOLD = """\
import fcntl, os, sys
from lvmsnap.execution import locks
from lvmsnap.execution.locks import GroupLocks, Waiting
from lvmsnap.system.processes import Runner
kind, name, directory = sys.argv[1:]
if kind == "profile":
    held = locks.profile(name, Waiting(0, print), directory)
    held.__enter__()
elif kind == "group":
    GroupLocks(Runner(), Waiting(0, print), directory).hold((name,), with_pvs=False)
else:
    file = open(f"{directory}/lock", "w")
    fcntl.flock(file, fcntl.LOCK_EX)
    file.write(f"{os.getpid()}\\n")
    file.flush()
print("held", flush=True)
sys.stdin.read()
"""


class Holder:
    """Another process that holds a lock."""

    def __init__(self, directory: Path, kind: str = "profile", name: str = "nightly") -> None:
        run = [sys.executable, "-c", HOLD, kind, name, str(directory)]
        self.process = subprocess.Popen(run, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def release(self) -> None:
        self.process.communicate()


@pytest.fixture(autouse=True)
def lvm_locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of LVM's own locks."""
    folder = tmp_path / "lvm"
    folder.mkdir()
    monkeypatch.setattr(lvm_config, "locking_dir", lambda _settings: str(folder))
    return folder


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A folder of ours."""
    made = tmp_path / "run"
    made.mkdir(mode=0o700)
    return made


def waiting(seconds: float = 0, said: list[str] | None = None) -> Waiting:
    return Waiting(seconds, pytest.fail if said is None else said.append)


# --- a profile --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["profile", "older"])
def test_a_second_walk_of_a_profile_is_refused_with_the_pid_of_the_first(directory: Path, kind: str) -> None:
    holder = Holder(directory, kind)
    said: list[str] = []

    with (
        pytest.raises(RefusedError) as caught,
        locks.profile("nightly", waiting(0.15, said), str(directory)),
    ):
        pytest.fail("both have the lock")
    holder.release()

    what = "the lock of nightly" if kind == "profile" else "lvmsnap's lock"
    (refusal,) = caught.value.refusals
    assert refusal.message == f"another lvmsnap (pid {holder.process.pid}) has held {what} for 0.15 s"
    assert "--wait" in refusal.hint
    assert said == [f"waiting up to 0.15 s for another lvmsnap (pid {holder.process.pid}), which holds {what}"]
    assert caught.value.exit_code == 3


def test_an_older_lvmsnap_is_kept_out_while_a_profile_is_walked(directory: Path) -> None:
    with (
        locks.profile("nightly", waiting(), str(directory)),
        (directory / "lock").open("w") as file,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_walks_of_two_profiles_keep_nobody_waiting(directory: Path) -> None:
    holder = Holder(directory, name="other")

    with locks.profile("nightly", waiting(), str(directory)):
        pass
    holder.release()


def test_a_hook_that_calls_for_its_own_profile_is_refused_at_once(directory: Path) -> None:
    call = f"""\
from lvmsnap.execution import locks
with locks.profile("nightly", locks.Waiting(60, print), {str(directory)!r}):
    pass
"""
    with locks.profile("nightly", waiting(), str(directory)):
        start = time.monotonic()
        hook = ["sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, call]
        called = subprocess.run(hook, cwd=ROOT, capture_output=True, text=True, check=False)

    assert time.monotonic() - start < 30
    assert f"the lock of nightly is held by pid {os.getpid()}, the lvmsnap that called this one" in called.stderr
    assert called.stdout == ""


def test_without_waiting_nothing_is_announced(directory: Path) -> None:
    holder = Holder(directory)

    with pytest.raises(RefusedError), locks.profile("nightly", waiting(), str(directory)):
        pytest.fail("both have the lock")
    holder.release()


def test_a_lock_is_had_as_soon_as_it_is_free(directory: Path) -> None:
    holder = Holder(directory)
    threading.Timer(0.3, holder.release).start()
    start = time.monotonic()

    with locks.profile("nightly", waiting(30, []), str(directory)):
        waited = time.monotonic() - start

    assert 0.2 < waited < 10


def test_what_was_waited_for_in_vain_is_waited_for_no_more(directory: Path) -> None:
    holder, patience = Holder(directory), waiting(0.15, [])
    start = time.monotonic()

    for _ in range(20):
        with pytest.raises(RefusedError), locks.profile("nightly", patience, str(directory)):
            pytest.fail("both have the lock")
    holder.release()

    assert time.monotonic() - start < 2


def test_a_killed_holder_holds_nothing(directory: Path) -> None:
    holder = Holder(directory)
    holder.process.kill()
    holder.process.communicate()

    with locks.profile("nightly", waiting(5), str(directory)):
        pass


def test_a_child_that_inherited_a_lock_keeps_it_after_its_parent(directory: Path) -> None:
    with locks.profile("nightly", waiting(), str(directory)) as descriptors:
        child = subprocess.Popen(["sleep", "60"], pass_fds=descriptors)

    with pytest.raises(RefusedError), locks.profile("nightly", waiting(), str(directory)):
        pytest.fail("the child's lock is gone")
    child.kill()
    child.wait()
    with locks.profile("nightly", waiting(5, []), str(directory)):
        pass


def test_other_children_do_not_inherit_a_lock(directory: Path) -> None:
    with locks.profile("nightly", waiting(), str(directory)):
        child = subprocess.Popen(["sleep", "60"])
    try:
        with locks.profile("nightly", waiting(), str(directory)):
            pass
    finally:
        child.kill()
        child.wait()


def test_a_symlink_for_a_lock_is_not_followed_and_the_folder_is_roots_alone(directory: Path) -> None:
    (directory / "nightly.lock").symlink_to(directory / "elsewhere")
    directory.chmod(0o755)

    with (
        pytest.raises(LvmsnapError, match="the lock cannot be opened"),
        locks.profile("nightly", waiting(), str(directory)),
    ):
        pass

    assert not (directory / "elsewhere").exists()
    assert directory.stat().st_mode & 0o777 == 0o700


# --- a group ----------------------------------------------------------------------------------------------------------


def test_a_groups_lock_is_inherited_by_every_command_and_let_go_of(directory: Path) -> None:
    runner = Runner()
    runner.lock_fds = (0,)
    held = GroupLocks(runner, waiting(), str(directory))

    held.hold(("vg1", "vg0"), with_pvs=False)
    assert len(runner.lock_fds) == 3
    with pytest.raises(RefusedError):
        GroupLocks(Runner(), waiting(), str(directory)).hold(("vg0",), with_pvs=False)
    held.hold(("vg1",), with_pvs=False)
    assert len(runner.lock_fds) == 2
    held.release()

    assert runner.lock_fds == (0,)
    GroupLocks(Runner(), waiting(), str(directory)).hold(("vg0", "vg1"), with_pvs=False)


def test_a_group_whose_lock_is_not_had_leaves_the_others_free(directory: Path) -> None:
    holder = Holder(directory, "group", "vg1")
    held = GroupLocks(Runner(), waiting(), str(directory))

    with pytest.raises(RefusedError, match="lvmsnap's lock of vg1"):
        held.hold(("vg0", "vg1"), with_pvs=False)

    GroupLocks(Runner(), waiting(), str(directory)).hold(("vg0",), with_pvs=False)
    holder.release()


@pytest.mark.parametrize(("lock", "with_pvs"), [("V_vg0", False), ("P_global", True)])
def test_lvms_own_lock_is_looked_at_before_lvm_waits_for_it_without_bounds(
    directory: Path, lvm_locks: Path, lock: str, with_pvs: bool
) -> None:
    held = GroupLocks(Runner(), waiting(0.15, []), str(directory))
    with (lvm_locks / lock).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RefusedError) as caught:
            held.hold(("vg0",), with_pvs=with_pvs)
        held_otherwise = GroupLocks(Runner(), waiting(), str(directory))
        held_otherwise.hold(() if with_pvs else ("vg1",), with_pvs=False)

    assert f"pid {os.getpid()} (" in caught.value.message
    held.hold(("vg0",), with_pvs=with_pvs)


def test_readers_of_a_group_keep_nobody_waiting(directory: Path, lvm_locks: Path) -> None:
    with (lvm_locks / "V_vg0").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)

        GroupLocks(Runner(), waiting(), str(directory)).hold(("vg0",), with_pvs=False)
        with locks.reading(("vg0",), waiting()):
            pass


def test_no_command_of_lvm_is_half_done_while_a_group_is_read(lvm_locks: Path) -> None:
    lock = lvm_locks / "V_vg0"
    with locks.reading(("vg0",), waiting()), lock.open("w") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RefusedError, match="LVM's lock of vg0"), locks.reading(("vg0",), waiting(0.15, [])):
            pytest.fail("it was read in the middle of a change")
        with locks.reading(("vg1",), waiting()):
            pass


def test_nobody_holds_a_lock_that_is_not_there(lvm_locks: Path) -> None:
    assert lvm_lock_holder.holder("V_vg0") == ""
    (lvm_locks / "V_vg0").touch()
    assert lvm_lock_holder.holder("V_vg0") == ""


# --- what needs which lock --------------------------------------------------------------------------------------------


class Noted:
    """Notes what is held."""

    def __init__(self) -> None:
        self.held: list[object] = []

    def hold(self, groups: tuple[str, ...], *, with_pvs: bool, lending: bool = False) -> None:
        self.held.append((groups, with_pvs, lending))

    def release(self) -> None:
        self.held.append(None)


def every_action() -> tuple[Action, ...]:
    """Make one action of each kind."""
    hooks = Hooks(("before",), ("after",), ("before_down",), ("after_down",))
    boot = MountTarget(
        f"{samples.MOUNTPOINT}/boot", "none", ("bind", "ro"), make_directory=False, remove_directory=False
    )
    luks = LuksMapping("lvmsnap-nightly", samples.MAPPING_UUID)
    target = samples.target(hooks=hooks, includes=(Include("/boot", "8:1", "/", boot),), luks=luks)
    made = actions.stack(target, find(target, samples.up_facts()), {samples.PV_UUID: "/dev/loop7"})
    second = replace(samples.TAKEN, origin="home", name="snap2", mount=None)
    pair = replace(samples.target(), snapshots=(samples.TAKEN, second), is_consistent=True)
    of_pair = actions.stack(pair, find(pair, samples.up_facts()), {samples.PV_UUID: "/dev/loop7"})
    made += tuple(action for action in of_pair if action.thing in (Thing.PREPARED, Thing.CUT))
    assert {action.thing for action in made} == set(Thing)
    return made


def test_nothing_is_locked_while_a_hook_runs_or_a_file_is_filled() -> None:
    noted = Noted()

    for action in every_action():
        context.hold_for(action, noted)

    needs = dict(zip([action.thing for action in every_action()], noted.held, strict=True))
    free = {thing for thing, held in needs.items() if held is None}
    assert free >= {Thing.FILE, Thing.SPACE, Thing.LOOP, Thing.BEFORE_SNAPSHOT, Thing.AFTER_SNAPSHOT, Thing.MOUNT}
    assert free >= {Thing.BEFORE_DOWN, Thing.AFTER_DOWN, Thing.DIRECTORY, Thing.UDEV_RULE, Thing.LUKS}
    assert needs[Thing.VG_MEMBER] == (("vg0",), True, False)
    assert needs[Thing.SNAPSHOT] == (("vg0",), False, False)
    assert needs[Thing.PV] == ((), True, False)


def test_only_lending_space_keeps_out_others_that_lend() -> None:
    noted = Noted()

    for action in every_action():
        context.hold_for(action, noted, is_up=True)

    things = [action.thing for action in every_action()]
    lending = [thing for thing, held in zip(things, noted.held, strict=True) if isinstance(held, tuple) and held[2]]
    assert lending == [Thing.VG_MEMBER]


def test_while_one_profile_lends_no_other_does_but_its_guard_and_what_lends_nothing_go_on(directory: Path) -> None:
    first, second = (GroupLocks(Runner(), Waiting(0, lambda _: None), str(directory)) for _ in range(2))

    first.hold(("vg0",), with_pvs=True, lending=True)
    first.hold(("vg0",), with_pvs=False)  # its snapshot is taken
    second.hold(("vg1",), with_pvs=True)  # a guard gives a lent file's snapshot more room
    with pytest.raises(RefusedError, match="lvmsnap's lock for lending space"):
        second.hold(("vg2",), with_pvs=True, lending=True)

    first.release()
    second.hold(("vg2",), with_pvs=True, lending=True)


def test_a_loop_device_is_taken_by_one_lvmsnap_alone(directory: Path) -> None:
    with locks.loop_device((7, 6, 5), str(directory)) as first, locks.loop_device((7, 6, 5), str(directory)) as second:
        assert (first, second) == (7, 6)
    with locks.loop_device((7,), str(directory)) as one, locks.loop_device((7,), str(directory)) as other:
        assert (one, other) == (7, 8)


def test_a_lock_that_cannot_be_written_is_named_with_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)

    with (
        pytest.raises(LvmsnapError, match=r"the lock cannot be written: .*/nightly\.lock: No space left on device"),
        locks.profile("nightly", locks.Waiting(0, lambda _: None), str(tmp_path)),
    ):
        pass


def test_who_changes_a_group_is_another_lvmsnap_and_not_this_one(directory: Path) -> None:
    own = GroupLocks(Runner(), Waiting(0, print), str(directory))

    assert not locks.is_changed_by_another(("vg0", "vg1"), str(directory))
    own.hold(("vg0",), with_pvs=False)
    assert not locks.is_changed_by_another(("vg0", "vg1"), str(directory))
    own.release()
    holder = Holder(directory, "group", "vg1")
    assert locks.is_changed_by_another(("vg0", "vg1"), str(directory))
    holder.release()
    assert not locks.is_changed_by_another(("vg0", "vg1"), str(directory))
