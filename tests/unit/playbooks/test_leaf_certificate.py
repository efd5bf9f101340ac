"""leaf_certificate with the real openssl: which leaves are due, and how a new pair takes over."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def leaves(plugin):
    return plugin("library/leaf_certificate.py")


@pytest.fixture
def leaf(tmp_path, authority):
    return {
        "name": "svc",
        "cert": str(tmp_path / "tls/cert.pem"),
        "key": str(tmp_path / "tls/key.pem"),
        "ca": str(authority.ca),
        "owner": pwd.getpwuid(os.getuid()).pw_name,
        "group": grp.getgrgid(os.getgid()).gr_name,
        "common_name": "server.x.nomad",
        "dns": ["server.x.nomad", "localhost"],
        "ips": ["127.0.0.1"],
    }


@pytest.fixture
def renew(leaves, run, authority):
    """Request, sign and install; the names of the leaves that were due."""

    def call(leaf, *, days=30, **more):
        due = run(leaves, state="request", leaves=[leaf], **more)["requests"]
        chains = {name: authority.sign(csr, days=days) for name, csr in due.items()}
        result = run(leaves, state="installed", leaves=[leaf], chains=chains)
        assert result["changed"] is bool(due)
        return list(due)

    return call


def mode_of(path):
    return stat.S_IMODE(Path(path).stat().st_mode)


def due(leaves, run, leaf, **more):
    return list(run(leaves, state="request", leaves=[leaf], **more)["requests"])


def test_a_missing_leaf_is_requested_with_its_names_and_a_key_of_its_own(leaves, run, leaf):
    result = run(leaves, state="request", leaves=[leaf])

    text = subprocess.run(
        ["openssl", "req", "-noout", "-text", "-verify"],
        input=result["requests"]["svc"], capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert result["changed"] is False
    assert "CN = server.x.nomad" in text
    assert "DNS:server.x.nomad, DNS:localhost, IP Address:127.0.0.1" in text
    assert mode_of(leaf["key"] + ".new") == 0o600
    assert "PRIVATE" not in str(result)


def test_an_installed_leaf_fits_its_key_and_stays(leaves, run, leaf, renew):
    assert renew(leaf) == ["svc"]

    assert renew(leaf) == []
    assert mode_of(leaf["key"]) == 0o600
    assert mode_of(leaf["cert"]) == 0o644
    names = sorted(path.name for path in Path(leaf["cert"]).parent.iterdir())
    assert names == ["cert.pem", "key.pem"]


def test_a_leaf_is_renewed_when_less_than_the_time_is_left(leaves, run, leaf, renew):
    renew(leaf, days=20)

    assert due(leaves, run, leaf, renew_before_s=10 * 86400) == []
    assert due(leaves, run, leaf, renew_before_s=21 * 86400) == ["svc"]


def test_a_leaf_with_other_names_is_renewed(leaves, run, leaf, renew):
    renew(leaf)

    assert due(leaves, run, {**leaf, "ips": ["127.0.0.1", "192.0.2.1"]}) == ["svc"]
    assert due(leaves, run, {**leaf, "dns": ["server.x.nomad"]}) == ["svc"]


def test_a_leaf_of_another_authority_is_renewed(leaves, run, leaf, renew, new_authority):
    renew(leaf)

    assert due(leaves, run, {**leaf, "ca": str(new_authority("other").ca)}) == ["svc"]


def test_a_leaf_whose_key_is_another_is_renewed(leaves, run, leaf, renew, authority):
    renew(leaf)
    authority.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                      "-out", leaf["key"])  # fmt: skip

    assert due(leaves, run, leaf) == ["svc"]


@pytest.mark.parametrize("damage", ["", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_damaged_certificate_is_renewed(leaves, run, leaf, renew, damage, tmp_path):
    renew(leaf)
    (tmp_path / "tls/cert.pem").write_text(damage)

    assert due(leaves, run, leaf) == ["svc"]


def test_a_renewal_that_is_cut_short_leaves_the_pair_in_use(leaves, run, leaf, renew):
    renew(leaf)
    run(leaves, state="request", leaves=[leaf], renew_before_s=31 * 86400)

    assert due(leaves, run, leaf) == []


def test_check_mode_names_what_is_due_and_makes_nothing(leaves, run, leaf, tmp_path):
    asked = run(leaves, check=True, state="request", leaves=[leaf])
    put = run(leaves, check=True, state="installed", leaves=[leaf], chains=asked["requests"])

    assert asked["requests"] == {"svc": ""}
    assert put["changed"] is True
    assert not (tmp_path / "tls").exists()


def test_an_unknown_owner_is_an_error(leaves, run, leaf, authority):
    csr = run(leaves, state="request", leaves=[leaf])["requests"]["svc"]

    result = run(leaves, state="installed", leaves=[{**leaf, "owner": "nobody-here"}],
                 chains={"svc": authority.sign(csr)})  # fmt: skip

    assert "nobody-here" in result["msg"]
