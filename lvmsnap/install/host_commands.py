"""The commands of install-boot and install-units for systemd and the initramfs generators. Pure."""

from __future__ import annotations

from lvmsnap.model.profile import Argv

RECOVER, SHUTDOWN, HIBERNATE = "lvmsnap-recover.service", "lvmsnap-shutdown.service", "lvmsnap-hibernate.service"
SLEEPS = ("systemd-hibernate.service", "systemd-hybrid-sleep.service", "systemd-suspend-then-hibernate.service")
# Each unit that is enabled, and systemd's directories that then have a symlink to it.
UNITS = {
    RECOVER: ("multi-user.target.wants",),
    SHUTDOWN: ("multi-user.target.wants",),
    HIBERNATE: tuple(f"{sleep}.requires" for sleep in SLEEPS),
}


def boot_commands(system: str, *, installing: bool, running: bool) -> tuple[Argv, ...]:
    """Return the commands that make a part of the boot use, or drop, lvmsnap's files.

    `running`: systemd is running this machine, so it must reload the files too.
    """
    reload: tuple[Argv, ...] = (("systemctl", "daemon-reload"), ("udevadm", "control", "--reload")) if running else ()
    # Start it now, so that this boot's shutdown already takes snapshots down.
    now = ("--now",) if running else ()
    enable: tuple[Argv, ...] = (("systemctl", "enable", *now, SHUTDOWN), ("systemctl", "enable", RECOVER, HIBERNATE))
    commands: dict[str, tuple[Argv, ...]] = {
        "initramfs-tools": (("update-initramfs", "-u", "-k", "all"),),
        "dracut": (("dracut", "--force", "--regenerate-all"),),
        "systemd": (*reload, *enable) if installing else reload,
        "systemd, disable": (("systemctl", "disable", *UNITS),),
    }
    return commands[system]


def timer_command(verb: str, name: str) -> Argv:
    """Return the systemctl command for this `verb` on a profile's timer."""
    timer = f"lvmsnap@{name}.timer"
    commands: dict[str, Argv] = {
        "reload": ("systemctl", "daemon-reload"),
        "stop": ("systemctl", "stop", timer),
        "enable": ("systemctl", "enable", "--now", timer),
        "disable": ("systemctl", "disable", "--now", timer),
        # If systemd is not running, only symlinks can be changed.
        "enable at boot": ("systemctl", "enable", timer),
        "disable at boot": ("systemctl", "disable", timer),
        "forget failure": ("systemctl", "reset-failed", f"lvmsnap@{name}.service"),
    }
    return commands[verb]


def unit_query(unit: str) -> Argv:
    """Return the command that reads a unit's state from systemd."""
    state = "LoadState,LoadError,ActiveState,Result,ExecMainStatus,ExecMainExitTimestamp,NextElapseUSecRealtime"
    return ("systemctl", "show", f"--property={state}", unit)
