"""`python -m infra.federation_map [FILE.svg]`: a drawing of the federation, from its inventories.

For people who would rather look: sites, hosts, what runs on them, and how they reach each other.
One self-contained file without scripts or fonts of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import yaml
from pydantic import ValidationError

from infra import settings
from infra.errors import InfraError, InventoryError
from infra.files import write_atomic
from infra.inventory.model import HostVars, Inventory, SiteVars
from tosca.model import Mode, PoolKind, SiteKind

_WIDTH = 1200
_MARGIN = 40
_GAP = 24
_COLUMNS = 3
_CARD = (_WIDTH - 2 * _MARGIN - (_COLUMNS - 1) * _GAP) / _COLUMNS
_PAD = 16
_HOST_GAP = 10
_HOST_WIDTH = (_CARD - 2 * _PAD - _HOST_GAP) / 2
_HOST_HEIGHT = 80
_MOST_ACROSS = 6
_CARD_HEAD = 84
_HEADER = 104
_BUS = 46
_MOST_HOSTS_PER_POOL = 6
_INK, _SOFT, _LINE, _PAPER, _WIDE = "#1f2a37", "#5b6775", "#d5dbe3", "#f5f7fa", "#0f6e84"
_COLOURS = {
    PoolKind.SERVER: ("#e7edfb", "#3a5bbf"),
    PoolKind.CPU: ("#e6f4ea", "#2f7d4f"),
    PoolKind.GPU: ("#f3e8fb", "#7a3fb0"),
    PoolKind.EDGE: ("#fdeee0", "#b35c12"),
}
_POOL_WORDS = {
    PoolKind.SERVER: "server: decides and remembers",
    PoolKind.CPU: "worker",
    PoolKind.GPU: "worker with GPUs",
    PoolKind.EDGE: "edge: way in for web traffic",
}
_ROLE_WORDS = {
    "vault_server": "Vault",
    "consul_server": "Consul",
    "nomad_server": "Nomad",
    "nomad_client": "Nomad client",
    "container_runtime": "Docker",
    "edge": "Traefik",
}
_STYLE = f"""\
text {{
  font-family: system-ui, 'Segoe UI', Roboto, 'Liberation Sans', 'DejaVu Sans', sans-serif;
  fill: {_INK};
}}
.title {{ font-size: 30px; font-weight: 700; }}
.site {{ font-size: 21px; font-weight: 700; }}
.host {{ font-size: 14px; font-weight: 600; }}
.text {{ font-size: 13px; }}
.soft {{ font-size: 13px; fill: {_SOFT}; }}
.number {{
  font-family: ui-monospace, 'Liberation Mono', 'DejaVu Sans Mono', monospace;
  font-size: 12px; fill: {_SOFT};
}}
.wide {{ fill: {_WIDE}; }}
"""


@dataclass(frozen=True)
class Host:
    """One box: a host, or a stand-in for the rest of a large pool."""

    name: str
    pool: PoolKind
    lines: tuple[tuple[str, str], ...]
    """Style class and text of each line below the name."""


@dataclass(frozen=True)
class Card:
    """One site as drawn."""

    name: str
    control: bool
    private: str
    communities: tuple[str, ...]
    hosts: tuple[Host, ...]

    def height(self, across: int) -> float:
        """Height in pixels with so many hosts side by side."""
        rows = -(-len(self.hosts) // across)
        return _CARD_HEAD + rows * (_HOST_HEIGHT + _HOST_GAP) + _PAD - _HOST_GAP


def load_inventories(folder: Path) -> list[Inventory]:
    """Every site's inventory below a folder, sorted by site; raises InventoryError."""
    found = []
    for file in sorted(folder.glob("*/hosts.yml")):
        try:
            found.append(Inventory.model_validate(yaml.safe_load(file.read_text())))
        except (yaml.YAMLError, ValidationError) as error:
            raise InventoryError(
                "an inventory is not as generated",
                where=str(file),
                remedy="run the stack's inventory step again",
            ) from error
    if not found:
        raise InventoryError(
            "no site has an inventory yet",
            where=str(folder),
            remedy="stand a site up first (`make demo`)",
        )
    return found


def draw(inventories: Sequence[Inventory]) -> str:
    """The drawing as SVG; the same inventories give the same bytes."""
    sites = sorted(inventories, key=lambda one: _vars(one).fed_site)
    cards = [_card(one) for one in sites]
    federation = _vars(sites[0])
    parts, y = [_header(federation, sites)], float(_HEADER)
    for card in (card for card in cards if card.control):
        across = min(max(len(card.hosts), 2), _MOST_ACROSS)
        width = across * (_HOST_WIDTH + _HOST_GAP) - _HOST_GAP + 2 * _PAD
        parts.append(_draw_card(card, (_WIDTH - width) / 2, y, width, across))
        y += card.height(across)
    others = [card for card in cards if not card.control]
    body, y = _rows(others, y, federation)
    parts += [*body, _legend(y + 14, sites)]
    total = y + 58
    name = escape(f"Federation {federation.fed_name}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {total:g}" '
        f'width="{_WIDTH}" height="{total:g}" role="img">\n<title>{name}</title>\n'
        f"<desc>{escape(_summary(sites))}</desc>\n<style>\n{_STYLE}</style>\n"
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _vars(inventory: Inventory) -> SiteVars:
    return inventory.site_group.vars


def _card(inventory: Inventory) -> Card:
    variables, hosts = _vars(inventory), inventory.site_group.hosts
    roles = {
        name: [
            words
            for group, words in _ROLE_WORDS.items()
            if name in getattr(inventory.all.children.get(group), "hosts", {})
        ]
        for name in hosts
    }
    boxes: list[Host] = []
    for pool in PoolKind:
        mine = sorted(
            (item for item in hosts.items() if item[1].fed_pool is pool),
            key=lambda item: item[1].fed_index,
        )
        shown = mine if len(mine) <= _MOST_HOSTS_PER_POOL else mine[: _MOST_HOSTS_PER_POOL - 1]
        boxes += [_host(variables.fed_site, name, host, roles[name]) for name, host in shown]
        if len(shown) < len(mine):
            rest = f"+ {len(mine) - len(shown)} more"
            boxes.append(Host(rest, pool, (("soft", f"of the same {pool} pool"),)))
    return Card(
        name=variables.fed_site,
        control=variables.fed_site_kind is SiteKind.CONTROL,
        private=str(variables.fed_private_cidr),
        communities=variables.fed_communities,
        hosts=tuple(boxes),
    )


def _host(site: str, name: str, host: HostVars, roles: Sequence[str]) -> Host:
    addresses = host.fed_private_address
    lines = [("text", " · ".join(roles) or "no role"), ("number", addresses)]
    if host.fed_wide_area_address is not None:
        lines.append(("number wide", f"⇄ {host.fed_wide_area_address}"))
    else:
        lines.append(("soft", _size(host)))
    return Host(name.removeprefix(f"{site}-"), host.fed_pool, tuple(lines))


def _size(host: HostVars) -> str:
    gib = f"{host.fed_size_memory_mib / 1024:.3g} GiB"
    gpus = f", {host.fed_size_gpus} GPU" if host.fed_size_gpus else ""
    return f"{host.fed_size_cpus} CPU, {gib}{gpus}"


def _rows(cards: Sequence[Card], y: float, federation: SiteVars) -> tuple[list[str], float]:
    """The sites in rows, each hanging from the wide-area network that runs above it."""
    parts: list[str] = []
    trunk = _MARGIN / 2
    first = above = y + _BUS / 2
    for start in range(0, max(len(cards), 1), _COLUMNS):
        row = cards[start : start + _COLUMNS]
        bus = y + _BUS / 2
        left = trunk if len(cards) > _COLUMNS else _MARGIN + 20
        parts.append(_line(left, bus, _WIDTH - _MARGIN, bus))
        if start == 0:
            parts.append(_line(_WIDTH / 2, y, _WIDTH / 2, bus))
        y += _BUS
        for column, card in enumerate(row):
            x = _MARGIN + column * (_CARD + _GAP)
            parts.append(_line(x + _CARD / 2, bus, x + _CARD / 2, y))
            parts.append(_draw_card(card, x, y, _CARD, 2))
        y += max((card.height(2) for card in row), default=0)
        if start:
            parts.append(_line(trunk, above, trunk, bus))
        above = bus
    return [*parts, _bus_label(federation, first)], y


def _bus_label(federation: SiteVars, y: float) -> str:
    joined = (
        "Consul and Nomad joined across sites"
        if federation.fed_mode is Mode.FEDERATED
        else "sites not joined, same rules on each"
    )
    label = f"wide area {federation.fed_wide_area_cidr}  ·  {joined}"
    width, x = 6.5 * len(label) + 24, float(_MARGIN)
    return _box((x, y - 13, width, 26), "#ffffff", _WIDE, 13) + _text(
        x + width / 2, y + 4.5, "text wide", label, anchor="middle"
    )


def _draw_card(card: Card, x: float, y: float, width: float, across: int) -> str:
    parts = [
        _box((x, y, width, card.height(across)), _PAPER, _LINE, 12),
        _text(x + _PAD, y + 31, "site", card.name),
        _text(
            x + width - _PAD,
            y + 30,
            "soft",
            "control site" if card.control else "site",
            anchor="end",
        ),
        _text(x + _PAD, y + 51, "number", f"private {card.private}"),
    ]
    told = (
        "communities: " + ", ".join(card.communities)
        if card.communities
        else "holds what the federation shares"
        if card.control
        else "no communities"
    )
    parts.append(_text(x + _PAD, y + 70, "soft", _fit(told, width - 2 * _PAD)))
    for number, host in enumerate(card.hosts):
        column, row = number % across, number // across
        parts.append(
            _draw_host(
                host,
                x + _PAD + column * (_HOST_WIDTH + _HOST_GAP),
                y + _CARD_HEAD + row * (_HOST_HEIGHT + _HOST_GAP),
            )
        )
    return "\n".join(parts)


def _draw_host(host: Host, x: float, y: float) -> str:
    fill, edge = _COLOURS[host.pool]
    parts = [
        _box((x, y, _HOST_WIDTH, _HOST_HEIGHT), fill, edge, 7),
        _text(x + 10, y + 20, "host", _fit(host.name, _HOST_WIDTH - 20)),
    ]
    for number, (style, text) in enumerate(host.lines):
        parts.append(_text(x + 10, y + 37 + 16 * number, style, _fit(text, _HOST_WIDTH - 12)))
    return "\n".join(parts)


def _header(federation: SiteVars, sites: Sequence[Inventory]) -> str:
    return "\n".join(
        [
            _text(_MARGIN, 50, "title", federation.fed_name),
            _text(_MARGIN, 76, "soft", _summary(sites)),
            _text(_WIDTH - _MARGIN, 50, "soft", federation.fed_domain, anchor="end"),
        ]
    )


def _summary(sites: Sequence[Inventory]) -> str:
    hosts = [host for one in sites for host in one.site_group.hosts.values()]
    workers = [host for host in hosts if host.fed_pool in {PoolKind.CPU, PoolKind.GPU}]
    gpus = sum(host.fed_size_gpus for host in workers)
    facts = [
        _count(len(sites), "site"),
        _count(len(hosts), "host"),
        _count(len(workers), "worker"),
        f"{_count(sum(host.fed_size_cpus for host in workers), 'CPU')} for work",
        *([_count(gpus, "GPU")] if gpus else []),
        f"mode {_vars(sites[0]).fed_mode}",
    ]
    return "  ·  ".join(facts)


def _legend(y: float, sites: Sequence[Inventory]) -> str:
    present = {host.fed_pool for one in sites for host in one.site_group.hosts.values()}
    parts, x = [], float(_MARGIN)
    for pool in (pool for pool in PoolKind if pool in present):
        fill, edge = _COLOURS[pool]
        parts += [
            _box((x, y + 3, 16, 16), fill, edge, 4),
            _text(x + 24, y + 16, "soft", _POOL_WORDS[pool]),
        ]
        x += 52 + 6.6 * len(_POOL_WORDS[pool])
    parts.append(_text(x, y + 16, "soft wide", "⇄ address on the wide area"))
    return "\n".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _fit(text: str, width: float) -> str:
    """Cut a text that would run over; the width of a letter is that of the widest usual font."""
    most = int(width / 6.6)
    return text if len(text) <= most else text[: most - 1] + "…"


def _text(x: float, y: float, style: str, text: str, *, anchor: str = "start") -> str:
    end = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:g}" y="{y:g}" class={quoteattr(style)}{end}>{escape(text)}</text>'


def _box(area: tuple[float, float, float, float], fill: str, edge: str, r: float) -> str:
    x, y, width, height = area
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{r:g}" '
        f'fill="{fill}" stroke="{edge}"/>'
    )


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{_WIDE}" '
        f'stroke-width="4" stroke-linecap="round"/>'
    )


def main(arguments: Iterable[str]) -> int:
    """Draw into the given file, or build/federation.svg; the path goes to standard output."""
    target = Path(next(iter(arguments), settings.CHECKOUT / "build" / "federation.svg"))
    try:
        drawing = draw(load_inventories(settings.load().inventories))
    except InfraError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    write_atomic(target, drawing)
    sys.stdout.write(f"{target}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
