"""The release source against a server that is laid out as the vendor's."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools.errors import ToolsError

if TYPE_CHECKING:
    from conftest import Bench, Server


def test_an_archive_with_the_pinned_digest_is_installed_and_listed(bench: Bench) -> None:
    binary = bench.script()
    archive = bench.zip_of({"LICENSE.txt": b"text", "fake": binary})
    bench.pin(fake={"release": bench.offer("fake", archive)})

    lines, _said = bench.make()

    entry = bench.manifest["fake"]
    assert lines == [f"fake 1.2.3 (release): {entry['path']}"]
    assert entry == {
        "version": "1.2.3",
        "path": entry["path"],
        "sha256": hashlib.sha256(binary).hexdigest(),
        "source": "release",
    }
    assert Path(entry["path"]).read_bytes() == binary
    assert os.access(entry["path"], os.X_OK)


def test_a_tar_archive_brings_the_companions_beside_the_engine(bench: Bench) -> None:
    archive = bench.tar_gz_of({"fake/fake": bench.script(), "fake/fake-host": b"#!/bin/sh\n"})
    release = bench.offer("fake", archive, suffix="tar.gz")
    bench.pin(fake={"files": ["fake", "fake-host"], "release": release})

    bench.make()

    folder = Path(bench.manifest["fake"]["path"]).parent
    assert {"fake", "fake-host", "receipt.json"} == {path.name for path in folder.iterdir()}


def test_an_archive_with_another_digest_is_refused_and_leaves_nothing(
    bench: Bench, server: Server, cache_home: Path
) -> None:
    release = bench.offer("fake", bench.zip_of({"fake": bench.script()}))
    path = next(iter(server.files))
    server.files[path] = bench.zip_of({"fake": bench.script() + b"# and more"})
    bench.pin(fake={"release": release})

    with pytest.raises(ToolsError, match=r"^fake: release: wrong digest: .*pinned is") as caught:
        bench.make()

    assert "Remedy: do not use that server" in str(caught.value)
    assert bench.manifest == {}
    assert list((cache_home / "downloads").iterdir()) == []


def test_a_download_that_breaks_off_goes_on_where_it_stopped(bench: Bench, server: Server) -> None:
    archive = bench.zip_of({"fake": bench.script(padding=50_000)})
    bench.pin(fake={"release": bench.offer("fake", archive)})
    server.cuts = [20_000, 10_000]

    _lines, said = bench.make()

    ranges = [wanted for _path, wanted in server.requests]
    assert ranges == [None, "bytes=20000-", "bytes=30000-"]
    assert said.count("broke off") == 2
    assert "fake" in bench.manifest


def test_the_next_run_resumes_what_an_earlier_one_got(bench: Bench, server: Server) -> None:
    archive = bench.zip_of({"fake": bench.script(padding=50_000)})
    bench.pin(fake={"release": bench.offer("fake", archive)})
    server.cuts = [10_000] * 3
    with pytest.raises(ToolsError, match=r"broke off 3 times"):
        bench.make()

    bench.make()

    assert server.requests[-1][1] == "bytes=30000-"
    assert "fake" in bench.manifest


def test_a_damaged_part_is_thrown_away_and_fetched_again(
    bench: Bench, server: Server, cache_home: Path
) -> None:
    archive = bench.zip_of({"fake": bench.script(padding=50_000)})
    release = bench.offer("fake", archive)
    bench.pin(fake={"release": release})
    part = cache_home / "downloads" / f"{release['sha256']}-fake_1.2.3_linux_amd64.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)

    _lines, said = bench.make()

    assert [wanted for _path, wanted in server.requests] == ["bytes=1000-", None]
    assert "damaged" in said
    assert "fake" in bench.manifest


def test_a_part_longer_than_the_archive_is_fetched_again(
    bench: Bench, server: Server, cache_home: Path
) -> None:
    archive = bench.zip_of({"fake": bench.script()})
    release = bench.offer("fake", archive)
    bench.pin(fake={"release": release})
    part = cache_home / "downloads" / f"{release['sha256']}-fake_1.2.3_linux_amd64.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 100_000)

    bench.make()

    assert [wanted for _path, wanted in server.requests] == ["bytes=100000-", None]


def test_a_server_without_ranges_is_read_from_the_start_again(bench: Bench, server: Server) -> None:
    archive = bench.zip_of({"fake": bench.script(padding=50_000)})
    bench.pin(fake={"release": bench.offer("fake", archive)})
    server.knows_ranges = False
    server.cuts = [20_000]

    bench.make()

    assert "fake" in bench.manifest


def test_a_version_that_the_server_does_not_have_is_skipped_by_name(
    bench: Bench, server: Server
) -> None:
    bench.pin(fake={"release": bench.offer("fake", b"")})
    server.files.clear()

    with pytest.raises(ToolsError) as caught:
        bench.make()

    assert str(caught.value).startswith(
        "fake: find a source: path: no fake 1.2.3 on PATH; release: the server answers 404"
    )


def test_an_archive_without_the_binary_is_an_error(bench: Bench) -> None:
    bench.pin(fake={"release": bench.offer("fake", bench.zip_of({"README": b"text"}))})

    with pytest.raises(ToolsError, match=r"fake_1\.2\.3_linux_amd64\.zip has no fake in it"):
        bench.make()

    assert bench.manifest == {}


def test_a_pinned_file_that_is_no_archive_is_an_error(bench: Bench) -> None:
    bench.pin(fake={"release": bench.offer("fake", b"<html>not a zip</html>")})

    with pytest.raises(ToolsError, match=r"cannot be read"):
        bench.make()


def test_an_archive_without_a_pin_is_never_asked_for(bench: Bench, server: Server) -> None:
    release = bench.offer("fake", bench.zip_of({"fake": bench.script()}))
    bench.pin(fake={"release": {**release, "sha256": None}})

    with pytest.raises(ToolsError, match=r"no SHA-256 is pinned for the archive of fake 1.2.3"):
        bench.make()

    assert server.requests == []


def test_without_a_release_server_the_source_is_skipped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SKERRY_RELEASES_URL")
    bench.pin(fake={"release": bench.offer("fake", bench.zip_of({"fake": bench.script()}))})

    with pytest.raises(ToolsError, match=r"release: SKERRY_RELEASES_URL is not set"):
        bench.make()


def test_a_vendor_of_its_own_goes_before_the_common_server(
    bench: Bench, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKERRY_RELEASES_URL", "http://127.0.0.1:1/nobody")
    monkeypatch.setenv("SKERRY_FAKE_RELEASES_URL", f"{server.url}/")
    bench.pin(fake={"release": bench.offer("fake", bench.zip_of({"fake": bench.script()}))})

    bench.make()

    assert bench.manifest["fake"]["source"] == "release"


def test_a_release_server_of_another_scheme_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKERRY_RELEASES_URL", "file:///srv")
    bench.pin(fake={"release": bench.offer("fake", b"")})

    with pytest.raises(ToolsError, match=r"neither http nor https"):
        bench.make()


def test_an_archive_with_another_version_inside_is_refused(bench: Bench) -> None:
    archive = bench.zip_of({"fake": bench.script("1.2.4")})
    bench.pin(fake={"release": bench.offer("fake", archive)})

    with pytest.raises(ToolsError, match=r"says version 1\.2\.4, not 1\.2\.3"):
        bench.make()

    assert bench.manifest == {}
