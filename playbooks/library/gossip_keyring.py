"""Brings the gossip keyrings of Consul or Nomad to the keys they should hold."""

from __future__ import annotations

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.engine_api import API_ARGUMENTS, Api, ApiError, api_from

DOCUMENTATION = r"""
---
module: gossip_keyring
short_description: Gossip keys on every member, one of them in use, no others
description:
  - Installs what is missing, changes the key in use, removes what should not be there, in this
    order, and waits for every member after each step. Running agents are not restarted.
options:
  url: {description: "Consul or Nomad", type: str, required: true}
  token: {description: "A token that may work on the keyring", type: str}
  token_header: {description: "The engine's header", type: str, default: X-Vault-Token}
  ca_cert: {description: "Trust bundle", type: path}
  client_cert: {description: "Client certificate", type: path}
  client_key: {description: "Its key", type: path}
  retry_s: {description: "How long the engine is waited for, in seconds", type: float, default: 30}
  engine: {description: "consul or nomad", type: str, required: true, choices: [consul, nomad]}
  keys: {description: "Keys every member holds", type: list, elements: str, required: true}
  primary: {description: "The one in use", type: str, required: true}
author: [Skerry]
"""

RETURN = r"""
steps: {description: What was done, without the keys, type: list, returned: always}
"""


class Ring:
    """The keyrings of one engine, over its API. Raises ApiError."""

    def __init__(self, api: Api, engine: str) -> None:
        self.api = api
        self.consul = engine == "consul"

    def pools(self) -> list[tuple[dict[str, int], dict[str, int], int]]:
        """Keys with their numbers of holders, keys in use with theirs, and members, by pool.

        Nomad does not say which key is in use (API 1.11): that is known only of a lone key.
        """
        path = "/v1/operator/keyring" if self.consul else "/v1/agent/keyring/list"
        _, answer = self.api.call("GET", path)
        if self.consul:
            return [(pool["Keys"], pool["PrimaryKeys"], pool["NumNodes"]) for pool in answer]
        held = answer["Keys"]
        return [(held, held if len(held) == 1 else {}, answer["NumNodes"])]

    def change(self, verb: str, key: str) -> None:
        """Install, use or remove a key on every member."""
        if self.consul:
            method = {"install": "POST", "use": "PUT", "remove": "DELETE"}[verb]
            self.api.call(method, "/v1/operator/keyring", {"Key": key})
        else:
            self.api.call("POST", f"/v1/agent/keyring/{verb}", {"Key": key})


def settled(ring: Ring, keys: set[str], primary: str | None) -> bool:
    """Say whether every member holds all keys and, if given, uses the primary."""
    return all(
        all(held.get(key) == members for key in keys)
        and (primary is None or used.get(primary) == members)
        for held, used, members in ring.pools()
    )


def wait(ring: Ring, keys: set[str], primary: str | None) -> None:
    """Wait until every member has followed. Raises ApiError after 60 s."""
    deadline = time.monotonic() + 60
    while not settled(ring, keys, primary):
        if time.monotonic() > deadline:
            raise ApiError(
                "some members did not follow within 60 s; see that all of them are alive"
            )
        time.sleep(1)


def converge(ring: Ring, keys: set[str], primary: str, *, check: bool) -> list[str]:
    """Bring the keyrings to `keys` with `primary` in use; the steps that were needed."""
    steps = []
    for key in sorted(keys):
        if not settled(ring, {key}, None):
            steps.append("installed a key")
            if not check:
                ring.change("install", key)
                wait(ring, {key}, None)
    if not settled(ring, set(), primary):
        steps.append("changed the key in use")
        if not check:
            ring.change("use", primary)
            wait(ring, {primary}, primary if ring.consul else None)
    extra = {key for held, _, _ in ring.pools() for key in held} - keys
    for key in sorted(extra):
        steps.append("removed a key")
        if not check:
            ring.change("remove", key)
    return steps


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            **API_ARGUMENTS,
            "engine": {"type": "str", "required": True, "choices": ["consul", "nomad"]},
            "keys": {"type": "list", "elements": "str", "required": True, "no_log": True},
            "primary": {"type": "str", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        steps = converge(
            Ring(api_from(params), params["engine"]),
            set(params["keys"]),
            params["primary"],
            check=module.check_mode,
        )
    except ApiError as error:
        module.fail_json(msg=f"gossip keyring of {params['engine']}: {error}")
    module.exit_json(changed=bool(steps), steps=steps)


if __name__ == "__main__":
    main()
