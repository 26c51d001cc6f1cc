"""Reads the settings in LVM's configuration that matter here: filters, locking, thin pools, the log (lvm.conf(5))."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path

DEFAULT_SYSTEM_DIR = "/etc/lvm"
DEFAULT_LOCKING_DIR = "/run/lock/lvm"

_SETTING = (
    r"\b(global_filter|filter|use_devicesfile|devicesfile|locking_dir|thin_pool_autoextend_threshold|file|archive_dir|backup_dir)\s*=\s*"
    r'(\[[^"\]]*(?:"(?:[^"\\]|\\.)*"[^"\]]*)*\]|\S+)'
)
# Consecutive comments match as one: an lvm.conf has thousands of lines of them.
_STRING_OR_COMMENT = r'("(?:[^"\\]|\\.)*")|#[^\n]*(?:\n[ \t]*#[^\n]*)*'
_STRING = r'"((?:[^"\\]|\\.)*)"'


def system_dir() -> str:
    """Return where LVM looks for its configuration: LVM_SYSTEM_DIR, which is passed on to LVM's commands (lvm(8)).

    "" if it is empty: LVM then reads no configuration at all.
    """
    return os.environ.get("LVM_SYSTEM_DIR", DEFAULT_SYSTEM_DIR)


def read_settings(system_dir: str) -> dict[str, str]:
    """Return the settings of interest as they are written; lvmlocal.conf overrides lvm.conf."""
    settings: dict[str, str] = {}
    if not system_dir:
        return settings
    for name in ("lvm.conf", "lvmlocal.conf"):
        path = Path(system_dir, name)
        settings |= _settings_in(path.read_text(encoding="utf-8", errors="replace") if path.is_file() else "")
    return settings


@functools.lru_cache(maxsize=2)  # the files are read before each change, usually with the same text
def _settings_in(text: str) -> dict[str, str]:
    text = re.sub(_STRING_OR_COMMENT, lambda match: match[1] or "", text)
    return {match[1]: match[2] for match in re.finditer(_SETTING, text)}


def filters(settings: dict[str, str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the filters that are set, each with its patterns in order."""
    names = ("global_filter", "filter")
    return tuple((name, tuple(re.findall(_STRING, settings[name]))) for name in names if name in settings)


def autoextend_percent(settings: dict[str, str]) -> int:
    """Return the fill from which LVM extends a thin pool and refuses new volumes in it; 100 if it never does."""
    text = settings.get("thin_pool_autoextend_threshold", "")
    return int(text) if text.isascii() and text.isdigit() else 100


def locking_dir(settings: dict[str, str]) -> str:
    """Return the directory of LVM's lock files."""
    return settings.get("locking_dir", DEFAULT_LOCKING_DIR).strip('"')


def log_file(settings: dict[str, str]) -> str:
    """Return the file that LVM's commands write their log to, "" if they write none (section log)."""
    return settings.get("file", "").strip('"')


def copies_dirs(settings: dict[str, str], system_dir: str) -> tuple[str, ...]:
    """Return the directories that LVM keeps copies of the metadata in: older ones, and the latest (section backup)."""
    named = ((settings.get(f"{name}_dir", "").strip('"'), name) for name in ("archive", "backup"))
    return tuple(directory or os.path.join(system_dir or DEFAULT_SYSTEM_DIR, name) for directory, name in named)


def devices_file(settings: dict[str, str], system_dir: str) -> str:
    """Return the path of the devices file in use, or "" (lvmdevices(8): it is used if it exists)."""
    name = settings.get("devicesfile", '"system.devices"').strip('"')
    path = Path(system_dir, "devices", name)
    return str(path) if system_dir and settings.get("use_devicesfile") != "0" and path.is_file() else ""


def listed_devices(path: str) -> tuple[str, ...]:
    """Return the devices that a devices file lists, by the names they had when they were added."""
    text = Path(path).read_text(encoding="utf-8", errors="replace") if path else ""
    return tuple(re.findall(r"^IDTYPE=.*\bDEVNAME=(\S+)", text, re.MULTILINE))
