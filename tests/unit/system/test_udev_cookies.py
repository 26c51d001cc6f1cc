"""An LVM command that waits for an event which udev has lost is let go; one that udev still works for is not."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lvmsnap.system import processes, udev_cookies
from lvmsnap.system.processes import Runner

# As libdevmapper has them, but that no LVM of this machine would see them.
MAGIC = 0x0E4D
IPC_CREAT, IPC_RMID, SETVAL = 0o1000, 0, 16
KEY = MAGIC << 16 | os.getpid() & 0xFFFF
WAITING = f"""
import ctypes
class Operation(ctypes.Structure):
    _fields_ = [("number", ctypes.c_ushort), ("add", ctypes.c_short), ("flags", ctypes.c_short)]
libc = ctypes.CDLL(None)
print("waits", flush=True)
libc.semop(libc.semget({KEY}, 1, 0), ctypes.byref(Operation(0, 0, 0)), 1)
print("goes on")
"""
WAIT = (sys.executable, "-c", WAITING)

pytestmark = pytest.mark.skipif(os.uname().machine not in udev_cookies.CALLS, reason="its calls are not known here")


@pytest.fixture
def semaphore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """One that is waited for, on a machine whose udev has nothing to do."""
    monkeypatch.setattr(udev_cookies, "MAGIC", MAGIC)
    monkeypatch.setattr(udev_cookies, "UDEV", str(tmp_path))
    monkeypatch.setattr(udev_cookies, "QUEUE", f"{tmp_path}/queue")
    libc = ctypes.CDLL(None)
    made: int = libc.semget(KEY, 1, IPC_CREAT | 0o600)
    libc.semctl(made, 0, SETVAL, 1)
    yield made
    libc.semctl(made, 0, IPC_RMID, 0)


def test_the_cookie_that_is_waited_for_in_vain_is_found(semaphore: int, tmp_path: Path) -> None:
    with subprocess.Popen(WAIT, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout
        assert process.stdout.readline() == b"waits\n"
        while not (found := udev_cookies.waited_for(process.pid)):
            assert process.poll() is None
        assert found == KEY

        assert not udev_cookies.waited_for(os.getpid())
        (tmp_path / "queue").touch()
        assert not udev_cookies.waited_for(process.pid)
        ctypes.CDLL(None).semctl(semaphore, 0, SETVAL, 0)


def test_a_command_that_waits_in_vain_is_let_go_and_that_is_said_once(
    semaphore: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STALL_SECONDS", 0.3)
    monkeypatch.setattr(processes, "LOOK_SECONDS", 0.05)
    completing = f"import ctypes; ctypes.CDLL(None).semctl({semaphore}, 0, {SETVAL}, 0)"
    monkeypatch.setattr(udev_cookies, "completion", lambda _: (sys.executable, "-c", completing))
    told: list[str] = []
    running = Runner(warn=told.append)

    assert running.run(WAIT).stdout == "waits\ngoes on\n"
    ctypes.CDLL(None).semctl(semaphore, 0, SETVAL, 1)
    assert running.run(WAIT).seconds < 0.3 + 3

    assert len(told) == 1
    assert "udev, which has lost an event" in told[0]


def test_one_that_udev_still_works_for_is_left_to_wait(
    semaphore: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STALL_SECONDS", 0.1)
    monkeypatch.setattr(processes, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(udev_cookies, "completion", lambda _: pytest.fail("it was let go"))
    (tmp_path / "queue").touch()
    looked: list[int] = []
    look = udev_cookies.waited_for

    def looking(leader: int) -> int:
        looked.append(look(leader))
        if len(looked) == 10:
            ctypes.CDLL(None).semctl(semaphore, 0, SETVAL, 0)
        return looked[-1]

    monkeypatch.setattr(udev_cookies, "waited_for", looking)

    assert Runner().run(WAIT).ok
    assert not any(looked)


def test_it_is_completed_as_a_person_would_do_it() -> None:
    assert udev_cookies.completion(0xD4D9A9E) == ("dmsetup", "udevcomplete", "0xd4d9a9e")
