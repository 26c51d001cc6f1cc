"""By which UUID or LABEL the boot looks for filesystems, read from files that stand for a machine's."""

from __future__ import annotations

from pathlib import Path

from lvmsnap.install.boot_tags import boot_tags, lv_tags


def machine(tmp_path: Path, **files: bytes) -> str:
    places = {
        "fstab": "etc/fstab",
        "crypttab": "etc/crypttab",
        "cmdline": "proc/cmdline",
        "udev": "run/udev/data/b254:3",
    }
    for name, content in files.items():
        path = tmp_path / places[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return str(tmp_path)


def test_fstab_names_filesystems_in_each_way_that_mount_knows(tmp_path: Path) -> None:
    lines = [
        b"# UUID=comment / ext4 defaults 0 1",
        b"UUID=AB-cd / ext4 defaults 0 1",
        b'LABEL="data" /data ext4 nofail 0 2',
        rb"/dev/disk/by-label/my\x20disk /a ext4 defaults 0 0",
        rb"LABEL=your\040disk /b ext4 defaults 0 0",
        b"/dev/disk/by-uuid/12-34 none swap sw 0 0",
        b"UUID=by-hand /c ext4 noauto 0 0",
        b"/dev/vg0/home /home ext4 defaults 0 2",
        b"PARTUUID=part /d ext4 defaults 0 0",
        b"LABEL=\xff\xe2\x80\xa8 /e ext4 defaults 0 0",
        b"half",
    ]
    found = boot_tags(machine(tmp_path, fstab=b"\n".join(lines)))

    assert found[:5] == ("UUID=ab-cd", "LABEL=data", "LABEL=my disk", "LABEL=your disk", "UUID=12-34")
    assert len(found) == 6


def test_the_kernels_command_line_and_crypttab_count_too(tmp_path: Path) -> None:
    line = b"BOOT_IMAGE=/vmlinuz root=UUID=ab-cd ro rd.luks.uuid=luks-12-34 resume=/dev/vg0/swap quiet\n"
    root = machine(tmp_path, cmdline=line, crypttab=b"home UUID=56-78 none luks\nother /dev/vg0/x none luks\n")

    assert boot_tags(root) == ("UUID=56-78", "UUID=ab-cd", "UUID=12-34")


def test_a_machine_without_these_files_looks_for_nothing(tmp_path: Path) -> None:
    assert boot_tags(str(tmp_path)) == ()
    assert lv_tags("254:3", str(tmp_path)) == ()


def test_an_lv_has_what_udevs_database_has(tmp_path: Path) -> None:
    text = b"S:vg0/system\nE:ID_FS_UUID=AB-cd\nE:ID_FS_UUID_ENC=AB-cd\nE:ID_FS_LABEL_ENC=my\\x20disk\nE:ID_FS_LABEL=x\n"
    root = machine(tmp_path, udev=text)

    assert lv_tags("254:3", root) == ("UUID=ab-cd", "LABEL=my disk")
