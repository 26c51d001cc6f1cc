"""What was probably meant by a text that is not allowed at its place in a profile. Suggestions are allowed. Pure."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence

from lvmsnap.model import near
from lvmsnap.profile.yaml_positions import Path

LONGEST_GUESSED = 80
MOST_MIBS = 1 << 20  # a larger number without a unit can only be bytes
_PATH_KEYS = ("mountpoint", "path", "key_file")
_SIZE_KEYS = ("size", "max_size", "chunk_size", "timeout")
_PERCENT_KEYS = ("warn_at", "extend_at", "extend_by")
_PERHAPS = "did you mean"
_NO_SHELL = "no shell expands this"
_NO_DATE = f"{_NO_SHELL}: a name is the same each time"


def nearest(word: str, words: Iterator[str] | Sequence[str]) -> str | None:
    """The one of `words` that `word` is most likely a misspelling of."""
    by_lower = {known.lower(): known for known in words}
    return by_lower.get(near.nearest(word.lower(), by_lower, 0.7))


def text_hint(path: Path, text: str, pattern: str) -> str:
    """What to write instead of `text` at `path`, or some advice; "" if there is none."""
    if len(text) > LONGEST_GUESSED:  # not a misspelling, and the patterns below would take very long
        return ""
    key = "include" if path[:1] == ("include",) else path[-2] if isinstance(path[-1], int) else path[-1]
    if key in _SIZE_KEYS:
        guesses, otherwise = _sizes(text), _size_advice(str(key), text, pattern)
    elif key in _PERCENT_KEYS:
        guesses, otherwise = _percentages(str(key), text), ""
    elif key in (*_PATH_KEYS, "include"):
        guesses, otherwise = _paths(str(key), text), _path_advice(str(key), text)
    elif key == "origin":
        guesses, otherwise = _origins(text), _origin_advice(text)
    elif key == "loop_device":
        guesses, otherwise = _loop_devices(text), ""
    elif key in ("snapshot", "vg"):
        guesses, otherwise = _lvm_names(text), _NO_DATE * bool(set("$`%") & set(text))
    else:
        return _options_advice(text) if key == "mount_options" else ""
    return next((_said(lead, better) for lead, better in guesses if re.search(pattern, better)), otherwise)


def _said(lead: str, better: str) -> str:
    return f"{lead} {better}{'?' * (lead == _PERHAPS)}"


# --- amounts ------------------------------------------------------------------------------------------------------


def _sizes(text: str) -> Iterator[tuple[str, str]]:
    text = text.strip()
    amount = re.fullmatch(r"([\d_]+)\s*(?:([kmgtKMGT])([iI]?[bB]?))?", text)
    if amount:
        number, unit = amount[1].replace("_", "").lstrip("0"), (amount[2] or "").upper()
        why = f"{amount[2]}{amount[3]} means 1000s to some and 1024s to others: " if amount[3] in ("B", "b") else ""
        if unit:
            yield f"{why}write", f"{number}{unit}iB"
        elif number and int(number) > MOST_MIBS:
            yield "bytes have no unit of their own: write", _of_bytes(int(number))
        else:
            yield from (("add a unit, for example", f"{number}{letter}iB") for letter in "MK")
    time = re.fullmatch(r"(\d+)\s*(s|sec|seconds?|m|mins?|minutes?|h|hours?|)", text, re.IGNORECASE)
    if time:
        unit = {"m": "min", "h": "h"}.get(time[2][:1].lower(), "s")
        yield "write" if time[2] else "add a unit, for example", time[1].lstrip("0") + unit
    fraction = re.fullmatch(r"(\d{1,9})[.,](\d{1,9})\s*([MGT])(?:I?B?)", text, re.IGNORECASE)
    if fraction:
        smaller = {"M": "K", "G": "M", "T": "G"}[fraction[3].upper()]
        yield "a whole number is needed: write", f"{round(float(f'{fraction[1]}.{fraction[2]}') * 1024)}{smaller}iB"
    percent = re.fullmatch(r"(\d+)\s*%\s*(\w*)", text)
    if percent:
        of = nearest(percent[2], ("ORIGIN", "FREE", "PVS"))
        why = "a percentage is of ORIGIN, FREE or PVS, for example" if percent[2] else "say of what, for example"
        yield "write" if of else why, f"{percent[1]}%{of or 'ORIGIN'}"


def _of_bytes(count: int) -> str:
    """The size in the largest unit that gives a whole number, else in KiB, rounded up."""
    for letter, shift in (("T", 40), ("G", 30), ("M", 20)):
        if count % (1 << shift) == 0:
            return f"{count >> shift}{letter}iB"
    return f"{-(-count >> 10)}KiB"


def _size_advice(key: str, text: str, pattern: str) -> str:
    if "%" in text and "%" not in pattern and key != "timeout":
        return "a percentage has no meaning here: leave the key out, and the size is what the snapshots need"
    return "add a unit: K, M, G or T" if text.isdigit() and re.search(pattern, f"{text}K") else ""


def _percentages(key: str, text: str) -> Iterator[tuple[str, str]]:
    if key == "extend_at" and text.lower() in ("never", "off", "no", "none", "false"):
        yield "for no extension at all write", "100%"
    number = re.match(r"\s*(\d{1,3})\s*(?:%|percent|$)", text)
    if number:
        yield "write", f"{number[1].lstrip('0')}%"
    if fraction := re.fullmatch(r"0?[.,](\d{1,2})", text):
        yield "write", f"{int(fraction[1].ljust(2, '0'))}%"


# --- names --------------------------------------------------------------------------------------------------------


def _paths(key: str, text: str) -> Iterator[tuple[str, str]]:
    if key == "mountpoint" and text.strip("/") == "" and text:
        yield "choose a directory of its own, for example", "/mnt/snapshot"
    if text.startswith(("~", "$")):
        return
    if text.startswith("/") and text.endswith("/"):
        yield (
            "that is a directory: add the name of a file, for example",
            text + ("system.key" if key == "key_file" else "lvmsnap.tmp"),
        )
    if text.startswith("/"):
        yield _PERHAPS, posixpath.normpath(text)
    elif "/" in text and not text.startswith("."):
        yield _PERHAPS, posixpath.normpath(f"/{text}")


def _path_advice(key: str, text: str) -> str:
    if key == "mountpoint" and text.lower() in ("no", "none", "off", "false", ""):
        return "for no mount at all write null"
    if text.startswith("~") or "$" in text:
        return f"{_NO_SHELL}: give the path in full"
    return "" if text.startswith("/") else "a path begins with /"


def _origins(text: str) -> Iterator[tuple[str, str]]:
    text = text.strip()
    mapper = re.fullmatch(r"(?:/dev/mapper/)?((?:[^-/]|--)+)-((?:[^-/]|--)+)", text)
    if mapper:
        yield "write" if text[0] == "/" else _PERHAPS, "/".join(part.replace("--", "-") for part in mapper.groups())
    parts = [part.strip() for part in text.removeprefix("/dev/").split("/") if part]
    if text.startswith("/dev/") and len(parts) == 2 and parts[0] not in ("mapper", "disk"):
        yield "write", "/".join(parts)
    elif len(parts) == 2 and not text.startswith("/"):
        yield _PERHAPS, "/".join(parts)
    elif "/" not in text and text.count(":") == 1:
        yield _PERHAPS, text.replace(":", "/")


def _origin_advice(text: str) -> str:
    if text.startswith("/dev/") or re.match("(?:PART)?(?:UUID|LABEL)=", text):
        return "an origin is a logical volume, named VG/LV: lvs -o vg_name,lv_name lists them"
    if text.startswith("/"):
        source = f"findmnt -no SOURCE -T {shlex.quote(text)}"
        return f"that is a path; the volume that it is on: lvs -o vg_name,lv_name $({source})"
    return "name the volume group too: VG/LV (lvs shows both)" if "/" not in text else ""


def _loop_devices(text: str) -> Iterator[tuple[str, str]]:
    if number := re.fullmatch(r"(?:/?dev/)?(?:loop)?(\d{1,7})", text.strip().lower()):
        yield "write", f"/dev/loop{int(number[1])}"
    if nearest(text, ("auto",)):
        yield "write", "auto"


def _lvm_names(text: str) -> Iterator[tuple[str, str]]:
    if not set("$`%") & set(text):
        last = text.strip().rstrip("/").rpartition("/")[2]
        yield _PERHAPS, re.sub(r"[^A-Za-z0-9+_.-]+", "-", last).strip("-")


def _options_advice(text: str) -> str:
    return f"each is a separate entry: {', '.join(text.split(','))}" if "," in text else ""
