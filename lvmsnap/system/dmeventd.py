"""Whether LVM's daemon dmeventd watches a snapshot: it unmounts one that is full, and leaves an empty directory."""

from __future__ import annotations

from lvmsnap.system import process_table
from lvmsnap.system.lvm_report import PINNED
from lvmsnap.system.processes import Runner

NAME = b"dmeventd\n"
# It has this library loaded while it watches any snapshot, and not otherwise (dmeventd(8), LVM PLUGINS).
PLUGIN = b"libdevmapper-event-lvm2snapshot."


def watches_snapshots() -> bool:
    """Whether it watches any snapshot, whosever. It is not asked: that would start it where it does not run."""
    for process in process_table.running():
        try:
            if (process / "comm").read_bytes() == NAME and PLUGIN in (process / "maps").read_bytes():
                return True
        except OSError:
            continue  # it ended
    return False


def watches(runner: Runner, snapshot: str) -> bool:
    """Whether it watches the snapshot, VG/LV; it is asked, and no lock waited for."""
    # With monitoring=0 LVM would say nothing, though the daemon watches what it was asked to watch.
    settings = " ".join((*PINNED, "activation/monitoring=1"))
    how = ("--nolocking", "--config", settings, "--noheadings", "--options", "seg_monitor")
    finished = runner.run(("lvm", "lvs", *how, snapshot))
    return "monitored" in (line.strip() for line in finished.stdout.split("\n"))
