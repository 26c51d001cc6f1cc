"""Where profiles are found, and which files are refused before a word of them is read: rights, kind, size, encoding."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lvmsnap.model.errors import ProfileError, ProfileProblem, UsageError
from lvmsnap.model.units import KIB
from lvmsnap.profile import loading


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in ("system", "home"):
        (tmp_path / f"{name}.yaml").write_text("volumes: [{origin: vg0/root}]")
    for ignored in ("Upper.yaml", "notes.txt", "-dash.yaml"):
        (tmp_path / ignored).write_text("")
    return tmp_path


def test_the_profiles_of_a_directory_are_its_yaml_files_with_a_legal_name(directory: Path) -> None:
    assert loading.names(str(directory)) == ("home", "system")
    assert loading.names(str(directory / "absent")) == ()


def test_a_name_is_found_in_the_directory_and_a_path_is_taken_as_it_is(directory: Path) -> None:
    assert loading.find("system", str(directory)) == directory / "system.yaml"
    assert loading.find(f"{directory}/system.yaml", "/nowhere") == directory / "system.yaml"


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("sytem", "there is no profile sytem in {} (there are: home, system)", "did you mean system?"),
        ("x", "there is no profile x in {} (there are: home, system)", "lvmsnap init VG/LV --write x makes one"),
        (
            "System",
            "'System' is not the name of a profile",
            "did you mean system?",
        ),
        (
            "/etc/Big.yaml",
            "/etc/Big.yaml: 'Big' is not the name of a profile",
            "rename the file: mv -- /etc/Big.yaml /etc/big.yaml",
        ),
        ("./absent.yaml", "there is no file ./absent.yaml", "see what is there: ls ."),
        ("absent.yaml", "there is no file absent.yaml", "see what is there: ls ."),
    ],
)
def test_a_profile_that_is_not_there_is_named_with_those_that_are(
    directory: Path, name: str, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        loading.find(name, str(directory))
    assert (caught.value.message, caught.value.hint) == (message.format(directory), hint)


def test_of_many_profiles_the_first_are_named(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"p{number:02}.yaml").touch()

    with pytest.raises(UsageError, match=r"\(there are: p00, p01, .*, p19, and 10 more\)"):
        loading.find("nightly", str(tmp_path))


def test_a_missing_profile_directory_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent \(the directory does not exist\)"):
        loading.find("system", str(tmp_path / "absent"))


def test_a_profile_is_named_after_its_file(directory: Path) -> None:
    loaded = loading.load(directory / "system.yaml", require_root_owned=False)
    assert (loaded.name, loaded.path) == ("system", str(directory / "system.yaml"))
    with pytest.raises(ProfileError, match="'Upper' is not the name of a profile"):
        loading.load(directory / "Upper.yaml", require_root_owned=False)


def refusals(path: Path, *, require_root_owned: bool = False) -> list[tuple[str, str]]:
    with pytest.raises(ProfileError) as caught:
        loading.load(path, require_root_owned=require_root_owned)
    return [(problem.message, problem.hint) for problem in caught.value.problems]


def test_a_file_over_64_kib_is_refused_and_one_of_64_kib_is_read(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    text = "volumes: [{origin: vg0/root}]\n#"
    path.write_text(text.ljust(64 * KIB))
    loading.load(path, require_root_owned=False)
    path.write_text(text.ljust(64 * KIB + 1))
    assert refusals(path) == [("is larger than 64 KiB", "this cannot be a profile")]


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert refusals(tmp_path / "pipe.yaml") == [("is not a regular file", "")]
    (tmp_path / "folder.yaml").mkdir()
    assert refusals(tmp_path / "folder.yaml") == [("is not a regular file", "")]
    assert refusals(tmp_path / "absent.yaml") == [("cannot be read: No such file or directory", "")]


def test_a_file_that_is_not_utf_8_is_refused_with_the_place_of_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("volumes:\n  # für".encode("latin-1"))
    with pytest.raises(ProfileError) as caught:
        loading.load(path, require_root_owned=False)
    expected = ProfileProblem(str(path), 2, 6, "", "the byte 0xfc is not UTF-8", "save the file as UTF-8")
    assert caught.value.problems == (expected,)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def root_file(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir(mode=0o755)
    path = folder / "system.yaml"
    path.write_text("volumes: [{origin: vg0/root}]")
    path.chmod(0o644)
    return path


@needs_root
def test_a_file_of_roots_that_nobody_else_can_write_is_read(root_file: Path) -> None:
    assert loading.load(root_file, require_root_owned=True).name == "system"


@needs_root
@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_can_write_is_refused(root_file: Path, mode: int) -> None:
    root_file.chmod(mode)
    assert refusals(root_file, require_root_owned=True) == [
        (
            f"refused, since the file is writable by users other than root (mode {mode:04o})",
            f"chown root:root {root_file} && chmod 0644 {root_file}",
        )
    ]


@needs_root
def test_a_file_of_somebody_else_in_a_directory_of_theirs_gets_two_refusals(root_file: Path) -> None:
    os.chown(root_file, 1234, -1)
    os.chown(root_file.parent, 1234, -1)
    assert [message for message, _ in refusals(root_file, require_root_owned=True)] == [
        "refused, since the file belongs to user 1234, not to root",
        f"refused, since its directory {root_file.parent} belongs to user 1234, not to root",
    ]


@needs_root
def test_the_directory_behind_a_link_counts_too(root_file: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    root_file.rename(elsewhere / "system.yaml")
    root_file.symlink_to(elsewhere / "system.yaml")
    loading.load(root_file, require_root_owned=True)
    elsewhere.chmod(0o777)
    assert refusals(root_file, require_root_owned=True) == [
        (
            f"refused, since its directory {elsewhere} is writable by users other than root (mode 0777)",
            f"chown root:root {elsewhere} && chmod 0755 {elsewhere}",
        )
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root's files are root's")
def test_a_file_that_is_not_roots_is_refused(root_file: Path) -> None:
    assert "belongs to user" in refusals(root_file, require_root_owned=True)[0][0]


def test_a_profile_is_found_without_a_look_at_all_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nightly.yaml").write_text("volumes: [{origin: vg0/root}]\n")
    monkeypatch.setattr(loading, "names", lambda _: pytest.fail("the directory was listed"))

    assert loading.find("nightly", str(tmp_path)) == tmp_path / "nightly.yaml"
