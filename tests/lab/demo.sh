# shellcheck shell=sh
# The demo, in the guest. Says what is about to be seen, shows each command as at a prompt, and checks what it promised:
# it ends with status 1 at the first thing that is not so. Working folder: the repository's top.
set -eu

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    said=$(printf '\033[1m') prompt=$(printf '\033[32m') bad=$(printf '\033[1;31m') good=$(printf '\033[1;32m')
    plain=$(printf '\033[0m')
else
    said='' prompt='' bad='' good='' plain=''
fi

say() {
    printf '\n%s%s%s\n' "$said" "$*" "$plain"
}

# Shows a command as typed at root's prompt, then runs it.
run() {
    printf '%s# %s%s\n' "$prompt" "$*" "$plain"
    eval "$*" || broken "the command failed: $*"
}

# The same for a command that must fail with status $1.
run_refused() {
    wanted=$1
    shift
    printf '%s# %s%s\n' "$prompt" "$*" "$plain"
    status=0
    eval "$*" || status=$?
    [ "$status" = "$wanted" ] || broken "exit status $status, not $wanted: $*"
    echo "(exit status $status)"
}

broken() {
    printf '\n%snot as promised: %s%s\n' "$bad" "$*" "$plain" >&2
    exit 1
}

# A group with one ext4 volume of real files, room beside it, and another disk of its own.
make_server() {
    lvm > /dev/null << EOF
vgcreate --quiet --yes lvm_server_vg /dev/ubda
lvcreate --quiet --yes --wipesignatures y --size 300M --name system lvm_server_vg
EOF
    mkfs.ext4 -q -E lazy_itable_init=1 /dev/lvm_server_vg/system
    mkfs.ext4 -q -E lazy_itable_init=1 /dev/ubdb
    mkdir -p /srv/system /media/other_partition /etc/lvmsnap
    mount /dev/lvm_server_vg/system /srv/system
    mount /dev/ubdb /media/other_partition
    cp profiles/system.yaml profiles/system-full-vg.yaml /etc/lvmsnap
    echo "all is well" > /srv/system/report
    cp /etc/passwd /etc/services lvmsnap/*.py /srv/system
    cat > /usr/local/bin/look << 'EOF'
lvs; pvs; losetup --all; findmnt --real -t ext4; ls -A /media /media/other_partition
EOF
    chmod +x /usr/local/bin/look
    (cd /srv/system && find . -type f -exec md5sum {} + > /root/sums)
}

# From "up" to "down": what both profiles are shown to do.
show() {
    name=$1
    : > /root/before
    fingerprint > /root/all-before
    run "look | tee /root/before"
    say "What would bring it up? plan reads only, and shows every check, every command and its undo."
    run "lvmsnap plan $name"
    say "Up: it does just that."
    run "lvmsnap up $name"
    say "Now the origin changes: a file is rewritten, another one goes. The snapshot keeps both as they were."
    run "echo 'all is lost' > /srv/system/report; rm /srv/system/services"
    run "cat /srv/system/report"
    run "cat /media/system_snapshot/report"
    [ "$(cat /media/system_snapshot/report)" = "all is well" ] || broken "the snapshot shows the origin's change"
    run "(cd /media/system_snapshot && md5sum --check --quiet /root/sums) && echo every file as it was"
    say "What is up now?"
    run "lvmsnap status $name"
    lvmsnap status --json "$name" | grep -q '"state": "up"' || broken "$name is not up"
    [ "$name" = system ] || run "pvs; losetup --all"
    say "Down: everything it made goes."
    run "lvmsnap down $name"
    say "Nothing is left: the system looks as it did before."
    run "look > /root/after; diff /root/before /root/after && echo no difference"
    fingerprint > /root/all-after
    diff /root/all-before /root/all-after || broken "something is left of $name"
    [ -z "$(ls -A /var/lib/lvmsnap)" ] || broken "a record is left of $name"
    echo "all is well" > /srv/system/report
    cp /etc/services /srv/system
}

# More than a person would look at: device-mapper, UUIDs, tags, owners, modes.
fingerprint() {
    sh tests/lab/fingerprint.sh /media /mnt /etc/lvmsnap /etc/lvm/devices
}

make_server
say "A server: its volume system in the group lvm_server_vg, mounted at /srv/system, and room left in the group."
show system
say "The same server, a year later: the group is full."
run "lvcreate --quiet --yes --extents 100%FREE --name data lvm_server_vg"
run_refused 3 "lvmsnap up system"
say "A file on another disk lends the group the space for as long as the snapshot exists: profile system-full-vg."
show system-full-vg
printf '\n%sAll as promised: two snapshots taken, read and taken back, and nothing is left of either.%s\n' "$good" "$plain"
