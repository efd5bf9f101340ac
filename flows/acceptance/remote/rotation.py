"""R: keys and certificates as they are in use, told by salted digests."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

from flows.acceptance.remote.engines import (
    CERTIFICATES,
    Reply,
    consul,
    facts,
    must,
    nomad,
    read_json,
    secrets,
)
from flows.acceptance.remote.machine import run
from flows.acceptance.remote.wire import shown_certificate


class Ring(TypedDict):
    """One gossip pool: its members, and by digest of each key how many have it."""

    pool: str
    nodes: int
    keys: dict[str, int]


class Leaf(TypedDict):
    """A certificate file: digest, seconds it lives in all and still has."""

    digest: str
    lifetime_s: int
    left_s: int


_PATIENCE_S = 20.0


def _digest(salt: str, key: str) -> str:
    return hmac.new(salt.encode(), key.encode(), hashlib.sha256).hexdigest()[:16]


def rings(salt: str) -> list[Ring]:
    """Gossip pools that this server's management tokens can list."""
    listed = must(_patiently(nomad, "/v1/agent/keyring/list"), "Nomad's keyring")
    found: list[Ring] = [_ring(f"Nomad from {facts['host']}", salt, listed)]
    reply = _patiently(consul, "/v1/operator/keyring")
    # Only the primary datacenter's token may; it answers for every datacenter.
    if facts["site"] == facts["control_site"]:
        for pool in must(reply, "Consul's keyring"):
            kind = "WAN" if pool["WAN"] else f"LAN {pool['Datacenter']}"
            found.append(_ring(f"Consul {kind}", salt, pool))
    return found


def _patiently(engine: Callable[[str, str], Reply], path: str) -> Reply:
    """Ask all members, again while one of them misses the question, which gossip allows."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        reply = engine("GET", path)
        if "nodes reported success" not in str(reply["body"]) or time.monotonic() > deadline:
            return reply
        time.sleep(1)


def _ring(name: str, salt: str, listed: dict[str, Any]) -> Ring:
    keys = {_digest(salt, key): count for key, count in listed["Keys"].items()}
    return {"pool": name, "nodes": listed["NumNodes"], "keys": keys}


def keys_on_disk(salt: str) -> dict[str, str]:
    """Digests of the gossip keys in this machine's configuration and in engines' own keyrings."""
    found = {}
    for engine, folder in (("consul", "/etc/consul.d"), ("nomad", "/etc/nomad.d")):
        for file in sorted(Path(folder).glob("*.json")):
            content = read_json(str(file))
            key = content.get("encrypt")
            if isinstance(content.get("server"), dict):
                key = content["server"].get("encrypt")
            if key:
                found[f"{engine} {file.name}"] = _digest(salt, key)
    for engine, folder in (("consul", "/var/lib/consul/serf"), ("nomad", "/var/lib/nomad/server")):
        for file in sorted(Path(folder).glob("*.keyring")):
            for number, key in enumerate(json.loads(file.read_text())):
                found[f"{engine} {file.name} {number}"] = _digest(salt, key)
    return found


def keys_in_vault(salt: str) -> dict[str, str]:
    """Digests of the gossip keys that the federation shares; for a site's first server."""
    shared = secrets("federation/gossip")
    return {engine: _digest(salt, shared[engine]) for engine in ("consul", "nomad")}


def leaves() -> dict[str, Leaf]:
    """The certificates on this machine, by file."""
    files = [file for file, _ in CERTIFICATES.values() if file]
    files += ["/etc/traefik/tls/cert.pem", "/etc/vault.d/tls/cert.pem"]
    return {file: _leaf(file) for file in files if Path(file).is_file()}


def _leaf(file: str) -> Leaf:
    shown = run(["openssl", "x509", "-in", file, "-noout", "-fingerprint", "-sha256", "-dates"])
    values = dict(line.split("=", 1) for line in shown["out"].splitlines() if "=" in line)
    begin, end, now = (
        int(run(["date", "+%s", "--date", moment])["out"])
        for moment in (values["notBefore"], values["notAfter"], "now")
    )
    fingerprint = next(value for key, value in values.items() if "ingerprint" in key)
    return {
        "digest": fingerprint.replace(":", "").lower(),
        "lifetime_s": end - begin,
        "left_s": end - now,
    }


def shown(ports: list[tuple[str, int]]) -> dict[str, str]:
    """SHA-256 of the certificate that each address and port shows."""
    return {f"{host}:{port}": shown_certificate(host, port) for host, port in ports}


def leaders() -> dict[str, str]:
    """Leader and term of Nomad's and Consul's raft, on a server."""
    told = {"nomad": str(nomad("GET", "/v1/status/leader")["body"])}
    told["consul"] = str(consul("GET", "/v1/status/leader", who="none")["body"])
    told["nomad term"] = _term("nomad", "/v1/agent/self")
    return told


def _term(engine: str, path: str) -> str:
    answer = must(nomad("GET", path), f"{engine} itself")
    return str(answer["stats"]["raft"]["term"])
