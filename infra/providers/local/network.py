"""A Docker bridge network with a fixed subnet, as a Pulumi resource.

Docker keeps its bridges apart: a machine on one cannot reach addresses of another.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from typing import Any

import pulumi
from docker import DockerClient
from docker.errors import NotFound
from docker.models.networks import Network
from docker.types import IPAMConfig, IPAMPool
from pulumi.dynamic import (
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from infra import names
from infra.providers.local.daemon import daemon, foreign, is_ours, remove_network


@dataclass(frozen=True)
class NetworkSpec:
    """One network; `subnet` is an IPv4 CIDR whose first address is the Docker host's."""

    name: str
    subnet: str
    federation: str
    site: str


class NetworkProvider(ResourceProvider):
    """Creates, checks and removes networks; every property that changes replaces the network."""

    # Nothing secret is captured, and state without ciphers can be read and compared.
    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make the network, or adopt the one that a killed run made."""
        spec = _spec(props)
        with daemon(f"creating network {spec.name}") as client:
            network = _adoptable(client, spec) or _create(client, spec)
            return CreateResult(str(network.id), asdict(spec))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """See whether the network is still there."""
        spec = _spec(props)
        with daemon(f"looking at network {spec.name}") as client:
            try:
                client.networks.get(id_)
            except NotFound:
                return ReadResult("", {})
        return ReadResult(id_, asdict(spec))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """A network cannot change; it is replaced, and the old one goes first for its subnet."""
        changed = [key for key in asdict(_spec(_news)) if _olds.get(key) != _news.get(key)]
        return DiffResult(changes=bool(changed), replaces=changed, delete_before_replace=True)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Nothing can be updated in place."""
        return UpdateResult(asdict(_spec(_news)))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Remove the network; one that is gone already is fine."""
        with daemon(f"removing network {_props['name']}") as client:
            remove_network(client, _id)


class DockerNetwork(Resource, module="skerry", name="Network"):
    """A network in a stack."""

    def __init__(self, name: str, spec: NetworkSpec, opts: pulumi.ResourceOptions) -> None:
        """Register it under a logical name."""
        super().__init__(NetworkProvider(), name, asdict(spec), opts)


def _spec(props: dict[str, Any]) -> NetworkSpec:
    return NetworkSpec(**{key: props[key] for key in NetworkSpec.__dataclass_fields__})


def _adoptable(client: DockerClient, spec: NetworkSpec) -> Network | None:
    # The daemon's filter matches parts of names.
    for network in client.networks.list(names=[spec.name]):
        if network.name != spec.name:
            continue
        labels = network.attrs.get("Labels")
        if not is_ours(labels, spec.federation, spec.site):
            raise foreign("network", spec.name, labels)
        subnets = [pool["Subnet"] for pool in network.attrs["IPAM"]["Config"] or []]
        if subnets == [spec.subnet]:
            return network
        remove_network(client, str(network.id))
    return None


def _create(client: DockerClient, spec: NetworkSpec) -> Network:
    gateway = str(IPv4Network(spec.subnet)[1])
    return client.networks.create(
        spec.name,
        driver="bridge",
        labels=names.labels(spec.federation, spec.site),
        ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=spec.subnet, gateway=gateway)]),
        check_duplicate=True,
    )
