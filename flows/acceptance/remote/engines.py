"""Calls Nomad, Consul and Vault from one of their machines, with the credentials found there."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import quote

CA = "/etc/skerry/pki/ca.pem"
CALL_S = 15.0
CERTIFICATES = {
    "operator": ("/etc/skerry/operator/cert.pem", "/etc/skerry/operator/key.pem"),
    "nomad": ("/etc/nomad.d/tls/cert.pem", "/etc/nomad.d/tls/key.pem"),
    "consul": ("/etc/consul.d/tls/cert.pem", "/etc/consul.d/tls/key.pem"),
    "none": ("", ""),
}
NOT_REACHED = 0


class Reply(TypedDict):
    """An answer; status 0 means that there was none and `body` says why."""

    status: int
    body: Any


class _UnixConnection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect("/run/consul/http.sock")


facts: dict[str, str] = {}
"""site, host, control_site, control_address; set before any call.

A function may set nomad_address (which server to ask) and vault_timeout_s for the calls it makes.
"""

_cache: dict[str, Any] = {}


def tls_context(cert: str, *, check_hostname: bool = True) -> ssl.SSLContext:
    """Trust the federation's root; show one of CERTIFICATES, or none."""
    context = ssl.create_default_context(cafile=CA)
    context.check_hostname = check_hostname
    file, key = CERTIFICATES[cert]
    if file:
        context.load_cert_chain(file, key)
    return context


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """Make one HTTP call and never raise for an answer or the lack of one."""
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, body=payload, headers=headers or {})
        response = connection.getresponse()
        raw, status = response.read(), response.status
    except (OSError, http.client.HTTPException) as error:
        return {"status": NOT_REACHED, "body": f"{type(error).__name__}: {error}"}
    finally:
        connection.close()
    try:
        return {"status": status, "body": json.loads(raw) if raw else None}
    except ValueError:
        return {"status": status, "body": raw.decode(errors="replace").strip()}


def nomad(
    method: str,
    path: str,
    body: Any = None,
    *,
    who: str = "management",
    cert: str = "operator",
    address: str = "",
) -> Reply:
    """Call the Nomad API; `who` is management, none, or a community's name."""
    connection = http.client.HTTPSConnection(
        address or facts.get("nomad_address", "127.0.0.1"),
        4646,
        timeout=CALL_S,
        context=tls_context(cert),
    )
    headers = {} if who == "none" else {"X-Nomad-Token": nomad_token(who)}
    return exchange(connection, method, path, body, headers)


def consul(
    method: str, path: str, body: Any = None, *, who: str = "management", address: str = ""
) -> Reply:
    """Call this machine's Consul agent, or with its certificate the server at an address.

    `who` is management, agent, service, none, or a token.
    """
    headers = {} if who == "none" else {"X-Consul-Token": consul_token(who)}
    connection: http.client.HTTPConnection = _UnixConnection("localhost", timeout=CALL_S)
    if address:
        connection = http.client.HTTPSConnection(
            address, 8501, timeout=CALL_S, context=tls_context("consul")
        )
    return exchange(connection, method, path, body, headers)


def vault(method: str, path: str, body: Any = None, *, who: str = "site") -> Reply:
    """Call the federation's Vault; `who`: site, operator (control site only), none, or a token."""
    return vault_at(facts["control_address"], method, path, body, who=who)


def vault_at(
    address: str, method: str, path: str, body: Any = None, *, who: str = "site", name: str = ""
) -> Reply:
    """Call Vault at an address; `name` is what its certificate must say when not the address."""
    connection = http.client.HTTPSConnection(
        address,
        8200,
        timeout=float(facts.get("vault_timeout_s", CALL_S)),
        context=tls_context("none", check_hostname=not name),
    )
    headers = {} if who == "none" else {"X-Vault-Token": vault_token(who)}
    return exchange(connection, method, path, body, headers)


def must(reply: Reply, what: str) -> Any:
    """The body of a good answer; raises RuntimeError naming `what` otherwise."""
    if not 200 <= reply["status"] < 300:  # noqa: PLR2004 - HTTP's range of success
        raise RuntimeError(f"{what}: {reply['status']} {str(reply['body'])[:300]}")
    return reply["body"]


def vault_token(who: str) -> str:
    """Log in with a credential of this machine, once per call; anything else is a token."""
    files = {"site": "site-credential.json", "operator": "vault-operator.json"}
    if who not in files:
        return who
    if f"vault/{who}" not in _cache:
        credential = json.loads((Path("/etc/skerry") / files[who]).read_text())
        reply = vault("POST", "/v1/auth/approle/login", credential, who="none")
        _cache[f"vault/{who}"] = must(reply, f"Vault login as {who}")["auth"]["client_token"]
    return str(_cache[f"vault/{who}"])


def secrets(path: str, *, who: str = "site") -> dict[str, Any]:
    """Read one KV document; stays on this machine."""
    if path not in _cache:
        reply = vault("GET", f"/v1/kv/data/{path}", who=who)
        _cache[path] = must(reply, f"Vault secret {path}")["data"]["data"]
    found: dict[str, Any] = _cache[path]
    return found


def nomad_token(who: str) -> str:
    """The secret of the region's management token or of a community's token."""
    site = facts["site"]
    if who == "management":
        return str(secrets(f"sites/{site}/engines")["nomad_management"])
    return str(secrets(f"sites/{site}/communities")[f"community-{who}"])


def consul_token(who: str) -> str:
    """The secret of a Consul token: from Vault, or from what this machine's agents use."""
    if who == "management":
        site = facts["site"]
        if site == facts["control_site"]:
            return str(secrets(f"sites/{site}/engines")["consul_management"])
        shared = vault("GET", f"/v1/kv/data/sites/{site}/admission")
        if shared["status"] == http.HTTPStatus.OK:
            return str(shared["body"]["data"]["data"]["consul_replication"]["secret"])
        return str(secrets(f"sites/{site}/engines")["consul_management"])
    if who == "agent":
        return str(read_json("/etc/consul.d/consul.json")["acl"]["tokens"]["agent"])
    if who == "service":
        return str(read_json("/etc/nomad.d/nomad.json")["consul"]["token"])
    return who


def read_json(path: str) -> dict[str, Any]:
    """Read a configuration file."""
    content: dict[str, Any] = json.loads(Path(path).read_text())
    return content


def several(calls: list[dict[str, Any]]) -> list[Reply]:
    """Make several calls; each is {"engine": nomad|consul|vault, and its arguments}."""
    engines: dict[str, Callable[..., Reply]] = {"nomad": nomad, "consul": consul, "vault": vault}
    return [engines[call.pop("engine")](**call) for call in calls]


def wait_for(condition: Callable[[], Any], timeout_s: float, *, pause_s: float = 0.25) -> Any:
    """Poll until the condition gives something true; its last value when time is up."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(pause_s)
    return value


def consul_sees_token(accessor: str, timeout_s: float) -> float | None:
    """Seconds until this datacenter knows a token, or None."""
    started = time.monotonic()

    def known() -> bool:
        return consul("GET", f"/v1/acl/token/{quote(accessor)}")["status"] == http.HTTPStatus.OK

    return time.monotonic() - started if wait_for(known, timeout_s) else None


def secret_digests(salt: str) -> list[str]:
    """Salted digests of every secret in Vault's KV store; for the control site's first server.

    A file elsewhere can be searched for secrets with them, without the secrets leaving this host.
    """
    found = set()
    for path in _kv_paths(""):
        for value in _leaves(secrets(path, who="operator")):
            found.add(hmac.new(salt.encode(), value.encode(), hashlib.sha256).hexdigest())
    return sorted(found)


def _kv_paths(folder: str) -> Iterator[str]:
    reply = vault("GET", f"/v1/kv/metadata/{folder}?list=true", who="operator")
    if reply["status"] != http.HTTPStatus.OK:
        return
    for key in reply["body"]["data"]["keys"]:
        if key.endswith("/"):
            yield from _kv_paths(folder + key)
        elif not folder.startswith("workloads/") and folder + key != "federation/sites":
            yield folder + key


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            # An accessor names a token and is no secret.
            if key != "accessor":
                yield from _leaves(inner)
    elif isinstance(value, str):
        yield value


def autopilot(wanted_tolerance: int, timeout_s: float, healthy: bool = True) -> dict[str, Any]:
    """The region's health, polled until it has that health and tolerance or time is up."""
    health: dict[str, Any] = {}

    def fit() -> bool:
        reply = nomad("GET", "/v1/operator/autopilot/health")
        if isinstance(reply["body"], dict):
            health.update(reply["body"])
        return (health.get("Healthy"), health.get("FailureTolerance")) == (
            healthy,
            wanted_tolerance,
        )

    wait_for(fit, timeout_s, pause_s=0.5)
    return health


def region_alive(region: str, timeout_s: float) -> bool:
    """Whether this server sees all servers of a region alive before time is up."""

    def alive() -> bool:
        reply = nomad("GET", "/v1/agent/members")
        if reply["status"] != http.HTTPStatus.OK:
            return False
        states = [m["Status"] for m in reply["body"]["Members"] if m["Tags"]["region"] == region]
        return bool(states) and set(states) == {"alive"}

    return bool(wait_for(alive, timeout_s))
