"""Saves and restores snapshots of Vault, Consul and Nomad through their APIs."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import http.client
import json
import os
import tarfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.engine_api import Api, ApiError

DOCUMENTATION = r"""
---
module: engine_snapshot
short_description: Snapshots with a manifest that says what, whose, when and which digest
description:
  - state=saved takes one snapshot an engine, looks into each archive, and writes a manifest.
  - state=restored first checks the manifest and every digest against what is expected, and changes
    nothing unless all of it fits.
options:
  state: {description: "saved or restored", type: str, required: true, choices: [saved, restored]}
  folder: {description: "Folder with the snapshots and manifest.json", type: path, required: true}
  engines:
    description: The engines, in the order in which they are saved and restored
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: "consul, nomad or vault; also the file's name", type: str, required: true}
      url: {description: "https://host:port or unix:///path of the engine", type: str,
        required: true}
      path: {description: "Its snapshot's path", type: str, required: true}
      token_header: {description: "Header that carries the token", type: str, required: true}
      token: {description: "A token that may take and restore snapshots", type: str, required: true}
  facts: {description: "What the manifest says and must say", type: dict, required: true}
author: [Skerry]
"""

RETURN = r"""
manifest: {description: The manifest, type: dict, returned: always}
"""

ENGINE = {
    "name": {"type": "str", "required": True},
    "url": {"type": "str", "required": True},
    "path": {"type": "str", "required": True},
    "token_header": {"type": "str", "required": True, "no_log": False},
    "token": {"type": "str", "required": True, "no_log": True},
}
CA = "/etc/skerry/pki/ca.pem"
OPERATOR = "/etc/skerry/operator"
STAMP = "%Y%m%dT%H%M%SZ"


class SnapshotError(Exception):
    """A snapshot cannot be taken or must not be restored."""


def connect(engine: dict[str, str]) -> Api:
    """Open the engine's API with this machine's operator certificate where one is asked for."""
    mutual = engine["name"] == "nomad"
    return Api(
        engine["url"],
        token=engine["token"],
        token_header=engine["token_header"],
        ca_cert=CA,
        client_cert=f"{OPERATOR}/cert.pem" if mutual else None,
        client_key=f"{OPERATOR}/key.pem" if mutual else None,
        timeout_s=120,
    )


def receive(engine: dict[str, str], file: Path) -> None:
    """Take a snapshot into a private file. Raises SnapshotError, OSError, HTTPException."""
    api = connect(engine)
    connection = api._connection()  # noqa: SLF001 -- the one caller that moves bytes, not JSON
    try:
        connection.request("GET", engine["path"], headers=api.headers)
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise refused(engine, response.status, response.read().decode(errors="replace"))
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as out:
            while chunk := response.read(1 << 20):
                out.write(chunk)
    finally:
        connection.close()


def refused(engine: dict[str, str], status: int, answer: object) -> SnapshotError:
    """What an engine said instead of working on a snapshot."""
    return SnapshotError(f"{engine['name']} answered {status}: {str(answer).strip()}")


def look_into(file: Path) -> None:
    """Read a snapshot archive to its end. Raises SnapshotError when it is damaged."""
    try:
        with tarfile.open(file, "r:gz") as archive:
            names = {member.name for member in archive}
        missing = {"meta.json", "state.bin", "SHA256SUMS"} - names
        with gzip.open(file) as content:
            while content.read(1 << 20):
                pass
    except (OSError, EOFError, tarfile.TarError) as error:
        raise SnapshotError(f"{file.name} is damaged: {error}") from error
    if missing:
        raise SnapshotError(f"{file.name} is no snapshot: it lacks {', '.join(sorted(missing))}")


def describe(file: Path) -> dict[str, Any]:
    """Size in bytes and SHA-256 of a file."""
    return {"bytes": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}


def save(folder: Path, engines: list[dict[str, str]], facts: dict[str, str]) -> dict[str, Any]:
    """Take a snapshot of each engine and write the manifest. Raises SnapshotError, OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for engine in engines:
        file = folder / f"{engine['name']}.snap"
        receive(engine, file)
        look_into(file)
    manifest = {
        **facts,
        "taken_at": dt.datetime.now(dt.UTC).strftime(STAMP),
        "files": {
            f"{one['name']}.snap": describe(folder / f"{one['name']}.snap") for one in engines
        },
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest


def check(folder: Path, engines: list[dict[str, str]], facts: dict[str, str]) -> dict[str, Any]:
    """Return the manifest of a backup that fits. Raises SnapshotError with all that is wrong."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        files = manifest["files"]
    except (OSError, ValueError, KeyError) as error:
        raise SnapshotError(
            f"manifest.json cannot be read, so this is no backup: {error}"
        ) from error
    wrong = [
        f"it is of {key} {manifest.get(key)}, not {value}: it is foreign here"
        for key, value in facts.items()
        if manifest.get(key) != value
    ]
    for engine in engines:
        name = f"{engine['name']}.snap"
        file = folder / name
        if name not in files or not file.is_file():
            wrong.append(f"{name} is missing")
        elif describe(file) != files[name]:
            wrong.append(f"{name} is damaged: its size or digest is not what the manifest says")
        else:
            try:
                look_into(file)
            except SnapshotError as error:
                wrong.append(str(error))
    if wrong:
        raise SnapshotError("; ".join(wrong))
    return manifest


def restore(folder: Path, engines: list[dict[str, str]], facts: dict[str, str]) -> dict[str, Any]:
    """Restore each engine from a backup that fits entirely. Raises SnapshotError, OSError."""
    manifest = check(folder, engines, facts)
    for engine in engines:
        content = (folder / f"{engine['name']}.snap").read_bytes()
        status, answer = connect(engine).once("PUT", engine["path"], content)
        if status not in {200, 204}:
            raise refused(engine, status, answer)
    return manifest


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["saved", "restored"]},
            "folder": {"type": "path", "required": True},
            "engines": {"type": "list", "elements": "dict", "required": True, "options": ENGINE},
            "facts": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        # Nothing was taken, so there is nothing to look into.
        now = dt.datetime.now(dt.UTC).strftime(STAMP)
        module.exit_json(changed=True, manifest={"taken_at": now, "files": {}})
    act = save if module.params["state"] == "saved" else restore
    try:
        manifest = act(
            Path(module.params["folder"]), module.params["engines"], module.params["facts"]
        )
    except (SnapshotError, ApiError, OSError, http.client.HTTPException) as error:
        module.fail_json(msg=f"snapshot not {module.params['state']}: {error}")
    module.exit_json(changed=True, manifest=manifest)


if __name__ == "__main__":
    main()
