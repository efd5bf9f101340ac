"""The machines and networks of the site that the stack is named after."""

from __future__ import annotations

import pulumi

from infra import settings
from infra.components import MachinePool, SiteNetwork
from infra.errors import InfraError
from infra.providers import provider_for
from infra.providers.base import Access
from infra.sites import load_site
from tosca.errors import ToscaError
from tosca.model import PoolKind


def main() -> None:
    """Declare the site and export what an inventory is built from."""
    here, stack = settings.load(), settings.stack_settings()
    site = load_site(here.inventories, stack.site)
    provider = provider_for(site.provider.kind)
    makes = provider.capabilities.creates_machines
    access = Access(
        public_key=settings.read_public_key(here) if makes else "",
        start_timeout_s=stack.start_timeout_s,
    )
    network = SiteNetwork(site, provider=provider)
    pools = [
        MachinePool(site, kind, network=network, access=access, provider=provider)
        for kind in PoolKind
    ]
    pulumi.export(
        "site",
        {
            "machines": pulumi.Output.all(*(m for pool in pools for m in pool.machines)),
            "provider": {"kind": provider.kind, **provider.capabilities.facts()},
        },
    )


try:
    main()
except (InfraError, ToscaError) as error:
    # A person needs the message; RunError leaves the stack trace out.
    raise pulumi.RunError(str(error)) from error
