"""N1-N3, N5, N6: who is let in, and what an outsider can read."""

from __future__ import annotations

from functools import partial
from typing import Any

from flows.acceptance.checks.formation import body, calls, get
from flows.acceptance.federation import Host, Site
from flows.acceptance.model import Context, expect, none_of
from flows.acceptance.remote import newcomer, wire

FORBIDDEN = 403
LISTEN_S = 8.0
NOMAD_HTTP, CONSUL_HTTPS, CONSUL_HTTP, VAULT = 4646, 8501, 8500, 8200
GOSSIP = {"nomad": [4648], "consul": [8301, 8302]}
KNOCK_S = 25.0


def refusals(names: list[str], replies: list[Any], status: int = FORBIDDEN) -> list[str]:
    """Name the calls whose answer was another than the status."""
    return [
        f"{name} answered {reply['status']} {str(reply['body'])[:80]}"
        for name, reply in zip(names, replies, strict=True)
        if reply["status"] != status
    ]


def n1_token(context: Context) -> str:
    """A call with a good certificate and no token is refused by every engine of every site."""
    closed = {
        "nomad": ["/v1/jobs", "/v1/nodes", "/v1/acl/tokens", "/v1/operator/raft/configuration"],
        "consul": ["/v1/kv/check", "/v1/acl/tokens", "/v1/agent/self"],
        "vault": ["/v1/kv/data/federation/gossip", "/v1/sys/mounts"],
    }
    paths = [(engine, path) for engine, listed in closed.items() for path in listed]

    def look(site: Site) -> list[str]:
        replies = calls(context, site.first, *[get(e, p, who="none") for e, p in paths])
        return refusals([f"{site.name} {engine} {path}" for engine, path in paths], replies)

    none_of(p for _, found in context.each(context.federation.sites, look) for p in found)
    return f"{len(paths)} calls in each of {len(context.federation.sites)} sites refused"


def n1_certificate(context: Context) -> str:
    """Without a client certificate the servers' ports end the TLS handshake."""

    def look(site: Site) -> dict[str, str]:
        targets = [(h.private_address, port) for h in site.servers for port in (4646, 8501)]
        targets += [(h.private_address, NOMAD_HTTP) for h in site.workers]
        return context.ask((site.workers or site.servers)[0], wire.without_certificate, targets)

    seen = [
        item for _, told in context.each(context.federation.sites, look) for item in told.items()
    ]
    none_of(f"{target} {told}" for target, told in seen if not told.startswith("refused"))
    return f"{len(seen)} ports refused it, for instance {seen[0][0]} ({seen[0][1]})"


def n2_worker(context: Context) -> str:
    """A worker's certificate does not open a server's raft channel; a server's does."""

    def look(site: Site) -> list[str]:
        server, worker = site.servers[-1], site.workers[0]
        problems = []
        address = server.private_address
        for engine in ("nomad", "consul"):
            own = context.ask(server, wire.raft_dial, engine, address, engine)
            other = context.ask(worker, wire.raft_dial, engine, address, engine)
            if own != "open":
                problems.append(f"{server.name} refuses its own {engine} certificate: {own}")
            if not other.startswith("refused"):
                problems.append(f"{server.name} let {worker.name} in as a {engine} server: {other}")
        return problems

    none_of(p for _, found in context.each(context.federation.working, look) for p in found)
    return f"refused, and a server's own let in, in {len(context.federation.working)} regions"


def n2_site(context: Context) -> str:
    """A server's certificate of one site does not open raft on another site's servers."""
    federation = context.federation
    pairs = [(a, b) for a in federation.sites for b in federation.sites if a is not b]

    def look(pair: tuple[Site, Site]) -> list[str]:
        guest, host = pair[0].first, pair[1].servers[-1]
        problems = []
        for engine in ("nomad", "consul"):
            told = context.ask(guest, wire.raft_dial, engine, host.reachable_address, engine)
            if not told.startswith("refused"):
                problems.append(f"{host.name} let {guest.name} in as a {engine} server: {told}")
        return problems

    none_of(p for _, found in context.each(pairs, look) for p in found)
    return f"refused for all {len(pairs)} pairs of sites, Nomad and Consul"


def n2_names(context: Context) -> str:
    """A site's credential gets certificates for its own names and for no other site's."""
    federation = context.federation
    pairs = [(a, b) for a in federation.members for b in federation.sites if a is not b]

    def look(pair: tuple[Site, Site]) -> list[str]:
        own, other = pair[0], pair[1].name
        tries = {
            (own.name, "nomad-server", f"server.{own.name}.nomad"): (200,),
            (own.name, "nomad-server", f"server.{other}.nomad"): (400,),
            (own.name, "consul-server", f"server.{other}.consul"): (400,),
            (own.name, "nomad-client", f"server.{own.name}.nomad"): (400,),
            (other, "nomad-server", f"server.{other}.nomad"): (403,),
        }
        return [
            f"{own.name} asked pki-{authority}/{role} for {name}: {status}"
            for (authority, role, name), good in tries.items()
            if (status := context.ask(own.first, newcomer.signature, authority, role, name))
            not in good
        ]

    none_of(p for _, found in context.each(pairs, look) for p in found)
    return f"{len(federation.members)} sites sign for their own names only"


def n3_introduction(context: Context) -> str:
    """A machine with a certificate of the site but no, or another's, introduction stays outside."""
    site = context.federation.working[-1]
    before = _nodes(context, site)
    tries = {"none": False, "other": False, "right": True}
    problems = []
    for introduction, wanted in tries.items():
        told = context.ask(site.first, newcomer.knock, introduction, KNOCK_S)
        if told["registered"] != wanted or told["denied"] == wanted:
            problems.append(f"introduction {introduction}: {told}")
    none_of(problems)
    after = _nodes(context, site)
    expect(before == after, f"nodes of {site.name} were {before} and are {after}")
    return f"{site.name} denied a node with no introduction and with another's, took the right one"


def _nodes(context: Context, site: Site) -> list[tuple[str, str]]:
    (reply,) = calls(context, site.first, get("nomad", "/v1/nodes"))
    return sorted((node["ID"], node["Status"]) for node in body(reply, site.name))


def n5_list(context: Context) -> str:
    """A worker's Consul tokens cannot read tokens or policies; they do what they are for."""
    wanted = {"/v1/acl/tokens": FORBIDDEN, "/v1/acl/policies": FORBIDDEN, "/v1/kv/check": FORBIDDEN,
              "/v1/acl/token/self": 200}  # fmt: skip

    def look(worker: Host) -> list[str]:
        asked = [(who, path) for who in ("agent", "service") for path in wanted]
        replies = calls(context, worker, *[get("consul", p, who=w) for w, p in asked])
        return [
            f"{worker.name} {who} token: {path} answered {reply['status']}"
            for (who, path), reply in zip(asked, replies, strict=True)
            if reply["status"] != wanted[path]
        ]

    workers = [worker for site in context.federation.working for worker in site.workers]
    none_of(p for _, found in context.each(workers, look) for p in found)
    return f"tokens of {len(workers)} workers cannot list tokens, policies or keys"


def n5_node(context: Context) -> str:
    """A worker's Consul tokens register nothing for another node, at its agent or at a server."""

    def look(site: Site) -> list[str]:
        worker, server = site.workers[0], site.first
        # Only the federation's own management token may take things out of any catalogue.
        cleaner = context.federation.control if context.federation.federated else site
        content = {
            "Node": server.name,
            "Address": "127.0.0.1",
            "Service": {"Service": "check-intruder", "ID": "check-intruder"},
            "SkipNodeUpdate": True,
        }
        new = {"Node": "check-intruder", "Address": "127.0.0.1"}
        put = {"engine": "consul", "method": "PUT"}
        asked = [
            (who, entry, address)
            for who in ("agent", "service")
            for entry in (content, new)
            for address in ("", server.private_address)
        ]
        tries = [
            put | {"path": "/v1/catalog/register", "body": entry, "who": who, "address": address}
            for who, entry, address in asked
        ]
        gone = put | {"path": "/v1/catalog/deregister"}
        for entry in (
            {"Node": server.name, "ServiceID": "check-intruder"},
            {"Node": "check-intruder"},
        ):
            leave = gone | {"body": {**entry, "Datacenter": site.name}}
            context.undo.callback(partial(calls, context, cleaner.first, leave))
        names = [
            f"{worker.name}'s {who} token for {entry['Node']} at {address or 'its own agent'}"
            for who, entry, address in asked
        ]
        return refusals(names, calls(context, worker, *tries))

    none_of(p for _, found in context.each(context.federation.working, look) for p in found)
    return f"refused in {len(context.federation.working)} datacenters"


def n5_site(context: Context) -> str:
    """A site's own Consul tokens are worth nothing in another datacenter."""
    federation = context.federation

    def look(site: Site) -> list[str]:
        problems = []
        for who in ("agent", "service"):
            others = [s.name for s in federation.sites if s is not site]
            paths = ["/v1/acl/token/self", *[f"/v1/acl/token/self?dc={name}" for name in others]]
            replies = calls(context, site.workers[0], *[get("consul", p, who=who) for p in paths])
            if replies[0]["status"] != 200:  # noqa: PLR2004
                problems.append(f"{site.name}'s {who} token is not valid at home")
            problems += refusals([f"{site.name}'s {who} token in {n}" for n in others], replies[1:])
        return problems

    none_of(p for _, found in context.each(federation.working, look) for p in found)
    return f"tokens of {len(federation.working)} sites are refused in every other datacenter"


def n6_plaintext(context: Context) -> str:
    """Nothing but TLS is answered on any engine's port."""

    def look(site: Site) -> dict[str, str]:
        targets = [
            (host.private_address, port)
            for host in (*site.servers, *site.workers)
            for port in (NOMAD_HTTP, CONSUL_HTTPS, CONSUL_HTTP)
        ]
        targets.append((str(site.vars.fed_control_address), VAULT))
        return context.ask((site.servers)[-1], wire.plaintext, targets)

    seen = [
        item for _, told in context.each(context.federation.sites, look) for item in told.items()
    ]
    none_of(f"{target} {told}" for target, told in seen if not told.startswith("refused"))
    return f"{len(seen)} ports refuse plain HTTP"


def n6_gossip(context: Context) -> str:
    """No machine's name can be read in gossip or server traffic."""
    federation = context.federation
    names = [host.name for host in federation.hosts]
    ports = [*GOSSIP["nomad"], *GOSSIP["consul"], 4647, 8300]

    def listen(site: Site) -> wire.Captured:
        return context.ask(site.first, wire.capture, ports, names, LISTEN_S)

    problems, total = [], 0
    for site, seen in context.each(federation.sites, listen):
        total += sum(seen["packets"].values())
        problems += [f"{name} is readable on {site.first.name}" for name in seen["readable"]]
        silent = [port for port in ("4648", "8302") if not seen["packets"][port]]
        if federation.federated and silent:
            problems.append(f"{site.first.name} saw no packet on {', '.join(silent)}")
    none_of(problems)
    expect(total, "no packet was seen at all")
    return f"{total} packets on {len(federation.sites)} servers, none with a name in clear"
