"""What the fake machine is made of: files, loop devices, logical volumes, devices; and what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass

TABLE = tuple[str, ...]


@dataclass(eq=False)
class File:
    """A file's inode. `label` is the PV UUID in it, `in_use` the label's mark that a group uses the PV."""

    inode: int
    size: int = 0
    allocated: int = 0
    label: str = ""
    in_use: bool = False


@dataclass
class Bound:
    """A bound loop device; `leaving`: detached by losetup while it was in use."""

    file: File
    path: str
    leaving: bool = False


@dataclass
class Lv:
    """A logical volume in the group's metadata; `extents` says how many lie on which PV."""

    name: str
    uuid: str
    extents: dict[str, int]
    origin: str = ""
    tags: tuple[str, ...] = ()
    merging: bool = False


@dataclass
class Dm:
    """A device-mapper device; its tables are the names of what they stand on, None where there is none."""

    uuid: str
    number: str
    live: TABLE | None = None
    loaded: TABLE | None = None
    suspended: bool = False

    def resume(self) -> None:
        """Swap in the loaded table, as dmsetup resume does."""
        self.live, self.loaded, self.suspended = self.loaded or self.live, None, False


class Killed(BaseException):
    """Lvmsnap was killed here; the machine runs on."""


class PowerCut(Killed):
    """The machine lost its power here."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong at the command number `at`: `kind` is one of the keys of `World`'s table of effects.

    `stage` is how far lvcreate had come; `for_ever`: so does every later use of the same command. With the kind
    "extends" nothing fails: before the command dmeventd extends somebody's LV onto the lent PV.
    """

    at: int
    kind: str
    stage: str = ""
    for_ever: bool = False


@dataclass(frozen=True)
class Raising:
    """Call number `at` of the system's parts raises `error`, `after` it took effect or before.

    With `for_ever` each later call of the same part does too; `name` is that part's, once it is known.
    """

    at: int
    error: BaseException
    after: bool = False
    for_ever: bool = False
    name: str = ""
