"""A sovereign federation: sites that share a root of trust and rules, and no gossip or tokens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.steps import access, remote
from flows.steps.nomad import Region
from infra import process, settings

CHECKOUT = Path(__file__).resolve().parents[2]
FEDERATION = "skerry-test-sovereign"
FILES = {
    "federation.yaml": f"""\
name: {FEDERATION}
domain: sovereign.test
mode: sovereign
control_site: control
control_address: 10.62.0.18
wide_area_cidr: 10.62.0.0/24
communities: [oceans, forests]
sites: [aa]
""",
    "control/site.yaml": """\
name: control
template: control_site
provider: {kind: local}
inputs: {private_cidr: 10.69.0.0/24, wide_area_cidr: 10.62.0.16/28}
""",
    "aa/site.yaml": """\
name: aa
template: federated_site
provider: {kind: local}
inputs:
  private_cidr: 10.69.1.0/24
  wide_area_cidr: 10.62.0.32/28
  communities: [oceans, forests]
""",
}
QUIET = ["F1", "F2", "F4", "F8", "F9", "N1", "N3", "N4", "N5", "N6", "N7", "N8", "N9", "W1", "W6"]


def flows(folder, *arguments):
    """Run `python -m flows` on the federation of a folder."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    here = {
        "SKERRY_STATE": str(folder / "state"),
        "SKERRY_INVENTORIES": str(folder / "inventories"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "flows", *arguments],
        cwd=CHECKOUT, env={**kept, **here}, capture_output=True, text=True, timeout=1200,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    """The folder of a sovereign federation that stands; it is removed in the end."""
    folder = tmp_path_factory.mktemp("sovereign")
    for name, content in FILES.items():
        file = folder / "inventories" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    code, said = flows(folder, "deploy")
    try:
        assert code == 0, said
        yield folder
    finally:
        code, said = flows(folder, "down")
        assert code == 0, said


@pytest.fixture(scope="module")
def here(federation):
    """The settings of that federation."""
    environment = {
        **os.environ,
        "SKERRY_STATE": str(federation / "state"),
        "SKERRY_INVENTORIES": str(federation / "inventories"),
    }
    return settings.load(environment)


def test_it_passes_every_check_that_does_not_ask_for_shared_gossip(federation):
    code, said = flows(federation, "verify", *QUIET)
    report = json.loads((federation / "build" / "verify.json").read_text())
    assert code == 0, said
    assert report["passed"] >= 32


def test_no_site_sees_servers_of_another(here):
    for site in ("control", "aa"):
        keys = access.fetch(site, here)
        region = Region(site, keys.nomad, keys.nomad_token.read_text().strip())
        assert region.call("GET", "/v1/regions") == [site]
        asked = "sudo curl -s --unix-socket /run/consul/http.sock http://x/v1/catalog/datacenters"
        seen = process.run(remote.login(site, here).argv(asked), timeout=60)
        assert json.loads(seen.stdout) == [site]


def test_a_second_run_changes_nothing(federation):
    code, said = flows(federation, "deploy")
    assert code == 0, said
    assert "\n0 changed" in said
