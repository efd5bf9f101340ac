"""First source: a binary of exactly the pinned version that the machine already has."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tools import process
from tools.errors import SourceAbsent

if TYPE_CHECKING:
    from tools.pins import Tool
    from tools.sources import Workshop

_STEP = "path"
# The whole version with its suffix: 1.11.3-dev or 1.11.3+ent is not 1.11.3.
_VERSION = re.compile(r"(?<![\w.])v?(\d+\.\d+\.\d+(?:[-+][\w.+-]*)?)")


def parse_version(output: str) -> str | None:
    """Return the first version in what `<tool> version` printed."""
    found = _VERSION.search(output)
    return found.group(1) if found else None


def ask_version(binary: Path) -> str | None:
    """Run `<binary> version`; None when it cannot be run or names no version."""
    # Pulumi would ask its vendor for news, and a state directory of its own is made nowhere.
    env = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        result = process.capture([str(binary), "version"], timeout=30, env=env)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(result.stdout) if result.returncode == 0 else None


def find(tool: Tool, shop: Workshop) -> dict[str, Path]:
    """Return the tool's files on PATH; the companions must lie beside the engine.

    Raises:
        SourceAbsent: PATH has none of the pinned version.
    """
    seen: list[str] = []
    for entry in os.environ.get("PATH", "").split(os.pathsep):
        binary = Path(entry or ".").absolute() / tool.files[0]
        # Our own installations are found by their pins, whatever a person put on PATH.
        if not os.access(binary, os.X_OK) or not binary.is_file() or shop.home in binary.parents:
            continue
        version = ask_version(binary)
        missing = [name for name in tool.files if not (binary.parent / name).is_file()]
        if version == tool.version and not missing:
            return {name: binary.parent / name for name in tool.files}
        reason = f"{missing[0]} is not beside it" if version == tool.version else str(version)
        seen.append(f"{binary} ({reason})")
    problem = f"no {tool.name} {tool.version} on PATH"
    if seen:
        problem += f"; found {', '.join(dict.fromkeys(seen))}"
    raise SourceAbsent(tool.name, _STEP, problem, f"put {tool.name} {tool.version} on PATH")
