"""The one exception family: what is wrong, on which object, what to do, and the exit code."""

from __future__ import annotations

import errno
import shlex
from collections.abc import Iterable

from lvmsnap.model.dataclass import dataclass


class LvmsnapError(Exception):
    """Something is wrong. `message` says what and on which object, `hint` what to do; both are plain text."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(LvmsnapError):
    """The command line asks for something that does not exist."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class ProfileProblem:
    """One mistake in a profile. `line` and `column` count from 1; they are 0 if the mistake is in no line."""

    file: str
    line: int
    column: int
    key_path: str
    message: str
    hint: str = ""

    @property
    def place(self) -> str:
        """`file:line:column`, or the file alone."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class ProfileError(LvmsnapError):
    """A profile cannot be used; all its mistakes at once, in the order of their lines."""

    exit_code = 2

    def __init__(self, problems: tuple[ProfileProblem, ...]) -> None:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{first.place}: {first.message}{more}", hint=first.hint)
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Refusal:
    """One check that failed: what is wrong, on which object, and what to do."""

    message: str
    hint: str = ""


class RefusedError(LvmsnapError):
    """Checks refuse the change; nothing was changed. All refusals at once."""

    exit_code = 3

    def __init__(self, refusals: tuple[Refusal, ...]) -> None:
        super().__init__("; ".join(refusal.message for refusal in refusals), hint=refusals[0].hint)
        self.refusals = refusals


class ToolError(LvmsnapError):
    """A command that only reads failed, so nothing is known and nothing was changed."""

    exit_code = 3


class StepError(LvmsnapError):
    """A step failed; everything that was begun has been undone."""

    exit_code = 1


def refused_after(done: str, error: LvmsnapError) -> LvmsnapError:
    """Return the error of a command that did what `done` says, "" for nothing, before `error` stopped it.

    A refusal would claim that nothing was changed, which is wrong then.
    """
    if not done or error.exit_code != RefusedError.exit_code:
        return error
    return StepError(f"{done}, but not all that was requested: {error.message}", hint=error.hint)


class ResidueError(LvmsnapError):
    """A step failed and undoing it failed too. `residue` names what is left, `commands` finish the work.

    `holders` are its users, if they are the only reason.
    """

    exit_code = 4

    def __init__(
        self,
        message: str,
        *,
        residue: tuple[str, ...],
        commands: tuple[str, ...],
        hint: str = "",
        holders: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.residue = residue
        self.commands = commands
        self.holders = holders


class InterruptedBySignalError(LvmsnapError):
    """INT, TERM or HUP arrived; everything that was begun has been undone."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class SnapshotLostError(LvmsnapError):
    """The snapshot was lost while it was up: what was read from it is worthless. `residue`: what is left, if any."""

    exit_code = 124

    def __init__(self, message: str, *, hint: str = "", residue: ResidueError | None = None) -> None:
        super().__init__(message, hint=hint)
        self.residue = residue


class NotStartedError(LvmsnapError):
    """`run` never started its command; the machine is as before.

    `refusals` are the failed checks, `problems` the profile's mistakes, if they were the reason.
    """

    exit_code = 125

    def __init__(self, message: str, *, hint: str = "", refusals: tuple[Refusal, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.refusals = refusals
        self.problems: tuple[ProfileProblem, ...] = ()

    @classmethod
    def because(cls, error: LvmsnapError) -> NotStartedError:
        """Return the error of a `run` that `error` kept from starting its command."""
        refusals = error.refusals if isinstance(error, RefusedError) else ()
        made = cls(f"the command was not started: {error.message}", hint=error.hint, refusals=refusals)
        made.problems = error.problems if isinstance(error, ProfileError) else ()
        return made


# With several profiles, the worst exit code is the command's.
WORST_FIRST = (ResidueError.exit_code, SnapshotLostError.exit_code)


def worst(codes: Iterable[int]) -> int:
    """Return the exit code for several profiles: 4 before 124 before all others; 0 if there are none."""
    given = tuple(codes)
    return next((code for code in WORST_FIRST if code in given), max(given, default=0))


# Whatever can be raised during a change: each is handled like a failed step, by an undo.
FAULTS = (Exception, KeyboardInterrupt, SystemExit)


def explained(error: BaseException) -> str:
    """Say in one line what went wrong, for any kind of exception."""
    if isinstance(error, LvmsnapError):
        return error.message
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    text = str(error)
    return f"an internal error of lvmsnap: {type(error).__name__}{': ' if text else ''}{text}"


_NOT_WRITTEN = {
    errno.ENOSPC: "make room on its filesystem: df -h {0} and df -i {0} show what is used up",
    errno.EDQUOT: "root's quota on its filesystem is used up: raise it, or remove what is not needed in {0}",
    errno.EROFS: "its filesystem is read-only: see dmesg for disk errors, then mount -o remount,rw "
    "$(findmnt -no TARGET -T {0}); in a unit see ProtectSystem=",
    errno.EACCES: "run it as root; what keeps even root out is shown by ls -ldZ {0}, lsattr -d {0}, or dmesg",
    errno.EIO: "its disk has errors: see dmesg",
    errno.ENOENT: "make its directory first: mkdir -p {0}",
}


def why_not_written(error: OSError, path: str) -> str:
    """Return what to do about a file that cannot be written or removed, by the kernel's reason (errno(3))."""
    folder = shlex.quote(path.rpartition("/")[0] or ".")
    reason = errno.EACCES if error.errno == errno.EPERM else error.errno
    return _NOT_WRITTEN.get(reason or 0, "see what is there: ls -ld {0} {1}").format(folder, shlex.quote(path))


# Resources that this process or the machine may run out of. A read that fails for one of these says nothing.
_USED_UP = {
    errno.EMFILE: "its limit of open files is too low: raise it, see ulimit -n, in a unit LimitNOFILE=",
    errno.ENFILE: "all processes of the machine have too many files open: see sysctl fs.file-nr",
    errno.ENOMEM: "there is not enough memory: see free -h, ulimit -v, in a unit MemoryMax=",
    errno.EAGAIN: "no more processes are allowed here: see ulimit -u, in a unit TasksMax=",
}


def is_used_up(error: OSError) -> bool:
    """Whether a call failed because this machine ran out of a resource, not for what was asked for (errno(3))."""
    return error.errno in _USED_UP


def what_is_used_up(error: OSError) -> str:
    """Return what to do if a resource is used up, "" if the call failed for another reason."""
    return _USED_UP.get(error.errno or 0, "")


def as_ours(error: Exception) -> LvmsnapError:
    """Return the error as one of this family: with several profiles, one error must not hide the others."""
    return error if isinstance(error, LvmsnapError) else LvmsnapError(explained(error))


def what_to_do(complaint: str) -> str:
    """Return what to do about a step that failed with this complaint; only for the hint, no decision depends on it."""
    if "suspend ioctl" in complaint and "busy" in complaint:
        return "the origin's filesystem is frozen, by fsfreeze or another backup: fsfreeze --unfreeze, then try again"
    if "No key available with this passphrase" in complaint:
        return "that key does not open it: cryptsetup open --test-passphrase --key-file KEY_FILE /dev/VG/LV tests one"
    return "fix the reported problem and try again"
