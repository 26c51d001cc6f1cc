"""Installs, shows and removes the systemd units that run one profile by a timer. Their text is in unit_text."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from lvmsnap.install import systemd_timer, unit_text
from lvmsnap.install.files import current, is_packaged, own_command, write
from lvmsnap.install.systemd_timer import UNIT_FOLDER, Seen, Timer
from lvmsnap.model.dataclass import dataclass, replace
from lvmsnap.model.errors import LvmsnapError, Refusal, RefusedError, ResidueError, StepError, UsageError
from lvmsnap.model.paths import STATE_DIR
from lvmsnap.system import programs
from lvmsnap.system.processes import Runner, environment

SOURCE = Path(__file__).with_name("unit_files")
TEMPLATES = ("lvmsnap@.service", "lvmsnap@.timer")
# Where a distribution's package has them.
PACKAGED_FOLDER = "/usr/lib/systemd/system"
DROP_IN = "lvmsnap.conf"
NOT_OURS = "was edited, or was not written by lvmsnap"
_INSTANCE = r"lvmsnap@(.+)\.(?:service|timer)(?:\.d)?"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """What to run, and when: `argv` after `lvmsnap run NAME --`; the last two are "" for the defaults."""

    name: str
    argv: tuple[str, ...]
    profile_dir: str = ""
    calendar: str = ""


def install(runner: Runner, asked: Wish, tell: Tell) -> None:
    """Write the units of a profile and start its timer. It is idempotent.

    Raises UsageError or RefusedError before anything is changed, StepError after everything was put back as it was,
    ResidueError if that failed.
    """
    wish = checked(runner, asked)
    timer = Timer(runner, wish.name, tell)
    to_write = changes(wanted(wish), tell)
    if not to_write and not timer.seen().problem:
        tell("everything is installed already")
    else:
        before = {path: current(path) for path in to_write}
        new_time = not timer.is_wanted or any(".timer" in str(path) for path in to_write)
        try:
            if new_time:
                timer.stop()
            write_all(to_write, tell)
            timer.take_up(new_time=new_time)
        except (LvmsnapError, OSError) as error:
            _take_back(timer, before, error)
    tell(f"next run: {Timer(runner, wish.name, tell).seen().next}")


def remove(runner: Runner, name: str, tell: Tell) -> None:
    """Remove a profile's units, and with the last profile's the templates. If there are none it is no error.

    Raises RefusedError while it runs, StepError if systemd fails; running it again then completes it.
    """
    timer = Timer(runner, name, tell)
    if timer.is_busy():
        hint = f"wait for its end, or systemctl stop {timer.service}"
        raise RefusedError((Refusal(f"{timer.service} is running", hint),))
    if timer.is_wanted:
        timer.forget()
    elif not any(path.exists() for path in drop_ins(name)):
        tell(f"{name} has no timer")
    remove_ours(drop_ins(name), tell)
    if not instances():
        remove_ours(templates(), tell)
    name_left_alone(drop_ins(name), tell)
    timer.forget_files()


def seen(runner: Runner, name: str) -> Seen:
    """Return the state of a profile's units. Reads only."""
    if problem := lacking(drop_ins(name)[0], TEMPLATES):
        return Seen("", "", problem)
    return Timer(runner, name, lambda _: None).seen()


def lacking(drop_in: Path, names: tuple[str, ...]) -> str:
    """Say which of a profile's drop-in and these templates is missing or outdated, "" if none is."""
    needed = (Path(PACKAGED_FOLDER, name) for name in names) if is_packaged() else templates(names)
    if missing := [path for path in (*needed, drop_in) if not path.exists()]:
        return f"{missing[0]} is missing"
    if old := [path for path, text in packaged(names).items() if is_ours(path) and current(path) != text]:
        return f"{old[0]} was written by another version of lvmsnap: run install-units again"
    return ""


def checked(runner: Runner, wish: Wish) -> Wish:
    """Return the wish with its program's absolute path. Raises RefusedError, UsageError; reads only."""
    if not systemd_timer.is_there():
        raise RefusedError((Refusal("systemd is not on this machine", "have cron call lvmsnap run"),))
    wrong, todo = programs.problem(wish.argv, environment()["PATH"])
    program = programs.which(wish.argv[0], environment()["PATH"])
    if wrong or program is None:
        raise UsageError(f"{wish.argv[0]}: {wrong}", hint=f"nothing was changed; {todo}")
    if any("\ud800" <= char <= "\udfff" for char in "".join((*wish.argv, wish.profile_dir))):
        raise UsageError("the command is not UTF-8, and systemd accepts nothing else", hint="put it into a script")
    # A newline would start another setting.
    if wish.calendar and not (wish.calendar.isprintable() and _is_time(runner, wish.calendar)):
        hint = "see systemd.time(7); for example: daily, 'Mon..Fri 02:30', '*-*-* 00/6:15'"
        raise UsageError(f"{wish.calendar!r} is not a time that systemd understands", hint=hint)
    return replace(wish, argv=(os.path.abspath(program), *wish.argv[1:]))


def _is_time(runner: Runner, calendar: str) -> bool:
    return runner.run(("systemd-analyze", "calendar", "--", calendar)).ok


def wanted(wish: Wish) -> dict[Path, str | None]:
    """Return the content of each of our files for a wish; None: the file must not exist."""
    service, timer = drop_ins(wish.name)
    record = f"{STATE_DIR}/{wish.name}.json"
    run = unit_text.service_drop_in(own_command(), wish.name, wish.argv, profile_dir=wish.profile_dir, record=record)
    return {**packaged(), service: run, timer: unit_text.timer_drop_in(wish.calendar) if wish.calendar else None}


def packaged(names: tuple[str, ...] = TEMPLATES) -> dict[Path, str | None]:
    """Return the content of the templates; None for each if a package ships them, since ours would hide those."""
    if is_packaged():
        return dict.fromkeys(templates(names))
    return {path: unit_text.signed((SOURCE / path.name).read_text(encoding="utf-8")) for path in templates(names)}


def templates(names: tuple[str, ...] = TEMPLATES) -> tuple[Path, ...]:
    """Return the paths of the templates that all profiles share, if no package ships them."""
    return tuple(Path(UNIT_FOLDER, name) for name in names)


def drop_ins(name: str) -> tuple[Path, Path]:
    """Return the paths of the drop-ins of one profile's service and timer."""
    folder = Path(UNIT_FOLDER)
    return folder / f"lvmsnap@{name}.service.d" / DROP_IN, folder / f"lvmsnap@{name}.timer.d" / DROP_IN


def instances() -> tuple[str, ...]:
    """Return the profiles that need the templates."""
    folder = Path(UNIT_FOLDER)
    found = [path.parent.name for path in folder.glob(f"lvmsnap@*.d/{DROP_IN}")]
    found += [path.name for path in folder.glob("*.wants/lvmsnap@*")]
    return tuple(sorted({match[1] for name in found if (match := re.fullmatch(_INSTANCE, name))}))


def is_ours(path: Path) -> bool:
    """Whether a file is as some lvmsnap wrote it, or does not exist."""
    return not os.path.lexists(path) or (not path.is_symlink() and unit_text.is_signed(current(path) or ""))


def changes(
    texts: Mapping[Path, str | None], tell: Tell, shared: tuple[Path, ...] | None = None
) -> dict[Path, str | None]:
    """Return the files to change. Raises RefusedError if one of them is not ours to change.

    Templates (the `shared` files) that somebody changed are left alone: nothing in them belongs to this profile.
    """
    shared = templates() if shared is None else shared
    found = {path: text for path, text in texts.items() if current(path) != text}
    foreign = [path for path in found if not is_ours(path)]
    for path in foreign:
        if path in shared:
            tell(f"left alone: {path} {NOT_OURS}")
            del found[path]
    if foreign := [path for path in foreign if path in found]:
        hint = "move it away; put your own settings into a file beside it (systemctl edit)"
        raise RefusedError(tuple(Refusal(f"{path} {NOT_OURS}", hint) for path in foreign))
    return found


def remove_ours(paths: Iterable[Path], tell: Tell) -> None:
    """Remove the files that exist and are as some lvmsnap wrote them."""
    for path in paths:
        if not is_ours(path):
            tell(f"left alone: {path} {NOT_OURS}")
        elif path.exists():
            write_all({path: None}, tell)


def name_left_alone(paths: Iterable[Path], tell: Tell) -> None:
    """Report what others put beside our drop-ins."""
    for beside in (other for path in paths for other in sorted(path.parent.glob("*")) if other.name != DROP_IN):
        tell(f"left alone: {beside}")


def write_all(texts: Mapping[Path, str | None], tell: Tell) -> None:
    """Write or remove each file; a drop-in's directory is removed once it is empty."""
    for path, text in texts.items():
        if text is not None:
            write(path, text, 0o644)
            tell(f"wrote {path}")
        elif path.exists():
            path.unlink()
            tell(f"removed {path}")
        if path.parent.name.endswith(".d") and path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()


def failure(error: LvmsnapError | OSError) -> tuple[str, str]:
    """Return what went wrong, and what to do."""
    todo = "fix the reported problem, then try again"
    if isinstance(error, LvmsnapError):
        return error.message, error.hint or todo
    return f"{error.filename}: {error.strerror}", todo


def _take_back(timer: Timer, before: Mapping[Path, str | None], error: LvmsnapError | OSError) -> None:
    """Put everything back as it was, and raise what went wrong."""
    message, hint = failure(error)
    try:
        failed = timer.take_back(lambda: write_all(before, lambda _: None))
    except (LvmsnapError, OSError) as second:
        residue = (f"what was written in {UNIT_FOLDER}: {second}",)
        raise ResidueError(message, residue=residue, commands=(), hint=hint) from error
    if failed:
        residue = ("units as systemd has loaded them; the files are as before",)
        raise ResidueError(message, residue=residue, commands=failed, hint=hint) from error
    raise StepError(f"{message}; everything is as before", hint=hint) from error
