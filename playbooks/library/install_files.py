"""Puts a set of files in place in one step; the controller's half renders them."""

from __future__ import annotations

import base64
import grp
import hashlib
import os
import pwd
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: install_files
short_description: Files and directories of a service, made and compared by digest in one round trip
description:
  - Used through the action plugin of the same name, which renders C(template) and reads C(src) on
    the controller. One step instead of one per file, because each step costs a round trip.
  - A file is replaced atomically and only when content, owner, group or mode differ.
options:
  files:
    description: What must be there; C(dest) with one of C(template), C(src), C(content), or
      C(directory)
    type: list
    elements: dict
    required: true
    suboptions:
      dest: {description: "Where it is on the machine", type: path, required: true}
      mode: {description: "Permission bits, octal, in quotes", type: str, required: true}
      owner: {description: "Owner", type: str, default: root}
      group: {description: "Group; the owner's namesake if absent", type: str}
      directory: {description: "Make a directory", type: bool, default: false}
      template: {description: "Template of the role, rendered on the controller", type: str}
      src: {description: "File of the role, taken as it is", type: str}
      content: {description: "The content itself", type: str}
      content_b64: {description: "What the controller makes of the three", type: str}
      secret: {description: "Show a digest instead of the content in diffs", type: bool,
        default: false}
author: [Skerry]
"""

RETURN = r"""
changed_paths: {description: Paths that were written or whose owner or mode was set, type: list,
  returned: always}
"""


ENTRY = {
    "dest": {"type": "path", "required": True},
    "mode": {"type": "str", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str"},
    "directory": {"type": "bool", "default": False},
    # The content may hold secrets: Ansible must not log it.
    "content_b64": {"type": "str", "no_log": True},
    "secret": {"type": "bool", "default": False},
}


def ids(entry: dict[str, Any]) -> tuple[int, int, int]:
    """Resolve owner, group and mode to numbers. Raises KeyError for an unknown name."""
    owner = entry.get("owner") or "root"
    return (
        pwd.getpwnam(owner).pw_uid,
        grp.getgrnam(entry.get("group") or owner).gr_gid,
        int(str(entry["mode"]), 8),
    )


def same_ownership(path: Path, wanted: tuple[int, int, int]) -> bool:
    """Say whether owner, group and permission bits are as wanted."""
    stat = path.stat()
    return (stat.st_uid, stat.st_gid, stat.st_mode & 0o7777) == wanted


def settle_directory(path: Path, wanted: tuple[int, int, int], *, check: bool) -> bool:
    """Make a directory be as wanted; True when it was not."""
    if path.is_dir() and same_ownership(path, wanted):
        return False
    if not check:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(path, wanted[0], wanted[1])
        path.chmod(wanted[2])
    return True


def settle_file(path: Path, content: bytes, wanted: tuple[int, int, int], *, check: bool) -> bool:
    """Make a file be as wanted, atomically; True when it was not."""
    if path.is_file() and not path.is_symlink() and path.read_bytes() == content:
        if same_ownership(path, wanted):
            return False
        if not check:
            os.chown(path, wanted[0], wanted[1])
            path.chmod(wanted[2])
        return True
    if not check:
        staged = path.with_name(f".{path.name}.skerry-new")
        staged.unlink(missing_ok=True)
        # Never world-readable, not even before the mode is set: content may be secret.
        handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chown(staged, wanted[0], wanted[1])
        staged.chmod(wanted[2])
        staged.replace(path)
    return True


def settle(entry: dict[str, Any], *, check: bool) -> dict[str, str] | None:
    """Make one entry be as wanted; a diff when it was not, without content for secrets."""
    path = Path(entry["dest"])
    try:
        wanted = ids(entry)
    except KeyError:
        if not check:
            raise
        # The account is one that an earlier step would have made.
        wanted = (-1, -1, int(str(entry["mode"]), 8))
    if entry.get("directory"):
        changed = settle_directory(path, wanted, check=check)
        return (
            {"before_header": str(path), "before": "", "after": "directory\n"} if changed else None
        )
    content = base64.b64decode(entry["content_b64"])
    before = path.read_bytes() if path.is_file() else b""
    if not settle_file(path, content, wanted, check=check):
        return None
    if entry.get("secret"):
        shown = [f"sha256 {hashlib.sha256(text).hexdigest()}\n" for text in (before, content)]
    else:
        shown = [text.decode(errors="replace") for text in (before, content)]
    return {"before_header": str(path), "before": shown[0], "after": shown[1]}


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "required": True, "options": ENTRY},
        },
        supports_check_mode=True,
    )
    diffs = []
    for entry in module.params["files"]:
        try:
            diff = settle(entry, check=module.check_mode)
        except (OSError, KeyError, ValueError) as error:
            module.fail_json(msg=f"{entry['dest']}: {error}")
        if diff is not None:
            diffs.append(diff)
    module.exit_json(
        changed=bool(diffs),
        changed_paths=[diff["before_header"] for diff in diffs],
        diff=diffs,
    )


if __name__ == "__main__":
    main()
