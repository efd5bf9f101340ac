"""Makes objects of Vault, Consul and Nomad be as they are described, and reports honestly."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.engine_api import API_ARGUMENTS, Api, ApiError, api_from

DOCUMENTATION = r"""
---
module: engine_objects
short_description: Desired state for objects behind the JSON APIs of Vault, Consul and Nomad
description:
  - Reads each object, compares what is described with what is there, and writes only on difference.
  - Keys that are not described are left alone. Supports check mode and diff mode.
options:
  url: {description: "https://host:port or unix:///path of the engine", type: str, required: true}
  token: {description: "The engine's token", type: str}
  token_header: {description: "Header that carries the token", type: str, default: X-Vault-Token}
  ca_cert: {description: "Trust bundle for the engine's certificate", type: path}
  client_cert: {description: "Client certificate (mTLS)", type: path}
  client_key: {description: "Key of the client certificate", type: path}
  retry_s: {description: "How long an unreachable engine is waited for, in seconds", type: float,
    default: 30}
  objects:
    description: The objects, made in this order
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: "What the object is, for messages", type: str, required: true}
      path: {description: "Where it is read", type: str, required: true}
      at: {description: "Dotted path to the object inside the answer", type: str, default: ""}
      want: {description: "What must be found there", type: dict, default: {}}
      write_path: {description: "Where it is written; same as path if absent", type: str}
      update_path:
        description: Where one that exists is written; {Key} stands for a value of the object's own
        type: str
      method: {description: "How it is written", type: str, default: POST}
      body: {description: "What is written; same as want if absent", type: dict}
      state:
        description: absent deletes it; created writes it only when it is missing
        choices: [present, created, absent]
        default: present
        type: str
author: [Skerry]
"""

RETURN = r"""
changed_objects: {description: Names of the objects that were written or deleted, type: list,
  returned: always}
"""

OBJECT = {
    "name": {"type": "str", "required": True},
    "path": {"type": "str", "required": True},
    "at": {"type": "str", "default": ""},
    "want": {"type": "dict", "default": {}},
    "write_path": {"type": "str"},
    "update_path": {"type": "str"},
    "method": {"type": "str", "default": "POST"},
    "body": {"type": "dict"},
    "state": {"type": "str", "default": "present", "choices": ["present", "created", "absent"]},
}


def differs(want: Any, have: Any) -> bool:
    """Say whether `have` lacks something of `want`; mappings are compared by the keys of `want`.

    A wanted None stands for a key that must not be there.
    """
    if want is None:
        return have is not None
    if isinstance(want, dict):
        if not isinstance(have, dict):
            return bool(want) or have is not None
        return any(differs(value, have.get(key)) for key, value in want.items())
    if isinstance(want, list):
        if not want and have is None:
            return False
        return (
            not isinstance(have, list)
            or len(want) != len(have)
            or any(differs(one, other) for one, other in zip(want, have, strict=True))
        )
    # The engines write text with and without surrounding newlines, and numbers as text.
    return str(want).strip() != ("" if have is None else str(have).strip())


def observed(api: Api, item: dict[str, Any]) -> Any:
    """Read the object; None when it does not exist."""
    _, answer = api.call("GET", item["path"], missing_ok=True)
    for key in filter(None, item["at"].split(".")):
        answer = answer.get(key) if isinstance(answer, dict) else None
    return answer


def settle(api: Api, item: dict[str, Any], *, check: bool) -> bool:
    """Make one object be as described; True when it was (or, checking, would be) changed."""
    have = observed(api, item)
    if item["state"] == "absent":
        if have is None:
            return False
        if not check:
            api.call("DELETE", item["write_path"] or item["path"], missing_ok=True)
        return True
    if have is not None and (item["state"] == "created" or not differs(item["want"], have)):
        return False
    if not check:
        body = item["want"] if item["body"] is None else item["body"]
        path = item["write_path"] or item["path"]
        if have is not None and item["update_path"]:
            path = item["update_path"].format_map(have)
        api.call(item["method"], path, body)
    return True


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            **API_ARGUMENTS,
            "objects": {"type": "list", "elements": "dict", "required": True, "options": OBJECT},
        },
        supports_check_mode=True,
    )
    api = api_from(module.params)
    changed: list[str] = []
    for item in module.params["objects"]:
        try:
            if settle(api, item, check=module.check_mode):
                changed.append(item["name"])
        except ApiError as error:
            module.fail_json(msg=f"{item['name']}: {error}", changed_objects=changed)
    lines = "".join(f"{name}\n" for name in changed)
    module.exit_json(
        changed=bool(changed),
        changed_objects=changed,
        diff={"before": "", "after": lines},
    )


if __name__ == "__main__":
    main()
