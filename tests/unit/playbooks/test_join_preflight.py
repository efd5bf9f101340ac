"""join_preflight: every obstacle is named, all at once, and the token is shown to nobody else."""

from __future__ import annotations

import email.utils
import json
import re
import socket
import time

import pytest

ADDRESS = "127.77.0.4"


@pytest.fixture
def preflight(plugin):
    module = plugin("library/join_preflight.py")
    module.REFUSAL_S = 0.05
    return module


@pytest.fixture
def vault(tls_server, authority):
    """The control site's Vault at ADDRESS:8200; the dictionary is what it answers."""
    state = {
        "root": authority.ca.read_bytes(),
        "token": "good",
        "made_for": "site-aa",
        "skew_s": 0.0,
        "health": 200,
        "asked": [],
    }

    def answer(request, raw):
        state["asked"].append((request.path, raw))
        if request.path == "/v1/sys/health":
            return state["health"], b"{}"
        if request.path == "/v1/pki-root/ca/pem":
            return 200, state["root"]
        if request.path == "/v1/sys/wrapping/lookup":
            if json.loads(raw)["token"] != state["token"]:
                return 400, b'{"errors": ["wrapping token is not valid or does not exist"]}'
            path = f"auth/approle/role/{state['made_for']}/secret-id"
            return 200, json.dumps({"data": {"creation_path": path}}).encode()
        return 200, b"{}"

    tls_server(ADDRESS, 8200, answer)
    return state


@pytest.fixture
def control(monkeypatch, preflight):
    """The other ports of the control site; close() takes one away."""
    listening = {port: socket.create_server((ADDRESS, port)) for port in (8300, 8302, 4647, 4648)}
    datagrams = {port: socket.socket(type=socket.SOCK_DGRAM) for port in (8302, 4648)}
    for port, one in datagrams.items():
        one.bind((ADDRESS, port))
    yield lambda port, kind="tcp": (listening if kind == "tcp" else datagrams)[port].close()
    for one in [*listening.values(), *datagrams.values()]:
        one.close()


@pytest.fixture
def ask(preflight, run, vault, control, authority, tmp_path, plugin):
    fingerprint = plugin("library/site_root.py").fingerprint(authority.ca.read_text())

    def call(**more):
        given = {
            "site": "aa",
            "control_site": "control",
            "control_address": ADDRESS,
            "addresses": ["127.0.0.1"],
            "ca_sha256": fingerprint,
            "join_token": "good",
            "first": True,
            "federated": True,
            "credential_file": str(tmp_path / "credential"),
        }
        return run(preflight, **{**given, **more})

    return call


def test_a_site_with_nothing_in_its_way_may_join(ask):
    result = ask()

    assert "failed" not in result
    assert result["changed"] is False
    assert abs(result["skew_s"]) < 5


@pytest.mark.parametrize(
    ("port", "what"),
    [(8300, "Consul servers"), (8302, "Consul gossip"), (4647, "Nomad servers"),
     (4648, "Nomad gossip")],
)  # fmt: skip
def test_a_closed_port_is_named_with_what_it_is_for(ask, control, port, what):
    control(port)

    message = ask()["msg"]

    assert f"port {port}/tcp ({what}) of {ADDRESS} is not reachable" in message
    assert "firewalls" in message
    assert message.count("\n- ") == 1


def test_a_gossip_port_that_refuses_datagrams_is_named(ask, control):
    control(8302, "udp")

    assert f"port 8302/udp (Consul gossip) of {ADDRESS} refuses datagrams" in ask()["msg"]


def test_without_vault_its_port_is_named_and_nothing_is_asked_of_it(ask):
    message = ask(control_address="127.77.0.5")["msg"]

    assert "port 8200/tcp (Vault) of 127.77.0.5 is not reachable" in message


def test_a_sovereign_site_needs_no_port_but_vaults(ask, control):
    for port in (8300, 8302, 4647, 4648):
        control(port)

    assert "failed" not in ask(federated=False)


def test_the_control_site_does_not_join_itself(ask):
    assert "site name control: the control site does not join itself" in ask(site="control")["msg"]


def test_an_address_this_machine_does_not_have_is_named(ask):
    assert "does not have the address 192.0.2.77" in ask(addresses=["192.0.2.77"])["msg"]


@pytest.mark.parametrize("ahead_s", [-120, 120])
def test_a_clock_that_is_off_is_named_with_the_difference(ask, preflight, monkeypatch, ahead_s):
    now = time.time
    monkeypatch.setattr(preflight.time, "time", lambda: now() + ahead_s)
    # The answering server is in this process: its Date header must keep the right time.
    right = email.utils.formatdate
    monkeypatch.setattr(
        "http.server.email.utils.formatdate", lambda _t, usegmt: right(now(), usegmt=usegmt)
    )

    found = re.search(r"differs from the control site's by (-?\d+) s", ask()["msg"])
    assert found is not None
    # A Date header counts whole seconds.
    assert ahead_s - 1 <= int(found[1]) <= ahead_s + 2


def test_a_sealed_vault_is_named_with_what_unseals_it(ask, vault):
    vault["health"] = 503

    message = ask()["msg"]

    assert f"Vault at {ADDRESS}:8200 is sealed" in message
    assert "playbooks/deploy-site.yml" in message
    assert message.count("\n- ") == 1


def test_a_token_that_was_used_or_has_run_out_is_refused(ask, vault):
    vault["token"] = "another"

    assert "it was used before, it has run out" in ask()["msg"]


def test_a_token_of_another_site_is_refused_by_name(ask, vault):
    vault["made_for"] = "site-bb"

    assert "made out to site-bb, not to site-aa" in ask()["msg"]


def test_a_missing_token_is_named_with_the_option_that_gives_it(ask):
    assert "no join token was given: -e join_token_file=FILE" in ask(join_token="")["msg"]


def test_the_token_is_not_shown_to_a_vault_with_another_root(ask, vault):
    message = ask(ca_sha256="ab" * 32)["msg"]

    assert "the join token was not shown to it" in message
    assert not any(b"good" in raw for _, raw in vault["asked"])


def test_the_token_is_not_shown_to_one_that_copies_the_root_but_lacks_its_keys(
    ask, vault, new_authority, plugin
):
    # Its own certificate is of `authority`, the root it shows is the federation's: another.
    genuine = new_authority("genuine").ca
    vault["root"] = genuine.read_bytes()
    pinned = plugin("library/site_root.py").fingerprint(genuine.read_text())

    assert "CERTIFICATE_VERIFY_FAILED" in ask(ca_sha256=pinned)["msg"]
    assert not any(b"good" in raw for _, raw in vault["asked"])


def test_a_server_that_does_not_use_the_token_needs_none(ask):
    assert "failed" not in ask(first=False, join_token="")


def test_a_site_that_has_joined_needs_no_token_any_more(ask, tmp_path):
    (tmp_path / "credential").write_text("{}")

    assert "failed" not in ask(join_token="")


def test_all_obstacles_are_named_in_one_go(ask, control):
    control(8300)
    control(4647)

    message = ask(addresses=["192.0.2.77"], join_token="wrong")["msg"]

    assert message.startswith("this site cannot join yet, nothing was changed:")
    assert message.count("\n- ") == 4


def test_the_token_is_not_in_the_answer(ask):
    assert "t0ken-of-the-site" not in str(ask(join_token="t0ken-of-the-site"))
