"""Asks for the passphrases of a profile on the terminal, before the first change. They are kept only in memory."""

from __future__ import annotations

from lvmsnap.model.errors import InterruptedBySignalError, Refusal, RefusedError
from lvmsnap.model.luks_names import mapping_name
from lvmsnap.model.plan import Key, Thing
from lvmsnap.model.profile import Profile
from lvmsnap.operations.sessions import Session
from lvmsnap.planning import luks_actions
from lvmsnap.system import terminal

TRIES = 3
# cryptsetup(8), RETURN CODES: no permission, that is, a wrong passphrase.
WRONG_PASSPHRASE = 2
UNCHANGED = "nothing was changed"


def ask(session: Session, profile: Profile) -> dict[Key, bytes]:
    """Return the passphrase for each LUKS mapping that needs one; it was tested on the origin.

    Raises RefusedError if none is given, InterruptedBySignalError.
    """
    asked = [(number, one) for number, one in enumerate(profile.volumes, 1) if one.luks and one.luks.key_file is None]
    return {Key(Thing.LUKS, mapping_name(profile.name, number)): _ask(session, volume.path) for number, volume in asked}


def _ask(session: Session, origin: str) -> bytes:
    for _ in range(TRIES):
        typed = _typed(session, origin)
        tried = session.runner.run(luks_actions.try_passphrase(f"/dev/{origin}"), typed)
        if tried.ok:
            return typed
        if tried.returncode != WRONG_PASSPHRASE:
            raise _refused(f"the passphrase of {origin} could not be tried: {tried.complaint}")
        session.progress.warn(f"that passphrase does not open {origin}")
    raise _refused(f"no passphrase of {origin} was given in {TRIES} tries")


def _typed(session: Session, origin: str) -> bytes:
    try:
        typed = terminal.ask(f"Passphrase of {origin}: ", lambda: bool(session.signals.received))
    except OSError as error:
        raise _refused(f"the passphrase of {origin} cannot be asked for: {error.strerror}") from error
    if session.signals.received:
        number, name = session.signals.received, session.signals.name
        raise InterruptedBySignalError(number, f"interrupted by {name}; {UNCHANGED}")
    if typed is None:
        raise _refused(f"no passphrase of {origin} was given")
    return typed


def _refused(message: str) -> RefusedError:
    return RefusedError((Refusal(message, UNCHANGED),))
