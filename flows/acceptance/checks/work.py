"""W1, W6: workers are fit for work, jobs run, and reach what is theirs only."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

from flows.acceptance.checks.formation import body, calls, get
from flows.acceptance.federation import Host, Site
from flows.acceptance.model import Context, expect, none_of
from flows.acceptance.remote import identity, jobs, wire

Node = dict[str, Any]
START_S = 60.0
PAGE_S = 20.0
TYPES = {"compute", "tryme", "batch"}
TAGS = {"cpu", "gpu"}
RESERVED_MIB = 256
DISK_GB_PER_CORE = 5
TTL_S = 3600
FORBIDDEN = 403


def nodes(context: Context) -> list[tuple[Site, Node]]:
    """Every Nomad node of every site, in full."""

    def look(site: Site) -> list[Node]:
        (listed,) = calls(context, site.first, get("nomad", "/v1/nodes"))
        ids = [node["ID"] for node in body(listed, site.name)]
        expect(ids, f"{site.name} has no node")
        full = calls(context, site.first, *[get("nomad", f"/v1/node/{i}") for i in ids])
        return [body(reply, site.name) for reply in full]

    return [(s, n) for s, found in context.each(context.federation.working, look) for n in found]


def judge(
    context: Context, fit: Callable[[Site, Node], bool], seen: Callable[[Node], object]
) -> str:
    """Look at every node; those that are not fit are named with what was seen of them."""
    found = nodes(context)
    none_of(f"{node['Name']}: {seen(node)}" for site, node in found if not fit(site, node))
    return f"{len(found)} nodes, for instance {found[0][1]['Name']}: {seen(found[0][1])}"


def meta(key: str) -> Callable[[Node], str]:
    """Read one piece of a node's metadata."""
    return lambda node: str(node["Meta"].get(key, ""))


def w1_one_domain(context: Context) -> str:
    """All nodes of a datacenter serve exactly one domain, the site's."""
    found: dict[str, set[str]] = {}
    for site, node in nodes(context):
        found.setdefault(site.name, set()).add(node["Meta"].get("domain", ""))
    wanted = {site.name: {site.domain} for site in context.federation.working}
    none_of(f"{name} has {found.get(name)}" for name in wanted if found.get(name) != wanted[name])
    return ", ".join(sorted(domain for domains in found.values() for domain in domains))


def w1_own_domain(context: Context) -> str:
    """No two datacenters serve the same domain."""
    owners: dict[str, set[str]] = {}
    for _, node in nodes(context):
        owners.setdefault(node["Meta"].get("domain", ""), set()).add(node["Datacenter"])
    none_of(f"{d or 'no domain'}: {sorted(dcs)}" for d, dcs in owners.items() if len(dcs) != 1)
    expect(
        len(owners) == len(context.federation.working), f"{len(owners)} domains: {sorted(owners)}"
    )
    return f"{len(owners)} datacenters, {len(owners)} domains"


def w1_datacenter(context: Context) -> str:
    """A node's datacenter and site are its region's."""
    return judge(
        context,
        lambda site, node: node["Datacenter"] == node["Meta"].get("site") == site.name,
        lambda node: f"datacenter {node['Datacenter']}, site {node['Meta'].get('site')}",
    )


def w1_edge(context: Context) -> str:
    """Every edge is alive in Consul and shows a valid certificate of its site from outside."""
    control = context.federation.control.first
    edges = [(s, edge) for s in context.federation.working for edge in s.edges]
    without = [site.name for site in context.federation.working if not site.edges]
    expect(not without, f"no edge in {', '.join(without)}")

    def look(pair: tuple[Site, Host]) -> list[str]:
        site, edge = pair
        page = context.ask(control, wire.fetch, edge.reachable_address, f"check.{site.domain}")
        path = f"/v1/health/node/{edge.name}"
        (reply,) = calls(context, site.first, get("consul", path, who="service"))
        health = [check["Status"] for check in body(reply, path)]
        problems = [] if page["status"] else [f"{edge.name}: {page['said']}"]
        return problems if set(health) == {"passing"} else [*problems, f"{edge.name} is {health}"]

    none_of(problem for _, problems in context.each(edges, look) for problem in problems)
    return f"{len(edges)} edges answer with certificates of their own domains"


def w1_ready(context: Context) -> str:
    """Every node is ready."""
    return judge(context, lambda _, n: n["Status"] == "ready", lambda n: n["Status"])


def w1_drivers(context: Context) -> str:
    """Docker works on every node, and there is no other driver."""

    def found(node: Node) -> dict[str, bool]:
        drivers = node["Drivers"].items()
        return {name: driver["Healthy"] for name, driver in drivers if driver["Detected"]}

    return judge(context, lambda _, node: found(node) == {"docker": True}, found)


def w1_no_rights(context: Context) -> str:
    """Docker offers neither volumes of the host nor privileged containers."""
    keys = ("driver.docker.volumes.enabled", "driver.docker.privileged.enabled")

    def found(node: Node) -> dict[str, str]:
        attributes = {**node["Attributes"], **node["Drivers"]["docker"]["Attributes"]}
        return {key: attributes.get(key, "false") for key in keys}

    return judge(context, lambda _, node: set(found(node).values()) == {"false"}, found)


def w1_domain(context: Context) -> str:
    """Every node tells the domain under which its jobs are seen."""
    return judge(context, lambda s, n: meta("domain")(n) == s.domain, meta("domain"))


def w1_communities(context: Context) -> str:
    """Every node serves exactly the site's communities, each of which has a namespace."""
    spaces: dict[str, set[str]] = {}
    for site in context.federation.working:
        (reply,) = calls(context, site.first, get("nomad", "/v1/namespaces"))
        spaces[site.name] = {space["Name"] for space in body(reply, site.name)}

    def fit(site: Site, node: Node) -> bool:
        served = set(filter(None, meta("namespace")(node).split(",")))
        return bool(served) and served == set(site.communities) and served <= spaces[site.name]

    return judge(context, fit, meta("namespace"))


def w1_kind(context: Context) -> str:
    """A node's type and tags are of the known ones and fit its pool."""
    pools = {host.name: host.pool for host in context.federation.hosts}

    def fit(_: Site, node: Node) -> bool:
        kind, tags = meta("type")(node), set(meta("tags")(node).split(","))
        return kind in TYPES and bool(tags) and tags <= TAGS and pools.get(node["Name"]) in tags

    return judge(context, fit, lambda node: f"{meta('type')(node)}, {meta('tags')(node)}")


def w1_memory(context: Context) -> str:
    """Every node keeps memory for itself."""

    def found(node: Node) -> int:
        return int(node["ReservedResources"]["Memory"]["MemoryMB"])

    return judge(context, lambda _, node: found(node) >= RESERVED_MIB, lambda n: f"{found(n)} MiB")


def w1_disk(context: Context) -> str:
    """Every node has more than 5 GB of disk per core."""

    def found(node: Node) -> float:
        resources = node["NodeResources"]
        return float(resources["Disk"]["DiskMB"] / 1000 / resources["Cpu"]["TotalCpuCores"])

    return judge(
        context, lambda _, n: found(n) > DISK_GB_PER_CORE, lambda n: f"{found(n):.0f} GB/core"
    )


def w1_eligible(context: Context) -> str:
    """Every node takes work and carries the mark of its admission."""

    def found(node: Node) -> tuple[str, str]:
        return node["SchedulingEligibility"], meta("status")(node)

    return judge(context, lambda _, node: found(node) == ("eligible", "ready"), found)


def w1_job(context: Context) -> str:
    """A job of each community, pinned to each node, runs."""

    def place(task: tuple[Site, str, str]) -> str:
        site, community, node = task
        told = context.ask(
            site.first, jobs.pinned, "cpu", community, node, min(START_S, context.left())
        )
        return "" if told == "running" else f"{community} on {node}: {told}"

    tasks = [
        (site, community, worker.name)
        for site in context.federation.working
        for worker in site.workers
        for community in site.communities
    ]
    none_of(problem for _, problem in context.each(tasks, place) if problem)
    return f"{len(tasks)} jobs ran, one per node and community"


def w1_page(context: Context) -> str:
    """A page of each community is seen from another site through each edge, by HTTPS."""
    control = context.federation.control.first

    def publish(task: tuple[Site, str]) -> list[str]:
        site, community = task
        told = context.ask(site.first, jobs.start_web, "web", community, site.domain, START_S)
        context.undo.callback(partial(context.ask, site.first, jobs.stop, told["job"], community))
        if told["status"] != "running":
            return [f"{site.name}/{community}: {told['status']}"]
        pages = {
            edge.name: context.ask(
                control, wire.fetch, edge.reachable_address, told["host"], "/", PAGE_S
            )
            for edge in site.edges
        }
        return [
            f"https://{told['host']} at {name}: {page['status']} {page['said'][:120]}"
            for name, page in pages.items()
            if page["status"] != 200 or not page["said"].strip()  # noqa: PLR2004
        ]

    tasks = [(site, name) for site in context.federation.working for name in site.communities]
    none_of(problem for _, problems in context.each(tasks, publish) for problem in problems)
    return f"{len(tasks)} pages with valid certificates"


def _reading_job(context: Context, site: Site) -> tuple[dict[str, str], dict[str, str], str]:
    """Run a job with a secret of its own and others' beside it; its state, the paths, the value."""
    control, mine = context.federation.control.first, site.communities[0]
    other = site.communities[-1]
    job_id, value = f"check-identity-{secrets.token_hex(3)}", secrets.token_hex(8)
    paths = {
        "own": f"workloads/{site.name}/{mine}/{job_id}",
        "job": f"workloads/{site.name}/{mine}/{job_id}-other",
        "community": f"workloads/{site.name}/{other}/{job_id}",
        "site": f"workloads/{context.federation.control.name}/{mine}/{job_id}",
    }
    stored = list(paths.values())
    context.undo.callback(partial(context.ask, control, identity.forget, stored))
    context.ask(control, identity.store, stored, value)
    context.undo.callback(partial(context.ask, site.first, jobs.stop, job_id, mine))
    told = context.ask(site.first, identity.start, job_id, mine, min(START_S, context.left()))
    expect(told["status"] == "running", f"{site.name}: the job does not run: {told['status']}")
    return told, paths, value


def w6_own(context: Context) -> str:
    """A job reads the secret stored for it, and only that, by the identity Nomad gave it."""

    def look(site: Site) -> list[str]:
        told, _, value = _reading_job(context, site)
        return (
            [] if told["rendered"] == value else [f"{site.name}: rendered {told['rendered'][:80]}"]
        )

    none_of(p for _, problems in context.each(context.federation.working, look) for p in problems)
    return f"in {len(context.federation.working)} regions"


def w6_others(context: Context) -> str:
    """A job's token is refused another job's, community's and site's secrets, and any writing."""
    named = {host.name: host for host in context.federation.hosts}

    def look(site: Site) -> list[str]:
        told, paths, _ = _reading_job(context, site)
        wanted = {f"kv/data/{paths['own']}": 200}
        wanted |= {f"kv/data/{paths[key]}": 403 for key in ("job", "community", "site")}
        wanted |= {f"kv/data/sites/{site.name}/engines": 403, "kv/data/federation/gossip": 403}
        writes = [f"kv/data/{path}" for path in paths.values()]
        worker = named[told["node"]]
        has = context.ask(worker, identity.rights, told["allocation"], list(wanted), writes)
        problems = [f"{p}: {s}" for p, s in has["reads"].items() if s != wanted[p]]
        written = {p: s for p, s in has["writes"].items() if s != FORBIDDEN}
        return problems + [f"writing {path}: {status}" for path, status in written.items()]

    none_of(p for _, problems in context.each(context.federation.working, look) for p in problems)
    return f"own read, 5 others' and 4 writes refused in {len(context.federation.working)} regions"


def w6_lifetime(context: Context) -> str:
    """A job's token lives at most an hour, can be renewed, and has one policy of its site."""
    named = {host.name: host for host in context.federation.hosts}

    def look(site: Site) -> tuple[int, list[str]]:
        told, _, _ = _reading_job(context, site)
        has = context.ask(named[told["node"]], identity.rights, told["allocation"], [], [])
        problems = []
        if not 0 < has["ttl"] <= TTL_S or not has["renewable"]:
            problems.append(f"{site.name}: ttl {has['ttl']} s, renewable {has['renewable']}")
        if set(has["policies"]) - {"default"} != {f"workload-{site.name}"}:
            problems.append(f"{site.name}: policies {has['policies']}")
        return has["ttl"], problems

    found = context.each(context.federation.working, look)
    none_of(problem for _, (_, problems) in found for problem in problems)
    return ", ".join(f"{site.name} {ttl} s" for site, (ttl, _) in found)
