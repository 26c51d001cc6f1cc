"""The Debian package, built by ./tests/package and installed by dpkg on a machine that has nothing of lvmsnap."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import TOP
from tests.heard import on_screen
from tests.lab.helpers import make_vg
from tests.lab.machine import Machine, MiB, Result

pytestmark = pytest.mark.lab

DISKS = {"ubda": 256 * MiB}
# The guest's disks are no disks that need a sync after each file.
INSTALL = "dpkg --force-unsafe-io --no-triggers --install /lab/lvmsnap.deb"
MODULES = "/usr/lib/python3/dist-packages"
# What an upgrade to another version of everything would leave of the files that a run began with.
LIBRARIES = ("lvmsnap", "rich", "yaml", "jsonschema")
GONE = f"mkdir /run/gone; cd {MODULES}; mv {' '.join(LIBRARIES)} /run/gone; rm /usr/sbin/lvmsnap; cd /"
BACK = f"mv /run/gone/* {MODULES}; rmdir /run/gone"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, without an error of lintian's."""
    folder = tmp_path_factory.mktemp("package")
    run = [str(TOP / "tests/package"), "--output", str(folder)]
    printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    path = Path(printed.splitlines()[-1])
    assert path.parent == folder
    return path


@pytest.fixture(scope="module")
def server(package: Path) -> Iterator[Machine]:
    """A machine with a volume, /srv, and the package's file."""
    with Machine(DISKS) as m:
        m.boot()
        # To make an initramfs takes minutes in a guest.
        m.run("rm -f $(command -v update-initramfs dracut)", check=False)
        (m.work / "lvmsnap.deb").write_bytes(package.read_bytes())
        make_vg(m, volumes={"system": "64M"}, filesystems={"system": "ext4"}, mounts={"system": "/srv"})
        m.run("echo precious > /srv/data; sync")
        yield m


def packaged(m: Machine, arguments: str, code: int = 0) -> Result:
    """Run the package's program."""
    done = m.run(f"/usr/sbin/lvmsnap {arguments}", check=False, timeout=120)
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def ours(m: Machine) -> set[str]:
    """Whatever bears the program's name where packages put things."""
    found = m.run("find /etc /usr/lib /usr/sbin /usr/share /var/lib /run -xdev -name '*lvmsnap*'", timeout=120)
    return {line for line in found.stdout.splitlines() if "/dpkg/" not in line}


def volumes(m: Machine) -> list[str]:
    return m.run("lvs --noheadings -o lv_name vg0").stdout.split()


def five_commands_lead_from_nothing_to_a_mounted_snapshot(server: Machine) -> None:
    """Each says what comes next, and that is typed: NAME alone is to be chosen."""
    installed = server.run(INSTALL, timeout=300).stdout
    assert "\nnext: lvmsnap init " in installed
    listed = typed(server, "lvmsnap init", answer="\n")
    assert "\nnext: lvmsnap init vg0/system --write NAME\n" in listed
    written = typed(server, "lvmsnap init vg0/system --write nightly")
    assert "\nnext: lvmsnap plan nightly " in written
    planned = typed(server, "lvmsnap plan nightly")
    assert "\nready: lvmsnap up nightly runs these " in planned
    brought_up = typed(server, "lvmsnap up nightly")

    assert re.search(r" /run/lvmsnap/nightly ro\b.* - ext4 ", server.read_file("/proc/self/mountinfo"))
    server.run("echo changed > /srv/data; sync")
    assert server.read_file("/run/lvmsnap/nightly/data") == "precious\n"
    assert "\n/run/lvmsnap/nightly\nnext: lvmsnap watch nightly " in brought_up
    assert "\n      lvmsnap down nightly " in brought_up
    typed(server, "lvmsnap down nightly")
    assert volumes(server) == ["system"]


def typed(m: Machine, command: str, *, answer: str = "") -> str:
    """Type a command on a terminal, and perhaps an answer to what it asks; return what is to be seen there."""
    job = m.start(command, tty=(80, 24), env={"TERM": "xterm"})
    if answer:
        job.wait_for_output("? ")
        job.write(answer)
    done = job.wait(120)
    assert done.returncode == 0, done.stdout
    return f"\n{on_screen(done.stdout)}"


def what_was_installed_is_found_where_it_is_looked_for(server: Machine) -> None:
    assert packaged(server, "--version").stdout.startswith("lvmsnap ")
    assert server.run("command -v lvmsnap").stdout == "/usr/sbin/lvmsnap\n"
    for page in ("8 lvmsnap", "5 lvmsnap-profile"):
        section, name = page.split()
        assert server.run(f"man -w {page}").stdout.startswith(f"/usr/share/man/man{section}/{name}.{section}")
    assert server.run("/usr/sbin/lvmsnap schema | cmp - /usr/share/lvmsnap/profile.schema.json").stdout == ""
    assert packaged(server, "schema --path").stdout == "/usr/share/lvmsnap/profile.schema.json\n"
    assert "lvmsnap plan [--" in server.run("MANWIDTH=80 man lvmsnap").stdout
    assert server.run("""fish -c 'complete -C "lvmsnap plan --offl"'""").stdout.startswith("--offline\t")
    loaded = "autoload -Uz compinit; compinit -u -D; print $_comps[lvmsnap]; autoload +X _lvmsnap"
    assert server.run(f"zsh -c '{loaded}'").stdout == "_lvmsnap\n"
    assert "\n## " in packaged(server, "help changelog").stdout
    completion = "/usr/share/bash-completion/completions/lvmsnap"
    assert server.run(f"bash -c '. {completion}; complete -p lvmsnap'").stdout.endswith(" lvmsnap\n")
    for sample in server.run("ls /usr/share/doc/lvmsnap/examples/*.yaml").stdout.split():
        packaged(server, f"validate {sample}")
        packaged(server, f"plan --offline {sample}")


def the_boot_is_as_before_until_install_boot_was_run(server: Machine) -> None:
    assert "/etc/lvmsnap/boot.conf is missing" in packaged(server, "install-boot --status", code=1).stdout
    assert server.run("/usr/lib/udev/lvmsnap-repair-groups").stderr == ""

    packaged(server, "install-boot")

    assert packaged(server, "install-boot --status").stdout.split() == ["systemd", "installed"]
    links = server.run("readlink /etc/systemd/system/*/lvmsnap-*.service").stdout.split()
    # Where /lib is a link to /usr/lib, systemctl may name the folder in either way.
    assert {Path(link).parent for link in links} <= {Path("/usr/lib/systemd/system"), Path("/lib/systemd/system")}
    assert [path for path in ours(server) if path.startswith(("/etc/udev", "/etc/initramfs-tools"))] == []


def a_backup_is_one_command(server: Machine) -> None:
    done = packaged(server, "run nightly -- sh -c 'cat \"$LVMSNAP_MOUNTPOINT/data\"'")

    assert done.stdout == "changed\n"


def it_is_not_removed_while_a_profile_is_up(server: Machine) -> None:
    packaged(server, "up nightly")

    refused = server.run("dpkg --purge lvmsnap", check=False)

    assert refused.returncode != 0
    assert "lvmsnap is not removed: up, or left by a crash: nightly" in refused.stderr
    assert "lvmsnap down --all" in refused.stderr
    assert " up " in packaged(server, "status nightly").stdout
    packaged(server, "down nightly")


def an_upgrade_in_the_middle_of_a_run_changes_nothing_for_it(server: Machine) -> None:
    done = packaged(server, f"run nightly -- sh -c '{INSTALL} > /run/upgrade 2>&1; exit 7'", code=7)

    assert "Setting up lvmsnap" in server.run("cat /run/upgrade").stdout
    assert "sh ended with exit status 7" in done.stderr
    assert volumes(server) == ["system"]


def nor_does_it_where_all_files_are_gone_and_the_snapshot_is_lost(server: Machine) -> None:
    """On a terminal, and the first that is drawn there is the loss."""
    lose = "umount /run/lvmsnap/nightly; lvremove -q -y vg0/system-lvmsnap-nightly"
    server.write_file("/run/lose", f"{GONE}; {lose}\n")

    done = server.run(
        "script -qec '/usr/sbin/lvmsnap run -q nightly -- sh /run/lose' /dev/null", check=False, timeout=120
    )

    assert done.returncode == 124, done.stdout
    assert "do not trust its result" in done.stdout
    assert "rror of lvmsnap" not in done.stdout
    assert volumes(server) == ["system"]
    assert server.run("ls /var/lib/lvmsnap/*.json", check=False).returncode != 0
    server.run(BACK)


def purging_leaves_the_administrators_profiles_alone_and_nothing_else(server: Machine) -> None:
    server.run(INSTALL, timeout=300)
    assert "installed" in packaged_status(server)
    assert server.run("ls /var/lib/lvmsnap/history").stdout == "nightly.jsonl\n"

    server.run("dpkg --no-triggers --purge lvmsnap", timeout=300)

    assert {path for path in ours(server) if not path.startswith("/run/")} == {"/etc/lvmsnap"}
    assert server.run("ls /etc/lvmsnap").stdout == "nightly.yaml\n"


def packaged_status(m: Machine) -> str:
    return m.run("dpkg-query -W -f '${db:Status-Status}' lvmsnap").stdout


def test_the_package_from_its_installation_to_its_removal(server: Machine) -> None:
    five_commands_lead_from_nothing_to_a_mounted_snapshot(server)
    what_was_installed_is_found_where_it_is_looked_for(server)
    the_boot_is_as_before_until_install_boot_was_run(server)
    a_backup_is_one_command(server)
    it_is_not_removed_while_a_profile_is_up(server)
    an_upgrade_in_the_middle_of_a_run_changes_nothing_for_it(server)
    nor_does_it_where_all_files_are_gone_and_the_snapshot_is_lost(server)
    purging_leaves_the_administrators_profiles_alone_and_nothing_else(server)


@pytest.fixture(scope="module")
def running(package: Path) -> Iterator[Machine]:
    """A machine that systemd runs, with a volume and the package."""
    with Machine(DISKS) as m:
        m.boot(systemd=True)
        # A file of containers, in which packages start no services.
        m.run("rm -f $(command -v update-initramfs dracut) /usr/sbin/policy-rc.d", check=False)
        (m.work / "lvmsnap.deb").write_bytes(package.read_bytes())
        make_vg(m, volumes={"system": "64M"}, filesystems={"system": "ext4"}, mounts={"system": "/srv"})
        m.run(INSTALL, timeout=300)
        yield m


def active(m: Machine, *units: str) -> list[str]:
    return m.run(f"systemctl is-active {' '.join(units)}", check=False).stdout.split()


def test_its_units_run_from_their_packaged_places_and_a_removal_stops_them_until_it_is_installed_again(
    running: Machine,
) -> None:
    m = running
    packaged(m, "init vg0/system --write nightly")
    packaged(m, "install-boot")
    packaged(m, "install-units nightly -- /bin/true")
    m.run("systemctl start lvmsnap@nightly.service", timeout=120)

    assert "last run: succeeded" in packaged(m, "install-units nightly --status").stdout
    assert m.run("systemctl show -P FragmentPath lvmsnap@nightly.timer").stdout.endswith(
        "/lib/systemd/system/lvmsnap@.timer\n"
    )
    assert m.run("ls -d /etc/systemd/system/lvmsnap@*").stdout.split() == [
        "/etc/systemd/system/lvmsnap@nightly.service.d"
    ]
    units = ("lvmsnap@nightly.timer", "lvmsnap-shutdown.service")
    assert active(m, *units) == ["active", "active"]
    # A PV that appears has the boot look at its group, now that install-boot asked for it.
    m.run("udevadm trigger --action=add /dev/ubda; udevadm settle; udevadm info /dev/ubda | grep lvmsnap-boot@")

    m.run(INSTALL, timeout=300)
    assert active(m, *units) == ["active", "active"], "an upgrade stops nothing"
    m.run("dpkg --no-triggers --remove lvmsnap", timeout=300)
    assert active(m, *units) == ["inactive", "inactive"]
    m.run(INSTALL, timeout=300)
    assert active(m, *units) == ["active", "inactive"]
    assert "boot.conf is missing" in packaged(m, "install-boot --status", code=1).stdout

    m.run("dpkg --no-triggers --purge lvmsnap", timeout=300)
    assert {path for path in ours(m) if path.startswith("/etc/")} == {"/etc/lvmsnap"}
