"""The drawing is valid, legible, self-contained and the same every time."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from infra.errors import InventoryError
from infra.federation_map import draw, load_inventories
from infra.inventory import build, write

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def inventories(make_site, outputs_of):
    """A control site and three sites."""
    sites = [
        make_site("control", kind="control", cpu=0, edge=0),
        make_site("es", server=3),
        make_site("pt", gpu=2),
        make_site("sk", cpu=30),
    ]
    return [build(site, outputs_of(site)) for site in sites]


def words(drawing: str) -> list[str]:
    """Every text in the drawing."""
    return [text.text or "" for text in ET.fromstring(drawing).iter(f"{SVG}text")]


def test_the_drawing_is_its_golden_file(inventories, golden):
    golden("inventories/federation.svg", draw(inventories))


def test_the_order_of_sites_does_not_matter(inventories):
    assert draw(inventories[::-1]) == draw(inventories)


def test_every_site_and_every_machine_of_a_small_pool_is_named(inventories):
    text = words(draw(inventories))
    for name in ("control", "es", "pt", "sk", "server-3", "gpu-2", "edge-1"):
        assert name in text
    assert "Vault · Consul · Nomad" in text
    assert any("10.66.0.0/24" in line for line in text)


def test_a_large_pool_is_counted_instead_of_drawn(inventories):
    text = words(draw(inventories))
    assert "+ 25 more" in text
    assert "cpu-30" not in text


def test_nothing_is_fetched_and_no_letter_is_small(inventories):
    drawing = draw(inventories)
    assert re.findall(r"https?://[^\"]+", drawing) == ["http://www.w3.org/2000/svg"]
    assert "@import" not in drawing
    assert "<script" not in drawing
    assert min(int(size) for size in re.findall(r"font-size: (\d+)px", drawing)) >= 12


def test_no_box_leaves_the_page_and_no_text_leaves_its_box(inventories):
    root = ET.fromstring(draw(inventories))
    width, height = float(root.get("width")), float(root.get("height"))
    boxes = [
        tuple(float(rect.get(k)) for k in ("x", "y", "width", "height"))
        for rect in root.iter(f"{SVG}rect")
        if rect.get("x")
    ]
    for x, y, w, h in boxes:
        assert x >= 0
        assert x + w <= width
        assert y + h <= height
    for text in root.iter(f"{SVG}text"):
        if text.get("text-anchor") is None:
            assert float(text.get("x")) + 6.6 * len(text.text) <= width


def test_markup_in_a_name_is_text(make_site, outputs_of):
    inventory = build(make_site(), outputs_of(make_site()))
    group = inventory.site_group
    odd = group.vars.model_copy(update={"fed_name": "<b>&\"'", "fed_communities": ("<x>",)})
    changed = inventory.model_copy(
        update={
            "all": inventory.all.model_copy(
                update={
                    "children": {
                        **inventory.all.children,
                        "site_es": group.model_copy(update={"vars": odd}),
                    }
                }
            )
        }
    )
    text = words(draw([changed]))
    assert "<b>&\"'" in text
    assert "communities: <x>" in text


def test_inventories_are_read_from_their_folders(make_site, outputs_of, tmp_path):
    site = make_site()
    write(site, outputs_of(site), folder=tmp_path / "es", key_file=tmp_path / "key")
    assert [one.site_group.vars.fed_site for one in load_inventories(tmp_path)] == ["es"]


def test_a_folder_without_inventories_says_what_to_do_first(tmp_path):
    with pytest.raises(InventoryError, match="no site has an inventory yet"):
        load_inventories(tmp_path)


def test_a_damaged_inventory_is_named(tmp_path):
    (tmp_path / "es").mkdir()
    (tmp_path / "es" / "hosts.yml").write_text("all: {}\n")
    with pytest.raises(InventoryError, match="not as generated") as caught:
        load_inventories(tmp_path)
    assert "es/hosts.yml" in str(caught.value)
