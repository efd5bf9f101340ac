"""Filters about the sites of a federation."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

KEYS = {"private_cidr": "the site's own network", "wide_area_cidr": "the wide-area block"}


def site_conflicts(sites: dict[str, dict[str, str]], name: str, asked: dict[str, str]) -> list[str]:
    """List why a site cannot be admitted as asked for: its name or networks belong to another.

    A site that asks again for just what it has is no conflict: it may have lost its join token.
    """
    if name in sites and sites[name] != asked:
        taken = ", ".join(f"{key} {value}" for key, value in sorted(sites[name].items()))
        return [
            (
                f"inventories/{name}/site.yaml: there is a site {name} already, with {taken}; "
                "choose another name, or let that site leave first (playbooks/revoke-site.yml)"
            )
        ]
    return [
        f"inventories/{name}/site.yaml: {KEYS[key]} {asked[key]} overlaps {KEYS[theirs]} "
        f"{network} of site {other}; choose another {key}"
        for other, entry in sorted(sites.items())
        if other != name
        for theirs, network in sorted(entry.items())
        for key in KEYS
        if ipaddress.ip_network(asked[key]).overlaps(ipaddress.ip_network(network))
    ]


class FilterModule:
    """What Ansible finds."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"site_conflicts": site_conflicts}
