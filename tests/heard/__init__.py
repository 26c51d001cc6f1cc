"""What is heard of lvmsnap at each place where it is listened to: files that a person read, beside this one.

Tests of the simulation make them (tests/simulation/test_heard.py); the lab compares them with real LVM's
(tests/lab/runs/test_heard.py). What is different each time is made the same in both.
"""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent
TERMINALS = {"terminal-80": 80, "terminal-120": 120}
# In a pipe both streams are apart; cron mails both as one; systemd's journal takes the levels of lines.
PLACES = (*TERMINALS, "pipe", "cron", "journal")

# ECMA-48: to the first column, and erase the line; a colour, or none.
ERASE, COLOUR = "\r\x1b[K", re.compile(r"\x1b\[[0-9;]*m")
SPINNING = re.compile(r"[|/\\-] ")
MEANWHILE = "(meanwhile) "

VARYING = (
    (re.compile(r"\bthe run took [\d.]+ (?:s|min \d+ s)"), "the run took 0.5 s"),
    (re.compile(r" *\b\d+\.\d s\b"), lambda found: "0.5 s".rjust(len(found[0])) if found[0][0] == " " else "0.5 s"),
    (re.compile(r"(?<![\d.])\d s\b"), "0 s"),
    (re.compile(r"/dev/loop\d+"), "/dev/loop0"),
    (re.compile(r"\b(kill|PID is) \d+"), r"\1 4711"),
)


# What only differs between the simulated machine and a real one.
FULL = (
    (re.compile(r"\b\d+\.\d %"), "3.1 %"),
    (re.compile(r"\([\d.]+ [KM]iB of"), "(512 KiB of"),
)


def kept(place: str, called: str) -> str:
    """Return what is kept of a place and a call, with what follows the call's line there."""
    text = (FOLDER / f"{place}.txt").read_text()
    (found,) = (section for section in text.split("$ lvmsnap ") if section.split("\n")[0] == called)
    return as_real(found.partition("\n")[2].rstrip("\n"))


def as_real(text: str) -> str:
    """Return it with how full a snapshot became as it is in the kept files: on a real machine that is by chance."""
    for pattern, replacement in FULL:
        text = pattern.sub(replacement, text)
    return text


def on_screen(told: str) -> str:
    """Return what a terminal shows in the end, and above it each line that stood there for a while; no spinner."""
    shown, meanwhile = [], []
    for line in COLOUR.sub("", told).replace("\r\n", "\n").split("\n"):
        *gone, left = line.split(ERASE)
        meanwhile = [one for one in gone if one and not SPINNING.match(one)]
        shown += [MEANWHILE + one for one in dict.fromkeys(meanwhile)]
        shown.append(left)
    return "\n".join(shown)


def same_each_time(text: str) -> str:
    """Return the text with what differs from one time to the next as it is in the kept files."""
    for pattern, replacement in VARYING:
        text = pattern.sub(replacement, text)
    return text
