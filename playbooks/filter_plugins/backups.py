"""Filters about backups on the controller."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

STAMP = "%Y%m%dT%H%M%SZ"


def _backups(folder: str) -> list[tuple[Path, dict[str, Any]]]:
    """Complete backups, oldest first: a folder without a manifest is an interrupted one."""
    return [
        (path.parent, json.loads(path.read_text()))
        for path in sorted(Path(folder).expanduser().glob("*/manifest.json"))
    ]


def backup_list(folder: str) -> list[str]:
    """Describe the backups of a site, newest first: where, how large, how old."""
    now = dt.datetime.now(dt.UTC)
    lines = []
    for path, manifest in reversed(_backups(folder)):
        taken = dt.datetime.strptime(manifest["taken_at"], STAMP).replace(tzinfo=dt.UTC)
        size = sum(file["bytes"] for file in manifest["files"].values())
        engines = ", ".join(name.removesuffix(".snap") for name in sorted(manifest["files"]))
        age = dt.timedelta(seconds=int((now - taken).total_seconds()))
        lines.append(f"{path}: {engines}, {size / 1024:.0f} KiB, {age} old")
    return lines


def backup_newest(folder: str) -> str:
    """Folder of the newest complete backup; a path that does not exist when there is none."""
    found = _backups(folder)
    return str(found[-1][0]) if found else f"{folder}/none-yet"


def backup_problems(backup: str, facts: dict[str, str], engines: list[str]) -> list[str]:
    """List why a backup must not be restored here: foreign, damaged or not a backup."""
    folder = Path(backup).expanduser()
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        files = manifest["files"]
    except (OSError, ValueError, KeyError) as error:
        return [f"{folder} is no backup ({error}); take one with playbooks/backup.yml"]
    problems = [
        f"{folder} is foreign: its {key} is {manifest.get(key)}, here it is {value}"
        for key, value in facts.items()
        if manifest.get(key) != value
    ]
    for name in (f"{engine}.snap" for engine in engines):
        path = folder / name
        if name not in files or not path.is_file():
            problems.append(f"{path} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != files[name]["sha256"]:
            problems.append(f"{path} is damaged: its digest is not the manifest's")
    return problems


class FilterModule:
    """What Ansible finds."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {
            "backup_list": backup_list,
            "backup_newest": backup_newest,
            "backup_problems": backup_problems,
        }
