"""The networks that a site's stack owns."""

from __future__ import annotations

import pulumi

from infra.providers.base import Provider
from tosca.model import Site


class SiteNetwork(pulumi.ComponentResource):
    """A site's own network; with the control site also the wide-area network of all sites."""

    members: tuple[pulumi.Resource, ...]
    """What machines wait for before they attach; empty when the provider makes no networks."""

    def __init__(
        self, site: Site, *, provider: Provider, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Make the networks through the provider."""
        super().__init__("skerry:infra:SiteNetwork", site.name, None, opts)
        self.members = tuple(provider.networks(site, pulumi.ResourceOptions(parent=self)))
        self.register_outputs(
            {
                "private_cidr": str(site.network.private_cidr),
                "wide_area_cidr": str(site.network.wide_area_cidr),
            },
        )
