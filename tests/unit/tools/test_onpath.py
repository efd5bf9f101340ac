"""The first source: what the machine already has, if it is exactly the pinned version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools.errors import ToolsError
from tools.onpath import parse_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Bench, Server

    Program = Callable[[str, str], Path]


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        pytest.param("Nomad v1.11.3\nBuildDate 2026-01-02\nRevision ab1\n", "1.11.3", id="nomad"),
        pytest.param("Consul v1.22.5\nBuild Date 1970-01-01T00:00:01Z\n", "1.22.5", id="consul"),
        pytest.param("Vault v1.21.1, built 2025-11-22T16:58:02Z\n", "1.21.1", id="vault"),
        pytest.param("v3.259.0\n", "3.259.0", id="pulumi"),
        pytest.param("Version:      3.7.15\nGo version:   go1.26.9\n", "3.7.15", id="traefik"),
        pytest.param("Nomad v1.11.3-dev (ab1)\n", "1.11.3-dev", id="a development build"),
        pytest.param("Vault v1.21.1+ent, built\n", "1.21.1+ent", id="an enterprise build"),
        pytest.param("unknown command\n", None, id="no version"),
    ],
)
def test_the_version_is_read_from_what_the_engines_print(printed: str, version: str | None) -> None:
    assert version == parse_version(printed)


def test_a_binary_of_the_pinned_version_on_the_path_is_taken_as_it_is(
    bench: Bench, server: Server, program: Program
) -> None:
    path = program("fake", "echo Fake v1.2.3")
    bench.pin(fake={"release": bench.offer("fake", bench.zip_of({"fake": bench.script()}))})

    bench.make()

    assert bench.manifest["fake"]["path"] == str(path)
    assert bench.manifest["fake"]["source"] == "path"
    assert server.requests == []


@pytest.mark.parametrize("body", ["echo Fake v1.2.4", "echo Fake v1.2.3-dev", "exit 3"])
def test_another_version_on_the_path_is_named_and_passed_over(
    bench: Bench, program: Program, body: str
) -> None:
    path = program("fake", body)
    bench.pin(fake={"release": bench.offer("fake", bench.zip_of({"fake": bench.script()}))})

    _lines, said = bench.make()

    assert f"path: skipped: no fake 1.2.3 on PATH; found {path}" in said
    assert bench.manifest["fake"]["source"] == "release"


def test_an_engine_on_the_path_without_its_companions_is_passed_over(
    bench: Bench, program: Program
) -> None:
    program("fake", "echo Fake v1.2.3")
    bench.pin(fake={"files": ["fake", "fake-host"]})

    with pytest.raises(ToolsError, match="fake-host is not beside it"):
        bench.make()


def test_our_own_installation_on_the_path_does_not_count_as_the_machines(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.pin(fake={"release": bench.offer("fake", bench.zip_of({"fake": bench.script()}))})
    bench.make()
    old = Path(bench.manifest["fake"]["path"])
    monkeypatch.setenv("PATH", f"{old.parent}:/usr/bin:/bin")
    archive = bench.zip_of({"fake": bench.script(padding=1)})
    bench.pin(fake={"release": bench.offer("fake", archive)})

    bench.make()

    assert bench.manifest["fake"]["source"] == "release"
    assert Path(bench.manifest["fake"]["path"]).parent != old.parent


def test_a_binary_that_was_replaced_on_the_path_is_no_longer_listed(
    bench: Bench, program: Program
) -> None:
    path = program("fake", "echo Fake v1.2.3")
    bench.pin(fake={})
    bench.make()
    path.write_text("#!/bin/sh\necho Fake v1.2.4\n", encoding="utf-8")

    with pytest.raises(ToolsError, match=r"no fake 1\.2\.3 on PATH"):
        bench.make()

    assert bench.manifest == {}
