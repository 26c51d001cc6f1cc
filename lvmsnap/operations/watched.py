"""One snapshot of a target that is up, identified by its device whatever its current name. Asks the kernel alone."""

from __future__ import annotations

from lvmsnap.model.facts import SnapshotStatus
from lvmsnap.model.lvm_names import dm_name
from lvmsnap.model.target import Snapshot, Target
from lvmsnap.system import device_mapper


class Watched:
    """Snapshot `number` of a target, the first is 1; `snapshot` has its names as of the last plan."""

    def __init__(self, target: Target, number: int):
        """Start with its names in the target."""
        self.number, self.snapshot = number, target.snapshots[number - 1]
        self._volume = f"{self.snapshot.origin_path}: " if len(target.snapshots) > 1 else ""

    def status(self) -> SnapshotStatus | None:
        """Return how full the snapshot is, whatever its current name; None if it is gone."""
        return snapshot_status(self.snapshot)

    def name(self) -> str:
        """Return the snapshot's current name in the kernel, VG/LV; the last known one if it has none."""
        status = self.status()
        return (status.name if status else "") or self.snapshot.path

    def uuid(self) -> str:
        """Return its device-mapper UUID."""
        status = self.status()
        return self.snapshot.dm_uuid or (status.uuid if status else "")

    def worded(self, text: str) -> str:
        """Return a message about it, preceded by its origin if the profile has several volumes."""
        return f"{self._volume}{text}"


def snapshot_status(snapshot: Snapshot) -> SnapshotStatus | None:
    """Return how full a snapshot is, None if it is gone; it is identified by its device's UUID, since names change."""
    return device_mapper.snapshot_status(dm_name(snapshot.vg, snapshot.name), snapshot.dm_uuid)
