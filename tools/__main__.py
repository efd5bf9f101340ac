"""Entry point: `python -m tools [ENGINE...]`, `python -m tools host-image`, `... images`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import NoReturn

from tools.errors import ToolsError
from tools.pins import VERSIONS
from tools.progress import Progress

_INTERRUPTED = 130


def _terminate(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _run(names: list[str], versions: Path) -> list[str]:
    # Each part is imported when it is asked for: a run with nothing to do should cost nothing.
    progress = Progress()
    if names == ["host-image"]:
        from tools import hostimage  # noqa: PLC0415

        return [hostimage.make(progress)]
    if names == ["images"]:
        from tools import webimage  # noqa: PLC0415

        return [webimage.make(progress)]
    from tools import engines  # noqa: PLC0415

    return engines.make(names, progress, versions)


def main(argv: list[str] | None = None) -> int:
    """Make what is asked for; return 0, 1 after an error, 130 after an interruption."""
    parser = argparse.ArgumentParser(prog="python -m tools", description=__doc__)
    parser.add_argument("names", nargs="*", help="engines (default: all), or host-image, or images")
    parser.add_argument("--versions", type=Path, default=VERSIONS, help="another versions.yaml")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        lines = _run(arguments.names, arguments.versions)
    except ToolsError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on where it stopped\n")
        return _INTERRUPTED
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
