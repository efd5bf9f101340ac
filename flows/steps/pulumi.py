"""Pulumi on one site's stack.

The builders are pure. The functions that run survive what a SIGKILL leaves behind: a lock of a
dead process, its orphaned plugins, and operations that were begun and never recorded.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from flows.errors import StackError, StackLockedError
from infra import process
from infra.errors import ProcessError
from infra.settings import SITE_PROGRAM, Settings, prepare, pulumi_environment, tool

Progress = Callable[[str], None]

PROJECT = "skerry-site"
TIMEOUT_S = 1800
LOCK_WAIT_S = 120
_QUICK_S = 120
_QUIET = ("--non-interactive", "--color", "never")
_COUNT = re.compile(r"^\s+[-+~]*\s*(\d+) (created|updated|replaced|deleted|unchanged)\b")


@dataclass(frozen=True)
class Changes:
    """How many resources one run touched, the stack and components included."""

    created: int = 0
    updated: int = 0
    replaced: int = 0
    deleted: int = 0
    unchanged: int = 0

    @property
    def any(self) -> bool:
        """Whether anything is different from before."""
        return bool(self.created or self.updated or self.replaced or self.deleted)


@dataclass(frozen=True)
class Lock:
    """Who holds a stack, as the CLI wrote it down."""

    file: Path
    pid: int
    host: str
    since: str

    @property
    def alive(self) -> bool:
        """Whether the holder still runs; a holder on another machine counts as alive."""
        if self.host != socket.gethostname():
            return True
        try:
            name = Path(f"/proc/{self.pid}/comm").read_text().strip()
        except OSError:
            return False
        # The number may have passed on to another program.
        return name == "pulumi"


def init_argv(site: str) -> list[str]:
    """Make the stack; fails when it exists."""
    return ["pulumi", "stack", "init", site, "--no-select", *_QUIET]


def up_argv(site: str) -> list[str]:
    """Look at what is there, then make it as declared."""
    return ["pulumi", "up", "--stack", site, "--refresh", "--yes", "--skip-preview", *_QUIET]


def preview_argv(site: str, *, expect_no_changes: bool = False) -> list[str]:
    """Say what `up` would do; with `expect_no_changes` fail when that is anything."""
    expect = ["--expect-no-changes"] if expect_no_changes else []
    return ["pulumi", "preview", "--stack", site, "--refresh", *expect, *_QUIET]


def refresh_argv(site: str) -> list[str]:
    """Look at what is there and forget operations that were begun and never finished."""
    return [
        "pulumi",
        "refresh",
        "--stack",
        site,
        "--clear-pending-creates",
        "--yes",
        "--skip-preview",
        *_QUIET,
    ]


def destroy_argv(site: str) -> list[str]:
    """Remove everything, then the stack itself."""
    return [
        "pulumi",
        "destroy",
        "--stack",
        site,
        "--refresh",
        "--yes",
        "--skip-preview",
        "--remove",
        *_QUIET,
    ]


def output_argv(site: str) -> list[str]:
    """Print the stack's outputs as JSON."""
    return ["pulumi", "stack", "output", "--json", "--stack", site, *_QUIET]


def cancel_argv(site: str) -> list[str]:
    """Take the lock away from whoever has it."""
    return ["pulumi", "cancel", "--stack", site, "--yes", *_QUIET]


def environment(settings: Settings, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a run: this interpreter and the pinned CLI come first on PATH.

    Raises SettingsError when `make tools` has not run.
    """
    env = dict(os.environ if base is None else base)
    folders = [str(Path(sys.executable).parent), str(tool(settings, "pulumi").parent)]
    return {
        **env,
        **pulumi_environment(settings),
        "PATH": os.pathsep.join([*folders, env.get("PATH", "")]),
    }


def up(site: str, settings: Settings, *, on_line: Progress | None = None) -> Changes:
    """Stand the site's machines up, or mend them; the stack is made when it is new."""
    prepare(settings)
    _free(site, settings)
    _ensure_stack(site, settings)
    return changes(_run(up_argv(site), site, settings, on_line=on_line).stdout)


def preview(site: str, settings: Settings) -> str:
    """What `up` would do, in Pulumi's words."""
    _free(site, settings)
    return _run(preview_argv(site), site, settings).stdout


def unchanged(site: str, settings: Settings) -> bool:
    """Whether stack, machines and site file agree."""
    _free(site, settings)
    done = _run(preview_argv(site, expect_no_changes=True), site, settings, check=False)
    if done.returncode != 0 and "no changes were expected" not in done.stderr + done.stdout:
        raise _failed(done.argv, site, done.returncode, done.stdout + done.stderr)
    return done.returncode == 0


def refresh(site: str, settings: Settings, *, on_line: Progress | None = None) -> Changes:
    """Bring the stack's record up to what is there."""
    _free(site, settings)
    return changes(_run(refresh_argv(site), site, settings, on_line=on_line).stdout)


def destroy(site: str, settings: Settings, *, on_line: Progress | None = None) -> bool:
    """Remove the site's machines, networks and stack; False when there was no stack."""
    prepare(settings)
    if not exists(site, settings):
        return False
    _free(site, settings)
    # What a killed run made and did not record is adopted first, so that nothing is left behind.
    if _pending(site, settings):
        _run(up_argv(site), site, settings, on_line=on_line)
    _run(destroy_argv(site), site, settings, on_line=on_line)
    return True


def outputs(site: str, settings: Settings) -> dict[str, Any]:
    """The stack's outputs; empty when its first `up` never finished."""
    text = _run(output_argv(site), site, settings, timeout=_QUICK_S).stdout
    parsed: dict[str, Any] = json.loads(text or "{}")
    return parsed


def exists(site: str, settings: Settings) -> bool:
    """Whether the backend knows a stack for this site."""
    argv = ["pulumi", "stack", "ls", "--json", "--project", PROJECT, *_QUIET]
    listed = json.loads(_run(argv, site, settings, timeout=_QUICK_S).stdout or "[]")
    return any(str(stack["name"]).split("/")[-1] == site for stack in listed)


def locks(site: str, settings: Settings) -> list[Lock]:
    """Locks on the stack. Only a file backend shows them; others speak up when the CLI runs."""
    url = urlsplit(settings.backend_url)
    if url.scheme != "file":
        return []
    root = Path(unquote(url.path)) / ".pulumi" / "locks" / "organization" / PROJECT / site
    found = []
    for file in sorted(root.glob("*.json")):
        try:
            content = json.loads(file.read_text())
            found.append(
                Lock(file, int(content["pid"]), str(content["hostname"]), content["timestamp"])
            )
        except (OSError, ValueError, KeyError):
            # Removed by its holder, or being written this very moment: the CLI looks again itself.
            continue
    return found


def changes(output: str) -> Changes:
    """Read the summary that the CLI prints after a run."""
    counts: dict[str, int] = {}
    _, _, summary = output.rpartition("\nResources:")
    for line in summary.splitlines():
        if match := _COUNT.match(line):
            counts[match[2]] = int(match[1])
    return Changes(**counts)


def _free(site: str, settings: Settings, *, wait_s: float = LOCK_WAIT_S) -> None:
    """Wait for a run that is alive, clear up after one that is dead; raises StackLockedError."""
    deadline = time.monotonic() + wait_s
    while held := [lock for lock in locks(site, settings) if lock.alive]:
        if time.monotonic() > deadline or held[0].host != socket.gethostname():
            raise StackLockedError(
                f"another run works on the stack {site}: process {held[0].pid} on {held[0].host}, "
                f"since {held[0].since}",
                where=str(held[0].file),
                remedy=f"let it finish; if it is dead for sure, `pulumi cancel --stack {site}`",
            )
        time.sleep(0.5)
    dead = locks(site, settings)
    for lock in dead:
        # We start the CLI as leader of a session: what is left in it are its plugins.
        process.kill_session(lock.pid)
    if dead:
        _run(cancel_argv(site), site, settings, timeout=_QUICK_S)


def _ensure_stack(site: str, settings: Settings) -> None:
    done = _run(init_argv(site), site, settings, check=False, timeout=_QUICK_S)
    if done.returncode != 0 and "already exists" not in done.stderr:
        raise _failed(done.argv, site, done.returncode, done.stdout + done.stderr)


def _pending(site: str, settings: Settings) -> bool:
    argv = ["pulumi", "stack", "export", "--stack", site, *_QUIET]
    state = json.loads(_run(argv, site, settings, timeout=_QUICK_S).stdout)
    return bool((state.get("deployment") or {}).get("pending_operations"))


def _run(
    argv: list[str],
    site: str,
    settings: Settings,
    *,
    check: bool = True,
    timeout: float = TIMEOUT_S,
    on_line: Progress | None = None,
) -> process.Completed:
    _forget_salt(site)
    try:
        done = process.run(
            argv,
            env=environment(settings),
            cwd=SITE_PROGRAM,
            timeout=timeout,
            check=False,
            on_line=on_line,
        )
    except ProcessError as error:
        raise StackError(error.what, where=error.where, remedy=error.remedy) from error
    finally:
        _forget_salt(site)
    if check and done.returncode != 0:
        raise _failed(done.argv, site, done.returncode, done.stdout + done.stderr)
    return done


def _forget_salt(site: str) -> None:
    """Drop a stack file that holds nothing but the passphrase's salt.

    The CLI writes one beside the program for every stack and refuses it under another state
    directory's passphrase. It makes a new one whenever it needs one.
    """
    file = SITE_PROGRAM / f"Pulumi.{site}.yaml"
    try:
        content = yaml.safe_load(file.read_text())
    except (FileNotFoundError, yaml.YAMLError):
        return
    if isinstance(content, dict) and set(content) <= {"encryptionsalt"}:
        file.unlink(missing_ok=True)


def _failed(argv: tuple[str, ...], site: str, code: int, output: str) -> StackError:
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    told = [line for line in lines if "error:" in line.lower() or "remedy" in line.lower()]
    return StackError(
        f"pulumi {argv[1]} failed for stack {site} (exit code {code}):\n    "
        + "\n    ".join((told or lines)[-15:]),
        where=f"stack {site}, program {SITE_PROGRAM}",
        remedy='see the same with `eval "$(make env)"; pulumi up --stack '
        f"{site}` in the program's folder",
    )
