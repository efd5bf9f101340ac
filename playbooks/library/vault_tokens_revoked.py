"""Revokes the living tokens that carry one of a list of policies."""

from __future__ import annotations

import http

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.engine_api import API_ARGUMENTS, Api, ApiError, api_from

DOCUMENTATION = r"""
---
module: vault_tokens_revoked
short_description: No living Vault token carries these policies
options:
  url: {description: "Vault", type: str, required: true}
  token: {description: "A token that may list and revoke by accessor", type: str}
  token_header: {description: "X-Vault-Token", type: str, default: X-Vault-Token}
  ca_cert: {description: "Trust bundle", type: path}
  client_cert: {description: "Unused with Vault", type: path}
  client_key: {description: "Unused with Vault", type: path}
  retry_s: {description: "How long Vault is waited for, in seconds", type: float, default: 30}
  policies: {description: "Policies", type: list, elements: str, required: true}
author: [Skerry]
"""

RETURN = r"""
revoked: {description: How many tokens were revoked, type: int, returned: always}
"""


def carriers(api: Api, policies: set[str]) -> list[str]:
    """Accessors of the living tokens that carry one of the policies. Raises ApiError."""
    _, answer = api.call("GET", "/v1/auth/token/accessors?list=true", missing_ok=True)
    found = []
    for accessor in ((answer or {}).get("data") or {}).get("keys", []):
        # A token may end between the list and the look: then it is gone, which is what is wanted.
        status, token = api.once("POST", "/v1/auth/token/lookup-accessor", {"accessor": accessor})
        if status == http.HTTPStatus.OK and policies & set(token["data"]["policies"]):
            found.append(accessor)
    return found


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            **API_ARGUMENTS,
            "policies": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    api = api_from(module.params)
    try:
        found = carriers(api, set(module.params["policies"]))
        for accessor in found:
            if not module.check_mode:
                api.call("POST", "/v1/auth/token/revoke-accessor", {"accessor": accessor})
    except ApiError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(found), revoked=len(found))


if __name__ == "__main__":
    main()
