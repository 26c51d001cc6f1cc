"""A first profile for a machine: its size, its place, and that its text means just that."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from lvmsnap.model.facts import Mount
from lvmsnap.model.first_profile import Proposal
from lvmsnap.model.looked import DirectoryFacts, Gate, Layer, LuksHeader, MountpointFacts, OriginFacts, Superblock
from lvmsnap.model.profile import Allocation, Size
from lvmsnap.model.units import GIB, MIB
from lvmsnap.planning import first_room
from lvmsnap.profile import loading, template
from tests import TOP, samples
from tests.unit.planning import first
from tests.unit.planning.first import full_vg, machine, propose

HOME = samples.lv("home", device_number="254:7")
HOME_MOUNT = Mount("254:7", "/", "/srv/home", "ext4", "/dev/mapper/vg0-home", mount_id=3)


def text_of(proposal: Proposal) -> str:
    """Return the profile's text, which must mean what was proposed."""
    made = template.proposed(proposal, "/usr/share/schema.json", is_named=True)
    read = loading.parse(made, name="nightly", file="/etc/lvmsnap/nightly.yaml")
    assert read == proposal.profile, made
    assert max(map(len, made.splitlines()[1:])) <= 80, made
    return made


def golden(name: str, proposal: Proposal) -> None:
    """Compare the profile's text with a kept file; LVMSNAP_WRITE_GOLDEN=1 writes it anew."""
    file = TOP / "tests/unit/golden" / name
    if os.environ.get("LVMSNAP_WRITE_GOLDEN"):
        file.write_text(text_of(proposal))
    assert text_of(proposal) == file.read_text()


def test_a_profile_reads_as_the_kept_files_do() -> None:
    other = first.group("vg1", "data", free_extents=0, pvs=(replace(first.FULL, vg="vg1"),))
    mount = Mount("254:20", "/", "/srv/data", "xfs", "/dev/mapper/vg1-data", mount_id=5)
    boot = Mount("98:1", "/", "/srv/system/boot", "ext4", "/dev/sda1", mount_id=9)
    root = Mount("254:0", "/", "/", "ext4", "/dev/mapper/vg0-system", mount_id=1)
    lent = machine(full_vg(), mounts=(boot,))

    golden("first-profile-lent.txt", propose(replace(lent, mounts=(root, *lent.mounts[1:]))))
    golden("first-profile-set.txt", propose(machine(full_vg(), other, mounts=(mount,)), "vg0/system", "vg1/data"))


# --- size -------------------------------------------------------------------------------------------------------------


def test_a_snapshot_has_a_fifth_of_its_origin_where_the_group_has_room() -> None:
    proposal = propose(machine())

    assert (proposal.profile.volumes[0].size, proposal.profile.backing_files) == (Size(2 * GIB), ())
    assert (proposal.failed, proposal.is_risky) == ((), False)
    made = text_of(proposal)
    assert "  # 10 GiB, ext4, mounted at /srv/system\n  - origin: vg0/system\n" in made
    assert "vg0 has 7.812 GiB free\n    size: 2GiB\n" in made


@pytest.mark.parametrize(
    ("origin_bytes", "wanted"),
    [
        (4 * MIB, 5 * MIB),  # more can never be used
        (64 * MIB, 16 * MIB),
        (300 * MIB, 64 * MIB),
        (100 * GIB, 20 * GIB),
        (20480 * GIB, 112 * GIB),
    ],
)
def test_a_size_is_a_round_number_between_bounds(origin_bytes: int, wanted: int) -> None:
    assert first_room.wanted_bytes(samples.lv(size_bytes=origin_bytes), OriginFacts("ext4")) == wanted


def test_a_journal_that_is_replayed_into_the_snapshot_has_room_there() -> None:
    journal = Superblock(128 * MIB, needs_other_device=False, has_journal=True, is_clean=False)
    inside = OriginFacts("ext4", superblock=journal, is_mounted=True, is_in_luks=True)

    sizes = [
        first_room.wanted_bytes(samples.lv(size_bytes=300 * MIB), looked)
        for looked in (
            OriginFacts("ext4", superblock=journal, is_mounted=True),
            OriginFacts("ext4", superblock=journal),
            OriginFacts("crypto_LUKS", luks=LuksHeader(2, samples.LUKS_UUID), inside=inside),
        )
    ]

    assert sizes == [64 * MIB, 160 * MIB, 160 * MIB]


def test_a_group_with_nearly_enough_room_gives_what_it_has_in_whole_extents() -> None:
    proposal = propose(machine(samples.vg(free_extents=300)))

    assert (proposal.profile.volumes[0].size, proposal.profile.backing_files) == (Size(1024 * MIB), ())
    assert proposal.failed == ()


def test_what_lvmsnap_lent_to_the_group_is_no_room_of_its_own() -> None:
    lent = samples.vg(free_extents=5000, pvs=(first.FULL, samples.lent_pv(extents=5000, allocated_extents=0)))

    assert propose(machine(lent)).profile.backing_files != ()


def test_large_extents_are_shared_whole() -> None:
    group = samples.vg(HOME, extent_size_bytes=GIB, free_extents=3)

    proposal = propose(machine(group, places={}, mounts=(HOME_MOUNT,)), "vg0/system", "vg0/home")

    assert (proposal.failed, [one.size for one in proposal.profile.volumes]) == ((), [Size(GIB)] * 2)


# --- place ------------------------------------------------------------------------------------------------------------


def test_a_full_group_gets_a_file_on_another_disk_and_never_on_the_origin() -> None:
    for places in (
        None,
        {"/srv/system": replace(first.ON_ORIGIN, available_bytes=900 * GIB), "/srv/disk": first.THERE},
    ):
        proposal = propose(machine(full_vg(), places=places))

        assert proposal.failed == ()
        assert [file.path for file in proposal.profile.backing_files] == ["/srv/disk/lvmsnap-nightly.tmp"]
        assert "backing_file:\n  path: /srv/disk/lvmsnap-nightly.tmp\n  # max_size: 8GiB " in text_of(proposal)


def test_of_several_places_the_one_with_most_room_is_taken() -> None:
    more = Mount("98:64", "/", "/srv/more", "xfs", "/dev/sdc1", mount_id=4)
    places = {
        "/srv/disk": first.THERE,
        "/srv/more": replace(first.THERE, filesystem="xfs", block_devices=("98:64",), available_bytes=900 * GIB),
    }

    assert (
        propose(machine(full_vg(), places=places, mounts=(more,)))
        .profile.backing_files[0]
        .path.startswith("/srv/more/")
    )


@pytest.mark.parametrize(
    "mount",
    [
        Mount("98:64", "/", "/srv/net", "nfs4", "server:/", mount_id=4),
        Mount("98:64", "/", "/boot", "ext4", "/dev/sda1", mount_id=4),
        Mount("98:64", "/sub", "/srv/part", "ext4", "/dev/sdc1", mount_id=4),
        Mount("98:64", "/", "/srv/read", "ext4", "/dev/sdc1", mount_id=4, filesystem_options=("ro",)),
        Mount("98:64", "/", "/srv/a: b", "ext4", "/dev/sdc1", mount_id=4),
        Mount("98:64", "/", "/run/lvmsnap/home", "ext4", "/dev/sdc1", mount_id=4),
        Mount("98:64", "/", "/srv/disk", "ext4", "/dev/sdc1", mount_id=1),  # covered by the disk
    ],
)
def test_no_file_is_proposed_where_none_may_lie(mount: Mount) -> None:
    assert first_room.folders((mount, first.DISK)) == ("/srv/disk",)


def test_the_root_filesystem_has_its_file_below_var_lib() -> None:
    root, var = Mount("98:1", "/", "/", "ext4", "/dev/sda1", mount_id=1), Mount("98:2", "/", "/var", "ext4", "", 2)

    assert first_room.folders((root, first.DISK)) == ("/var/lib", "/srv/disk")
    assert first_room.folders((root, var)) == ("/", "/var/lib")


def test_a_file_over_a_thin_pool_is_filled_and_one_elsewhere_preferred() -> None:
    over_pool = replace(first.THERE, layers=(Layer("pool", 100 * GIB),), available_bytes=90 * GIB)
    alone = propose(machine(full_vg(), places={"/srv/disk": over_pool}))
    beside = propose(
        machine(full_vg(), places={"/srv/disk": over_pool, "/srv/more": replace(first.THERE, available_bytes=20 * GIB)})
    )

    assert (alone.failed, alone.profile.backing_files[0].allocation) == ((), Allocation.ZERO_FILL)
    assert "  allocation: zero-fill " in text_of(alone)
    assert beside.profile.backing_files[0].path.startswith("/srv/more/")


def test_a_place_with_little_room_gets_a_smaller_file_and_keeps_half_of_what_it_has() -> None:
    proposal = propose(machine(full_vg(), places={"/srv/disk": replace(first.THERE, available_bytes=2 * GIB)}))

    assert proposal.failed == ()
    assert proposal.profile.volumes[0].size == Size(896 * MIB)


def on_same_group() -> dict[str, object]:
    """Make a place that is on another volume of the group."""
    there = replace(first.THERE, block_devices=("254:7",), own_devices=("254:7",))
    uuid = "LVM-" + (samples.VG_UUID + samples.OTHER_UUID).replace("-", "")
    devices = (replace(samples.dm("vg0-home", uuid), device_number="254:7"),)
    return {"places": {"/srv/disk": there}, "dm_devices": devices}


def test_where_there_is_only_another_volume_of_the_group_a_person_has_to_allow_it() -> None:
    proposal = propose(machine(full_vg(), **on_same_group()))  # type: ignore[arg-type]

    assert [check.title for check in proposal.failed] == ["/srv/disk/lvmsnap-nightly.tmp does not lie in vg0"]
    made = text_of(proposal)
    assert "  # allow_same_vg: true\n" in made
    allowed = loading.parse(made.replace("# allow_same_vg", "allow_same_vg"), name="nightly", file="x")
    assert allowed.backing_files[0].allow_same_vg


def test_what_little_the_group_has_is_better_than_another_volume_of_it() -> None:
    proposal = propose(machine(full_vg(free_extents=100, pvs=(samples.DISK,)), **on_same_group()))  # type: ignore[arg-type]

    assert (proposal.failed, proposal.profile.backing_files) == ((), ())
    assert proposal.profile.volumes[0].size == Size(384 * MIB)


@pytest.mark.parametrize("places", [{}, {"/srv/system": first.ON_ORIGIN}])
def test_where_there_is_no_room_at_all_that_is_said_and_how_to_get_some(places: dict[str, DirectoryFacts]) -> None:
    proposal = propose(machine(full_vg(), places=places))

    assert [check.title for check in proposal.failed] == ["space for the snapshot"]
    assert "# backing_file:\n" in text_of(proposal)


def test_what_is_wrong_with_every_profile_decides_nothing() -> None:
    proposal = propose(machine(full_vg(), missing_tools=("cryptsetup",), vg_lock_holder="vgs"))

    assert [check.title for check in proposal.failed] == ["programs installed", "vg0 is not locked"]
    assert proposal.profile.backing_files[0].path == "/srv/disk/lvmsnap-nightly.tmp"


def test_the_group_that_the_boot_needs_is_lent_a_file_and_install_boot_comes_first() -> None:
    root = Mount("254:0", "/", "/", "ext4", "/dev/mapper/vg0-system", mount_id=1)
    facts = machine(full_vg(), places={"/srv/disk": first.THERE})
    facts = replace(facts, mounts=(root, first.DISK))

    proposal = propose(facts)
    safe = propose(replace(facts, looked=replace(facts.looked, boot_recovery=True)))

    assert proposal.is_risky
    assert proposal.profile.backing_files[0].path == "/srv/disk/lvmsnap-nightly.tmp"
    assert not proposal.profile.backing_files[0].accept_boot_risk
    assert "lvmsnap install-boot" in text_of(proposal)
    assert (safe.is_risky, safe.failed) == (False, ())


def test_a_snapshot_that_the_boot_could_take_for_its_origin_is_a_risk_too() -> None:
    facts = machine(boot_tags=("UUID=1",), origin_tags=("UUID=1",))

    assert propose(facts).is_risky


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_a_thin_origin_needs_no_size() -> None:
    proposal = propose(machine(samples.thin_vg()))

    assert (proposal.failed, proposal.profile.volumes[0].size) == ((), None)
    assert "# No size: it lies in the thin pool vg0/pool" in text_of(proposal)


@pytest.mark.parametrize("inside", ["ext4", None])
def test_luks_asks_for_its_passphrase(inside: str | None) -> None:
    behind_root = MountpointFacts("absent", samples.MOUNTPOINT, "", gates=(Gate("/run/lvmsnap", 0, 0, 0o700),))
    own = samples.luks_facts(inside, mountpoint=behind_root)
    facts = replace(own, mounts=(*own.mounts, first.DISK), looked=replace(own.looked, directories={}))

    proposal = propose(facts)

    assert proposal.failed == ()
    assert "    luks: {prompt: true} " in text_of(proposal)


@pytest.mark.parametrize("name", [f"UUID={samples.LUKS_UUID}", "/dev/vg0/system", "/dev/mapper/vg0-system"])
@pytest.mark.parametrize("mode", [0o400, 0o644])
def test_luks_is_opened_by_the_key_file_that_the_machine_has_for_it_if_that_is_root_s_alone(
    name: str, mode: int
) -> None:
    own = samples.luks_facts("ext4", key_file=replace(samples.GOOD_KEY_FILE, mode=mode))
    facts = replace(own, looked=replace(own.looked, directories={}))

    proposal = propose(facts, keys={name: "/root/my key", "UUID=other": "/root/other"})

    assert proposal.failed == ()
    opened = "{key_file: '/root/my key'}   # as in /etc/crypttab" if mode == 0o400 else "{prompt: true} "
    assert f"    luks: {opened}" in text_of(proposal)


def test_luks_that_cannot_be_opened_beside_itself_is_left_closed() -> None:
    own = samples.luks_facts(origin_luks=LuksHeader(2, samples.LUKS_UUID, "it is being reencrypted"))

    proposal = propose(replace(own, looked=replace(own.looked, directories={})))

    assert proposal.failed == ()
    assert (proposal.profile.volumes[0].luks, proposal.profile.volumes[0].mountpoint) == (None, None)


@pytest.mark.parametrize("filesystem", ["btrfs", "swap", "LVM2_member", ""])
def test_of_what_cannot_be_mounted_beside_itself_only_the_device_is_made(filesystem: str) -> None:
    proposal = propose(machine(origin_filesystem=filesystem))

    assert (proposal.failed, proposal.profile.volumes[0].mountpoint) == ((), None)
    assert "    # Only the device is made: " in text_of(proposal)


def test_what_is_mounted_below_an_origin_is_named_as_not_in_its_snapshot() -> None:
    boot = Mount("98:1", "/", "/srv/system/boot", "ext4", "/dev/sda1", mount_id=9)

    text = text_of(propose(machine(mounts=(boot,)))).replace("\n  # ", " ")
    assert "Left out: /srv/system/boot (/dev/sda1): mounted below it," in text
    assert "to include it: `include: [/srv/system/boot]`" in text


# --- sets -------------------------------------------------------------------------------------------------------------


def test_several_volumes_are_one_set_of_one_instant() -> None:
    proposal = propose(machine(samples.vg(HOME), mounts=(HOME_MOUNT,)), "vg0/system", "vg0/home")

    assert (proposal.failed, proposal.profile.is_consistent) == ((), True)
    assert [(one.is_in_tree, one.size) for one in proposal.profile.volumes] == [(True, Size(2 * GIB))] * 2
    text_of(proposal)


def test_a_volume_of_a_set_that_is_mounted_nowhere_has_its_device_made() -> None:
    proposal = propose(machine(samples.vg(HOME)), "vg0/system", "vg0/home")

    assert proposal.failed == ()
    assert [one.is_in_tree for one in proposal.profile.volumes] == [True, False]
    assert "it is mounted nowhere" in text_of(proposal).replace("\n    # ", " ")


def test_a_thin_volume_of_a_set_has_a_size_so_that_all_can_be_of_one_instant() -> None:
    group = samples.thin_vg(HOME)

    proposal = propose(machine(group, mounts=(HOME_MOUNT,)), "vg0/system", "vg0/home")

    assert (proposal.failed, proposal.profile.is_consistent) == ((), True)
    assert all(one.size for one in proposal.profile.volumes)


def test_where_the_snapshots_cannot_be_of_one_instant_that_is_said() -> None:
    facts = machine(samples.vg(HOME), mounts=(HOME_MOUNT,), bound_to_group="/system.slice/x")

    proposal = propose(facts, "vg0/system", "vg0/home")

    assert (proposal.failed, proposal.profile.is_consistent) == ((), False)
    assert "the dead man's switch cannot be armed: its process" in text_of(proposal).replace("\n# ", " ")


def test_what_is_between_the_volumes_of_a_set_is_included() -> None:
    between = Mount("98:70", "/", "/srv/system/x", "xfs", "/dev/sdd1", mount_id=8, parent_id=1)
    inner = replace(HOME_MOUNT, mountpoint="/srv/system/x/home", parent_id=8)

    proposal = propose(machine(samples.vg(HOME), mounts=(between, inner)), "vg0/system", "vg0/home")

    assert (proposal.failed, proposal.profile.includes) == ((), ("/srv/system/x",))
    text_of(proposal)


def test_each_full_group_of_a_set_gets_a_file_of_its_own() -> None:
    other = first.group("vg1", "data", free_extents=0, pvs=(replace(first.FULL, vg="vg1"),))
    mount = Mount("254:20", "/", "/srv/data", "ext4", "/dev/mapper/vg1-data", mount_id=5)
    facts = machine(full_vg(), other, mounts=(mount,))

    proposal = propose(facts, "vg0/system", "vg1/data")

    assert proposal.failed == ()
    assert [(file.vg, file.path) for file in proposal.profile.backing_files] == [
        ("vg0", "/srv/disk/lvmsnap-nightly-vg0.tmp"),
        ("vg1", "/srv/disk/lvmsnap-nightly-vg1.tmp"),
    ]
    text_of(proposal)


def test_two_files_in_one_place_share_it() -> None:
    other = first.group("vg1", "data", free_extents=0, pvs=(replace(first.FULL, vg="vg1"),))
    mount = Mount("254:20", "/", "/srv/data", "ext4", "/dev/mapper/vg1-data", mount_id=5)
    places = {"/srv/disk": replace(first.THERE, available_bytes=4 * GIB)}

    proposal = propose(machine(full_vg(), other, places=places, mounts=(mount,)), "vg0/system", "vg1/data")

    assert (proposal.failed, [one.size for one in proposal.profile.volumes]) == ((), [Size(896 * MIB)] * 2)


def test_only_the_group_that_lacks_room_is_lent_a_file() -> None:
    other = first.group("vg1", "data", free_extents=2000, pvs=(replace(samples.DISK, vg="vg1"),))
    mount = Mount("254:20", "/", "/srv/data", "ext4", "/dev/mapper/vg1-data", mount_id=5)

    proposal = propose(machine(full_vg(), other, mounts=(mount,)), "vg1/data", "vg0/system")

    assert (proposal.failed, [file.vg for file in proposal.profile.backing_files]) == ((), ["vg0"])
    text_of(proposal)
