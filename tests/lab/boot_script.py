"""What install-boot installs, as it would be on a machine of the lab; and, run in a guest, what its script changes
under every setting of report/ and log/ that LVM has.

`python -m tests.lab.boot_script together|each`. LVM_SYSTEM_DIR names a directory of our own, whose lvm.conf has all of
them or one at a time; a shim in PATH keeps LVM from changing anything and writes down what it was to change.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lvmsnap.install import boot_parts
from lvmsnap.system.processes import Runner
from tests.lab.lvm_settings import confs, values
from tests.lab.machine import Machine
from tests.lab.support import LAB_HOST

PATH = "/run/lvmsnap-repair-groups"
CHANGES = Path("/run/changes")
SHIM = f"""#!/bin/sh
[ "$1" = pvs ] && exec /sbin/lvm "$@"
echo "$@" >> {CHANGES}
"""


def content(file: boot_parts.BootFile, host: str = LAB_HOST, old_pvs: tuple[str, ...] = ()) -> str:
    """Return a file as install-boot writes it on the host with these PVs of an older lvmsnap on record."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boot_parts, "host_id", lambda: host)
        patch.setattr(boot_parts, "_old_pvs", lambda: old_pvs)
        return boot_parts.content(file)


def put(m: Machine, host: str = LAB_HOST, old_pvs: tuple[str, ...] = ()) -> None:
    """Put the script where `PATH` says."""
    m.write_file(PATH, content(boot_parts.FILES[0], host, old_pvs), 0o755)


def changes() -> str:
    """Run the script; return what it would change."""
    CHANGES.unlink(missing_ok=True)
    environment = os.environ | {"PATH": f"/run/shim:{os.environ['PATH']}"}
    subprocess.run(["/bin/sh", PATH], env=environment, check=True, capture_output=True)
    return CHANGES.read_text() if CHANGES.exists() else "nothing"


def main() -> None:
    """Print what is changed by default, each setting under which that is something else, and how many were tried."""
    conf = Path(os.environ["LVM_SYSTEM_DIR"], "lvm.conf")
    conf.write_text("")
    tried = values(Runner())
    wanted = changes()
    print(wanted)
    for name, text in confs(tried).items():
        conf.write_text(text)
        if changes() != wanted:
            print(f"{name}: {changes()}")
    print(f"tried {len(tried)}")


if __name__ == "__main__":
    main()
