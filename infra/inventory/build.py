"""From a site and what its stack made to an inventory. Pure: same input, same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import ValidationError

from infra.errors import InventoryError
from infra.inventory.integrity import digest, part_digests
from infra.inventory.model import (
    All,
    HostVars,
    Inventory,
    MachineOutput,
    RoleGroup,
    Server,
    SiteGroup,
    SiteOutputs,
    SiteVars,
)
from tosca.model import Machine, PoolKind, Site, SiteKind

DEFAULT_KEY_FILE = "~/.local/state/skerry/ssh/id_ed25519"
_HEADER = """\
# generated from the stack of site {site}; do not edit: playbooks refuse a changed file
# change inventories/{site}/site.yaml and run the stack's inventory step again
"""
# The inner quotes are for ssh, whose own parser splits a path at its spaces.
_COMMON_ARGS = (
    "-o 'UserKnownHostsFile=\"{{ inventory_dir }}/known_hosts\"' -o StrictHostKeyChecking=yes"
)
_WORKERS = frozenset({PoolKind.CPU, PoolKind.GPU})
_Rule = Callable[[Site, Machine], bool]
_GROUPS: Mapping[str, _Rule] = {
    "os_hardening": lambda _site, _machine: True,
    "pki_trust": lambda _site, _machine: True,
    "vault_server": lambda site, machine: (
        site.kind is SiteKind.CONTROL and machine.pool is PoolKind.SERVER
    ),
    "consul_server": lambda _site, machine: machine.pool is PoolKind.SERVER,
    "consul_client": lambda _site, machine: machine.pool is not PoolKind.SERVER,
    "nomad_server": lambda _site, machine: machine.pool is PoolKind.SERVER,
    "nomad_client": lambda _site, machine: machine.pool in _WORKERS,
    "container_runtime": lambda _site, machine: machine.pool in _WORKERS,
    "edge": lambda _site, machine: machine.pool is PoolKind.EDGE,
}


def parse_outputs(outputs: object, *, site: str) -> SiteOutputs:
    """Check the stack outputs of a site (`pulumi stack output --json`); raises InventoryError."""
    value = outputs.get("site") if isinstance(outputs, Mapping) else None
    if value is None:
        raise InventoryError(
            "the stack has no output named site",
            where=f"stack {site}",
            remedy="run `pulumi up` for this stack; its last run did not finish",
        )
    try:
        return SiteOutputs.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        raise InventoryError(
            f"the stack's output site.{path} is not usable: {first['msg']}",
            where=f"stack {site}",
            remedy="run `pulumi up` for this stack with this version of the program",
        ) from error


def build(site: Site, outputs: SiteOutputs, *, key_file: str = DEFAULT_KEY_FILE) -> Inventory:
    """Describe the machines that exist by the site's plan.

    `key_file` is the operator's private key, as a path that may begin with `~`. Raises
    InventoryError when stack and plan do not name the same machines.
    """
    made = {machine.name: machine for machine in outputs.machines}
    _same_machines(site, made)
    hosts = {
        machine.name: _host(machine, made[machine.name])
        for machine in sorted(site.machines, key=lambda machine: machine.name)
    }
    unsigned = _inventory(site, hosts, _site_vars(site, made, key_file))
    parts = part_digests(unsigned.document())
    signed = unsigned.site_group.vars.model_copy(update={"fed_inventory_parts": parts})
    total = digest(_inventory(site, hosts, signed).document())
    signed = signed.model_copy(update={"fed_inventory_sha256": total})
    return _inventory(site, hosts, signed)


def known_hosts(outputs: SiteOutputs) -> str:
    """The lines by which SSH knows the site's machines, one per machine, sorted by name."""
    lines = [f"# generated with hosts.yml; do not edit\n"]  # noqa: F541
    for machine in sorted(outputs.machines, key=lambda machine: machine.name):
        address = machine.private_address
        host = address if machine.ssh_port == 22 else f"[{address}]:{machine.ssh_port}"  # noqa: PLR2004
        lines.append(f"{host} {machine.ssh_host_key}\n")
    return "".join(lines)


def header(site: str) -> str:
    """The first lines of an inventory file."""
    return _HEADER.format(site=site)


def _same_machines(site: Site, made: Mapping[str, MachineOutput]) -> None:
    planned = {machine.name for machine in site.machines}
    missing, extra = sorted(planned - made.keys()), sorted(made.keys() - planned)
    if missing or extra:
        parts = [f"lacks {', '.join(missing)}"] if missing else []
        parts += [f"has {', '.join(extra)} beside the plan"] if extra else []
        raise InventoryError(
            f"the stack {' and '.join(parts)}",
            where=f"stack {site.name} against inventories/{site.name}/site.yaml",
            remedy="run `pulumi up` for this stack: its file changed since the last run",
        )


def _inventory(site: Site, hosts: Mapping[str, HostVars], variables: SiteVars) -> Inventory:
    children: dict[str, SiteGroup | RoleGroup] = {
        f"site_{site.name}": SiteGroup(vars=variables, hosts=dict(hosts)),
    }
    for group, belongs in _GROUPS.items():
        members = sorted(m.name for m in site.machines if belongs(site, m))
        if members:
            children[group] = RoleGroup(hosts=dict.fromkeys(members))
    return Inventory(all=All(children=children))


def _host(machine: Machine, made: MachineOutput) -> HostVars:
    return HostVars(
        ansible_host=made.private_address,
        ansible_port=made.ssh_port,
        ansible_user=made.ssh_user,
        fed_pool=machine.pool,
        fed_index=machine.index,
        fed_private_address=made.private_address,
        fed_wide_area_address=made.wide_area_address,
        fed_size_cpus=machine.size.cpus,
        fed_size_memory_mib=machine.size.memory_mib,
        fed_size_disk_gib=machine.size.disk_gib,
        fed_size_gpus=machine.size.gpus,
    )


def _site_vars(site: Site, made: Mapping[str, MachineOutput], key_file: str) -> SiteVars:
    federation = site.federation
    servers = _of_pool(site, made, PoolKind.SERVER)
    return SiteVars(
        ansible_ssh_private_key_file=key_file,
        ansible_ssh_common_args=_COMMON_ARGS,
        fed_site=site.name,
        fed_site_kind=site.kind,
        fed_name=federation.name,
        fed_domain=federation.domain,
        fed_mode=federation.mode,
        fed_control_site=federation.control_site,
        fed_control_address=federation.control_address,
        fed_wide_area_cidr=federation.wide_area_cidr,
        fed_private_cidr=site.network.private_cidr,
        fed_site_wide_area_cidr=site.network.wide_area_cidr,
        fed_communities=site.communities,
        fed_server_count=len(servers),
        fed_servers=servers,
        fed_edges=_of_pool(site, made, PoolKind.EDGE),
    )


def _of_pool(site: Site, made: Mapping[str, MachineOutput], pool: PoolKind) -> tuple[Server, ...]:
    return tuple(
        Server(
            name=machine.name,
            private_address=made[machine.name].private_address,
            wide_area_address=made[machine.name].wide_area_address,
        )
        for machine in site.machines
        if machine.pool is pool
    )
