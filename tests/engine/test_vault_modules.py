"""Vault restored, and a root token from its keys: real Vaults on loopback, the real modules."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.settings import load, tool

CHECKOUT = Path(__file__).parents[2]
WAIT_S = 30.0


class Vault:
    """A Vault with raft storage below `folder`."""

    def __init__(self, folder, certificate, key) -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as one,
            socket.create_server(("127.0.0.1", 0)) as other,
        ):
            port, cluster = one.getsockname()[1], other.getsockname()[1]
        self.url = f"https://127.0.0.1:{port}"
        self.env = {**os.environ, "VAULT_ADDR": self.url, "VAULT_CACERT": str(certificate)}
        self.binary = tool(load(), "vault")
        (folder / "data").mkdir(parents=True)
        (folder / "vault.hcl").write_text(
            f'api_addr = "{self.url}"\ncluster_addr = "https://127.0.0.1:{cluster}"\n'
            "disable_mlock = true\n"
            f'storage "raft" {{\n path = "{folder}/data"\n node_id = "test"\n}}\n'
            f'listener "tcp" {{\n address = "127.0.0.1:{port}"\n'
            f' tls_cert_file = "{certificate}"\n tls_key_file = "{key}"\n}}\n'
        )
        self.log = (folder / "log").open("w")
        self.process = subprocess.Popen(
            [self.binary, "server", f"-config={folder}/vault.hcl"],
            stdout=self.log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        deadline = time.monotonic() + WAIT_S
        while self.cli("status", check=False).returncode not in (0, 2):
            assert self.process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "Vault did not start"
            time.sleep(0.2)

    def cli(self, *arguments, token="", check=True):
        return subprocess.run(
            [self.binary, *arguments], env={**self.env, "VAULT_TOKEN": token},
            capture_output=True, text=True, timeout=60, check=check,
        )  # fmt: skip

    def end(self):
        self.process.terminate()
        self.process.wait(WAIT_S)
        self.log.close()


@pytest.fixture
def vaults(tmp_path):
    """Start a Vault by the name of its folder; all end with the test."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    running = []

    def start(name):
        running.append(Vault(tmp_path / name, certificate, key))
        return running[-1]

    yield start
    for one in running:
        one.end()


@pytest.fixture
def ask(tmp_path):
    """Run a module of ours against a Vault."""

    def run(module, vault, keys, **more):
        arguments = {
            "url": vault.url,
            "ca_cert": vault.env["VAULT_CACERT"],
            "keys": keys,
            "retry_s": 5,
            **more,
        }
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible"), "--connection=local", "localhost", "-o",
             "--extra-vars", json.dumps({"ansible_python_interpreter": sys.executable}),
             "-m", module, "-a", json.dumps(arguments)],
            cwd=CHECKOUT, capture_output=True, text=True, timeout=180, check=False,
            env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
                 "ANSIBLE_BECOME": "0", "ANSIBLE_HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        return json.loads(done.stdout.partition("=>")[2] or json.dumps({"msg": done.stderr}))

    return run


@pytest.fixture
def restored(ask, tmp_path):
    """Have a Vault take a snapshot."""
    marker = str(tmp_path / "marker")
    return lambda vault, snapshot, keys: ask(
        "vault_restored", vault, keys, snapshot=str(snapshot), marker=marker
    )


def test_an_empty_vault_becomes_the_one_that_the_snapshot_was_taken_of(
    vaults, restored, ask, tmp_path
):
    first = vaults("first")
    made = json.loads(
        first.cli("operator", "init", "-format=json", "-key-shares=3", "-key-threshold=2").stdout
    )
    keys, root = made["unseal_keys_b64"][:2], made["root_token"]
    for key in keys:
        first.cli("operator", "unseal", key)
    deadline = time.monotonic() + WAIT_S
    while first.cli("secrets", "enable", "-path=kv", "kv", token=root, check=False).returncode:
        assert time.monotonic() < deadline, "Vault did not become active"
        time.sleep(0.5)
    first.cli("kv", "put", "kv/thing", "colour=green", token=root)
    snapshot = tmp_path / "vault.snap"
    first.cli("operator", "raft", "snapshot", "save", str(snapshot), token=root)
    first.cli("token", "revoke", "-self", token=root)
    first.end()

    second = vaults("second")
    told = restored(second, snapshot, keys)
    assert told["changed"], told
    assert restored(second, snapshot, keys)["changed"] is False

    token = ask("vault_root_token", second, keys)["root_token"]
    read = second.cli("kv", "get", "-field=colour", "kv/thing", token=token)
    assert read.stdout == "green"
    assert "too few" in ask("vault_root_token", second, keys[:1])["msg"]


def test_a_damaged_snapshot_is_refused_with_what_vault_said(vaults, restored, tmp_path):
    snapshot = tmp_path / "vault.snap"
    snapshot.write_bytes(b"nothing of the kind")

    told = restored(vaults("only"), snapshot, ["c2hhcmU="])

    assert "Vault refused the snapshot" in told["msg"]
