"""A made-up machine whose snapshot is guarded: what it is asked, and what it answers."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from lvmsnap.execution import guard_reports
from lvmsnap.execution.locks import Waiting
from lvmsnap.model.errors import Refusal, RefusedError
from lvmsnap.model.facts import DmDevice, Facts, SnapshotStatus
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.units import MIB
from lvmsnap.operations import more_room, sessions, watch
from lvmsnap.operations.watch import Guards
from lvmsnap.system import device_mapper, dmeventd, reading
from lvmsnap.system.processes import Finished
from tests import samples

OWN = dm_uuid(samples.VG_UUID, samples.SNAPSHOT_UUID)
WARNING = 75
FULL_ENOUGH = 85


class World:
    """A machine with nightly up; the group is renamed when a command begins with `renamed_at`, or a lock is had."""

    def __init__(self, patch: pytest.MonkeyPatch, fill_percent: int, renamed_at: str = "") -> None:
        self.fill_percent, self.renamed_at = fill_percent, renamed_at
        self.room = 1000
        self.pool = ""
        self.part = ""
        self.watched: set[str] = set()
        self.broken = ""
        # How many commands leave the origin suspended: an lvextend that is killed, and what should then resume it.
        self.killed = 0
        self.is_suspended = False
        self.asked: list[str] = []
        self.system: Facts = samples.up_facts()
        self.said: list[str] = []
        self.warned: list[str] = []
        self.held: list[str] = []
        # By whom each group is locked, and how long each lock that was not had was waited for.
        self.locked: dict[str, str] = {}
        self.waited: list[float] = []
        self.ran: list[str] = []
        self.shown: list[str] = []
        self.waiting = self.new_waiting()
        progress = SimpleNamespace(note=self.said.append, warn=self.warned.append, live=self.shown.append)
        self.working: Any = SimpleNamespace(runner=self, progress=progress, wait_seconds=60.0, waiting=self.new_waiting)
        for module, name, fake in (
            (reading, "read_system", lambda *_, **__: self.system),
            (reading, "focus", lambda system, _interest: system),
            (sessions, "walking", lambda *_: nullcontext()),
            (device_mapper, "snapshot_status", lambda *_: self.status()),
            (device_mapper, "devices", self.devices),
            (guard_reports, "read", lambda *_: None),
            (guard_reports, "write", lambda *_: None),
            (watch, "GroupLocks", lambda *_: self),
            (more_room, "GroupLocks", lambda *_: self),
            (dmeventd, "watches_snapshots", lambda: bool(self.watched)),
        ):
            patch.setattr(module, name, fake)

    def new_waiting(self) -> Waiting:
        """As Session.waiting."""
        self.waiting = Waiting(60.0, self.said.append)
        return self.waiting

    @property
    def names(self) -> tuple[str, str]:
        """The group's and the snapshot's names of now."""
        (vg,) = self.system.vgs
        return vg.name, next(lv.name for lv in vg.lvs if lv.uuid == samples.SNAPSHOT_UUID)

    def rename(self) -> None:
        """Rename everything, as somebody else does."""
        pvs = tuple(replace(pv, vg="vg1") for pv in self.system.vgs[0].pvs)
        self.system = replace(self.system, vgs=(replace(samples.renamed(), pvs=pvs),))
        self.renamed_at = ""

    def status(self) -> SnapshotStatus:
        used_bytes, name = 64 * MIB * self.fill_percent // 100, "/".join(self.names)
        return SnapshotStatus(False, used_bytes, 64 * MIB, OWN, name, self.pool, self.part)

    def devices(self) -> tuple[DmDevice, ...]:
        origin = dm_uuid(samples.VG_UUID, samples.ORIGIN_UUID)
        return (samples.dm("vg0-system", origin, suspended=self.is_suspended),)

    def hold(self, groups: tuple[str, ...], *, with_pvs: bool) -> None:
        """Be the locks of groups."""
        assert with_pvs or self.watched
        if holder := next((self.locked[group] for group in groups if group in self.locked), ""):
            self.waited.append(self.waiting.seconds)
            raise RefusedError((Refusal(f"locked by {holder}", ""),))
        self.held += groups
        if self.renamed_at == "lock":
            self.rename()

    def release(self) -> None: ...

    def run(self, argv: tuple[str, ...]) -> Finished:
        """Be the runner: what names the group as it was called before fails."""
        if argv[0] == self.renamed_at:
            self.rename()
        line = " ".join(argv)
        if argv[:2] == ("lvm", "lvs"):
            self.asked.append(argv[-1])
            return Finished(argv, 0, "  monitored\n" if argv[-1] in self.watched else "  not monitored\n", "", 0.0)
        wrong = 'Volume group "vg0" not found' if self.names[0] == "vg1" and "vg0" in line else ""
        if argv[0] == "lvextend" and int(argv[argv.index("--extents") + 1]) > self.room:
            wrong = f"Insufficient suitable allocatable extents for logical volume: {self.room} more required"
        wrong = "broken" if argv[0] == self.broken else wrong
        if argv[0] == "lvextend" or "--refresh" in argv:
            self.is_suspended, self.killed = self.killed > 0, max(0, self.killed - 1)
            wrong = "SIGKILL" if self.is_suspended else wrong
        self.ran.append(f"{line}{' # fails' if wrong else ''}")
        return Finished(argv, 5 if wrong else 0, "", wrong, 0.0)


def guard(world: World) -> Guards:
    profile = samples.with_file("max_size: 1GiB")
    return Guards(world.working, profile, samples.target(dm_uuid=OWN), clock=lambda: 100.0)
