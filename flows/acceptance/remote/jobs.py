"""Jobs that checks run: small, named `check-`, stopped by whoever started them."""

from __future__ import annotations

import http
import secrets
from typing import Any
from urllib.parse import quote

from flows.acceptance.remote.engines import Reply, consul, facts, must, nomad, wait_for

IMAGE = "skerry/hello:1"
SECOND = 1_000_000_000
ENDED = ("complete", "failed", "lost")
OVER = ("running", *ENDED)
DECIDED = ("complete", "failed", "canceled")
_SWEEP_S = 20.0


def name(purpose: str) -> str:
    """A job id that no other run uses."""
    return f"check-{purpose}-{secrets.token_hex(3)}"


def group(title: str, config: dict[str, Any] | None = None, **task: Any) -> dict[str, Any]:
    """A task group that serves a page from the demo image; `task` overrides its one task."""
    return {
        "Name": title,
        "Count": 1,
        "EphemeralDisk": {"SizeMB": 20},
        "RestartPolicy": {"Attempts": 0, "Mode": "fail", "Interval": 10 * SECOND, "Delay": SECOND},
        "ReschedulePolicy": {"Attempts": 0, "Unlimited": False},
        "Tasks": [
            {
                "Name": title,
                "Driver": "docker",
                "Config": {"image": IMAGE, "force_pull": False} | (config or {}),
                "Resources": {"CPU": 50, "MemoryMB": 32},
                "LogConfig": {"MaxFiles": 1, "MaxFileSizeMB": 1},
                "KillTimeout": SECOND,
                "KillSignal": "SIGKILL",
            }
            | task
        ],
    }


def job(
    job_id: str, namespace: str, groups: list[dict[str, Any]], node: str = ""
) -> dict[str, Any]:
    """A service job of this site; `node` pins it to one machine."""
    wanted = [{"LTarget": "${meta.status}", "Operand": "=", "RTarget": "ready"}]
    if node:
        wanted.append({"LTarget": "${node.unique.name}", "Operand": "=", "RTarget": node})
    return {
        "ID": job_id,
        "Name": job_id,
        "Type": "service",
        "Namespace": namespace,
        "Region": facts["site"],
        "Datacenters": [facts["site"]],
        "Constraints": wanted,
        "TaskGroups": groups,
    }


def submit(content: dict[str, Any], *, who: str) -> Reply:
    """Register a job; the caller stops it."""
    return nomad("POST", "/v1/jobs", {"Job": content}, who=who)


def stop(job_id: str, namespace: str) -> bool:
    """Stop a job; whether it is stopped or was gone. `sweep` removes it later."""
    reply = nomad("DELETE", f"/v1/job/{quote(job_id)}?namespace={quote(namespace)}")
    return reply["status"] in (http.HTTPStatus.OK, http.HTTPStatus.NOT_FOUND)


def _purged(job_id: str, namespace: str) -> bool:
    """Remove a stopped job if nothing of it is under way; whether it is gone.

    Purged while a plan for it is in flight, a job takes the region's leaders down, each in turn
    (Nomad 1.11.2 and 1.11.3, hashicorp/nomad pull request 27739).
    """
    path = f"/v1/job/{quote(job_id)}"
    about = f"?namespace={quote(namespace)}"
    for what, key, ends in (
        ("evaluations", "Status", DECIDED),
        ("allocations", "ClientStatus", ENDED),
    ):
        listed = must(nomad("GET", f"{path}/{what}{about}"), f"{what} of {job_id}")
        if any(found[key] not in ends for found in listed):
            return False
    reply = nomad("DELETE", f"{path}{about}&purge=true")
    return reply["status"] in (http.HTTPStatus.OK, http.HTTPStatus.NOT_FOUND)


def allocations(job_id: str, namespace: str) -> list[dict[str, Any]]:
    """The newest allocation of each group, as Nomad lists them."""
    path = f"/v1/job/{quote(job_id)}/allocations?namespace={quote(namespace)}"
    newest: dict[str, dict[str, Any]] = {}
    for found in must(nomad("GET", path), f"allocations of {job_id}"):
        known = newest.get(found["TaskGroup"])
        if known is None or found["CreateIndex"] > known["CreateIndex"]:
            newest[found["TaskGroup"]] = found
    return list(newest.values())


def settled(job_id: str, namespace: str, groups: int, timeout_s: float) -> list[dict[str, Any]]:
    """Wait until every group runs or has failed; what there is when time is up."""
    seen: list[dict[str, Any]] = []

    def over() -> bool:
        seen[:] = allocations(job_id, namespace)
        return len(seen) == groups and all(found["ClientStatus"] in OVER for found in seen)

    wait_for(over, timeout_s)
    return seen


def events(allocation: dict[str, Any]) -> str:
    """What happened to an allocation's tasks, in Nomad's words."""
    states = (allocation.get("TaskStates") or {}).values()
    return " | ".join(
        event.get("DisplayMessage") or event["Type"]
        for state in states
        for event in state.get("Events") or []
    )


def trial(
    purpose: str, namespace: str, configs: dict[str, dict[str, Any]], timeout_s: float
) -> dict[str, dict[str, str]]:
    """Run a job of the community with one group per Docker configuration, and stop it.

    For each group: status (running, failed, rejected, not placed) and what Nomad said of it.
    """
    job_id = name(purpose)
    try:
        content = job(job_id, namespace, [group(key, value) for key, value in configs.items()])
        reply = submit(content, who=namespace)
        if reply["status"] != http.HTTPStatus.OK:
            refused = {"status": "rejected", "said": str(reply["body"])[:400]}
            return dict.fromkeys(configs, refused)
        outcome = {key: {"status": "not placed", "said": ""} for key in configs}
        for found in settled(job_id, namespace, len(configs), timeout_s):
            outcome[found["TaskGroup"]] = {
                "status": found["ClientStatus"],
                "said": events(found)[:600],
            }
        return outcome
    finally:
        stop(job_id, namespace)


def rejected(namespace: str, content: dict[str, Any], who: str) -> Reply:
    """Submit what ought to be refused; stopped at once if it was not."""
    content = job(name("refuse"), namespace, [group("task", **content)])
    reply = submit(content, who=who)
    if reply["status"] == http.HTTPStatus.OK:
        stop(content["ID"], namespace)
    return reply


def web_group(job_id: str, host: str) -> dict[str, Any]:
    """A group whose page the site's edge shows under a host name."""
    service = {
        "Name": job_id,
        "PortLabel": "http",
        "Provider": "consul",
        "Tags": [
            "traefik.enable=true",
            f"traefik.http.routers.{job_id}.rule=Host(`{host}`)",
            f"traefik.http.routers.{job_id}.tls=true",
        ],
        "Checks": [
            {"Type": "http", "Path": "/", "Interval": 2 * SECOND, "Timeout": SECOND, "Name": "page"}
        ],
    }
    return group("web", {"ports": ["http"]}) | {
        "Networks": [{"Mode": "host", "DynamicPorts": [{"Label": "http", "To": 8080}]}],
        "Services": [service],
    }


def start_web(
    purpose: str, namespace: str, domain: str, timeout_s: float, node: str = ""
) -> dict[str, str]:
    """Start a page and wait until Consul calls it healthy; the caller stops `job`.

    Gives job, host, and status: running when Consul has it, or what went wrong.
    """
    job_id = name(purpose)
    host = f"{job_id}.{domain}"
    told = {"job": job_id, "host": host, "namespace": namespace}
    reply = submit(job(job_id, namespace, [web_group(job_id, host)], node), who=namespace)
    if reply["status"] != http.HTTPStatus.OK:
        return told | {"status": f"rejected: {str(reply['body'])[:300]}"}

    def healthy() -> bool:
        shown = consul("GET", f"/v1/health/service/{job_id}?passing=true", who="service")
        return shown["status"] == http.HTTPStatus.OK and bool(shown["body"])

    if wait_for(healthy, timeout_s):
        return told | {"status": "running"}
    seen = allocations(job_id, namespace)
    stop(job_id, namespace)
    said = "; ".join(f"{found['ClientStatus']}: {events(found)}" for found in seen)
    return told | {"status": said[:400] or "not placed"}


def sweep() -> int:
    """Remove what checks left in this region: jobs, nodes and policies.

    A job that does not come to rest in time stays, stopped, for the next sweep.
    """
    left = [
        (found["ID"], found["Namespace"])
        for found in must(nomad("GET", "/v1/jobs?namespace=*&prefix=check-"), "jobs")
    ]
    count = len(left)
    for job_id, namespace in left:
        stop(job_id, namespace)

    def over() -> bool:
        left[:] = [one for one in left if not _purged(*one)]
        return not left

    wait_for(over, _SWEEP_S, pause_s=1.0)
    for node in must(nomad("GET", "/v1/nodes"), "nodes"):
        if node["Name"].startswith("check-"):
            nomad("POST", f"/v1/node/{node['ID']}/purge")
    for policy in must(nomad("GET", "/v1/acl/policies?prefix=check-"), "policies"):
        nomad("DELETE", f"/v1/acl/policy/{policy['Name']}")
    return count


def pinned(purpose: str, namespace: str, node: str, timeout_s: float) -> str:
    """Run a plain job of a community on one node and stop it: `running`, or what went wrong."""
    job_id = name(purpose)
    try:
        reply = submit(job(job_id, namespace, [group("task")], node), who=namespace)
        if reply["status"] != http.HTTPStatus.OK:
            return f"rejected: {str(reply['body'])[:300]}"
        found = settled(job_id, namespace, 1, timeout_s)
        if not found:
            return "not placed"
        status = str(found[0]["ClientStatus"])
        return status if status == "running" else f"{status}: {events(found[0])[-300:]}"
    finally:
        stop(job_id, namespace)
