"""Headers of LUKS containers: which there are, and of which a snapshot is not opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lvmsnap.model.looked import LuksHeader
from lvmsnap.system import luks_header

UUID = "0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9"


def header(version: int, metadata: object = None) -> bytes:
    """Make the first bytes of a device as cryptsetup writes them."""
    text = json.dumps(metadata).encode() + b"\0" if metadata is not None else b""
    head = luks_header.MAGIC + version.to_bytes(2, "big") + (16384).to_bytes(8, "big")
    head = head.ljust(luks_header.UUID_OFFSET, b"\xee") + UUID.encode().ljust(luks_header.UUID_BYTES, b"\0")
    return (head.ljust(luks_header.JSON_OFFSET, b"\0") + text).ljust(16384, b"\0")


def metadata(segment: dict[str, Any] | None = None, **config: Any) -> dict[str, Any]:
    plain = {"type": "crypt", "offset": "16777216", "size": "dynamic", "encryption": "aes-xts-plain64"}
    return {"keyslots": {}, "segments": {"0": plain | (segment or {})}, "config": {"json_size": "12288", **config}}


def test_both_versions_are_known_by_their_uuid(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(header(1))
    (tmp_path / "two").write_bytes(header(2, metadata(flags=["allow-discards"])))

    assert luks_header.read(str(tmp_path / "one")) == LuksHeader(1, UUID)
    assert luks_header.read(str(tmp_path / "two")) == LuksHeader(2, UUID)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (metadata(requirements={"mandatory": ["online-reencrypt-v2"]}), "re-encrypted"),
        (metadata() | {"segments": {"0": {"type": "crypt"}, "1": {"type": "linear"}}}, "re-encrypted"),
        (metadata({"integrity": {"type": "hmac(sha256)"}}), "integrity"),
        (metadata(requirements={"mandatory": ["opal"]}), "it needs opal"),
        (metadata({"type": "hw-opal"}), "it needs hw-opal"),
        ({"config": {}}, "damaged"),
        ({"config": [], "segments": {}}, "damaged"),
        ({"config": {}, "segments": {"0": {}}}, "damaged"),
        ([], "damaged"),
    ],
)
def test_a_container_that_one_plain_mapping_does_not_open_says_why(metadata: object, words: str) -> None:
    found = luks_header.parse(header(2, metadata))

    assert found is not None
    assert words in found.obstacle


def test_a_version_of_the_future_and_a_torn_header_are_obstacles_too() -> None:
    assert luks_header.parse(header(3)) == LuksHeader(3, UUID, "its LUKS version 3 is not known")
    assert luks_header.parse(header(2)[:5000] + b"\xff" * 9) == LuksHeader(2, UUID, "its LUKS header is damaged")


def test_what_is_no_luks_has_no_header(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(luks_header.MAGIC + b"\0\x02")
    (tmp_path / "ext4").write_bytes(bytes(8192))

    assert luks_header.read(str(tmp_path / "short")) is None
    assert luks_header.read(str(tmp_path / "ext4")) is None
    assert luks_header.read(str(tmp_path / "absent")) is None
