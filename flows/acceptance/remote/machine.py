"""Looks at one machine: its files, processes and services."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.acceptance.remote.engines import read_json

COMMAND_S = 60
LARGEST = 4 * 1024 * 1024
SEARCHED = ("/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/usr/local", "/var")  # noqa: S108 - it is searched
# Packages' files, and containers' own file systems, which other machines' operators never filled.
SKIPPED = ("/var/lib/docker", "/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/run/docker",
           "/run/containerd", "/usr/local/bin", "/var/lib/containerd", "/run/systemd/io.systemd",
           "/var/lib/nomad/alloc_mounts")  # fmt: skip
SECRET_KEYS = re.compile(r"(?i)^(token|secret.*|encrypt|agent|replication|initial_management)$")
PRIVATE_KEY = re.compile(rb"^-----BEGIN ([A-Z]+ )?PRIVATE KEY-----", re.MULTILINE)
CONFIGURED = ("/etc/consul.d", "/etc/nomad.d", "/etc/skerry")


def files() -> Iterator[tuple[Path, int]]:
    """Regular files that may hold something of ours, with their modes."""
    waiting = [Path(folder) for folder in SEARCHED]
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(folder.iterdir())
        except OSError:
            continue
        for entry in entries:
            if str(entry).startswith(SKIPPED) or entry.is_symlink():
                continue
            try:
                status = entry.stat()
                if entry.is_dir():
                    waiting.append(entry)
                elif entry.is_file() and status.st_size <= LARGEST:
                    yield entry, status.st_mode
            except OSError:
                continue


def reachable(path: Path) -> bool:
    """Whether any account of the machine can get to a path through its folders."""
    return all(parent.stat().st_mode & 0o001 for parent in path.parents)


def loose_keys() -> dict[str, list[str]]:
    """Private keys on this machine: all of them, and those that others than their owner read."""
    seen, loose = [], []
    for path, mode in files():
        try:
            holds_key = PRIVATE_KEY.search(path.read_bytes())
        except OSError:
            continue
        if holds_key:
            seen.append(str(path))
            if mode & 0o077:
                loose.append(f"{path} has mode {mode & 0o777:04o}")
    return {"keys": sorted(seen), "loose": sorted(loose)}


def own_secrets() -> set[str]:
    """Tokens and keys of this machine's engines; never leaves the machine."""
    found: set[str] = set()
    for folder in CONFIGURED:
        for file in Path(folder).glob("*.json"):
            found.update(_secret_values(read_json(str(file))))
    return found


def _secret_values(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _secret_values(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _secret_values(inner, key)
    elif isinstance(value, str) and len(value) >= 20 and SECRET_KEYS.match(key):  # noqa: PLR2004
        yield value


def exposed_secrets() -> dict[str, Any]:
    """Where this machine's secrets can be read by more than the account they belong to.

    Looks at files that every account reads, environments and command lines of all processes, units
    and the journal. Gives how many secrets were looked for and the places, never a value.
    """
    needles = [secret.encode() for secret in own_secrets()]
    found = [
        f"file {path} ({mode & 0o777:04o})"
        for path, mode in files()
        if mode & 0o004 and _holds(path, needles) and reachable(path)
    ]
    found += [
        f"{part} of {_command(process)}"
        for process in Path("/proc").glob("[0-9]*")
        for part in ("environ", "cmdline")
        if _holds(process / part, needles)
    ]
    journal = run(["journalctl", "--output=cat", "--no-pager"])["out"].encode()
    if any(needle in journal for needle in needles):
        found.append("the journal")
    return {"secrets": len(needles), "found": sorted(set(found))}


def _holds(path: Path, needles: list[bytes]) -> bool:
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return any(needle in content for needle in needles)


def _command(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a process that ended"


def run(argv: list[str], timeout_s: float = COMMAND_S) -> dict[str, Any]:
    """Run a command as root; rc, out and err."""
    done = subprocess.run(
        argv, capture_output=True, text=True, errors="replace", check=False, timeout=timeout_s
    )
    return {"rc": done.returncode, "out": done.stdout, "err": done.stderr}


def service_states(names: list[str]) -> dict[str, str]:
    """ActiveState and the moment of the last start of units, as one word each."""
    told = {}
    for name in names:
        shown = run(
            ["systemctl", "show", name, "-p", "ActiveState,MainPID,ActiveEnterTimestampMonotonic"]
        )
        told[name] = " ".join(shown["out"].split())
    return told


def journal_since(unit: str, since: float, needle: str) -> int:
    """How many lines of a unit's journal since a Unix time hold a text."""
    shown = run(["journalctl", "-u", unit, f"--since=@{since:.0f}", "--output=cat", "--no-pager"])
    return sum(needle in line for line in shown["out"].splitlines())


def now() -> float:
    """This machine's clock, Unix seconds."""
    return float(json.loads(run(["date", "+%s"])["out"]))


def write(file: str, content: str) -> None:
    """Replace a file's content; owner and mode stay, a new one is root's alone."""
    path = Path(file)
    if not path.exists():
        path.touch(mode=0o600)
    path.write_text(content)
