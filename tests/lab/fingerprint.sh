# shellcheck shell=sh
# Prints all that must be as it was before. Arguments: the folders whose entries count.
# No LVM sequence numbers, no mount ids, no times: those may change while the state stays the same.

echo "== LVM"
lvm << 'END'
pvs --noheadings -O pv_name -o pv_name,pv_uuid,pv_attr,pv_size,pv_free,pv_tags,vg_name,pv_mda_count,dev_size
vgs --noheadings -O vg_name -o vg_name,vg_uuid,vg_attr,vg_size,vg_free_count,vg_extent_count,vg_tags,pv_count,lv_count
lvs -a --noheadings -O vg_name,lv_name -o vg_name,lv_name,lv_uuid,lv_attr,lv_size,lv_tags,origin,pool_lv,seg_pe_ranges
END

echo "== device-mapper"
dmsetup table | sort
dmsetup info -c --noheadings --sort name -o name,uuid,suspended,readonly,open,segments

echo "== loop devices"
for device in /sys/block/loop*/loop; do
    [ -e "$device" ] || continue
    for name in backing_file offset sizelimit autoclear dio; do
        read -r value < "$device/$name"
        echo "$device $name $value"
    done
done

echo "== mounts"
while read -r _ _ rest; do
    echo "$rest"
done < /proc/self/mountinfo
while read -r swap; do
    echo "$swap"
done < /proc/swaps

echo "== folders"
# One process for all of them. The history of runs is to grow.
for folder in "$@"; do
    shift
    if [ -e "$folder" ]; then
        set -- "$@" "$folder"
    else
        echo "$folder is not there"
    fi
done
[ $# = 0 ] || find "$@" -xdev ! -path '/var/lib/lvmsnap/history*' \( -type d -printf '%p %M %U:%G\n' -o -printf '%p %M %U:%G %s %l\n' \) \
    -type f -size -100k -exec cksum {} + | sort
