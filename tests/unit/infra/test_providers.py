"""Providers: what each says of itself, what `static` refuses, and what adding one takes."""

from __future__ import annotations

import dataclasses

import pytest

from infra.errors import ProviderError
from infra.providers import provider_for
from infra.providers.base import Access
from infra.providers.local import machine_spec, network_specs
from infra.providers.local.machine import MachineProvider
from infra.providers.local.network import NetworkProvider
from infra.providers.static import facts
from tosca.model import Provider

KEY = "ssh-ed25519 AAAAC3"
ACCESS = Access(public_key=KEY, start_timeout_s=60)


@pytest.mark.parametrize(
    ("kind", "said"),
    [("local", (True, True, True)), ("static", (False, True, False))],
)
def test_a_provider_states_its_capabilities(kind, said):
    provider = provider_for(kind)
    assert provider.kind == kind
    assert tuple(provider.capabilities.facts().values()) == said


def test_an_unknown_provider_is_refused_with_the_known_ones():
    with pytest.raises(ProviderError, match="there is no provider 'moon'") as caught:
        provider_for("moon")
    assert "known: local, static" in str(caught.value)


def static_site(make_site, **without):
    machine = {"address": "192.0.2.5", "wide_area_address": "198.51.100.5", "user": "admin"}
    machine |= {"port": 2222, "host_key": KEY} | without
    provider = Provider(kind="static", settings={"machines": {"es-server-1": machine}})
    return make_site(provider=provider, cpu=0, edge=0)


def test_a_static_machine_is_what_the_file_says(make_site):
    site = static_site(make_site)
    assert facts(site, site.machines[0]) == {
        "name": "es-server-1",
        "pool": "server",
        "private_address": "192.0.2.5",
        "wide_area_address": "198.51.100.5",
        "ssh_user": "admin",
        "ssh_port": 2222,
        "ssh_host_key": KEY,
    }


def test_only_servers_and_edges_attach_to_the_wide_area(make_site):
    site = make_site(gpu=1)
    wide = {
        machine.pool.value: "skerry-unit-wide-area" in machine_spec(site, machine, ACCESS).addresses
        for machine in site.machines
    }
    assert wide == {"server": True, "cpu": False, "gpu": False, "edge": True}


def test_no_two_machines_of_a_site_share_a_name_address_or_volume(make_site):
    site = make_site(server=3, cpu=40, gpu=20)
    specs = [machine_spec(site, machine, ACCESS) for machine in site.machines]
    assert len({spec.name for spec in specs}) == len(specs)
    assert len({spec.volume for spec in specs}) == len(specs)
    addresses = [address for spec in specs for address in spec.addresses.values()]
    assert len(set(addresses)) == len(addresses)


def test_the_control_site_plans_both_networks(make_site):
    specs = network_specs(make_site("control", kind="control"))
    assert {spec.name: spec.subnet for spec in specs.values()} == {
        "skerry-unit-control": "10.67.1.0/24",
        "skerry-unit-wide-area": "10.66.0.0/24",
    }


def properties(make_site):
    site = make_site()
    spec = machine_spec(site, site.machines[0], ACCESS)
    return {**vars(spec), "state": "ready"}


@pytest.mark.parametrize(
    ("change", "replaces"),
    [
        ({"image": "skerry-host:debian-13"}, ["image"]),
        ({"addresses": {"skerry-unit-es": "10.67.1.99"}}, ["addresses"]),
        ({"memory_mib": 4096}, []),
        ({"cpus": 2}, []),
        ({"public_key": "ssh-ed25519 BBBB"}, []),
    ],
)
def test_a_changed_machine_is_replaced_only_when_it_must_be(make_site, change, replaces):
    olds = properties(make_site)
    result = MachineProvider().diff("id", olds, {**olds, **change})
    assert result.changes is True
    assert result.replaces == replaces
    assert result.delete_before_replace is True


def test_an_unchanged_machine_is_no_difference(make_site):
    olds = properties(make_site)
    # The engine hands numbers over as floating point.
    news = {**olds, "cpus": 1.0, "memory_mib": 1024.0, "start_timeout_s": 999.0}
    assert MachineProvider().diff("id", olds, news).changes is False


@pytest.mark.parametrize("state", ["exited", "paused", "detached", "created", "dead"])
def test_a_machine_that_is_not_ready_is_mended_in_place(make_site, state):
    olds = properties(make_site)
    result = MachineProvider().diff("id", {**olds, "state": state}, olds)
    assert result.changes is True
    assert result.replaces == []


def test_a_network_with_another_subnet_is_replaced_after_removal(make_site):
    olds = vars(network_specs(make_site())["private"])
    result = NetworkProvider().diff("id", olds, {**olds, "subnet": "10.1.0.0/24"})
    assert (result.changes, result.replaces) == (True, ["subnet"])
    assert result.delete_before_replace is True
    assert NetworkProvider().diff("id", olds, dict(olds)).changes is False


def test_the_digest_covers_what_only_a_new_container_changes(make_site):
    site = make_site()
    spec = machine_spec(site, site.machines[0], ACCESS)
    other_key = machine_spec(site, site.machines[0], Access("ssh-ed25519 BBBB", 1))
    other_place = machine_spec(site, site.machines[1], ACCESS)
    assert spec.digest() == other_key.digest()
    assert spec.digest() != other_place.digest()


def test_the_private_network_comes_first_whatever_the_order_of_names(make_site):
    site = make_site("zz")
    spec = machine_spec(site, site.machines[0], ACCESS)
    shuffled = dataclasses.replace(spec, addresses=dict(reversed(spec.addresses.items())))
    assert [name for name, _ in shuffled.endpoints] == ["skerry-unit-zz", "skerry-unit-wide-area"]


def test_an_absent_daemon_is_one_clear_error(make_site, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(ProviderError, match="the Docker daemon does not answer") as caught:
        MachineProvider().create(properties(make_site))
    assert "unix:///nowhere/docker.sock" in str(caught.value)
    assert "systemctl start docker" in str(caught.value)
