"""N4, N8, N9: what jobs and communities may not do."""

from __future__ import annotations

from typing import Any

from flows.acceptance.checks.boundaries import FORBIDDEN, refusals
from flows.acceptance.checks.formation import body, calls, get
from flows.acceptance.federation import Site
from flows.acceptance.model import Context, expect, none_of
from flows.acceptance.remote import jobs

START_S = 40.0
OK = 200
Configs = dict[str, dict[str, Any]]


def n4_raw_exec(context: Context) -> str:
    """Jobs with any driver but Docker's are refused when submitted, in every namespace."""
    drivers = ("raw_exec", "exec", "java", "mock_driver")

    def look(site: Site) -> list[str]:
        tries = [(d, name, name) for d in drivers for name in site.communities]
        tries += [(driver, "default", "management") for driver in drivers]
        problems = []
        for driver, namespace, who in tries:
            content = {"Driver": driver, "Config": {"command": "/bin/true"}}
            reply = context.ask(site.first, jobs.rejected, namespace, content, who)
            if reply["status"] == OK or driver not in str(reply["body"]):
                problems.append(f"{site.name}/{namespace} {driver}: {reply}")
        return problems

    none_of(p for _, found in context.each(context.federation.working, look) for p in found)
    return (
        f"{', '.join(drivers)} refused at submission in {len(context.federation.working)} regions"
    )


def _does_not_start(context: Context, purpose: str, bad: Configs) -> str:
    """Bad groups fail to start, each for a reason given, while a plain one beside them runs."""
    configs: Configs = {"plain": {}} | bad

    def look(site: Site) -> list[str]:
        told = context.ask(site.first, jobs.trial, purpose, site.communities[0], configs, START_S)
        problems = []
        if told["plain"]["status"] != "running":
            problems.append(f"{site.name}: a plain container does not run: {told['plain']}")
        problems += [
            f"{site.name}: {key} is {told[key]['status']} {told[key]['said'][-250:]}"
            for key in bad
            if told[key]["status"] != "failed" or not _says_no(told[key]["said"])
        ]
        return problems

    none_of(p for _, found in context.each(context.federation.working, look) for p in found)
    return f"{', '.join(bad)} did not start in {len(context.federation.working)} regions"


def _says_no(said: str) -> bool:
    """Whether a task failed because it was forbidden, not for some other reason."""
    words = ("not allowed", "not permitted", "privileged", "volumes are not enabled", "disabled",
             "authorization denied", "not enabled", "does not allow", "allowlist")  # fmt: skip
    return any(word in said.lower() for word in words)


def n4_privileged(context: Context) -> str:
    """Privileged containers, added capabilities, devices and loosened profiles do not start."""
    return _does_not_start(context, "privileged", {
        "privileged": {"privileged": True},
        "capability": {"cap_add": ["sys_admin"]},
        "device": {"devices": [{"host_path": "/dev/mem", "container_path": "/dev/mem"}]},
        "profile": {"security_opt": ["seccomp=unconfined"]},
    })  # fmt: skip


def n4_binds(context: Context) -> str:
    """A container that asks for a path of the host does not start."""
    bind = {"type": "bind", "source": "/", "target": "/host", "readonly": True}
    return _does_not_start(context, "binds", {
        "volume": {"volumes": ["/:/host"]},
        "mount": {"mount": [bind]},
        "socket": {"volumes": ["/var/run/docker.sock:/docker.sock"]},
    })  # fmt: skip


def n4_namespaces(context: Context) -> str:
    """A container that asks for the host's processes, memory, network or users does not start."""
    return _does_not_start(context, "namespaces", {
        "pid": {"pid_mode": "host"},
        "ipc": {"ipc_mode": "host"},
        "uts": {"uts_mode": "host"},
        "network": {"network_mode": "host"},
        "users": {"userns_mode": "host"},
    })  # fmt: skip


def n8_nomad(context: Context) -> str:
    """Each region has exactly one management token, and Vault holds it."""

    def look(site: Site) -> list[str]:
        listed, mine = calls(
            context, site.first, get("nomad", "/v1/acl/tokens"), get("nomad", "/v1/acl/token/self")
        )
        strong = [t for t in body(listed, site.name) if t["Type"] == "management"]
        own = body(mine, site.name)["AccessorID"]
        others = [token["Name"] for token in strong if token["AccessorID"] != own]
        return [f"{site.name} has another management token: {name}" for name in others]

    none_of(p for _, found in context.each(context.federation.sites, look) for p in found)
    return f"1 in each of {len(context.federation.sites)} regions"


def n8_consul(context: Context) -> str:
    """The federation's Consul has exactly one token with all rights, and Vault holds it."""
    control = context.federation.control

    def look(site: Site) -> list[dict[str, Any]]:
        (reply,) = calls(context, site.first, get("consul", "/v1/acl/tokens"))
        return [t for t in body(reply, site.name) if _all_rights(t)]

    found = context.each(context.federation.sites, look)
    (reply,) = calls(context, control.first, get("consul", "/v1/acl/token/self"))
    known = body(reply, control.name)["AccessorID"]
    none_of(
        f"{site.name}: token {token['Description'] or token['AccessorID']} has all rights"
        for site, tokens in found
        for token in tokens
        if token["AccessorID"] != known
    )
    expect(dict(found)[control], "the token in Vault is not the one with all rights")
    return f"1, the same in {len(found)} datacenters"


def _all_rights(token: dict[str, Any]) -> bool:
    return any(p["Name"] == "global-management" for p in token.get("Policies") or [])


def n9_communities(context: Context) -> str:
    """A community's token cannot submit to, stop, read or change another community."""

    def look(site: Site) -> list[str]:
        problems = []
        for mine, other in _pairs(site.communities):
            here = f"{site.name}: {mine} in {other}"
            reply = context.ask(site.first, jobs.rejected, other, {}, mine)
            problems += refusals([f"{here}: submit"], [reply])
            paths = (f"/v1/jobs?namespace={other}", f"/v1/vars?namespace={other}",
                     f"/v1/allocations?namespace={other}")  # fmt: skip
            replies = calls(context, site.first, *[get("nomad", p, who=mine) for p in paths])
            problems += [
                f"{here}: {path} answered {reply['status']} {reply['body']}"
                for path, reply in zip(paths, replies, strict=True)
                # Lists of what one may not see are refused, or empty.
                if reply["status"] != FORBIDDEN and reply["body"] not in ([], None)
            ]
        return problems

    sites = [site for site in context.federation.working if len(site.communities) > 1]
    expect(sites, "no site serves two communities")
    none_of(p for _, found in context.each(sites, look) for p in found)
    return f"refused both ways in {len(sites)} regions"


def n9_rights(context: Context) -> str:
    """A community's token does what members need and nothing to nodes, tokens or namespaces."""

    def look(site: Site) -> list[str]:
        problems = []
        for mine in site.communities:
            nodes, own, *_ = calls(
                context,
                site.first,
                get("nomad", "/v1/nodes", who=mine),
                get("nomad", f"/v1/jobs?namespace={mine}", who=mine),
            )
            if (nodes["status"], own["status"]) != (OK, OK):
                problems.append(f"{site.name}: {mine} cannot see nodes or its own jobs")
                continue
            node = nodes["body"][0]["ID"]
            tries: list[dict[str, Any]] = [
                get("nomad", "/v1/acl/tokens"),
                get("nomad", "/v1/acl/policy/community-none"),
                _post(f"/v1/node/{node}/eligibility", {"Eligibility": "eligible"}),
                _post(f"/v1/namespace/{mine}", {"Name": mine}),
                _post("/v1/acl/token", {"Name": "check", "Type": "management"}),
                get("nomad", "/v1/operator/raft/configuration"),
                get("nomad", "/v1/operator/snapshot"),
                {
                    "engine": "nomad",
                    "method": "DELETE",
                    "path": f"/v1/job/check-none?purge=true&namespace={mine}",
                },
            ]
            replies = calls(context, site.first, *[{**t, "who": mine} for t in tries])
            problems += refusals([f"{site.name}: {mine} {t['path']}" for t in tries], replies)
        return problems

    none_of(p for _, found in context.each(context.federation.working, look) for p in found)
    return f"refused for all communities of {len(context.federation.working)} regions"


def _post(path: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"engine": "nomad", "method": "POST", "path": path, "body": content}


def n9_region(context: Context) -> str:
    """A region's management and community tokens are worth nothing in another region."""
    federation = context.federation

    def look(site: Site) -> list[str]:
        others = [other.name for other in federation.seen_from(site) if other is not site]
        users = ["management", *site.communities]
        asked = [(who, other) for who in users for other in others]
        replies = calls(context, site.first, *[
            get("nomad", f"/v1/acl/token/self?region={other}", who=who) for who, other in asked
        ])  # fmt: skip
        home = calls(context, site.first, *[
            get("nomad", "/v1/acl/token/self", who=who) for who in users
        ])  # fmt: skip
        problems = refusals([f"{site.name}'s {w} token in {o}" for w, o in asked], replies)
        return problems + refusals(
            [f"{site.name}'s {who} token at home" for who in users], home, OK
        )

    none_of(p for _, found in context.each(federation.sites, look) for p in found)
    return f"tokens of {len(federation.sites)} regions are refused in every other"


def _pairs(names: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(a, b) for a in names for b in names if a != b]
