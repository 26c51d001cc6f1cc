"""Runs steps on the machine it is started on, and prints after each what exists: the other side of the comparison.

`python -m tests.simulation.steps PATH MOUNTPOINT < STEPS`; a step is {"argv": [...], "kill": ioctl or 0}.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from lvmsnap.model.facts import Facts, PhysicalVolume
from lvmsnap.planning.lent_pvs import PV_UUID_PREFIX
from lvmsnap.system import reading
from lvmsnap.system.processes import Runner, environment
from lvmsnap.system.reading import Interest


def normalised(read: Facts) -> dict[str, Any]:
    """Return what must be alike on both sides: no UUIDs, no device numbers, nothing of the disks besides."""
    group, path = read.vgs[0], next(iter(read.looked.files.values()))
    names = {device.device_number: device.name for device in read.dm_devices}
    mounted = [mount for mount in read.mounts if mount.mountpoint.startswith("/media/snapshot")]
    return {
        "lvs": sorted(
            [lv.name, ",".join(lv.tags), lv.origin, lv.attr[4], lv.attr[8], ",".join(lv.devices)] for lv in group.lvs
        ),
        "pvs": sorted([*_pv(pv), pv.extents, pv.allocated_extents, pv.missing, pv.allocatable] for pv in group.pvs),
        "orphans": sorted(_pv(pv) for pv in read.orphan_pvs if "loop" in pv.device),
        "missing": group.missing_pv_count,
        "loops": sorted([loop.device, loop.file_path] for loop in read.loops if loop.device != "/dev/loop0"),
        "devices": sorted([device.name, device.suspended] for device in read.dm_devices),
        "mounts": [names.get(mount.device_number, "?") for mount in mounted],
        "file": path and [path.size_bytes, path.is_empty_private, path.pv_uuid[:7]],
        "mountpoint": next((here.kind for here in read.looked.mountpoints.values()), None),
    }


def _pv(pv: PhysicalVolume) -> list[Any]:
    return [pv.device, pv.uuid[:7] if pv.uuid.startswith(PV_UUID_PREFIX) else "", pv.vg]


def main() -> None:
    """Run the steps of stdin."""
    path, mountpoint = sys.argv[1:]
    for step in json.load(sys.stdin):
        kill = ["strace", "-f", "-o", "/dev/null", "-e", "trace=ioctl", "-e"]
        kill.append(f"inject=ioctl:signal=SIGKILL:when={step['kill']}")
        argv = [*kill, *step["argv"]] if step["kill"] else step["argv"]
        done = subprocess.run(argv, env=environment(), capture_output=True, text=True, check=False)
        subprocess.run(["udevadm", "settle"], check=False)
        read = reading.focus(
            reading.read_system(Runner()), Interest(("vg0",), (("vg0", "system"),), (path,), (mountpoint,))
        )
        print(json.dumps([done.returncode, normalised(read), done.stderr]))
        sys.stdout.flush()


if __name__ == "__main__":
    os.chdir("/")
    main()
