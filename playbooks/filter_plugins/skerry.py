"""Filters for playbooks: whether a generated inventory is as it was generated."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path


def inventory_problems(inventory_file: str) -> list[str]:
    """What is wrong with a hosts.yml: file, what changed, remedy; empty when it is intact."""
    checkout = str(Path(__file__).resolve().parents[2])
    # Ansible loads plugins by path, so the checkout they stand in need not be installed.
    if checkout not in sys.path:
        sys.path.append(checkout)
    # Every playbook loads this file, and only one asks: the others need not wait half a second.
    from infra.inventory.integrity import inventory_problems as problems

    return problems(inventory_file)


class FilterModule:
    """What Ansible asks for the filters of this file."""

    def filters(self) -> dict[str, Callable[[str], list[str]]]:
        """Name the filters."""
        return {"inventory_problems": inventory_problems}
