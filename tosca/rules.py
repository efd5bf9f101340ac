"""What must hold of a site and a federation beyond the form of their files."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tosca.errors import Location, Problems, nearest
from tosca.model import Machine, Mode, PoolKind, SiteKind
from tosca.nodes import Map, Node, Scalar, Seq

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tosca.model import Federation, ListedMachine, Site

_WIDE_AREA_POOLS = {PoolKind.SERVER, PoolKind.EDGE}


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts of a site were written, which is where a complaint about them points."""

    root: Map
    private: Location
    wide_area: Location
    communities: Node

    def of(self, *keys: str) -> Location:
        """Give the place of a value in site.yaml, as near as it is there."""
        node: Node = self.root
        place = self.root.location
        for key in keys:
            if not isinstance(node, Map) or key not in node.entries:
                break
            place, node = node.keys[key], node.entries[key]
        return place


def check_federation(federation: Federation, root: Map, problems: Problems) -> None:
    """Report what contradicts itself in federation.yaml."""
    places = Places(root, root.location, root.location, root)
    if federation.control_address not in federation.wide_area_cidr:
        message = f"control_address {federation.control_address} is not in wide_area_cidr"
        remedy = f"take an address of {federation.wide_area_cidr}"
        problems.error(places.of("control_address"), message, remedy, "address")
    if federation.control_site in federation.sites:
        message = f"sites names the control site {federation.control_site}"
        problems.error(places.of("sites"), message, "drop it there", "duplicate-name")
    for key, names in (("sites", federation.sites), ("communities", federation.communities)):
        _unique(names, places.of(key), key, problems)


def check_name(name: str, where: Location, folder: str, problems: Problems) -> None:
    """Report a site that is not called as its folder."""
    if name != folder:
        message = f"the site is called {name}, its folder {folder}"
        problems.error(where, message, "give both the same name", "site-name")


def read_cidr(node: Node | None, what: str, problems: Problems) -> ipaddress.IPv4Network | None:
    """Read an IPv4 network; report an address with host bits, or what is no network at all."""
    if not isinstance(node, Scalar):
        return None
    try:
        return ipaddress.IPv4Network(node.text)
    except ValueError:
        pass
    try:
        network = ipaddress.IPv4Network(node.text, strict=False)
        message = f"{what}: {node.text} is a host inside the network {network}"
        problems.error(node.location, message, f"write {network}", "cidr")
    except ValueError as error:
        message = f"{what}: {node.text} is not an IPv4 network"
        problems.error(node.location, message, str(error), "cidr")
    return None


def check_site(site: Site, places: Places, problems: Problems) -> None:
    """Report what does not fit the federation, and machines that cannot be had."""
    federation = site.federation
    wide, private = site.network.wide_area_cidr, site.network.private_cidr
    if not wide.subnet_of(federation.wide_area_cidr):
        message = f"{wide} is not inside the federation's {federation.wide_area_cidr}"
        problems.error(places.wide_area, message, "take a free block of it", "address")
    if private.overlaps(federation.wide_area_cidr):
        message = f"{private} overlaps the federation's {federation.wide_area_cidr}"
        problems.error(places.private, message, "take a network of its own", "overlap")
    is_control = site.name == federation.control_site
    if is_control != (site.kind is SiteKind.CONTROL):
        message = f"the template makes a {site.kind} site, but control_site is " + (
            "this one" if is_control else federation.control_site
        )
        remedy = "use control_site" if is_control else "use federated_site"
        problems.error(places.of("template"), message, remedy, "site-kind")
    _communities(site, places, problems)
    machines = _machines(site, places, problems)
    if site.provider.listed is not None and machines:
        _listed(site, site.provider.listed, machines, places, problems)
    if is_control:
        _control_address(site, machines, places, problems)


def _communities(site: Site, places: Places, problems: Problems) -> None:
    known = site.federation.communities
    items = places.communities.items if isinstance(places.communities, Seq) else ()
    for item in items:
        if isinstance(item, Scalar) and item.text not in known:
            message = f"the federation has no community {item.text}"
            problems.error(item.location, message, nearest(item.text, known), "unknown-community")
    _unique(site.communities, places.of("inputs", "communities"), "communities", problems)


def _unique(names: Sequence[str], where: Location, what: str, problems: Problems) -> None:
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.error(where, f"{what} names {name} twice", "keep one", "duplicate-name")


def _machines(site: Site, places: Places, problems: Problems) -> tuple[Machine, ...]:
    """Plan the machines; report the network that has too few addresses for them."""
    try:
        machines = site.machines
    except IndexError:
        machines = ()
    last_private = str(site.network.private_cidr.broadcast_address)
    last_wide = str(site.network.wide_area_cidr.broadcast_address)
    beyond = [
        machine.name
        for machine in machines
        if machine.private_address == last_private or machine.wide_area_address == last_wide
    ]
    if machines and not beyond:
        return machines
    private_bits, wide_bits = 24, 28
    if site.network.private_cidr.prefixlen > private_bits:
        message = f"{site.network.private_cidr} has too few addresses for the site's machines"
        problems.error(places.private, message, f"take a /{private_bits}", "address-room")
    if site.network.wide_area_cidr.prefixlen > wide_bits:
        message = f"{site.network.wide_area_cidr} has too few addresses for servers and edge"
        problems.error(places.wide_area, message, f"take a /{wide_bits}", "address-room")
    return ()


def _listed(
    site: Site,
    listed: Mapping[str, ListedMachine],
    machines: tuple[Machine, ...],
    places: Places,
    problems: Problems,
) -> None:
    """Report machines that are missing, left over or without a way in from other sites."""
    planned = {machine.name: machine for machine in machines}
    for name in planned.keys() - listed.keys():
        message = f"the plan has a machine {name}, the provider has none of that name"
        remedy = f"add {name}, or ask for fewer machines"
        problems.error(places.of("provider", "machines"), message, remedy, "missing-machine")
    for name in listed.keys() - planned.keys():
        message = f"the provider has a machine {name}, the plan has none of that name"
        where = places.of("provider", "machines", name)
        problems.error(where, message, nearest(name, planned), "unknown-machine")
    seen: dict[str, str] = {}
    for name, machine in listed.items():
        where = places.of("provider", "machines", name)
        first = seen.setdefault(machine.address, name)
        if first != name:
            message = f"{name} and {first} have the same address"
            problems.error(where, message, "give each its own", "duplicate-address")
        needs_wide = name in planned and planned[name].pool in _WIDE_AREA_POOLS
        federated = site.federation.mode is Mode.FEDERATED
        if federated and needs_wide and machine.wide_area_address is None:
            message = f"{name} has no wide_area_address, which other sites reach it by"
            problems.error(where, message, "add `wide_area_address:`", "missing-key")


def _control_address(
    site: Site, machines: tuple[Machine, ...], places: Places, problems: Problems
) -> None:
    """Report a control site whose first server is not where the federation looks for it."""
    first = next((machine for machine in machines if machine.pool is PoolKind.SERVER), None)
    if first is None:
        return
    address = first.wide_area_address
    if site.provider.listed is not None:
        listed = site.provider.listed.get(first.name)
        address = listed.wide_area_address if listed else None
    wanted = str(site.federation.control_address)
    if address is not None and address != wanted:
        message = f"{first.name} gets {address}, the federation's control_address is {wanted}"
        problems.error(places.wide_area, message, "make them agree", "control-address")


def check_sites(sites: Sequence[tuple[Site, Places]], problems: Problems) -> None:
    """Report names and networks that two sites claim."""
    seen: dict[str, Places] = {}
    for site, places in sites:
        first = seen.setdefault(site.name, places)
        if first is not places:
            message = f"a site called {site.name} is there already, in {first.root.location.file}"
            problems.error(places.of("name"), message, "rename one", "duplicate-name")
    private = [(site.network.private_cidr, site, places.private) for site, places in sites]
    wide = [(site.network.wide_area_cidr, site, places.wide_area) for site, places in sites]
    _disjoint(private, problems)
    _disjoint(wide, problems)


def _disjoint(
    claims: list[tuple[ipaddress.IPv4Network, Site, Location]], problems: Problems
) -> None:
    """Report networks that overlap one before them, by address; linear but for the sorting."""
    ordered = sorted(claims, key=lambda claim: (claim[0], claim[2]))
    if not ordered:
        return
    furthest = ordered[0]
    for claim in ordered[1:]:
        network, _, place = claim
        if network.overlaps(furthest[0]):
            message = f"{network} overlaps {furthest[0]} of site {furthest[1].name}"
            problems.error(place, message, "take a free one", "overlap")
        if network.broadcast_address > furthest[0].broadcast_address:
            furthest = claim
