"""Machines that are systemd containers on this Docker host (design D4).

Nothing beyond this package knows that such a machine is not a cloud's.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from infra import names
from infra.providers.base import Access, Capabilities, MachineFacts
from infra.providers.local.container import need_image
from infra.providers.local.daemon import daemon, sweep
from infra.providers.local.machine import DockerMachine, MachineSpec
from infra.providers.local.network import DockerNetwork, NetworkSpec
from tosca.model import Machine, Site, SiteKind


class LocalAdapter:
    """Plans the Docker objects of a site; `network` and `machine` make them."""

    kind = "local"
    capabilities = Capabilities(
        chooses_addresses=True, reports_host_keys=True, creates_machines=True
    )

    def check(self, site: Site) -> None:
        """The images of the site's machines must be on this Docker host."""
        with daemon(f"looking for the images of {site.name}") as client:
            for image in sorted({names.host_image(machine.image) for machine in site.machines}):
                need_image(client, image, site.name)

    def sweep(self, federation: str, site: str | None = None) -> Sequence[str]:
        """Containers, volumes and networks are known by their labels."""
        return sweep(federation, site)

    def networks(self, site: Site, opts: pulumi.ResourceOptions) -> Sequence[pulumi.Resource]:
        """The site's own network; the control site owns the wide-area network as well."""
        return [
            DockerNetwork(logical_name, spec, opts)
            for logical_name, spec in network_specs(site).items()
        ]

    def machine(
        self, site: Site, machine: Machine, access: Access, opts: pulumi.ResourceOptions
    ) -> pulumi.Output[MachineFacts]:
        """One container, up and answering to SSH."""
        resource = DockerMachine(machine.name, machine_spec(site, machine, access), opts)
        return pulumi.Output.all(
            port=resource.ssh_port, key=resource.ssh_host_key, name=machine.name
        ).apply(
            lambda made: MachineFacts(
                name=made["name"],
                pool=machine.pool.value,
                private_address=machine.private_address,
                wide_area_address=machine.wide_area_address,
                ssh_user=names.OPERATOR_USER,
                ssh_port=int(made["port"]),
                ssh_host_key=made["key"],
            ),
        )


def network_specs(site: Site) -> dict[str, NetworkSpec]:
    """The networks that a site's stack owns, by logical name."""
    federation = site.federation
    specs = {
        "private": NetworkSpec(
            name=names.private_network(federation.name, site.name),
            subnet=str(site.network.private_cidr),
            federation=federation.name,
            site=site.name,
        ),
    }
    if site.kind is SiteKind.CONTROL:
        specs["wide-area"] = NetworkSpec(
            name=names.wide_area_network(federation.name),
            subnet=str(federation.wide_area_cidr),
            federation=federation.name,
            site=site.name,
        )
    return specs


def machine_spec(site: Site, machine: Machine, access: Access) -> MachineSpec:
    """What one machine is made from. Its disk is the Docker host's and has no limit of its own."""
    federation = site.federation.name
    addresses = {names.private_network(federation, site.name): machine.private_address}
    if machine.wide_area_address is not None:
        addresses[names.wide_area_network(federation)] = machine.wide_area_address
    return MachineSpec(
        name=names.machine_container(federation, machine.name),
        hostname=machine.name,
        federation=federation,
        site=site.name,
        image=names.host_image(machine.image),
        cpus=machine.size.cpus,
        memory_mib=machine.size.memory_mib,
        addresses=addresses,
        volume=names.machine_volume(federation, machine.name),
        user=names.OPERATOR_USER,
        public_key=access.public_key,
        start_timeout_s=access.start_timeout_s,
    )


def adapter() -> LocalAdapter:
    """The provider of kind `local`."""
    return LocalAdapter()
