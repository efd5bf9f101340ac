"""The federation as its inventories describe it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import ValidationError

from flows.errors import StepError
from infra.inventory.model import Inventory, SiteVars


@dataclass(frozen=True)
class Host:
    """A machine and how to reach it over SSH."""

    name: str
    site: str
    pool: str
    address: str
    port: int
    user: str
    private_address: str
    wide_area_address: str | None
    key_file: Path
    known_hosts: Path
    facts: dict[str, str] = field(hash=False, compare=False)

    @property
    def reachable_address(self) -> str:
        """Where machines of other sites reach it; its private address when they cannot."""
        return self.wide_area_address or self.private_address


@dataclass(frozen=True)
class Site:
    """One provider's part; `servers`, `workers` and `edges` are in the inventory's order."""

    name: str
    folder: Path
    vars: SiteVars = field(hash=False)
    hosts: tuple[Host, ...]

    @property
    def servers(self) -> tuple[Host, ...]:
        """Machines with a Consul and a Nomad server."""
        return self._pool("server")

    @property
    def workers(self) -> tuple[Host, ...]:
        """Machines that run jobs."""
        return self._pool("cpu", "gpu")

    @property
    def edges(self) -> tuple[Host, ...]:
        """Machines that let the world in."""
        return self._pool("edge")

    @property
    def first(self) -> Host:
        """The server that holds the site's credential."""
        return self.servers[0]

    @property
    def domain(self) -> str:
        """The site's own DNS domain."""
        return f"{self.name}.{self.vars.fed_domain}"

    @property
    def communities(self) -> tuple[str, ...]:
        """The communities that the site serves."""
        return self.vars.fed_communities

    def _pool(self, *pools: str) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.pool in pools)


@dataclass(frozen=True)
class Federation:
    """Every site whose inventory was found."""

    inventories: Path
    sites: tuple[Site, ...]

    @property
    def control(self) -> Site:
        """The site with the root of trust."""
        return next(site for site in self.sites if site.name == site.vars.fed_control_site)

    @property
    def members(self) -> tuple[Site, ...]:
        """All sites but the control site."""
        return tuple(site for site in self.sites if site is not self.control)

    @property
    def working(self) -> tuple[Site, ...]:
        """Sites with workers."""
        return tuple(site for site in self.sites if site.workers)

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Every machine."""
        return tuple(host for site in self.sites for host in site.hosts)

    @property
    def servers(self) -> tuple[Host, ...]:
        """Every server machine."""
        return tuple(host for site in self.sites for host in site.servers)

    @property
    def federated(self) -> bool:
        """Whether gossip joins the sites."""
        return self.sites[0].vars.fed_mode == "federated"

    def site(self, name: str) -> Site:
        """A site by name; raises KeyError."""
        for site in self.sites:
            if site.name == name:
                return site
        raise KeyError(name)

    def seen_from(self, site: Site) -> tuple[Site, ...]:
        """The sites that a site's engines know of."""
        return self.sites if self.federated else (site,)


def load(inventories: Path) -> Federation:
    """Read every inventories/<site>/hosts.yml; raises StepError naming the file."""
    files = sorted(inventories.glob("*/hosts.yml"))
    if not files:
        raise StepError(
            "there is no site to check",
            where=f"{inventories}/*/hosts.yml",
            remedy="stand a federation up first, for instance with `make demo`",
        )
    sites = tuple(_site(file) for file in files)
    if sum(site.name == site.vars.fed_control_site for site in sites) != 1:
        raise StepError(
            "the inventories do not hold exactly one control site",
            where=str(inventories),
            remedy="give the folder of one whole federation",
        )
    return Federation(inventories, sites)


def _site(file: Path) -> Site:
    try:
        content = Inventory.model_validate(yaml.safe_load(file.read_text()))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise StepError(
            f"the inventory cannot be read: {error}",
            where=str(file),
            remedy="run the site's stack again; it writes this file",
        ) from error
    group = content.site_group
    shared = group.vars
    hosts = tuple(
        Host(
            name=name,
            site=shared.fed_site,
            pool=host.fed_pool,
            address=host.ansible_host,
            port=host.ansible_port,
            user=host.ansible_user,
            private_address=host.fed_private_address,
            wide_area_address=host.fed_wide_area_address,
            key_file=Path(shared.ansible_ssh_private_key_file).expanduser(),
            known_hosts=file.parent / "known_hosts",
            facts={
                "host": name,
                "site": shared.fed_site,
                "control_site": shared.fed_control_site,
                "control_address": str(shared.fed_control_address),
            },
        )
        for name, host in group.hosts.items()
    )
    return Site(shared.fed_site, file.parent, shared, hosts)
