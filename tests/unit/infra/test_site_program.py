"""The site program under mocks: its golden plans, and what it says when a site is wrong."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pytest

from infra.settings import CHECKOUT

INVENTORIES = CHECKOUT / "inventories"
COMMITTED = sorted(path.parent.name for path in INVENTORIES.glob("*/site.yaml"))


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
