"""Names of LUKS mappings, and what their UUIDs in device-mapper tell."""

from __future__ import annotations

import pytest

from lvmsnap.model.luks_names import is_luks, is_temporary, mapping_name, mapping_uuid, name_in
from lvmsnap.model.lvm_names import MAX_NAME_LENGTH

UUID = "0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9"
HEX = UUID.replace("-", "")


def test_no_two_profiles_have_one_mapping_and_none_is_too_long() -> None:
    assert mapping_name("nightly") == "lvmsnap-nightly"
    assert mapping_name("a", 2) != mapping_name("a-2")
    longest = mapping_uuid(2, UUID, mapping_name("x" * 64, 1000))
    assert len(longest) <= MAX_NAME_LENGTH


def test_the_uuid_tells_whose_a_mapping_is_whatever_its_name_is_by_now() -> None:
    uuid = mapping_uuid(2, UUID, mapping_name("nightly", 2))

    assert uuid == f"CRYPT-LUKS2-{HEX}-lvmsnap-nightly.2"
    assert is_luks(uuid)
    assert name_in(uuid, "nightly") == "lvmsnap-nightly.2"
    assert name_in(uuid, "night") == ""
    assert name_in(mapping_uuid(1, UUID, "lvmsnap-nightly"), "nightly") == "lvmsnap-nightly"


@pytest.mark.parametrize(
    "uuid",
    [
        f"CRYPT-LUKS2-{HEX}-root_crypt",
        f"CRYPT-PLAIN-{HEX}-lvmsnap-nightly",
        f"CRYPT-LUKS2-{HEX}-lvmsnap-nightly-2",
        f"CRYPT-LUKS2-{HEX}-lvmsnap-nightly.x",
        f"LVM-{HEX}-lvmsnap-nightly",
        "",
    ],
)
def test_what_is_no_mapping_of_the_profile_has_no_name_of_it(uuid: str) -> None:
    assert name_in(uuid, "nightly") == ""


def test_what_cryptsetup_makes_for_itself_is_known() -> None:
    assert is_temporary("CRYPT-TEMP-temporary-cryptsetup-4711")
    assert not is_temporary("CRYPT-TEMP-temporary-cryptsetup-x")
    assert not is_temporary(f"CRYPT-LUKS2-{HEX}-temporary-cryptsetup-4711")
