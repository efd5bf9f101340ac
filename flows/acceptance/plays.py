"""Runs the project's playbooks from a check."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flows.acceptance.federation import Federation, Host
from flows.acceptance.model import Context
from flows.errors import FlowError
from flows.steps import ansible
from infra import process
from infra.settings import CHECKOUT, Settings, load


@dataclass(frozen=True)
class Dry:
    """What `--check --diff` would change: tasks per host, and everything it printed."""

    changed: dict[str, int]
    failed: bool
    printed: str


def settings(federation: Federation) -> Settings:
    """The operator's settings with the inventories that are checked."""
    return replace(load(), inventories=federation.inventories)


def deploy(context: Context, playbook: str, sites: Sequence[str], **values: object) -> int:
    """Run a playbook; how many tasks changed something. Raises StepError."""
    where = settings(context.federation)
    done = ansible.play(playbook, sites, where, values=values or None, timeout=context.left())
    return done.changed


def dry(context: Context, playbook: str, sites: Sequence[str]) -> Dry:
    """Run a playbook with `--check --diff`; nothing is changed."""
    where = settings(context.federation)
    command = ansible.argv(playbook, [where.inventories / site for site in sites])
    done = process.run(
        [*command, "--check", "--diff"],
        env={**ansible.environment(where), "ANSIBLE_DISPLAY_OK_HOSTS": "false"},
        cwd=CHECKOUT,
        timeout=context.left(),
        check=False,
    )
    return Dry(recap(done.stdout), done.returncode != 0, done.stdout + done.stderr)


def recap(printed: str) -> dict[str, int]:
    """Changed tasks per host, from what Ansible prints at the end."""
    _, _, end = printed.rpartition("PLAY RECAP")
    changed = {}
    for line in end.splitlines():
        host, colon, numbers = line.partition(":")
        fields = dict(one.split("=", 1) for one in numbers.split() if "=" in one)
        if colon and "changed" in fields:
            changed[host.strip()] = int(fields["changed"])
    return changed


def module(context: Context, host: Host, name: str, arguments: dict[str, object]) -> str:
    """Run one of our modules on a host, outside any playbook; what it printed."""
    where = settings(context.federation)
    done = process.run(
        [
            *("ansible", "-i", str(CHECKOUT / "inventories" / "common")),
            *("-i", str(where.inventories / host.site), host.name, "--become"),
            *("-m", name, "-a", json.dumps(arguments)),
        ],
        env=ansible.environment(where),
        cwd=CHECKOUT,
        timeout=context.left(),
        check=False,
    )
    return done.stdout + done.stderr


def refused(context: Context, playbook: str, sites: Sequence[str], **values: object) -> str:
    """Run a playbook that has to fail; its message, or empty when it went through."""
    where = settings(context.federation)
    try:
        ansible.play(playbook, sites, where, values=values, timeout=context.left())
    except FlowError as error:
        return error.what
    return ""


def cut_off(
    context: Context, playbook: str, sites: Sequence[str], task: str, **values: object
) -> bool:
    """Run a playbook and kill -9 all of it when a task begins; whether it came to that task."""
    where, mark = settings(context.federation), secrets.token_hex(8)
    reached = threading.Event()

    def watch(line: str) -> None:
        _, event, content = line.partition(ansible.EVENT)
        told = json.loads(content) if event else {}
        if told.get("event") == "task" and task in told["name"] and not reached.is_set():
            reached.set()
            kill_all(mark)

    process.run(
        ansible.argv(
            playbook, [where.inventories / site for site in sites], values={**values, "cut": mark}
        ),
        env=ansible.environment(where),
        cwd=CHECKOUT,
        timeout=context.left(),
        check=False,
        on_line=watch,
    )
    return reached.is_set()


def kill_all(mark: str) -> None:
    """Kill every process that has a text in its command line, as a machine's end would."""
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark.encode() in command.read_bytes():
                os.kill(int(command.parent.name), signal.SIGKILL)
