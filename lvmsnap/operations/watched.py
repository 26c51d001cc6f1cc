"""One snapshot of a target that is up, known by its device whatever its name is by now. Reads the kernel alone."""

from __future__ import annotations

from lvmsnap.model.facts import SnapshotStatus
from lvmsnap.model.lvm_names import dm_name
from lvmsnap.model.target import Snapshot, Target
from lvmsnap.system import device_mapper


class Watched:
    """A target's snapshot of that number, the first is 1; `snapshot` has its names as of the last plan."""

    def __init__(self, target: Target, number: int):
        """Begin with its names in the target."""
        self.number, self.snapshot = number, target.snapshots[number - 1]
        self._volume = f"{self.snapshot.origin_path}: " if len(target.snapshots) > 1 else ""

    def status(self) -> SnapshotStatus | None:
        """Return how full the snapshot is, whatever its name is by now; None where it is gone."""
        return snapshot_status(self.snapshot)

    def name(self) -> str:
        """Return the snapshot's name, VG/LV, as the kernel has it now; the last one known where it has none."""
        status = self.status()
        return (status.name if status else "") or self.snapshot.path

    def uuid(self) -> str:
        """Return its device's UUID in device-mapper."""
        status = self.status()
        return self.snapshot.dm_uuid or (status.uuid if status else "")

    def worded(self, text: str) -> str:
        """Return what is said of it, with the volume that it is of where the profile has several."""
        return f"{self._volume}{text}"


def snapshot_status(snapshot: Snapshot) -> SnapshotStatus | None:
    """Return how full a snapshot is, None where it is gone; it is known by its device's UUID, names may change."""
    return device_mapper.snapshot_status(dm_name(snapshot.vg, snapshot.name), snapshot.dm_uuid)
