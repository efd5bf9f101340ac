"""Loads plugins from the folders Ansible finds them in, and stands in for what they talk to."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import shutil
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

PLAYBOOKS = Path(__file__).parents[3] / "playbooks"
ALIAS = "ansible.module_utils.engine_api"


def load(path: Path, name: str) -> ModuleType:
    """Import a file under a name, anew."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def engine_api(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module_utils under the name that modules import it by, without its pauses."""
    module = load(PLAYBOOKS / "module_utils/engine_api.py", ALIAS)
    monkeypatch.setattr(module.time, "sleep", lambda _seconds: None)
    return module


@pytest.fixture
def plugin(engine_api: ModuleType) -> Callable[[str], ModuleType]:
    """Import a plugin by its path below playbooks/, for example library/service_unit.py."""
    return lambda path: load(PLAYBOOKS / path, f"skerry_{Path(path).parent.name}_{Path(path).stem}")


@pytest.fixture
def run() -> Callable[..., dict[str, Any]]:
    """Run a module as Ansible does: arguments in, its JSON answer out."""

    def call(module: ModuleType, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
        printed = io.StringIO()
        given = {"_ansible_check_mode": check, "_ansible_diff": True, **arguments}
        with (
            patch_module_args(given),
            contextlib.redirect_stdout(printed),
            pytest.raises(SystemExit) as ended,
        ):
            module.main()
        answer: dict[str, Any] = json.loads(printed.getvalue())
        assert bool(ended.value.code) == bool(answer.get("failed"))
        return answer

    return call


@dataclass
class Engine:
    """An engine's JSON API in memory, on a Unix socket.

    `objects` answers GET by path; writes go there unless `on` has a function for (method, path).
    `faults` are answers (status, body) given first, to whatever is asked.
    """

    url: str
    objects: dict[str, Any] = field(default_factory=dict)
    on: dict[tuple[str, str], Callable[[Any], tuple[int, Any]]] = field(default_factory=dict)
    faults: list[tuple[int, Any]] = field(default_factory=list)
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Status and body for one call."""
        self.calls.append((method, path, body))
        if self.faults:
            return self.faults.pop(0)
        if (method, path) in self.on:
            return self.on[method, path](body)
        if method == "GET":
            return (200, self.objects[path]) if path in self.objects else (404, {"errors": []})
        if method == "DELETE":
            self.objects.pop(path, None)
        else:
            self.objects[path] = body
        return 204, None

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Method and path of the calls that change something."""
        return [(method, path) for method, path, _ in self.calls if method != "GET"]


def handler_for(answer: Callable[[BaseHTTPRequestHandler, bytes], tuple[int, bytes]]) -> type:
    """Make a request handler that sends what `answer` gives for the raw body."""

    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, payload = answer(self, raw)
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PUT = do_DELETE = serve  # noqa: N815 -- http.server names them

        def address_string(self) -> str:
            return "peer"

        def log_message(self, *args: object) -> None:
            pass

    return Handler


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Each call on its own thread."""

    daemon_threads = True


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine's API; give its `url` to a module."""
    # Not tmp_path: the path of a socket may have 107 bytes at most.
    folder = Path(tempfile.mkdtemp(prefix="sk-"))
    made = Engine(f"unix://{folder}/api.sock")

    def answer(request: BaseHTTPRequestHandler, raw: bytes) -> tuple[int, bytes]:
        made.headers.append(dict(request.headers))
        try:
            asked = json.loads(raw) if raw else None
        except ValueError:
            asked = raw
        status, body = made.answer(request.command, request.path, asked)
        if isinstance(body, bytes):
            return status, body
        return status, b"" if body is None else json.dumps(body).encode()

    with UnixServer(f"{folder}/api.sock", handler_for(answer)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield made
        server.shutdown()
        thread.join()
    shutil.rmtree(folder)


@dataclass(frozen=True)
class Authority:
    """A certificate authority made with openssl."""

    folder: Path

    @property
    def ca(self) -> Path:
        """Its own certificate."""
        return self.folder / "ca.pem"

    def openssl(self, *argv: str) -> None:
        """Run openssl in its folder; a failure is an error of the test."""
        subprocess.run(["openssl", *argv], cwd=self.folder, check=True, capture_output=True)

    def sign(self, csr: str, *, days: int = 30) -> str:
        """Sign a request with the names it asks for."""
        (self.folder / "leaf.csr").write_text(csr)
        self.openssl(
            "x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", str(days), "-copy_extensions", "copy", "-out", "leaf.pem",
        )  # fmt: skip
        return (self.folder / "leaf.pem").read_text()

    def server(self, address: str) -> tuple[Path, Path]:
        """Certificate and key for a server at an address."""
        cert, key = self.folder / "server.pem", self.folder / "server.key"
        self.openssl(
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", key.name, "-subj", "/CN=server", "-addext", f"subjectAltName=IP:{address}",
            "-out", "server.csr",
        )  # fmt: skip
        cert.write_text(self.sign((self.folder / "server.csr").read_text()))
        return cert, key


@pytest.fixture(scope="session")
def new_authority(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Authority]:
    """Make a certificate authority of a name."""
    if shutil.which("openssl") is None:
        pytest.fail("openssl is not on PATH; install the distribution's package openssl")

    def make(name: str) -> Authority:
        authority = Authority(tmp_path_factory.mktemp(name))
        authority.openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "30", "-subj", f"/CN={name}", "-keyout", "ca.key", "-out", "ca.pem",
        )  # fmt: skip
        return authority

    return make


@pytest.fixture(scope="session")
def authority(new_authority: Callable[[str], Authority]) -> Authority:
    """The federation's root, say."""
    return new_authority("root")


class QuietServer(ThreadingHTTPServer):
    """Says nothing when a client does not like its certificate."""

    def handle_error(self, *_args: object) -> None:
        """Leave it to the client's side of the test."""


@pytest.fixture
def tls_server(authority: Authority) -> Iterator[Callable[..., None]]:
    """Serve HTTPS at an address and port with a certificate of `authority`."""
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def serve(
        address: str,
        port: int,
        answer: Callable[[BaseHTTPRequestHandler, bytes], tuple[int, bytes]],
    ) -> None:
        cert, key = authority.server(address)
        server = QuietServer((address, port), handler_for(answer))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        running.append((server, thread))

    yield serve
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()
