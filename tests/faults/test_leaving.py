"""The site that joined the demo leaves it: it is seen to go, all it was given is taken back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from flows import acceptance
from flows.acceptance.federation import load
from flows.acceptance.remote import engines, machine
from flows.acceptance.ssh import Connections
from flows.steps import probes, sites
from infra import settings as infra_settings

CHECKOUT = Path(__file__).resolve().parents[2]
SITE = "pl"
CALL_S = 60.0
# Serf's states of a member (Consul API 1.22, agent/members): 3 is left.
CONSUL_LEFT = 3


class Left:
    """What the site had, and the federation after it left."""

    def __init__(self, here, connections) -> None:
        self.here = here
        self.connections = connections
        self.federation = load(here.inventories)
        self.others = [site for site in self.federation.sites if site.name != SITE]
        self.control = self.federation.control.first
        (server,) = [site.first for site in self.federation.sites if site.name == SITE]
        self.credential = json.loads(self.read(server, "/etc/skerry/site-credential.json"))
        chain = self.read(server, "/etc/nomad.d/tls/cert.pem").encode()
        self.intermediate = x509.load_pem_x509_certificates(chain)[1]
        assert self.log_in() == 200
        self.watched = [probes.watch(site.name, here) for site in self.others]
        self.before = probes.snapshot(self.watched, here)

    def read(self, host, file):
        done = self.connections.ask(host, CALL_S, machine.run, ["cat", file])
        assert done["rc"] == 0, done["err"]
        return done["out"]

    def ask(self, function, *arguments, **more):
        return self.connections.ask(self.control, CALL_S, function, *arguments, **more)

    def log_in(self):
        """Status of a login with the credential that the site was given."""
        path = "/v1/auth/approle/login"
        return self.ask(engines.vault, "POST", path, self.credential, who="none")["status"]


@pytest.fixture(scope="module")
def left():
    """The federation right after the site left it."""
    here = infra_settings.load()
    there = (here.inventories / SITE / "hosts.yml").is_file()
    assert there, f"{SITE} is not a member of the demo federation: run `make join-demo`"
    with Connections() as connections:
        found = Left(here, connections)
        done = subprocess.run(
            [sys.executable, "-m", "flows", "retire", SITE],
            cwd=CHECKOUT, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        yield found


def test_every_other_site_sees_that_it_left(left):
    for site in left.others:
        ask = left.connections.ask
        listed = ask(site.first, CALL_S, engines.consul, "GET", "/v1/agent/members?wan=1")["body"]
        consul = {one["Status"] for one in listed if one["Name"].endswith(f".{SITE}")}
        members = ask(site.first, CALL_S, engines.nomad, "GET", "/v1/agent/members")["body"]
        nomad = {one["Status"] for one in members["Members"] if one["Name"].endswith(f".{SITE}")}
        assert consul <= {CONSUL_LEFT}
        assert nomad <= {"left"}


def test_its_credential_opens_nothing_any_more(left):
    assert left.log_in() == 400
    for path in (f"/v1/kv/data/sites/{SITE}/engines", f"/v1/pki-{SITE}/cert/ca"):
        assert left.ask(engines.vault, "GET", path, who="operator")["status"] == 404


def test_its_certificates_are_revoked_by_the_root(left):
    listed = left.ask(engines.vault, "GET", "/v1/pki-root/cert/crl", who="operator")
    crl = x509.load_pem_x509_crl(listed["body"]["data"]["certificate"].encode())
    assert crl.get_revoked_certificate_by_serial_number(left.intermediate.serial_number)


def test_nothing_of_it_is_left_on_this_machine(left):
    federation = sites.federation(left.here).name
    labels = [
        f"--filter=label=skerry.federation={federation}",
        f"--filter=label=skerry.site={SITE}",
    ]
    for what in (["ps", "--all"], ["volume", "ls"], ["network", "ls"]):
        shown = subprocess.run(
            ["docker", *what, "--quiet", *labels], capture_output=True, text=True, check=True
        )
        assert shown.stdout == ""
    assert not (left.here.inventories / SITE / "hosts.yml").exists()


def test_the_others_are_untouched(left):
    assert probes.snapshot(left.watched, left.here).restarts_since(left.before) == []
    found = acceptance.run(left.here.inventories, only={"F1", "F3", "F4", "F5", "F8", "W1.CPU6"})
    assert [f"{one.id}: {one.detail}" for one in found if not one.passed] == []
