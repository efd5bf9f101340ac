"""What a site is made of, as Pulumi components that know no provider."""

from __future__ import annotations

from infra.components.machine_pool import MachinePool
from infra.components.site_network import SiteNetwork

__all__ = ["MachinePool", "SiteNetwork"]
