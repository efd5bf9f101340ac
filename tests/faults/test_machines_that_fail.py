"""What breaks on the running demo federation is named; nothing is lost; the next run mends it.

Vault sealed, certificates that have run out, a machine that dies in the middle of a play, a port
that somebody else has, a file changed by hand.
"""

from __future__ import annotations

import subprocess

import pytest

from flows import acceptance
from flows.acceptance.federation import load
from flows.acceptance.remote import engines, machine
from flows.acceptance.ssh import Connections
from flows.errors import HostUnreachableError, StepError
from flows.jobs.demo import page_job
from flows.steps import access, ansible, remote, sites, work
from flows.steps.nomad import Region
from infra import settings as infra_settings

SITE, CONTROL = "pt", "control"
CALL_S = 60.0
# A request for what is in a certificate, signed to live for one second from now.
EXPIRING = """
set -eu
openssl x509 -x509toreq -in {cert} -signkey {key} -copy_extensions copyall -out /tmp/short.csr
"""
# Something else listens at the port of the edge until it is told to stop.
SQUAT = "systemctl stop traefik; systemd-run --unit=squatter --quiet python3 -m http.server {port}"


class Site:
    """One site of the demo, its machines and what its people see."""

    def __init__(self, here, connections) -> None:
        self.here = here
        self.connections = connections
        federation = load(here.inventories)
        by_name = {site.name: site for site in federation.working}
        self.control = federation.control.first
        self.server = by_name[SITE].first
        self.edge = by_name[SITE].edges[0]

    def sh(self, host, script):
        done = self.connections.ask(host, CALL_S, machine.run, ["sh", "-ec", script])
        assert done["rc"] == 0, done["err"]
        return done["out"]

    def play(self, playbook="deploy-site", site=SITE, tell=None):
        return ansible.play(playbook, [site], self.here, tell=tell)

    def refuses(self, playbook="deploy-site", site=SITE, error=StepError):
        """The message with which a playbook ends early."""
        with pytest.raises(error) as caught:
            self.play(playbook, site)
        return str(caught.value)

    def allocations(self):
        keys = access.fetch(SITE, self.here)
        region = Region(SITE, keys.nomad, keys.nomad_token.read_text().strip())
        variables = remote.inventory(SITE, self.here).site_group.vars
        page = page_job(SITE, variables.fed_communities[0], variables.fed_domain)
        return [(one.id, one.restarts, one.status) for one in region.allocations(page)]

    def page_is_there(self):
        work.await_page(work.edge_of(SITE, self.here), SITE)

    def expire(self, host, folder, mount, role, service):
        """Put a certificate in place that the site signs for one second, and have it used."""
        cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
        self.sh(host, EXPIRING.format(cert=cert, key=key))
        request = self.sh(host, "cat /tmp/short.csr; rm /tmp/short.csr")
        reply = self.connections.ask(
            self.control if host is self.control else self.server,
            CALL_S,
            engines.vault,
            "POST",
            f"/v1/{mount}/sign/{role}",
            {"csr": request, "ttl": "1s", "exclude_cn_from_sans": True},
            who="site",
        )
        signed = engines.must(reply, "a certificate for one second")["data"]
        chain = "\n".join([signed["certificate"], *signed["ca_chain"][:1]]) + "\n"
        self.connections.ask(host, CALL_S, machine.write, cert, chain)
        self.sh(host, f"sleep 2; systemctl reload {service}")


@pytest.fixture(scope="module")
def site():
    here = infra_settings.load()
    assert (here.inventories / SITE / "hosts.yml").is_file(), "no demo federation: run `make demo`"
    work.run(SITE, here)
    with Connections() as connections:
        yield Site(here, connections)


@pytest.fixture(autouse=True)
def nothing_is_lost(site):
    """Whatever happens, the site's page is the same as before in the end, not restarted."""
    before = site.allocations()
    assert before
    yield
    site.page_is_there()
    assert site.allocations() == before


def test_a_sealed_vault_is_named_and_unsealed_by_the_next_deploy(site):
    site.sh(site.control, "systemctl restart vault")

    for playbook in ("deploy-site", "join-provider"):
        message = site.refuses(playbook)
        assert "is sealed" in message
        assert "playbooks/deploy-site.yml" in message
    site.page_is_there()

    site.play(site=CONTROL)
    assert site.play().changed == 0


def test_a_certificate_of_vault_that_has_run_out_is_named_and_replaced(site):
    site.expire(site.control, "/etc/vault.d/tls", f"pki-{CONTROL}", "vault", "vault")

    assert "certificate has expired" in site.refuses()
    site.page_is_there()

    site.play(site=CONTROL)
    assert site.play().changed == 0
    assert site.play(site=CONTROL).changed == 0


def test_a_certificate_of_an_agent_that_has_run_out_is_named_and_renewed(site):
    site.expire(site.edge, "/etc/consul.d/tls", f"pki-{SITE}", "consul-client", "consul")

    (verdict,) = acceptance.run(site.here.inventories, only={"R2.leaves"})
    assert not verdict.passed
    assert f"{site.edge.name} /etc/consul.d/tls/cert.pem has run out" in verdict.detail

    site.play()
    (verdict,) = acceptance.run(site.here.inventories, only={"R2.leaves"})
    assert verdict.passed, verdict.detail


def test_a_machine_that_dies_in_the_middle_of_a_play_is_named_and_finished_by_the_next(site):
    federation = sites.federation(site.here).name
    killed = []

    def tell(line):
        if "Agents" in line and not killed:
            killed.append(line)
            subprocess.run(
                ["docker", "kill", f"{federation}-{site.edge.name}"], check=True, timeout=30
            )

    with pytest.raises(HostUnreachableError) as caught:
        site.play(tell=tell)
    assert killed
    assert f"cannot log in to {site.edge.name}" in str(caught.value)
    assert "pulumi up --refresh" in str(caught.value)

    sites.bring_up(SITE, site.here)
    site.play()
    assert site.play().changed == 0


def test_a_port_that_somebody_else_has_is_named_with_the_service_that_wants_it(site):
    site.sh(site.edge, SQUAT.format(port=443))
    try:
        message = site.refuses()
    finally:
        site.sh(site.edge, "systemctl stop squatter")

    assert f"{site.edge.name}: " in message
    assert "traefik" in message
    assert "address already in use" in message

    site.play()
    assert site.play().changed == 0


def test_the_stock_strategy_comes_to_the_same(site, monkeypatch):
    file = "/etc/consul.d/consul.json"
    before = site.sh(site.edge, f"sha256sum {file}")
    site.sh(site.edge, f"echo >> {file}")

    monkeypatch.setenv("ANSIBLE_STRATEGY", "linear")
    stock = site.play()
    monkeypatch.delenv("ANSIBLE_STRATEGY")

    assert {host for host, result in stock.hosts.items() if result.changed} == {site.edge.name}
    assert site.sh(site.edge, f"sha256sum {file}") == before
    assert site.play().changed == 0
