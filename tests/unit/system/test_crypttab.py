"""The key files of /etc/crypttab."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvmsnap.system import crypttab

TABLE = """\
# name  device  key  options
data UUID=0A1B2C3D-4E5F-4071-8293-A4B5C6D7E8F9 /root/data.key luks,discard
home\t/dev/vg0/home\t/root/home.key
quoted UUID="1111" /root/quoted.key
linked /dev/disk/by-uuid/2222 /root/linked.key luks
asked UUID=3333 none luks
short UUID=4444
swap /dev/vg0/swap /dev/urandom swap
part UUID=5555 /root/part.key luks,keyfile-offset=4096
header UUID=6666 /root/header.key header=/boot/header
stick UUID=7777 /key:LABEL=stick luks
"""


def test_only_files_that_are_the_whole_key_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypttab, "CRYPTTAB", str(tmp_path / "crypttab"))
    assert crypttab.key_files() == {}
    (tmp_path / "crypttab").write_text(TABLE)

    assert crypttab.key_files() == {
        "UUID=0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9": "/root/data.key",
        "/dev/vg0/home": "/root/home.key",
        "UUID=1111": "/root/quoted.key",
        "UUID=2222": "/root/linked.key",
    }
