"""What every provider of machines offers, and what it says about itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol, TypedDict

import pulumi

from tosca.model import Machine, Site


@dataclass(frozen=True)
class Capabilities:
    """Facts that decide how the rest of the code treats a provider; never its name."""

    chooses_addresses: bool
    """Machines get the addresses that the site planned; otherwise the provider's own."""
    reports_host_keys: bool
    """A machine's public SSH host key is known before the first login."""
    creates_machines: bool
    """Machines come and go with the stack; otherwise they exist already and stay."""

    def facts(self) -> dict[str, bool]:
        """The same as plain values, as a stack exports them."""
        return asdict(self)


@dataclass(frozen=True)
class Access:
    """How the operator gets into a new machine, and how long one may take to answer (seconds)."""

    public_key: str
    start_timeout_s: int


class MachineFacts(TypedDict):
    """One machine as it really is; the unit of a stack's outputs."""

    name: str
    pool: str
    private_address: str
    wide_area_address: str | None
    ssh_user: str
    ssh_port: int
    ssh_host_key: str


class Provider(Protocol):
    """The calls a component makes; each child resource gets the component as its parent."""

    @property
    def kind(self) -> str:
        """The name under which a site's file asks for this provider."""

    @property
    def capabilities(self) -> Capabilities:
        """See `Capabilities`."""

    def check(self, site: Site) -> None:
        """See that this machine has what making the site takes; raises ProviderError."""

    def sweep(self, federation: str, site: str | None = None) -> Sequence[str]:
        """Remove what no stack knows of, of one site or all; say what. Raises ProviderError."""

    def networks(self, site: Site, opts: pulumi.ResourceOptions) -> Sequence[pulumi.Resource]:
        """Make what machines of this site attach to; the control site also owns what is shared."""

    def machine(
        self, site: Site, machine: Machine, access: Access, opts: pulumi.ResourceOptions
    ) -> pulumi.Output[MachineFacts]:
        """Make or describe one machine that answers to SSH."""
