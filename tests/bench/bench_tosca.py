"""How compiling grows with the number of sites: CPU time per site at 5 and at 400 sites.

Run from the checkout: python tests/bench/bench_tosca.py
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import tosca

FEW, MANY, ROUNDS = 5, 400, 7
BAR = 1.1
MACHINES = 8
"""What a site below plans: three servers, four workers, one edge."""
FEDERATION = """\
name: bench
domain: bench.test
control_site: control
control_address: 10.0.0.18
wide_area_cidr: 10.0.0.0/12
communities: [oceans, forests]
sites: [{names}]
"""
SITE = """\
name: {name}
template: federated_site
provider: {{kind: local}}
inputs:
  private_cidr: 10.{high}.{low}.0/24
  wide_area_cidr: 10.0.{block}.{start}/28
  servers: 3
  cpu_count: 4
  communities: [oceans, forests]
"""


def write(folder: Path, count: int) -> None:
    """Write a federation of `count` sites, each with networks of its own."""
    names = [f"s{number}" for number in range(count)]
    folder.mkdir()
    (folder / "federation.yaml").write_text(FEDERATION.format(names=", ".join(names)), "utf-8")
    for number, name in enumerate(names):
        (folder / name).mkdir()
        text = SITE.format(
            name=name,
            high=16 + number // 256,
            low=number % 256,
            block=1 + number // 16,
            start=number % 16 * 16,
        )
        (folder / name / "site.yaml").write_text(text, "utf-8")


def seconds(folder: Path, count: int) -> float:
    """CPU seconds to compile `count` sites to plans of machines."""
    start = time.process_time()
    federation = tosca.load_federation(folder / "federation.yaml")
    for number in range(count):
        site = tosca.compile_site(folder / f"s{number}", federation)
        assert len(site.machines) == MACHINES
    return time.process_time() - start


def main() -> int:
    """Measure, print and judge."""
    with tempfile.TemporaryDirectory() as name:
        small, large = Path(name) / "few", Path(name) / "many"
        write(small, FEW)
        write(large, MANY)
        first = seconds(small, 1)
        few = [seconds(small, FEW) / FEW for _ in range(ROUNDS * 5)]
        many = [seconds(large, MANY) / MANY for _ in range(ROUNDS)]
        start = time.process_time()
        tosca.load_sites(large)
        together = time.process_time() - start
    per_few, per_many = statistics.median(few), statistics.median(many)
    ratio = per_many / per_few
    lines = [
        f"first site, types and template read for it {first * 1e3:8.2f} ms CPU",
        f"{FEW:4d} sites, {MACHINES * FEW:5d} machines: per site      {per_few * 1e3:8.2f} ms CPU",
        f"{MANY:4d} sites, {MACHINES * MANY} machines: per site       {per_many * 1e3:8.2f} ms CPU",
        f"{MANY:4d} sites and their overlaps, in all     {together * 1e3:8.2f} ms CPU",
        f"ratio per site {ratio:.3f}, bar {BAR}: {'met' if ratio <= BAR else 'NOT met'}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if ratio <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
