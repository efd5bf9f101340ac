"""Sites, stack outputs and recorded Pulumi programs for the tests of this package."""

from __future__ import annotations

import asyncio
import json
import os
import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks
from pulumi.runtime.stack import wait_for_rpcs

from infra import settings
from infra.inventory import SiteOutputs, parse_outputs
from tosca.model import Federation, Network, Pool, PoolKind, Provider, Site, Size

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAITestKey"
FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
MakeSite = Callable[..., Site]


@pytest.fixture
def make_site() -> MakeSite:
    """Build a site in memory; keyword arguments are pool counts and `provider`."""

    def make(name: str = "es", *, kind: str = "federated", **given: Any) -> Site:
        provider = given.pop("provider", Provider(kind="local", settings={}))
        mode = given.pop("mode", "federated")
        counts = {"server": 1, "cpu": 1, "gpu": 0, "edge": 1, **given}
        size = Size(cpus=1, memory_mib=1024, disk_gib=10)
        federation = Federation(
            name="skerry-unit",
            domain="skerry.test",
            mode=mode,
            control_site="control",
            control_address="10.66.0.18",
            wide_area_cidr="10.66.0.0/24",
            communities=("oceans", "forests"),
            sites=("es",),
        )
        return Site(
            name=name,
            kind=kind,
            federation=federation,
            provider=provider,
            network=Network(private_cidr="10.67.1.0/24", wide_area_cidr="10.66.0.32/28"),
            communities=("oceans",),
            pools=tuple(
                Pool(kind=PoolKind(pool), count=count, size=size, image="debian-12")
                for pool, count in counts.items()
            ),
        )

    return make


@pytest.fixture
def outputs_of() -> Callable[[Site], SiteOutputs]:
    """What a stack of this site would export if every plan came true."""

    def outputs(site: Site) -> SiteOutputs:
        machines = [
            {
                "name": machine.name,
                "pool": machine.pool.value,
                "private_address": machine.private_address,
                "wide_area_address": machine.wide_area_address,
                "ssh_user": "skerry",
                "ssh_port": 22,
                "ssh_host_key": HOST_KEY,
            }
            for machine in site.machines
        ]
        provider = {
            "kind": "local",
            "chooses_addresses": True,
            "reports_host_keys": True,
            "creates_machines": True,
        }
        return parse_outputs({"site": {"machines": machines, "provider": provider}}, site=site.name)

    return outputs


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare a text with tests/fixtures/<name>; SKERRY_UPDATE_GOLDEN=1 writes it instead."""

    def check(name: str, text: str) -> None:
        file = FIXTURES / name
        if os.environ.get("SKERRY_UPDATE_GOLDEN") == "1":
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        assert file.is_file(), f"{file} is missing: run once with SKERRY_UPDATE_GOLDEN=1"
        assert file.read_text() == text, f"{file} differs; SKERRY_UPDATE_GOLDEN=1 accepts it"

    return check


@dataclass
class Recorded(mocks.Mocks):
    """What a program asked the engine for."""

    resources: list[mocks.MockResourceArgs] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Give a machine what only a real one knows."""
        self.resources.append(args)
        made = {"ssh_host_key": HOST_KEY, "ssh_port": 22, "state": "ready"}
        return f"{args.name}-id", {**args.inputs, **(made if "Machine" in args.typ else {})}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], None]:
        """Refuse: no program of ours asks a provider anything."""
        raise AssertionError(args.token)

    def plan(self) -> str:
        """The resources and outputs as stable JSON, without the serialised provider."""
        rows = [
            {
                "type": one.typ,
                "name": one.name,
                "inputs": {k: v for k, v in one.inputs.items() if k != "__provider"},
            }
            for one in self.resources
            if one.typ != "pulumi:pulumi:Stack"
        ]
        rows.sort(key=lambda row: (row["type"], row["name"]))
        plan = {"resources": rows, "outputs": self.outputs}
        return json.dumps(plan, indent=2, sort_keys=True) + "\n"


@pytest.fixture
def record(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[Path, str], Recorded]]:
    """Run the site program for one site under mocks."""
    state = tmp_path / "state"
    (state / "ssh").mkdir(parents=True)
    (state / "ssh" / "id_ed25519.pub").write_text("ssh-ed25519 AAAAOperator someone@somewhere\n")
    monkeypatch.setenv("SKERRY_STATE", str(state))

    def run(inventories: Path, site: str) -> Recorded:
        monkeypatch.setenv("SKERRY_INVENTORIES", str(inventories))
        recorded = Recorded()

        async def program() -> None:
            pulumi.runtime.settings.set_root_resource(None)
            mocks.set_mocks(recorded, project="skerry-site", stack=site, preview=False)
            try:
                runpy.run_path(str(settings.SITE_PROGRAM / "__main__.py"))
            finally:
                await wait_for_rpcs()
            root = pulumi.runtime.settings.get_root_resource()
            for name, output in root.outputs.items():
                recorded.outputs[name] = await pulumi.Output.from_input(output).future()

        asyncio.run(program())
        return recorded

    yield run
    pulumi.runtime.settings.set_root_resource(None)
