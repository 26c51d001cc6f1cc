"""Which cases of the lab's matrices a plain run tries, and which tests make the quick walk; the rest is `full`.

Names count from tests/lab. A matrix that is not listed is tried whole: its cases are promises of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

_CRASHES = "crashes/test_crashes.py::"
_FAULTS = "crashes/test_faults.py::"
_MOMENTS = "crashes/test_moments.py::"
_CUTS = "crashes/test_power_cuts.py::"

KEPT: dict[str, tuple[str, ...]] = {
    # Each command once, each signal twice.
    _CRASHES + "test_a_signal_lets_the_command_end_and_undoes_everything": (
        "sh-INT",
        "losetup-TERM",
        "pvcreate-HUP",
        "vgextend-INT",
        "lvcreate-TERM",
        "mount-HUP",
    ),
    _CRASHES + "test_a_signal_ends_what_only_fills_the_file_and_undoes_everything": ("TERM",),
    _CRASHES + "test_signals_at_each_command_of_down_end_with_everything_down": ("INT",),
    _CRASHES + "test_a_killed_up_is_undone_by_the_marks_alone_where_the_record_is_lost": ("vgextend", "lvcreate"),
    _CRASHES + "test_an_lvm_command_that_is_killed_at_work_is_made_good": (
        "lvcreate, alone",
        "lvremove, beside another snapshot",
    ),
    # Each command once, before and after its effect in turn.
    _FAULTS + "test_a_step_of_up_that_fails_leaves_everything_as_before": (
        "sh-before",
        "fallocate-after",
        "losetup-before",
        "pvcreate-after",
        "vgextend-before",
        "lvcreate-after",
        "mount-before",
    ),
    _FAULTS + "test_up_whose_undo_fails_for_ever_names_what_is_left_and_down_finishes": ("rmdir", "lvremove"),
    _FAULTS + "test_a_step_that_took_effect_and_cannot_be_undone_is_what_is_left": ("losetup", "vgextend"),
    _FAULTS + "test_up_whose_undo_fails_once_is_clean_all_the_same": ("vgreduce",),
    _FAULTS + "test_a_step_that_lies_about_its_success_is_found_out": ("fallocate", "pvcreate", "lvcreate", "mount"),
    # Each command of the lent walks once, both kinds of kill in turn; one each of the plain ones.
    _MOMENTS + "test_recover_puts_right_what_a_killed_lvmsnap_left": (
        "up lent, before fallocate",
        "up lent, as it starts losetup",
        "up lent, before pvcreate",
        "up lent, as it starts vgextend",
        "up lent, as it starts lvcreate",
        "up lent, before mount",
        "up plain, as it starts lvcreate",
        "down lent, before umount",
        "down lent, as it starts rmdir",
        "down lent, as it starts lvremove",
        "down lent, before vgreduce",
        "down lent, as it starts pvremove",
        "down lent, before losetup",
        "down lent, before rm",
        "down plain, as it starts lvremove",
    ),
    # Within each command that writes LVM's metadata, and where the stack is whole or almost gone.
    _CUTS + "test_a_power_cut_leaves_nothing_behind_once_the_machine_has_booted": (
        "up lent, before losetup",
        "up lent, within pvcreate",
        "up lent, within vgextend",
        "up lent, within lvcreate",
        "up lent, after mount",
        "up plain, within lvcreate",
        "down lent, within lvremove",
        "down lent, within vgreduce",
        "down lent, within pvremove",
        "down lent, before rm",
        "down plain, before lvremove",
    ),
    "crashes/test_simulation.py::test_a_killed_lvcreate_leaves_a_known_stage_and_recovery_does_the_same_to_both": (
        "79",
    ),
    "runs/test_guard.py::test_a_writer_at_full_speed_loses_no_backup_where_the_file_may_grow": ("1",),
    "runs/test_guard.py::test_a_writer_at_full_speed_without_room_is_124_and_nothing_stays": ("3",),
    "runs/test_recipes.py::test_what_a_recipe_restores_is_what_stood_on_the_origin_just_before_run": (
        "borg",
        "rsync",
        "partclone",
    ),
    "refused/test_backing_checks.py::test_up_finds_the_origin_beneath_the_backing_file_through": (
        "a bind mount",
        "a btrfs subvolume",
        "a partition of a loop device, dm-crypt and another group",
        "a loop device over its block device",
        "another snapshot of it",
    ),
    # What the profile's text alone shows is tried in the tests without the lab.
    "refused/test_checks.py::test_what_is_wrong_in_the_profile_itself_is_exit_2_before_anything_is_read": (
        "too long",
        "misspelt key",
    ),
    "refused/test_swapped_paths.py::"
    "test_directories_that_are_swapped_in_the_middle_of_up_lead_nothing_of_roots_astray": (
        "sh-dd-zero-fill",
        "losetup-nooverlap-fallocate",
        "mount-snap-fallocate",
    ),
    "up_down/test_filesystems.py::test_a_filesystem_is_mounted_beside_its_origin_and_leaves_it_sound": ("ext4", "xfs"),
    "up_down/test_whole_snapshots.py::test_an_overflow_gives_io_errors_and_never_a_panic": ("ext4", "xfs"),
}

# Up and down, one fault, one kill.
QUICK: tuple[str, ...] = (
    "up_down/test_up_down.py::test_a_snapshot_on_lent_space_holds_the_moment_of_up_and_down_leaves_nothing",
    _FAULTS + "test_a_step_of_up_that_fails_leaves_everything_as_before[vgextend-before]",
    _MOMENTS + "test_recover_puts_right_what_a_killed_lvmsnap_left[up lent, before mount]",
)


def markers(name: str) -> Iterator[str]:
    """Give the markers of a test of the lab by its name, counted from tests/lab."""
    matrix, bracket, case = name.partition("[")
    if bracket and matrix in KEPT and case.removesuffix("]") not in KEPT[matrix]:
        yield "full"
    if name in QUICK:
        yield "quick"
