"""What every source of engines gets to work with."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.errors import SourceAbsent

if TYPE_CHECKING:
    from pathlib import Path

    from tools.pins import Versions
    from tools.progress import Progress


@dataclass(frozen=True)
class Workshop:
    """Where a source works.

    `home` is the cache directory of the engines (downloads and logs stay there), `out` an empty
    directory on the same file system, which becomes the installation when the source is done.
    """

    versions: Versions
    home: Path
    out: Path
    progress: Progress

    @property
    def downloads(self) -> Path:
        """Return the directory that keeps partial downloads between runs."""
        return self.home / "downloads"

    def log(self, name: str) -> Path:
        """Return the log file of that name."""
        return self.home / "logs" / f"{name}.log"


def need_amd64(tool: str, step: str) -> None:
    """Check that the pinned prebuilt binaries run on this machine.

    Raises:
        SourceAbsent: the machine is of another kind.
    """
    machine = f"{platform.system()}/{platform.machine()}"
    if machine != "Linux/x86_64":
        remedy = "put a binary of the pinned version on PATH"
        raise SourceAbsent(tool, step, f"pinned for Linux/x86_64, this is {machine}", remedy)
