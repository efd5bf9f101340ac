"""F: the sites have formed one federation."""

from __future__ import annotations

import json
import secrets
import uuid
from collections import Counter
from functools import partial
from typing import Any

from flows.acceptance.federation import Host, Site
from flows.acceptance.model import Context, expect, none_of
from flows.acceptance.remote import engines
from flows.acceptance.remote.engines import Reply

BLIP_S = 15.0
SUCCESS = 2
REPLICATION_LAG_S = 5.0
_LEFT_OUT = {"CreateIndex", "ModifyIndex", "Hash", "CreateTime", "ModifyTime"}


def calls(context: Context, host: Host, *wanted: dict[str, Any]) -> list[Reply]:
    """Make several API calls on a host in one go."""
    return context.ask(host, engines.several, list(wanted))


def get(engine: str, path: str, **more: Any) -> dict[str, Any]:
    """A call for `calls`."""
    return {"engine": engine, "method": "GET", "path": path, **more}


def body(reply: Reply, what: str) -> Any:
    """The body of a good answer; anything else fails the check."""
    expect(
        reply["status"] // 100 == SUCCESS, f"{what}: {reply['status']} {str(reply['body'])[:200]}"
    )
    return reply["body"]


def f1_members(context: Context) -> str:
    """Every server sees every server of the federation alive."""
    federation = context.federation

    def seen(host: Host) -> Counter[str]:
        (reply,) = calls(context, host, get("nomad", "/v1/agent/members", who="none"))
        if reply["status"] == 403:  # noqa: PLR2004 - members are for those with a token
            first = federation.site(host.site).first
            path = "/v1/agent/members"
            address = host.private_address
            (reply,) = calls(context, first, get("nomad", path, address=address))
        members = body(reply, f"members on {host.name}")["Members"]
        return Counter(m["Tags"]["region"] for m in members if m["Status"] == "alive")

    found = context.each(federation.servers, seen)
    wanted = {
        host: {s.name: len(s.servers) for s in federation.seen_from(federation.site(host.site))}
        for host, _ in found
    }
    none_of(
        f"{host.name} sees {dict(counted)} alive, not {wanted[host]}"
        for host, counted in found
        if dict(counted) != wanted[host]
    )
    shown = ", ".join(f"{s.name} {len(s.servers)}" for s in federation.sites)
    return f"alive on each of {len(found)} servers: {shown}"


def f2_autopilot(context: Context) -> str:
    """Each region is healthy and has as many servers to spare as its size allows."""

    def look(site: Site) -> dict[str, Any]:
        # One slow heartbeat on a busy machine counts as unhealthy until the next look.
        spare = (len(site.servers) - 1) // 2
        return context.ask(site.first, engines.autopilot, spare, BLIP_S)

    found = context.each(context.federation.sites, look)
    problems, shown = [], []
    for site, health in found:
        spare = (len(site.servers) - 1) // 2
        seen = (
            health.get("Healthy"),
            health.get("FailureTolerance"),
            len(health.get("Voters") or []),
        )
        shown.append(f"{site.name} {seen[1]}")
        if seen != (True, spare, len(site.servers)):
            problems.append(f"{site.name}: healthy, tolerance, voters = {seen}")
    none_of(problems)
    return f"healthy, servers to spare: {', '.join(shown)}"


def f3_forwarding(context: Context) -> str:
    """A request in any region for any other reaches it."""
    federation = context.federation
    names = sorted(site.name for site in federation.sites)

    def look(site: Site) -> list[str]:
        others = [other.name for other in federation.seen_from(site)]
        leaders = [get("nomad", f"/v1/status/leader?region={n}", who="none") for n in others]
        regions, *replies = calls(context, site.first, get("nomad", "/v1/regions"), *leaders)
        problems = []
        if sorted(body(regions, site.name)) != sorted(others):
            problems.append(f"{site.name} knows the regions {regions['body']}, not {names}")
        for name, reply in zip(others, replies, strict=True):
            addresses = {
                address
                for server in federation.site(name).servers
                for address in (server.private_address, server.wide_area_address)
            }
            leader = str(reply["body"]).rpartition(":")[0]
            if reply["status"] != 200 or leader not in addresses:  # noqa: PLR2004
                problems.append(f"{site.name} asked for the leader of {name}: {reply}")
        return problems

    none_of(p for _, problems in context.each(federation.sites, look) for p in problems)
    return f"{len(names)} regions, each answers when asked through each other"


def f4_nodes(context: Context) -> str:
    """Every worker is ready, eligible and admitted, and there is no other node."""

    def look(site: Site) -> list[str]:
        (reply,) = calls(context, site.first, get("nomad", "/v1/nodes?meta=true"))
        nodes = {node["Name"]: node for node in body(reply, site.name)}
        wanted = {host.name for host in site.workers}
        problems = [f"{name} is not in region {site.name}" for name in sorted(wanted - set(nodes))]
        problems += [f"{name} is in {site.name} uninvited" for name in sorted(set(nodes) - wanted)]
        for name in sorted(wanted & set(nodes)):
            state = (nodes[name]["Status"], nodes[name]["SchedulingEligibility"])
            if state != ("ready", "eligible") or nodes[name]["Drain"]:
                problems.append(f"{name} is {' and '.join(state)}")
        return problems

    none_of(p for _, problems in context.each(context.federation.sites, look) for p in problems)
    count = sum(len(site.workers) for site in context.federation.sites)
    return f"{count} workers ready and eligible, no other node"


def f5_consul(context: Context) -> str:
    """Datacenters see each other; each has its voters and one leader."""
    federation = context.federation

    def look(site: Site) -> list[str]:
        wan, raft = calls(
            context,
            site.first,
            get("consul", "/v1/agent/members?wan=1", who="service"),
            get("consul", "/v1/operator/raft/configuration"),
        )
        alive = 1
        counted = Counter(m["Tags"]["dc"] for m in body(wan, site.name) if m["Status"] == alive)
        problems = []
        wanted = {other.name: len(other.servers) for other in federation.seen_from(site)}
        if dict(counted) != wanted:
            problems.append(f"{site.name} sees {dict(counted)} alive, not {wanted}")
        peers = body(raft, site.name)["Servers"]
        voters = sum(peer["Voter"] for peer in peers)
        leaders = sum(peer["Leader"] for peer in peers)
        if (voters, leaders, len(peers)) != (len(site.servers), 1, len(site.servers)):
            problems.append(
                f"{site.name} has {len(peers)} peers, {voters} voters, {leaders} leaders"
            )
        return problems

    none_of(p for _, problems in context.each(federation.sites, look) for p in problems)
    return f"{len(federation.sites)} datacenters, {len(federation.servers)} servers alive, all vote"


def f6_replication(context: Context) -> str:
    """A token made at the primary is known in every datacenter within 5 s."""
    federation = context.federation
    for site, (reply,) in context.each(
        federation.members, lambda s: calls(context, s.first, get("consul", "/v1/acl/replication"))
    ):
        state = body(reply, site.name)
        ours = (state["Enabled"], state["Running"], state["ReplicationType"])
        expect(ours == (True, True, "tokens"), f"{site.name}: enabled, running, type = {ours}")
    accessor = str(uuid.uuid4())
    path = f"/v1/acl/token/{accessor}"
    first = federation.control.first
    delete = {"engine": "consul", "method": "DELETE", "path": path}
    context.undo.callback(partial(calls, context, first, delete))
    content = {"AccessorID": accessor, "Description": f"check-{secrets.token_hex(3)}",
               "ExpirationTTL": "5m"}  # fmt: skip
    made = {"engine": "consul", "method": "PUT", "path": "/v1/acl/token", "body": content}
    body(calls(context, first, made)[0], "making a token at the primary")
    lags = context.each(
        federation.members,
        lambda s: context.ask(s.first, engines.consul_sees_token, accessor, REPLICATION_LAG_S),
    )
    late = [site.name for site, lag in lags if lag is None]
    expect(not late, f"not replicated within {REPLICATION_LAG_S:g} s to {', '.join(late)}")
    return "lag " + ", ".join(f"{site.name} {lag:.1f} s" for site, lag in lags if lag is not None)


def f8_same_objects(context: Context) -> str:
    """Namespaces, policies, node pools and login methods of a community are alike everywhere."""
    federation = context.federation

    def look(site: Site) -> dict[str, str]:
        lists = ("namespaces", "acl/policies", "node/pools", "acl/auth-methods")
        replies = calls(context, site.first, *[get("nomad", f"/v1/{kind}") for kind in lists])
        names = [p["Name"] for p in body(replies[1], site.name)]
        full = calls(context, site.first, *[get("nomad", f"/v1/acl/policy/{n}") for n in names])
        objects: dict[str, str] = {}
        for kind, reply in zip(lists, replies, strict=True):
            for thing in body(reply, f"{kind} of {site.name}"):
                if kind != "acl/policies":
                    objects[f"{kind} {thing['Name']}"] = _canonical(thing)
        for name, reply in zip(names, full, strict=True):
            objects[f"acl/policies {name}"] = _canonical(body(reply, name))
        return objects

    found = dict(context.each(federation.sites, look))
    problems = []
    reference: dict[str, tuple[str, str]] = {}
    for site, objects in found.items():
        own = {f"namespaces {name}" for name in site.communities}
        own |= {f"acl/policies community-{name}" for name in site.communities}
        usual = {"namespaces default", "node/pools all", "node/pools default"}
        problems += [f"{site.name} lacks {name}" for name in sorted((own | usual) - set(objects))]
        problems += [f"{site.name} has {name}" for name in sorted(set(objects) - own - usual)]
        for name, content in objects.items():
            where, known = reference.setdefault(name, (site.name, content))
            if known != content:
                problems.append(f"{name} differs between {where} and {site.name}")
    none_of(problems)
    return f"{len(reference)} objects alike in {len(found)} regions"


def _canonical(thing: dict[str, Any]) -> str:
    kept = {key: value for key, value in thing.items() if key not in _LEFT_OUT}
    return json.dumps(kept, sort_keys=True)
