"""A fake machine that knows the commands of lvmsnap's stack and answers them as real LVM does; pure, in memory.

Its rules are what the lab shows: test_lab_simulation.py holds the two side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from lvmsnap.model.facts import DmDevice, Facts, LogicalVolume, Loop, Mount, PhysicalVolume, VolumeGroup
from lvmsnap.model.looked import DirectoryFacts, FileFacts, Gate, GroupFacts, Looked, MountpointFacts
from lvmsnap.model.lvm_names import dm_name, dm_uuid
from lvmsnap.model.paths import RUN_DIR
from lvmsnap.model.units import MIB
from lvmsnap.planning.lent_pvs import PV_UUID_PREFIX
from lvmsnap.system.ancestors import Way
from lvmsnap.system.reading import Interest
from tests import samples
from tests.simulation.parts import TABLE, Bound, Dm, File, Lv

DISK = "/dev/ubda"
DISK_PV = samples.DISK_UUID
SPACE = "/media/space"
FILE = f"{SPACE}/lent"
FILE_DEVICE = 0x6210
ORIGIN_MOUNT = "/mnt/system"
# Where the paths lead once their directories' new owner has put symlinks in their place.
FOREIGN_FILE, ELSEWHERE = f"{SPACE}/roots", "/etc"
EXTENT = samples.EXTENT


@dataclass
class System:
    """One machine with a group vg0: the origin `system`, and much that is of somebody else."""

    files: dict[str, File] = field(default_factory=dict)
    directories: dict[str, int] = field(default_factory=dict)
    loops: dict[str, Bound] = field(default_factory=dict)
    members: list[str] = field(default_factory=list)
    pv_extents: dict[str, int] = field(default_factory=dict)
    lvs: dict[str, Lv] = field(default_factory=dict)
    dm: dict[str, Dm] = field(default_factory=dict)
    mounts: list[tuple[str, str]] = field(default_factory=list)
    busy: set[str] = field(default_factory=set)
    # What the profile's hooks hold: before_snapshot locks a database, after_snapshot gives it back.
    is_locked: bool = False
    # `system` holds LUKS that is closed on this host; and the rules of udev's that are of this boot.
    has_luks: bool = False
    rules: set[str] = field(default_factory=set)
    # A user owns the directories of the backing file and of the mountpoint, and has swapped them.
    is_swapped: bool = False
    # What the boot mounts.
    fstab: tuple[tuple[str, str], ...] = ()
    boots: int = 1
    host: str = samples.HOST
    serial: int = 100

    # --- looking ------------------------------------------------------------------------------------------------

    def next(self) -> int:
        """Return a number that nothing else has."""
        self.serial += 1
        return self.serial

    def device_of(self, pv: str) -> str:
        """Return the device with the PV's label, "" where there is none."""
        if pv == DISK_PV:
            return DISK
        return next((device for device, bound in self.loops.items() if bound.file.label == pv), "")

    def is_missing(self, pv: str) -> bool:
        """Whether the group lacks its member: there is no device with its label."""
        return not self.device_of(pv)

    def missing(self) -> list[str]:
        """Return the members that the group lacks."""
        return [pv for pv in self.members if self.is_missing(pv)]

    def allocated(self, pv: str) -> int:
        """Return how many extents of the PV are allocated."""
        return sum(lv.extents.get(pv, 0) for lv in self.lvs.values())

    def lent(self) -> str:
        """Return the group's member that is not its own disk, "" where there is none."""
        return next((pv for pv in self.members if pv != DISK_PV), "")

    def extend_onto_lent(self) -> None:
        """Give somebody's LV the lent PV's first free extent, as dmeventd does to a pool."""
        pv = self.lent()
        if pv and not self.is_missing(pv) and self.pv_extents[pv] > self.allocated(pv):
            self.lvs["other"].extents[pv] = 1
            self.activate(self.lvs["other"])

    def free_lent(self) -> None:
        """Do what a person is told to do: attach the file where its device is gone, then pvmove."""
        pv = self.lent()
        if self.is_missing(pv):
            self.loops["/dev/loop5"] = Bound(self.files[FILE], FILE)
        lv = self.lvs["other"]
        lv.extents[DISK_PV] += lv.extents.pop(pv)
        self.activate_all()
        self.activate(lv)

    def users(self, device: str) -> list[str]:
        """Return the device-mapper devices with a table, live or loaded, that lie on the device."""
        return [name for name, dm in self.dm.items() if device in (dm.live or ()) or device in (dm.loaded or ())]

    def is_open(self, name: str) -> bool:
        """Whether a device is mounted, or another lies on it."""
        return any(source == name for _, source in self.mounts) or bool(self.users(name))

    def is_directory(self, path: str) -> bool:
        """Whether a directory is there, of its own or in what is mounted above."""
        return path in self.directories or any(path.startswith(f"{mounted}/") for mounted, _ in self.mounts)

    def make_directories(self, path: str) -> None:
        """Make a directory, and those above it in the folder for mounts, as mount does with X-mount.mkdir."""
        parts = path.removeprefix(f"{RUN_DIR}/").split("/") if path.startswith(f"{RUN_DIR}/") else []
        for count in range(1, len(parts)):
            self.directories.setdefault("/".join((RUN_DIR, *parts[:count])), 0)
        self.directories[path] = 0

    def is_used(self, path: str) -> bool:
        """Whether something is mounted on a directory, or is in it."""
        return any(one == path for one, _ in self.mounts) or any(one.startswith(f"{path}/") for one in self.directories)

    def file_at(self, path: str) -> File | None:
        """Return the file to which the path leads now."""
        return self.files.get(FOREIGN_FILE if self.is_swapped and path == FILE else path)

    def walk(self, path: str, _mounts: object) -> Way:
        """As lvmsnap.ancestors.walk."""
        return Way(path, (Gate(path, 1000 if self.is_swapped else 0, 0, 0o755),), exists=True)

    def file_facts(self, path: str) -> FileFacts | None:
        """As lvmsnap.facts.file_facts."""
        file = self.file_at(path)
        if file is None:
            return None
        label = file.label if file.size else ""
        return FileFacts(FILE_DEVICE, file.inode, True, file.size, file.allocated, not file.size, label)

    def kernel_loops(self) -> tuple[Loop, ...]:
        """As lvmsnap.kernel.loops."""
        return tuple(
            Loop(device, f"7:{device[9:]}", FILE_DEVICE, bound.file.inode, self._told_path(bound))
            for device, bound in sorted(self.loops.items())
        )

    def _told_path(self, bound: Bound) -> str:
        return bound.path if self.files.get(bound.path) is bound.file else f"{bound.path} (deleted)"

    def kernel_mounts(self) -> tuple[Mount, ...]:
        """As lvmsnap.kernel.mounts."""
        return tuple(self._mount(place, path, source) for place, (path, source) in enumerate(self.mounts, 1))

    def _mount(self, place: int, path: str, source: str) -> Mount:
        options = ("ro",) if path.startswith(RUN_DIR) else ()
        ids = (place, self._parent(path))
        return Mount(self._number_of(source), "/", path, "ext4", f"/dev/mapper/{source}", *ids, options=options)

    def _parent(self, path: str) -> int:
        above = [(len(one), place) for place, (one, _) in enumerate(self.mounts, 1) if path.startswith(f"{one}/")]
        return max(above, default=(0, 0))[1]

    def _number_of(self, source: str) -> str:
        return self.dm[source].number if source in self.dm else "98:16"

    def dm_devices(self) -> tuple[DmDevice, ...]:
        """As lvmsnap.device_mapper.devices."""
        return tuple(
            DmDevice(
                dm.number,
                name,
                dm.uuid,
                dm.suspended,
                self._beneath(dm),
                dm.live is not None,
                dm.loaded is not None,
                is_on_layer=f"{name}-real" in (dm.live or ()),
            )
            for name, dm in self.dm.items()
        )

    def _beneath(self, dm: Dm) -> tuple[str, ...]:
        table = (dm.live or dm.loaded or ()) if dm.uuid.startswith("CRYPT-") else ()
        return tuple(self.dm[name].number for name in table)

    def device_bytes(self, number: str) -> int:
        """As lvmsnap.kernel.device_bytes, for the devices of snapshots."""
        name = next((name for name, dm in self.dm.items() if dm.number == number and dm.live is not None), "")
        lv = self.lvs.get(name.removeprefix("vg0-").removesuffix("-cow").replace("--", "-"))
        return sum(lv.extents.values()) * EXTENT if lv else 0

    def facts(self) -> Facts:
        """As lvmsnap.facts.read_system."""
        return replace(
            samples.GOOD,
            host=self.host,
            boot_id=f"boot-{self.boots}",
            vgs=(self._group(),),
            orphan_pvs=tuple(self._orphans()),
            mounts=self.kernel_mounts(),
            loops=self.kernel_loops(),
            dm_devices=self.dm_devices(),
        )

    def focused(self, read: Facts, interest: Interest) -> Facts:
        """As lvmsnap.system.reading.focus."""
        looked = Looked(
            files={path: self.file_facts(path) if path else None for path in interest.files},
            directories={path: DIRECTORY for path in interest.files if path},
            mountpoints={path: self._mountpoint(path) for path in interest.mountpoints},
            groups={name: GroupFacts() for name in interest.groups},
            key_files=dict.fromkeys(interest.key_files, samples.GOOD_KEY_FILE),
            udev_rules={path: path in self.rules for path in interest.udev_rules},
        )
        return replace(read, looked=looked)

    def _mountpoint(self, mountpoint: str) -> MountpointFacts:
        mounted = any(path == mountpoint for path, _ in self.mounts)
        there = "not empty" if self.is_used(mountpoint) or self.directories.get(mountpoint) else "empty"
        there = there if self.is_directory(mountpoint) else "absent"
        return MountpointFacts("mounted" if mounted else there, mountpoint, "")

    def _group(self) -> VolumeGroup:
        pvs = tuple(self._pv(pv) for pv in self.members)
        free = sum(pv.extents - pv.allocated_extents for pv in pvs)
        lvs = tuple(self._lv(lv) for lv in self.lvs.values())
        return VolumeGroup("vg0", samples.VG_UUID, EXTENT, free, len(self.missing()), False, False, pvs, lvs)

    def _pv(self, pv: str) -> PhysicalVolume:
        missing = self.is_missing(pv)
        device = self.device_of(pv) or "[unknown]"
        return PhysicalVolume(device, pv, "vg0", self.pv_extents[pv], self.allocated(pv), missing)

    def _orphans(self) -> Iterator[PhysicalVolume]:
        yield FOREIGN_PV
        for device, bound in self.loops.items():
            if bound.file.label and bound.file.label not in self.members:
                group = "[unknown]" if bound.file.in_use else ""
                yield PhysicalVolume(device, bound.file.label, group, 0, 0, False)

    def _lv(self, lv: Lv) -> LogicalVolume:
        dm = self.dm.get(dm_name("vg0", lv.name))
        has_table = dm is not None and (dm.live is not None or dm.loaded is not None)
        merging = lv.merging or any(snapshot.merging for snapshot in self.snapshots(lv.name))
        kind = "s" if lv.origin else "o" if self.snapshots(lv.name) else "-"
        partial = "p" if self.is_partial(lv) else "-"
        devices = tuple(sorted(self.device_of(pv) or "[unknown]" for pv in lv.extents))
        return LogicalVolume(
            vg="vg0",
            name=lv.name,
            uuid=lv.uuid,
            attr=f"{kind.upper() if merging else kind}wi-{self._state(lv, dm)}---{partial}-",
            size_bytes=sum(lv.extents.values()) * EXTENT,
            tags=lv.tags,
            origin=lv.origin,
            segment_types=("linear",),
            chunk_size_bytes=4096 if lv.origin else 0,
            data_percent=0.1 if lv.origin and has_table else None,
            device_number=dm.number if dm is not None and has_table else "",
            devices=devices,
            is_hidden=lv.merging,
            is_merging=merging,
        )

    def _state(self, lv: Lv, dm: Dm | None) -> str:
        if dm is None or (dm.live is None and dm.loaded is None):
            return "-"
        if dm.suspended:
            return "s"
        # LVM cannot make sense of an origin whose table is a snapshot's while its metadata has none.
        lost = not lv.origin and not self.snapshots(lv.name) and f"{dm_name('vg0', lv.name)}-real" in (dm.live or ())
        return "i" if dm.live is None else "X" if lost else "a"

    def snapshots(self, origin: str) -> list[Lv]:
        """Return the snapshots of an LV."""
        return [lv for lv in self.lvs.values() if lv.origin == origin]

    def is_partial(self, lv: Lv) -> bool:
        """Whether the LV lacks a PV; an origin does where a snapshot of it does."""
        return any(self.is_missing(pv) for pv in lv.extents) or any(map(self.is_partial, self.snapshots(lv.name)))

    # --- devices ------------------------------------------------------------------------------------------------

    def add_dm(self, name: str, lv: Lv, layer: str = "") -> Dm:
        """Make a device without a table, where it is not there."""
        uuid = dm_uuid(samples.VG_UUID, lv.uuid) + layer
        return self.dm.setdefault(name, Dm(uuid, f"254:{self.next()}"))

    def disks(self, lv: Lv) -> TABLE:
        """Return the devices that the LV's extents lie on."""
        return tuple(self.device_of(pv) for pv in lv.extents)

    def activate(self, lv: Lv) -> None:
        """Make the LV's devices as the metadata say, none suspended."""
        name = dm_name("vg0", lv.name)
        if lv.origin:
            self.add_dm(f"{name}-cow", lv, "-cow").live = self.disks(lv)
            self.add_dm(name, lv).live = (dm_name("vg0", lv.origin) + "-real", f"{name}-cow")
        elif self.snapshots(lv.name):
            self.add_dm(f"{name}-real", lv, "-real").live = self.disks(lv)
            self.add_dm(name, lv).live = (f"{name}-real",)
        else:
            self.add_dm(name, lv).live = self.disks(lv)
        for device in (name, f"{name}-real", f"{name}-cow"):
            if device in self.dm:
                self.dm[device].loaded, self.dm[device].suspended = None, False

    def activate_all(self) -> bool:
        """Activate all LVs, origins with their snapshots; return whether none was refused for a missing PV."""
        refused = [lv for lv in self.lvs.values() if self.is_partial(lv) and dm_name("vg0", lv.name) not in self.dm]
        for lv in self.lvs.values():
            if dm_name("vg0", lv.name) not in self.dm and lv not in refused and not self._waits_for_origin(lv, refused):
                self.activate(lv)
        return not refused

    def _waits_for_origin(self, lv: Lv, refused: list[Lv]) -> bool:
        return any(other.name == lv.origin for other in refused)

    def settle(self) -> None:
        """Let loop devices go whose last user is gone."""
        for device in [d for d, bound in self.loops.items() if bound.leaving and not self.users(d)]:
            del self.loops[device]

    def reboot(self, *, activation: str = "event", fate: str = "kept") -> None:
        """Lose everything but the disks; `fate` is what the disk kept of the file.

        `activation`: "event" (systemd: nothing of a group that is not whole), "ay" (vgchange -ay), or "repaired"
        (lvmsnap's boot recovery).
        """
        self.boots += 1
        self.loops, self.dm, self.mounts, self.busy, self.rules = {}, {}, [], set(), set()
        self.directories = {path: count for path, count in self.directories.items() if not path.startswith("/run/")}
        self._lose(fate)
        add_foreign_loop(self)
        if activation == "repaired":
            self._repair()
        if activation != "event" or not self.missing():
            self.activate_all()
        self.mounts += [(path, source) for path, source in self.fstab if source in self.dm or "vg0" not in source]

    def _lose(self, fate: str) -> None:
        file = self.files.get(FILE)
        if file is None or fate == "kept":
            return
        if fate == "lost":
            del self.files[FILE]
        elif fate == "unlabelled":
            file.label, file.in_use = "", False
        elif fate == "emptied":
            file.size, file.allocated, file.label, file.in_use = 0, 0, "", False

    def _repair(self) -> None:
        if not self.missing() or not all(pv.startswith(PV_UUID_PREFIX) for pv in self.missing()):
            return
        for lv in list(self.lvs.values()):
            if any(self.is_missing(pv) for pv in lv.extents) and any(tag.startswith("lvmsnap2.") for tag in lv.tags):
                del self.lvs[lv.name]
        self.members = [pv for pv in self.members if not self.is_missing(pv) or self.allocated(pv)]


FOREIGN_PV = PhysicalVolume("/dev/ubdd", samples.OTHER_UUID, "", 0, 0, False)
DIRECTORY = DirectoryFacts(True, SPACE, "ext4", 100 * 1024 * MIB, ("98:16",), 512)


def add_foreign_loop(system: System) -> None:
    """Bind somebody else's loop device."""
    system.loops["/dev/loop0"] = Bound(system.files[f"{SPACE}/foreign"], f"{SPACE}/foreign")
