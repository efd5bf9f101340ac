"""A template with every construct in it is accepted, and stands for what it says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tosca.check import check_files
from tosca.nodes import plain
from tosca.template import VERSIONS

VALID = Path(__file__).parents[2] / "fixtures" / "tosca" / "valid"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_construct_is_read_under_every_version_of_the_profile(
    version: str, tmp_path: Path
) -> None:
    shutil.copytree(VALID, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "everything.yaml"
    text = path.read_text(encoding="utf-8").replace(VERSIONS[2], version)
    path.write_text(text, encoding="utf-8")
    (result,) = check_files((path,), {})
    assert (result.errors, result.warnings) == ((), ())


def test_the_outputs_are_what_the_template_says() -> None:
    (result,) = check_files((VALID / "everything.yaml",), {})
    assert result.topology is not None
    address = {"get_attribute": ["server", "public_address"]}
    assert {name: plain(value) for name, value in result.topology.outputs.items()} == {
        "url": {"concat": ["http://", address, ":80"]},
        "first": {"get_attribute": ["server", "networks", "wide", "addresses", 0]},
        "name": "web-b",
        "cpus": 2,
        "greeting": "hei",
        "replicas": {"get_input": ["replicas"]},
    }


def test_values_come_with_defaults_from_types_and_inputs() -> None:
    (result,) = check_files((VALID / "everything.yaml",), {})
    assert result.topology is not None
    nodes = result.topology.nodes
    assert (
        nodes["disk"].type,
        nodes["application"].type,
    ) == ("tosca.nodes.BlockStorage", "example.nodes.Application")
    host = {name: plain(value) for name, value in nodes["server"].capabilities["host"].items()}
    assert host == {"num_cpus": 2, "mem_size": "4 GiB"}
    assert plain(nodes["server"].capabilities["endpoint"]["ports"]) == {
        "http": {"source": 80, "protocol": "tcp"}
    }
    assert nodes["application"].requirements == (
        ("host", "server"),
        ("data", "data"),
        ("dependency", "engine"),
    )
    assert result.topology.order == ("disk", "server", "engine", "data", "application")
