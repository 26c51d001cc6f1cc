"""Names who keeps a snapshot busy: processes, mounts, loop devices, devices above it. Changes nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.facts import Mount, mount_of, top_mount
from lvmsnap.model.lvm_names import dm_name, dm_uuid
from lvmsnap.model.target import Snapshot
from lvmsnap.system import (
    block_devices,
    device_mapper,
    link_devices,
    link_probe,
    mount_copies,
    mount_table,
    namespaces,
    overlays,
    process_table,
)

# Even opening a directory there with O_PATH may wait for a silent server.
REMOTE = ("nfs", "cifs", "smb", "fuse", "ceph", "9p", "afs", "autofs")

# What `_open_by` returns for each process, by its directory in /proc.
_Links = Mapping[Path, list[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class _Namespace:
    """A mount namespace's table; `keeper` is a process in it or, if there is none, what else keeps it alive."""

    table: tuple[Mount, ...]
    keeper: str
    root: str  # where its files are visible from here, "" if they are not
    is_kept_alone: bool = False


def holders(mountpoint: str, device_number: str = "", *, with_silent: bool = False) -> tuple[str, ...]:
    """Return in words whatever keeps a mount or its device busy; the device with `device_number`, if given.

    Processes that have something open or mapped below the mountpoint come first, then what `pins` returns.
    `with_silent`: also processes with something open that does not answer, in case nothing else explains it.
    """
    mount = _top(mountpoint, device_number)
    number = device_number or (mount.device_number if mount else "")
    pinning = pins(mountpoint, device_number, with_silent=with_silent)
    return (*_used(mountpoint if mount else "", number), *_mounts_on(mount), *pinning)


def users(mountpoint: str) -> tuple[str, ...]:
    """Return in words who is using a mountpoint; uses of its filesystem by way of other mounts do not count."""
    mount = _top(mountpoint, "")
    return (*_used(mountpoint, ""), *_mounts_on(mount)) if mount else ()


def _used(mountpoint: str, number: str) -> Iterator[str]:
    for process in process_table.running():
        below = _links_below(process, mountpoint) if mountpoint else []
        if below and number and link_devices.are_all_elsewhere(below, number):
            below = []  # in the directory that the mount covers, or in another mount namespace
        path = below[0][0] if below else _mapped(process, number) if number else ""
        if path:
            yield f"{process_table.named(int(process.name))}: {path}"


def _mounts_on(mount: Mount | None) -> list[str]:
    return [f"mount on {one.mountpoint}" for one in mount_table.mounts() if mount and one.parent_id == mount.mount_id]


def pins(mountpoint: str, device_number: str = "", *, with_silent: bool = False) -> tuple[str, ...]:
    """Return in words what keeps a snapshot's device busy although umount of `mountpoint` would not notice.

    These are other mounts of it and overlays over it, here and in other mount namespaces; what processes have open in
    a detached mount (umount --lazy); loop devices on it or on its files; processes that have the device itself open;
    devices above it.
    """
    mount = _top(mountpoint, device_number)
    number = device_number or (mount.device_number if mount else "")
    if not number:
        return ()
    links = {process: _open_by(process) for process in process_table.running()}
    own, spaces = _namespaces(links)
    copies = (*_copies(number, mount, own, spaces), *_overlays(number, mountpoint, own, spaces))
    detached = _in_detached(number, spaces, links, with_silent=with_silent)
    return (*copies, *detached, *_loops(number), *_openers(number, links), *_above(number))


def _open_by(process: Path) -> list[tuple[str, str]]:
    """Return (where it leads, the link itself) for what the process has open: files and mount namespaces.

    Anything else has a name like socket:[1]. Each link is read once: there may be a hundred thousand.
    """
    return [pair for pair in process_table.links(process) if pair[0].startswith(("/", "mnt:["))]


def snapshot_number(snapshot: Snapshot) -> str:
    """Return the number of a snapshot's device, "" if there is none; it or its group may have been renamed."""
    if snapshot.dm_uuid:
        own = (device.device_number for device in device_mapper.devices() if device.uuid == snapshot.dm_uuid)
        return next(own, "")
    name, group = dm_name(snapshot.vg, snapshot.name), dm_uuid(snapshot.vg_uuid, "") if snapshot.vg_uuid else ""
    # A single dash joins the two names.
    renamed = re.compile(rf"(?:[^-]|--)+-{re.escape(snapshot.name.replace('-', '--'))}")
    for device in device_mapper.devices():
        of_group = group and device.uuid.startswith(group) and renamed.fullmatch(device.name)
        if device.name == name or of_group:
            return device.device_number
    return ""


def _top(mountpoint: str, device_number: str) -> Mount | None:
    """Return the mount on top there, None if it is of another device than `device_number`, if that is given."""
    top = top_mount(mount_table.mounts(), mountpoint)
    return top if top and device_number in ("", top.device_number) else None


def _namespaces(links: _Links) -> tuple[str, dict[str, _Namespace]]:
    """Return the ID of our mount namespace, and all visible ones by ID; one process is named for each.

    A mount of it or an open descriptor may keep one alive without any process, as container runtimes do.
    """
    own = process_table.mount_namespace(process_table.PROC / "self")
    found = {own: _Namespace(mount_table.mounts(), "", "")}
    for process in links:
        namespace = process_table.mount_namespace(process)
        if namespace and namespace not in found:
            with suppress(OSError):  # it ended
                keeper = process_table.named(int(process.name))
                found[namespace] = _Namespace(mount_table.mounts_of(process), keeper, str(process / "root"))
    for namespace, keeper, path in (*_kept_by_mounts(found), *_kept_by_descriptors(links)):
        if namespace not in found:
            with suppress(OSError, ValueError):
                inode = int(namespace.removeprefix("mnt:[").removesuffix("]"))
                table = mount_table.parse_mounts(namespaces.mount_table(path, inode))
                found[namespace] = _Namespace(table, keeper, "", is_kept_alone=True)
    return own, found


def _kept_by_mounts(found: Mapping[str, _Namespace]) -> list[tuple[str, str, str]]:
    """Return (ID, what keeps it, a path to it) for each namespace that an nsfs mount keeps alive."""
    return [
        (mount.root, f"mount on {mount.mountpoint}" + (f" of {space.keeper}" if space.keeper else ""), path)
        for space in found.values()
        for mount in space.table
        if mount.filesystem == "nsfs" and mount.root.startswith("mnt:[")
        for path in (f"{space.root}{mount.mountpoint}",)
    ]


def _kept_by_descriptors(links: _Links) -> Iterator[tuple[str, str, str]]:
    for process, pairs in links.items():
        for target, link in pairs:
            if target.startswith("mnt:["):
                yield target, process_table.named(int(process.name)), link


def _copies(number: str, top: Mount | None, own: str, spaces: Mapping[str, _Namespace]) -> Iterator[str]:
    """Say where else the filesystem is mounted, and would stay mounted."""
    tables = {namespace: space.table for namespace, space in spaces.items()}
    found = mount_copies.staying(top, tables, own) if top else mount_copies.everywhere(number, tables)
    for namespace, mount in found:
        space = spaces[namespace]
        yield _here(mount, space) if namespace == own else _elsewhere(space, mount.mountpoint)


def _overlays(number: str, mountpoint: str, own: str, spaces: Mapping[str, _Namespace]) -> Iterator[str]:
    """Name each overlay with a layer in the filesystem once, although many namespaces show it: ours comes first.

    An overlay holds a mount of its own that is in no table, so neither the mountpoint nor any process looks busy.
    """
    reported = set()
    for namespace, space in spaces.items():
        # A layer has the path that it had where the overlay was mounted, which may be another namespace.
        places = {mountpoint, *(mount.mountpoint for mount in space.table if mount.device_number == number)} - {""}
        for mount in space.table:
            if mount.device_number in reported or not (layer := overlays.layer_below(mount, places)):
                continue
            reported.add(mount.device_number)
            text = f"overlay on {mount.mountpoint}, made of {layer}"
            yield text if namespace == own else _elsewhere(space, text)


def _here(mount: Mount, space: _Namespace) -> str:
    seen = mount_of(mount.mountpoint, space.table)
    covered = f", covered by the one on {seen.mountpoint}" if seen and seen != mount else ""
    return f"mount on {mount.mountpoint}{covered}"


def _elsewhere(space: _Namespace, what: str) -> str:
    owner = "the mount namespace that it keeps" if space.is_kept_alone else "its own mount namespace"
    return f"{space.keeper}: {what} in {owner}"


def _in_detached(number: str, spaces: Mapping[str, _Namespace], links: _Links, *, with_silent: bool) -> Iterator[str]:
    """Name the processes that use the filesystem through a mount that is in no table: it was unmounted lazily.

    What does not answer is not the snapshot, whose filesystem needs no server; it is only named `with_silent`.
    """
    known = {mount.mount_id for space in spaces.values() for mount in space.table}
    to_ask = [(process, pair) for process in links for pair in _links_to_ask(process, links[process], spaces, known)]
    asked = [pair for _, pair in to_ask]
    if link_devices.are_elsewhere(asked, number):
        return
    numbers, reported = link_devices.device_numbers(asked, known), set()
    for process, (path, link) in to_ask:
        at = numbers.get(link, "")
        if process in reported or not (at == number or (at is None and with_silent)):
            continue
        reported.add(process)
        what = "in a mount that was detached" if at else "cannot be examined, since its filesystem does not answer"
        yield f"{process_table.named(int(process.name))}: {path} {what}"


def _links_to_ask(
    process: Path, links: Iterable[tuple[str, str]], spaces: Mapping[str, _Namespace], known: Collection[int]
) -> Iterator[tuple[str, str]]:
    """Yield what the process has open, except what is known to be in a mount of some table.

    Only the rest is asked for its device: a network filesystem answers that only when its server does.
    """
    space = spaces.get(process_table.mount_namespace(process))
    for path, link in links:
        if not path.startswith("/"):
            continue
        _, is_open, descriptor = link.rpartition("/fd/")
        if is_open:
            with suppress(OSError, ValueError):  # it was closed, or the process ended
                if link_probe.mount_id(link_probe.fdinfo(str(process), descriptor)) not in known:
                    yield path, link
        elif not (space and _waits_for_a_server(path, space.table)):
            yield path, link


def _waits_for_a_server(path: str, table: tuple[Mount, ...]) -> bool:
    mount = mount_of(path, table)
    return mount is not None and mount.filesystem.startswith(REMOTE)


def _loops(number: str) -> Iterator[str]:
    for loop in block_devices.loops():
        if number in (block_devices.device_number(loop.file_device), _device_at(loop.file_path)):
            places = [one.mountpoint for one in mount_table.mounts() if one.device_number == loop.device_number]
            yield f"{loop.device} on {loop.file_path}" + (f", mounted on {places[0]}" if places else "")


def _openers(number: str, links: _Links) -> Iterator[str]:
    for process, pairs in links.items():
        devices = (pair for pair in pairs if pair[0].startswith("/dev/"))
        if path := next((path for path, link in devices if _device_at(link) == number), ""):
            yield f"{process_table.named(int(process.name))}: {path}"


def _above(number: str) -> Iterator[str]:
    yield from (above(name) for name in block_devices.holders_of(number))


def above(name: str) -> str:
    """Say that a device of that name lies on the snapshot."""
    return f"device {name} above it"


def _device_at(path: str) -> str:
    """Return the number of the block device at a path in /dev, or at a descriptor in /proc, "" if it is none."""
    return block_devices.number_at(path) if path.startswith(("/dev/", f"{process_table.PROC}/")) else ""


def _links_below(process: Path, mountpoint: str) -> list[tuple[str, str]]:
    links = process_table.links(process)
    return [pair for pair in links if pair[0] == mountpoint or pair[0].startswith(mountpoint + "/")]


def _mapped(process: Path, number: str) -> str:
    """Return the path of a file on the device that the process has mapped, perhaps closed by now (proc(5), maps)."""
    try:
        text = (process / "maps").read_bytes().decode(errors="surrogateescape")
    except OSError:
        return ""
    major, minor = map(int, number.split(":"))
    pattern = rf"^\S+ \S+ \S+ {major:02x}:{minor:02x} \d+ +(/.*)$"
    match = re.search(pattern, text, re.MULTILINE)
    return match[1] if match else ""
