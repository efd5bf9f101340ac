"""What runs on machines, run here: files, processes, sockets and job contents, all real."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from flows.acceptance import ssh
from flows.acceptance.checks import code, tenancy
from flows.acceptance.remote import drift, engines, jobs, machine, wire


@pytest.fixture
def listener():
    """A port that answers with given bytes and ends the connection."""
    ended = []

    def start(answer: bytes) -> int:
        server = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                try:
                    stream, _ = server.accept()
                except OSError:
                    return
                with stream:
                    stream.recv(1024)
                    stream.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        ended.append((server, thread))
        return server.getsockname()[1]

    yield start
    for server, thread in ended:
        # The thread must be gone before the descriptor's number belongs to somebody else's socket.
        server.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=10)
        assert not thread.is_alive()
        server.close()


@pytest.fixture
def searched(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "SEARCHED", (str(tmp_path),))
    tmp_path.chmod(0o755)
    return tmp_path


def told(targets):
    ((_, said),) = wire.plaintext(targets).items()
    return said


def test_an_http_answer_counts_as_accepted(listener):
    port = listener(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    assert told([("127.0.0.1", port)]).startswith("accepted")


@pytest.mark.parametrize(
    "answer",
    [b"", b"\x15\x03\x01\x00\x02\x02\x46", b"HTTP/1.0 400 Bad Request\r\n\r\n to an HTTPS server"],
)
def test_closing_or_asking_for_tls_counts_as_refused(listener, answer):
    assert told([("127.0.0.1", listener(answer))]).startswith("refused")


def test_a_port_where_nothing_listens_counts_as_refused():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert told([("127.0.0.1", port)]) == "refused: nothing listens"


def packet(protocol: int, source: int, target: int, words: int = 5) -> bytes:
    ethernet = bytes(12) + struct.pack("!H", 0x0800)
    ip = bytes([0x40 | words]) + bytes(8) + bytes([protocol]) + bytes(10) + bytes(words * 4 - 20)
    return ethernet + ip + struct.pack("!HH", source, target) + b"es-server-1"


def test_ports_are_read_from_udp_and_tcp_with_and_without_options():
    assert wire._ports(packet(17, 4648, 50000)) == {4648, 50000}
    assert wire._ports(packet(6, 8300, 4647, words=8)) == {8300, 4647}


def test_other_packets_have_no_ports():
    assert wire._ports(packet(1, 4648, 4648)) == set()
    assert wire._ports(b"\x00" * 60) == set()
    assert wire._ports(b"") == set()


def test_a_loose_key_is_found_and_a_tight_one_counted(searched):
    key = "-----BEGIN EC PRIVATE KEY-----\nabc\n"
    for name, mode in (("loose.pem", 0o640), ("tight.pem", 0o600)):
        (searched / name).write_text(key)
        (searched / name).chmod(mode)
    (searched / "notes").write_text("about -----BEGIN EC PRIVATE KEY-----")
    found = machine.loose_keys()
    assert [path.rpartition("/")[2] for path in found["keys"]] == ["loose.pem", "tight.pem"]
    assert found["loose"] == [f"{searched}/loose.pem has mode 0640"]


def test_a_secret_in_a_readable_file_or_a_command_line_is_found(searched, monkeypatch, tmp_path):
    secret = "7f0e1c9a-1111-2222-3333-444455556666"
    # The machines have a journal; the one that runs the tests may have none.
    journal = tmp_path / "bin" / "journalctl"
    journal.parent.mkdir()
    journal.write_text("#!/bin/sh\n")
    journal.chmod(0o755)
    monkeypatch.setenv("PATH", f"{journal.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(machine, "own_secrets", lambda: {secret})
    monkeypatch.setattr(machine, "reachable", lambda _: True)
    (searched / "open").write_text(f"token={secret}")
    (searched / "open").chmod(0o644)
    (searched / "shut").write_text(f"token={secret}")
    (searched / "shut").chmod(0o600)
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)", secret])
    try:
        found = machine.exposed_secrets()
    finally:
        sleeper.kill()
        sleeper.wait()
    assert f"file {searched}/open (0644)" in found["found"]
    assert not any("shut" in place for place in found["found"])
    assert any(place.startswith("cmdline of") for place in found["found"])
    assert secret not in str(found)


def test_secrets_are_told_from_other_settings():
    content = {
        "encrypt": "A" * 44,
        "acl": {"enabled": True, "tokens": {"agent": "b" * 36}},
        "node_name": "es-server-1-with-a-long-name",
        "consul": {"token": "c" * 36, "address": "unix:///run/consul/http.sock"},
    }
    assert set(machine._secret_values(content)) == {"A" * 44, "b" * 36, "c" * 36}


def test_an_edit_by_hand_is_undone_to_the_byte(tmp_path):
    file = tmp_path / "nomad.json"
    file.write_text('{"log_level": "INFO"}\n')
    edit = (str(file), '"INFO"', '"TRACE"')
    drift.edit(*edit)
    assert "TRACE" in file.read_text()
    drift.forget(*edit)
    assert file.read_text() == '{"log_level": "INFO"}\n'
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_deploy_wrote_since_an_edit_is_kept(tmp_path):
    file = tmp_path / "nomad.json"
    file.write_text('{"log_level": "INFO"}\n')
    edit = (str(file), '"INFO"', '"TRACE"')
    drift.edit(*edit)
    file.write_text('{"log_level": "WARN"}\n')
    drift.forget(*edit)
    assert "WARN" in file.read_text()
    assert list(tmp_path.iterdir()) == [file]


def test_waiting_ends_with_the_first_truth_or_the_time():
    values = iter([0, "", 7])
    assert engines.wait_for(lambda: next(values), 5, pause_s=0.001) == 7
    started = time.monotonic()
    assert engines.wait_for(lambda: 0, 0.05, pause_s=0.01) == 0
    assert time.monotonic() - started < 1


def test_jobs_of_checks_carry_their_prefix_and_never_pull(monkeypatch):
    monkeypatch.setitem(engines.facts, "site", "es")
    content = jobs.job(jobs.name("x"), "oceans", [jobs.group("g")], node="es-cpu-1")
    assert content["ID"].startswith("check-x-")
    assert content["TaskGroups"][0]["Tasks"][0]["Config"]["force_pull"] is False
    assert content["TaskGroups"][0]["RestartPolicy"]["Attempts"] == 0
    assert {"LTarget": "${node.unique.name}", "Operand": "=", "RTarget": "es-cpu-1"} in content[
        "Constraints"
    ]


def test_a_failure_for_another_reason_is_no_refusal():
    assert tenancy._says_no("authorization denied by plugin skerry: not allowed here: PidMode=host")
    assert not tenancy._says_no("Failed to pull `skerry/hello:1`: no such host")


def test_literals_of_a_federation_match_machines_and_networks_only():
    class Named:
        def __init__(self, **values):
            self.__dict__.update(values)

    network = Named(network_address="10.61.0.0")
    shared = Named(fed_wide_area_cidr=network, fed_private_cidr=network, fed_name="demo",
                   fed_domain="demo.test")  # fmt: skip
    site = Named(name="es", vars=shared)
    federation = Named(control=site, sites=[site], hosts=[Named(name="es-cpu-1")])
    patterns = code._literals(federation)

    def hits(text: str) -> int:
        return sum(bool(pattern.search(text)) for pattern in patterns)

    assert hits("run it on es-cpu-1") == 1
    assert hits("private_cidr: 10.61.0.0/24") == 1
    assert hits("es, demonstration, 10.6.1.0") == 0


def test_the_program_sent_to_machines_runs_with_plain_python():
    """The very text that goes over SSH, without SSH."""
    with ssh.Connections() as connections:
        asked = {
            "packages": ["flows", "flows.acceptance", "flows.acceptance.remote"],
            "modules": connections._modules,
            "engines": "flows.acceptance.remote.engines",
            "facts": {"site": "es"},
            "seconds": 5,
            "module": "flows.acceptance.remote.jobs",
            "function": "job",
            "args": ["check-1", "oceans", []],
            "kwargs": {},
        }
    for change, key in (({}, "value"), ({"function": "stop", "args": []}, "error")):
        done = subprocess.run(
            [sys.executable, "-I", "-c", ssh._BOOTSTRAP],
            input=json.dumps({**asked, **change}),
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        answer = json.loads(done.stdout)
        assert key in answer
    assert "TypeError" in answer["error"]
