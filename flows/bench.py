"""`python -m flows.bench [--from-nothing]`: what the project promises, measured on this machine.

Runs the same commands as make, one after the other, on the federation that stands; with
`--from-nothing` it is removed first and stood up anew. Writes build/bench.json.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flows import report
from flows.errors import FlowError
from flows.steps import teardown
from flows.steps.sites import federation
from infra import process, settings
from infra.errors import InfraError
from infra.settings import CHECKOUT, Settings
from tosca.errors import ToscaError

_LONGEST_S = 3600.0
_JOINS = min(path.name for path in teardown.JOINS.iterdir())


@dataclass(frozen=True)
class Row:
    """One promise: how much at most (None where nothing is promised), and how much it was."""

    what: str
    unit: str
    bar: float | None
    measured: float

    @property
    def met(self) -> bool:
        """Whether the promise was kept."""
        return self.bar is None or self.measured <= self.bar


@dataclass(frozen=True)
class Cost:
    """What one command took: wall time and the CPU time of this machine's side, in seconds."""

    wall: float
    cpu: float


def main(argv: list[str] | None = None) -> int:
    """Return 0 when every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m flows.bench", description=__doc__)
    parser.add_argument("--from-nothing", action="store_true")
    arguments = parser.parse_args(argv)
    here = settings.load()
    try:
        rows = measure(here, from_nothing=arguments.from_nothing)
    except (FlowError, InfraError, ToscaError) as error:
        sys.stderr.write(f"\nerror: {error}\n")
        return 1
    table = Table(title="promised and measured")
    for column in ("what", "promised", "measured", ""):
        table.add_column(column)
    for row in rows:
        bar = "" if row.bar is None else f"<= {row.bar:g} {row.unit}"
        table.add_row(row.what, bar, f"{row.measured:g} {row.unit}", "" if row.met else "MISSED")
    Console().print(table)
    report.write_result("bench", [asdict(row) for row in rows], here)
    return 0 if all(row.met for row in rows) else 1


def measure(here: Settings, *, from_nothing: bool) -> list[Row]:
    """Run everything; raises FlowError or InfraError when a command fails."""
    rows = []
    if from_nothing:
        rows.append(Row("make down", "s", 30, _flows("down").wall))
        cost = _flows("deploy")
        rows.append(Row("demo from nothing, engines there", "s", 300, cost.wall))
        rows.append(Row("demo from nothing, CPU of this side", "s", None, cost.cpu))
    else:
        _flows("deploy")
    cost = _flows("deploy")
    rows.append(Row("second run", "s", 75, cost.wall))
    rows.append(Row("second run, CPU of this side", "s", None, cost.cpu))
    rows.append(Row("second run, changes", "", 0, _number(_result("deploy", here), "changed")))
    rows.append(Row("memory of all machines", "GiB", 6, _memory_gib(here)))
    return rows + _join_rows(here) + _leader_rows(here)


def _leader_rows(here: Settings) -> list[Row]:
    """What check L2 measured; it fails by itself when other jobs were restarted."""
    _flows("verify", "L2")
    (found,) = json.loads((report.build_folder(here) / "verify.json").read_text())["checks"]
    leader, job = re.findall(r"after ([0-9.]+) s", found["detail"])
    return [
        Row("leader killed, to the next leader", "s", 10, float(leader)),
        Row("leader killed, to the next job taken", "s", 15, float(job)),
    ]


def _join_rows(here: Settings) -> list[Row]:
    _flows("join", _JOINS)
    joined = _result("join", here)
    rows = [Row("join of a site to its first job", "s", 100, _number(joined, "seconds"))]
    never = ("failed_probes", "failed_submissions", "leader_changes", "restarts")
    rows += [Row(f"join: {key.replace('_', ' ')}", "", 0, _number(joined, key)) for key in never]
    _flows("retire", _JOINS)
    return rows


def _flows(*arguments: str) -> Cost:
    Console().print(f"python -m flows {' '.join(arguments)} ...", markup=False, highlight=False)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = process.run(
        [sys.executable, "-m", "flows", *arguments],
        cwd=CHECKOUT,
        timeout=_LONGEST_S,
        remedy="run the same command by hand",
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(round(done.seconds, 1), round(cpu, 1))


def _result(name: str, here: Settings) -> Mapping[str, object]:
    found: Mapping[str, object] = json.loads(
        (report.build_folder(here) / f"{name}.json").read_text()
    )
    return found


def _number(result: Mapping[str, object], key: str) -> float:
    return float(str(result[key]))


def _memory_gib(here: Settings) -> float:
    """What the processes of all machines hold; a page that several share is counted once."""
    label = f"label=skerry.federation={federation(here).name}"
    names = process.run(["docker", "ps", "--quiet", "--filter", label], timeout=60).stdout.split()
    kib = 0
    for name in names:
        shown = process.run(["docker", "top", name, "-eo", "pid"], timeout=60).stdout
        kib += sum(_kib(pid) for pid in shown.split()[1:])
    return round(kib / (1 << 20), 2)


def _kib(pid: str) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0  # it has ended meanwhile
    return int(text.partition("\nPss:")[2].split()[0])


if __name__ == "__main__":
    sys.exit(main())
