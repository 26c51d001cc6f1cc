"""`lvmsnap init`: looks at this machine, proposes a first profile for some of its volumes, and writes it on request.

It changes only the profile directory and one new file in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.errors import LvmsnapError, ProfileError, Refusal, RefusedError, ToolError, UsageError
from lvmsnap.model.facts import Facts, LogicalVolume
from lvmsnap.model.first_profile import Offers, Proposal
from lvmsnap.model.lvm_names import is_profile_name
from lvmsnap.model.paths import RUN_DIR, STATE_DIR
from lvmsnap.operations import preparation
from lvmsnap.operations.sessions import Session
from lvmsnap.planning import checks, first_origins, first_profile, origin_kinds
from lvmsnap.planning.first_profile import Wish
from lvmsnap.profile import loading, template
from lvmsnap.system import atomic_files, block_devices, crypttab, mount_table, origin_facts, reading
from lvmsnap.system.reading import Interest

OTHER_FOLDER = "name another directory with --profile-dir"


@dataclass(frozen=True, slots=True)
class View:
    """What could be read of this machine; if nothing, `system` is None and `why_not` says why."""

    system: Facts | None
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class First:
    """The text of a first profile; what it proposes and why, None if the machine could not be examined."""

    text: str
    name: str
    proposal: Proposal | None


def look(session: Session) -> View:
    """Return what can be read of this machine; LVM shows its state only to root."""
    if not reading.is_root():
        return View(None, "only root may read LVM's state")
    try:
        system = reading.read_system(session.runner, locking=False)
    except ToolError as error:
        return View(None, error.message)
    return View(system) if system.vgs else View(None, "there is no volume group on this machine")


def offers(session: Session, system: Facts) -> Offers:
    """Return what could be snapshotted."""
    types = origin_facts.filesystems(session.runner, system, first_origins.devices(system))
    return first_origins.offers(system, types)


def resolved(words: Sequence[str], view: View) -> tuple[str, ...]:
    """Return the volumes, VG/LV, that words mean, each once. Raises UsageError."""
    if view.system is None:
        table = mount_table.mounts()
        names = (first_origins.named_by_mount(word, os.path.realpath(word), table) for word in words)
    else:
        names = (f"{lv.vg}/{lv.name}" for lv in (_volume(word, view.system) for word in words))
    return tuple(dict.fromkeys(names))


def _volume(word: str, system: Facts) -> LogicalVolume:
    path = word.rstrip("/") or word[:1]
    return first_origins.resolved(path, system, os.path.realpath(path), block_devices.number_at(path))


def make(session: Session, view: View, origins: tuple[str, ...], name: str = "") -> First:
    """Return the first profile for volumes VG/LV; `name` is "" if it has none yet.

    Raises UsageError, and RefusedError if LVM cannot snapshot one of them.
    """
    schema = loading.schema_path()
    shown = str(schema) if schema.is_file() else ""
    if view.system is None:
        return First(template.text(origins, shown, name), name, None)
    proposal = _proposal(session, view.system, origins, name or _free_name(origins[0], session.profile_dir))
    return First(template.proposed(proposal, shown, is_named=bool(name)), name, proposal)


def _proposal(session: Session, system: Facts, origins: tuple[str, ...], name: str) -> Proposal:
    path = f"{session.profile_dir.rstrip('/')}/{name}{loading.SUFFIX}"
    lvs = {f"{vg.name}/{lv.name}": (lv, vg) for vg in system.vgs for lv in vg.lvs}
    kinds = [origin_kinds.check(*lvs[origin]) for origin in origins]
    preparation.refuse_failed(tuple(kinds))
    keys = crypttab.key_files()
    wish = Wish(name, path, tuple(lvs[origin][0] for origin in origins), keys)
    interest = Interest(
        groups=wish.groups,
        origins=tuple((one.vg, one.name) for one in wish.origins),
        files=first_profile.files(wish, system),
        mountpoints=wish.mountpoints,
        key_files=tuple(dict.fromkeys(keys.values())),
        is_cut=len(origins) > 1,
    )
    tools = checks.tools(loading.parse(template.text(origins), name=name, file=path))
    return first_profile.propose(wish, preparation.look(session, interest, tools, system))


def _free_name(origin: str, directory: str) -> str:
    """Return a name for planning a profile that has none yet: like its volume's, and not used by another profile."""
    own = re.sub("[^a-z0-9_-]", "-", origin.rpartition("/")[2].lower()).strip("-_")[:60]
    name = own if is_profile_name(own) else "first"
    free = (one for one in (name, *(f"{name}-{number}" for number in range(2, 100))) if not _is_taken(one, directory))
    return next(free, name)


def _is_taken(name: str, directory: str) -> bool:
    places = (f"{directory}/{name}{loading.SUFFIX}", f"{STATE_DIR}/{name}.json", f"{RUN_DIR}/{name}")
    return any(map(os.path.lexists, places))


def free_path(name: str, directory: str) -> Path:
    """Return where to write profile `name`. Raises UsageError, and RefusedError if something is there already."""
    if name.endswith(loading.SUFFIX):
        raise UsageError(f"{name}: give the profile's name, not a path", hint=f"--write {Path(name).stem}")
    path = Path(directory, loading.name_of(name) + loading.SUFFIX)
    if os.path.lexists(path):
        raise _exists(path)
    return path


def write(first: First, path: Path) -> None:
    """Write a profile for root alone, and create its directory if needed. Raises RefusedError, LvmsnapError.

    It is read back as `up` would read it, and removed again if `up` would refuse it.
    """
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        atomic_files.create(str(path), first.text)
    except (FileExistsError, NotADirectoryError) as error:
        if path.parent.is_dir():
            raise _exists(path) from None
        wrong = next(one for one in (path.parent, *path.parents) if os.path.lexists(one) and not one.is_dir())
        raise LvmsnapError(f"cannot write {path}: {wrong} is not a directory", hint=OTHER_FOLDER) from error
    except PermissionError:
        refusal = Refusal(f"you may not write {path}", "run it as root, or with sudo; or name another --profile-dir")
        raise RefusedError((refusal,)) from None
    except OSError as error:
        raise LvmsnapError(f"cannot write {path}: {error.strerror}", hint=OTHER_FOLDER) from error
    try:
        loading.load(path, require_root_owned=reading.is_root())
    except ProfileError:
        path.unlink()
        raise


def _exists(path: Path) -> RefusedError:
    hint = "give --write another name, or remove it; lvmsnap init overwrites nothing"
    return RefusedError((Refusal(f"{path} exists already", hint),))
