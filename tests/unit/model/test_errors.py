"""What is advised where a file cannot be written: by the kernel's reason."""

from __future__ import annotations

import errno
import os

import pytest

from lvmsnap.model.errors import why_not_written

PATH = "/var/lib/lvmsnap/nightly.json"
ADVICE = {
    errno.ENOSPC: "make room on its filesystem: df -h /var/lib/lvmsnap and df -i /var/lib/lvmsnap show what is used up",
    errno.EDQUOT: "root's quota on its filesystem is used up: raise it, or remove what is not needed in "
    "/var/lib/lvmsnap",
    errno.EROFS: "its filesystem is read-only: see dmesg for disk errors, then mount -o remount,rw "
    "$(findmnt -no TARGET -T /var/lib/lvmsnap); in a unit see ProtectSystem=",
    errno.EACCES: "run it as root; what keeps even root out is shown by ls -ldZ "
    "/var/lib/lvmsnap, lsattr -d /var/lib/lvmsnap, or dmesg",
    errno.EPERM: "run it as root; what keeps even root out is shown by ls -ldZ "
    "/var/lib/lvmsnap, lsattr -d /var/lib/lvmsnap, or dmesg",
    errno.EIO: "its disk has errors: see dmesg",
    errno.ENOENT: "make its directory first: mkdir -p /var/lib/lvmsnap",
    errno.ENAMETOOLONG: "see what is there: ls -ld /var/lib/lvmsnap /var/lib/lvmsnap/nightly.json",
}


@pytest.mark.parametrize("number", ADVICE, ids=errno.errorcode.get)
def test_each_reason_has_an_advice_of_its_own(number: int) -> None:
    assert why_not_written(OSError(number, os.strerror(number)), PATH) == ADVICE[number]


def test_only_a_full_filesystem_is_told_to_make_room() -> None:
    assert [number for number, advice in ADVICE.items() if "make room" in advice] == [errno.ENOSPC]


def test_a_name_alone_is_in_the_directory_of_now_and_blanks_are_quoted() -> None:
    assert why_not_written(OSError(errno.ENOENT, ""), "x") == "make its directory first: mkdir -p ."
    assert why_not_written(OSError(errno.ENOENT, ""), "/a b/x") == "make its directory first: mkdir -p '/a b'"
    assert why_not_written(OSError("odd"), "/a/{x}") == "see what is there: ls -ld /a '/a/{x}'"
