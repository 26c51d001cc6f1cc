"""Whether LVM's daemon dmeventd monitors a snapshot: it unmounts a full one, which leaves an empty directory."""

from __future__ import annotations

from lvmsnap.system import process_table
from lvmsnap.system.lvm_report import PINNED
from lvmsnap.system.processes import Runner

NAME = b"dmeventd\n"
# It has this library loaded only while it monitors some snapshot (dmeventd(8), LVM PLUGINS).
PLUGIN = b"libdevmapper-event-lvm2snapshot."


def watches_snapshots() -> bool:
    """Whether it monitors any snapshot, ours or not. It is not asked: that would start it if it is not running."""
    for process in process_table.running():
        try:
            if (process / "comm").read_bytes() == NAME and PLUGIN in (process / "maps").read_bytes():
                return True
        except OSError:
            continue  # it ended
    return False


def watches(runner: Runner, snapshot: str) -> bool:
    """Whether it monitors the snapshot, VG/LV; it is asked, without waiting for a lock."""
    # With monitoring=0 LVM would report nothing, although the daemon goes on monitoring.
    settings = " ".join((*PINNED, "activation/monitoring=1"))
    how = ("--nolocking", "--config", settings, "--noheadings", "--options", "seg_monitor")
    finished = runner.run(("lvm", "lvs", *how, snapshot))
    return "monitored" in (line.strip() for line in finished.stdout.split("\n"))
