"""The demo's image is the same bytes for the same busybox, and complete."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools import cache, webimage
from tools.errors import ToolsError
from tools.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    Program = Callable[[str, str], Path]


def _members(content: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {member.name: member for member in tar}


def _read(content: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        stream = tar.extractfile(name)
        assert stream is not None
        return stream.read()


def test_the_same_busybox_gives_the_same_bytes_whatever_the_umask() -> None:
    before = os.umask(0o077)
    try:
        first = webimage.archive(b"busybox", "amd64")
    finally:
        os.umask(before)

    assert first == webimage.archive(b"busybox", "amd64")
    assert first != webimage.archive(b"busybox 2", "amd64")


def test_the_archive_names_its_layer_by_digest_and_starts_the_web_server() -> None:
    content = webimage.archive(b"busybox", "arm64")

    (manifest,) = json.loads(_read(content, "manifest.json"))
    config = json.loads(_read(content, manifest["Config"]))
    layer = _read(content, manifest["Layers"][0])
    assert manifest["RepoTags"] == ["skerry/hello:1"]
    assert config["architecture"] == "arm64"
    assert config["config"]["Cmd"] == ["busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]


def test_the_layer_has_a_shell_a_page_and_nobodys_time() -> None:
    content = webimage.archive(b"busybox", "amd64")
    (manifest,) = json.loads(_read(content, "manifest.json"))
    layer = _read(content, manifest["Layers"][0])

    members = _members(layer)

    assert members["bin/sh"].linkname == "busybox"
    assert members["bin/busybox"].mode == 0o755
    assert b"Skerry" in _read(layer, "www/index.html")
    assert {(0, 0, 0)} == {(each.uid, each.gid, each.mtime) for each in members.values()}


def test_the_manifest_says_where_the_archive_is_and_what_it_hashes_to(tmp_path: Path) -> None:
    webimage.make(Progress(io.StringIO()))

    entry = cache.read_json(tmp_path / "cache/skerry/images/manifest.json")["skerry/hello:1"]
    content = Path(entry["path"]).read_bytes()
    assert entry["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_second_run_writes_nothing(tmp_path: Path) -> None:
    webimage.make(Progress(io.StringIO()))
    archive = tmp_path / "cache/skerry/images/skerry-hello.tar"
    before = archive.stat().st_mtime_ns
    stream = io.StringIO()

    webimage.make(Progress(stream))

    assert stream.getvalue() == ""
    assert before == archive.stat().st_mtime_ns


def test_busybox_is_fetched_by_apt_where_it_is_not_installed(
    program: Program, tmp_path: Path
) -> None:
    fetched = "#!/bin/sh\\necho cat echo env httpd id ls mkdir nc sh sleep wget\\n"
    program("dpkg-query", "exit 1")
    program("apt-get", 'test "$1 $2" = "download busybox-static" && touch busybox-static_1.deb')
    program("dpkg-deb", f'mkdir -p "$3/usr/bin" && printf "{fetched}" >"$3/usr/bin/busybox"')

    webimage.make(Progress(io.StringIO()))

    assert (tmp_path / "cache/skerry/images/skerry-hello.tar").exists()
    assert list((tmp_path / "cache/skerry/images").glob("work-*")) == []


def test_a_busybox_without_an_applet_of_ours_is_refused(program: Program, tmp_path: Path) -> None:
    kept = tmp_path / "cache/skerry/images/busybox-static"
    kept.parent.mkdir(parents=True)
    kept.write_text("#!/bin/sh\necho sh cat\n", encoding="utf-8")
    kept.chmod(0o755)
    program("dpkg-query", "exit 1")

    with pytest.raises(ToolsError, match="has no applet 'echo'"):
        webimage.make(Progress(io.StringIO()))
