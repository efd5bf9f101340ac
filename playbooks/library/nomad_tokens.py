"""Keeps exactly one client token a policy, named after it, and returns the secrets."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.engine_api import API_ARGUMENTS, Api, ApiError, api_from

DOCUMENTATION = r"""
---
module: nomad_tokens
short_description: One Nomad client token for each of a list of policies
description:
  - Nomad chooses a token's secret itself, so the token is found again by its name. A token that a
    killed run left behind is taken up, a second one of the same name is deleted.
options:
  url: {description: "Nomad", type: str, required: true}
  token: {description: "A management token", type: str}
  token_header: {description: "X-Nomad-Token", type: str, default: X-Vault-Token}
  ca_cert: {description: "Trust bundle", type: path}
  client_cert: {description: "Client certificate", type: path}
  client_key: {description: "Its key", type: path}
  retry_s: {description: "How long Nomad is waited for, in seconds", type: float, default: 30}
  policies: {description: "Policies, which are also the tokens' names", type: list, elements: str,
    required: true}
author: [Skerry]
"""

RETURN = r"""
tokens: {description: Name of the policy to secret, type: dict, returned: always}
"""


def ensure(api: Api, policy: str, known: list[dict], *, check: bool) -> tuple[str, bool]:
    """Return the secret of the one token named after a policy, and whether something changed."""
    mine = sorted(
        (one for one in known if one["Name"] == policy), key=lambda one: one["CreateIndex"]
    )
    for extra in mine[1:]:
        if not check:
            api.call("DELETE", f"/v1/acl/token/{extra['AccessorID']}")
    if mine:
        _, token = api.call("GET", f"/v1/acl/token/{mine[0]['AccessorID']}")
        return token["SecretID"], len(mine) > 1
    if check:
        return "", True
    body = {"Name": policy, "Type": "client", "Policies": [policy], "Global": False}
    _, token = api.call("POST", "/v1/acl/token", body)
    return token["SecretID"], True


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            **API_ARGUMENTS,
            "policies": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    api, tokens, changed = api_from(module.params), {}, False
    try:
        _, known = api.call("GET", "/v1/acl/tokens")
        for policy in module.params["policies"]:
            tokens[policy], made = ensure(api, policy, known or [], check=module.check_mode)
            changed |= made
    except ApiError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, tokens=tokens)


if __name__ == "__main__":
    main()
