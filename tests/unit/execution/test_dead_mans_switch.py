"""The dead man's switch on an imitation of the kernel: when it fires, and in which order held origins go on."""

from __future__ import annotations

import errno
import os
import select
import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from lvmsnap.execution import dead_mans_switch
from lvmsnap.execution.dead_mans_switch import DEV_SUSPEND, DONE, GOOD, TABLE_CLEAR, Held
from lvmsnap.system.device_mapper import ACTIVE_FLAG as ACTIVE
from lvmsnap.system.device_mapper import HEADER, SUSPEND_FLAG
from lvmsnap.system.device_mapper import INACTIVE_FLAG as INACTIVE
from lvmsnap.system.dm_tree import Tree

ORIGIN = Tree("LVM-o", "LVM-o-real", ("LVM-leg", "LVM-pool"))


@dataclass
class Kernel:
    """Devices by UUID with their flags, and what was done to them."""

    devices: dict[str, int] = field(default_factory=dict)
    done: list[tuple[str, str]] = field(default_factory=list)

    def ioctl(self, _descriptor: int, command: int, buffer: bytearray) -> None:
        fields = HEADER.unpack_from(buffer)
        uuid = fields[12].partition(b"\0")[0].decode()
        if uuid not in self.devices:
            raise OSError(errno.ENXIO, "No such device or address")
        flags = self.devices[uuid]
        if command == DEV_SUSPEND:
            assert not fields[7], "that would suspend it"
            self.done.append(("resume", uuid))
            flags = ACTIVE if flags & INACTIVE else flags & ~SUSPEND_FLAG
        elif command == TABLE_CLEAR:
            self.done.append(("clear", uuid))
            flags &= ~INACTIVE
        self.devices[uuid] = flags
        HEADER.pack_into(buffer, 0, *fields[:7], flags, *fields[8:])


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(dead_mans_switch, "fcntl", SimpleNamespace(ioctl=made.ioctl))
    monkeypatch.setattr(dead_mans_switch, "LONGEST_SECONDS", 0.1)
    monkeypatch.setattr(dead_mans_switch, "QUIET_SECONDS", 0.05)
    return made


def let_go() -> bool:
    return dead_mans_switch._Buttons(0, ORIGIN).let_go()


def test_what_is_not_held_is_left_alone(kernel: Kernel) -> None:
    kernel.devices = {"LVM-o": ACTIVE | INACTIVE, "LVM-o-real": ACTIVE}

    assert not let_go()
    assert kernel.done == []


def test_an_origin_goes_on_with_the_table_that_it_had(kernel: Kernel) -> None:
    kernel.devices = {"LVM-o": ACTIVE | SUSPEND_FLAG}

    assert let_go()
    assert kernel.done == [("resume", "LVM-o")]


def test_what_it_lies_on_goes_on_before_it(kernel: Kernel) -> None:
    kernel.devices = dict.fromkeys(("LVM-o", "LVM-pool", "LVM-leg"), ACTIVE | SUSPEND_FLAG)

    assert let_go()
    assert kernel.done == [("resume", "LVM-leg"), ("resume", "LVM-pool"), ("resume", "LVM-o")]


def test_a_table_that_lvm_had_loaded_is_used_once_what_it_lies_on_is_there(kernel: Kernel) -> None:
    kernel.devices = {"LVM-o": ACTIVE | INACTIVE | SUSPEND_FLAG, "LVM-o-real": INACTIVE}

    assert let_go()
    assert kernel.done == [("resume", "LVM-o-real"), ("resume", "LVM-o")]


def test_a_table_whose_layer_has_none_is_thrown_away(kernel: Kernel) -> None:
    kernel.devices = {"LVM-o": ACTIVE | INACTIVE | SUSPEND_FLAG, "LVM-o-real": 0}

    assert let_go()
    assert kernel.done == [("clear", "LVM-o"), ("resume", "LVM-o")]


@pytest.fixture
def watching(kernel: Kernel) -> Any:
    """Start a switch; what is given back are its pipe's end and a way to wait for what it says."""
    assert not kernel.done
    listening, control = os.pipe()
    poll = select.poll()
    poll.register(listening, select.POLLIN)
    ended: list[Held] = []
    buttons = (dead_mans_switch._Buttons(0, ORIGIN),)
    thread = threading.Thread(target=lambda: ended.append(dead_mans_switch._watch(buttons, poll, listening)))
    thread.start()

    def said() -> Held:
        thread.join(10)
        os.close(listening)
        return ended[0]

    return SimpleNamespace(control=control, said=said)


def test_it_says_how_long_writers_were_held_where_all_went_well(kernel: Kernel, watching: Any) -> None:
    kernel.devices = {"LVM-o": ACTIVE | SUSPEND_FLAG}
    time.sleep(0.06)
    kernel.devices["LVM-o"] = ACTIVE
    os.write(watching.control, DONE)
    os.close(watching.control)

    held = watching.said()

    assert (held.was_let_go, kernel.done) == (False, [])
    assert 0.02 < held.seconds < 0.1


def test_it_fires_when_writers_are_held_for_too_long_and_again_when_a_late_command_holds_them(
    kernel: Kernel, watching: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_mans_switch, "AGAIN_SECONDS", 0.05)
    for _ in range(2):
        kernel.devices = {"LVM-o": ACTIVE | SUSPEND_FLAG}
        time.sleep(0.4)
        assert kernel.devices["LVM-o"] == ACTIVE
    os.write(watching.control, DONE)
    os.close(watching.control)

    assert watching.said().was_let_go
    assert kernel.done == [("resume", "LVM-o")] * 2


def test_it_fires_when_the_last_process_that_could_let_go_is_gone(
    kernel: Kernel, watching: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_mans_switch, "LONGEST_SECONDS", 60)
    kernel.devices = {"LVM-o": ACTIVE | SUSPEND_FLAG}

    os.close(watching.control)

    assert watching.said().was_let_go
    assert kernel.devices["LVM-o"] == ACTIVE


def test_what_is_held_though_all_is_said_to_be_done_is_let_go(kernel: Kernel, watching: Any) -> None:
    kernel.devices = {"LVM-o": ACTIVE | SUSPEND_FLAG}

    os.write(watching.control, DONE)
    os.close(watching.control)

    assert watching.said().was_let_go
    assert kernel.devices["LVM-o"] == ACTIVE


def test_who_holds_an_origin_for_a_snapshot_of_their_own_once_all_went_well_is_left_alone(
    kernel: Kernel, watching: Any
) -> None:
    kernel.devices = {"LVM-o": ACTIVE | SUSPEND_FLAG, "LVM-pool": ACTIVE | SUSPEND_FLAG}

    os.write(watching.control, GOOD)
    time.sleep(0.05)
    kernel.devices["LVM-o"] = ACTIVE

    assert not watching.said().was_let_go
    assert kernel.done == []


def test_what_stays_held_though_all_went_well_is_let_go(
    kernel: Kernel, watching: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_mans_switch, "OTHERS_SECONDS", 0.05)
    kernel.devices = {"LVM-o": ACTIVE | SUSPEND_FLAG}

    os.write(watching.control, GOOD)

    assert watching.said().was_let_go
    assert kernel.devices["LVM-o"] == ACTIVE
