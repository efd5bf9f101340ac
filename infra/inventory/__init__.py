"""Ansible inventories, built from what a stack made. Imports no engine.

`build` is pure, `write` puts files on disk, `digest` and `inventory_problems` tell whether a file
is as it was generated.
"""

from __future__ import annotations

from infra.inventory.build import build, known_hosts, parse_outputs
from infra.inventory.integrity import digest, inventory_problems
from infra.inventory.model import Inventory, SiteOutputs
from infra.inventory.write import render, write

__all__ = [
    "Inventory",
    "SiteOutputs",
    "build",
    "digest",
    "inventory_problems",
    "known_hosts",
    "parse_outputs",
    "render",
    "write",
]
