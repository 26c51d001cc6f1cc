"""The text of our systemd unit files: words quoted for systemd, and the signature of a file that is ours. Pure."""

from __future__ import annotations

import hashlib
import re

DESCRIBED = "lvmsnap install-units wrote this; your own settings: systemctl edit"
_MARK = rf"# {DESCRIBED}\. sha256 ([0-9a-f]{{64}})\n"
_PLAIN = r"[A-Za-z0-9_/.,:=+@-]+"
_ESCAPES = {"\\": "\\\\", '"': '\\"', "%": "%%"}


def command_line(argv: tuple[str, ...]) -> str:
    """Return a command for ExecStart= (systemd.service(5)); argv[0] is an absolute path."""
    return " ".join(quoted(word, _ESCAPES | {"$": "$$"}) for word in argv)


def assignment(name: str, value: str) -> str:
    """Return a variable for Environment= (systemd.exec(5)), where $ has no special meaning."""
    return quoted(f"{name}={value}", _ESCAPES)


def quoted(word: str, escapes: dict[str, str]) -> str:
    """Return a word quoted so that systemd reads it literally."""
    if re.fullmatch(_PLAIN, word):
        return word
    return f'"{"".join(_escaped(char, escapes) for char in word)}"'


def _escaped(char: str, escapes: dict[str, str]) -> str:
    return f"\\x{ord(char):02x}" if char < " " or char == "\x7f" else escapes.get(char, char)


def service_drop_in(own: tuple[str, ...], name: str, argv: tuple[str, ...], *, profile_dir: str, record: str) -> str:
    """Return the drop-in that makes the service of profile `name` run `argv`.

    `own` starts lvmsnap, `profile_dir` is "" for the usual one, `record` is a file that exists while anything is up.
    """
    return _service(own, name, ("run", "--replace", name, "--", *argv), profile_dir, record)


def hold_drop_in(own: tuple[str, ...], name: str, *, profile_dir: str, record: str) -> str:
    """Return the drop-in that makes a service hold profile `name`; the arguments are as in service_drop_in."""
    return _service(own, name, ("hold", "--replace", name), profile_dir, record)


def _service(own: tuple[str, ...], name: str, what: tuple[str, ...], profile_dir: str, record: str) -> str:
    lines = ["[Service]"]
    if profile_dir:
        lines.append(f"Environment={assignment('LVMSNAP_PROFILE_DIR', profile_dir)}")
    lines.append(f"ExecStart={command_line((*own, *what))}")
    # Something is left if lvmsnap was killed, or if a process that is gone by now kept the snapshot busy. If lvmsnap
    # was refused because the profile is up already, it is somebody else's: `down` would pull it from under a backup.
    lines.append(f"# Takes down what is left, if anything is, after the last process of the {what[0]}.")
    recover = (f'test ! -e {record} || exec "$@"', "sh", *own, "recover", name)
    lines.append(f"ExecStopPost={command_line(('/bin/sh', '-c', *recover))}")
    return signed("\n".join(lines) + "\n")


def timer_drop_in(calendar: str) -> str:
    """Return the drop-in that makes the timer start the service only at `calendar` (systemd.time(7))."""
    return signed(f"[Timer]\nOnCalendar=\nOnCalendar={calendar.replace('%', '%%')}\n")


def signed(text: str) -> str:
    """Return the text with a first line that identifies it as ours as long as nobody edits it."""
    return f"# {DESCRIBED}. sha256 {hashlib.sha256(text.encode()).hexdigest()}\n{text}"


def is_signed(text: str) -> bool:
    """Whether the text is as some version of lvmsnap wrote it."""
    mark = re.match(_MARK, text)
    return mark is not None and signed(text[mark.end() :]) == text
