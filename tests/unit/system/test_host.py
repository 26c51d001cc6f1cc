"""Which identity a machine-id gives a host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lvmsnap.system import host

MACHINE_ID = "0123456789abcdef0123456789abcdef"


def test_a_host_is_eight_hex_digits_that_do_not_show_its_machine_id(tmp_path: Path) -> None:
    (tmp_path / "machine-id").write_text(f"{MACHINE_ID}\n")

    found = host.host_id(str(tmp_path / "machine-id"))

    assert re.fullmatch(r"[0-9a-f]{8}", found)
    # Marks on disks outlive a version of lvmsnap: this must never change.
    assert found == "d4c9cc50"
    assert found not in MACHINE_ID
    assert found != host.identity(MACHINE_ID.replace("0", "1").encode())


@pytest.mark.parametrize("text", ["", "\n", "uninitialized\n", "0" * 32, "0123", "g" * 32, f"{MACHINE_ID}0"])
def test_a_machine_without_an_id_has_no_identity(text: str, tmp_path: Path) -> None:
    (tmp_path / "machine-id").write_text(text)

    assert host.host_id(str(tmp_path / "machine-id")) == ""


def test_a_missing_or_unreadable_machine_id_is_no_error(tmp_path: Path) -> None:
    assert host.host_id(str(tmp_path / "none")) == ""
    assert host.host_id(str(tmp_path)) == ""
