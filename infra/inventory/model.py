"""What playbooks may rely on: the shape of a stack's output and of an inventory file."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tosca.model import Mode, PoolKind, SiteKind

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Address = Annotated[str, Field(min_length=1)]
HostKey = Annotated[str, StringConstraints(pattern=r"^(ssh|ecdsa|sk)-[a-z0-9@.-]+ \S+$")]


class Model(BaseModel):
    """Closed and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MachineOutput(Model):
    """One machine as the provider made or found it."""

    name: str
    pool: PoolKind
    private_address: Address
    wide_area_address: Address | None
    ssh_user: str
    ssh_port: int = Field(ge=1, le=65535)
    ssh_host_key: HostKey


class ProviderOutput(Model):
    """The provider's kind and capability facts (infra.providers.base.Capabilities)."""

    kind: str
    chooses_addresses: bool
    reports_host_keys: bool
    creates_machines: bool


class SiteOutputs(Model):
    """The `site` output of a stack."""

    machines: tuple[MachineOutput, ...]
    provider: ProviderOutput


class Server(Model):
    """A machine that other machines must find; `wide_area_address` is null off the wide area."""

    name: str
    private_address: Address
    wide_area_address: Address | None


class HostVars(Model):
    """What is known of one host; sizes are whole cores, MiB, GiB and GPUs."""

    ansible_host: str
    ansible_port: int
    ansible_user: str
    fed_pool: PoolKind
    fed_index: int = Field(ge=1)
    fed_private_address: Address
    fed_wide_area_address: Address | None = None
    fed_size_cpus: int = Field(ge=1)
    fed_size_memory_mib: int = Field(ge=1)
    fed_size_disk_gib: int = Field(ge=1)
    fed_size_gpus: int = Field(ge=0)


class SiteVars(Model):
    """What all hosts of a site share; on the site's group, so that sites can be merged."""

    ansible_ssh_private_key_file: str
    ansible_ssh_common_args: str
    fed_site: str
    fed_site_kind: SiteKind
    fed_name: str
    fed_domain: str
    fed_mode: Mode
    fed_control_site: str
    fed_control_address: ipaddress.IPv4Address
    fed_wide_area_cidr: ipaddress.IPv4Network
    fed_private_cidr: ipaddress.IPv4Network
    fed_site_wide_area_cidr: ipaddress.IPv4Network
    fed_communities: tuple[str, ...]
    fed_server_count: int = Field(ge=0)
    fed_servers: tuple[Server, ...]
    fed_edges: tuple[Server, ...]
    fed_inventory_parts: dict[str, str] = Field(default_factory=dict)
    """Short digest of each host, group and site variable: tells what was changed by hand."""
    fed_inventory_sha256: Sha256 | None = None


class SiteGroup(Model):
    """The group `site_<name>` with every host of the site."""

    vars: SiteVars
    hosts: dict[str, HostVars]


class RoleGroup(Model):
    """A group named after the role that its hosts play; its hosts are described elsewhere."""

    hosts: dict[str, None]


class All(Model):
    """Ansible's root group; no variable stands here."""

    children: dict[str, SiteGroup | RoleGroup]


class Inventory(Model):
    """The content of inventories/<site>/hosts.yml."""

    all: All

    def document(self) -> dict[str, Any]:
        """Plain values in the order in which a person reads them; absent values are left out."""
        plain: dict[str, Any] = self.model_dump(mode="json")
        for group in plain["all"]["children"].values():
            if "vars" in group:
                group["vars"] = {k: v for k, v in group["vars"].items() if v is not None}
                for name, host in group["hosts"].items():
                    group["hosts"][name] = {k: v for k, v in host.items() if v is not None}
            else:
                group["hosts"] = dict.fromkeys(group["hosts"])
        return plain

    @property
    def site_group(self) -> SiteGroup:
        """The one group that carries variables."""
        return next(g for g in self.all.children.values() if isinstance(g, SiteGroup))
