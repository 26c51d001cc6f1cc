"""Which initramfs images are found, on a folder in place of the root of the system."""

from __future__ import annotations

from pathlib import Path

from lvmsnap.install.boot_images import images

OWN, OTHER = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"


def machine(tmp_path: Path, *paths: str, **entries: str) -> str:
    files = dict.fromkeys(paths, "") | {f"boot/loader/entries/{name}.conf": text for name, text in entries.items()}
    for path, text in {**files, "etc/machine-id": f"{OWN}\n"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return str(tmp_path)


def found(root: str) -> list[str]:
    return [path.removeprefix(f"{root}/") for path in images(root)]


def test_images_of_each_kind_are_found_and_those_of_other_systems_and_purposes_are_not(tmp_path: Path) -> None:
    ours = [
        "boot/efi/EFI/Linux/linux-6.1-0.efi",
        f"boot/efi/{OWN}/6.1/initrd.img-6.1",
        f"boot/{OWN}/6.1/initrd",
        "boot/initramfs-6.1.img",
        "boot/initrd.img-6.1",
        f"efi/EFI/Linux/{OWN}-6.1.efi",
    ]
    others = [
        f"boot/{OTHER}/6.1/initrd",
        f"efi/EFI/Linux/{OTHER}-6.1.efi",
        "boot/initramfs-0-rescue.img",
        "boot/initramfs-6.1kdump.img",
        f"boot/{OWN}/0-rescue/initrd",
        "boot/efi/EFI/systemd/systemd-bootx64.efi",
    ]

    assert found(machine(tmp_path, *ours, *others)) == sorted(ours)


def test_what_a_boot_loader_entry_of_this_system_names_is_found(tmp_path: Path) -> None:
    entry = "title Linux\nlinux /vmlinuz\ninitrd /images/own.img $tuned_initrd /amd-ucode.img\n"
    root = machine(
        tmp_path, "boot/images/own.img", "boot/images/other.img", "boot/amd-ucode.img",
        **{f"{OWN}-6.1": entry, f"{OTHER}-6.1": "initrd /images/other.img\n", "gone": "initrd /images/gone.img\n"},
    )  # fmt: skip

    assert found(root) == ["boot/images/own.img"]


def test_an_image_on_a_partition_that_is_mounted_at_two_places_counts_once(tmp_path: Path) -> None:
    root = machine(tmp_path, "boot/efi/EFI/Linux/a.efi")
    (tmp_path / "efi").symlink_to("boot/efi")

    assert len(images(root)) == 1
