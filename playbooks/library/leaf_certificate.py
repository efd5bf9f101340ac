"""Keys that never leave their machine: makes signing requests and installs what came back."""

from __future__ import annotations

import grp
import os
import pwd
import re
import subprocess
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: leaf_certificate
short_description: Requests for, and installation of, short-lived certificates
description:
  - With state=request, finds the leaves that are missing, about to end, signed by another authority
    or made out to other names, makes a fresh key for each and returns the signing requests.
  - With state=installed, puts signed chains in place beside their keys. Key and certificate are
    staged first and renamed last, so an interrupted renewal leaves the old pair in use.
options:
  state: {description: "request or installed", type: str, required: true,
    choices: [request, installed]}
  leaves:
    description: name, cert, key, ca, owner, group, common_name, dns, ips of each leaf
    type: list
    elements: dict
    required: true
  renew_before_s: {description: "Renew when less than this many seconds are left", type: int,
    default: 864000}
  chains: {description: "state=installed: leaf name to PEM chain", type: dict, default: {}}
author: [Skerry]
"""

RETURN = r"""
requests: {description: Leaf name to signing request in PEM, type: dict, returned: state=request}
"""


def openssl(*argv: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run openssl; the caller looks at the return code."""
    return subprocess.run(
        ["openssl", *argv], input=given, capture_output=True, text=True, check=False, timeout=60
    )


def names_of(cert: str) -> set[str]:
    """Subject alternative names of a certificate, as openssl prints them."""
    text = openssl("x509", "-in", cert, "-noout", "-ext", "subjectAltName").stdout
    return set(re.findall(r"(?:DNS|IP Address):([^,\s]+)", text))


def fit(leaf: dict[str, Any], renew_before_s: int) -> bool:
    """Say whether the leaf on disk can stay in use."""
    cert, key = Path(leaf["cert"]), Path(leaf["key"])
    if not (cert.is_file() and key.is_file()):
        return False
    if openssl("x509", "-in", str(cert), "-noout", "-checkend", str(renew_before_s)).returncode:
        return False
    trusted = openssl(
        "verify", "-CAfile", leaf["ca"], "-untrusted", str(cert), str(cert)
    ).returncode
    if trusted != 0 or names_of(str(cert)) != {*leaf["dns"], *leaf["ips"]}:
        return False
    public = openssl("x509", "-in", str(cert), "-noout", "-pubkey").stdout
    return public == openssl("pkey", "-in", str(key), "-pubout").stdout


def request(leaf: dict[str, Any]) -> str:
    """Make a new key beside the one in use and return its signing request. Raises OSError."""
    staged = Path(leaf["key"] + ".new")
    staged.parent.mkdir(parents=True, exist_ok=True)
    alternatives = ",".join(
        [f"DNS:{name}" for name in leaf["dns"]] + [f"IP:{address}" for address in leaf["ips"]]
    )
    made = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as stream:
        stream.write(made.stdout)
    outcome = openssl(
        "req", "-new", "-key", str(staged), "-subj", f"/CN={leaf['common_name']}",
        "-addext", f"subjectAltName={alternatives}",
    )  # fmt: skip
    if outcome.returncode != 0:
        raise OSError(f"openssl req failed: {outcome.stderr.strip()}")
    return outcome.stdout


def install(leaf: dict[str, Any], chain: str) -> None:
    """Put key and chain in place. Raises OSError, KeyError for an unknown owner."""
    uid, gid = pwd.getpwnam(leaf["owner"]).pw_uid, grp.getgrnam(leaf["group"]).gr_gid
    cert, key = Path(leaf["cert"]), Path(leaf["key"])
    staged_cert, staged_key = Path(f"{cert}.new"), Path(f"{key}.new")
    staged_cert.write_text(chain)
    for path, mode in ((staged_cert, 0o644), (staged_key, 0o600)):
        os.chown(path, uid, gid)
        path.chmod(mode)
    # Key first: a service that reads between the two fails to load and keeps its old pair.
    staged_key.replace(key)
    staged_cert.replace(cert)


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["request", "installed"]},
            "leaves": {"type": "list", "elements": "dict", "required": True},
            "renew_before_s": {"type": "int", "default": 864000},
            "chains": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    leaves = {leaf["name"]: leaf for leaf in module.params["leaves"]}
    try:
        if module.params["state"] == "request":
            due = [
                leaf for leaf in leaves.values() if not fit(leaf, module.params["renew_before_s"])
            ]
            requests = {leaf["name"]: "" if module.check_mode else request(leaf) for leaf in due}
            # A request changes nothing that is in use, hence never "changed".
            module.exit_json(changed=False, requests=requests)
        for name, chain in module.params["chains"].items():
            if not module.check_mode:
                install(leaves[name], chain)
    except (OSError, KeyError) as error:
        module.fail_json(msg=f"leaf certificate: {error}")
    module.exit_json(changed=bool(module.params["chains"]))


if __name__ == "__main__":
    main()
