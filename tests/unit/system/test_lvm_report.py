"""What is made of LVM's own report, captured from real LVM (tests/data/capture.py), and of broken ones."""

from __future__ import annotations

import json

import pytest

from lvmsnap.model.errors import ToolError
from lvmsnap.model.facts import UNKNOWN, PhysicalVolume, VolumeGroup
from lvmsnap.model.units import MIB
from lvmsnap.system import lvm_report
from lvmsnap.system.processes import Finished, Runner
from tests import TOP

REPORT = (TOP / "tests/unit/data/fullreport.json").read_text()


class Fake(Runner):
    """A runner that starts nothing and gives one answer."""

    def __init__(self, stdout: str, returncode: int = 0, stderr: str = "") -> None:
        super().__init__()
        self.answer = Finished((), returncode, stdout, stderr, 0.0)
        self.asked: list[tuple[str, ...]] = []

    def run(self, argv: tuple[str, ...], secret: bytes | None = None) -> Finished:
        assert secret is None
        self.asked.append(argv)
        return self.answer


def groups() -> dict[str, VolumeGroup]:
    return {vg.name: vg for vg in lvm_report.parse_report(REPORT)[0]}


def test_a_group_is_read_with_its_numbers() -> None:
    vg = groups()["vg0"]

    assert vg.uuid == json.loads(REPORT)["report"][1]["vg"][0]["vg_uuid"]
    assert (vg.extent_size_bytes, vg.free_extents, vg.missing_pv_count) == (4 * MIB, 207, 0)
    assert not vg.is_exported
    assert not vg.is_shared
    assert sorted(lv.name for lv in vg.lvs) == [
        *("cached", "cached_corig", "data-2", "fast_cpool", "fast_cpool_cdata", "fast_cpool_cmeta", "going-back"),
        *("merged", "overflown", "pool", "pool_tdata", "pool_tmeta", "system", "system-lvmsnap-nightly", "thin"),
        "thin-weekly",
    ]


def test_hidden_volumes_are_read_by_their_names_and_known_as_hidden() -> None:
    vg = groups()["vg0"]

    assert {lv.name for lv in vg.lvs if lv.is_hidden} == {
        *("cached_corig", "fast_cpool", "fast_cpool_cdata", "fast_cpool_cmeta", "going-back"),
        *("pool_tdata", "pool_tmeta"),
    }
    assert vg.lv("cached").origin == "cached_corig"  # type: ignore[union-attr]


def test_a_merging_snapshot_and_its_origin_are_known_as_merging() -> None:
    vg = groups()["vg0"]

    assert [(lv.name, lv.origin) for lv in vg.lvs if lv.is_merging] == [("going-back", "merged"), ("merged", "")]


def test_a_valid_snapshot_on_a_lent_pv_is_read_in_every_field() -> None:
    lv = groups()["vg0"].lv("system-lvmsnap-nightly")

    assert lv is not None
    assert lv.tags == ("lvmsnap.nightly",)
    assert lv.origin == "system"
    assert lv.size_bytes == 64 * MIB
    assert lv.chunk_size_bytes == 65536
    assert lv.data_percent == 0.0
    assert lv.device_number == "254:9"
    assert lv.devices == ("/dev/loop3",)
    assert lv.segment_types == ("linear",)
    assert lv.is_active
    assert not lv.is_invalid


def test_a_thin_snapshot_is_read_with_its_pool_and_the_pool_with_both_its_fills() -> None:
    vg = groups()["vg0"]
    lv, pool = vg.lv("thin-weekly"), vg.lv("pool")

    assert lv is not None
    assert pool is not None
    assert (lv.origin, lv.pool, lv.is_thin, lv.is_active, lv.size_bytes) == ("thin", "pool", True, True, 64 * MIB)
    assert (pool.is_thin, pool.size_bytes, pool.metadata_bytes) == (False, 32 * MIB, 4 * MIB)
    assert (pool.data_percent, pool.metadata_percent) == (0.0, 10.94)
    assert (lv.thin_id, lv.transaction_id, pool.thin_id, pool.transaction_id) == (2, 1, None, 2)
    assert vg.lv("cached").pool == "fast_cpool"  # type: ignore[union-attr]


def test_an_overflown_snapshot_is_invalid_and_an_origin_is_not() -> None:
    vg = groups()["vg0"]

    assert {lv.name: lv.is_invalid for lv in vg.lvs if lv.is_invalid} == {"overflown": True}


def test_several_tags_are_told_apart() -> None:
    data = groups()["vg0"].lv("data-2")

    assert data is not None
    assert data.tags == ("backup", "second")


def test_a_missing_pv_keeps_its_uuid_and_loses_its_device() -> None:
    vg = groups()["vg1"]

    assert vg.missing_pv_count == 1
    assert PhysicalVolume("[unknown]", "lvmsnp-5678-aaaa-bbbb-cccc-dddd-eeeeee", "vg1", 16, 16, missing=True) in vg.pvs
    assert [pv.missing for pv in vg.pvs] == [False, True]


def test_a_pv_that_is_closed_to_allocation_has_nothing_free() -> None:
    (closed, _), open_ones = groups()["vg1"].pvs, groups()["vg0"].pvs

    assert (closed.allocatable, closed.unused_extents > 0, closed.free_extents) == (False, True, 0)
    assert all(pv.allocatable and pv.free_extents == pv.unused_extents for pv in open_ones)


def test_an_inactive_volume_has_no_device_number_and_no_fill() -> None:
    lv = groups()["vg1"].lv("home-lvmsnap-weekly")

    assert lv is not None
    assert not lv.is_active
    assert lv.device_number == ""
    assert lv.data_percent is None


def test_a_pv_in_no_group_is_an_orphan_reported_once() -> None:
    orphans = lvm_report.parse_report(REPORT)[1]

    assert [(pv.device, pv.vg, pv.missing) for pv in orphans] == [("/dev/ubdc", "", False)]


def test_every_pv_is_reported_once_however_many_segments_it_has() -> None:
    assert [pv.device for pv in groups()["vg0"].pvs] == ["/dev/loop3", "/dev/ubda"]


def test_a_system_without_lvm_objects_is_empty() -> None:
    assert lvm_report.parse_report('{"report": [{}]}') == ((), ())
    assert lvm_report.parse_report('{"report": []}') == ((), ())


@pytest.mark.parametrize(
    "text", ['{"report": [[]]}', '{"report": [3]}', '{"report": [{"vg": 3}]}', '{"report": [{"vg": [3]}]}', "[" * 9999]
)
def test_a_report_of_the_wrong_shape_is_an_error_too(text: str) -> None:
    with pytest.raises(ToolError, match="LVM's report cannot be read"):
        lvm_report.read_report(Fake(text), locking=True)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"report": [{"vg": [{"vg_name": "vg0"}]}]}', '{"report": 3}'])
def test_a_broken_report_is_an_error_that_changes_nothing(text: str) -> None:
    with pytest.raises(ToolError, match="LVM's report cannot be read") as caught:
        lvm_report.read_report(Fake(text, 5, "lvmlockd is not running"), locking=True)

    assert "lvmlockd is not running" in caught.value.message
    assert "nothing was changed" in caught.value.hint
    assert caught.value.exit_code == 3


# As LVM 2.03.16 reports a PV on the device that `dmsetup create 'my disk'` makes: a backslash, and nothing before it.
ODD_PV = r"""{"report": [{"pv": [
    {"pv_name":"/dev/mapper/my\x20disk", "pv_uuid":"taj0eW-eDBo-ad5e-YdQI-78TT-GUFj-VNfGWd", "vg_name":"",
     "pv_pe_count":"0", "pv_pe_alloc_count":"0", "pv_missing":"", "pv_allocatable":""}],
     "pvseg": [{"pvseg_start":"0"}]}]}"""


def test_a_device_name_that_device_mapper_escaped_is_read() -> None:
    (pv,) = lvm_report.parse_report(ODD_PV)[1]

    assert pv.device == r"/dev/mapper/my\x20disk"


@pytest.mark.parametrize("name", ["/dev/a\r\x0b\x85\u2028b", "/dev/\udcff", r"/dev/mapper/a\x5cn"])
def test_an_odd_device_name_in_a_report_is_no_failure(name: str) -> None:
    (pv,) = lvm_report.parse_report(ODD_PV.replace(r"/dev/mapper/my\x20disk", name))[1]

    assert pv.device == name


def test_a_report_of_the_groups_that_can_be_read_is_taken_though_another_cannot() -> None:
    vgs, _ = lvm_report.read_report(Fake(REPORT, 5, "Cannot process volume group bad"), locking=True)

    assert {vg.name for vg in vgs} == {"vg0", "vg1"}


def test_a_missing_lvm_is_reported() -> None:
    with pytest.raises(ToolError, match="lvm is not installed"):
        lvm_report.read_report(Fake("", 127, "lvm: No such file or directory"), locking=True)


@pytest.mark.parametrize("locking", [True, False])
def test_only_a_reading_that_must_not_wait_goes_without_locks(locking: bool) -> None:
    runner = Fake(REPORT)

    lvm_report.read_report(runner, locking=locking)

    assert len(runner.asked) == 1
    assert ("--nolocking" in runner.asked[0]) is not locking


def test_what_lvm_conf_says_of_reports_does_not_reach_ours() -> None:
    command = lvm_report.report_command(locking=True)

    pinned = command[command.index("--config") + 1].split()
    assert {"report/prefixes=0", "report/binary_values_as_numeric=0", "log/command_names=0"} <= set(pinned)


def test_a_missing_device_has_one_name_whatever_lvm_conf_calls_it() -> None:
    pv = {**json.loads(REPORT)["report"][1]["pv"][0], "pv_name": "unknown device"}
    report = {"report": [{"vg": [], "pv": [pv]}]}

    assert lvm_report.parse_report(json.dumps(report))[1][0].device == UNKNOWN
