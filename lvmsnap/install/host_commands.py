"""What install-boot and install-units have systemd and the makers of an initramfs do: every such command. Pure."""

from __future__ import annotations

from lvmsnap.model.profile import Argv

RECOVER, SHUTDOWN, HIBERNATE = "lvmsnap-recover.service", "lvmsnap-shutdown.service", "lvmsnap-hibernate.service"
SLEEPS = ("systemd-hibernate.service", "systemd-hybrid-sleep.service", "systemd-suspend-then-hibernate.service")
# Each unit that is enabled, and the folders of systemd's with a link to it then.
UNITS = {
    RECOVER: ("multi-user.target.wants",),
    SHUTDOWN: ("multi-user.target.wants",),
    HIBERNATE: tuple(f"{sleep}.requires" for sleep in SLEEPS),
}


def boot_commands(system: str, *, installing: bool, running: bool) -> tuple[Argv, ...]:
    """Return the commands that have a part of the boot take up, or forget, the files of lvmsnap.

    `running`: systemd runs this machine, so it has to read the files too.
    """
    reload: tuple[Argv, ...] = (("systemctl", "daemon-reload"), ("udevadm", "control", "--reload")) if running else ()
    # Started at once, so that already this boot's shutdown takes snapshots down.
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
    """Return the command that has systemd do this with a profile's timer."""
    timer = f"lvmsnap@{name}.timer"
    commands: dict[str, Argv] = {
        "reload": ("systemctl", "daemon-reload"),
        "stop": ("systemctl", "stop", timer),
        "enable": ("systemctl", "enable", "--now", timer),
        "disable": ("systemctl", "disable", "--now", timer),
        # Where systemd is not at work, links are all there is.
        "enable at boot": ("systemctl", "enable", timer),
        "disable at boot": ("systemctl", "disable", timer),
        "forget failure": ("systemctl", "reset-failed", f"lvmsnap@{name}.service"),
    }
    return commands[verb]


def unit_query(unit: str) -> Argv:
    """Return the command that reads how systemd knows a unit."""
    state = "LoadState,LoadError,ActiveState,Result,ExecMainStatus,ExecMainExitTimestamp,NextElapseUSecRealtime"
    return ("systemctl", "show", f"--property={state}", unit)
