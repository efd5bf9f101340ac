"""What a template compiles to: one site of a federation, typed and frozen.

Nothing here knows an engine. Addresses are planned here only for providers that let us choose them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,14}$")]
"""Name of a site, community or federation: also a DNS label, a Nomad region and a group name."""

DomainName = Annotated[str, StringConstraints(pattern=r"^([a-z0-9-]+\.)+[a-z0-9-]+$")]


class Model(BaseModel):
    """Closed and frozen: an unknown key is an error, a value never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@unique
class Mode(StrEnum):
    """How sites relate: regions joined over the WAN, or one set of policies applied to islands."""

    FEDERATED = "federated"
    SOVEREIGN = "sovereign"


@unique
class SiteKind(StrEnum):
    """What a site is to the federation; not what machines it has."""

    CONTROL = "control"
    FEDERATED = "federated"


@unique
class PoolKind(StrEnum):
    """What the machines of a pool are for, in the order in which machines are listed."""

    SERVER = "server"
    CPU = "cpu"
    GPU = "gpu"
    EDGE = "edge"


# First host number inside the site's networks. Pools never overlap, so adding a machine to one
# pool leaves every other address as it was.
_PRIVATE_OFFSET = {PoolKind.SERVER: 10, PoolKind.EDGE: 20, PoolKind.CPU: 30, PoolKind.GPU: 130}
_WIDE_AREA_OFFSET = {PoolKind.SERVER: 2, PoolKind.EDGE: 9}


class Size(Model):
    """What one machine offers: whole cores, memory in MiB, disk in GiB, number of GPUs."""

    cpus: int = Field(ge=1)
    memory_mib: int = Field(ge=256)
    disk_gib: int = Field(ge=1)
    gpus: int = Field(default=0, ge=0)


class Pool(Model):
    """Machines of one kind and size; a count of 0 is an ordinary pool without machines."""

    kind: PoolKind
    count: int = Field(ge=0, le=99)
    size: Size
    image: str


class Machine(Model):
    """One machine to be had from the provider. Addresses are the plan, not yet a fact."""

    name: str
    pool: PoolKind
    index: int = Field(ge=1)
    size: Size
    image: str
    private_address: str
    wide_area_address: str | None


class ListedMachine(Model):
    """A machine that exists, by the addresses at which its own site and others reach it."""

    address: str
    wide_area_address: str | None = None


class Provider(Model):
    """Where machines come from; the settings are as tosca/providers/<kind>.yaml describes them."""

    kind: str
    settings: Mapping[str, Any]
    listed: Mapping[str, ListedMachine] | None = None
    """Of a provider that lists its machines (skerry.datatypes.ListingProvider): they, by name."""


class Network(Model):
    """The site's own network and its block of the shared wide-area network, both IPv4 CIDR."""

    private_cidr: ipaddress.IPv4Network
    wide_area_cidr: ipaddress.IPv4Network


class Federation(Model):
    """What every site of a federation agrees on (inventories/federation.yaml)."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
    domain: DomainName
    mode: Mode = Mode.FEDERATED
    control_site: Name
    control_address: ipaddress.IPv4Address
    wide_area_cidr: ipaddress.IPv4Network
    communities: tuple[Name, ...]
    sites: tuple[Name, ...]


class Site(Model):
    """One provider's part of a federation, ready to be stood up."""

    name: Name
    kind: SiteKind
    federation: Federation
    provider: Provider
    network: Network
    communities: tuple[Name, ...]
    pools: tuple[Pool, ...]

    @property
    def machines(self) -> tuple[Machine, ...]:
        """Every machine of the site, in the order server, cpu, gpu, edge, then by number."""
        order = list(PoolKind)
        return tuple(
            self._machine(pool, index)
            for pool in sorted(self.pools, key=lambda pool: order.index(pool.kind))
            for index in range(1, pool.count + 1)
        )

    def _machine(self, pool: Pool, index: int) -> Machine:
        wide = _WIDE_AREA_OFFSET.get(pool.kind)
        return Machine(
            name=f"{self.name}-{pool.kind}-{index}",
            pool=pool.kind,
            index=index,
            size=pool.size,
            image=pool.image,
            private_address=str(
                self.network.private_cidr[_PRIVATE_OFFSET[pool.kind] + index - 1],
            ),
            wide_area_address=(
                None if wide is None else str(self.network.wide_area_cidr[wide + index - 1])
            ),
        )
