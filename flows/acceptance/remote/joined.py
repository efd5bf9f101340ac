"""J: hand-over tokens and the admission of nodes, seen from a site's first server."""

from __future__ import annotations

import datetime as dt
import hashlib
import http.client
import ssl
from pathlib import Path
from typing import Any, TypedDict

from flows.acceptance.remote.engines import (
    CA,
    exchange,
    facts,
    must,
    nomad,
    tls_context,
    vault,
    vault_token,
)
from flows.acceptance.remote.faults import undo_later, undone
from flows.acceptance.remote.machine import run


class Admission(TypedDict):
    """Unix seconds of a node's story, 0 for what did not happen; `said` lists its events."""

    held: float
    let_in: float
    first_work: float
    said: str


def open_twice() -> dict[str, int]:
    """Wrap something harmless as a join token is wrapped, and open it two times."""
    connection = http.client.HTTPSConnection(
        facts["control_address"], 8200, timeout=15, context=tls_context("none")
    )
    headers = {"X-Vault-Token": vault_token("operator"), "X-Vault-Wrap-TTL": "60s"}
    wrapped = exchange(connection, "POST", "/v1/sys/wrapping/wrap", {"probe": "check"}, headers)
    token = must(wrapped, "wrapping")["wrap_info"]["token"]
    tries = [vault("POST", "/v1/sys/wrapping/unwrap", who=token)["status"] for _ in range(2)]
    return {"first": tries[0], "second": tries[1]}


def admissions() -> dict[str, Admission]:
    """Every node's story: when it was held back, let in, and first given work."""
    told: dict[str, Admission] = {}
    for listed in must(nomad("GET", "/v1/nodes"), "nodes"):
        node = must(nomad("GET", f"/v1/node/{listed['ID']}"), listed["Name"])
        work = must(nomad("GET", f"/v1/node/{listed['ID']}/allocations"), "its work") or []
        told[node["Name"]] = {
            "held": _moment(node["Events"], "marked as ineligible"),
            "let_in": _moment(node["Events"], "marked as eligible"),
            "first_work": min((one["CreateTime"] / 1e9 for one in work), default=0.0),
            "said": "; ".join(event["Message"] for event in node["Events"]),
        }
    return told


def _moment(events: list[dict[str, Any]], text: str) -> float:
    for event in events:
        if text in event["Message"]:
            stamp = event["Timestamp"][:19]
            return dt.datetime.fromisoformat(f"{stamp}+00:00").timestamp()
    return 0.0


def _find(name: str) -> dict[str, Any]:
    for node in must(nomad("GET", "/v1/nodes"), "nodes"):
        if node["Name"] == name:
            found: dict[str, Any] = node
            return found
    raise RuntimeError(f"there is no node {name}")


def _meta(node: str, values: dict[str, Any]) -> None:
    path = f"/v1/client/metadata?node_id={node}"
    must(nomad("POST", path, {"NodeID": node, "Meta": values}), "node metadata")


def mark(name: str, admitted: bool) -> None:
    """Make a node look as it does after its admission, or before it."""
    node = _find(name)["ID"]
    word = "eligible" if admitted else "ineligible"
    must(nomad("POST", f"/v1/node/{node}/eligibility", {"Eligibility": word}), "eligibility")
    _meta(node, {"status": "ready" if admitted else None})


def cut(address: str, seconds: int) -> None:
    """Lose this machine's way to an address, for `seconds` at most."""
    mend = f"ip route del blackhole {address}/32"
    undo_later(f"way-to-{address}", seconds, mend)
    done = run(["ip", "route", "add", "blackhole", f"{address}/32"])
    if done["rc"]:
        raise RuntimeError(done["err"].strip())


def mend(address: str) -> None:
    """End `cut`."""
    run(["ip", "route", "del", "blackhole", f"{address}/32"])
    undone(f"way-to-{address}")


def root_digest() -> str:
    """SHA-256 of the federation's root certificate, as this machine has it."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(Path(CA).read_text())).hexdigest()
