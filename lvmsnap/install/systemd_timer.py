"""A profile's timer and service in systemd: starts, stops and queries them. Writes no file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lvmsnap.install.files import run_reporting
from lvmsnap.install.host_commands import timer_command, unit_query
from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.errors import StepError
from lvmsnap.system.processes import Runner, environment, shell_line
from lvmsnap.system.programs import which

UNIT_FOLDER = "/etc/systemd/system"
WANTED_BY = "timers.target.wants"
RUNNING = "/run/systemd/system"
STAMPS = "/var/lib/systemd/timers"
BUSY = frozenset({"activating", "deactivating", "active"})


@dataclass(frozen=True, slots=True)
class Seen:
    """The state of a profile's units: the last run, the next one; `problem` is "" if all is well."""

    last: str
    next: str
    problem: str


def is_there() -> bool:
    """Whether this machine has systemd."""
    return which("systemctl", environment()["PATH"]) is not None


class Timer:
    """One profile's timer and service; `is_wanted`: it was enabled when this object was made."""

    def __init__(self, runner: Runner, name: str, tell: Callable[[str], None]) -> None:
        self._runner, self._name, self._tell = runner, name, tell
        self.service, self.timer = f"lvmsnap@{name}.service", f"lvmsnap@{name}.timer"
        self._link = Path(UNIT_FOLDER, WANTED_BY, self.timer)
        self.is_wanted = self._link.is_symlink()
        # It is not while an image is built, or in a rescue system: then there are only files and symlinks.
        self._is_at_work = Path(RUNNING).is_dir()

    def stop(self) -> None:
        """Stop it, so that it starts no run while its time is being set."""
        if self.is_wanted and self._is_at_work:
            self._run("stop")

    def take_up(self, *, new_time: bool) -> None:
        """Have systemd reload the files, and enable and start the timer. Raises StepError."""
        if not self._is_at_work:
            self._run("enable at boot")
            return
        self._run("reload")
        state = self._shown(self.service)
        if state.get("LoadState") != "loaded":
            reason = state.get("LoadError") or "it gives no reason"
            raise StepError(f"systemd rejects {self.service}: {reason}", hint=f"systemd-analyze verify {self.service}")
        if new_time:
            self._forget_last_run()
        self._run("enable")

    def forget(self) -> None:
        """Stop it, and disable it for future boots. Raises StepError."""
        if self.is_wanted:
            self._run("disable" if self._is_at_work else "disable at boot")
        self._forget_last_run()

    def forget_files(self) -> None:
        """Have systemd notice that the files are gone. Raises StepError."""
        if self._is_at_work:
            is_failed = self._shown(self.service).get("ActiveState") == "failed"
            self._run("reload")
            if is_failed:
                self._run("forget failure")

    def is_busy(self) -> bool:
        """Whether the service is running now."""
        return self._is_at_work and self._shown(self.service).get("ActiveState") in BUSY

    def take_back(self, put_back_files: Callable[[], None]) -> tuple[str, ...]:
        """Put everything back as it was when this object was made; return the commands that failed."""
        verbs: list[str] = []
        if not self.is_wanted and self._link.is_symlink():
            verbs.append("disable" if self._is_at_work else "disable at boot")
        failed = self._try(verbs)
        put_back_files()
        if not self.is_wanted:
            self._link.unlink(missing_ok=True)
        after = ("reload", "enable") if self.is_wanted else ("reload",)
        return (*failed, *self._try(list(after) if self._is_at_work else []))

    def seen(self) -> Seen:
        """Return how the service last ran, and when the timer starts it next. Reads only."""
        if not self.is_wanted:
            return Seen("", "", f"{self.timer} is not enabled")
        if not self._is_at_work:
            return Seen("", "after the next boot", "")
        run, clock = self._shown(self.service), self._shown(self.timer)
        problem = ""
        if run.get("LoadState") != "loaded":
            problem = f"systemd rejects {self.service}: {run.get('LoadError')}"
        elif clock.get("ActiveState") != "active":
            problem = f"{self.timer} is not started"
        return Seen(_last_run(run), clock.get("NextElapseUSecRealtime") or "never", problem)

    def _forget_last_run(self) -> None:
        """Remove the stamp of Persistent=: with a new calendar a run might count as missed, and start at once."""
        Path(STAMPS, f"stamp-{self.timer}").unlink(missing_ok=True)

    def _shown(self, unit: str) -> dict[str, str]:
        answer = self._runner.run(unit_query(unit)).stdout
        return dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)

    def _try(self, verbs: list[str]) -> tuple[str, ...]:
        commands = [timer_command(verb, self._name) for verb in verbs]
        return tuple(shell_line(argv) for argv in commands if not self._runner.run(argv).ok)

    def _run(self, verb: str) -> None:
        run_reporting(self._runner, timer_command(verb, self._name), self._tell)


def _last_run(shown: dict[str, str]) -> str:
    if shown.get("ActiveState") in BUSY:
        return "running now"
    if not shown.get("ExecMainExitTimestamp"):
        return "none since boot"
    result = "succeeded" if shown.get("Result") == "success" else f"failed (exit {shown.get('ExecMainStatus')})"
    return f"{result}, {shown['ExecMainExitTimestamp']}"
