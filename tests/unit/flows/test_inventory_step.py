"""The inventory step takes what the stack says and writes it beside the site's file."""

from __future__ import annotations

import pytest

from flows.errors import StepError
from flows.steps import inventory, pulumi
from infra import settings
from infra.inventory import inventory_problems
from infra.settings import CHECKOUT
from infra.sites import load_site

SITE = load_site(CHECKOUT / "inventories", "pt")
KEY = "ssh-ed25519 AAAAC3"


@pytest.fixture
def here(tmp_path):
    """Settings with an inventories folder of their own."""
    return settings.load({"HOME": str(tmp_path), "SKERRY_INVENTORIES": str(tmp_path / "inv")})


def outputs(machines):
    """What `pulumi stack output --json` would give for these machines."""
    rows = [
        {
            "name": machine.name,
            "pool": machine.pool.value,
            "private_address": machine.private_address,
            "wide_area_address": machine.wide_area_address,
            "ssh_user": "skerry",
            "ssh_port": 22,
            "ssh_host_key": KEY,
        }
        for machine in machines
    ]
    facts = dict.fromkeys(("chooses_addresses", "reports_host_keys", "creates_machines"), True)
    return {"site": {"machines": rows, "provider": {"kind": "local", **facts}}}


def test_the_stacks_outputs_become_the_sites_inventory(here, monkeypatch):
    monkeypatch.setattr(pulumi, "outputs", lambda _site, _here: outputs(SITE.machines))
    path = inventory.write_inventory(SITE, here)
    assert path == here.inventories / "pt" / "hosts.yml"
    assert inventory_problems(str(path)) == []
    assert (path.parent / "known_hosts").read_text().count(KEY) == len(SITE.machines)


def test_writing_it_again_changes_no_byte(here, monkeypatch):
    monkeypatch.setattr(pulumi, "outputs", lambda _site, _here: outputs(SITE.machines))
    first = inventory.write_inventory(SITE, here).read_bytes()
    assert inventory.write_inventory(SITE, here).read_bytes() == first


@pytest.mark.parametrize(
    ("given", "told"),
    [({}, "no output named site"), (outputs(SITE.machines[:1]), "the stack lacks pt-cpu-1")],
)
def test_an_unfinished_stack_is_refused_with_the_remedy(here, monkeypatch, given, told):
    monkeypatch.setattr(pulumi, "outputs", lambda _site, _here: given)
    with pytest.raises(StepError, match=told) as caught:
        inventory.write_inventory(SITE, here)
    assert "pulumi up" in str(caught.value)


def test_a_full_or_refusing_disk_is_named(here, monkeypatch):
    monkeypatch.setattr(pulumi, "outputs", lambda _site, _here: outputs(SITE.machines))
    here.inventories.mkdir(parents=True)
    (here.inventories / "pt").write_text("a file where a folder should be")
    with pytest.raises(StepError, match="cannot be written") as caught:
        inventory.write_inventory(SITE, here)
    assert str(here.inventories / "pt") in str(caught.value)
