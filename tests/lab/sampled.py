"""Which cases of the lab's matrices a plain run tries, and which tests make the quick walk; the rest is `full`.

Names count from tests/lab. A matrix that is not listed is tried whole: its cases are promises of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

_CRASHES = "crashes/test_crashes.py::"
_FAULTS = "crashes/test_faults.py::"
_MOMENTS = "crashes/test_moments.py::"
_CUTS = "crashes/test_power_cuts.py::"
_OWN_ROOT = "crashes/test_own_root_crashes.py::"
_DISK_FAULTS = "crashes/test_disk_faults.py::"

KEPT: dict[str, tuple[str, ...]] = {
    # Every fault, kill, cut and signal at every command is tried in tests/simulation. Here they are tried where real
    # LVM may differ: in commands that change its metadata, and where the stack is whole or almost gone.
    _CRASHES + "test_a_signal_lets_the_command_end_and_undoes_everything": ("lvcreate-TERM",),
    _CRASHES + "test_a_signal_ends_what_only_fills_the_file_and_undoes_everything": ("TERM",),
    _CRASHES + "test_signals_at_each_command_of_down_end_with_everything_down": ("INT",),
    _CRASHES + "test_a_killed_up_is_undone_by_the_marks_alone_where_the_record_is_lost": ("lvcreate",),
    _CRASHES + "test_after_a_power_cut_recover_gives_back_a_whole_group": ("record",),
    _CRASHES + "test_an_lvm_command_that_is_killed_at_work_is_made_good": (
        "lvcreate, beside another snapshot",
        "lvremove, beside another snapshot",
    ),
    _DISK_FAULTS + "test_a_disk_that_others_fill_between_check_and_allocation_is_no_harm": ("filled-dd",),
    _DISK_FAULTS + "test_a_file_system_that_turns_read_only_during_up_leaves_only_the_file": ("losetup",),
    _DISK_FAULTS + "test_the_origin_does_not_notice_that_the_disk_below_its_snapshot_dies": ("after down",),
    _DISK_FAULTS + "test_a_snapshot_that_overflows_is_lost_and_goes_down_clean": ("lent",),
    _DISK_FAULTS + "test_down_takes_all_down_whatever_somebody_else_does_while_up": ("renames the snapshot",),
    _FAULTS + "test_a_step_of_up_that_fails_leaves_everything_as_before": (
        "vgextend-before",
        "lvcreate-after",
    ),
    _FAULTS + "test_up_whose_undo_fails_for_ever_names_what_is_left_and_down_finishes": ("lvremove",),
    _FAULTS + "test_a_step_that_took_effect_and_cannot_be_undone_is_what_is_left": ("vgextend",),
    _FAULTS + "test_up_whose_undo_fails_once_is_clean_all_the_same": ("vgreduce",),
    _FAULTS + "test_commands_of_down_that_took_effect_before_they_failed_leave_nothing": ("undos0",),
    _FAULTS + "test_a_reading_that_fails_changes_nothing_and_says_so": ("garbage",),
    _FAULTS + "test_a_step_that_lies_about_its_success_is_found_out": ("mount",),
    _MOMENTS + "test_recover_puts_right_what_a_killed_lvmsnap_left": (
        "up lent, before mount",
        "up plain, as it starts lvcreate",
        "down lent, as it starts lvremove",
    ),
    _CUTS + "test_a_power_cut_leaves_nothing_behind_once_the_machine_has_booted": ("up lent, within lvcreate",),
    "crashes/test_cut_crashes.py::test_an_lvm_that_is_killed_at_the_cut_is_undone": ("20", "26"),
    "crashes/test_killed_growth.py::test_no_writer_waits_where_lvm_is_killed_while_it_extends_a_snapshot": (
        "all are suspended",
    ),
    "crashes/test_cut_crashes.py::test_what_a_killed_lvmsnap_and_its_lvm_held_goes_on_and_recover_takes_the_rest": (
        "26",
    ),
    _OWN_ROOT + "test_when_lvmsnap_and_lvm_are_killed_all_goes_on": ("26", "48"),
    _OWN_ROOT + "test_when_the_main_process_of_a_unit_is_killed_all_goes_on": ("30",),
    "crashes/test_simulation.py::test_a_killed_lvcreate_leaves_a_known_stage_and_recovery_does_the_same_to_both": (
        "79",
    ),
    # Somebody renames, overwrites, removes: one case each of what is answered in one way.
    "meetings/test_meetings.py::test_a_profile_that_cannot_go_up_keeps_its_old_snapshot": ("run p --replace -- true",),
    "meetings/test_renames.py::test_a_rename_while_a_run_is_at_work_spoils_neither_its_result_nor_its_end": (
        "the group",
    ),
    "meetings/test_renames.py::test_what_was_renamed_while_it_is_up_is_told_of_by_its_name_of_now": ("the group",),
    "meetings/test_covered.py::test_a_snapshot_that_was_hidden_for_a_while_makes_the_run_a_failure": (
        "moved away and back",
    ),
    "refused/test_swapped_paths.py::"
    "test_directories_that_are_swapped_in_the_middle_of_up_lead_nothing_of_roots_astray": ("mount-snap-fallocate",),
    "runs/test_run.py::test_a_lost_snapshot_is_124_though_the_command_exits_0_even_quietly": (
        "it overflowed",
        "/media/snap was unmounted for a while",
    ),
    "runs/test_run.py::test_a_signal_to_lvmsnap_ends_the_command_and_nothing_is_left": ("False",),
    # What goes wrong by chance is tried often only in a full run.
    "runs/test_guard.py::test_a_writer_at_full_speed_loses_no_backup_where_the_file_may_grow": ("once",),
    "runs/test_recipes.py::test_what_a_recipe_restores_is_what_stood_on_the_origin_just_before_run": ("partclone",),
    "runs/test_other_programs.py::test_borgmatic_backs_up_the_snapshot_and_fails_where_that_is_lost": ("2.1.10",),
    "runs/test_other_programs.py::test_restic_backs_up_the_snapshot_and_fails_where_that_is_lost": ("a hold",),
    "runs/test_hold.py::test_a_lost_snapshot_ends_it_with_124_and_no_check_passes": (
        "it overflowed",
        "/media/snap was unmounted for a while",
    ),
    "boot/test_root_boot.py::test_a_root_filesystem_mounted_by_uuid_is_never_its_stale_snapshot": ("1",),
    "up_down/test_kinds.py::test_each_kind_of_volume_is_shown_as_it_was_file_by_file": ("raid5", "thin"),
    "up_down/test_filesystems.py::test_an_xfs_is_mounted_beside_itself_unless_a_part_of_it_is_elsewhere": (
        "external log",
    ),
    "crashes/test_luks_crashes.py::test_an_lvmsnap_that_is_killed_around_the_opening_is_recovered": ("kept",),
    "crashes/test_luks_crashes.py::test_a_cryptsetup_that_is_killed_leaves_nothing": ("as it loads the table",),
    "crashes/test_thin_crashes.py::test_an_lvm_command_on_a_thin_snapshot_that_is_killed_is_made_good": ("lvcreate",),
    "crashes/test_thin_crashes.py::"
    "test_where_a_killed_lvcreate_held_the_device_beneath_the_origin_the_origin_goes_on": ("90",),
    # All settings at once, instead of one after the other.
    "boot/test_repair_groups.py::test_no_setting_of_lvm_conf_changes_what_the_script_does": ("together",),
    "up_down/test_lvm_settings.py::test_no_setting_of_lvm_conf_changes_what_is_read": ("together",),
    "refused/test_backing_checks.py::test_up_finds_the_origin_beneath_the_backing_file_through": (
        "a btrfs subvolume",
        "a partition of a loop device, dm-crypt and another group",
    ),
    "refused/test_backing_checks.py::test_the_devices_file_has_no_entry_of_the_loop_device_afterwards": ("in use",),
    "refused/test_backing_checks.py::test_the_backing_file_is_readable_by_root_alone_at_every_moment": ("zero-fill",),
    "refused/test_foreign.py::test_a_volume_that_only_has_the_name_survives_every_command": ("of another profile",),
    "up_down/test_filesystems.py::test_a_filesystem_is_mounted_beside_its_origin_and_leaves_it_sound": (
        *("ext4", "xfs"),
    ),
    "up_down/test_whole_snapshots.py::test_an_overflow_gives_io_errors_and_never_a_panic": ("ext4",),
    "up_down/test_luks.py::test_what_is_in_luks_is_mounted_by_a_mapping_of_our_own": ("luks2-xfs",),
    "up_down/test_sets.py::test_a_set_is_one_tree_that_looks_like_the_server_and_goes_without_a_trace": ("two files",),
    "up_down/test_stalls.py::test_sets_hold_writers_a_few_times_as_long_as_one_lvcreate_at_most": ("once",),
    "up_down/test_thin.py::test_a_pool_that_runs_full_during_run_is_124_and_nothing_stays": ("errors",),
    "up_down/test_up_down.py::test_a_size_gives_what_lvm_gives": ("1m",),
    "up_down/test_plan.py::test_a_pasted_plan_does_what_up_does_and_its_undos_backwards_what_down_does": ("lent",),
    "up_down/test_plan.py::test_few_processes_are_started": ("lent",),
    "guest/test_machine.py::test_a_killed_test_run_leaves_no_guest": ("9",),
    "guest/test_machine.py::test_a_snapshot_really_keeps_the_old_content": ("ext4-ro,noload",),
}

# What a plain run leaves to a full one since it shows it by another test, which is named, counted from tests. The
# simulation has every command fail once or for ever, lie, be killed and meet others; crashes/test_simulation.py holds
# it to real LVM.
_SIMULATION = "simulation/test_simulation.py::"
_WHATEVER = _SIMULATION + "test_whatever_goes_wrong_nothing_foreign_is_touched_and_nothing_of_ours_stays"
_FOREIGN = "refused/test_foreign.py::"
SHOWN_BY: dict[str, str] = {
    **dict.fromkeys(
        (
            _FAULTS + "test_a_failing_zero_fill_leaves_everything_as_before",
            _FAULTS + "test_a_directory_that_a_failing_mount_made_is_removed",
            _FAULTS + "test_down_goes_as_far_as_it_can_each_time_and_names_the_rest",
            _FAULTS + "test_down_whose_commands_fail_once_ends_with_everything_down",
            _FAULTS + "test_down_that_cannot_read_the_system_keeps_stack_and_record",
            _FAULTS + "test_a_reading_that_fails_in_the_middle_of_an_undo_keeps_the_record",
            _FAULTS + "test_an_undo_that_lies_about_its_success_is_found_out",
            _FAULTS + "test_a_removal_of_the_snapshot_that_lies_is_found_out_without_a_lent_pv_too",
            _FOREIGN + "test_a_file_that_appears_between_check_and_creation_is_not_touched",
            _FOREIGN + "test_a_backing_file_deleted_while_up_does_no_harm",
            _FOREIGN + "test_a_snapshot_without_its_tag_keeps_the_space_it_lies_on",
            _FOREIGN + "test_a_loop_device_detached_by_hand_while_in_use_goes_with_the_rest",
        ),
        _WHATEVER,
    ),
    # LVM is given up on after 15 seconds at the earliest.
    _DISK_FAULTS + "test_where_udev_has_no_room_for_its_database_no_command_waits_for_it_for_ever": (
        "unit/system/test_udev_cookies.py::test_a_command_that_waits_in_vain_is_let_go_and_that_is_said_once"
    ),
    _FOREIGN + "test_two_profiles_on_one_group_leave_each_other_alone": (
        "lab/meetings/test_concurrency.py::test_two_profiles_on_one_group_at_once_both_succeed"
    ),
    _FOREIGN + "test_a_renamed_group_is_found_by_its_uuid": (
        "lab/meetings/test_renames.py::test_what_was_renamed_while_it_is_up_is_told_of_by_its_name_of_now"
    ),
    _CRASHES + "test_more_signals_do_not_break_the_undo": (
        "lab/crashes/test_crashes.py::test_a_signal_lets_the_command_end_and_undoes_everything"
    ),
    "crashes/test_cut_crashes.py::test_a_snapshot_that_somebody_activates_just_before_all_are_held_fails_the_cut": (
        "lab/crashes/test_cut_crashes.py::test_a_snapshot_that_somebody_activates_too_early_fails_the_cut"
    ),
    "crashes/test_leftovers.py::test_down_of_a_snapshot_that_was_lost_takes_all_down_and_exits_124": (
        "lab/crashes/test_disk_faults.py::test_a_snapshot_that_overflows_is_lost_and_goes_down_clean"
    ),
    "crashes/test_luks_crashes.py::test_after_a_power_cut_nothing_of_it_is_open_and_recover_removes_the_rest": (
        "lab/crashes/test_luks_crashes.py::test_an_lvmsnap_that_is_killed_around_the_opening_is_recovered"
    ),
    _OWN_ROOT + "test_when_lvmsnap_and_lvm_are_stopped_all_goes_on": (
        "lab/crashes/test_cut_crashes.py::test_a_stopped_lvmsnap_and_a_stopped_lvm_hold_nobody_for_long"
    ),
    "boot/test_root_boot.py::test_a_power_cut_while_the_initramfs_repairs_the_group_is_made_good_by_the_next_boot": (
        "lab/boot/test_repair_groups.py::test_killed_at_any_write_it_is_completed_by_the_next_run"
    ),
    "guest/test_machine.py::test_systemd_activates_a_volume_by_itself": (
        "lab/boot/test_boot.py::test_one_server_boots_from_each_state_after_the_other"
    ),
    "meetings/test_concurrency.py::test_up_during_a_down_waits_and_then_succeeds": (
        "lab/meetings/test_concurrency.py::test_a_second_lvmsnap_waits_for_the_first_or_is_refused_at_once"
    ),
    "meetings/test_meetings.py::test_two_profiles_with_files_on_each_others_origin_are_never_up_together": (
        "lab/meetings/test_meetings.py::"
        "test_three_profiles_in_a_ring_are_never_up_together_and_no_writer_waits_for_itself"
    ),
    "meetings/test_renames.py::test_a_snapshot_in_a_renamed_group_is_given_more_room_in_time": (
        "unit/operations/test_watch.py::test_what_is_renamed_before_it_was_given_more_room_is_given_it_at_once"
    ),
    "refused/test_holders.py::test_a_dead_filesystem_that_was_detached_keeps_down_from_nothing": (
        "unit/system/test_mount_users.py::"
        "test_a_working_directory_in_a_detached_mount_is_named_and_a_network_filesystem_not_asked"
    ),
    "runs/test_hold.py::test_who_still_uses_the_snapshot_is_named_and_waited_for": (
        "lab/runs/test_run.py::test_what_the_command_left_running_in_the_snapshot_is_named_and_waited_for"
    ),
    "runs/test_guard.py::test_a_writer_at_full_speed_without_room_is_124_and_nothing_stays": (
        "lab/runs/test_run.py::test_a_lost_snapshot_is_124_though_the_command_exits_0_even_quietly"
    ),
    "runs/test_guard.py::test_dmeventd_unmounts_no_guarded_snapshot_and_goes_on_watching_anothers": (
        "lab/runs/test_monitoring.py::test_others_snapshots_of_the_origin_stay_watched_and_ours_never_are"
    ),
    "runs/test_peaks.py::test_a_var_that_becomes_read_only_meanwhile_fails_no_run": (
        "lab/runs/test_peaks.py::test_whatever_is_in_the_historys_place_fails_no_run"
    ),
    "runs/test_postgresql.py::test_a_copy_of_both_starts_and_has_all_that_was_kept_before_up": (
        "lab/up_down/test_one_instant.py::test_no_write_is_seen_without_what_was_on_the_disk_before_it"
    ),
    "up_down/test_sizes.py::test_a_share_of_the_origin_is_what_lvcreate_makes_of_it": (
        "lab/up_down/test_up_down.py::test_a_size_gives_what_lvm_gives"
    ),
    "up_down/test_thin.py::test_whether_dmeventd_watches_the_pool_stays_as_it_is": (
        "lab/runs/test_monitoring.py::test_others_snapshots_of_the_origin_stay_watched_and_ours_never_are"
    ),
    "up_down/test_thin.py::test_luks_in_a_pool_is_opened_in_its_thin_snapshot": (
        "lab/up_down/test_luks.py::test_what_is_in_luks_is_mounted_by_a_mapping_of_our_own"
    ),
    "up_down/test_up_down.py::test_all_of_the_lent_space_can_be_asked_for": (
        "lab/up_down/test_up_down.py::test_a_snapshot_spans_group_and_file_and_holds_almost_its_size"
    ),
}

# Up and down, one fault, one kill.
QUICK: tuple[str, ...] = (
    "up_down/test_up_down.py::test_a_snapshot_on_lent_space_holds_the_moment_of_up_and_down_leaves_nothing",
    _FAULTS + "test_a_step_of_up_that_fails_leaves_everything_as_before[vgextend-before]",
    _MOMENTS + "test_recover_puts_right_what_a_killed_lvmsnap_left[up lent, before mount]",
)


def markers(name: str) -> Iterator[str]:
    """Give the markers of a test of the lab by its name, counted from tests/lab."""
    test, bracket, case = name.partition("[")
    if test in SHOWN_BY or (bracket and test in KEPT and case.removesuffix("]") not in KEPT[test]):
        yield "full"
    if name in QUICK:
        yield "quick"
