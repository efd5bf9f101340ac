"""What is said at the end: where things are, what came of the work, how to look around."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flows.progress import Done
from flows.steps import access, remote
from flows.steps.work import WorkResult
from infra import federation_map
from infra.files import write_atomic
from infra.settings import Settings
from tosca.model import PoolKind

_WIDTH = 150


def build_folder(settings: Settings) -> Path:
    """Where results for people and programs go."""
    return settings.inventories.parent / "build"


def sites_table(sites: Sequence[str], work: Sequence[WorkResult], settings: Settings) -> Table:
    """One row per site: machines, addresses, what its work said, where its page is."""
    results = {one.site: one for one in work}
    table = Table(title="Sites")
    for column in ("site", "machines", "first server", "edge", "job", "page"):
        table.add_column(column, overflow="fold")
    for site in sites:
        group = remote.inventory(site, settings).site_group
        counts = dict.fromkeys(PoolKind, 0)
        for host in group.hosts.values():
            counts[host.fed_pool] += 1
        machines = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
        server = group.vars.fed_servers[0]
        edge = group.vars.fed_edges[0] if group.vars.fed_edges else None
        done = results.get(site)
        table.add_row(
            site,
            machines,
            f"{server.private_address}\n{server.wide_area_address or ''}".strip(),
            str(edge.wide_area_address) if edge else "",
            done.said if done else "",
            done.url if done else "",
        )
    return table


def look_around(sites: Sequence[str], work: Sequence[WorkResult], settings: Settings) -> list[str]:
    """Commands that work as they stand, each after what it is for."""
    example = next((one for one in work if one.url), None)
    site = example.site if example else sites[-1]
    env = f'eval "$(make -s env SITE={site})"'
    commands = {
        f"the region of {site}": f"({env}; nomad node status)",
        "its jobs": f"({env}; nomad job status -namespace '*')",
        "its catalogue": f"({env}; consul members; consul members -wan)",
        "log in to a machine": _ssh(site, settings),
        "the stacks": '(eval "$(make -s env)"; cd infra/programs/site; pulumi stack ls)',
    }
    if example is not None:
        name = example.url.removeprefix("https://").rstrip("/")
        group = remote.inventory(site, settings).site_group.vars
        ca = access.folder(group.fed_name, settings) / site / "ca.pem"
        resolve = f"--resolve {name}:443:{example.edge_address}"
        commands["its page"] = f"curl --cacert {ca} {resolve} {example.url}cgi-bin/where"
    return [f"{what + ':':22}{command}" for what, command in commands.items()]


def show(
    sites: Sequence[str], work: Sequence[WorkResult], settings: Settings, console: Console
) -> None:
    """Print the tables and commands, and write the map."""
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    console.print(sites_table(sites, work, settings))
    engines = access.versions(settings)
    console.print("engines: " + ", ".join(f"{name} {version}" for name, version in engines.items()))
    console.print("\nlook around:")
    for line in look_around(sites, work, settings):
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    drawing = draw_map(settings)
    console.print(f"map of the federation: {drawing}", markup=False, highlight=False)


def draw_map(settings: Settings) -> Path:
    """Draw the federation from its inventories; raises InventoryError."""
    file = build_folder(settings) / "federation.svg"
    found = federation_map.load_inventories(settings.inventories)
    write_atomic(file, federation_map.draw(found))
    return file


def write_result(name: str, content: object, settings: Settings) -> Path:
    """Keep a result for programs as build/<name>.json."""
    file = build_folder(settings) / f"{name}.json"
    write_atomic(file, json.dumps(content, indent=2, sort_keys=True) + "\n")
    return file


def phases(done: Sequence[Done]) -> list[dict[str, object]]:
    """Each step with its time, as it ended."""
    return [
        {"site": one.site, "step": one.name, "seconds": round(one.seconds, 1), "ok": one.ok}
        for one in done
    ]


def _ssh(site: str, settings: Settings) -> str:
    where = remote.login(site, settings)
    known = where.known_hosts
    return (
        f"ssh -i {where.private_key} -o UserKnownHostsFile={known} -p {where.port} "
        f"{where.user}@{where.address}"
    )
