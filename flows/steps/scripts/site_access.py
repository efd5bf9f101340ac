"""Runs as root on a site's first server: what the site's operator needs to use its engines."""  # noqa: INP001

import http.client
import json
import pathlib
import ssl
import sys
from typing import Any

# The caller sets it above this text.
request = json.loads(globals()["REQUEST"])
site, server = request["site"], request["server"]
context = ssl.create_default_context(cafile="/etc/skerry/pki/ca.pem")


def vault(method: str, path: str, token: str = "", body: object = None) -> dict[str, Any]:
    """One call; nothing when there is no such thing, the end when Vault refuses."""
    connection = http.client.HTTPSConnection(
        request["vault_address"], 8200, timeout=20, context=context
    )
    headers = {"X-Vault-Token": token} if token else {}
    connection.request(
        method, path, body=None if body is None else json.dumps(body), headers=headers
    )
    response = connection.getresponse()
    answer: dict[str, Any] = json.loads(response.read() or b"{}")
    if response.status == http.HTTPStatus.NOT_FOUND:
        return {}
    if response.status != http.HTTPStatus.OK:
        sys.exit(f"Vault answered {response.status} to {method} {path}: {answer}")
    return answer


def secrets(name: str, token: str) -> dict[str, Any]:
    """What lies under one path of the site's."""
    found = vault("GET", f"/v1/kv/data/sites/{site}/{name}", token)
    values: dict[str, Any] = (found.get("data") or {}).get("data") or {}
    return values


credential = json.loads(pathlib.Path("/etc/skerry/site-credential.json").read_text())
login = vault("POST", "/v1/auth/approle/login", body=credential)["auth"]["client_token"]
engines, communities = secrets("engines", login), secrets("communities", login)
answer = {
    "ca": pathlib.Path("/etc/skerry/pki/ca.pem").read_text(),
    "certificate": pathlib.Path("/etc/skerry/operator/cert.pem").read_text(),
    "key": pathlib.Path("/etc/skerry/operator/key.pem").read_text(),
    "nomad_token": engines["nomad_management"],
    # Sees every node, agent and service of the datacenter, and changes nothing but one service.
    "consul_token": engines[f"service/{server}"]["secret"],
    "communities": {name.removeprefix("community-"): value for name, value in communities.items()},
}
sys.stdout.write(json.dumps(answer))
