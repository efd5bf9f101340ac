"""The machines of one kind in a site."""

from __future__ import annotations

import pulumi

from infra.components.site_network import SiteNetwork
from infra.providers.base import Access, MachineFacts, Provider
from tosca.model import PoolKind, Site


class MachinePool(pulumi.ComponentResource):
    """Every machine of one pool; a pool without machines is an ordinary one."""

    machines: tuple[pulumi.Output[MachineFacts], ...]
    """Facts of each machine in order, known once it answers to SSH."""

    def __init__(
        self,
        site: Site,
        pool: PoolKind,
        *,
        network: SiteNetwork,
        access: Access,
        provider: Provider,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make or describe the machines through the provider."""
        super().__init__("skerry:infra:MachinePool", f"{site.name}-{pool}", None, opts)
        child = pulumi.ResourceOptions(parent=self, depends_on=list(network.members))
        self.machines = tuple(
            provider.machine(site, machine, access, child)
            for machine in site.machines
            if machine.pool is pool
        )
        self.register_outputs({"machines": pulumi.Output.all(*self.machines)})
