"""The stage on which tests in the lab play: a group, its origin, other filesystems and profiles on the shared guest.

`SCENE` in a module says what its tests find; without it that is the usual scene. It is built once, and used by one
test after the other as long as each leaves it as it was.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import ndiff

from tests.lab.faults import FILE, MOUNTPOINT, ORIGIN, SPACE, Fault, break_commands, fired
from tests.lab.helpers import fingerprint, make_vg, wipe
from tests.lab.machine import Machine, Result
from tests.lab.support import lvmsnap, profile_text

FOLDERS = ("/etc/lvmsnap", "/var/lib/lvmsnap", "/media", SPACE, ORIGIN)
# What lvmsnap keeps of profiles, the history of runs left out; and whether the origin takes writes.
KEPT = "find /var/lib/lvmsnap /run/lvmsnap -mindepth 1 ! -name '*lock' ! -name '.*' ! -path '*/history*'"
ALIVE = f"timeout 5 touch {ORIGIN}/alive && timeout 5 sync -f {ORIGIN} || echo no writes"
MOUNTS = {"system": ORIGIN, "/dev/ubdb": SPACE}
TAKEN = {"snapshot": "snap", "size": "16MiB", "mountpoint": MOUNTPOINT}
PROFILES = {
    "plain": profile_text(**TAKEN),
    "lent": profile_text(**TAKEN, backing_file={"path": FILE}),
    "filled": profile_text(**TAKEN, backing_file={"path": FILE, "allocation": "zero-fill"}),
}


@dataclass(frozen=True)
class Scene:
    """What is there before a test; `more` is shell that makes it complete.

    Usually: vg0 with `system`, which is mounted, and room; another filesystem for backing files.
    """

    volumes: Mapping[str, str] = field(default_factory=lambda: {"system": "64M"})
    mounts: Mapping[str, str] = field(default_factory=lambda: MOUNTS)
    profiles: Mapping[str, str] = field(default_factory=lambda: PROFILES)
    more: str = ""

    def clear(self, m: Machine) -> None:
        """Bring a guest to its first state, whatever a failed test left."""
        wipe(m)

    def build(self, m: Machine) -> str:
        """Make it on a guest in its first state; return what `more` says."""
        make_vg(m, volumes=self.volumes, filesystems=dict.fromkeys(self.mounts, "ext4"), mounts=self.mounts)
        lines = [_writing(name, text) for name, text in self.profiles.items()]
        folders = f"mkdir -p /etc/lvmsnap; mkdir -p -m 700 /var/lib/lvmsnap; echo before > {ORIGIN}/file"
        return m.run("\n".join(["set -e", folders, *lines, f": > {ORIGIN}/alive", self.more, "sync"])).stdout

    def look(self, m: Machine) -> str:
        """Return all that must be as before."""
        return fingerprint(m, FOLDERS, f"{ALIVE}\n{KEPT}")


class Stage(Machine):
    """A guest with a scene on it."""

    def __init__(self, disks: Mapping[str, int]) -> None:
        """As a machine; switched off, without a scene."""
        super().__init__(disks)
        self.scene = Scene()
        self.said = ""  # by the scene's own commands
        self.before = ""
        self.written: set[str] = set()

    def set_up(self, scene: Scene) -> None:
        """Build the scene unless it stands as it was built."""
        if self.scene != scene or not self.stands_as_built:
            scene.clear(self)
            self.scene, self.said, self.written = scene, scene.build(self), set()
            self.before = self.look()
        if self.written:
            given = [_writing(name, scene.profiles[name]) for name in self.written & scene.profiles.keys()]
            self.run("\n".join(["rm " + " ".join(map(_path, self.written)), *given]))
            self.written = set()
        self.stands_as_built = False

    def write_profile(self, name: str, text: str) -> None:
        """Put a profile of the test's own into /etc/lvmsnap, for as long as the test runs."""
        self.written.add(name)
        self.run(_writing(name, text))

    def lvmsnap(self, arguments: str, code: int = 0, *faults: Fault, wait: float = 600) -> Result:
        """Run lvmsnap with commands that go wrong; every one of them must have been met."""
        path = break_commands(self, *faults) if faults else ""
        result = lvmsnap(self, arguments, code=code, path=path, timeout=wait)
        if faults:
            met = {line.split()[0] for line in fired(self)}
            assert met == {fault.command for fault in faults}, f"{met} went wrong\n{result.stderr}"
        return result

    def look(self) -> str:
        """Return all that must be as before; which filesystem was mounted last is all one."""
        return "\n".join(sorted(self.scene.look(self).splitlines()))

    def assert_as_before(self) -> None:
        """Fail unless all is as it was when the scene was built, but for the test's own profiles."""
        own = set(map(_path, self.written))
        changes = (line for line in ndiff(self.before.splitlines(), self.look().splitlines()) if line[0] in "-+")
        changes_of_others = [line for line in changes if not own & set(line.split())]
        assert not changes_of_others, "\n".join(changes_of_others)
        self.stands_as_built = True


def _path(name: str) -> str:
    return f"/etc/lvmsnap/{name}.yaml"


def _writing(name: str, text: str) -> str:
    return f"printf %s {shlex.quote(text)} > {_path(name)}"
