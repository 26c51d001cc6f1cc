"""A filesystem in user space whose server falls silent: `dead_server.py MOUNTPOINT SIGN`, from when SIGN exists."""

import ctypes
import os
import struct
import sys

ROOT_MODE = 0o40755
INIT, GETATTR, OPENDIR, FORGETS = 26, 3, 27, (2, 42)


def main(mountpoint: str, sign: str) -> None:
    """Mount a root directory and answer for it, until there is the sign; requests are read even then."""
    fuse = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fuse},rootmode={ROOT_MODE:o},user_id=0,group_id=0"
    if ctypes.CDLL(None, use_errno=True).mount(b"dead", mountpoint.encode(), b"fuse", 0, options.encode()):
        sys.exit(os.strerror(ctypes.get_errno()))
    print("mounted", flush=True)
    while True:
        request = os.read(fuse, 1 << 20)
        _, opcode, unique, _ = struct.unpack_from("=IIQQ", request)
        if opcode in FORGETS or os.path.exists(sign):
            continue
        error, data = answer(opcode, request)
        os.write(fuse, struct.pack("=IiQ", 16 + len(data), error, unique) + data)


def answer(opcode: int, request: bytes) -> tuple[int, bytes]:
    """Return the error and the data of an answer (linux/fuse.h)."""
    if opcode == INIT:
        readahead = struct.unpack_from("=III", request, 40)[2]
        return 0, struct.pack("=IIIIHHIIHHI7I", 7, 31, readahead, 0, 12, 9, 65536, 1, 32, 0, 0, *[0] * 7)
    if opcode == GETATTR:
        attributes = struct.pack("=6Q10I", 1, 0, 0, 0, 0, 0, 0, 0, 0, ROOT_MODE, 2, 0, 0, 0, 4096, 0)
        return 0, struct.pack("=QII", 0, 0, 0) + attributes
    if opcode == OPENDIR:
        return 0, struct.pack("=QII", 0, 0, 0)
    return -38, b""


if __name__ == "__main__":
    main(*sys.argv[1:])
