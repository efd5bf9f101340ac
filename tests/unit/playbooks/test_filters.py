"""Filters of the playbooks: conflicts between sites, backups, keys and certificates."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

SITES = {
    "aa": {"private_cidr": "192.0.2.0/26", "wide_area_cidr": "198.51.100.0/28"},
    "bb": {"private_cidr": "192.0.2.64/26", "wide_area_cidr": "198.51.100.16/28"},
}


@pytest.fixture
def conflicts(plugin):
    return plugin("filter_plugins/federation.py").site_conflicts


def asked(private="192.0.2.128/26", wide="198.51.100.32/28"):
    return {"private_cidr": private, "wide_area_cidr": wide}


def test_a_site_of_its_own_name_and_networks_is_welcome(conflicts):
    assert conflicts(SITES, "cc", asked()) == []
    assert conflicts({}, "cc", asked()) == []


def test_a_site_that_asks_again_for_what_it_has_is_welcome(conflicts):
    assert conflicts(SITES, "aa", dict(SITES["aa"])) == []


def test_a_name_that_is_taken_is_refused_with_the_way_out(conflicts):
    (problem,) = conflicts(SITES, "aa", asked())

    assert problem.startswith("inventories/aa/site.yaml: there is a site aa already")
    assert "revoke-site.yml" in problem


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param(
            asked(private="192.0.2.0/24"),
            ["the site's own network 192.0.2.0/24 overlaps the site's own network 192.0.2.0/26 of",
             "overlaps the site's own network 192.0.2.64/26 of site bb"],
            id="a network around two others",
        ),
        pytest.param(asked(wide="198.51.100.24/29"), ["198.51.100.16/28 of site bb"], id="a part"),
        pytest.param(asked(private="198.51.100.0/24"),
            ["wide-area block 198.51.100.0/28 of site aa",
                     "wide-area block 198.51.100.16/28 of site bb"], id="a network of two kinds"),
    ],
)  # fmt: skip
def test_each_overlap_is_named_with_both_sides(conflicts, entry, expected):
    problems = conflicts(SITES, "cc", entry)

    assert len(problems) == len(expected)
    for problem, part in zip(problems, expected, strict=True):
        assert part in problem
        assert problem.startswith("inventories/cc/site.yaml: ")
        assert "; choose another " in problem


FACTS = {"federation": "f", "site": "aa"}


@pytest.fixture
def backups(plugin):
    return plugin("filter_plugins/backups.py")


@pytest.fixture
def backup(tmp_path):
    """Make a backup some minutes old."""

    def make(minutes=0, facts=None):
        taken = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes)
        stamp = taken.strftime("%Y%m%dT%H%M%SZ")
        folder = tmp_path / stamp
        folder.mkdir()
        files = {}
        for name in ("consul.snap", "nomad.snap"):
            (folder / name).write_bytes(name.encode() * 100)
            files[name] = {
                "bytes": len(name) * 100,
                "sha256": hashlib.sha256(name.encode() * 100).hexdigest(),
            }
        manifest = {**(facts or FACTS), "taken_at": stamp, "files": files}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    return make


def test_the_newest_complete_backup_is_found_and_an_interrupted_one_is_not(
    backups, backup, tmp_path
):
    backup(minutes=30)
    newest = backup(minutes=10)
    (backup(minutes=1) / "manifest.json").unlink()

    assert backups.backup_newest(str(tmp_path)) == str(newest)


def test_without_backups_the_answer_is_a_path_that_does_not_exist(backups, tmp_path):
    path = backups.backup_newest(str(tmp_path))

    assert "is no backup" in backups.backup_problems(path, FACTS, ["consul"])[0]
    assert "playbooks/backup.yml" in backups.backup_problems(path, FACTS, ["consul"])[0]
    assert backups.backup_list(str(tmp_path)) == []


def test_backups_are_listed_newest_first_with_size_and_age(backups, backup, tmp_path):
    old, new = backup(minutes=90), backup(minutes=10)

    lines = backups.backup_list(str(tmp_path))

    assert [line.split(":")[0] for line in lines] == [str(new), str(old)]
    assert "consul, nomad, 2 KiB, 1:30:0" in lines[1]


def test_nothing_is_wrong_with_a_whole_backup_of_this_site(backups, backup):
    assert backups.backup_problems(str(backup()), FACTS, ["consul", "nomad"]) == []


def test_a_foreign_backup_is_named_as_such(backups, backup):
    folder = backup(facts={"federation": "f", "site": "bb"})

    (problem,) = backups.backup_problems(str(folder), FACTS, ["consul"])

    assert problem == f"{folder} is foreign: its site is bb, here it is aa"


def test_a_damaged_backup_is_named_with_the_file(backups, backup):
    folder = backup()
    (folder / "consul.snap").write_bytes(b"x")
    (folder / "nomad.snap").unlink()

    problems = backups.backup_problems(str(folder), FACTS, ["consul", "nomad", "vault"])

    assert [problem.split(" is ")[1].split(":")[0] for problem in problems] == [
        "damaged", "missing", "missing"]  # fmt: skip


@pytest.fixture
def pki(plugin):
    return plugin("filter_plugins/pki.py")


def number(value):
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def pem_of(key):
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode().strip()  # fmt: skip


def test_a_key_set_becomes_pems_in_the_order_of_key_ids(pki):
    one = rsa.generate_private_key(65537, 2048).public_key()
    two = ed25519.Ed25519PrivateKey.generate().public_key()
    raw = two.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    jwks = {"keys": [
        {"kid": "b", "kty": "RSA", "n": number(one.public_numbers().n), "e": "AQAB"},
        {"kid": "a", "kty": "OKP", "crv": "Ed25519",
         "x": base64.urlsafe_b64encode(raw).decode().rstrip("=")},
    ]}  # fmt: skip

    assert pki.jwks_to_pems(jwks) == [pem_of(two), pem_of(one)]


def test_fingerprint_and_serial_are_what_openssl_says(pki, authority):
    pem = authority.ca.read_text()
    said = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-serial"],
        input=pem, capture_output=True, text=True, check=True,
    ).stdout.lower().replace(":", "")  # fmt: skip

    assert pki.certificate_sha256(pem) in said
    assert pki.certificate_serial(pem).replace(":", "") in said


def test_a_hand_edited_inventory_is_a_problem_and_a_missing_one_too(plugin, tmp_path):
    problems = plugin("filter_plugins/skerry.py").inventory_problems
    (tmp_path / "hosts.yml").write_text("all: {}\n")

    assert problems(str(tmp_path / "hosts.yml")) != []
    assert problems(str(tmp_path / "none.yml")) != []
