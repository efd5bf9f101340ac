"""Marks the servers of a site that is gone as left, in Consul's and Nomad's gossip."""

from __future__ import annotations

import time
import urllib.parse

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.engine_api import Api, ApiError

DOCUMENTATION = r"""
---
module: members_left
short_description: A departed site's servers show as left
description:
  - Servers that said good-bye show as left already. Those that vanished show as failed and are told
    to leave by the others. A server that is alive is not touched and is an error.
options:
  site: {description: "The site that is gone", type: str, required: true}
  consul_token: {description: "Consul's management token; empty skips Consul", type: str,
    default: ""}
  nomad_token: {description: "Nomad's management token; empty skips Nomad", type: str, default: ""}
  timeout_s: {description: "How long living servers are waited for to be gone, in seconds",
    type: int, default: 120}
author: [Skerry]
"""

RETURN = r"""
told: {description: Names of the servers that were told to leave, type: list, returned: always}
"""

LEFT = {3, "left"}
FAILED = {4, "failed"}


def consul_members(api: Api, site: str) -> dict[str, object]:
    """Name to state of the site's servers in the wide-area pool."""
    _, members = api.call("GET", "/v1/agent/members?wan=1")
    return {one["Name"]: one["Status"] for one in members if one["Tags"].get("dc") == site}


def nomad_members(api: Api, site: str) -> dict[str, object]:
    """Name to state of the site's servers in the federation's pool."""
    _, answer = api.call("GET", "/v1/agent/members")
    return {
        one["Name"]: one["Status"] for one in answer["Members"] if one["Tags"].get("region") == site
    }


def settle(api: Api, site: str, engine: str, deadline: float, *, check: bool) -> list[str]:
    """Make the site's servers show as left; the ones that had to be told. Raises ApiError."""
    members = consul_members if engine == "consul" else nomad_members
    told: list[str] = []
    while True:
        state = members(api, site)
        for name in [name for name, status in state.items() if status in FAILED]:
            told.append(name)
            if not check:
                quoted = urllib.parse.quote(name)
                path = (
                    f"/v1/agent/force-leave/{quoted}?wan=1"
                    if engine == "consul"
                    else f"/v1/agent/force-leave?node={quoted}"
                )
                api.call("PUT", path)
        left = all(status in LEFT for status in members(api, site).values())
        if left or check:
            return sorted(set(told))
        if time.monotonic() > deadline:
            raise ApiError(
                f"{engine}: servers of {site} are still there: {members(api, site)}; stop them "
                "(playbooks/leave-federation.yml on the site) and run this again"
            )
        time.sleep(2)


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "str", "required": True},
            "consul_token": {"type": "str", "default": "", "no_log": True},
            "nomad_token": {"type": "str", "default": "", "no_log": True},
            "timeout_s": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    params = module.params
    consul = Api(
        "unix:///run/consul/http.sock",
        token=params["consul_token"],
        token_header="X-Consul-Token",  # noqa: S106 -- the name of a header
    )
    nomad = Api(
        "https://127.0.0.1:4646",
        token=params["nomad_token"],
        token_header="X-Nomad-Token",  # noqa: S106 -- the name of a header
        ca_cert="/etc/skerry/pki/ca.pem",
        client_cert="/etc/skerry/operator/cert.pem",
        client_key="/etc/skerry/operator/key.pem",
    )
    deadline = time.monotonic() + params["timeout_s"]
    told: list[str] = []
    try:
        for engine, api in (("consul", consul), ("nomad", nomad)):
            if params[f"{engine}_token"]:
                told += settle(api, params["site"], engine, deadline, check=module.check_mode)
    except ApiError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(told), told=told)


if __name__ == "__main__":
    main()
