"""A Nomad client that nobody invited: started beside a server, in its own folder, then removed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TypedDict

from flows.acceptance.remote.engines import facts, must, nomad, vault, wait_for

PORT = 14646
DENIED = ("Permission denied", "permission denied", "not authorized", "introduction")


class Outcome(TypedDict):
    """Whether the servers took the client in, and what it logged of their answer."""

    registered: bool
    denied: bool
    said: str


def knock(introduction: str, seconds: float) -> Outcome:
    """Start a client with a certificate of this site and see whether the region takes it in.

    `introduction`: none, `other` (a token made out to another name) or `right`. The client's node,
    if there is one, is removed from the region. At most `seconds` s are given to it.
    """
    name = f"check-{secrets_hex()}"
    folder = Path(tempfile.mkdtemp(prefix="skerry-check-"))
    process = None
    try:
        folder.chmod(0o711)
        _prepare(folder, name, introduction)
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                ["/usr/local/bin/nomad", "agent", f"-config={folder}/nomad.json"],
                stdout=log,
                stderr=subprocess.STDOUT,
                user="nobody",
                group="nogroup",
                extra_groups=[],
                env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
            )
        return _outcome(folder, name, seconds)
    finally:
        if process is not None:
            process.kill()
            process.wait()
        for node in must(nomad("GET", "/v1/nodes"), "nodes"):
            if node["Name"] == name:
                nomad("POST", f"/v1/node/{node['ID']}/purge")
        shutil.rmtree(folder, ignore_errors=True)


def secrets_hex() -> str:
    """A few characters that no other run uses."""
    return os.urandom(3).hex()


def _outcome(folder: Path, name: str, seconds: float) -> Outcome:
    deadline = time.monotonic() + seconds

    def decided() -> str:
        log = (folder / "log").read_text(errors="replace")
        if any(node["Name"] == name for node in must(nomad("GET", "/v1/nodes"), "nodes")):
            return "registered"
        refused = [
            line
            for line in log.splitlines()
            if "register" in line and any(word in line for word in DENIED)
        ]
        return refused[-1] if refused else ""

    verdict = str(wait_for(decided, deadline - time.monotonic(), pause_s=0.5))
    if not verdict:
        tail = (folder / "log").read_text(errors="replace").splitlines()[-3:]
        return {"registered": False, "denied": False, "said": " | ".join(tail)[-400:]}
    # A refusal must last: the client asks again.
    registered = verdict == "registered"
    return {"registered": registered, "denied": not registered, "said": verdict[-300:]}


def _prepare(folder: Path, name: str, introduction: str) -> None:
    data = folder / "data"
    (data / "client").mkdir(parents=True)
    certificate, key = leaf(folder, "nomad-client", f"client.{facts['site']}.nomad")
    configuration = {
        "name": name,
        "region": facts["site"],
        "datacenter": facts["site"],
        "data_dir": str(data),
        "bind_addr": "127.0.0.1",
        "advertise": {"http": "127.0.0.1", "rpc": "127.0.0.1", "serf": "127.0.0.1"},
        "ports": {"http": PORT},
        "disable_update_check": True,
        "acl": {"enabled": True},
        "consul": {"server_auto_join": False, "client_auto_join": False, "auto_advertise": False},
        "tls": {"http": True, "rpc": True, "ca_file": "/etc/skerry/pki/ca.pem",
                "cert_file": certificate, "key_file": key, "verify_server_hostname": True},
        "client": {"enabled": True, "servers": ["127.0.0.1:4647"], "options": {
            "driver.allowlist": "none",
            "fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean"}},
    }  # fmt: skip
    (folder / "nomad.json").write_text(json.dumps(configuration))
    if introduction != "none":
        owner = name if introduction == "right" else f"{name}-other"
        body = {"NodeName": owner, "NodePool": "default", "TTL": 300_000_000_000}
        reply = nomad("POST", "/v1/acl/identity/client-introduction-token", body)
        token = data / "client" / "intro_token.jwt"
        token.touch(mode=0o600)
        token.write_text(must(reply, "introduction")["JWT"])
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, "nobody", "nogroup")


def leaf(folder: Path, role: str, name: str) -> tuple[str, str]:
    """Have the site's authority sign a certificate for a key made here; raises RuntimeError."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    request = signing_request(key, name)
    reply = vault("POST", f"/v1/pki-{facts['site']}/sign/{role}", {"csr": request, "ttl": "1h"})
    data = must(reply, f"certificate {name}")["data"]
    certificate.write_text("\n".join([data["certificate"], *data.get("ca_chain", [])]) + "\n")
    return str(certificate), str(key)


def signing_request(key: Path, name: str) -> str:
    """Make a key and a request for a name."""
    argv = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", str(key), "-subj", f"/CN={name}",
            "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1"]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30)
    key.chmod(0o600)
    return done.stdout


def signature(authority: str, role: str, name: str) -> int:
    """Ask a site's authority, with this site's credential, for a certificate; the HTTP status."""
    with tempfile.TemporaryDirectory(prefix="skerry-check-") as folder:
        request = signing_request(Path(folder) / "key.pem", name)
        body = {"csr": request, "common_name": name, "ttl": "1m"}
        return vault("POST", f"/v1/pki-{authority}/sign/{role}", body)["status"]
