"""An inventory is a pure function of site and outputs, and shows when it was edited."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from infra import process
from infra.errors import InventoryError
from infra.inventory import (
    SiteOutputs,
    build,
    digest,
    inventory_problems,
    known_hosts,
    parse_outputs,
    render,
    write,
)
from infra.inventory import schema as inventory_schema
from infra.inventory.write import portable


@pytest.fixture
def written(make_site, outputs_of, tmp_path):
    """The path of a fresh inventory file."""
    site = make_site()
    key = tmp_path / "key"
    return write(site, outputs_of(site), folder=tmp_path / "es", key_file=key)


def edit(path, change):
    """Change the parsed content and write it back."""
    document = yaml.safe_load(path.read_text())
    change(document["all"]["children"])
    path.write_text(yaml.safe_dump(document))


@pytest.mark.parametrize(
    ("name", "kind", "pools"),
    [
        ("control", "control", {"cpu": 0, "edge": 0}),
        ("es", "federated", {"server": 3}),
        ("pt", "federated", {"gpu": 1}),
    ],
)
def test_the_inventory_of_a_site_is_its_golden_file(
    name, kind, pools, make_site, outputs_of, golden
):
    site = make_site(name, kind=kind, **pools)
    golden(f"inventories/{name}.yml", render(build(site, outputs_of(site)), site=name))


def test_known_hosts_is_its_golden_file(make_site, outputs_of, golden):
    golden("inventories/known_hosts", known_hosts(outputs_of(make_site(server=3))))


def test_a_port_other_than_22_is_written_as_ssh_expects(make_site, outputs_of):
    machines = outputs_of(make_site()).machines
    moved = SiteOutputs(
        machines=(machines[0].model_copy(update={"ssh_port": 2222}),),
        provider=outputs_of(make_site()).provider,
    )
    assert "[10.67.1.10]:2222 ssh-ed25519 " in known_hosts(moved)


pool_counts = st.fixed_dictionaries(
    {
        "server": st.sampled_from([1, 3]),
        "cpu": st.integers(0, 5),
        "gpu": st.integers(0, 3),
        "edge": st.integers(0, 1),
    }
)
many = hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@many
@given(counts=pool_counts, seed=st.integers(0, 9))
def test_the_order_of_outputs_never_shows(counts, seed, make_site, outputs_of):
    site = make_site(**counts)
    outputs = outputs_of(site)
    shuffled = list(outputs.machines)
    random.Random(seed).shuffle(shuffled)
    other = SiteOutputs(machines=tuple(shuffled), provider=outputs.provider)
    assert render(build(site, other), site="es") == render(build(site, outputs), site="es")
    assert known_hosts(other) == known_hosts(outputs)


@many
@given(counts=pool_counts)
def test_every_inventory_obeys_the_schema_and_carries_its_own_digest(counts, make_site, outputs_of):
    site = make_site(**counts)
    document = yaml.safe_load(render(build(site, outputs_of(site)), site="es"))
    jsonschema.Draft202012Validator(json.loads(inventory_schema.inventory_schema())).validate(
        document
    )
    children = document["all"]["children"]
    assert children["site_es"]["vars"]["fed_inventory_sha256"] == digest(document)
    assert set(children["site_es"]["hosts"]) == {machine.name for machine in site.machines}
    for group in children.values():
        assert set(group["hosts"]) <= set(children["site_es"]["hosts"])
    assert "vars" not in document["all"]


def test_roles_go_to_the_machines_they_belong_to(make_site, outputs_of):
    site = make_site(gpu=1)
    groups = {
        name: sorted(group.hosts)
        for name, group in build(site, outputs_of(site)).all.children.items()
        if not name.startswith("site_")
    }
    everyone = ["es-cpu-1", "es-edge-1", "es-gpu-1", "es-server-1"]
    workers = ["es-cpu-1", "es-gpu-1"]
    assert groups == {
        "os_hardening": everyone,
        "pki_trust": everyone,
        "consul_server": ["es-server-1"],
        "nomad_server": ["es-server-1"],
        "consul_client": ["es-cpu-1", "es-edge-1", "es-gpu-1"],
        "nomad_client": workers,
        "container_runtime": workers,
        "edge": ["es-edge-1"],
    }


def test_only_the_control_site_has_vault_servers(make_site, outputs_of):
    control = make_site("control", kind="control", cpu=0, edge=0)
    children = build(control, outputs_of(control)).all.children
    assert list(children["vault_server"].hosts) == ["control-server-1"]


def test_a_worker_has_no_wide_area_address_at_all(make_site, outputs_of):
    site = make_site()
    hosts = build(site, outputs_of(site)).document()["all"]["children"]["site_es"]["hosts"]
    assert "fed_wide_area_address" not in hosts["es-cpu-1"]
    assert hosts["es-server-1"]["fed_wide_area_address"] == "10.66.0.34"


def test_a_stack_that_lacks_or_adds_machines_is_refused(make_site, outputs_of):
    outputs = outputs_of(make_site(cpu=2))
    with pytest.raises(InventoryError) as caught:
        build(make_site(cpu=1, server=3), outputs)
    assert "lacks es-server-2, es-server-3" in str(caught.value)
    assert "has es-cpu-2 beside the plan" in str(caught.value)
    assert "pulumi up" in str(caught.value)


@pytest.mark.parametrize(
    ("outputs", "told"),
    [
        ({}, "no output named site"),
        (None, "no output named site"),
        ({"site": {"machines": []}}, "site.provider is not usable"),
        ({"site": {"machines": [{"name": 1}], "provider": {}}}, "site.machines.0.name"),
    ],
)
def test_unusable_outputs_name_the_part_and_the_stack(outputs, told):
    with pytest.raises(InventoryError, match=told) as caught:
        parse_outputs(outputs, site="es")
    assert "stack es" in str(caught.value)


def test_a_fresh_inventory_has_no_problems(written):
    assert inventory_problems(str(written)) == []


def test_formatting_and_comments_are_no_edit(written):
    document = yaml.safe_load(written.read_text())
    written.write_text("# a comment\n" + yaml.safe_dump(document, sort_keys=True))
    assert inventory_problems(str(written)) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda c: c["site_es"]["hosts"]["es-cpu-1"].update(ansible_host="10.0.0.1"),
            ["host es-cpu-1 was changed"],
        ),
        (lambda c: c["site_es"]["hosts"].update(evil={}), ["host evil was added"]),
        (lambda c: c["site_es"]["hosts"].pop("es-edge-1"), ["host es-edge-1 was removed"]),
        (
            lambda c: c["site_es"]["vars"].update(fed_mode="sovereign"),
            ["variable fed_mode was changed"],
        ),
        (
            lambda c: c["site_es"]["vars"].update(extra=1),
            ["variable extra was added"],
        ),
        (
            lambda c: c["nomad_server"]["hosts"].update({"es-cpu-1": None}),
            ["group nomad_server was changed"],
        ),
        (lambda c: c.update(mine={"hosts": {}}), ["group mine was added"]),
        (
            lambda c: c["site_es"]["vars"]["fed_inventory_parts"].update(x="y"),
            ["x was removed"],
        ),
        (
            lambda c: c["site_es"]["vars"].update(fed_inventory_sha256="0" * 64),
            ["its list of digests was changed"],
        ),
    ],
)
def test_an_edit_is_named_with_file_and_remedy(written, change, told):
    edit(written, change)
    problems = inventory_problems(str(written))
    assert len(problems) == len(told)
    for problem, what in zip(problems, told, strict=True):
        assert problem.startswith(f"{written}: {what} since it was generated")
        assert "run the stack's inventory step again" in problem


def test_a_hand_written_inventory_and_a_missing_one_are_problems(tmp_path):
    (tmp_path / "hosts.yml").write_text("all: {hosts: {a: }}\n")
    assert "carries no digest" in inventory_problems(str(tmp_path / "hosts.yml"))[0]
    assert "cannot be read" in inventory_problems(str(tmp_path / "absent.yml"))[0]
    (tmp_path / "torn.yml").write_text("all: {")
    assert "cannot be read" in inventory_problems(str(tmp_path / "torn.yml"))[0]


def test_the_key_path_does_not_name_its_writer(tmp_path):
    assert portable(tmp_path / "a" / "key", home=tmp_path) == "~/a/key"
    assert portable(tmp_path / "a" / "key", home=tmp_path / "b") == str(tmp_path / "a" / "key")


def test_the_committed_schema_is_the_generated_one():
    assert inventory_schema.main(["--check"]) == 0


def test_ansible_reads_what_was_written_even_in_a_folder_with_a_space(
    make_site, outputs_of, tmp_path
):
    site = make_site()
    path = write(site, outputs_of(site), folder=tmp_path / "a b" / "es", key_file=tmp_path / "k")
    told = process.run(
        [str(Path(sys.executable).with_name("ansible-inventory")), "-i", str(path), "--list"],
        timeout=60,
    )
    hosts = json.loads(told.stdout)["_meta"]["hostvars"]
    assert hosts["es-cpu-1"]["fed_site"] == "es"
    assert hosts["es-server-1"]["ansible_host"] == "10.67.1.10"
