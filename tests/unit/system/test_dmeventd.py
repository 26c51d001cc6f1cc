"""Whether dmeventd watches snapshots is seen without starting it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lvmsnap.system import dmeventd, process_table
from lvmsnap.system.processes import Finished

LIBRARY = "7f00-7f10 r-xp 00000000 08:01 99 /usr/lib/device-mapper/libdevmapper-event-lvm2snapshot.so\n"


@pytest.mark.parametrize(
    ("name", "maps", "expected"),
    [
        ("dmeventd", LIBRARY, True),
        ("dmeventd", LIBRARY.replace("snapshot", "thin"), False),
        ("dmeventd", None, False),
        ("vim", LIBRARY, False),
    ],
)
def test_it_watches_snapshots_while_it_has_the_library_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, maps: str | None, expected: bool
) -> None:
    monkeypatch.setattr(process_table, "PROC", tmp_path)
    for pid, comm in (("4", "sh"), ("5", name), ("6", "sh")):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "comm").write_text(f"{comm}\n")
        (tmp_path / pid / "exe").symlink_to("its program")
    if maps is not None:
        (tmp_path / "5/maps").write_text(maps)

    assert dmeventd.watches_snapshots() == expected


@pytest.mark.parametrize(
    ("printed", "expected"),
    [("  monitored\n", True), ("  not monitored\n  monitored\n", True), ("  not monitored\n", False), ("", False)],
)
def test_it_watches_a_snapshot_that_lvm_calls_monitored(printed: str, expected: bool) -> None:
    runner: Any = type("Fake", (), {"run": lambda _, argv: Finished(argv, 0, printed, "", 0.0)})()

    assert dmeventd.watches(runner, "vg0/x") == expected
