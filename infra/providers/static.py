"""Machines that exist already: their facts come from the site's file and nothing is made."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from infra.providers.base import Access, Capabilities, MachineFacts
from tosca.model import Machine, Site


class StaticAdapter:
    """Describes machines; creating and removing them is somebody else's work."""

    kind = "static"
    capabilities = Capabilities(
        chooses_addresses=False, reports_host_keys=True, creates_machines=False
    )

    def check(self, site: Site) -> None:
        """Nothing is made, so nothing is needed."""

    def sweep(self, federation: str, site: str | None = None) -> Sequence[str]:
        """Nothing was made, so nothing is left."""
        del federation, site
        return ()

    def networks(self, site: Site, opts: pulumi.ResourceOptions) -> Sequence[pulumi.Resource]:
        """Networks exist like the machines do."""
        del site, opts
        return ()

    def machine(
        self, site: Site, machine: Machine, access: Access, opts: pulumi.ResourceOptions
    ) -> pulumi.Output[MachineFacts]:
        """Look the machine up by name."""
        del access, opts
        return pulumi.Output.from_input(facts(site, machine))


def facts(site: Site, machine: Machine) -> MachineFacts:
    """What the site's file says about one planned machine; compiling the file saw to it."""
    entry = site.provider.settings["machines"][machine.name]
    return MachineFacts(
        name=machine.name,
        pool=machine.pool.value,
        private_address=entry["address"],
        wide_area_address=entry.get("wide_area_address"),
        ssh_user=entry["user"],
        ssh_port=entry["port"],
        ssh_host_key=entry["host_key"],
    )


def adapter() -> StaticAdapter:
    """The provider of kind `static`."""
    return StaticAdapter()
