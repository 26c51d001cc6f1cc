"""What is included beside the snapshots may be anything: also what a program answers for that does so no more."""

from __future__ import annotations

import pytest

from tests.lab.helpers import fingerprint, make_vg
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, write_profile

pytestmark = pytest.mark.lab

# linux/fuse.h: answers INIT, GETATTR of the root and STATFS, and knows nothing else.
SERVER = """
import ctypes, os, struct
INIT, GETATTR, STATFS, FORGET, INTERRUPT = 26, 3, 17, 2, 36
ANSWERS = {
    INIT: struct.pack("=4I2H2I2H8I", 7, 31, 0, 0, 0, 0, 4096, 1, 1, 0, *[0] * 8),
    GETATTR: struct.pack("=QII6Q10I", 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0),
    STATFS: struct.pack("=5Q10I", *[0] * 5, 4096, 255, 4096, 0, *[0] * 6),
}
fd = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fd},rootmode=40000,user_id=0,group_id=0".encode()
assert ctypes.CDLL(None).mount(b"files", b"/srv/files", b"fuse", 0, options) == 0
while True:
    _, what, unique = struct.unpack_from("=IIQ", os.read(fd, 1 << 17))
    if what not in (FORGET, INTERRUPT):
        answer = ANSWERS.get(what, b"")
        os.write(fd, struct.pack("=IiQ", 16 + len(answer), 0 if answer else -38, unique) + answer)
"""


def test_one_that_answers_no_more_keeps_down_from_nothing(lab: Machine) -> None:
    make_vg(lab, volumes={"srv": "48M"}, filesystems={"srv": "ext4"}, mounts={"srv": "/srv"})
    lab.run("mkdir /srv/files; modprobe fuse")
    lab.write_file("/run/server.py", SERVER)
    before = fingerprint(lab, ("/etc/lvmsnap", "/media"))
    server = lab.start("exec python3 /run/server.py")
    lab.run("until mountpoint -q /srv/files; do sleep 0.2; done", timeout=20)
    write_profile(lab, "p", "volumes:\n- {origin: vg0/srv, size: 8MiB}\ninclude: [/srv/files]\n")

    up = lvmsnap(lab, "up p")
    server.kill(19)
    lvmsnap(lab, "down p", timeout=60)

    assert "warning: /srv/files needs a server, or a program, that answers" in up.stderr
    server.kill(9)
    lab.run("umount /srv/files; rm -r /etc/lvmsnap")
    assert fingerprint(lab, ("/etc/lvmsnap", "/media")) == before
