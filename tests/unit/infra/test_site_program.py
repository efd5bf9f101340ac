"""The site program under mocks: its golden plans, and what it says when a site is wrong."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pulumi
import pytest

from infra import process
from infra.inventory import inventory_problems
from infra.settings import CHECKOUT

INVENTORIES = CHECKOUT / "inventories"
# By name: a site that joined the demo has its file there too.
COMMITTED = ("control", "es", "pt", "sk")


@pytest.mark.parametrize("site", COMMITTED)
def test_the_plan_of_a_committed_site_is_its_golden_file(site, record, golden):
    golden(f"plans/{site}.json", record(INVENTORIES, site).plan())


def test_only_the_control_site_owns_the_wide_area_network(record):
    def networks(site):
        return {r.name for r in record(INVENTORIES, site).resources if r.typ.endswith(":Network")}

    assert networks("control") == {"private", "wide-area"}
    assert networks("pt") == {"private"}


def test_the_serialised_provider_holds_a_reference_and_no_code(record):
    for resource in record(INVENTORIES, "pt").resources:
        if "dynamic" in resource.typ:
            assert len(resource.inputs["__provider"]) < 200


def test_a_stack_without_a_site_is_one_clear_error(record):
    with pytest.raises(pulumi.RunError, match="there is no site nowhere") as caught:
        record(INVENTORIES, "nowhere")
    assert "sites there: control, es" in str(caught.value)
    assert "remedy" in str(caught.value)


def test_a_missing_operator_key_names_the_file_and_the_remedy(record, tmp_path: Path):
    (tmp_path / "state" / "ssh" / "id_ed25519.pub").unlink()
    with pytest.raises(pulumi.RunError, match="no usable SSH public key") as caught:
        record(INVENTORIES, "pt")
    assert "id_ed25519.pub" in str(caught.value)
    assert "make env" in str(caught.value)


@pytest.fixture
def static_inventories(tmp_path: Path) -> Path:
    """A site whose only machine exists already."""
    folder = tmp_path / "inventories"
    (folder / "es").mkdir(parents=True)
    (folder / "federation.yaml").write_text((INVENTORIES / "federation.yaml").read_text())
    (folder / "es" / "site.yaml").write_text(
        """\
name: es
template: federated_site
provider:
  kind: static
  machines:
    es-server-1:
      address: 192.0.2.7
      wide_area_address: 198.51.100.7
      user: debian
      host_key: ssh-ed25519 AAAAStatic
inputs:
  private_cidr: 192.0.2.0/24
  wide_area_cidr: 10.60.0.32/28
  cpu_count: 0
  edge: false
"""
    )
    return folder


def test_a_site_of_existing_machines_makes_nothing_and_needs_no_key(
    record, static_inventories, tmp_path
):
    (tmp_path / "state" / "ssh" / "id_ed25519.pub").unlink()
    recorded = record(static_inventories, "es")
    assert not [one for one in recorded.resources if "dynamic" in one.typ]
    assert recorded.outputs["site"] == {
        "machines": [
            {
                "name": "es-server-1",
                "pool": "server",
                "private_address": "192.0.2.7",
                "wide_area_address": "198.51.100.7",
                "ssh_user": "debian",
                "ssh_port": 22,
                "ssh_host_key": "ssh-ed25519 AAAAStatic",
            }
        ],
        "provider": {
            "kind": "static",
            "chooses_addresses": False,
            "reports_host_keys": True,
            "creates_machines": False,
        },
    }


def test_the_printed_outputs_become_an_inventory_by_one_command(record, static_inventories):
    outputs = json.dumps(record(static_inventories, "es").outputs)
    argv = [sys.executable, "-m", "infra.inventory", "es"]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    told = process.run(argv, timeout=30, input=outputs, env=env).stdout.strip()
    assert told == str(static_inventories / "es" / "hosts.yml")
    assert inventory_problems(told) == []
    bad = process.run(argv, timeout=30, input="not json", env=env, check=False)
    assert bad.returncode == 1
    assert "standard input is not JSON" in bad.stderr
