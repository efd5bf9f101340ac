"""Fills an empty Vault from a snapshot of another one, whose unseal keys are at hand."""

from __future__ import annotations

import http
import http.client
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.engine_api import Api, ApiError

DOCUMENTATION = r"""
---
module: vault_restored
short_description: An empty Vault becomes the one that a snapshot was taken of
description:
  - The empty Vault is initialised with a key that is thrown away, takes the snapshot, and is
    unsealed with the keys of the Vault that the snapshot was taken of.
  - A Vault that is initialised is let alone. A run that was killed leaves the marker behind; empty
    Vault's storage and run it again.
options:
  url: {description: "https://host:port of Vault", type: str, required: true}
  ca_cert: {description: "Trust bundle", type: path}
  retry_s: {description: "How long Vault is waited for, in seconds", type: float, default: 30}
  snapshot: {description: "The snapshot's file on this machine", type: path, required: true}
  keys: {description: "Unseal key shares, as many as it takes", type: list, elements: str,
    required: true}
  marker: {description: "File that stands while Vault holds nothing worth keeping", type: path,
    required: true}
author: [Skerry]
"""

RETURN = ""

ACTIVE_S = 60.0


def state(api: Api) -> dict[str, Any]:
    """Whether Vault is initialised and sealed, and while it is open, its cluster. ApiError."""
    answer: dict[str, Any] = api.call("GET", "/v1/sys/seal-status")[1]
    return answer


def unseal(api: Api, keys: list[str]) -> None:
    """Give key shares until Vault is open. Raises ApiError."""
    for key in keys:
        if not api.call("PUT", "/v1/sys/unseal", {"key": key})[1]["sealed"]:
            return


def serves(api: Api) -> bool:
    """Whether Vault is open and active."""
    return bool(api.once("GET", "/v1/sys/health")[0] == http.HTTPStatus.OK)


def serve(api: Api, keys: list[str], *, other_than: str) -> str:
    """Wait until Vault serves as another cluster, unsealing it meanwhile; the cluster's id.

    Raises ApiError after 60 s.
    """
    deadline = time.monotonic() + ACTIVE_S
    problem = "it is still what it was"
    while time.monotonic() < deadline:
        try:
            now = state(api)
            if now["sealed"]:
                unseal(api, keys)
            elif now.get("cluster_id", other_than) != other_than and serves(api):
                return str(now["cluster_id"])
        except ApiError as error:
            # While it turns to the snapshot it seals itself, and takes no keys for some seconds.
            problem = str(error)
        time.sleep(1)
    raise ApiError(f"Vault does not serve the snapshot within {ACTIVE_S:g} s: {problem}")


def take(api: Api, snapshot: Path, keys: list[str]) -> None:
    """Have an empty Vault take the snapshot. Raises ApiError, OSError."""
    # As many shares as the snapshot's: until its next start Vault goes by the number it had.
    shares = {"secret_shares": len(keys), "secret_threshold": len(keys)}
    made = api.call("PUT", "/v1/sys/init", shares)[1]
    empty = serve(api, made["keys_base64"], other_than="")
    api.headers["X-Vault-Token"] = made["root_token"]
    path = "/v1/sys/storage/raft/snapshot-force"
    status, answer = api.once("POST", path, snapshot.read_bytes())
    del api.headers["X-Vault-Token"]
    if status not in {http.HTTPStatus.OK, http.HTTPStatus.NO_CONTENT}:
        raise ApiError(f"Vault refused the snapshot: {status} {answer}")
    serve(api, keys, other_than=empty)


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "ca_cert": {"type": "path"},
            "retry_s": {"type": "float", "default": 30.0},
            "snapshot": {"type": "path", "required": True},
            "keys": {"type": "list", "elements": "str", "required": True, "no_log": True},
            "marker": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    api = Api(given["url"], ca_cert=given["ca_cert"], retry_s=given["retry_s"])
    try:
        if state(api)["initialized"] or module.check_mode:
            module.exit_json(changed=False)
        Path(given["marker"]).touch(mode=0o600)
        take(api, Path(given["snapshot"]), given["keys"])
    except (ApiError, OSError, KeyError, ValueError, http.client.HTTPException) as error:
        module.fail_json(msg=f"Vault was not restored: {error}; run the same command again")
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
