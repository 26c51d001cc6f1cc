"""Situations in which `up` must refuse: made, looked at, and put back. What tests of the checks share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, profile_text, write_profile

# Everything that a change would leave its traces in, read without starting LVM: its metadata's last change too.
TRACES = """cd / && cat /proc/self/mounts; ls /sys/block /dev/mapper /var/lib/lvmsnap 2>&1; find /media /mnt -xdev
cat /sys/block/loop*/loop/backing_file 2>&1; grep -h seqno /etc/lvm/backup/* 2>&1"""


@dataclass(frozen=True)
class Situation:
    """What makes a check fail, and what must be said; `before` and `after` run in the guest."""

    name: str
    says: tuple[str, ...]
    before: str = ""
    after: str = ""
    origin: str = "vg0/system"
    settings: dict[str, Any] = field(default_factory=dict)
    refusals: int = 1


def refused(machine: Machine, situation: Situation) -> None:
    write_profile(
        machine,
        "check",
        profile_text(situation.origin, **{"size": "8MiB", "mountpoint": None, **situation.settings}),
    )
    try:
        machine.run(f"set -e\n{situation.before}")
        before = machine.run(TRACES).stdout
        result = lvmsnap(machine, "up check", code=3)
        assert machine.run(TRACES).stdout == before
    finally:
        machine.run(f"set -e\n{situation.after}")
    for phrase in situation.says:
        assert phrase in result.stderr, f"{phrase!r} is not in:\n{result.stderr}"
    assert result.stderr.count("  NO  ") == situation.refusals, result.stderr
    assert result.stderr.count("what to do: ") == situation.refusals, result.stderr
    assert result.stdout == ""
