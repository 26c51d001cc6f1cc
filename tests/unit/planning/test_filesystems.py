"""What each filesystem's snapshot is mounted with, and when it is not mounted at all. Pure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvmsnap.model.facts import Facts, Mount
from lvmsnap.model.looked import OriginFacts, Superblock
from lvmsnap.model.plan import Check
from lvmsnap.model.target import Permission
from lvmsnap.model.units import MIB
from lvmsnap.planning import filesystems
from tests import samples

JOURNAL = Superblock(64 * MIB, needs_other_device=False, has_journal=True, is_clean=True)
ELSEWHERE = Superblock(0, needs_other_device=True, has_journal=True, is_clean=True)
DIRTY = Superblock(0, needs_other_device=False, has_journal=False, is_clean=False)


def origin(facts: Facts) -> OriginFacts:
    return facts.looked.origins["vg0", "system"]


def options(facts: Facts, *wanted: str) -> list[str]:
    return list(filesystems.mount_options(samples.ORIGIN.device_number, origin(facts), facts.mounts, wanted))


def checks(facts: Facts, cow_bytes: int = 1024 * MIB) -> dict[str, Check]:
    return {check.title: check for check in filesystems.checks("vg0/system", origin(facts), cow_bytes)}


def failed(facts: Facts) -> list[str]:
    return [title for title, check in checks(facts).items() if not check.passed]


@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4"])
def test_an_ext_filesystem_is_never_mounted_with_the_panic_of_its_superblock(kind: str) -> None:
    assert options(samples.facts(origin_filesystem=kind)) == ["ro", "errors=continue", "nosuid", "nodev"]


def test_a_filesystem_with_a_journal_has_a_snapshot_that_takes_writes() -> None:
    writable = {
        kind: filesystems.permission(kind) for kind in ("ext2", "ext3", "ext4", "xfs", "f2fs", "vfat", "btrfs", "")
    }

    assert {kind for kind, value in writable.items() if value is Permission.READ_WRITE} == set(filesystems.JOURNALED)
    assert filesystems.JOURNALED == ("ext3", "ext4", "xfs", "f2fs")


def test_the_files_of_a_vfat_belong_to_whom_they_belong_on_the_origin() -> None:
    mounted = ("rw", "uid=1000", "fmask=0077", "dmask=0077", "codepage=437", "iocharset=utf8", "errors=remount-ro")
    kept = ["uid=1000", "fmask=0077", "dmask=0077", "codepage=437", "iocharset=utf8"]

    facts = samples.facts(origin_filesystem="vfat", origin_options=mounted, origin_is_mounted=True)

    assert options(facts) == ["ro", *kept, "nosuid", "nodev"]
    assert options(facts, "uid=0")[-1] == "uid=0"
    assert options(samples.facts(origin_filesystem="vfat")) == ["ro", "umask=0077", "nosuid", "nodev"]


@pytest.mark.parametrize(("kind", "program"), [("vfat", "fsck.fat"), ("ext2", "e2fsck")])
def test_one_without_a_journal_that_nobody_froze_and_nobody_unmounted_is_refused(kind: str, program: str) -> None:
    facts = samples.facts(origin_filesystem=kind, origin_superblock=DIRTY)

    assert failed(facts) == ["vg0/system's filesystem is consistent"]
    assert program in checks(facts)["vg0/system's filesystem is consistent"].hint


@pytest.mark.parametrize("kind", ["xfs", "f2fs"])
def test_one_that_lies_on_another_device_too_is_refused_though_it_is_mounted(kind: str) -> None:
    facts = samples.facts(origin_filesystem=kind, origin_superblock=ELSEWHERE, origin_is_mounted=True)

    assert failed(facts) == ["vg0/system's filesystem lies entirely on vg0/system"]
    assert "noload" not in options(facts)


def test_the_origins_noexec_is_inherited_from_whichever_of_its_mounts_has_it() -> None:
    plain = samples.GOOD.mounts[0]
    strict = replace(plain, mountpoint="/srv/upload", options=("rw", "noexec", "nosuid"))
    other = Mount("8:1", "/", "/boot", "ext4", "/dev/sda1", options=("rw", "noexec"))

    assert "noexec" not in options(samples.facts(mounts=(plain, other)))
    assert options(samples.facts(mounts=(plain, strict)))[-3:] == ["nosuid", "nodev", "noexec"]


def test_what_protects_others_is_left_out_where_the_profile_says_the_opposite() -> None:
    strict = samples.facts(mounts=(replace(samples.GOOD.mounts[0], options=("noexec",)),))

    assert options(strict, "suid", "dev", "exec") == ["ro", "errors=continue", "suid", "dev", "exec"]
    assert options(strict, "suid") == ["ro", "errors=continue", "nodev", "noexec", "suid"]
    assert options(strict, "noexec", "noatime") == ["ro", "errors=continue", "nosuid", "nodev", "noexec", "noatime"]


def test_a_journal_on_another_device_is_left_alone_where_the_origin_was_frozen_and_refused_where_not() -> None:
    frozen = samples.facts(origin_superblock=ELSEWHERE, origin_is_mounted=True)

    assert options(frozen)[:3] == ["ro", "noload", "errors=continue"]
    assert failed(frozen) == []
    assert failed(samples.changed(frozen, origin_is_mounted=False)) == [
        "vg0/system's filesystem lies entirely on vg0/system"
    ]
    assert failed(samples.changed(frozen, origin_filesystem="xfs")) == [
        "vg0/system's filesystem lies entirely on vg0/system"
    ]


def test_without_a_journal_an_origin_of_another_machine_must_be_clean() -> None:
    dirty = samples.facts(origin_filesystem="ext2", origin_superblock=DIRTY)

    assert failed(dirty) == ["vg0/system's filesystem is consistent"]
    assert failed(samples.changed(dirty, origin_is_mounted=True)) == []
    assert failed(samples.changed(dirty, origin_superblock=replace(DIRTY, is_clean=True))) == []


def test_a_read_only_mount_here_makes_no_ext2_whole() -> None:
    facts = samples.facts(origin_filesystem="ext2", origin_superblock=DIRTY, origin_is_mounted=True)
    read_only = samples.changed(facts, origin_mount_options=("ro", "errors=continue"))
    title = "vg0/system's filesystem is consistent"

    assert failed(samples.changed(facts, origin_mount_options=("rw",))) == []
    assert (
        checks(read_only)[title].found == "it has no journal, and was not cleanly unmounted, and is mounted read-only"
    )
    assert failed(read_only) == [title]
    assert failed(samples.changed(read_only, origin_superblock=replace(DIRTY, is_clean=True))) == []


@pytest.mark.parametrize("option", ["noload", "norecovery"])
def test_a_journal_that_a_mount_here_does_not_replay_needs_its_room_and_its_device(option: str) -> None:
    full = replace(JOURNAL, is_clean=False)
    facts = samples.facts(origin_superblock=full, origin_is_mounted=True, origin_mount_options=("ro", option))
    title = "the snapshot has room for vg0/system's journal"

    assert checks(facts, 32 * MIB)[title].hint.startswith("the journal is replayed into that space, since its mount")
    assert title not in checks(samples.changed(facts, origin_mount_options=("ro",)), 32 * MIB)
    assert title not in checks(samples.changed(facts, origin_superblock=JOURNAL), 32 * MIB)
    elsewhere = samples.changed(facts, origin_superblock=replace(ELSEWHERE, is_clean=False))
    assert failed(elsewhere) == ["vg0/system's filesystem lies entirely on vg0/system"]
    assert failed(samples.changed(elsewhere, origin_mount_options=("ro",))) == []


def test_a_snapshot_smaller_than_the_journal_is_a_warning_where_the_origin_is_not_mounted_here() -> None:
    facts = samples.facts(origin_superblock=JOURNAL)
    title = "the snapshot has room for vg0/system's journal"

    check = checks(facts, 32 * MIB)[title]

    assert (check.passed, check.warning, check.found) == (True, True, "32 MiB, less than its journal of 64 MiB")
    assert title not in checks(facts, 64 * MIB)
    assert title not in checks(samples.changed(facts, origin_is_mounted=True), 32 * MIB)
