"""site_root: the fingerprint decides what is kept, not the server that hands it out."""

from __future__ import annotations

import pytest

ADDRESS, PORT = "127.77.0.3", 18201
URL = f"https://{ADDRESS}:{PORT}/v1/pki-root/ca/pem"


@pytest.fixture
def root(plugin):
    return plugin("library/site_root.py")


@pytest.fixture
def serve(tls_server, authority):
    def call(content=None):
        body = authority.ca.read_bytes() if content is None else content
        tls_server(ADDRESS, PORT, lambda _request, _raw: (200, body))

    return call


def test_the_root_with_the_known_fingerprint_is_kept(root, run, serve, authority, tmp_path):
    serve()
    pem = authority.ca.read_text()
    wanted = {"url": URL, "sha256": root.fingerprint(pem).upper(), "dest": str(tmp_path / "p/ca")}

    first = run(root, **wanted)
    second = run(root, **wanted)

    assert (first["changed"], second["changed"]) == (True, False)
    assert (tmp_path / "p/ca").read_text() == pem == first["pem"] == second["pem"]
    assert (tmp_path / "p/ca").stat().st_mode & 0o777 == 0o644


def test_another_root_is_refused_and_not_kept(root, run, serve, tmp_path):
    serve()

    result = run(root, url=URL, sha256="ab" * 32, dest=str(tmp_path / "ca"))

    assert "another federation or somebody stands in between" in result["msg"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", ["", "-----BEGIN CERTIFICATE-----\nMII", "garbage"])
def test_a_file_left_half_written_is_replaced(root, run, serve, authority, tmp_path, left):
    serve()
    (tmp_path / "ca").write_text(left)
    sha256 = root.fingerprint(authority.ca.read_text())

    assert run(root, url=URL, sha256=sha256, dest=str(tmp_path / "ca"))["changed"] is True
    assert (tmp_path / "ca").read_text() == authority.ca.read_text()


def test_a_server_that_answers_something_else_is_an_error_that_says_where(root, run, serve):
    serve(b"404 page not found")

    result = run(root, url=URL, sha256="ab" * 32, dest="/nowhere/ca")

    assert URL in result["msg"]
    assert "port 8200" in result["msg"]


def test_no_server_is_an_error_that_says_what_to_look_at(root, run):
    result = run(root, url=URL, sha256="ab" * 32, dest="/nowhere/ca")

    assert "Connection refused" in result["msg"]
    assert "reachable from this server" in result["msg"]


def test_check_mode_writes_nothing(root, run, serve, authority, tmp_path):
    serve()
    sha256 = root.fingerprint(authority.ca.read_text())

    result = run(root, check=True, url=URL, sha256=sha256, dest=str(tmp_path / "ca"))

    assert result["changed"] is True
    assert list(tmp_path.iterdir()) == []
