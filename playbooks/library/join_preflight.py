"""Names everything that would make a join fail, before anything is changed."""

from __future__ import annotations

import email.utils
import hashlib
import http
import http.client
import json
import socket
import ssl
import subprocess
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: join_preflight
short_description: What stands in the way of a join, all of it at once
description:
  - Checks the site's name, this machine's addresses, the control site's ports, the clock and the
    join token. The token is looked up, not used. Changes nothing.
options:
  site: {description: "The site that joins", type: str, required: true}
  control_site: {description: "The control site's name", type: str, required: true}
  control_address: {description: "Wide-area address of the control site", type: str, required: true}
  addresses: {description: "Addresses this machine must have", type: list, elements: str,
    required: true}
  ca_sha256: {description: "SHA-256 of the federation's root certificate (DER), hex", type: str,
    required: true}
  join_token: {description: "The single-use join token; empty if the site has joined", type: str,
    required: true}
  first: {description: "Whether this is the server that uses the token", type: bool, required: true}
  federated: {description: "Whether gossip crosses sites", type: bool, required: true}
  max_skew_s: {description: "Clock difference that is still fine, in seconds", type: float,
    default: 30}
  credential_file: {description: "Where a site that has joined keeps its credential", type: path,
    default: /etc/skerry/site-credential.json}
author: [Skerry]
"""

RETURN = r"""
skew_s: {description: "This clock minus the control site's, in seconds", type: float,
  returned: always}
"""

PORTS = {8200: "Vault", 8300: "Consul servers", 8302: "Consul gossip", 4647: "Nomad servers",
         4648: "Nomad gossip"}  # fmt: skip

# What its health answers while it is sealed, or not initialised.
SEALED = {503, 501}

# A port that refuses datagrams says so within this time.
REFUSAL_S = 0.5


class Vault:
    """The federation's Vault: only looked at until its root is known, trusted by that from then."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.context = ssl._create_unverified_context()  # noqa: S323, SLF001 -- no secret is sent yet

    def trust(self, sha256: str) -> str | None:
        """Trust the root with this fingerprint; a problem in words when Vault shows another."""
        pem = self.fetch("GET", "/v1/pki-root/ca/pem")[1].decode()
        found = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.strip())).hexdigest()
        if found != sha256.lower().replace(":", ""):
            return (
                f"Vault at {self.address}:8200 shows a root certificate with fingerprint {found}, "
                f"expected {sha256}: either this is another federation or somebody stands in "
                "between; the join token was not shown to it"
            )
        self.context = ssl.create_default_context(cadata=pem)
        return None

    def call(self, method: str, path: str, body: object = None) -> tuple[int, dict, str]:
        """Status, decoded answer and Date header of one call. Raises OSError, HTTPException."""
        status, raw, date = self.fetch(method, path, body)
        return status, json.loads(raw or b"{}"), date

    def fetch(self, method: str, path: str, body: object = None) -> tuple[int, bytes, str]:
        """Status, answer and Date header of one call. Raises OSError, HTTPException."""
        connection = http.client.HTTPSConnection(
            self.address, 8200, timeout=10, context=self.context
        )
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, body=payload)
            response = connection.getresponse()
            return response.status, response.read(), response.headers.get("Date", "")
        finally:
            connection.close()


def ports_closed(address: str, ports: dict[int, str]) -> list[str]:
    """Name the ports that cannot be reached, TCP."""
    found = []
    for port, what in ports.items():
        try:
            socket.create_connection((address, port), timeout=4).close()
        except OSError as error:
            found.append(
                f"port {port}/tcp ({what}) of {address} is not reachable: {error}; open it for "
                "this server in both sites' firewalls"
            )
    return found


def gossip_closed(address: str, ports: dict[int, str]) -> list[str]:
    """Name the gossip ports that refuse datagrams; a silent drop cannot be told from silence."""
    found = []
    for port, what in ports.items():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(REFUSAL_S)
            try:
                probe.connect((address, port))
                probe.send(b"\0")
                probe.recv(16)
            except TimeoutError:
                continue
            except OSError as error:
                found.append(f"port {port}/udp ({what}) of {address} refuses datagrams: {error}")
    return found


def token_problem(vault: Vault, token: str, site: str) -> str | None:
    """Say what is wrong with the join token, without using it up."""
    status, answer, _ = vault.call("POST", "/v1/sys/wrapping/lookup", {"token": token})
    if status != http.HTTPStatus.OK:
        return (
            "the join token is not valid: it was used before, it has run out, or it is not this "
            "federation's; ask for a new one (playbooks/admit-site.yml)"
        )
    path = str((answer.get("data") or {}).get("creation_path"))
    if path != f"auth/approle/role/site-{site}/secret-id":
        return (
            f"the join token was made out to {path.split('/')[-2]}, not to site-{site}; use the "
            "one that belongs to this site"
        )
    return None


def own_addresses() -> set[str]:
    """IPv4 addresses of this machine."""
    shown = subprocess.run(
        ["ip", "-j", "-4", "address"], capture_output=True, text=True, check=True, timeout=20
    ).stdout
    return {info["local"] for link in json.loads(shown) for info in link["addr_info"]}


def problems(params: dict) -> tuple[list[str], float]:
    """Everything that stands in the way, and the clock difference in seconds."""
    found, skew = [], 0.0
    if params["site"] == params["control_site"]:
        found.append(f"site name {params['site']}: the control site does not join itself")
    missing = sorted(set(params["addresses"]) - own_addresses())
    if missing:
        found.append(f"this machine does not have the address {', '.join(missing)}")
    address = params["control_address"]
    ports = PORTS if params["federated"] else {8200: PORTS[8200]}
    closed = ports_closed(address, ports)
    found += closed
    if params["federated"]:
        found += gossip_closed(address, {port: PORTS[port] for port in (8302, 4648)})
    if any(problem.startswith("port 8200") for problem in closed):
        return found, skew
    vault = Vault(address)
    try:
        status, _, date = vault.call("GET", "/v1/sys/health")
        skew = time.time() - email.utils.parsedate_to_datetime(date).timestamp()
        if abs(skew) > params["max_skew_s"]:
            found.append(
                f"this machine's clock differs from the control site's by {skew:.0f} s (at most "
                f"{params['max_skew_s']:.0f} s); set up time synchronisation"
            )
        if status in SEALED:
            found.append(
                f"Vault at {address}:8200 is sealed, as it is after its machine was restarted; "
                "have the control site run playbooks/deploy-site.yml, which unseals it"
            )
            return found, skew
        if params["first"] and not Path(params["credential_file"]).is_file():
            problem = (
                vault.trust(params["ca_sha256"])
                or token_problem(vault, params["join_token"], params["site"])
                if params["join_token"]
                else "no join token was given: -e join_token_file=FILE"
            )
            found += [problem] if problem else []
    except (OSError, ValueError, TypeError, http.client.HTTPException) as error:
        found.append(f"Vault at {address}:8200 does not answer as expected: {error}")
    return found, skew


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "str", "required": True},
            "control_site": {"type": "str", "required": True},
            "control_address": {"type": "str", "required": True},
            "addresses": {"type": "list", "elements": "str", "required": True},
            "ca_sha256": {"type": "str", "required": True},
            "join_token": {"type": "str", "required": True, "no_log": True},
            "first": {"type": "bool", "required": True},
            "federated": {"type": "bool", "required": True},
            "max_skew_s": {"type": "float", "default": 30.0},
            "credential_file": {"type": "path", "default": "/etc/skerry/site-credential.json"},
        },
        supports_check_mode=True,
    )
    found, skew = problems(module.params)
    if found:
        module.fail_json(
            msg="this site cannot join yet, nothing was changed:\n- " + "\n- ".join(found),
            skew_s=skew,
        )
    module.exit_json(changed=False, skew_s=skew)


if __name__ == "__main__":
    main()
