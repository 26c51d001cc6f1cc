"""The recipes of the documentation as data, and what each program is known not to keep of the files it brings back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests import TOP

PAGE = (TOP / "lvmsnap/docs/recipes.md").read_text()
# What is below this heading is shown, and not carried out.
EXAMPLES = "Several volumes"
LABELS = ("environment", "once", "each night", "restore")
MiB = 1 << 20
SECOND = 10**9
# What two programs may differ in where one knows a file's extents and the other finds its zeros.
SLACK = MiB // 16


class Recipe(NamedTuple):
    """The commands of one recipe: `once` and `each night` and `restore`, each with the environment it needs."""

    once: str
    night: str
    restore: str


class Difference(NamedTuple):
    """What of one path is not as it was; `now` is None where the path is gone, `was` where it is new."""

    path: str
    field: str
    was: Any
    now: Any


Excuse = Callable[[Difference], bool]


def recipes() -> dict[str, Recipe]:
    """Read the recipes out of their page: a heading for each, below it blocks of sh that begin with what they are."""
    found = {}
    for part in PAGE.partition(f"\n## {EXAMPLES}\n")[0].split("\n## ")[1:]:
        name, _, text = part.partition("\n")
        blocks = dict(re.findall(r"```sh\n# ([^\n]*)\n(.*?)```", text, re.DOTALL))
        environment = blocks.get(LABELS[0], "")
        found[name] = Recipe(*(environment + blocks[label] if label in blocks else "" for label in LABELS[1:]))
    return found


def profiles() -> dict[str, str]:
    """Read the profiles of the recipes out of their page, by name."""
    return dict(re.findall(r"`/etc/lvmsnap/(\w+)\.yaml`[^`]*```yaml\n(.*?)```", PAGE, re.DOTALL))


def differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    """Compare two manifests of mixed_files; a file may take less room than it did, but not more."""
    for path in sorted(before.keys() | after.keys()):
        if path not in before or path not in after:
            yield Difference(path, "type", *(tree[path]["type"] if path in tree else None for tree in (before, after)))
            continue
        for field, was in before[path].items():
            now = after[path][field]
            if now > was + SLACK if field == "allocated" else now != was:
                yield Difference(path, field, was, now)


def no_socket(found: Difference) -> bool:
    """A socket does not come back: only the program that listens on it can make it."""
    return found.field == "type" and found.was == "s" and found.now is None


def coarse_holes(limit: int) -> Excuse:
    """Give the excuse that holes come back as zeros where the program does not see them, up to so much in a file."""
    return lambda found: found.field == "allocated" and found.now <= found.was + limit


def mtime_of_the_top(found: Difference) -> bool:
    """The top directory's time of change is that of the restore."""
    return found.path == "." and found.field == "mtime"


def the_top_itself(found: Difference) -> bool:
    """Of the top directory only what is in it comes back."""
    return found.path == "." and found.field in ("mode", "owner", "mtime", "xattrs")


def times_beyond_32_bits(found: Difference) -> bool:
    """A time before 1970 or after January 2038 does not come back."""
    return found.field == "mtime" and not 0 <= found.was < (2**31 - 86400) * SECOND


def fractions_of_seconds(found: Difference) -> bool:
    """Times come back in whole seconds."""
    return found.field == "mtime" and bool(found.was // SECOND * SECOND == found.now)


def odd_link_targets(found: Difference) -> bool:
    """A symlink's target that is not UTF-8 comes back with other bytes."""
    return found.field == "target" and b"\xff" in bytes.fromhex(found.was)


# As the page says below each recipe.
NOT_KEPT: dict[str, tuple[Excuse, ...]] = {
    "borg": (no_socket, times_beyond_32_bits, mtime_of_the_top, coarse_holes(8 * MiB)),
    "restic": (no_socket, odd_link_targets, the_top_itself, coarse_holes(1024 * MiB)),
    "rsync": (),
    "tar": (no_socket,),
    "partclone": (),
    "fsarchiver": (fractions_of_seconds, times_beyond_32_bits, mtime_of_the_top, coarse_holes(2 * MiB)),
}
