"""How a guest is started: the kernel's command line, and the files that init reads in the work folder."""

import os
import random
import resource
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import kernel
from .channel import LabError

HERE = Path(__file__).resolve().parent
AGENT_UNIT = """\
[Unit]
Description=Agent of the test lab
After=basic.target
[Service]
ExecStart={python} -I -S /lab/agent.py /dev/ttyS0 {programs}
TasksMax=infinity
"""


def prepare(work: Path, systemd: bool) -> None:
    """Put into the work folder what the guest sees as /lab: init, the agent, and where things are on this machine."""
    python = Path(sys.executable).resolve()
    settings: dict[str, object] = {
        "LAB_TOP": kernel.TOP,
        "LAB_VENV": kernel.VENV,
        "LAB_PREFIX": sys.base_prefix,
        "LAB_MODULES": kernel.modules(),
        "LAB_PYTHON": python,
        "LAB_SYSTEMD": int(systemd),
    }
    lines = [f"{name}={shlex.quote(str(value))}\n" for name, value in settings.items()]
    (work / "settings").write_text("".join(lines))
    (work / "agent.service").write_text(AGENT_UNIT.format(python=python, programs=kernel.VENV / "bin"))
    for name in ("init", "agent.py"):
        shutil.copy(HERE / name, work)
    (work / "modules").unlink(missing_ok=True)
    (work / "modules").symlink_to(kernel.modules())


def kernel_arguments(
    work: Path, mem: str, disks: Mapping[str, Path], lines: tuple[int, int], append: Sequence[str]
) -> list[str]:
    """Give the command line of the kernel, without what says where its root is."""
    return [
        kernel.program(),
        "seccomp=auto",  # known since 6.16; ptrace where this machine does not have what it takes
        f"mem={mem}",
        f"uml_dir={work}/uml",
        "umid=lab",
        *[f"{name}={image}" for name, image in disks.items()],
        f"ssl0=fd:{lines[0]},fd:{lines[1]}",
        "con=null",
        "con0=null,fd:1",
        "quiet",
        "panic=-1",
        "noreboot",
        *append,
    ]


def own_root(work: Path) -> list[str]:
    """Give the kernel arguments for this machine's own files as root, read-only, and our init."""
    return ["root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", f"init={work}/init", f"LAB_WORK={work}"]


def start(arguments: Sequence[str], work: Path, lines: tuple[int, int]) -> subprocess.Popen[bytes]:
    """Start the kernel as a process group of its own, its console going to console.log."""
    try:
        with (work / "console.log").open("wb") as console:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=os.environ | {"TMPDIR": memory_folder(work)},
                cwd=work,
                pass_fds=lines,
                start_new_session=True,
            )
    except FileNotFoundError as error:
        raise LabError(f"cannot start {arguments[0]} ({error}); run {HERE}/setup") from error
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (most, most))  # every file the guest knows stays open here
    os.sched_setaffinity(process.pid, {a_processor()})
    return process


def a_processor() -> int:
    """Give a processor for a guest: the processes that it is made of take turns, which between several is slow."""
    processors = sorted(os.sched_getaffinity(0))
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    number = int(worker) if worker else random.randrange(len(processors))
    return processors[number % len(processors)]


def memory_folder(otherwise: Path) -> str:
    """Where the guest's memory may lie: /dev/shm where it is big and executable (in containers often neither)."""
    try:
        state = os.statvfs("/dev/shm")
    except OSError:
        return str(otherwise)
    fits = state.f_bavail * state.f_frsize > 2 << 30 and not state.f_flag & os.ST_NOEXEC
    return "/dev/shm" if fits else str(otherwise)
