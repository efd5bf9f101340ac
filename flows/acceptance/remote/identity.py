"""W6: what the identity that a job gets can read, with the token it was given on its worker."""

from __future__ import annotations

import http
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import quote, urlsplit

from flows.acceptance.remote import engines, jobs
from flows.acceptance.remote.engines import must, nomad, read_json, vault, vault_at

ALLOCATIONS = Path("/var/lib/nomad/alloc")
TASK = "reader"


class Rights(TypedDict):
    """What a job's token can do: HTTP status per path, seconds it lives, its policies."""

    reads: dict[str, int]
    writes: dict[str, int]
    ttl: int
    renewable: bool
    policies: list[str]


def store(paths: list[str], value: str) -> None:
    """Write a value, which is no secret, to KV paths; for the control site's first server."""
    for path in paths:
        content = {"data": {"probe": value}}
        must(vault("POST", f"/v1/kv/data/{path}", content, who="operator"), path)


def forget(paths: list[str]) -> None:
    """Remove KV paths with all their versions; for the control site's first server."""
    for path in paths:
        vault("DELETE", f"/v1/kv/metadata/{path}", who="operator")


def start(job_id: str, namespace: str, timeout_s: float) -> dict[str, str]:
    """Run a job that renders its own secret into a file; the caller purges it.

    Gives allocation, node, status and `rendered`, the content of that file.
    """
    site = engines.facts["site"]
    own = f"kv/data/workloads/{site}/{namespace}/{job_id}"
    template = {
        "EmbeddedTmpl": f'{{{{ with secret "{own}" }}}}{{{{ .Data.data.probe }}}}{{{{ end }}}}',
        "DestPath": "local/probe",
        "ChangeMode": "noop",
    }
    task = jobs.group(TASK, Vault={"ChangeMode": "noop"}, Templates=[template])
    reply = jobs.submit(jobs.job(job_id, namespace, [task]), who=namespace)
    if reply["status"] != http.HTTPStatus.OK:
        return {"status": f"rejected: {str(reply['body'])[:300]}", "rendered": ""}
    found = jobs.settled(job_id, namespace, 1, timeout_s)
    if not found or found[0]["ClientStatus"] != "running":
        said = jobs.events(found[0]) if found else "not placed"
        return {"status": said[-400:], "rendered": ""}
    allocation = found[0]["ID"]
    path = (
        f"/v1/client/fs/cat/{allocation}?path={quote(f'{TASK}/local/probe')}&namespace={namespace}"
    )
    shown = nomad("GET", path, who=namespace)
    return {
        "status": "running",
        "allocation": allocation,
        "node": found[0]["NodeName"],
        "rendered": str(shown["body"]),
    }


def rights(allocation: str, reads: list[str], writes: list[str]) -> Rights:
    """Use the token of a running job where the job does; for the worker that runs it."""
    token = (ALLOCATIONS / allocation / TASK / "secrets" / "vault_token").read_text().strip()
    address = urlsplit(read_json("/etc/nomad.d/nomad.json")["vault"]["address"]).hostname or ""

    def call(method: str, path: str, body: Any = None) -> engines.Reply:
        return vault_at(address, method, f"/v1/{path}", body, who=token, name="vault")

    own = must(call("GET", "auth/token/lookup-self"), "lookup of the job's token")["data"]
    content = {"data": {"probe": "changed"}}
    return {
        "reads": {path: call("GET", path)["status"] for path in reads},
        "writes": {path: call("POST", path, content)["status"] for path in writes},
        "ttl": int(own["ttl"]),
        "renewable": bool(own["renewable"]),
        "policies": sorted(own["policies"]),
    }
