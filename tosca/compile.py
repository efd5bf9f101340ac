"""site.yaml + federation.yaml + template -> Site.

The Site is read off the node templates of the resolved template, by their types; what a template
calls its nodes and inputs is its own business.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

from tosca import rules
from tosca.errors import Location, Problems, nearest
from tosca.files import SiteFile, read_model
from tosca.load import TEMPLATES, catalogue, read_source
from tosca.model import Federation, Network, Pool, PoolKind, Provider, Site, SiteKind, Size
from tosca.nodes import Map, Node, Scalar, Seq, describe
from tosca.provider import read_provider
from tosca.resolve import ResolvedNode, Topology, resolve
from tosca.scalars import quantity, whole_gib, whole_mib
from tosca.template import read_template

if TYPE_CHECKING:
    from pathlib import Path

    from tosca.catalogue import Catalogue

_POOLS: Final = {
    "skerry.nodes.ServerPool": PoolKind.SERVER,
    "skerry.nodes.CpuPool": PoolKind.CPU,
    "skerry.nodes.GpuPool": PoolKind.GPU,
    "skerry.nodes.EdgePool": PoolKind.EDGE,
}


def load_federation(path: Path) -> Federation:
    """Read federation.yaml.

    Raises ToscaError with everything wrong in the file, each with its place.
    """
    problems = Problems()
    federation, root = read_model(path, Federation, problems)
    if federation is not None and root is not None:
        rules.check_federation(federation, root, problems)
    problems.raise_errors()
    assert federation is not None  # noqa: S101 - read_model reports every reason for None
    return federation


def compile_site(site_dir: Path, federation: Federation) -> Site:
    """Compile `site_dir`/site.yaml.

    Raises ToscaError with everything wrong in the file or in its template, each with its place.
    """
    problems = Problems()
    compiled = _compile(site_dir, federation, problems)
    problems.raise_errors()
    assert compiled is not None  # noqa: S101 - _compile reports every reason for None
    return compiled[0]


def load_sites(inventories: Path) -> tuple[Federation, tuple[Site, ...]]:
    """Compile the federation and every folder beside federation.yaml that has a site.yaml.

    Raises ToscaError with everything wrong in any of the files, overlaps between sites included.
    """
    federation = load_federation(inventories / "federation.yaml")
    problems = Problems()
    found = [
        _compile(path.parent, federation, problems)
        for path in sorted(inventories.glob("*/site.yaml"))
    ]
    compiled = [one for one in found if one is not None]
    rules.check_sites(compiled, problems)
    problems.raise_errors()
    return federation, tuple(site for site, _ in compiled)


def _compile(
    site_dir: Path, federation: Federation, problems: Problems
) -> tuple[Site, rules.Places] | None:
    before = problems.mark()
    path = site_dir / "site.yaml"
    written, root = read_model(path, SiteFile, problems)
    if written is None or root is None:
        return None
    rules.check_name(written.name, root.entries["name"].location, site_dir.resolve().name, problems)
    templates = sorted(one.stem for one in TEMPLATES.glob("*.yaml"))
    if written.template not in templates:
        where = root.entries["template"].location
        message = f"no template is called {written.template!r}"
        problems.error(where, message, nearest(written.template, templates), "unknown-template")
        return None
    given = root.get("inputs")
    inputs = given if isinstance(given, Map) else Map({}, {}, root.at("inputs"))
    builder = _resolve(TEMPLATES / f"{written.template}.yaml", inputs, problems)
    if builder is None:
        return None
    provider = read_provider(root, builder.types, problems)
    if provider is None or problems.errors_since(before):
        return None
    compiled = builder.site(written, provider, federation, root)
    if compiled is not None:
        rules.check_site(*compiled, problems)
    return None if problems.errors_since(before) else compiled


def _resolve(path: Path, given: Map, problems: Problems) -> _Builder | None:
    source = read_source(path, problems)
    if source is None or source.root is None:
        return None
    types = catalogue(path, source, {}, problems)
    template = read_template(source.root, problems)
    if template is None:
        problems.error(Location(str(path)), "the template has no topology_template", code="shape")
        return None
    topology = resolve(template, types, given, problems)
    return _Builder(topology, template.location, types, problems)


class _Builder:
    """Reads a site off a resolved template."""

    def __init__(
        self, topology: Topology, place: Location, types: Catalogue, problems: Problems
    ) -> None:
        self._topology = topology
        self._place = place
        self.types = types
        self._problems = problems

    def site(
        self, written: SiteFile, provider: Provider, federation: Federation, root: Map
    ) -> tuple[Site, rules.Places] | None:
        site = self._only("skerry.nodes.Site")
        if site is None:
            return None
        private, wide_area = self._cidr(site, "private"), self._cidr(site, "wide_area")
        private_cidr = rules.read_cidr(private, "private network", self._problems)
        wide_area_cidr = rules.read_cidr(wide_area, "wide-area network", self._problems)
        pools = tuple(
            pool for name, kind in _POOLS.items() if (pool := self._pool(name, kind)) is not None
        )
        communities = site.properties["communities"]
        if private_cidr is None or wide_area_cidr is None or private is None or wide_area is None:
            return None
        items = communities.items if isinstance(communities, Seq) else ()
        compiled = Site(
            name=written.name,
            kind=SiteKind(self._text(site.properties["kind"])),
            federation=federation,
            provider=provider,
            network=Network(private_cidr=private_cidr, wide_area_cidr=wide_area_cidr),
            communities=tuple(self._text(item) for item in items),
            pools=pools,
        )
        return compiled, rules.Places(root, private.location, wide_area.location, communities)

    def _only(self, type_name: str, least: int = 1) -> ResolvedNode | None:
        """Give the node of a type; report when there is none though there must be, or several."""
        found = [
            node
            for node in self._topology.nodes.values()
            if self.types.is_a("node", node.type, type_name)
        ]
        if len(found) > 1 or len(found) < least:
            where = found[1].location if found else self._place
            message = f"the template has {len(found)} nodes of type {type_name}, one was expected"
            self._problems.error(where, message, code="site-shape")
        return found[0] if found else None

    def _cidr(self, site: ResolvedNode, requirement: str) -> Node | None:
        """Give the CIDR of the network that a requirement of the site leads to."""
        for name, target in site.requirements:
            if name == requirement:
                return self._topology.nodes[target].properties["cidr"]
        message = f"the site has no requirement {requirement}"
        self._problems.error(site.location, message, f"add `- {requirement}:`", "site-shape")
        return None

    def _pool(self, type_name: str, kind: PoolKind) -> Pool | None:
        node = self._only(type_name, least=1 if kind is PoolKind.SERVER else 0)
        if node is None:
            return None
        host = node.capabilities["host"]
        enabled = node.properties["enabled"]
        count = self._number(node.capabilities["scalable"]["count"])
        return Pool(
            kind=kind,
            count=count if isinstance(enabled, Scalar) and enabled.value else 0,
            size=Size(
                cpus=self._number(host["num_cpus"]),
                memory_mib=whole_mib(self._size(host["mem_size"])),
                disk_gib=whole_gib(self._size(host["disk_size"])),
                gpus=self._number(host["num_gpus"]),
            ),
            image=self._text(node.capabilities["os"]["image"]),
        )

    def _known(self, node: Node) -> Scalar:
        if isinstance(node, Scalar):
            return node
        message = f"{describe(node)} is known only at run time, a site needs it before"
        self._problems.error(node.location, message, code="site-shape")
        return Scalar(1, "1 GiB", node.location)

    def _number(self, node: Node) -> int:
        value = self._known(node).value
        return value if isinstance(value, int) else 1

    def _size(self, node: Node) -> Fraction:
        return quantity("scalar-unit.size", self._known(node).text) or Fraction(1)

    def _text(self, node: Node) -> str:
        return self._known(node).text
