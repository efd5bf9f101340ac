"""A provider is an adapter and a data file: nothing else knows it, and nothing else need change."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys

import pytest

ADAPTER = """
from infra.providers.base import Capabilities
from infra.providers.static import StaticAdapter

class Moon(StaticAdapter):
    kind = "moon"
    capabilities = Capabilities(
        chooses_addresses=False, reports_host_keys=False, creates_machines=True
    )

def adapter():
    return Moon()
"""
DATA = """
tosca_definitions_version: tosca_simple_yaml_1_3
data_types:
  skerry.providers.moon:
    derived_from: skerry.datatypes.Provider
    properties:
      crater: {type: string}
      gravity: {type: float, default: 1.62}
"""
LOOK = """
import json, pathlib, sys
from infra.providers import provider_for
from infra.sites import load_site
from tosca.errors import ToscaError
try:
    site = load_site(pathlib.Path(sys.argv[1]), "es")
    adapter = provider_for(site.provider.kind)
    print(json.dumps([adapter.kind, adapter.capabilities.facts(), dict(site.provider.settings)]))
except ToscaError as error:
    print(error)
"""


@pytest.fixture
def moon(checkout, tmp_path):
    """Compile the site es with this provider in a copy that has one provider more."""
    for package in ("tosca", "infra"):
        shutil.copytree(checkout / package, tmp_path / package)
    (tmp_path / "infra" / "providers" / "moon.py").write_text(ADAPTER)
    (tmp_path / "tosca" / "providers" / "moon.yaml").write_text(DATA)
    inventories = tmp_path / "inventories"
    (inventories / "es").mkdir(parents=True)
    shutil.copy(checkout / "inventories" / "federation.yaml", inventories)
    site = (checkout / "inventories" / "es" / "site.yaml").read_text()

    def compiled(provider):
        (inventories / "es" / "site.yaml").write_text(site.replace("{kind: local}", provider))
        done = subprocess.run(
            [sys.executable, "-c", LOOK, str(inventories)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return compiled


def test_a_new_provider_needs_its_adapter_and_its_data_file_only(moon):
    assert json.loads(moon("{kind: moon, crater: tycho}")) == [
        "moon",
        {"chooses_addresses": False, "reports_host_keys": False, "creates_machines": True},
        {"crater": "tycho", "gravity": 1.62},
    ]


def test_the_data_file_alone_decides_what_a_site_may_say_of_its_provider(moon):
    said = moon("{kind: moon, creter: tycho}")

    assert "provider has no 'creter' in skerry.providers.moon; did you mean crater?" in said
    assert "provider lacks crater" in said
    assert "local, moon, static" in moon("{kind: sun}")


def test_every_provider_has_an_adapter_and_a_data_file(checkout):
    adapters = {
        path.stem for path in (checkout / "infra" / "providers").iterdir() if path.stem[0] != "_"
    }

    described = {path.stem for path in (checkout / "tosca" / "providers").glob("*.yaml")}

    assert adapters - {"base"} == described


def test_no_code_outside_of_a_provider_knows_it(texts, checkout):
    kinds = {path.stem for path in (checkout / "tosca" / "providers").glob("*.yaml")}
    owned = tuple(f"infra/providers/{kind}" for kind in kinds)
    found = []
    for path, text in texts.items():
        if not path.startswith(("tosca/", "infra/", "flows/")) or path.startswith(owned):
            continue
        for node in ast.walk(ast.parse(text)) if path.endswith(".py") else ():
            module = node.module if isinstance(node, ast.ImportFrom) else ""
            imported = (module or "").removeprefix("infra.providers.").split(".")[0]
            named = isinstance(node, ast.Constant) and node.value in kinds
            if named or (module != imported and imported in kinds):
                found.append(f"{path}:{node.lineno}")

    assert found == []
