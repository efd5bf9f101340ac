"""Each test breaks one property of the running demo federation, sees its check fail, mends it."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from pathlib import Path

import pytest

from flows import acceptance
from flows.acceptance.federation import load
from flows.acceptance.remote import engines, faults, machine
from flows.acceptance.ssh import Connections
from infra import settings as infra_settings

CALL_S = 60.0
PATIENCE_S = 60.0


class Demo:
    """The demo federation, a way to touch its machines, and its checks."""

    def __init__(self, inventories, connections) -> None:
        self.inventories = inventories
        self.federation = load(inventories)
        self.connections = connections
        self.control = self.federation.control
        # A check that looks at one site takes the last; the first one has three servers.
        self.last = self.federation.working[-1]
        self.big = max(self.federation.working, key=lambda site: len(site.servers))

    def ask(self, host, function, *args, **kwargs):
        return self.connections.ask(host, CALL_S, function, *args, **kwargs)

    def nomad(self, site, method, path, body=None):
        return engines.must(self.ask(site.first, engines.nomad, method, path, body), path)

    def consul(self, site, method, path, body=None):
        return engines.must(self.ask(site.first, engines.consul, method, path, body), path)

    def vault(self, method, path, body=None):
        reply = self.ask(self.control.first, engines.vault, method, path, body, who="operator")
        return engines.must(reply, path)

    def sh(self, host, script):
        done = self.ask(host, machine.run, ["sh", "-ec", script])
        assert done["rc"] == 0, done["err"]
        return done["out"]

    def verdict(self, check):
        (result,) = acceptance.run(self.inventories, only={check})
        return result

    def fails(self, check, *words, patience=0.0):
        """The check fails, at the latest after `patience` seconds, and says these words."""
        deadline = time.monotonic() + patience
        while (result := self.verdict(check)).passed and time.monotonic() < deadline:
            time.sleep(1)
        assert not result.passed, f"{check} did not notice: {result.detail}"
        for word in words:
            assert word in result.detail

    def passes(self, check, *, patience=PATIENCE_S):
        """The check passes again, at the latest after `patience` seconds."""
        deadline = time.monotonic() + patience
        while not (result := self.verdict(check)).passed and time.monotonic() < deadline:
            time.sleep(1)
        assert result.passed, result.detail


@pytest.fixture(scope="module")
def demo():
    inventories = infra_settings.load().inventories
    there = list(inventories.glob("*/hosts.yml"))
    assert there, "the demo federation is not there: run `make demo`"
    with Connections() as connections:
        yield Demo(inventories, connections)


@pytest.fixture
def undo():
    """Callbacks that put things right, whatever the test came to."""
    with contextlib.ExitStack() as stack:
        yield stack


def edited(demo, undo, host, file, change, command):
    """Change a JSON file on a machine and have it read; both are undone."""
    before = demo.sh(host, f"cat {file}")
    content = json.loads(before)
    change(content)
    copy = f"{file}.before-test"
    demo.sh(host, f"cp -p {file} {copy}")
    undo.callback(demo.sh, host, f"cat {copy} > {file} && rm {copy} && {command}")
    # The file's text holds secrets: it goes in over stdin like every argument.
    demo.ask(host, machine.write, file, json.dumps(content))
    demo.sh(host, command)


def test_a_stopped_server_fails_f1_f2_and_f5(demo, undo):
    victim = demo.big.servers[-1]
    for unit in ("nomad", "consul"):
        undo.callback(demo.ask, victim, faults.release, unit)
        demo.ask(victim, faults.hold_down, unit, 240)
    demo.fails("F2", demo.big.name)
    demo.fails("F1", patience=PATIENCE_S)
    demo.fails("F5", patience=PATIENCE_S)
    undo.close()
    demo.passes("F1")
    demo.passes("F2")
    demo.passes("F5")


def test_an_ineligible_node_fails_f4_and_the_admission_check(demo, undo):
    site = demo.last
    node = demo.nomad(site, "GET", "/v1/nodes")[0]
    path = f"/v1/node/{node['ID']}/eligibility"
    undo.callback(demo.nomad, site, "POST", path, {"Eligibility": "eligible"})
    demo.nomad(site, "POST", path, {"Eligibility": "ineligible"})
    demo.fails("F4", node["Name"], "ineligible")
    demo.fails("W1.CPU4", node["Name"])


def test_a_policy_missing_in_one_region_fails_f8(demo, undo):
    site = demo.last
    path = f"/v1/acl/policy/community-{site.communities[0]}"
    policy = demo.nomad(site, "GET", path)
    undo.callback(demo.nomad, site, "POST", path, policy)
    demo.nomad(site, "DELETE", path)
    demo.fails("F8", f"{site.name} lacks")
    undo.close()
    demo.passes("F8")


def test_a_policy_for_nobody_in_particular_fails_n1(demo, undo):
    site, path = demo.last, "/v1/acl/policy/anonymous"
    rules = {"Name": "anonymous", "Rules": 'namespace "*" { policy = "read" }'}
    undo.callback(demo.nomad, site, "DELETE", path)
    demo.nomad(site, "POST", path, rules)
    demo.fails("N1.token", site.name, "/v1/jobs")


@pytest.mark.parametrize(
    ("check", "section", "key", "value"),
    [
        ("N1.tls", ("tls",), "verify_https_client", False),
        ("N2.worker", ("tls",), "verify_server_hostname", False),
        ("N3", ("server", "client_introduction"), "enforcement", "warn"),
    ],
)
def test_a_server_that_checks_less_fails(demo, undo, check, section, key, value):
    server, file = demo.last.first, "/etc/nomad.d/nomad.json"

    def change(content):
        for step in section:
            content = content[step]
        assert content[key] != value
        content[key] = value

    edited(demo, undo, server, file, change, "systemctl restart nomad")
    led = demo.ask(server, engines.autopilot, 0, CALL_S)
    assert led.get("Healthy"), led
    demo.fails(check)
    undo.close()
    demo.passes("F2")
    demo.passes(check)


@pytest.mark.parametrize("extra", ["raw_exec", "mock_driver"])
def test_a_driver_allowed_to_a_community_fails_n4(demo, undo, extra):
    site = demo.last
    path = f"/v1/namespace/{site.communities[0]}"
    space = demo.nomad(site, "GET", path)
    undo.callback(demo.nomad, site, "POST", path, space)
    wide = {**space, "Capabilities": {"EnabledTaskDrivers": ["docker", extra]}}
    demo.nomad(site, "POST", path, wide)
    demo.fails("N4.driver", site.name, extra)


def test_a_docker_daemon_without_its_policy_fails_n4(demo, undo):
    worker, file = demo.last.workers[0], "/etc/docker/daemon.json"
    edited(
        demo,
        undo,
        worker,
        file,
        lambda content: content.update({"authorization-plugins": []}),
        "systemctl kill --kill-who=main --signal=HUP docker; sleep 1",
    )
    demo.fails("N4.host", f"{demo.last.name}: pid is running")
    undo.close()
    demo.passes("N4.host")


def test_a_worker_that_may_read_tokens_in_consul_fails_n5(demo, undo):
    site = demo.last
    policy = demo.consul(site, "GET", f"/v1/acl/policy/name/{site.name}-nomad-client")
    path = f"/v1/acl/policy/{policy['ID']}"
    # Policies live at the primary, from where they are replicated.
    undo.callback(demo.consul, demo.control, "PUT", path, policy)
    wide = {**policy, "Rules": policy["Rules"] + ' acl = "read"'}
    demo.consul(demo.control, "PUT", path, wide)
    demo.fails("N5.list", site.workers[0].name, patience=PATIENCE_S)
    undo.close()
    demo.passes("N5.list")


def test_an_agent_that_takes_catalogue_entries_fails_n5(demo, undo):
    worker = demo.last.workers[0]
    edited(
        demo,
        undo,
        worker,
        "/etc/consul.d/consul.json",
        lambda content: content.pop("http_config"),
        "systemctl restart consul; sleep 3",
    )
    demo.fails("N5.node", f"{worker.name}'s service token", "at its own agent answered 200")
    undo.close()
    demo.passes("N5.node")


def test_a_plain_port_fails_n6(demo, undo):
    server = demo.last.first
    undo.callback(
        demo.sh, server, "systemctl stop skerry-test-plain; rm -rf /run/skerry-test-plain"
    )
    demo.sh(
        server,
        "mkdir -p /run/skerry-test-plain; systemd-run --unit=skerry-test-plain "
        "python3 -m http.server --directory /run/skerry-test-plain "
        f"--bind {server.private_address} 8500; sleep 1",
    )
    demo.fails("N6.plain", f"{server.private_address}:8500 accepted")


def test_a_readable_name_in_gossip_fails_n6(demo, undo):
    server = demo.last.first
    undo.callback(demo.sh, server, "systemctl stop skerry-test-chatter")
    packet = f"import socket,time\ns=socket.socket(2,2)\nwhile 1: s.sendto(b'{server.name}',"
    packet += f"('{demo.control.first.reachable_address}',4648)); time.sleep(.5)"
    demo.sh(server, f'systemd-run --unit=skerry-test-chatter python3 -c "{packet}"')
    demo.fails("N6.gossip", f"{server.name} is readable")


def test_a_key_that_others_can_read_fails_n7(demo, undo):
    worker, key = demo.last.workers[0], "/etc/nomad.d/tls/key.pem"
    undo.callback(demo.sh, worker, f"chmod 0600 {key}")
    demo.sh(worker, f"chmod 0644 {key}")
    demo.fails("N7.keys", worker.name, key)


@pytest.mark.parametrize("place", ["a file", "an environment"])
def test_a_token_left_lying_about_fails_n7(demo, undo, place):
    worker = demo.last.workers[0]
    program = 'import json; print(json.load(open("/etc/nomad.d/nomad.json"))["consul"]["token"])'
    read = f"python3 -c '{program}'"
    unit = "skerry-test-leak"
    if place == "a file":
        undo.callback(demo.sh, worker, f"rm -f /var/tmp/{unit}")
        demo.sh(worker, f"{read} > /var/tmp/{unit}; chmod 0644 /var/tmp/{unit}")
        said = f"/var/tmp/{unit}"
    else:
        undo.callback(demo.sh, worker, f"systemctl stop {unit}")
        script = f"/run/{unit}.sh"
        demo.ask(worker, machine.write, script, f"T=$({read}) exec sleep 120\n")
        demo.sh(worker, f"systemd-run --unit={unit} sh {script}; sleep 1; rm {script}")
        said = "environ of sleep"
    demo.fails("N7.hosts", worker.name, said)
    undo.close()
    demo.passes("N7.hosts")


def test_a_secret_in_a_log_of_the_controller_fails_n7(demo, undo):
    secret, path = str(uuid.uuid4()), f"/v1/kv/data/sites/{demo.last.name}/check-canary"
    undo.callback(demo.vault, "DELETE", path.replace("/data/", "/metadata/"))
    demo.vault("POST", path, {"data": {"canary": secret}})
    log = Path(infra_settings.CHECKOUT) / "build" / "logs" / "check-canary.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    undo.callback(log.unlink)
    log.write_text(f"login with {secret} failed\n")
    demo.fails("N7.controller", "check-canary.log")
    assert secret not in demo.verdict("N7.controller").detail


def test_a_second_management_token_fails_n8(demo, undo):
    site = demo.last
    made = demo.nomad(site, "POST", "/v1/acl/token", {"Name": "check-spare", "Type": "management"})
    undo.callback(demo.nomad, site, "DELETE", f"/v1/acl/token/{made['AccessorID']}")
    demo.fails("N8.nomad", site.name, "check-spare")


def test_a_second_consul_token_with_all_rights_fails_n8(demo, undo):
    body = {"Description": "check-spare", "Policies": [{"Name": "global-management"}]}
    made = demo.consul(demo.control, "PUT", "/v1/acl/token", body)
    undo.callback(demo.consul, demo.control, "DELETE", f"/v1/acl/token/{made['AccessorID']}")
    demo.fails("N8.consul", "check-spare")
    undo.close()
    demo.passes("N8.consul")


def test_a_community_policy_that_is_too_wide_fails_n9(demo, undo):
    site = demo.last
    path = f"/v1/acl/policy/community-{site.communities[0]}"
    policy = demo.nomad(site, "GET", path)
    undo.callback(demo.nomad, site, "POST", path, policy)
    rules = policy["Rules"] + 'namespace "*" { policy = "write" }\noperator { policy = "write" }\n'
    demo.nomad(site, "POST", path, {**policy, "Rules": rules})
    demo.fails("N9.other", f"{site.name}: {site.communities[0]} in {site.communities[1]}")
    demo.fails("N9.rights", site.communities[0])


def test_a_node_that_serves_no_community_fails_w1(demo, undo):
    worker = demo.last.workers[0]
    edited(
        demo,
        undo,
        worker,
        "/etc/nomad.d/nomad.json",
        lambda content: content["client"]["meta"].update(namespace=""),
        "systemctl restart nomad",
    )
    demo.fails("W1.N5", worker.name, patience=PATIENCE_S)
    undo.close()
    demo.passes("W1.N5")


def test_a_silent_edge_fails_w1(demo, undo):
    edge = demo.last.edges[0]
    undo.callback(demo.sh, edge, "systemctl start traefik")
    demo.sh(edge, "systemctl stop traefik")
    demo.fails("W1.DC2", edge.name)
    undo.close()
    demo.passes("W1.DC2")


def test_a_workload_policy_that_is_gone_fails_w6(demo, undo):
    path = f"/v1/sys/policies/acl/workload-{demo.last.name}"
    policy = demo.vault("GET", path)["data"]["policy"]
    undo.callback(demo.vault, "PUT", path, {"policy": policy})
    demo.vault("DELETE", path)
    demo.fails("W6.own", demo.last.name)


def test_a_workload_policy_that_is_too_wide_fails_w6(demo, undo):
    path = f"/v1/sys/policies/acl/workload-{demo.last.name}"
    policy = demo.vault("GET", path)["data"]["policy"]
    undo.callback(demo.vault, "PUT", path, {"policy": policy})
    wide = policy + '\npath "kv/data/workloads/*" { capabilities = ["read", "update"] }\n'
    demo.vault("PUT", path, {"policy": wide})
    demo.fails("W6.other", "workloads/")


def test_a_second_gossip_key_fails_r1(demo, undo):
    site, key = demo.last, "c2tlcnJ5LXRlc3QtZ29zc2lwLWtleS0zMi1ieXRlcyE="
    undo.callback(demo.nomad, site, "POST", "/v1/agent/keyring/remove", {"Key": key})
    demo.nomad(site, "POST", "/v1/agent/keyring/install", {"Key": key})
    demo.fails("R1.keys", "2 keys")
    undo.close()
    demo.passes("R1.keys")


def test_a_certificate_that_lives_too_long_and_is_not_in_use_fails_r2(demo, undo):
    edge, file = demo.last.edges[0], "/etc/consul.d/tls/cert.pem"
    undo.callback(demo.sh, edge, f"cat {file}.before-test > {file}; rm {file}.before-test")
    demo.sh(
        edge,
        f"cp -p {file} {file}.before-test; openssl req -x509 -newkey rsa:2048 -nodes -days 90 "
        f"-subj /CN=test -keyout /dev/null 2>/dev/null > {file}.new; cat {file}.new > {file}; "
        f"rm {file}.new",
    )
    demo.fails("R2.leaves", edge.name, "90 days")
