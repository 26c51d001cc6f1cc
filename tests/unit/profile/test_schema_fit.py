"""What fits the schema is what jsonschema finds no mistake in."""

from __future__ import annotations

import copy
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from lvmsnap.model.errors import ProfileError
from lvmsnap.profile import loading, yaml_positions
from lvmsnap.profile.schema_fit import fits
from tests import TOP
from tests.unit.test_fuzz import WHOLE, altered, changed

SCHEMA: dict[str, Any] = json.loads(loading.schema_text())
VALIDATOR = Draft202012Validator(SCHEMA)
DATA: dict[str, Any] = yaml.safe_load((TOP / "tests/unit/data/profiles.yaml").read_text(encoding="utf-8"))
SAMPLES = [WHOLE, *(path.read_text() for path in sorted((TOP / "profiles").glob("*.yaml")))]


def texts() -> Iterator[str]:
    """Give every profile of the tests' data, and the samples with random changes."""
    todo: list[Any] = [DATA]
    while todo:
        found = todo.pop()
        todo += found.values() if isinstance(found, dict) else found if isinstance(found, list) else []
        if isinstance(found, str) and "origin:" in found:
            yield found
    for number, sample in enumerate(SAMPLES):
        yield from changed(sample, 400, seed=number)


def documents() -> Iterator[object]:
    """Give what the reader makes of those texts, and the samples with values of every type in random places."""
    for text in texts():
        try:
            yield yaml_positions.read(text, "nightly.yaml").data
        except ProfileError:
            continue
    rng = random.Random(11)
    for sample in SAMPLES:
        whole = yaml_positions.read(sample, "nightly.yaml").data
        for _ in range(800):
            data = copy.deepcopy(whole)
            for _ in range(rng.randint(1, 3)):
                altered(data, rng)
            yield data


def test_it_judges_as_jsonschema_does() -> None:
    judged = {True: 0, False: 0}
    for data in documents():
        verdict = fits(data, SCHEMA)
        assert verdict == VALIDATOR.is_valid(data), data
        judged[verdict] += 1
    assert judged[True] > 500
    assert judged[False] > 2000


@pytest.mark.parametrize("number", [1, 64, 65])
def test_a_list_has_as_many_entries_as_it_may(number: int) -> None:
    data = {"volumes": [{"origin": f"vg0/lv{i}"} for i in range(number)]}

    assert fits(data, SCHEMA) == VALIDATOR.is_valid(data) == (number <= 64)


def test_a_keyword_that_it_does_not_know_is_no_silent_consent() -> None:
    with pytest.raises(KeyError):
        fits("text", {"maxLength": 2})


def test_jsonschema_is_imported_only_to_explain_a_mistake(tmp_path: Path) -> None:
    def loaded(text: str) -> bool:
        path = tmp_path / "nightly.yaml"
        path.write_text(text)
        run = [sys.executable, "-X", "importtime", "-m", "lvmsnap", "validate", str(path)]
        done = subprocess.run(run, cwd=TOP, capture_output=True, text=True, check=False)
        assert done.returncode == (0 if "{origin" in text else 2)
        return "jsonschema" in done.stderr

    assert not loaded("volumes: [{origin: vg0/root}]\n")
    assert loaded("volumes: [{orgin: vg0/root}]\n")
