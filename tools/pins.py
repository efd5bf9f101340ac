"""What versions.yaml says, typed, and the digest that names an installation of it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from tools.errors import ToolsError

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSIONS = Path(__file__).with_name("versions.yaml")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_GO_LINE = re.compile(r"^go (\d+(?:\.\d+)*)", re.MULTILINE)


@dataclass(frozen=True)
class Release:
    """The vendor's archive: `archive` is its path below the base URL, {version} filled in."""

    archive: str
    base_url_variable: str
    sha256: str | None


@dataclass(frozen=True)
class Build:
    """One `go build`; `disk_mib` is what both Go caches grow by when nothing is in them."""

    output: str
    pins: str
    package: str
    disk_mib: int
    tags: tuple[str, ...] = ()
    set: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Copy:
    """One file taken from a module that the pins in `pins` name."""

    pins: str
    module: str
    path: str


@dataclass(frozen=True)
class Wheel:
    """A distribution whose linux x86_64 wheel has that SHA-256."""

    distribution: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Tool:
    """One engine; `files` are installed side by side, the first is the engine itself."""

    name: str
    version: str
    files: tuple[str, ...]
    release: Release | None
    build: tuple[Build, ...]
    copies: tuple[Copy, ...]
    wheel: Wheel | None
    digest: str


@dataclass(frozen=True)
class Versions:
    """Everything that versions.yaml pins; `root` holds the directory pins/."""

    root: Path
    tools: dict[str, Tool]
    go: Wheel

    def pins(self, name: str) -> Path:
        """Return the directory with the go.mod and go.sum of that name."""
        return self.root / "pins" / name

    def go_minimum(self, tool: Tool) -> str:
        """Return the highest `go` line of the tool's go.mod files, as "1.25.8"."""
        found = ["1.21"]
        for build in tool.build:
            text = (self.pins(build.pins) / "go.mod").read_text(encoding="utf-8")
            found += _GO_LINE.findall(text)
        return max(found, key=version_key)


def version_key(version: str) -> tuple[int, ...]:
    """Order dotted versions by their numbers."""
    return tuple(int(part) for part in version.split("."))


def load(path: Path = VERSIONS) -> Versions:
    """Read versions.yaml.

    Raises:
        ToolsError: a key is missing, unknown or of another form than its dataclass says.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        tools = {name: _tool(path.parent, name, value) for name, value in raw["tools"].items()}
        return Versions(path.parent, tools, _wheel(raw["go"]))
    except (OSError, KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        detail = " ".join(str(error).split())
        problem = f"{path}: {type(error).__name__}: {detail}"
        remedy = f"bring it into the form that {Path(__file__).name} describes"
        raise ToolsError(path.name, "read", problem, remedy) from error


_Made = TypeVar("_Made", Release, Build, Copy, Wheel)


def _make(kind: type[_Made], raw: Mapping[str, Any]) -> _Made:
    unknown = set(raw) - {field.name for field in fields(kind)}
    if unknown:
        message = f"unknown key {min(unknown)!r}"
        raise ValueError(message)
    return kind(**raw)


def _sha256(value: str | None) -> None:
    if value is not None and not _SHA256.fullmatch(value):
        message = f"{value!r} is not a SHA-256 in lower case hex"
        raise ValueError(message)


def _wheel(raw: Mapping[str, Any]) -> Wheel:
    wheel = _make(Wheel, raw)
    _sha256(wheel.sha256)
    return wheel


def _build(raw: Mapping[str, Any]) -> Build:
    tags = tuple(raw.get("tags", ()))
    values = tuple(sorted(raw.get("set", {}).items()))
    return _make(Build, {**raw, "tags": tags, "set": values})


def _tool(root: Path, name: str, raw: Mapping[str, Any]) -> Tool:
    known = {"version", "files", "release", "build", "copies", "wheel"}
    if set(raw) - known:
        message = f"{name}: unknown key {min(set(raw) - known)!r}"
        raise ValueError(message)
    version = raw["version"]
    release = None
    if "release" in raw:
        release = _make(Release, raw["release"])
        _sha256(release.sha256)
        archive = release.archive.format(version=version)
        release = Release(archive, release.base_url_variable, release.sha256)
    tool = Tool(
        name=name,
        version=version,
        files=tuple(raw["files"]),
        release=release,
        build=tuple(_build(item) for item in raw.get("build", ())),
        copies=tuple(_make(Copy, item) for item in raw.get("copies", ())),
        wheel=_wheel(raw["wheel"]) if "wheel" in raw else None,
        digest="",
    )
    return Tool(**{**_shallow(tool), "digest": _digest(root, tool)})


def _shallow(tool: Tool) -> dict[str, Any]:
    return {field.name: getattr(tool, field.name) for field in fields(tool)}


def _digest(root: Path, tool: Tool) -> str:
    digest = hashlib.sha256(json.dumps(asdict(tool), sort_keys=True).encode())
    for name in sorted({build.pins for build in tool.build}):
        for file in ("go.mod", "go.sum"):
            content = (root / "pins" / name / file).read_bytes()
            digest.update(f"{name}/{file}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
