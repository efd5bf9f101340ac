"""A cache of its own per test, a versions file with small engines, and a vendor's server."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import threading
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tools import cache, engines
from tools.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHECKOUT = Path(__file__).parents[3]
NO_WHEEL = {"distribution": "skerry-absent", "version": "1.0", "sha256": "0" * 64}


@dataclass
class Server:
    """Serves `files` by path; the knobs make it misbehave as real servers do."""

    files: dict[str, bytes] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)  # the next answers end after that many bytes
    stall: threading.Event | None = None  # answers wait for it after half of their bytes
    knows_ranges: bool = True
    says_length: bool = True
    url: str = ""


def _answer(server: Server, request: BaseHTTPRequestHandler) -> None:
    wanted = request.headers.get("Range")
    server.requests.append((request.path, wanted))
    if request.path in server.status or request.path not in server.files:
        request.send_error(server.status.get(request.path, 404))
        return
    content = server.files[request.path]
    status = 200
    if wanted and server.knows_ranges:
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(content):
            request.send_error(416)
            return
        content, status = content[start:], 206
    request.send_response(status)
    if server.says_length:
        request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    if server.cuts:
        content = content[: server.cuts.pop(0)]
    half = len(content) // 2
    request.wfile.write(content[:half])
    request.wfile.flush()
    if server.stall is not None:
        server.stall.wait(30)
    request.wfile.write(content[half:])


@pytest.fixture
def server() -> Iterator[Server]:
    """Give a running server on this machine."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                _answer(state, self)
            except OSError:
                self.close_connection = True  # the client was killed, as the test wanted

        def log_message(self, *_arguments: object) -> None:
            """Say nothing: the test looks at `requests`."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    if state.stall is not None:
        state.stall.set()
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the cache to the test's directory and forget what the person configured."""
    for name in [name for name in os.environ if name.startswith("SKERRY_")]:
        monkeypatch.delenv(name)
    # Go's standard library is not compiled anew for each test.
    person = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    monkeypatch.setenv("GOCACHE", os.environ.get("GOCACHE") or str(person / "go-build"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "skerry" / "tools"


def script(version: str = "1.2.3", name: str = "Fake", padding: int = 0) -> bytes:
    """Return a program that says its version when it is asked."""
    return f'#!/bin/sh\necho "{name} v{version}"\n'.encode() + b"#" * padding


def zip_of(members: dict[str, bytes], mode: int = 0o644) -> bytes:
    """Return a zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as zipped:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            zipped.writestr(entry, content)
    return stream.getvalue()


def tar_gz_of(members: dict[str, bytes]) -> bytes:
    """Return a tar.gz archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tarred:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tarred.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


@dataclass
class Bench:
    """What a test of the engines needs: write pins, offer archives, run."""

    root: Path
    server: Server

    script = staticmethod(script)
    zip_of = staticmethod(zip_of)
    tar_gz_of = staticmethod(tar_gz_of)

    @property
    def versions(self) -> Path:
        """Return the versions file."""
        return self.root / "versions.yaml"

    @property
    def manifest(self) -> dict[str, Any]:
        """Return what the rest of the project would read."""
        return cache.read_json(engines.home() / "manifest.json")

    def pin(self, go: dict[str, str] | None = None, **tools: dict[str, Any]) -> None:
        """Write the versions file; `files` and `version` have defaults."""
        filled = {
            name: {"version": "1.2.3", "files": [name], **entry} for name, entry in tools.items()
        }
        content = {"tools": filled, "go": go or NO_WHEEL}
        self.versions.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def offer(self, name: str, archive: bytes, *, suffix: str = "zip") -> dict[str, Any]:
        """Put an archive on the server as the vendor lays it out; return its `release` pin."""
        path = f"{name}/1.2.3/{name}_1.2.3_linux_amd64.{suffix}"
        self.server.files[f"/{path}"] = archive
        return {
            "archive": path.replace("1.2.3", "{version}"),
            "base_url_variable": f"SKERRY_{name.upper()}_RELEASES_URL",
            "sha256": hashlib.sha256(archive).hexdigest(),
        }

    def make(self, *names: str) -> tuple[list[str], str]:
        """Run in this process; return the lines of the result and what was said meanwhile."""
        stream = io.StringIO()
        lines = engines.make(names, Progress(stream), self.versions)
        return lines, stream.getvalue()

    def start(self, *names: str) -> subprocess.Popen[str]:
        """Run `python -m tools` in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "tools", "--versions", str(self.versions), *names],
            cwd=CHECKOUT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


@pytest.fixture
def bench(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Give a versions file to write and the server set as the release server."""
    monkeypatch.setenv("SKERRY_RELEASES_URL", server.url)
    root = tmp_path / "checkout"
    root.mkdir()
    return Bench(root, server)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Give a function that puts a shell script in front of everything on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def write(name: str, body: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Give a function that mounts a file system of so many KiB."""
    mounted: list[Path] = []
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]

    def mount(kib: int) -> Path:
        place = tmp_path / f"disk-{len(mounted)}"
        place.mkdir()
        options = f"size={kib}k,mode=0777"
        command = [*sudo, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        result = subprocess.run(command, check=False, capture_output=True, text=True)
        if result.returncode != 0:
            pytest.fail(f"this test mounts a tmpfs: run it as root or with sudo ({result.stderr})")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run([*sudo, "umount", str(place)], check=True)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    """Give a function that makes a wheel which pip finds here and nowhere else; returns its pin."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))

    def write(distribution: str, version: str, members: dict[str, bytes]) -> dict[str, str]:
        stem = f"{re.sub('-', '_', distribution)}-{version}"
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        kind = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n"
        content = zip_of(
            {
                **members,
                f"{stem}.dist-info/METADATA": metadata.encode(),
                f"{stem}.dist-info/WHEEL": kind.encode(),
                f"{stem}.dist-info/RECORD": b"",
            }
        )
        (folder / f"{stem}-py3-none-any.whl").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        return {"distribution": distribution, "version": version, "sha256": digest}

    return write
