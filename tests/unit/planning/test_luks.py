"""LUKS in an origin: what refuses it, what is known of what is in it, and whose a mapping is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lvmsnap.model.facts import DmDevice, Facts
from lvmsnap.model.looked import Gate, KeyFileFacts, LuksHeader, MountpointFacts, Superblock
from lvmsnap.model.plan import Check, Thing
from lvmsnap.model.target import LuksMapping, Permission
from lvmsnap.model.units import MIB
from lvmsnap.planning import hook_actions, left_alone, lost_record, planner, replacement, state
from lvmsnap.planning.identify import Found, find
from tests import samples
from tests.samples import KEY_FILE, MAPPING_UUID, luks_facts, mapping

KEYED = samples.profile(f"volumes: [{{origin: vg0/system, luks: {{key_file: {KEY_FILE}}}}}]")
ASKED = samples.profile("volumes: [{origin: vg0/system, luks: {prompt: true}}]")
DEVICE = samples.profile(f"volumes: [{{origin: vg0/system, mountpoint: null, luks: {{key_file: {KEY_FILE}}}}}]")
LUKS = LuksMapping("lvmsnap-nightly", MAPPING_UUID, KEY_FILE)
JOURNAL = Superblock(64 * MIB, needs_other_device=False, has_journal=True, is_clean=False)


def failed(facts: Facts, profile: Any = KEYED) -> dict[str, Check]:
    return {check.title: check for check in planner.plan_up(profile, facts, ()).checks if not check.passed}


def up_facts(*more: DmDevice, **fields: Any) -> Facts:
    """Make the system while nightly is up, its LUKS mapping mounted."""
    group = samples.vg(samples.snapshot_lv())
    at = MountpointFacts("mounted", samples.MOUNTPOINT, "")
    own = {"mounts": (samples.mounted(device_number="254:20"),), "more_devices": (mapping(), *more)}
    return luks_facts(group=group, **{"mountpoint": at, "udev_rule": True, **own, **fields})


def found(facts: Facts) -> Found:
    return find(samples.target(lent_pv=None, luks=LUKS), facts, samples.record(lent_pv=None, luks=LUKS))


# --- checks ---------------------------------------------------------------------------------------------------------


def test_an_origin_with_luks_and_a_key_of_roots_passes_every_check() -> None:
    assert failed(luks_facts()) == {}
    shut = MountpointFacts("absent", samples.MOUNTPOINT, "", (Gate("/run/lvmsnap", 0, 0, 0o700),))
    assert failed(luks_facts(None, mountpoint=shut)) == {}
    assert failed(luks_facts(has_terminal=True), ASKED) == {}
    assert failed(luks_facts(""), DEVICE) == {}


def test_luks_that_the_profile_does_not_open_says_which_key_would() -> None:
    check = failed(luks_facts(), samples.profile())["vg0/system's filesystem can be mounted from a snapshot"]

    assert "`luks` with a `key_file`, or with `prompt: true`, opens it" in check.found


def test_an_origin_without_luks_is_refused_where_it_is_to_be_opened() -> None:
    checks = failed(samples.facts())

    assert list(checks) == ["vg0/system holds LUKS"]
    assert checks["vg0/system holds LUKS"].found == "ext4"


def test_what_cannot_be_opened_beside_its_origin_is_refused() -> None:
    header = LuksHeader(2, samples.LUKS_UUID, "it is being re-encrypted")

    assert (
        failed(luks_facts(origin_luks=header))["vg0/system's LUKS can be opened from a snapshot"].found
        == header.obstacle
    )


@pytest.mark.parametrize(
    ("here", "words"),
    [
        (KeyFileFacts("absent"), "does not exist"),
        (KeyFileFacts("symlink"), "symlink"),
        (KeyFileFacts("other"), "not a regular file"),
        (KeyFileFacts("unreachable", stalling="nfs4"), "its path crosses nfs4"),
        (replace(samples.GOOD_KEY_FILE, uid=1000), "belongs to user 1000"),
        (replace(samples.GOOD_KEY_FILE, mode=0o440), "mode 0440"),
        (replace(samples.GOOD_KEY_FILE, mode=0o602), "mode 0602"),
        (replace(samples.GOOD_KEY_FILE, size_bytes=0), "empty"),
        (replace(samples.GOOD_KEY_FILE, size_bytes=9 * MIB), "larger than a key can be"),
        (
            replace(samples.GOOD_KEY_FILE, gates=(Gate("/tmp", 0, 0, 0o1777),)),
            "users other than root can write to /tmp",
        ),
        (replace(samples.GOOD_KEY_FILE, gates=(Gate("/srv", 7, 0, 0o755),)), "/srv belongs to user 7"),
    ],
)
def test_a_key_file_that_others_could_use_or_swap_is_refused(here: KeyFileFacts, words: str) -> None:
    checks = failed(luks_facts(key_file=here))

    assert list(checks) == [f"only root can use key file {KEY_FILE}"]
    (check,) = checks.values()
    assert words in check.found
    assert check.hint


def test_a_passphrase_needs_a_terminal_and_a_mapping_a_free_name_and_a_driver() -> None:
    asked = "a terminal to ask for the passphrase of vg0/system on"
    assert list(failed(luks_facts(), ASKED)) == [asked]
    other = mapping("CRYPT-PLAIN-x", beneath=("8:1",))
    assert list(failed(luks_facts(more_devices=(other,)))) == ["device name lvmsnap-nightly is free"]
    assert list(failed(luks_facts(crypt_target=False))) == ["kernel has dm-crypt"]


def test_a_volume_group_in_the_container_is_seen_twice_by_nobody() -> None:
    assert list(failed(luks_facts("LVM2_member"), DEVICE)) == ["vg0/system's LUKS holds no PV"]
    assert list(failed(luks_facts("LVM2_member"))) == ["vg0/system's filesystem can be mounted from a snapshot"]


def test_a_filesystem_in_luks_is_never_taken_for_frozen() -> None:
    def with_superblock(superblock: Superblock) -> Facts:
        facts = luks_facts()
        inside = facts.looked.origins["vg0", "system"].inside
        assert inside is not None
        return samples.changed(facts, origin_inside=replace(inside, superblock=superblock))

    small = samples.profile(f"volumes: [{{origin: vg0/system, size: 16M, luks: {{key_file: {KEY_FILE}}}}}]")
    warned = [one for one in planner.plan_up(small, with_superblock(JOURNAL), ()).checks if one.warning]
    assert [one.found for one in warned] == ["16 MiB, less than its journal of 64 MiB"]
    assert "it is in LUKS, and not frozen" in warned[0].hint
    dirty = replace(JOURNAL, has_journal=False)
    assert list(failed(with_superblock(dirty))) == ["vg0/system's filesystem is consistent"]
    elsewhere = replace(JOURNAL, needs_other_device=True, is_clean=True)
    assert list(failed(with_superblock(elsewhere))) == ["vg0/system's filesystem lies entirely on vg0/system"]


def test_the_snapshot_is_writable_and_its_place_is_judged_by_where_the_mapping_is_mounted() -> None:
    made = planner.plan_up(DEVICE, luks_facts(), ())
    assert made.target is not None
    assert made.target.snapshots[0].permission is Permission.READ_WRITE
    elsewhere = samples.profile(
        f"volumes: [{{origin: vg0/system, mountpoint: /srv/snap, luks: {{key_file: {KEY_FILE}}}}}]"
    )
    here = MountpointFacts("absent", "/srv/snap", "", samples.WAY)
    assert failed(luks_facts(mountpoint=here), elsewhere) == {}
    # Closed, it is open to nobody.
    assert list(failed(luks_facts(None, mountpoint=here), elsewhere)) == ["/srv/snap is no more open than vg0/system"]


# --- whose it is ------------------------------------------------------------------------------------------------------


def test_a_mapping_is_ours_by_its_uuid_and_by_what_it_lies_on_whatever_its_name_is() -> None:
    facts = up_facts()
    assert found(facts).snapshots[0].is_mounted
    assert found(facts).snapshots[0].luks.is_open
    renamed = up_facts(dm_devices=(mapping(name="other"),))
    assert found(renamed).snapshots[0].luks.is_open
    assert state.of_target(samples.target(lent_pv=None, luks=LUKS), facts, None).device == "/dev/mapper/lvmsnap-nightly"


@pytest.mark.parametrize(
    "device",
    [
        mapping(beneath=("254:0",)),
        mapping(beneath=("254:3", "254:9")),
        mapping("CRYPT-LUKS2-00000000000000000000000000000000-lvmsnap-nightly"),
        mapping("CRYPT-PLAIN-x"),
        mapping(""),
        mapping("", beneath=()),
        mapping("LVM-x", beneath=()),
    ],
)
def test_a_device_that_has_the_name_alone_is_not_ours(device: DmDevice) -> None:
    facts = up_facts(dm_devices=(device,))

    one = found(facts).snapshots[0]
    assert one.luks.own == ()
    assert not one.is_mounted
    target = samples.target(lent_pv=None, luks=LUKS)
    assert "/dev/mapper/lvmsnap-nightly: it is not the mapping that lvmsnap opened" in left_alone.left_alone(
        target, found(facts), facts
    )
    down = planner.plan_down(target, facts, None)
    assert Thing.LUKS not in [action.thing for action in down.actions]


def test_what_a_killed_cryptsetup_left_goes_too() -> None:
    without_table = mapping(beneath=(), has_table=False)
    loaded = mapping(has_table=False)
    temporary = mapping("CRYPT-TEMP-temporary-cryptsetup-11", "temporary-cryptsetup-11")
    for devices in ((without_table,), (loaded,), (temporary,), (loaded, temporary)):
        facts = up_facts(dm_devices=devices, mounts=())
        assert not found(facts).snapshots[0].luks.is_open
        (action,) = (
            one
            for one in planner.plan_down(samples.target(lent_pv=None, luks=LUKS), facts, None).actions
            if one.thing is Thing.LUKS
        )
        assert action.undo == tuple(("dmsetup", "remove", "--retry", "--uuid", device.uuid) for device in devices)
    elsewhere = replace(temporary, beneath=("254:0",))
    assert found(up_facts(dm_devices=(elsewhere,))).snapshots[0].luks.left == ()


def test_it_is_taken_down_from_the_top_and_nothing_of_it_is_taken_for_what_is_in_the_way_of_the_next() -> None:
    target, facts = samples.target(lent_pv=None, luks=LUKS), up_facts()

    things = [action.thing for action in planner.plan_down(target, facts, None).actions]
    assert things == [Thing.MOUNT, Thing.DIRECTORY, Thing.LUKS, Thing.UDEV_RULE, Thing.SNAPSHOT]
    there = {samples.MOUNTPOINT: facts.looked.mountpoints[samples.MOUNTPOINT]}
    facts = replace(facts, looked=replace(facts.looked, mountpoints=there))
    without = replacement.without_old(facts, found(facts))
    assert failed(without) == {}
    assert without.mounts == ()


def test_without_its_record_a_mapping_is_known_by_its_uuid_and_what_it_lies_on() -> None:
    facts = up_facts(dm_devices=(mapping(name="renamed"),))

    for profile in (None, samples.profile(), KEYED):
        target = lost_record.target_from_marks("nightly", profile, facts, samples.HOST)
        assert target is not None
        assert target.snapshots[0].luks == LuksMapping("lvmsnap-nightly", MAPPING_UUID)
        assert target.snapshots[0].mount is not None
        assert find(target, facts).snapshots[0].is_mounted


def test_without_its_record_a_mapping_of_another_profile_is_left_alone() -> None:
    other = mapping(MAPPING_UUID.replace("nightly", "weekly"))

    target = lost_record.target_from_marks("nightly", KEYED, up_facts(dm_devices=(other,), mounts=()), samples.HOST)

    assert target is not None
    assert target.snapshots[0].luks == LuksMapping("lvmsnap-nightly", "")
    assert find(target, up_facts(dm_devices=(other,), mounts=())).snapshots[0].luks.own == ()


def test_a_profile_whose_mapping_was_closed_is_partial() -> None:
    target, facts = samples.target(lent_pv=None, luks=LUKS), up_facts(dm_devices=(), mounts=())
    record = samples.record(lent_pv=None, luks=LUKS)

    assert state.of_target(target, facts, record).problem == "missing: LUKS mapping, mount"


def test_a_command_is_told_of_the_opened_device() -> None:
    told = hook_actions.variables(samples.target(luks=LUKS))

    assert {told["LVMSNAP_DEVICE"], told["LVMSNAP_DEVICE_1"]} == {"/dev/mapper/lvmsnap-nightly"}
