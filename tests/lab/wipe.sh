# shellcheck shell=sh
# Brings a plainly booted guest back to its first state. Arguments: the names of its disks.
# Asks sysfs and /proc, which costs nothing, before it starts a process, which does.

kill_strays() {
    for process in /proc/[0-9]*; do
        pid=${process#/proc/}
        { read -r name < "$process/comm" && read -r memory < "$process/statm"; } 2> /dev/null || continue
        case $pid/$name/$memory in
        1/* | $$/* | */systemd-udevd/* | */"(udev-worker)"/* | */dmeventd/* | */lab-driver/* | */"0 0 0 "*) ;; # the last: kernel threads
        *) kill -9 "$pid" 2> /dev/null ;;
        esac
    done
}

resume_suspended() {
    for device in /sys/block/dm-*/dm; do
        { read -r suspended < "$device/suspended"; } 2> /dev/null || continue
        [ "$suspended" = 0 ] || dmsetup resume "$(cat "$device/name")"
    done
}

# Mounts that were not there after the boot, newest first.
list_mounts() {
    mounts=
    while read -r ident _ _ _ target _; do
        case $first_mounts in
        *"
$ident "*" $target "*) ;;
        *) mounts="$target $mounts" ;;
        esac
    done < /proc/self/mountinfo
}

unmount_all() {
    first_mounts="
$(cat /run/lab-mounts)"
    list_mounts
    for target in $mounts; do
        target=$(printf %b "$target")
        umount "$target" 2> /dev/null && continue
        fsfreeze -u "$target" 2> /dev/null
        umount "$target" || umount -l "$target"
    done
    list_mounts
    [ -z "$mounts" ]
}

some_mapped() {
    for device in /sys/block/dm-*; do
        [ -e "$device" ] && return
    done
    return 1
}

unmap_all() {
    for _ in 1 2 3 4; do
        some_mapped || return 0
        dmsetup remove_all --force
        some_mapped && udevadm settle # udev may hold a device open for a moment
    done
    ! some_mapped
}

some_looped() {
    for device in /sys/block/loop*/loop; do
        [ -e "$device" ] && return
    done
    return 1
}

unloop_all() {
    for _ in 1 2 3 4; do
        some_looped || return 0
        losetup -D
        some_looped && udevadm settle
    done
    ! some_looped
}

blank_disks() {
    for name in "$@"; do
        read -r _ _ _ _ _ _ written _ < "/sys/block/$name/stat"
        { read -r before < "/run/lab-written-$name"; } 2> /dev/null || before=0
        [ "$written" = "$before" ] && continue
        blkdiscard -f "/dev/$name" || return
        echo "$written" > "/run/lab-written-$name"
    done
    udevadm settle
}

exec 2>&1
kill_strays
resume_suspended
[ "$(wc -l < /proc/swaps)" = 1 ] || swapoff -a
unmount_all || { echo "still mounted: $mounts"; exit 1; }
unmap_all || { dmsetup info -c; exit 1; }
unloop_all || { losetup -a; exit 1; }
blank_disks "$@" || exit
unmap_all || exit
: > /etc/fstab
# shellcheck disable=SC2115  # the guest's own /media and /mnt are meant
rm -rf /etc/lvmsnap /var/lib/lvmsnap /run/lvmsnap /run/lock/lvmsnap* /run/lvm/pvs_online /run/lvm/vgs_online \
    /run/lvm/pvs_lookup /etc/lvm/archive/* /etc/lvm/backup/* /etc/lvm/devices/* /media/* /mnt/*
