"""What was refused when part of it had been done never says that nothing was changed."""

from __future__ import annotations

from lvmsnap.model.errors import Refusal, RefusedError, ResidueError, StepError, refused_after

REFUSED = RefusedError(
    (Refusal("not enough space for the snapshot: 64 MiB needed, 32 MiB available", "give a smaller `size`"),)
)


def test_a_refusal_after_a_change_is_a_failed_step_that_names_what_was_done() -> None:
    error = refused_after("the old snapshot of nightly was taken down", REFUSED)

    assert isinstance(error, StepError)
    assert error.exit_code == 1
    assert error.message.startswith(
        "the old snapshot of nightly was taken down, but not all that was requested: not enough space"
    )
    assert error.hint == "give a smaller `size`"


def test_a_refusal_before_any_change_and_worse_ends_stay_as_they_are() -> None:
    residue = ResidueError("left", residue=("snapshot: vg0/x",), commands=(), hint="")

    assert refused_after("", REFUSED) is REFUSED
    assert refused_after("a taken down", residue) is residue
