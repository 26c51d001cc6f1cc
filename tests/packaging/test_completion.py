"""Completion in bash, zsh and fish: what each shell itself offers where, and that no lvmsnap is started for it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lvmsnap.cli import help_pages, parser
from tests import TOP
from tests.packaging import completion
from tests.packaging.shell_driver import Bash, Fish, Terminal, Zsh

SHELLS: dict[str, type[Bash | Zsh | Fish]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}
COMMANDS = parser.build_parser().commands
LVS = """#!/bin/sh
echo "  -wi-ao----/vg0/root
  -wi-a-----/vg0/old-home
  owi-aos---/vg0/data
  swi-a-s---/vg0/snap
  Swi-a-s---/vg0/merging
  twi-aotz--/vg0/pool
  dwi-------/vg0/vpool"
"""


class Place:
    """A folder with profiles, programs of its own, and an environment that knows both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.other = folder / "other"
        for name in ("profiles/nightly.yaml", "profiles/home.yaml", "profiles/x.yml", "other/else.yaml", "here.yaml"):
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.touch()
        for name, text in {"zz-backup": "", "lvs": LVS, "lvmsnap": "#!/bin/sh\n: > $STARTED\n"}.items():
            path = folder / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        self.started = folder / "started"
        self.environment = {
            **{"PATH": f"{folder}/bin:{os.environ['PATH']}", "LVMSNAP_PROFILE_DIR": f"{folder}/profiles"},
            **{"HOME": str(folder), "LC_ALL": "C.UTF-8", "STARTED": str(self.started)},
        }


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    subprocess.run([sys.executable, "-m", "tests.packaging.completion", str(folder)], cwd=TOP, check=True)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module", params=list(SHELLS))
def shell(request: pytest.FixtureRequest, files: Path, place: Place) -> Iterator[Bash | Zsh | Fish]:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed (tests/lab/setup)")
    made = SHELLS[request.param](files, place.environment, place.folder)
    yield made
    made.close()


def test_a_file_whose_name_is_no_profiles_is_not_offered_and_no_shell_obeys_it(
    shell: Bash | Zsh | Fish, place: Place
) -> None:
    strange = place.folder / "strange"
    strange.mkdir(exist_ok=True)
    for name in ("$(lvmsnap)", "`lvmsnap`", "$STARTED", "a b", "Upper", "-x", "good-1", "~", "*", "(lvmsnap)"):
        (strange / f"{name}.yaml").touch()

    assert offered(shell, f"lvmsnap --profile-dir {strange} up ", place) == {"good-1"}


@pytest.fixture(autouse=True)
def _lvmsnap_is_never_started(place: Place) -> Iterator[None]:
    yield
    assert not place.started.exists()


def offered(shell: Bash | Zsh | Fish, line: str, place: Place) -> set[str]:
    """What is offered, less the slash or blank that a shell may put behind it."""
    found = shell.completions(line.replace("OTHER", str(place.other)))
    return {one.rstrip("/ ") for one in found}


# --- commands and options ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["lvmsnap ", "lvmsnap -v ", "lvmsnap --wait 5 ", "lvmsnap --wait=5 "])
def test_first_come_the_commands(shell: Bash | Zsh | Fish, line: str, place: Place) -> None:
    assert offered(shell, line, place) == set(COMMANDS)


def test_a_command_is_completed(shell: Bash | Zsh | Fish, place: Place) -> None:
    assert offered(shell, "lvmsnap sta", place) == {"status"}
    assert offered(shell, "lvmsnap fly", place) == set()


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_its_options_and_no_other(shell: Bash | Zsh | Fish, command: str, place: Place) -> None:
    options = {option for option in COMMANDS[command]._option_string_actions if option.startswith("--")}

    assert offered(shell, f"lvmsnap {command} --", place) - {"--"} == options


def test_before_the_command_come_the_options_of_every_command(shell: Bash | Zsh | Fish, place: Place) -> None:
    options = {option for option in parser.build_parser()._option_string_actions if option.startswith("--")}

    assert offered(shell, "lvmsnap --", place) == options


# --- profiles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "names"),
    [
        *((f"lvmsnap {command} ", {"nightly", "home"}) for command in ("up", "plan", "run", "watch", "down", "status")),
        *((f"lvmsnap {command} ", {"nightly", "home"}) for command in ("recover", "install-units")),
        ("lvmsnap up ni", {"nightly"}),
        ("lvmsnap up --replace ni", {"nightly"}),
        ("lvmsnap -v --wait 5 up ni", {"nightly"}),
        ("lvmsnap up no", set()),
        ("lvmsnap up nightly ", set()),
        ("lvmsnap up --wait ", set()),
        ("lvmsnap up --wait 5 ni", {"nightly"}),
        ("lvmsnap status home ni", {"nightly"}),
        ("lvmsnap --profile-dir OTHER up ", {"else"}),
        ("lvmsnap --profile-dir=OTHER up ", {"else"}),
        ("lvmsnap up --profile-dir OTHER ", {"else"}),
        ("lvmsnap --profile-dir ~/other up ", {"else"}),
        ("lvmsnap --profile-dir /none up ", set()),
        ("lvmsnap schema ", set()),
        ("lvmsnap fly ", set()),
    ],
)
def test_names_of_profiles_are_the_files_of_the_profile_directory(
    shell: Bash | Zsh | Fish, line: str, names: set[str], place: Place
) -> None:
    found = offered(shell, line, place)
    # Where nothing else fits, zsh offers the options.
    assert {one for one in found if not one.startswith("-")} == names


def test_the_path_of_a_profile_is_completed(shell: Bash | Zsh | Fish, place: Place) -> None:
    assert {one.removeprefix("./") for one in offered(shell, "lvmsnap up ./he", place)} == {"here.yaml"}


def test_validate_takes_profiles_and_files(shell: Bash | Zsh | Fish, place: Place) -> None:
    assert offered(shell, "lvmsnap validate h", place) == {"home", "here.yaml"}


# --- other values -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask LVM")
@pytest.mark.parametrize(
    ("line", "volumes"),
    [("lvmsnap init ", {"vg0/root", "vg0/old-home", "vg0/data"}), ("lvmsnap init vg0/o", {"vg0/old-home"})],
)
def test_volumes_are_those_that_can_be_snapshotted(
    shell: Bash | Zsh | Fish, line: str, volumes: set[str], place: Place
) -> None:
    assert offered(shell, line, place) == volumes


@pytest.mark.parametrize("name", ["bash", "fish"])
def test_where_lvm_is_not_installed_nothing_is_offered_and_nothing_said(name: str, files: Path, tmp_path: Path) -> None:
    programs = {one: shutil.which(one) for one in (name, "id", "sed")}
    if not all(programs.values()):
        pytest.skip(f"{name} is not installed (tests/lab/setup)")
    for one, path in programs.items():
        (tmp_path / one).symlink_to(str(path))
    file = files / {"bash": "bash/lvmsnap", "fish": "fish/lvmsnap.fish"}[name]
    run = [name, "-c", f"source {file}; {'__lvmsnap_volumes' if name == 'fish' else '_lvmsnap_volumes'}"]

    done = subprocess.run(
        run, env={"PATH": str(tmp_path), "HOME": str(tmp_path)}, capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr) == ("", "")


def test_files_folders_and_topics(shell: Bash | Zsh | Fish, place: Place) -> None:
    assert offered(shell, "lvmsnap help ", place) == {*help_pages.TOPICS, *COMMANDS}
    assert offered(shell, "lvmsnap --profile-dir o", place) == {"other"}
    assert offered(shell, "lvmsnap plan --export he", place) == {"here.yaml"}


# --- the command after two dashes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "install-units"])
def test_after_the_name_come_two_dashes_and_then_a_command_with_its_own_completion(
    shell: Bash | Zsh | Fish, command: str, place: Place
) -> None:
    assert offered(shell, f"lvmsnap {command} nightly ", place) == {"--"}
    assert offered(shell, f"lvmsnap {command} nightly -- zz-b", place) == {"zz-backup"}
    assert offered(shell, f"lvmsnap {command} nightly -- zz-backup he", place) == {"here.yaml"}
    assert "--replace" not in offered(shell, f"lvmsnap {command} nightly -- zz-backup --", place)


# --- by hand ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beside", ["", "/usr/share/bash-completion/bash_completion"])
def test_bash_completes_when_tab_is_pressed(beside: str, files: Path, place: Place) -> None:
    if beside and not Path(beside).exists():
        pytest.skip("bash-completion is not installed")
    terminal = Terminal(["bash", "--norc", "-i"], place.environment, place.folder)
    try:
        terminal.type(f"source {beside or '/dev/null'}; source {files}/bash/lvmsnap; echo rea''dy\r")
        terminal.wait_for("ready")
        terminal.type("alias lvmsnap=:\r")
        terminal.type("lvmsnap up --profile-dir=oth\telse\r")
        terminal.wait_for("--profile-dir=other/")
        terminal.type("lvmsnap sta\tnigh\t--js\t\r")
        terminal.wait_for("lvmsnap status nightly --json ")
        terminal.type("lvmsnap run nightly -- zz-b\the\t\r")
        terminal.wait_for("lvmsnap run nightly -- zz-backup here.yaml ")
    finally:
        terminal.close()


# --- what is generated ------------------------------------------------------------------------------------------------


def test_it_is_decided_for_every_argument_and_value_what_it_stands_for() -> None:
    for command in COMMANDS.values():
        completion.argument(command)
    assert completion.values()["--profile-dir"] == "directory"


def test_no_placeholder_is_left() -> None:
    for text in completion.files().values():
        assert re.findall(r"@[A-Z]+@", text) == []


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing_to_fix_in_what_bash_reads(files: Path) -> None:
    run = ["shellcheck", "--shell=bash", "--severity=warning", str(files / "bash/lvmsnap")]
    done = subprocess.run(run, capture_output=True, text=True, check=False)

    assert done.stdout == ""
