"""Programs that go wrong on purpose, where they are met, and what is left then."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from tests.lab.machine import Machine, Result

BIN = "/run/faults"
FIRED = f"{BIN}/fired"
ORIGIN = "/mnt"
SPACE = "/media/space"
FILE = f"{SPACE}/lent"
MOUNTPOINT = "/media/snap"

FAILS_BEFORE = 'echo "made to fail" >&2; exit 7'
FAILS_AFTER = 'real "$@"; echo "made to fail after all" >&2; exit 7'
LIES = "exit 0"
STRACE = "exec strace -f -o /run/faults/trace -e trace=ioctl -e inject=ioctl:signal=SIGKILL:when={number} /sbin/{name}"
# Sets $p to the lvmsnap that started the shell, directly or by way of other shells.
FIND_LVMSNAP = "p=$PPID; until grep -q ^python /proc/$p/comm; do read -r _ _ _ p _ < /proc/$p/stat; done"
ALL_ARE_DOWN = "nothing to recover"

SCRIPT = """#!/bin/sh
name=${{0##*/}}
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
real() {{ command "$name" "$@"; }}
fired() {{ echo "$name $*" >> {fired}; }}
once() {{ [ ! -e {folder}/once.$name.$1 ] && : > {folder}/once.$name.$1; }}
case " $* " in
{cases}
esac
exec "$name" "$@"
"""


@dataclass(frozen=True)
class Fault:
    """A command that goes wrong; `match` is a word of its arguments where only some of its calls do, e.g. --detach.

    `body` is shell: `real "$@"` runs the true program.
    """

    command: str
    body: str
    match: str = ""
    once: bool = False

    @property
    def case(self) -> str:
        """The fault as a branch of the wrapper's case."""
        pattern = f'*" {self.match} "*' if self.match else "*"
        wrong = f'fired "$@"; {self.body}'
        return f"{pattern}) {f'if once {len(self.match)}; then {wrong}; fi' if self.once else wrong} ;;"


def undo_fault(command: str, body: str = FAILS_BEFORE, *, once: bool = False) -> Fault:
    """Give a fault in a command's use as an undo; losetup is also used to attach."""
    return Fault(command, body, "--detach" if command == "losetup" else "", once)


def kill_at(name: str, number: int) -> Fault:
    """Give a fault that kills an LVM command, the first time, at its ioctl of that number."""
    return Fault(name, f'{STRACE.format(number=number, name=name)} "$@"', once=True)


def break_commands(machine: Machine, *faults: Fault) -> str:
    """Put the wrappers in place, none but these, and give the folder for PATH."""
    lines = [f"rm -rf {BIN}; mkdir {BIN}; : > {FIRED}"]
    for command in {fault.command for fault in faults}:
        cases = "\n".join(fault.case for fault in faults if fault.command == command)
        script = SCRIPT.format(cases=cases, fired=FIRED, folder=BIN)
        lines.append(f"printf %s {shlex.quote(script)} > {BIN}/{command}; chmod +x {BIN}/{command}")
    machine.run("\n".join(lines))
    return BIN


def fired(machine: Machine) -> list[str]:
    """Give the command lines that went wrong so far."""
    return machine.read_file(FIRED).splitlines()


def left(result: Result) -> list[str]:
    """Give what lvmsnap says is left, sorted."""
    return sorted(re.findall(r"^ *left: (.*)$", result.stderr, re.MULTILINE))


STANDING = f"""
grep -q ' {MOUNTPOINT} ' /proc/self/mountinfo && echo 'mount: {MOUNTPOINT}'
[ -d {MOUNTPOINT} ] && echo 'mountpoint directory: {MOUNTPOINT}'
lvs --noheadings -o vg_name,lv_name -S 'lv_name=~^snap' | while read -r vg lv; do echo "snapshot: $vg/$lv"; done
for loop in /sys/block/loop*/loop; do
    [ -e "$loop" ] && loop=${{loop%/loop}} && echo "loop device: /dev/${{loop##*/}}"
done
pvs --noheadings -o pv_uuid,pv_name,vg_name | while read -r uuid pv vg; do
    case $uuid in lvmsn[2p]-*) [ ! -b "$pv" ] || echo "physical volume: $pv"
        [ -z "$vg" ] || echo "lent PV in the volume group: $vg" ;; esac
done
[ -e {FILE} ] && echo 'backing file: {FILE}'
true
"""


def standing(machine: Machine) -> list[str]:
    """Return what of a profile exists, found without lvmsnap, in the words of its residue; sorted."""
    return sorted(machine.run(STANDING).stdout.splitlines())


def things(lines: Iterable[str]) -> list[str]:
    """Give the kinds of things in the words of the residue."""
    return [line.partition(":")[0] for line in lines]
