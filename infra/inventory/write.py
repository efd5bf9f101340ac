"""Inventory files on disk."""

from __future__ import annotations

from pathlib import Path

import yaml

from infra.files import write_atomic
from infra.inventory.build import build, header, known_hosts
from infra.inventory.model import Inventory, SiteOutputs
from tosca.model import Site

HOSTS = "hosts.yml"
KNOWN_HOSTS = "known_hosts"


def render(inventory: Inventory, *, site: str) -> str:
    """The bytes of hosts.yml."""
    body = yaml.dump(
        inventory.document(),
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=False,
        width=120,
        allow_unicode=True,
    )
    return f"{header(site)}---\n{body}"


def write(site: Site, outputs: SiteOutputs, *, folder: Path, key_file: Path) -> Path:
    """Write hosts.yml and known_hosts into `folder` and return the path of hosts.yml.

    Raises InventoryError when stack and site disagree, OSError when the disk refuses.
    """
    inventory = build(site, outputs, key_file=portable(key_file))
    # An inventory without its keys would be refused by SSH, so the keys come first.
    write_atomic(folder / KNOWN_HOSTS, known_hosts(outputs))
    write_atomic(folder / HOSTS, render(inventory, site=site.name))
    return folder / HOSTS


def portable(path: Path, home: Path | None = None) -> str:
    """The path with `~` for the home directory, so that a file does not name its writer."""
    base = home or Path.home()
    return f"~/{path.relative_to(base)}" if path.is_relative_to(base) else str(path)


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, as yamllint asks."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)
