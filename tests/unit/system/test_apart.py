"""Which control group a process must leave to outlive what is in it, and whether it could."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lvmsnap.model.facts import Mount
from lvmsnap.system import apart, mount_table

UNIFIED = Mount("0:26", "/", "{}", "cgroup2", "cgroup2", filesystem_options=("rw", "nsdelegate"))
NAMED = Mount("0:27", "/", "{}", "cgroup", "cgroup", filesystem_options=("rw", "xattr", "name=systemd"))


@pytest.mark.parametrize(
    ("table", "mount", "group"),
    [
        ("0::/system.slice/backup.service\n", UNIFIED, "/system.slice/backup.service"),
        ("4:memory:/a\n1:name=systemd:/system.slice/b.service\n0::/\n", NAMED, "/system.slice/b.service"),
        ("0::/\n", UNIFIED, ""),
        ("4:memory:/a\n", NAMED, ""),
        ("", UNIFIED, ""),
    ],
)
def test_it_is_the_group_that_systemd_ends_a_unit_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, mount: Mount, group: str
) -> None:
    at = Mount(
        mount.device_number, "/", str(tmp_path), mount.filesystem, "", filesystem_options=mount.filesystem_options
    )
    monkeypatch.setattr(mount_table, "mounts", lambda: (at,))
    monkeypatch.setattr(apart, "Path", path_with(table))

    assert apart.bound_to_group() == group, "nothing is there to be written to"
    (tmp_path / "cgroup.procs").write_text("")
    assert apart.bound_to_group() == ""


def path_with(table: str) -> Any:
    def path(name: str, *more: str) -> Any:
        here = Path(name, *more)
        if str(here) != "/proc/self/cgroup":
            return here

        class Table:
            def read_text(self, **_: str) -> str:
                return table

        return Table()

    return path
