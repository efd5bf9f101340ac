"""Installations appear whole or not at all, one run at a time, and are left alone when whole."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools import engines
from tools.errors import ToolsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Bench, Server


def _until(condition: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def _installed(home: Path) -> list[Path]:
    return list(home.glob("*/1.2.3-*"))


def test_a_second_run_asks_nobody_and_says_nothing(bench: Bench, server: Server) -> None:
    bench.pin(fake={"release": bench.offer("fake", bench.zip_of({"fake": bench.script()}))})
    bench.make()
    before = len(server.requests)

    lines, said = bench.make()

    assert before == len(server.requests)
    assert said == ""
    assert lines == [f"fake 1.2.3 (release): {bench.manifest['fake']['path']}"]


def test_only_the_named_engines_are_made(bench: Bench) -> None:
    one = bench.offer("one", bench.zip_of({"one": bench.script()}))
    bench.pin(one={"release": one}, two={"release": bench.offer("two", b"no archive")})

    bench.make("one")

    assert list(bench.manifest) == ["one"]


def test_an_unknown_name_is_an_error_that_lists_the_known_ones(bench: Bench) -> None:
    bench.pin(one={}, two={})

    with pytest.raises(ToolsError, match=r"^three: choose: there is no such engine.*one, two"):
        bench.make("three")


def test_the_engines_before_the_one_that_fails_are_kept(bench: Bench) -> None:
    one = bench.offer("one", bench.zip_of({"one": bench.script()}))
    bench.pin(one={"release": one}, two={})

    with pytest.raises(ToolsError, match=r"^two: "):
        bench.make()

    assert list(bench.manifest) == ["one"]


def test_a_binary_whose_content_changed_is_made_again(bench: Bench) -> None:
    binary = bench.script()
    bench.pin(fake={"release": bench.offer("fake", bench.zip_of({"fake": binary}))})
    bench.make()
    path = Path(bench.manifest["fake"]["path"])
    path.write_bytes(binary.replace(b"v1.2.3", b"v6.6.6"))

    _lines, said = bench.make()

    assert "was changed after it was installed" in said
    assert binary == path.read_bytes()


def test_a_binary_with_another_time_and_the_same_content_is_left_alone(
    bench: Bench, server: Server
) -> None:
    bench.pin(fake={"release": bench.offer("fake", bench.zip_of({"fake": bench.script()}))})
    bench.make()
    os.utime(bench.manifest["fake"]["path"], (1, 1))

    bench.make()

    assert len(server.requests) == 1


def test_a_companion_that_is_gone_is_brought_back(bench: Bench) -> None:
    archive = bench.zip_of({"fake": bench.script(), "fake-host": b"#!/bin/sh\n"})
    release = bench.offer("fake", archive)
    bench.pin(fake={"files": ["fake", "fake-host"], "release": release})
    bench.make()
    companion = Path(bench.manifest["fake"]["path"]).with_name("fake-host")
    companion.unlink()

    bench.make()

    assert companion.exists()


@pytest.mark.parametrize("damage", ["", "{", "[]", None])
def test_a_lost_or_damaged_manifest_is_written_again_without_a_download(
    bench: Bench, server: Server, cache_home: Path, damage: str | None
) -> None:
    bench.pin(fake={"release": bench.offer("fake", bench.zip_of({"fake": bench.script()}))})
    bench.make()
    entry = bench.manifest["fake"]
    manifest = cache_home / "manifest.json"
    manifest.unlink()
    if damage is not None:
        manifest.write_text(damage, encoding="utf-8")

    bench.make()

    assert entry == bench.manifest["fake"]
    assert len(server.requests) == 1


def test_new_pins_make_a_new_installation_beside_the_old_one(
    bench: Bench, cache_home: Path
) -> None:
    bench.pin(fake={"release": bench.offer("fake", bench.zip_of({"fake": bench.script()}))})
    bench.make()
    archive = bench.zip_of({"fake": bench.script(padding=1)})
    bench.pin(fake={"release": bench.offer("fake", archive)})

    bench.make()

    assert len(_installed(cache_home)) == 2


def test_a_run_killed_in_the_middle_of_a_download_leaves_nothing_that_is_used(
    bench: Bench, server: Server, cache_home: Path
) -> None:
    archive = bench.zip_of({"fake": bench.script(padding=400_000)})
    bench.pin(fake={"release": bench.offer("fake", archive)})
    server.stall = threading.Event()
    run = bench.start()
    _until(lambda: any(path.stat().st_size for path in cache_home.glob("downloads/*.part")))
    run.kill()
    run.communicate()
    assert _installed(cache_home) == []
    assert bench.manifest == {}

    server.stall.set()
    bench.make()

    assert server.requests[-1][1] is not None
    assert engines.onpath.ask_version(Path(bench.manifest["fake"]["path"])) == "1.2.3"
    assert list(cache_home.glob("work-*")) == []


def test_a_run_that_is_terminated_says_how_to_go_on(
    bench: Bench, server: Server, cache_home: Path
) -> None:
    archive = bench.zip_of({"fake": bench.script(padding=400_000)})
    bench.pin(fake={"release": bench.offer("fake", archive)})
    server.stall = threading.Event()
    run = bench.start()
    _until(lambda: any(path.stat().st_size for path in cache_home.glob("downloads/*.part")))

    run.send_signal(signal.SIGTERM)
    _out, said = run.communicate(timeout=15)

    assert run.returncode == 130
    assert said.endswith("interrupted; the same command goes on where it stopped\n")
    assert list(cache_home.glob("work-*")) == []


def test_two_runs_at_once_wait_for_each_other_and_download_once(
    bench: Bench, server: Server
) -> None:
    archive = bench.zip_of({"fake": bench.script(padding=400_000)})
    bench.pin(fake={"release": bench.offer("fake", archive)})
    server.stall = threading.Event()
    first = bench.start()
    _until(lambda: bool(server.requests))
    second = bench.start()
    told = second.stderr.readline() if second.stderr else ""
    server.stall.set()

    first.communicate(timeout=15)
    second.communicate(timeout=15)

    assert f"waiting for another run (process {first.pid}) to finish" in told
    assert (first.returncode, second.returncode) == (0, 0)
    assert len(server.requests) == 1


def test_a_disk_too_small_is_told_before_the_download_is_written(
    bench: Bench, small_disk: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(small_disk(256)))
    archive = bench.zip_of({"fake": bench.script(padding=200_000)})
    bench.pin(fake={"release": bench.offer("fake", archive)})

    with pytest.raises(ToolsError, match=r"^fake: release: no disk space left .*Remedy: free"):
        bench.make()

    assert bench.manifest == {}
    assert list(engines.home().glob("downloads/*")) == []


def test_a_disk_that_fills_up_under_way_is_told_and_nothing_is_used(
    bench: Bench,
    server: Server,
    small_disk: Callable[[int], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(small_disk(256)))
    archive = bench.zip_of({"fake": bench.script(padding=800_000)})
    bench.pin(fake={"release": bench.offer("fake", archive)})
    server.says_length = False  # so that nothing can be known beforehand

    with pytest.raises(ToolsError, match=r"^fake: .*no disk space left .*Remedy: free"):
        bench.make()

    assert bench.manifest == {}
    assert _installed(engines.home()) == []


def test_a_cache_that_cannot_be_written_is_one_clear_line(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    bench.pin(fake={})

    run = bench.start()
    _out, said = run.communicate(timeout=15)

    assert run.returncode == 1
    assert len(said.splitlines()) == 1
    assert said.startswith("error: tools: lock: Not a directory")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("tools: {a: {version: 1.2.3}}\ngo: {}", "'files'", id="a missing key"),
        pytest.param(
            "tools: {a: {version: 1.2.3, files: [a], sha: x}}", "unknown key 'sha'", id="an unknown"
        ),
        pytest.param("tools: [", "expected", id="no YAML"),
        pytest.param(
            "tools: {a: {version: 1.2.3, files: [a], wheel: {distribution: a, version: '1', "
            "sha256: AB}}}",
            "not a SHA-256",
            id="a digest that is none",
        ),
    ],
)
def test_a_malformed_versions_file_is_named_with_its_fault(
    bench: Bench, content: str, expected: str
) -> None:
    bench.versions.write_text(content, encoding="utf-8")

    with pytest.raises(ToolsError, match=expected) as caught:
        bench.make()

    assert str(caught.value).startswith("versions.yaml: read: ")
