"""The site program with the real Pulumi CLI and the real Docker daemon."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

from flows.errors import StackError, StackLockedError
from flows.steps import pulumi
from flows.steps.inventory import write_inventory
from infra import process, settings
from infra.errors import SettingsError
from infra.inventory import inventory_problems
from infra.names import LABEL_FEDERATION
from infra.providers.local.daemon import sweep
from infra.sites import load_site

FEDERATION = "skerry-test-infra"
CONTROL, SITE = "tinfra", "tsite"
MACHINE = f"{FEDERATION}-{CONTROL}-server-1"
OTHER = f"{FEDERATION}-{SITE}-server-1"
FEDERATION_FILE = f"""\
name: {FEDERATION}
domain: skerry.test
mode: federated
control_site: {CONTROL}
control_address: 10.66.0.18
wide_area_cidr: 10.66.0.0/24
communities: []
sites: [{SITE}]
"""
CONTROL_FILE = f"""\
name: {CONTROL}
template: control_site
provider: {{kind: local}}
inputs: {{private_cidr: 10.67.1.0/24, wide_area_cidr: 10.66.0.16/28}}
"""
SITE_FILE = f"""\
name: {SITE}
template: federated_site
provider: {{kind: local}}
inputs:
  private_cidr: 10.67.2.0/24
  wide_area_cidr: 10.66.0.32/28
  cpu_count: 0
  edge: false
"""


@pytest.fixture(scope="module")
def client():
    """The Docker daemon, which must run."""
    try:
        found = docker.from_env()
        found.ping()
    except DockerException as error:
        pytest.fail(f"no Docker daemon ({error}): start it with `systemctl start docker`")
    yield found
    found.close()


@pytest.fixture(scope="module")
def here(tmp_path_factory, client):
    """A federation of its own with a state directory of its own; nothing is left of it."""
    root = tmp_path_factory.mktemp("infra")
    for name, text in ((CONTROL, CONTROL_FILE), (SITE, SITE_FILE)):
        (root / "inventories" / name).mkdir(parents=True)
        (root / "inventories" / name / "site.yaml").write_text(text)
    (root / "inventories" / "federation.yaml").write_text(FEDERATION_FILE)
    sweep(FEDERATION)
    environ = {
        "SKERRY_STATE": str(root / "state"),
        "SKERRY_INVENTORIES": str(root / "inventories"),
    }
    yield settings.load({**os.environ, **environ, "PULUMI_BACKEND_URL": ""})
    sweep(FEDERATION)


@pytest.fixture(scope="module")
def control(here):
    """The control site's stack, standing."""
    changes = pulumi.up(CONTROL, here)
    assert changes.created > 0
    yield CONTROL
    pulumi.destroy(CONTROL, here)


@pytest.fixture
def site(here, control):
    """A site that is not standing, before and after."""
    yield SITE
    pulumi.destroy(SITE, here)
    sweep(FEDERATION, SITE)


def objects(client, name_part: str) -> dict[str, list[str]]:
    """Our Docker objects whose name holds a text."""
    ours = {"filters": {"label": f"{LABEL_FEDERATION}={FEDERATION}"}}
    found = {
        "containers": client.containers.list(all=True, **ours),
        "volumes": client.volumes.list(**ours),
        "networks": client.networks.list(**ours),
    }
    return {
        kind: sorted(one.name for one in every if name_part in one.name)
        for kind, every in found.items()
    }


def host_key(stack: str, here: settings.Settings) -> str:
    """The key of the stack's only machine."""
    return str(pulumi.outputs(stack, here)["site"]["machines"][0]["ssh_host_key"])


def kill_pulumi(stack: str, here: settings.Settings, sign: str, delay_s: float):
    """A line watcher that kills the CLI a moment after it printed a sign."""

    def watch(line: str) -> None:
        if sign in line:
            time.sleep(delay_s)
            for lock in pulumi.locks(stack, here):
                os.kill(lock.pid, signal.SIGKILL)

    return watch


def test_a_preview_right_after_an_up_is_clean_and_a_second_up_changes_nothing(here, control):
    assert pulumi.unchanged(control, here)
    assert not pulumi.up(control, here).any


def test_the_inventory_lets_the_operator_in_and_the_host_key_is_checked(here, control):
    hosts = write_inventory(load_site(here.inventories, control), here)
    assert inventory_problems(str(hosts)) == []
    ssh = [
        "ssh",
        *("-i", str(here.private_key), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"),
        *("-o", f"UserKnownHostsFile={hosts.parent / 'known_hosts'}"),
        *("skerry@10.67.1.10", "sudo -n true && hostname && cat /proc/sys/net/ipv4/ip_forward"),
    ]
    # A machine in two networks forwards nothing from one to the other.
    assert process.run(ssh, timeout=30).stdout.split() == [f"{control}-server-1", "0"]


def test_a_stopped_machine_is_a_difference_and_is_started(client, here, control):
    before = host_key(control, here)
    client.containers.get(MACHINE).stop(timeout=5)
    assert not pulumi.unchanged(control, here)
    changes = pulumi.up(control, here)
    assert (changes.updated, changes.created, changes.replaced) == (1, 0, 0)
    assert client.containers.get(MACHINE).status == "running"
    assert host_key(control, here) == before


def test_a_machine_cut_from_its_network_is_attached_again(client, here, control):
    wide = client.networks.get(f"{FEDERATION}-wide-area")
    wide.disconnect(MACHINE, force=True)
    assert not pulumi.unchanged(control, here)
    assert pulumi.up(control, here).updated == 1
    attached = client.containers.get(MACHINE).attrs["NetworkSettings"]["Networks"]
    assert attached[wide.name]["IPAddress"] == "10.66.0.18"


def test_a_machine_removed_by_hand_is_made_again(client, here, control):
    before = host_key(control, here)
    client.containers.get(MACHINE).remove(force=True)
    assert pulumi.up(control, here).created == 1
    assert client.containers.get(MACHINE).status == "running"
    assert host_key(control, here) != before
    assert pulumi.unchanged(control, here)


def test_no_secret_is_in_the_state(here, control):
    passphrase = here.passphrase_file.read_text().strip()
    private = here.private_key.read_text().splitlines()[1:-1]
    kept = b"".join(
        path.read_bytes() for path in (here.state / "pulumi").rglob("*") if path.is_file()
    )
    assert b"ssh_host_key" in kept
    assert passphrase.encode() not in kept
    assert not any(line.encode() in kept for line in private)
    assert b"ciphertext" not in kept


def test_state_is_for_the_operator_alone(here, control):
    assert here.state.stat().st_mode & 0o777 == 0o700


def test_plain_pulumi_up_works_in_the_programs_folder(here, control):
    tools = settings.tool(here, "pulumi").parent
    exports = settings.shell_exports(here, tools)
    script = f"{exports}\npulumi up --stack {control} --yes --non-interactive"
    told = process.run(["bash", "-c", script], cwd=settings.SITE_PROGRAM, timeout=120).stdout
    assert "unchanged" in told


@pytest.mark.parametrize("delay_s", [0.0, 0.15, 0.4])
def test_a_run_killed_while_it_makes_a_machine_is_finished_by_the_next(client, here, site, delay_s):
    watch = kill_pulumi(site, here, "Machine tsite-server-1 creating", delay_s)
    with pytest.raises(StackError, match="exit code -9"):
        pulumi.up(site, here, on_line=watch)
    pulumi.up(site, here)
    assert objects(client, site) == {
        "containers": [OTHER],
        "volumes": [f"{OTHER}-docker"],
        "networks": [f"{FEDERATION}-{site}"],
    }
    assert client.containers.get(OTHER).status == "running"
    assert pulumi.unchanged(site, here)


def test_a_run_killed_while_it_makes_a_network_is_finished_by_the_next(client, here, site):
    watch = kill_pulumi(site, here, "Network private creating", 0.02)
    with pytest.raises(StackError, match="exit code -9"):
        pulumi.up(site, here, on_line=watch)
    pulumi.up(site, here)
    assert objects(client, site)["networks"] == [f"{FEDERATION}-{site}"]
    assert pulumi.unchanged(site, here)


def test_destroy_after_a_killed_run_leaves_nothing(client, here, site):
    watch = kill_pulumi(site, here, "Machine tsite-server-1 creating", 0.2)
    with pytest.raises(StackError):
        pulumi.up(site, here, on_line=watch)
    assert pulumi.destroy(site, here) is True
    assert objects(client, site) == {"containers": [], "volumes": [], "networks": []}
    assert not pulumi.exists(site, here)
    assert pulumi.destroy(site, here) is False


def test_destroy_leaves_no_container_network_volume_or_process(client, here, site):
    pulumi.up(site, here)
    assert objects(client, site)["containers"] == [OTHER]
    pulumi.destroy(site, here)
    assert objects(client, site) == {"containers": [], "volumes": [], "networks": []}
    plugins = [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/environ")
        if str(here.state).encode() in _read(path)
    ]
    assert plugins == []
    assert list(settings.SITE_PROGRAM.glob(f"Pulumi.{site}.yaml")) == []


def test_a_foreign_container_with_a_machines_name_is_one_clear_error(client, here, site):
    image = "skerry-host:debian-12"
    stranger = client.containers.create(image, name=OTHER, command=["/bin/true"])
    try:
        with pytest.raises(StackError, match=f"a container named {OTHER} exists") as caught:
            pulumi.up(site, here)
        assert f"docker container rm {OTHER}" in str(caught.value)
        assert client.containers.get(OTHER).id == stranger.id
    finally:
        stranger.remove(force=True)
    pulumi.up(site, here)
    assert pulumi.unchanged(site, here)


def test_addresses_that_another_network_has_are_one_clear_error(client, here, site):
    pool = docker.types.IPAMPool(subnet="10.67.2.128/25")
    other = client.networks.create(
        "skerry-test-infra-stranger", ipam=docker.types.IPAMConfig(pool_configs=[pool])
    )
    try:
        with pytest.raises(StackError, match="overlaps with other") as caught:
            pulumi.up(site, here)
        assert "change the site's networks in its site.yaml" in str(caught.value)
    finally:
        other.remove()


def test_a_size_changes_in_place_and_an_absent_image_is_named(client, here, site):
    pulumi.up(site, here)
    file = here.inventories / site / "site.yaml"
    container = client.containers.get(OTHER)
    size = "{num_cpus: 2, mem_size: 3 GiB, disk_size: 20 GiB}"
    try:
        file.write_text(SITE_FILE + f"  server_size: {size}\n")
        assert pulumi.up(site, here).updated == 1
        limits = client.containers.get(container.id).attrs["HostConfig"]
        assert (limits["Memory"], limits["CpuShares"]) == (3 << 30, 2048)
        file.write_text(SITE_FILE + "  image: debian-0\n")
        with pytest.raises(StackError, match="skerry-host:debian-0 is not on this Docker host"):
            pulumi.up(site, here)
    finally:
        file.write_text(SITE_FILE)
    assert pulumi.up(site, here).any
    assert client.containers.get(OTHER).id != container.id
    assert pulumi.unchanged(site, here)


def test_a_site_without_its_control_site_is_one_clear_error(client, here, site):
    name = f"{FEDERATION}-wide-area"
    client.containers.get(MACHINE).stop(timeout=5)
    client.networks.get(name).remove()
    try:
        with pytest.raises(StackError, match=f"the network {name}") as caught:
            pulumi.up(site, here)
        assert "stand up the control site first" in str(caught.value)
    finally:
        pulumi.up(CONTROL, here)
    assert pulumi.unchanged(CONTROL, here)


def test_a_network_in_use_is_not_torn_from_the_machines_on_it(client, here, site):
    pulumi.up(site, here)
    with pytest.raises(StackError, match="is still used by") as caught:
        pulumi.destroy(CONTROL, here)
    assert OTHER in str(caught.value)
    assert "the control site goes last" in str(caught.value)
    pulumi.up(CONTROL, here)
    assert client.containers.get(OTHER).status == "running"


def test_a_stack_that_another_run_holds_is_named_with_its_holder(here, site):
    held: list[str] = []

    def second_run(line: str) -> None:
        if "Machine tsite-server-1 creating" in line and not held:
            try:
                pulumi._free(site, here, wait_s=0.0)
            except StackLockedError as error:
                held.append(str(error))

    pulumi.up(site, here, on_line=second_run)
    assert len(held) == 1
    assert "another run works on the stack tsite" in held[0]
    assert pulumi.unchanged(site, here)


def test_no_pulumi_is_one_clear_error(here, control, tmp_path):
    without = settings.load({**os.environ, "XDG_CACHE_HOME": str(tmp_path)})
    with pytest.raises(SettingsError, match="the engines are not installed"):
        pulumi.preview(control, without)


def test_the_outputs_are_json_of_the_agreed_shape(here, control):
    machine = json.loads(json.dumps(pulumi.outputs(control, here)))["site"]["machines"][0]
    assert set(machine) == {
        "name",
        "pool",
        "private_address",
        "wide_area_address",
        "ssh_user",
        "ssh_port",
        "ssh_host_key",
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
