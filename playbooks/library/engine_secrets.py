"""Keeps generated secrets in Vault: what is missing is made, what is there is left alone."""

from __future__ import annotations

import base64
import secrets
import uuid
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.engine_api import API_ARGUMENTS, Api, ApiError, api_from

DOCUMENTATION = r"""
---
module: engine_secrets
short_description: Generated secrets in one key-value path of Vault
description:
  - Reads a KV v2 path, makes the secrets that are missing and writes them back with check-and-set,
    so that two runs at once cannot lose each other's values.
  - Nothing that exists is ever changed. Returns all values, for tasks marked no_log.
options:
  url: {description: "Vault", type: str, required: true}
  token: {description: "Vault's token", type: str}
  token_header: {description: "Header that carries the token", type: str, default: X-Vault-Token}
  ca_cert: {description: "Trust bundle for Vault's certificate", type: path}
  client_cert: {description: "Unused with Vault", type: path}
  client_key: {description: "Unused with Vault", type: path}
  retry_s: {description: "How long an unreachable Vault is waited for, in seconds", type: float,
    default: 30}
  path: {description: "KV v2 data path, for example /v1/kv/data/sites/SITE/engines", type: str,
    required: true}
  want:
    description: Name to kind; kind is uuid, key32 (32 random bytes, base64) or pair (two UUIDs)
    type: dict
    required: true
author: [Skerry]
"""

RETURN = r"""
values: {description: Name to value, type: dict, returned: always}
"""

KINDS = {
    "uuid": lambda: str(uuid.uuid4()),
    "key32": lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
    "pair": lambda: {"accessor": str(uuid.uuid4()), "secret": str(uuid.uuid4())},
}


def ensure(
    api: Api, path: str, want: dict[str, str], *, check: bool
) -> tuple[dict[str, Any], bool]:
    """Return all values at `path` and whether some had to be made. Raises ApiError."""
    _, answer = api.call("GET", path, missing_ok=True)
    data = ((answer or {}).get("data") or {}) if isinstance(answer, dict) else {}
    values = dict(data.get("data") or {})
    missing = [name for name in want if name not in values]
    if not missing:
        return values, False
    values.update({name: KINDS[want[name]]() for name in missing})
    if not check:
        version = (data.get("metadata") or {}).get("version", 0)
        api.call("POST", path, {"data": values, "options": {"cas": version}})
    return values, True


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            **API_ARGUMENTS,
            "path": {"type": "str", "required": True},
            "want": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    unknown = sorted(set(module.params["want"].values()) - KINDS.keys())
    if unknown:
        module.fail_json(msg=f"want: unknown kinds {unknown}; known are {sorted(KINDS)}")
    try:
        values, changed = ensure(
            api_from(module.params),
            module.params["path"],
            module.params["want"],
            check=module.check_mode,
        )
    except ApiError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, values=values)


if __name__ == "__main__":
    main()
