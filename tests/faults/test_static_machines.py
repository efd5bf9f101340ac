"""A federation on machines that exist already: they are made here by one, and lent to another."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.steps import ansible, remote, sites
from infra import settings

CHECKOUT = Path(__file__).resolve().parents[2]
LENDER, BORROWER = "skerry-test-lender", "skerry-test-borrower"
FEDERATION = """\
name: {name}
domain: static.test
mode: federated
control_site: control
control_address: 10.59.0.18
wide_area_cidr: 10.59.0.0/24
communities: [oceans]
sites: []
"""
SITE = """\
name: control
template: control_site
provider: {provider}
inputs: {{private_cidr: 10.69.8.0/24, wide_area_cidr: 10.59.0.16/28}}
"""
MACHINE = (
    "{{kind: static, machines: {{{name}: {{address: {address}, wide_area_address: {wide_area},"
    ' user: {user}, port: {port}, host_key: "{host_key}"}}}}}}'
)


class Federation:
    """A folder with inventories and state of its own."""

    def __init__(self, folder, name, provider) -> None:
        self.folder = folder
        (folder / "inventories" / "control").mkdir(parents=True)
        (folder / "inventories" / "federation.yaml").write_text(FEDERATION.format(name=name))
        site = folder / "inventories" / "control" / "site.yaml"
        site.write_text(SITE.format(provider=provider))
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
        self.env = {
            **kept,
            "SKERRY_STATE": str(folder / "state"),
            "SKERRY_INVENTORIES": str(folder / "inventories"),
        }
        self.settings = settings.load(self.env)

    def flows(self, *arguments):
        done = subprocess.run(
            [sys.executable, "-m", "flows", *arguments],
            cwd=CHECKOUT, env=self.env, capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def lender(tmp_path_factory):
    """A federation of one bare machine, which nothing was done to."""
    federation = Federation(tmp_path_factory.mktemp("lender"), LENDER, "{kind: local}")
    try:
        sites.bring_up("control", federation.settings)
        sites.write_inventory("control", federation.settings)
        yield federation
    finally:
        federation.flows("down")


@pytest.fixture(scope="module")
def borrower(lender, tmp_path_factory):
    """A federation whose control site stands on the lender's machine."""
    group = remote.inventory("control", lender.settings).site_group
    (server,) = group.vars.fed_servers
    host = group.hosts[server.name]
    known = lender.settings.inventories / "control" / "known_hosts"
    provider = MACHINE.format(
        name=server.name,
        address=host.ansible_host,
        wide_area=server.wide_area_address,
        user=host.ansible_user,
        port=host.ansible_port,
        host_key=" ".join(known.read_text().splitlines()[-1].split()[1:3]),
    )
    federation = Federation(tmp_path_factory.mktemp("borrower"), BORROWER, provider)
    # The machine lets one key in: its owner gives it to the borrower.
    shutil.copytree(lender.folder / "state" / "ssh", federation.folder / "state" / "ssh")
    yield federation
    federation.flows("down")
    running = subprocess.run(
        ["docker", "inspect", "--format", "{{.State.Running}}", f"{LENDER}-{server.name}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert running.stdout.strip() == "true", "a machine that was lent is not the borrower's to end"


def test_a_site_stands_up_on_them_and_a_second_run_changes_nothing(borrower):
    borrower.flows("deploy")
    assert "\n0 changed" in borrower.flows("deploy")
    ansible.play("verify-site", ["control"], borrower.settings)
