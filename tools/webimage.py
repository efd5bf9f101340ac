"""The demo's container image, written without a container engine: busybox and a web page.

The archive is in the form that `docker load` reads. The same busybox gives the same bytes, because
names are sorted and every time stamp is 0. Making it takes less time than finding out whether it
must be made, so it is always made and only written when it differs.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from tools import cache, process
from tools.errors import ToolsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tools.progress import Progress

NAME = "images"
TAG = "skerry/hello:1"
_ARCHIVE = "skerry-hello.tar"
_PAGES = Path(__file__).parent / "web-image" / "www"
_APPLETS = ("cat", "echo", "env", "httpd", "id", "ls", "mkdir", "nc", "sh", "sleep", "wget")
_NOBODY = 65534
_CONFIG = {
    "Cmd": ["busybox", "httpd", "-f", "-p", "8080", "-h", "/www"],
    "Env": ["PATH=/bin"],
    "ExposedPorts": {"8080/tcp": {}},
    "User": f"{_NOBODY}:{_NOBODY}",
    "WorkingDir": "/www",
}
_USERS = b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n"
_GROUPS = b"root:x:0:\nnogroup:x:65534:\n"


def home() -> Path:
    """Return the images' directory in the cache."""
    return cache.root() / NAME


def make(progress: Progress) -> str:
    """Bring the archive and its manifest entry up to date; return a line on it.

    Raises:
        ToolsError: no busybox is to be had, or it lacks an applet.
    """
    with cache.lock(home(), NAME, progress), cache.disk_errors(NAME, "write", home()):
        busybox, architecture = _busybox(progress)
        content = archive(busybox, architecture)
        path = home() / _ARCHIVE
        if not path.exists() or path.read_bytes() != content:
            progress.say(NAME, f"writing {path}")
            cache.write_bytes(path, content)
        manifest = cache.read_json(home() / "manifest.json")
        entry = {"path": str(path), "sha256": hashlib.sha256(content).hexdigest()}
        if manifest.get(TAG) != entry:
            cache.write_json(home() / "manifest.json", {**manifest, TAG: entry})
    return f"{TAG}: {path}"


def archive(busybox: bytes, architecture: str) -> bytes:
    """Build the archive that `docker load` reads; a pure function of its arguments."""
    layer = _layer(busybox)
    digest = hashlib.sha256(layer).hexdigest()
    config = _json(
        {
            "architecture": architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": _CONFIG,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [
                {"created": "1970-01-01T00:00:00Z", "created_by": "python -m tools images"}
            ],
        }
    )
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{digest}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [TAG], "Layers": [layer_name]}]
    files = {config_name: config, layer_name: layer, "manifest.json": _json(manifest)}
    with io.BytesIO() as stream:
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            _directory(tar, digest, 0o755)
            for name, content in sorted(files.items()):
                _file(tar, name, content, 0o644)
        return stream.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _layer(busybox: bytes) -> bytes:
    with io.BytesIO() as stream:
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            _directory(tar, "bin", 0o755)
            _file(tar, "bin/busybox", busybox, 0o755)
            for applet in _APPLETS:
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type = tarfile.SYMTYPE
                link.linkname = "busybox"
                tar.addfile(link)
            _directory(tar, "etc", 0o755)
            _file(tar, "etc/group", _GROUPS, 0o644)
            _file(tar, "etc/passwd", _USERS, 0o644)
            _directory(tar, "tmp", 0o1777)
            _directory(tar, "www", 0o755)
            _pages(tar, {path.relative_to(_PAGES): path for path in _PAGES.rglob("*")})
        return stream.getvalue()


def _pages(tar: tarfile.TarFile, pages: Mapping[Path, Path]) -> None:
    # Modes are set here and not read: a checkout's depend on the person's umask.
    for name, path in sorted(pages.items()):
        if path.is_dir():
            _directory(tar, f"www/{name}", 0o755)
        else:
            mode = 0o755 if name.parts[0] == "cgi-bin" else 0o644
            _file(tar, f"www/{name}", path.read_bytes(), mode)


def _directory(tar: tarfile.TarFile, name: str, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.DIRTYPE
    entry.mode = mode
    tar.addfile(entry)


def _file(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = mode
    tar.addfile(entry, io.BytesIO(content))


def _busybox(progress: Progress) -> tuple[bytes, str]:
    """Return Debian's static busybox and its architecture in Docker's spelling (amd64, arm64)."""
    remedy = "run on Debian or Ubuntu, or apt-get install busybox-static"
    dpkg_query = process.need("dpkg-query", NAME, "find busybox", remedy)
    form = "${db:Status-Status} ${Architecture}"
    answer = process.capture([dpkg_query, "-W", "-f", form, "busybox-static"]).stdout
    status, _, architecture = answer.partition(" ")
    if status == "installed":
        return _checked(Path("/bin/busybox"), remedy), architecture
    architecture = process.capture(["dpkg", "--print-architecture"]).stdout.strip()
    kept = home() / "busybox-static"
    if not kept.exists():
        cache.write_bytes(kept, _downloaded(progress, remedy))
        kept.chmod(0o755)
    return _checked(kept, remedy), architecture


def _downloaded(progress: Progress, remedy: str) -> bytes:
    with (
        cache.work_directory(home()) as work,
        progress.step(NAME, "download busybox-static"),
    ):
        remedy = f"make `apt-get update` work, or: {remedy}"
        # apt drops its rights for a download and must be able to write here.
        work.chmod(0o777)
        process.run(
            NAME,
            "download",
            ["apt-get", "download", "busybox-static"],
            progress=progress,
            log=home() / "build.log",
            remedy=remedy,
            cwd=work,
        )
        packages = list(work.glob("*.deb"))
        if not packages:
            raise ToolsError(NAME, "download", "apt-get brought no busybox-static", remedy)
        argv = ["dpkg-deb", "--extract", str(packages[0]), str(work / "tree")]
        process.run(
            NAME, "unpack", argv, progress=progress, log=home() / "build.log", remedy=remedy
        )
        # A merged /usr moves the file in later releases.
        found = [work / "tree" / place / "busybox" for place in ("bin", "usr/bin")]
        return next(path for path in found if path.is_file()).read_bytes()


def _checked(path: Path, remedy: str) -> bytes:
    try:
        applets = process.capture([str(path), "--list"]).stdout.split()
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolsError(NAME, "check busybox", f"{path} does not run: {error}", remedy) from error
    missing = sorted(set(_APPLETS) - set(applets))
    if missing:
        problem = f"{path} has no applet {missing[0]!r}"
        raise ToolsError(NAME, "check busybox", problem, remedy)
    return path.read_bytes()
