#!/bin/bash
# dracut module: takes lvmsnap's repair of volume groups into the initramfs (dracut.modules(7)).
check() {
    [ -e @SWITCH@ ] || return 1
    require_binaries lvm || return 1
}

depends() {
    echo lvm
}

install() {
    inst_multiple lvm mkdir sleep
    inst_simple @LIBRARY@/lvmsnap-repair-groups
    inst_simple @SWITCH@
    inst_simple @RULES@/68-lvmsnap.rules /etc/udev/rules.d/68-lvmsnap.rules
    # "settled" runs each time no more devices come, before LVM's own scan, as long as root is not found.
    # shellcheck disable=SC2154  # dracut sets moddir
    inst_hook initqueue/settled 01 "$moddir/lvmsnap-settled.sh"
}
