"""Small programs that run as root on one machine of a site, over SSH.

A program and what it is told travel on standard input, and its answer comes back as JSON on
standard output: nothing of it is ever in an argument list or in a log.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from flows.errors import HostUnreachableError, StepError
from infra import process
from infra.errors import ProcessError
from infra.inventory.model import Inventory
from infra.settings import Settings

TIMEOUT_S = 60
_SCRIPTS = Path(__file__).parent / "scripts"
_SSH_FAILED = 255


@dataclass(frozen=True)
class Login:
    """How to get into one machine."""

    host: str
    address: str
    port: int
    user: str
    known_hosts: Path
    private_key: Path

    def argv(self, *command: str) -> list[str]:
        """An SSH command line; without `command` one for a person who wants a shell."""
        options = {
            "UserKnownHostsFile": f'"{self.known_hosts}"',
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": "10",
        }
        quiet = ["-o", "BatchMode=yes"] if command else []
        flags = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
        return [
            *("ssh", "-i", str(self.private_key), "-p", str(self.port)),
            *flags,
            *quiet,
            f"{self.user}@{self.address}",
            *command,
        ]


def inventory(site: str, settings: Settings) -> Inventory:
    """The site's inventory as generated; raises StepError."""
    file = settings.inventories / site / "hosts.yml"
    try:
        return Inventory.model_validate(yaml.safe_load(file.read_text()))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise StepError(
            f"the site {site} has no usable inventory",
            where=str(file),
            remedy=f"stand it up first, or run `pulumi up --stack {site}` and the inventory step",
        ) from error


def login(site: str, settings: Settings, host: str | None = None) -> Login:
    """How to get into a host of the site, by default its first server."""
    group = inventory(site, settings).site_group
    name = host or group.vars.fed_servers[0].name
    found = group.hosts[name]
    return Login(
        host=name,
        address=found.ansible_host,
        port=found.ansible_port,
        user=found.ansible_user,
        known_hosts=settings.inventories / site / "known_hosts",
        private_key=settings.private_key,
    )


def call(where: Login, script: str, request: object = None) -> Any:
    """Run scripts/<script>.py on the machine and return its answer.

    Raises HostUnreachableError, or StepError with what the script said.
    """
    program = f"REQUEST = {json.dumps(request)!r}\n" + (_SCRIPTS / f"{script}.py").read_text()
    try:
        done = process.run(
            where.argv("sudo -n python3 -"), timeout=TIMEOUT_S, input=program, check=False
        )
    except ProcessError as error:
        raise StepError(error.what, where=where.host, remedy=error.remedy) from error
    if done.returncode == _SSH_FAILED:
        raise HostUnreachableError(
            f"cannot log in to {where.host}: {done.stderr.strip()}",
            where=f"{where.user}@{where.address} port {where.port}",
            remedy="see that the machine runs; try it by hand: " + shlex.join(where.argv()),
        )
    if done.returncode != 0:
        told = done.stderr.strip().splitlines()
        raise StepError(
            f"{script} failed on {where.host}: {told[-1] if told else 'no message'}",
            where=f"{where.user}@{where.address}",
            remedy="see `journalctl -e` on that machine",
        )
    return json.loads(done.stdout)
