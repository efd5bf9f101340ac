"""Makes a root token of Vault with its unseal keys, for when nobody else can log in."""

from __future__ import annotations

import base64
import http.client

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.engine_api import Api, ApiError

DOCUMENTATION = r"""
---
module: vault_root_token
short_description: A root token, made with unseal key shares
description:
  - What `vault operator generate-root` does (Vault's API, sys/generate-root). Revoke it after use.
options:
  url: {description: "https://host:port of Vault", type: str, required: true}
  ca_cert: {description: "Trust bundle", type: path}
  retry_s: {description: "How long Vault is waited for, in seconds", type: float, default: 30}
  keys: {description: "Unseal key shares, as many as it takes", type: list, elements: str,
    required: true}
author: [Skerry]
"""

RETURN = r"""
root_token: {description: The token, type: str, returned: always}
"""


def root_token(api: Api, keys: list[str]) -> str:
    """Make a root token with the unseal keys. Raises ApiError."""
    api.call("DELETE", "/v1/sys/generate-root/attempt")
    attempt = api.call("PUT", "/v1/sys/generate-root/attempt", {})[1]
    for key in keys:
        told = api.call(
            "PUT", "/v1/sys/generate-root/update", {"key": key, "nonce": attempt["nonce"]}
        )[1]
        if told["complete"]:
            hidden = base64.b64decode(told["encoded_token"] + "==")
            pad = attempt["otp"].encode()
            return bytes(one ^ other for one, other in zip(hidden, pad, strict=True)).decode()
    raise ApiError("the unseal keys at hand are too few for a root token")


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "ca_cert": {"type": "path"},
            "retry_s": {"type": "float", "default": 30.0},
            "keys": {"type": "list", "elements": "str", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True, root_token="")
    given = module.params
    api = Api(given["url"], ca_cert=given["ca_cert"], retry_s=given["retry_s"])
    try:
        token = root_token(api, given["keys"])
    except (ApiError, OSError, ValueError, http.client.HTTPException) as error:
        module.fail_json(msg=f"no root token was made: {error}")
    module.exit_json(changed=True, root_token=token)


if __name__ == "__main__":
    main()
