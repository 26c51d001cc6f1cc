"""The lab itself: what tests of lvmsnap rely on must be true of the guest and of what it leaves on the host."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests import TOP
from tests.lab.helpers import MachineFactory, fingerprint, make_vg, wipe
from tests.lab.machine import CommandFailed, LabError, LabTimeout, Machine, MiB

pytestmark = pytest.mark.lab


LAB = TOP / "tests/lab"


def lab_processes(work: str) -> list[str]:
    """Give the live processes of the guest with this work folder (zombies that nobody buries do not count)."""
    lines = subprocess.run(
        ["ps", "-ww", "-eo", "stat,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [line for line in lines if "linux.uml" in line and work in line and not line.startswith("Z")]


def host_traces() -> list[str]:
    """Give what a leaking lab would change on the host: mounts, loops, device-mapper, files it must not touch."""
    folders = [Path(name) for name in ("/etc/lvm", "/lib/modules", "/var/lib/lvmsnap", "/etc/lvmsnap")]
    files = [f"{path} {path.lstat().st_mtime_ns}" for folder in folders for path in sorted(folder.rglob("*"))]
    devices = [str(path) for path in Path("/sys/block").glob("*")]
    return [
        Path("/proc/self/mountinfo").read_text(),
        *sorted(devices),
        *files,
        str(Path("~/.uml").expanduser().exists()),
    ]


def test_output_and_exit_status_arrive(lab: Machine) -> None:
    result = lab.run("echo out; echo err >&2; exit 3", check=False)
    assert (result.returncode, result.stdout, result.stderr) == (3, "out\n", "err\n")
    assert lab.run(["printf", "%s", "ä $HOME"]).stdout == "ä $HOME"
    assert lab.run("kill -9 $$", check=False).returncode == -9
    assert lab.run(["no-such-program"], check=False).returncode == 127
    with pytest.raises(CommandFailed, match="the reason"):
        lab.run("echo the reason; false")


def test_commands_have_a_clean_environment(lab: Machine) -> None:
    lines = lab.run(["env"], env={"EXTRA": "1"}, cwd="/usr").stdout.splitlines()
    assert {line.partition("=")[0] for line in lines} == {
        *("EXTRA", "HOME", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "USER")
    }
    assert lab.run(["pwd"], cwd="/usr").stdout == "/usr\n"


def test_output_comes_live(lab: Machine) -> None:
    job = lab.start("echo first; read line; echo got $line", stdin=True)
    job.wait_for_output("first", timeout=10)
    assert job.poll() is None
    job.write("second\n")
    assert job.wait(10).stdout == "first\ngot second\n"


def test_much_goes_through_in_both_directions(lab: Machine) -> None:
    data = bytes(range(256)) * 4096
    chunks: list[bytes] = []
    job = lab.start(["cat"], stdin=True, on_output=lambda _stream, chunk: chunks.append(chunk))
    job.write(data, end=True)
    job.wait(30)
    assert b"".join(chunks) == data
    lab.write_file("/run/lab-data/file", data, mode=0o640)
    assert lab.read_bytes("/run/lab-data/file") == data
    assert lab.run(["stat", "-c", "%a %s", "/run/lab-data/file"]).stdout == f"640 {len(data)}\n"
    with pytest.raises(LabError, match="No such file"):
        lab.read_file("/no/such/file")


def test_two_commands_run_at_once(lab: Machine) -> None:
    lab.run("rm -f /run/fifo; mkfifo /run/fifo")
    reader = lab.start("cat /run/fifo")
    lab.run("echo through the fifo > /run/fifo", timeout=10)
    assert reader.wait(10).stdout == "through the fifo\n"


def test_a_time_out_kills_the_command(lab: Machine) -> None:
    with pytest.raises(LabTimeout, match="sleep 987"):
        lab.run("sleep 987; true", timeout=0.5)
    lab.run("! pgrep -f 'sleep 98[7]'")


def test_a_signal_reaches_the_command(lab: Machine) -> None:
    job = lab.start("trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.1; done")
    job.wait_for_output("ready")
    job.kill(signal.SIGTERM, group=False)
    assert job.wait(10).returncode == 5


def test_a_command_may_have_a_terminal(lab: Machine) -> None:
    job = lab.start("stty size; tty; read line", tty=(101, 33))
    assert "33 101" in job.wait_for_output("/dev/pts/")
    job.resize(80, 24)
    job.write("\x03")
    assert job.wait(10).returncode == -signal.SIGINT


def test_threads_may_share_a_guest(lab: Machine) -> None:
    outputs: dict[int, str] = {}
    threads = [
        threading.Thread(target=lambda i=i: outputs.update({i: lab.run(["echo", str(i)]).stdout})) for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outputs == {i: f"{i}\n" for i in range(8)}


@pytest.mark.parametrize(("kind", "options"), [("ext4", "ro,noload"), ("xfs", "ro,nouuid")])
def test_a_snapshot_really_keeps_the_old_content(lab: Machine, kind: str, options: str) -> None:
    make_vg(lab, volumes={"data": "320M"}, filesystems={"data": kind}, mounts={"data": "/mnt/data"})
    script = f"""set -e
        echo old > /mnt/data/file
        lvcreate -q -s -n snap -L 64M vg0/data
        echo new > /mnt/data/file
        mkdir /mnt/snap; mount -o {options} /dev/vg0/snap /mnt/snap
        cat /mnt/data/file /mnt/snap/file"""
    assert lab.run(script).stdout.splitlines()[-2:] == ["new", "old"]


def test_wipe_brings_back_the_first_state(lab: Machine) -> None:
    before = fingerprint(lab)
    make_vg(
        lab,
        volumes={"data": "64M"},
        filesystems={"data": "ext4", "/dev/ubdc": "ext4"},
        mounts={"/dev/ubdc": "/srv/o t"},
    )
    lab.run(
        """set -e
        fallocate -l 80M '/srv/o t/file'; losetup -f '/srv/o t/file'
        pvcreate -q /dev/loop0; vgextend -q vg0 /dev/loop0; lvcreate -q -s -n snap -L 20M vg0/data /dev/loop0
        mkdir -p /mnt/s /var/lib/lvmsnap; mount -o ro /dev/vg0/snap /mnt/s; touch /var/lib/lvmsnap/x.json
        dmsetup suspend vg0-data
        (cd /mnt/s; sleep 1000 < /dev/null > /dev/null 2>&1 &)"""
    )
    assert fingerprint(lab) != before
    wipe(lab)
    assert fingerprint(lab) == before


def test_a_power_cut_keeps_what_was_synced(fresh_machine: MachineFactory) -> None:
    machine = fresh_machine({"ubda": 256 * MiB})
    machine.boot()
    make_vg(machine, volumes={"data": "64M"}, filesystems={"data": "ext4"}, mounts={"data": "/mnt"})
    machine.run("echo kept > /mnt/synced; sync; sleep 1000 > /mnt/open & echo lost > /mnt/dirty")
    job = machine.start("sleep 1000")
    machine.cut_power()
    with pytest.raises(LabError, match="the guest is gone"):
        job.wait(5)
    with pytest.raises(LabError, match="off"):
        machine.run("true")
    machine.boot()
    assert machine.run("mount /dev/vg0/data /mnt && cat /mnt/synced").stdout == "kept\n"
    machine.shutdown()
    assert not machine.is_running()


def test_systemd_activates_a_volume_by_itself(fresh_machine: MachineFactory) -> None:
    machine = fresh_machine({"ubda": 256 * MiB})
    machine.boot()
    make_vg(machine, volumes={"data": "64M"})
    machine.shutdown()
    machine.boot(systemd=True)
    machine.run("until [ -e /dev/vg0/data ]; do sleep 0.2; done", timeout=30)
    assert machine.run(["cat", "/proc/1/comm"]).stdout == "systemd\n"
    assert machine.run(["systemctl", "--failed", "--quiet", "--no-legend"]).stdout == ""
    machine.shutdown()
    assert not machine.is_running()


def test_a_guest_that_does_not_boot_says_why(fresh_machine: MachineFactory) -> None:
    with pytest.raises(LabError, match="Kernel panic"):
        fresh_machine({}).boot(append=["init=/no/such/init"], timeout=20)


def test_nothing_is_left_on_the_host(fresh_machine: MachineFactory) -> None:
    before = host_traces()
    machine = fresh_machine()
    machine.boot()
    machine.run("mkdir -p /etc/lvmsnap /var/lib/lvmsnap; touch /etc/lvmsnap/x /etc/leak; losetup -f /lab/ubdb.img")
    machine.close()
    assert not machine.work.exists()
    assert lab_processes(str(machine.work)) == []
    assert host_traces() == before
    assert not Path("/etc/leak").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_test_run_leaves_no_guest(number: signal.Signals) -> None:
    script = (
        "from tests.lab.machine import Machine; m = Machine({}); m.boot(); print(m.work, flush=True); m.run('sleep 99')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=LAB.parents[1]
    ) as runner:
        assert runner.stdout is not None
        work = runner.stdout.readline().strip()
        assert lab_processes(work)
        runner.send_signal(number)
    deadline = time.monotonic() + 10
    while lab_processes(work) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert lab_processes(work) == []
    if number == signal.SIGTERM:
        assert not Path(work).exists()
    subprocess.run(["rm", "-rf", work], check=True)


def test_run_passes_output_and_exit_status_on() -> None:
    command = [str(LAB / "run"), "--disk", "ubda=64MiB", "--", "sh", "-c", "lsblk -no NAME,SIZE; echo err >&2; exit 7"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.split(), result.stderr) == (7, ["ubda", "64M"], "err\n")
