"""Machines that exist already: their facts come from the site's file and nothing is made."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from infra.errors import ProviderError
from infra.providers.base import Access, Capabilities, MachineFacts
from tosca.model import Machine, Site, StaticProvider


class StaticAdapter:
    """Describes machines; creating and removing them is somebody else's work."""

    kind = "static"
    capabilities = Capabilities(
        chooses_addresses=False, reports_host_keys=True, creates_machines=False
    )

    def networks(self, site: Site, opts: pulumi.ResourceOptions) -> Sequence[pulumi.Resource]:
        """Networks exist like the machines do."""
        del site, opts
        return ()

    def machine(
        self, site: Site, machine: Machine, access: Access, opts: pulumi.ResourceOptions
    ) -> pulumi.Output[MachineFacts]:
        """Look the machine up by name; raises ProviderError when the file lacks it."""
        del access, opts
        return pulumi.Output.from_input(facts(site, machine))


def facts(site: Site, machine: Machine) -> MachineFacts:
    """What the site's file says about one planned machine."""
    provider = site.provider
    known = provider.machines if isinstance(provider, StaticProvider) else {}
    where = f"inventories/{site.name}/site.yaml, provider.machines"
    if machine.name not in known:
        raise ProviderError(
            f"the site needs a machine {machine.name} that its file does not describe",
            where=where,
            remedy="add it with address, user and host_key, or lower the pool's count",
        )
    entry = known[machine.name]
    if machine.wide_area_address is not None and entry.wide_area_address is None:
        raise ProviderError(
            f"the machine {machine.name} must be reachable from other sites",
            where=where,
            remedy="add its wide_area_address",
        )
    return MachineFacts(
        name=machine.name,
        pool=machine.pool.value,
        private_address=entry.address,
        wide_area_address=entry.wide_area_address,
        ssh_user=entry.user,
        ssh_port=entry.port,
        ssh_host_key=entry.host_key,
    )


def adapter() -> StaticAdapter:
    """The provider of kind `static`."""
    return StaticAdapter()
