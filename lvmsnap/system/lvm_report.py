"""Reads LVM's state in one process, `lvm fullreport` as JSON, and makes frozen types of it."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from typing import Any

from lvmsnap.model.errors import ToolError
from lvmsnap.model.facts import UNKNOWN, LogicalVolume, PhysicalVolume, VolumeGroup
from lvmsnap.system.processes import Runner

Row = dict[str, str]

VG_COLUMNS = "vg_name,vg_uuid,vg_extent_size,vg_free_count,vg_missing_pv_count,vg_exported,vg_lock_type"
PV_COLUMNS = "pv_name,pv_uuid,vg_name,pv_pe_count,pv_pe_alloc_count,pv_missing,pv_allocatable"
LV_COLUMNS = (
    "lv_name,lv_uuid,lv_attr,lv_size,lv_tags,origin,lv_kernel_major,lv_kernel_minor,data_percent,lv_merging,"
    "pool_lv,metadata_percent,lv_metadata_size,lv_role"
)
SEG_COLUMNS = "lv_uuid,segtype,devices,chunk_size,reshape_len,thin_id,transaction_id"

# Settings in lvm.conf that change a report's text, its rows or their order, each pinned to LVM's default (lvm.conf(5),
# sections report and log). A `_sort_full` that names an unknown column drops whole groups; the last setting keeps a
# report from leaving out a group that is locked at the moment.
PINNED = (
    *("report/compact_output=0", 'report/compact_output_cols=""', "report/buffered=1", "report/prefixes=0"),
    *('report/separator=" "', 'report/list_item_separator=","', "report/binary_values_as_numeric=0"),
    *("report/headings=1", "report/columns_as_rows=0", "report/quoted=1", "report/mark_hidden_devices=1"),
    *('report/vgs_sort_full="vg_name"', 'report/pvs_sort_full="pv_name"', 'report/lvs_sort_full="vg_name,lv_name"'),
    *('report/pvsegs_sort_full="pv_uuid,pvseg_start"', 'report/segs_sort_full="lv_uuid,seg_start"'),
    *("log/report_command_log=0", "log/verbose=0", "log/silent=0", "log/indent=0", "log/command_names=0"),
    *('log/prefix="  "', "global/wait_for_locks=1"),
)


UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
_LONE_BACKSLASH = r'\\(?!")'


def report_command(*, locking: bool) -> tuple[str, ...]:
    """Return the one command that reports all VGs, PVs and LVs; without locking it never waits for another command.

    Hidden LVs are included: a merging snapshot is hidden, and must not pass for a leftover.
    """
    # A fullreport always has a pvseg part; the selection limits it to one row per PV.
    parts = (("vg", VG_COLUMNS), ("pv", PV_COLUMNS), ("lv", LV_COLUMNS), ("seg", SEG_COLUMNS))
    columns = [word for part, names in parts for word in ("--configreport", part, "-o", names)]
    pvseg = ("--configreport", "pvseg", "-o", "pvseg_start", "-S", "pvseg_start=0")
    pinned = ("--config", " ".join(PINNED))
    how = (*pinned, "--reportformat", "json", "--units", "b", "--nosuffix", "--shared", "--all")
    return ("lvm", "fullreport", *(() if locking else ("--nolocking",)), *how, *columns, *pvseg)


def read_report(runner: Runner, *, locking: bool) -> tuple[tuple[VolumeGroup, ...], tuple[PhysicalVolume, ...]]:
    """Return all VGs with their PVs and LVs, and the PVs in no VG. Raises ToolError if LVM's report is unusable."""
    # LVM exits with 5 if one group among several cannot be read; the others are reported all the same.
    finished = runner.read(report_command(locking=locking), accept=(0, 5))
    try:
        return parse_report(finished.stdout)
    except UNREADABLE as error:
        raise ToolError(
            f"LVM's report cannot be read: {finished.complaint}: {error}",
            hint="run `lvm fullreport` by hand and fix the problem it reports; nothing was changed",
        ) from error


def parse_report(text: str) -> tuple[tuple[VolumeGroup, ...], tuple[PhysicalVolume, ...]]:
    """Parse a fullreport's JSON. Raises one of UNREADABLE if it is not valid.

    LVM escapes only quotes: device-mapper's \\x20 for a blank in a name is left as it is, and \\x is not valid JSON.
    """
    reports = json.loads(re.sub(_LONE_BACKSLASH, r"\\\\", text), strict=False)["report"]
    vgs = tuple(_vg(report) for report in reports if report.get("vg"))
    orphans = tuple(_pv(row) for report in reports if not report.get("vg") for row in report.get("pv", ()))
    return vgs, orphans


def _vg(report: dict[str, Any]) -> VolumeGroup:
    row: Row = report["vg"][0]
    segments: defaultdict[str, list[Row]] = defaultdict(list)
    for segment in report.get("seg", ()):
        segments[segment["lv_uuid"]].append(segment)
    return VolumeGroup(
        name=row["vg_name"],
        uuid=row["vg_uuid"],
        extent_size_bytes=int(row["vg_extent_size"]),
        free_extents=int(row["vg_free_count"]),
        missing_pv_count=int(row["vg_missing_pv_count"]),
        is_exported=bool(row["vg_exported"]),
        is_shared=row["vg_lock_type"] not in ("", "none"),
        pvs=tuple(_pv(pv) for pv in report.get("pv", ())),
        lvs=tuple(_lv(lv, row["vg_name"], segments[lv["lv_uuid"]]) for lv in report.get("lv", ())),
    )


def _pv(row: Row) -> PhysicalVolume:
    return PhysicalVolume(
        device=_device(row["pv_name"]),
        uuid=row["pv_uuid"],
        vg=row["vg_name"],
        extents=int(row["pv_pe_count"] or 0),
        allocated_extents=int(row["pv_pe_alloc_count"] or 0),
        missing=bool(row["pv_missing"]),
        allocatable=bool(row["pv_allocatable"]),
    )


def _lv(row: Row, vg: str, segments: list[Row]) -> LogicalVolume:
    devices = [device for segment in segments for device in segment["devices"].split(",") if device]
    return LogicalVolume(
        vg=vg,
        name=row["lv_name"].strip("[]"),
        uuid=row["lv_uuid"],
        attr=row["lv_attr"],
        size_bytes=int(row["lv_size"]),
        tags=_words(row["lv_tags"]),
        origin=row["origin"].strip("[]"),
        segment_types=tuple(sorted({segment["segtype"] for segment in segments})),
        chunk_size_bytes=max([int(segment["chunk_size"] or 0) for segment in segments], default=0),
        data_percent=_percent(row["data_percent"]),
        device_number=_device_number(row),
        devices=tuple(sorted({_device(device.rsplit("(", 1)[0]) for device in devices})),
        is_hidden=row["lv_name"].startswith("["),
        is_merging=row["lv_merging"] == "merging",
        pool=row["pool_lv"].strip("[]"),
        metadata_percent=_percent(row["metadata_percent"]),
        metadata_bytes=int(row["lv_metadata_size"] or 0),
        is_external_origin="extthinorigin" in row["lv_role"].split(","),
        reshape_bytes=max([int(segment["reshape_len"] or 0) for segment in segments], default=0),
        thin_id=_first_number(segments, "thin_id"),
        transaction_id=_first_number(segments, "transaction_id"),
    )


def _first_number(segments: list[Row], column: str) -> int | None:
    return next((int(segment[column]) for segment in segments if segment[column]), None)


def _words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(","))) if text else ()


def _device(name: str) -> str:
    # LVM reads report/two_word_unknown_device before it looks at --config.
    return UNKNOWN if name == "unknown device" else name


def _percent(text: str) -> float | None:
    if not text:
        return None
    if not math.isfinite(percent := float(text)):
        raise ValueError(f"{text} is not a percentage")
    return percent


def _device_number(row: Row) -> str:
    major, minor = row["lv_kernel_major"], row["lv_kernel_minor"]
    return "" if major in ("", "-1") else f"{major}:{minor}"
