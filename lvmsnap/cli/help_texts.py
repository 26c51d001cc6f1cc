"""The text of each command's help besides its options: what it does, prints and exits with, and examples. Only data."""

from __future__ import annotations

from lvmsnap.model.dataclass import dataclass

TITLE = "LVM snapshots for backups, from named profiles. First steps, for example:"
COMMANDS_TITLE = "commands (lvmsnap COMMAND --help explains each):"
DESCRIPTION = """\
LVM snapshots for backups, from named profiles: planned, taken, and removed
completely."""

EXITS = (
    ("0", "done"),
    ("1", "a step failed, everything begun was undone"),
    ("2", "wrong usage or invalid profile, nothing changed"),
    ("3", "refused by a check, nothing changed"),
    ("4", "a step failed and so did undoing it: what is left is named"),
    ("124", "run, hold, down, watch: the snapshot was lost, do not trust what was read"),
    ("125", "run: the command was never started"),
    ("129, 130, 143", "interrupted by HUP, INT, TERM, everything undone"),
    ("141", "the reader closed the pipe, nothing changed"),
)

# What `lvmsnap` alone shows before the list of commands: the way from nothing to a backup every night.
FIRST_STEPS = (
    ("lvmsnap init vg0/root --write nightly", "a profile (init alone lists volumes)"),
    ("lvmsnap plan nightly", "every check and step; no changes"),
    ("lvmsnap run nightly -- borg create ...", "snapshot, command, clean-up"),
    ("lvmsnap install-units nightly -- ...", "the same every night"),
    ("lvmsnap help first-profile", "all of this, step by step"),
)

NAME = "the profile: NAME.yaml in the profile directory, or the path of a file that ends in .yaml"
COMMAND_USAGE = "-- COMMAND [ARG...]"
COMMAND_HELP = (
    "the command, after two dashes: it runs without a shell; its environment contains LVMSNAP_MOUNTPOINT, "
    "LVMSNAP_DEVICE and LVMSNAP_PROFILE"
)


@dataclass(frozen=True, slots=True)
class CommandHelp:
    """The help text of one command: `prints` is what goes to stdout, `exits` are its own exit codes."""

    about: str
    prints: str
    examples: tuple[str, ...]
    exits: tuple[tuple[str, str], ...]
    takes_command: bool = False


_USAGE = ("2", "wrong usage, or the profile is invalid; nothing was changed")
_UNDONE = ("1", "a step failed; everything begun was undone")
_RESIDUE = ("4", "a step failed and so did undoing it: what is left is named, with the commands to finish")
_SIGNAL = ("129, 130, 143", "interrupted by HUP, INT or TERM; everything begun was undone")
_SIGNAL_AFTER = ("129, 130, 143", "HUP, INT or TERM arrived meanwhile; everything was taken down first")
_NOT_ROOT = ("3", "not run by root, or LVM could not be read; nothing was changed")

COMMANDS = {
    "plan": CommandHelp(
        about="Shows what up (with --down: down) would do, and changes nothing: the facts it relies on, "
        "every check, and every step with its command and its undo.",
        prints="the plan",
        examples=("lvmsnap plan nightly", "lvmsnap plan nightly --down", "lvmsnap plan --offline ./nightly.yaml"),
        exits=(
            ("0", "every check passed"),
            _USAGE,
            ("3", "refused by a check, or the system could not be read"),
        ),
    ),
    "up": CommandHelp(
        about="Takes the profile's snapshots and mounts them, as its plan shows. Refuses if the profile is already up, "
        "so that yesterday's snapshot is never mistaken for a fresh one. Call down afterwards; run does both.",
        prints="where the snapshot is: the mountpoint, for several volumes the top of their tree; the device if it is "
        "not mounted",
        examples=("lvmsnap up nightly", "lvmsnap up nightly --replace", "lvmsnap up nightly --dry-run"),
        exits=(
            ("0", "the profile is up"),
            _UNDONE,
            _USAGE,
            ("3", "refused by a check, or already up; nothing was changed"),
            _RESIDUE,
            _SIGNAL,
        ),
    ),
    "run": CommandHelp(
        about="Brings the profile up, runs COMMAND, and takes everything down whatever happens. Meanwhile it guards "
        "the snapshots: one that fills is extended if the profile allows it, and a backup read from a lost snapshot "
        "never succeeds. At the end it reports how long the run took, how full the snapshots became, and what size "
        "would have been enough: on a terminal, in the journal, or with -v. "
        "`lvmsnap status NAME --history` shows it later.",
        prints="nothing of its own, only what COMMAND prints",
        examples=(
            "lvmsnap run nightly -- restic backup /run/lvmsnap/nightly",
            "lvmsnap run nightly -- sh -c 'cd \"$LVMSNAP_MOUNTPOINT\" && borg create /mnt/backup::{now} .'",
            "lvmsnap run --replace nightly -- /usr/local/sbin/backup",
        ),
        exits=(
            ("N", "COMMAND ended with exit status N, and everything was taken down"),
            ("1", "COMMAND succeeded, but a step failed; what was begun was undone"),
            _USAGE,
            _RESIDUE,
            ("124", "the snapshot was lost meanwhile: do not trust what was read from it"),
            ("125", "COMMAND was never started: refused by a check, or a step failed and was undone"),
            ("129, 130, 143", "HUP, INT or TERM arrived; everything was taken down"),
        ),
        takes_command=True,
    ),
    "hold": CommandHelp(
        about="Brings the profile up, guards its snapshots as run does, and takes everything down when it is stopped "
        "by TERM, INT or HUP: for units and hooks of other programs. It notifies systemd when it is ready and when "
        "it stops, and waits up to two minutes for whoever still uses the snapshots. --check only tests whether a "
        "hold has the profile up and no snapshot was lost: call it when the backup has ended. At the end a hold "
        "reports how full the snapshots became, as run does, and `lvmsnap status NAME --history` shows it later.",
        prints="where the snapshot is, like up",
        examples=("lvmsnap hold nightly", "lvmsnap hold nightly --check"),
        exits=(
            ("0", "stopped, and everything was taken down; with --check: all is well"),
            _UNDONE,
            _USAGE,
            ("3", "refused by a check, or already up; nothing was changed"),
            _RESIDUE,
            (
                "124",
                "a snapshot was lost: do not trust what was read; it is taken down; with --check: or no hold has it up",
            ),
            ("129, 130, 143", "HUP, INT or TERM arrived before it was up; everything begun was undone"),
        ),
    ),
    "watch": CommandHelp(
        about="Guards the snapshots that up made, as run guards its own: warns as one fills, extends it before it is "
        "full, and ends when they are taken down.",
        prints="nothing",
        examples=("lvmsnap watch nightly",),
        exits=(
            ("0", "the snapshots were taken down normally"),
            ("2", "wrong usage, or the profile is not up; nothing was changed"),
            ("3", "not run by root"),
            ("124", "a snapshot was lost: do not trust what was read from it; it is still up"),
            ("129, 130, 143", "ended by HUP, INT or TERM; the snapshots are still up"),
        ),
    ),
    "down": CommandHelp(
        about="Takes down everything that exists of the profile, according to the record that up wrote, or else to the "
        "marks on what it made. Does not need the profile's file. If nothing exists, it succeeds.",
        prints="nothing",
        examples=("lvmsnap down nightly", "lvmsnap down --all", "lvmsnap down nightly --dry-run"),
        exits=(
            ("0", "nothing of the profile is left"),
            ("1", "a hook failed; everything was taken down"),
            _USAGE,
            ("3", "refused by a check; nothing was changed"),
            _RESIDUE,
            ("124", "it is down, but a snapshot had been lost: do not trust what was read from it"),
            _SIGNAL_AFTER,
        ),
    ),
    "status": CommandHelp(
        about="Shows the state of all profiles, or of those named: down, up, partial, lost, stale, merging or "
        "foreign; how full each snapshot is, how fast it fills, when it will be full, and how the last run ended.",
        prints="a table; with --json or --prometheus the same for programs",
        examples=("lvmsnap status", "lvmsnap status nightly --json", "lvmsnap status nightly --history"),
        exits=(
            ("0", "whatever the states are; with --check: all is well"),
            ("1", "with --check: something is stale, partial or merging, or the last run failed"),
            ("2", "wrong usage, or no profile has that NAME; with --check: a snapshot was lost"),
            ("3", "not run by root; with --check: unknown: wrong usage, or no profile has that NAME"),
        ),
    ),
    "recover": CommandHelp(
        about="Takes down what a crash, a power cut or a killed run left behind, for all profiles or those named. "
        "Keeps what is properly up.",
        prints="what was done, one line for each profile",
        examples=("lvmsnap recover", "lvmsnap recover --dry-run"),
        exits=(
            ("0", "nothing is left over"),
            ("1", "something was done, but not all of it"),
            _USAGE,
            _NOT_ROOT,
            _RESIDUE,
            _SIGNAL_AFTER,
        ),
    ),
    "validate": CommandHelp(
        about="Reads profiles and reports all their mistakes at once, each with its line and how to fix it. "
        "Without FILE: every profile in the profile directory. Does not need LVM.",
        prints="one line for each valid profile (not with -q)",
        examples=("lvmsnap validate", "lvmsnap validate ./nightly.yaml"),
        exits=(("0", "no mistakes"), ("2", "there are mistakes, or wrong usage")),
    ),
    "init": CommandHelp(
        about="Creates a first profile for volumes of this machine: it examines their size and content, the free space "
        "in their groups and the other mounts, and proposes values that pass `plan` here. Without VOLUME it lists "
        "what can be snapshotted, and on a terminal asks which.",
        prints="the profile as YAML, or the list; nothing with --write",
        examples=("lvmsnap init", "lvmsnap init vg0/root --write nightly", "lvmsnap init / /home --write server"),
        exits=(
            ("0", "done; anything that would make its plan fail now is a warning"),
            ("1", "the file could not be written"),
            ("2", "wrong usage, or there is no such volume"),
            (
                "3",
                "LVM cannot snapshot it, the file already exists, or you may not write it; nothing was changed",
            ),
        ),
    ),
    "install-boot": CommandHelp(
        about="Makes the boot remove what a power cut left before it does harm, and the shutdown take all snapshots "
        "down. For initramfs-tools, dracut and systemd, whichever are installed.",
        prints="nothing; with --status what is installed",
        examples=("lvmsnap install-boot", "lvmsnap install-boot --status"),
        exits=(
            ("0", "done"),
            ("1", "a step failed; with --status: something is missing"),
            ("2", "wrong usage; nothing was changed"),
            _NOT_ROOT,
        ),
    ),
    "install-units": CommandHelp(
        about="Installs a systemd timer that calls `lvmsnap run --replace NAME -- COMMAND`: every night, or as "
        "--on-calendar says. With --hold: the unit that holds the profile up while other units need it. "
        "Omit COMMAND with --hold, --status and --remove.",
        prints="nothing; with --status the last and the next run",
        examples=(
            "lvmsnap install-units nightly -- restic backup /run/lvmsnap/nightly",
            "lvmsnap install-units --status nightly",
            "lvmsnap install-units --hold nightly",
        ),
        exits=(("0", "done"), ("1", "a step failed; with --status: not set up"), _USAGE, _NOT_ROOT),
        takes_command=True,
    ),
    "schema": CommandHelp(
        about="Prints the JSON Schema of profiles, the definition of every key: for editors, and for validation "
        "elsewhere.",
        prints="the schema as JSON; with --path the path of its file",
        examples=("lvmsnap schema", "lvmsnap schema --path"),
        exits=(("0", "done"),),
    ),
    "help": CommandHelp(
        about="Prints a page of this version's documentation, or the same as COMMAND --help; without TOPIC, lists the "
        "pages.",
        prints="the page",
        examples=("lvmsnap help", "lvmsnap help recipes", "lvmsnap help run"),
        exits=(("0", "done"), ("2", "there is no such page or command")),
    ),
}

# What the commands are called elsewhere.
MEANT = {
    **dict.fromkeys(("start", "create", "mount", "snapshot", "open"), "up"),
    **dict.fromkeys(("stop", "umount", "unmount", "remove", "delete", "rm", "destroy", "close"), "down"),
    **dict.fromkeys(("list", "ls", "show", "info"), "status"),
    **dict.fromkeys(("backup", "exec"), "run"),
    **dict.fromkeys(("keep",), "hold"),
    **dict.fromkeys(("check", "lint", "test"), "validate"),
    **dict.fromkeys(("new", "add", "configure"), "init"),
    **dict.fromkeys(("repair", "clean", "cleanup", "fix"), "recover"),
    **dict.fromkeys(("extend", "guard", "monitor"), "watch"),
    **dict.fromkeys(("timer", "schedule", "enable"), "install-units"),
    **dict.fromkeys(("man", "docs"), "help"),
    **dict.fromkeys(("version",), "--version"),
}
