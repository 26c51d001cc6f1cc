"""What each command of the stack does to the fake machine: its order rules, its exit statuses, its unfinished states.

`wrongs` collects what must never be seen: force, lazy umount, a file or a loop device taken from under its users.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from lvmsnap.model.luks_names import mapping_uuid
from lvmsnap.model.lvm_names import dm_name
from lvmsnap.planning.luks_actions import MOUNT_SCRIPT, WRITE_SCRIPT
from tests import samples
from tests.simulation import cut
from tests.simulation.lvcreate import REVERTED, STAGES, revert, to_stage
from tests.simulation.parts import Bound, Dm, File, Lv
from tests.simulation.system import ELSEWHERE, FOREIGN_FILE, System

SELECTION = re.compile(r"(lv_uuid|lv_name)=(\S+) && lv_tags=(\S+) && origin=(\S+)")


@dataclass
class Commands:
    """Runs commands on a system and returns exit status and complaint."""

    system: System
    wrongs: list[str] = field(default_factory=list)

    def run(self, argv: tuple[str, ...], stage: str = "") -> tuple[int, str]:
        """Run a command; `stage` is where lvcreate is killed."""
        if {"--force", "-f", "-ff", "--lazy", "-l", "-fl"} & set(argv):
            self.wrongs.append(" ".join(argv))
        handler: Callable[..., tuple[int, str]] = getattr(self, f"_{argv[0]}")
        staged = argv[0] in ("lvcreate", "cryptsetup") or (argv[0] == "sh" and cut.SCRIPT in argv[2])
        result = handler(argv, stage) if staged else handler(argv)
        self.system.settle()
        return result

    def _hook(self, argv: tuple[str, ...]) -> tuple[int, str]:
        ours = [name for name, lv in self.system.lvs.items() if any(tag.startswith("lvmsnap2.") for tag in lv.tags)]
        if argv[1] == "before_snapshot":
            self.system.is_locked = True
        if argv[1] == "after_snapshot":
            self.system.is_locked = False
        if argv[1] in ("before_snapshot", "after_down") and ours:
            self.wrongs.append(f"{argv[1]} while {ours[0]} is there")
        return 0, ""

    def _sync(self, _argv: tuple[str, ...]) -> tuple[int, str]:
        return 0, ""

    # --- the file and its loop device ---------------------------------------------------------------------------

    def _sh(self, argv: tuple[str, ...], stage: str = "") -> tuple[int, str]:
        if cut.SCRIPT in argv[2]:
            return cut.run(self.system, argv[2], int(stage) if stage else None)
        path, fill = argv[4], argv[5:]
        if argv[2] == WRITE_SCRIPT:
            self.system.rules.add(path)
            return 0, ""
        if argv[2] == MOUNT_SCRIPT:
            return self._mount(("mount", "--types", "ext4", "--options", argv[6], path, argv[5]))
        return self._fill(path, fill) if fill else self._claim(path)

    def _fill(self, path: str, fill: tuple[str, ...]) -> tuple[int, str]:
        file = self.system.file_at(path)
        if file is None or self.system.is_swapped or file.size:
            return 1, f"{path} is not the new, empty file"
        words = dict(word.split("=", 1) for word in fill if "=" in word)
        file.size = file.allocated = int(words["count"]) if words else int(fill[2])
        return 0, ""

    def _claim(self, path: str) -> tuple[int, str]:
        if self.system.is_swapped:
            return 1, f"{path} cannot be made there"
        if path in self.system.files:
            return 2, f"sh: 1: cannot create {path}: File exists"
        self.system.files[path] = File(self.system.next())
        return 0, ""

    def _rm(self, argv: tuple[str, ...]) -> tuple[int, str]:
        path = argv[-1]
        if path in self.system.rules:
            self.system.rules.remove(path)
            return 0, ""
        if self.system.file_at(path) is None or self.system.is_swapped:
            return 1, f"rm: cannot remove '{path}': No such file or directory"
        file = self.system.files.pop(path)
        if any(bound.file is file for bound in self.system.loops.values()):
            self.wrongs.append(f"removed {path} under its loop device")
        if file.label and self.system.allocated(file.label):
            self.wrongs.append(f"removed {path}, which holds data of somebody else")
        if file.label in self.system.members:
            self.wrongs.append(f"removed {path}, which the group still has as a PV")
        return 0, ""

    def _losetup(self, argv: tuple[str, ...]) -> tuple[int, str]:
        loops, device = self.system.loops, argv[2] if argv[1] == "--detach" else argv[-2]
        if argv[1] == "--detach":
            if device not in loops:
                return 1, f"losetup: {device}: detach failed: No such device or address"
            if loops[device].file.label in self.system.members:
                self.wrongs.append(f"detached {device}, which the group still has as a PV")
            loops[device].leaving = True
            return 0, ""
        file = self.system.file_at(argv[-1])
        if file is None:
            return 1, f"losetup: {argv[-1]}: failed to set up loop device: No such file or directory"
        if any(bound.file is file for bound in loops.values()):
            return 1, f"losetup: {argv[-1]}: overlapping loop device exists"
        if device in loops:
            return 1, f"losetup: {device}: failed to set up loop device: Device or resource busy"
        loops[device] = Bound(file, FOREIGN_FILE if self.system.is_swapped else argv[-1])
        return 0, ""

    # --- the PV and the group -----------------------------------------------------------------------------------

    def _file_under(self, device: str) -> File | None:
        bound = self.system.loops.get(device)
        return bound.file if bound and bound.file.size else None

    def _pvcreate(self, argv: tuple[str, ...]) -> tuple[int, str]:
        file = self._file_under(argv[-1])
        if file is None:
            return 5, f"Cannot use {argv[-1]}: device is too small (pv_min_size)"
        if file.in_use:
            return 5, f"PV {argv[-1]} is used by a VG but its metadata is missing."
        if file is self.system.files[FOREIGN_FILE]:
            self.wrongs.append(f"made a PV of {FOREIGN_FILE}")
        file.label = argv[argv.index("--uuid") + 1]
        self.system.pv_extents[file.label] = (file.size - (1 << 20)) // (4 << 20)
        return 0, ""

    def _pvremove(self, argv: tuple[str, ...]) -> tuple[int, str]:
        file = self._file_under(argv[-1])
        if file is None:
            return 5, f"Cannot use {argv[-1]}: device is too small (pv_min_size)"
        if not file.label:
            return 5, f"No PV found on device {argv[-1]}."
        if file.in_use:
            return 5, f"PV {argv[-1]} is used by a VG but its metadata is missing."
        file.label = ""
        return 0, ""

    def _vgextend(self, argv: tuple[str, ...]) -> tuple[int, str]:
        file = self._file_under(argv[-1])
        if file is None or not file.label:
            return 5, f"Cannot use {argv[-1]}: device is too small (pv_min_size)"
        if file.in_use:
            return 5, f"PV {argv[-1]} is used by a VG but its metadata is missing."
        self.system.members.append(file.label)
        file.in_use = True
        return 0, ""

    def _vgreduce(self, argv: tuple[str, ...]) -> tuple[int, str]:
        if argv[1] == "--removemissing":
            return self._remove_missing()
        file = self._file_under(argv[-1])
        if file is None or file.label not in self.system.members:
            return 5, f'Failed to find physical volume "{argv[-1]}".'
        if self.system.missing():
            return 5, "Cannot change VG vg0 while PVs are missing."
        if self.system.allocated(file.label):
            return 5, f'Physical volume "{argv[-1]}" still in use'
        self.system.members.remove(file.label)
        file.in_use = False
        return 0, ""

    def _remove_missing(self) -> tuple[int, str]:
        missing = self.system.missing()
        if not missing:
            return 0, 'Volume group "vg0" is already consistent.'
        if any(self.system.allocated(pv) for pv in missing):
            return 5, "There are still partial LVs in VG vg0."
        self.system.members = [pv for pv in self.system.members if pv not in missing]
        return 0, ""

    def _vgchange(self, _: tuple[str, ...]) -> tuple[int, str]:
        return (0, "") if self.system.activate_all() else (5, "Refusing activation of partial LV")

    # --- the snapshot -------------------------------------------------------------------------------------------

    def _lvcreate(self, argv: tuple[str, ...], stage: str) -> tuple[int, str]:  # noqa: PLR0911  an order rule a line
        words = dict(pairwise(argv))
        origin, name, device = argv[-2].removeprefix("vg0/"), words["--name"], argv[-1]
        if device.startswith("vg0/"):
            origin, device = device.removeprefix("vg0/"), "/dev/ubda"
        system, extents = self.system, int(words["--extents"])
        pv = next((pv for pv in system.members if system.device_of(pv) == device), "")
        if not pv:
            return 5, f'Physical Volume "{device}" not found in Volume Group "vg0".'
        if system.missing():
            return 5, "Cannot change VG vg0 while PVs are missing."
        if name in system.lvs:
            return 5, f'Logical Volume "{name}" already exists in volume group "vg0"'
        if system.pv_extents[pv] - system.allocated(pv) < extents:
            return 5, "insufficient free space"
        if {dm_name("vg0", name), dm_name("vg0", name) + "-cow"} & set(system.dm):
            return 5, "device-mapper: create ioctl failed: Device or resource busy"
        lv = Lv(name, f"snap{system.next()}-ssss-ssss-ssss-ssss-ssss-ssssss", {pv: extents}, "", (words["--addtag"],))
        system.lvs[name] = lv
        for reached in STAGES:
            to_stage(system, lv, origin, reached)
            if reached == stage:
                return -9, ""
            if reached == "loaded" and stage == REVERTED:
                revert(system, origin)
                return 5, "Failed to suspend logical volume"
        lv.origin = origin
        system.activate(system.lvs[origin])
        system.activate(lv)
        return 0, ""

    def _lvremove(self, argv: tuple[str, ...]) -> tuple[int, str]:
        match = SELECTION.fullmatch(argv[argv.index("--select") + 1])
        assert match, argv
        key, value, tag, origin = match.groups()
        for lv in list(self.system.lvs.values()):
            name = lv.uuid if key == "lv_uuid" else lv.name
            # LVM selects no hidden volumes.
            if name == value and tag in lv.tags and lv.origin == origin.strip('"') and not lv.merging:
                return self._remove_lv(lv)
        return 0, ""

    def _remove_lv(self, lv: Lv) -> tuple[int, str]:
        system, name = self.system, dm_name("vg0", lv.name)
        if system.is_open(name):
            return 5, f"Logical volume vg0/{lv.name} contains a filesystem in use."
        real = system.dm.get(f"{dm_name('vg0', lv.origin)}-real") if lv.origin else None
        if real is not None and real.live is None:
            lv.origin = ""
            return 5, f"Failed to suspend logical volume vg0/{lv.name}."
        del system.lvs[lv.name]
        # A -cow without the snapshot's own device is beyond what LVM looks for.
        if name in system.dm:
            del system.dm[name]
            system.dm.pop(f"{name}-cow", None)
        if lv.origin and dm_name("vg0", lv.origin) in system.dm:
            self._without_snapshot(system.lvs[lv.origin])
        return 0, ""

    def _without_snapshot(self, origin: Lv) -> None:
        below = self.system.dm[dm_name("vg0", origin.name)]
        if below.suspended:
            # LVM resumes what it did not suspend: the tables that the killed command had loaded.
            self.system.dm[f"{dm_name('vg0', origin.name)}-real"].resume()
            below.resume()
            return
        self.system.activate(origin)
        if not self.system.snapshots(origin.name):
            # A snapshot of the metadata alone has none.
            self.system.dm.pop(f"{dm_name('vg0', origin.name)}-real", None)

    def _lvchange(self, argv: tuple[str, ...]) -> tuple[int, str]:
        if "--select" in argv:  # whom dmeventd watches is not seen here
            return 0, ""
        lv = self.system.lvs.get(argv[-1].removeprefix("vg0/"))
        if lv is None:
            return 5, f'Failed to find logical volume "{argv[-1]}"'
        if self.system.is_partial(lv):
            return 5, "Refusing refresh of partial LV"
        cows = [f"{dm_name('vg0', one.name)}-cow" for one in self.system.snapshots(lv.name)]
        if any(cow in self.system.dm and self.system.dm[cow].live is None for cow in cows):
            return 5, "device-mapper: reload ioctl failed: Invalid argument"
        for one in (lv, *self.system.snapshots(lv.name)):
            self.system.activate(one)
        if not self.system.snapshots(lv.name):
            self.system.dm.pop(dm_name("vg0", lv.name) + "-real", None)
        return 0, ""

    def _cryptsetup(self, argv: tuple[str, ...], stage: str) -> tuple[int, str]:
        device, name = argv[-2:]
        below = dm_name(*device.removeprefix("/dev/").split("/"))
        if below not in self.system.dm or self.system.dm[below].live is None:
            return 4, f"Device {device} does not exist or access denied."
        if name in self.system.dm:
            return 5, f"Device {name} already exists."
        if self.system.is_open(below):
            return 5, f"Cannot use device {device} which is in use (already mapped or mounted)."
        if not self.system.rules:
            self.wrongs.append("opened while udev may link to what is in it")
        uuid = mapping_uuid(2, samples.LUKS_UUID, name)
        made = self.system.dm.setdefault(name, Dm(uuid, f"254:{self.system.next()}"))
        if stage == "made":
            return -9, ""
        made.loaded = (below,)
        if stage == "loaded":
            return -9, ""
        made.resume()
        return 0, ""

    def _dmsetup_by_uuid(self, uuid: str) -> tuple[int, str]:
        name = next((name for name, dm in self.system.dm.items() if dm.uuid == uuid), "")
        if not name:
            return 1, f"Device {uuid} not found"
        if self.system.is_open(name):
            return 1, f"device-mapper: remove ioctl on {uuid} failed: Device or resource busy"
        del self.system.dm[name]
        return 0, ""

    def _dmsetup(self, argv: tuple[str, ...]) -> tuple[int, str]:
        if "--uuid" in argv:
            return self._dmsetup_by_uuid(argv[-1])
        dm = self.system.dm.get(argv[2])
        if dm is None:
            return 1, f"device-mapper: {argv[1]} ioctl on {argv[2]} failed: No such device or address"
        if argv[1] == "clear":
            dm.loaded = None
        elif argv[1] == "resume":
            dm.resume()
        elif self.system.is_open(argv[2]):
            return 1, f"device-mapper: remove ioctl on {argv[2]} failed: Device or resource busy"
        else:
            del self.system.dm[argv[2]]
        return 0, ""

    # --- the mount ----------------------------------------------------------------------------------------------

    def _mount(self, argv: tuple[str, ...]) -> tuple[int, str]:
        options, device, mountpoint = argv[-3].split(","), argv[-2], argv[-1]
        if not self.system.is_directory(mountpoint):
            if not any(option.startswith("X-mount.mkdir") for option in options):
                return 32, f"mount: {mountpoint}: mount point does not exist."
            self.system.make_directories(mountpoint)
        if "bind" in options:
            self.system.mounts.append((mountpoint, dict(self.system.mounts)[device]))
            return 0, ""
        mapped = device.removeprefix("/dev/mapper/")
        name = mapped if mapped != device else dm_name(*device.removeprefix("/dev/").split("/"))
        dm: Dm | None = self.system.dm.get(name)
        if dm is None or dm.live is None:
            return 32, f"mount: {mountpoint}: special device {device} does not exist."
        if (mountpoint, name) in self.system.mounts:
            return 32, f"mount: {mountpoint}: {device} already mounted on {mountpoint}."
        self.system.mounts.append((ELSEWHERE if self.system.is_swapped else mountpoint, name))
        return 0, ""

    def _umount(self, argv: tuple[str, ...]) -> tuple[int, str]:
        mountpoint = argv[-1]
        here = [mount for mount in self.system.mounts if mount[0] == mountpoint]
        if not here:
            return 32, f"umount: {mountpoint}: not mounted."
        if mountpoint in self.system.busy or any(path.startswith(f"{mountpoint}/") for path, _ in self.system.mounts):
            return 32, f"umount: {mountpoint}: target is busy."
        self.system.mounts.remove(here[-1])
        return 0, ""

    def _rmdir(self, argv: tuple[str, ...]) -> tuple[int, str]:
        path = argv[-1]
        if path not in self.system.directories:
            return 1, f"rmdir: failed to remove '{path}': No such file or directory"
        if self.system.directories[path] or self.system.is_used(path):
            return 1, f"rmdir: failed to remove '{path}': Device or resource busy"
        del self.system.directories[path]
        return 0, ""
