"""Fetches the federation's root certificate, known by its fingerprint."""

from __future__ import annotations

import hashlib
import http.client
import ssl
import urllib.parse
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: site_root
short_description: The federation's root certificate, pinned by fingerprint
description:
  - The server that hands the certificate out is not trusted; the fingerprint is what counts.
options:
  url: {description: "Where the certificate is had in PEM", type: str, required: true}
  sha256: {description: "SHA-256 of the certificate in DER, hex", type: str, required: true}
  dest: {description: "Where it is kept", type: path, required: true}
author: [Skerry]
"""

RETURN = r"""
pem: {description: The certificate, type: str, returned: always}
"""


def fingerprint(pem: str) -> str:
    """SHA-256 over the DER form, hex. Raises ValueError when it is not a certificate."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.strip())).hexdigest()


def known(dest: Path, expected: str) -> bool:
    """Say whether the certificate is there already; what a killed run left half-written is not."""
    try:
        return fingerprint(dest.read_text()) == expected
    except (OSError, ValueError):
        return False


def fetch(url: str) -> str:
    """Read the certificate over TLS without verification. Raises OSError, HTTPException."""
    parts = urllib.parse.urlsplit(url)
    context = ssl._create_unverified_context()  # noqa: S323, SLF001 -- the fingerprint decides
    connection = http.client.HTTPSConnection(
        parts.hostname or "", parts.port, timeout=20, context=context
    )
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "sha256": {"type": "str", "required": True},
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    dest, expected = Path(module.params["dest"]), module.params["sha256"].lower().replace(":", "")
    if known(dest, expected):
        module.exit_json(changed=False, pem=dest.read_text())
    try:
        pem = fetch(module.params["url"])
        found = fingerprint(pem)
    except (OSError, ValueError, http.client.HTTPException) as error:
        module.fail_json(
            msg=f"the federation's root certificate could not be read from {module.params['url']}: "
            f"{error}; check that the control site's port 8200 is reachable from this server"
        )
    if found != expected:
        module.fail_json(
            msg=f"{module.params['url']} shows a root certificate with fingerprint {found}, "
            f"expected {expected}: either this is another federation or somebody stands in between"
        )
    if not module.check_mode:
        dest.parent.mkdir(parents=True, exist_ok=True)
        staged = dest.with_name(f".{dest.name}.skerry-new")
        staged.write_text(pem.strip() + "\n")
        staged.chmod(0o644)
        staged.replace(dest)
    module.exit_json(changed=True, pem=pem.strip() + "\n")


if __name__ == "__main__":
    main()
