"""Run a program under progress: its output is watched line by line and kept in a log file.

The only place of this package that starts programs.
"""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from tools.errors import CommandError, ToolsError, is_no_space, no_space

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tools.progress import Progress

# Gets each line of output and returns what to show of it, None for nothing new.
Watch: TypeAlias = "Callable[[str], str | None]"

_TAIL_LINES = 25
_POLL_SECONDS = 1.0
_STOP_SECONDS = 3.0


def _bound(argv: Sequence[str]) -> list[str]:
    """Return a command line whose program ends with us, however we end.

    A killed run must not leave a compiler behind that writes into the next run's caches.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *argv] if setpriv else list(argv)


def need(program: str, tool: str, step: str, remedy: str) -> str:
    """Return the absolute path of `program`.

    Raises:
        ToolsError: it is not on PATH; `remedy` says how to get it.
    """
    found = shutil.which(program)
    if found is None:
        raise ToolsError(tool, step, f"the program {program!r} is not on PATH", remedy)
    return found


def capture(
    argv: Sequence[str],
    *,
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a short command and return its result whatever its code is.

    Raises:
        OSError: it could not be started.
        subprocess.TimeoutExpired: it took longer than `timeout` seconds.
    """
    return subprocess.run(
        list(argv),
        check=False,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        env=dict(env) if env is not None else None,
        cwd=cwd,
    )


class Watched:
    """One run of a program whose output lines feed `watch` and a log file."""

    def __init__(self, progress: Progress, log: Path, watch: Watch) -> None:
        self._progress = progress
        self._log = log
        self._watch = watch
        self._detail = ""
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)

    def run(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> int:
        """Run to the end and return the code; an exception stops the program first."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with (
            self._log.open("ab") as log,
            subprocess.Popen(
                _bound(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
                cwd=cwd,
            ) as child,
        ):
            try:
                log.write(f"$ {' '.join(argv)}\n".encode())
                self._read(child, log.write)
                return child.wait()
            finally:
                _stop(child)

    def _read(self, child: subprocess.Popen[bytes], keep: Callable[[bytes], object]) -> None:
        if child.stdout is None:  # pragma: no cover - a pipe was asked for
            return
        rest = b""
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            while True:
                if selector.select(_POLL_SECONDS):
                    chunk = os.read(child.stdout.fileno(), 65536)
                    if not chunk:
                        break
                    keep(chunk)
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        self._line(line.decode(errors="replace").rstrip("\r"))
                elif child.poll() is not None:
                    break  # a grandchild that outlives the program may hold the pipe open
                self._progress.detail(self._detail)
        self._line(rest.decode(errors="replace"))

    def _line(self, line: str) -> None:
        if line.strip():
            self.tail.append(line)
            self._detail = self._watch(line) or self._detail


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()


def run(
    tool: str,
    step: str,
    argv: Sequence[str],
    *,
    progress: Progress,
    log: Path,
    remedy: str,
    watch: Watch = lambda _line: None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a program under progress and return the end of its output.

    Raises:
        CommandError: it failed; the message ends with its last line and names the log.
        ToolsError: it could not be started, or the disk is full.
    """
    watched = Watched(progress, log, watch)
    try:
        code = watched.run(argv, env=env, cwd=cwd)
    except OSError as error:
        if is_no_space(error):
            raise no_space(tool, step, log.parent) from error
        raise ToolsError(tool, step, f"cannot run {argv[0]}: {error}", remedy) from error
    tail = "\n".join(watched.tail)
    if code == 0:
        return tail
    if "No space left on device" in tail or "no space left on device" in tail:
        raise no_space(tool, step, cwd or log.parent)
    last = watched.tail[-1].strip() if watched.tail else "it printed nothing"
    problem = f"{os.path.basename(argv[0])} ended with code {code}: {last} (log: {log})"  # noqa: PTH119
    raise CommandError(tool, step, problem, remedy, tail)
