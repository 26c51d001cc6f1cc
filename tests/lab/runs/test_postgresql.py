"""PostgreSQL with its data and its WAL on two volumes: a copy from the snapshots of both starts, and lacks nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab import recipes
from tests.lab.helpers import fingerprint, make_vg
from tests.lab.machine import Job, Machine
from tests.lab.support import lvmsnap, write_profile

PROGRAMS = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
pytestmark = [pytest.mark.lab, pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed")]

AS_NOBODY = f"env PATH={PROGRAMS}:$PATH PGHOST=/run/pg setpriv --reuid 65534 --regid 65534 --clear-groups"
DATA, WAL = "/srv/pgdata/main", "/srv/pgwal/main"
RESTORED = "/restored"
SERVE = f'{AS_NOBODY} pg_ctl --silent --wait --log=/run/pg/log --options="-c unix_socket_directories=/run/pg" -D'
# Writes down a number once PostgreSQL has said that it is kept for good.
WRITER = f"""n=0
while n=$((n + 1)); do
    {AS_NOBODY} psql -q -d postgres -c "insert into kept values ($n)" && echo $n > /run/pg/last
done"""
# What pgbench's transactions keep equal: each adds one amount to an account, a teller and a branch, and notes it.
SUMS = """select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)
    and (select sum(tbalance) from pgbench_tellers) = (select sum(delta) from pgbench_history)
    and (select sum(bbalance) from pgbench_branches) = (select sum(delta) from pgbench_history)
    and (select count(*) from pgbench_history) > 0"""


def sql(m: Machine, query: str, database: str = "postgres") -> str:
    return m.run(
        [*AS_NOBODY.replace("$PATH", "/usr/bin:/bin").split(), "psql", "-Atd", database, "-c", query]
    ).stdout.strip()


def make_server(m: Machine) -> None:
    """A PostgreSQL with its WAL on a volume of its own, which pgbench can work on; the page's profile for it."""
    make_vg(
        m,
        "lvm_server_vg",
        volumes={"pgdata": "160M", "pgwal": "160M"},
        filesystems={"pgdata": "ext4", "pgwal": "ext4", "/dev/ubdb": "ext4"},
        mounts={"pgdata": "/srv/pgdata", "pgwal": "/srv/pgwal", "/dev/ubdb": RESTORED},
    )
    m.run(
        "set -e; rm -rf /run/pg; mkdir /run/pg; chown nobody: /run/pg /srv/pgdata /srv/pgwal\n"
        f"{AS_NOBODY} initdb --no-sync -A trust --wal-segsize=1 --waldir={WAL} {DATA} > /dev/null; sync\n"
        f"{SERVE} {DATA} start; {AS_NOBODY} pgbench -q -i postgres\n",
        timeout=300,
    )
    sql(m, "create table kept (n integer)")
    (profile,) = re.findall(r"```yaml\n(.*?pgwal.*?)```", recipes.PAGE.rpartition("**PostgreSQL")[2], re.DOTALL)
    write_profile(m, "database", profile)


@contextmanager
def writing(m: Machine) -> Iterator[None]:
    jobs: list[Job] = [m.start(WRITER), m.start(f"{AS_NOBODY} pgbench -n -c 2 -T 600 postgres")]
    m.run("until [ -s /run/pg/last ]; do sleep 0.2; done; sleep 3", timeout=120)
    try:
        yield
    finally:
        for job in jobs:
            job.kill(15)


def test_a_copy_of_both_starts_and_has_all_that_was_kept_before_up(lab: Machine) -> None:
    make_server(lab)
    before = fingerprint(lab, ("/etc/lvmsnap", "/media"))

    with writing(lab):
        last = int(lab.read_file("/run/pg/last"))
        lvmsnap(lab, f"run database -- rsync -aHAXS --numeric-ids /run/lvmsnap/database/ {RESTORED}/", timeout=300)
        assert int(lab.read_file("/run/pg/last")) > last
    assert fingerprint(lab, ("/etc/lvmsnap", "/media")) == before
    lab.run(f"{SERVE} {DATA} -m immediate stop; umount /srv/pgdata /srv/pgwal", timeout=120)
    lab.run(f"mount --bind {RESTORED}/srv/pgdata /srv/pgdata; mount --bind {RESTORED}/srv/pgwal /srv/pgwal")
    lab.run(f"rm -f {DATA}/postmaster.pid; {SERVE} {DATA} start", timeout=300)

    assert "redo done" in lab.read_file("/run/pg/log")
    assert int(sql(lab, f"select count(*) from kept where n <= {last}")) == last
    assert sql(lab, SUMS) == "t"
    lab.run(f"{SERVE} {DATA} -m immediate stop", timeout=120)
