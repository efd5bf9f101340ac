"""The one place that starts programs."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from infra.errors import ProcessError

_GRACE_S = 15.0
_DRAIN_S = 2.0
_TAIL_LINES = 15
_NOT_FOUND = 127


@dataclass(frozen=True)
class Completed:
    """What a program left behind; `seconds` is wall time."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    input: str | None = None,  # noqa: A002 - named as in subprocess.run
    check: bool = True,
    on_line: Callable[[str], None] | None = None,
    remedy: str = "",
) -> Completed:
    """Run a program to its end, at most `timeout` seconds; `env` replaces the environment.

    `on_line` gets each line of both streams as it appears. The program has its own session; when
    time is up, or this call is interrupted, or this process dies, the program is asked to stop and
    after 15 s everything in its session is killed. Raises ProcessError.
    """
    started = time.monotonic()
    process = _start(argv, env, cwd, piped=input is not None, remedy=remedy)
    output = _Output(process, on_line)
    try:
        if input is not None:
            output.feed(input)
        returncode = process.wait(timeout)
    except subprocess.TimeoutExpired:
        _stop(process)
        output.join()
        raise ProcessError(
            f"{argv[0]} did not finish within {timeout:g} s and was stopped" + output.tail(),
            where=_where(argv, cwd),
            remedy=remedy or "run it again when the machine is less busy",
            output=output.text(),
        ) from None
    except BaseException:
        _stop(process)
        raise
    if returncode < 0:
        # A leader that was killed could not stop its helpers, and they would work on unseen.
        kill_session(process.pid)
    output.join()
    if output.failure is not None:
        raise output.failure
    done = Completed(
        tuple(argv), returncode, output.stdout, output.stderr, time.monotonic() - started
    )
    if check and returncode != 0:
        raise _failed(done, output, where=_where(argv, cwd), remedy=remedy)
    return done


def _failed(done: Completed, output: _Output, *, where: str, remedy: str) -> ProcessError:
    return ProcessError(
        f"{done.argv[0]} failed with exit code {done.returncode}" + output.tail(),
        where=where,
        remedy=remedy,
        returncode=done.returncode,
        output=output.text(),
    )


def session_pids(session: int) -> list[int]:
    """Processes of a session, whatever process group they moved to."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The command name may hold spaces and parentheses: fields are counted after the last.
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        state, its_session = fields[0], int(fields[3])
        if its_session == session and state not in "ZX":
            found.append(int(stat.parent.name))
    return found


def kill_session(session: int) -> None:
    """Kill what a dead leader left in its session; a session whose leader lives is let alone."""
    # In a container, /proc shows 0 as the session of all processes whose leader is outside.
    if session > 0 and session not in session_pids(session):
        _signal(session, signal.SIGKILL)


class _Output:
    """Reads both streams side by side so that a full pipe never blocks the program."""

    def __init__(
        self, process: subprocess.Popen[str], on_line: Callable[[str], None] | None
    ) -> None:
        self._process = process
        self._on_line = on_line
        self.failure: Exception | None = None
        self._last: deque[str] = deque(maxlen=_TAIL_LINES)
        self._parts: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._threads = [
            threading.Thread(target=self._read, args=(name, stream), daemon=True)
            for name, stream in (("stdout", process.stdout), ("stderr", process.stderr))
            if stream is not None
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, name: str, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._parts[name].append(line)
                if line.strip():
                    self._last.append(line.rstrip("\n"))
                self._tell(line.rstrip("\n"))

    def _tell(self, line: str) -> None:
        if self._on_line is None or self.failure is not None:
            return
        try:
            self._on_line(line)
        except Exception as error:  # noqa: BLE001 - raised again by run(), once the pipe is empty
            self.failure = error

    def feed(self, text: str) -> None:
        """Write in the background, so that a program that does not read still runs out of time."""

        def write() -> None:
            # A program may end without reading its input; its exit code tells the story.
            with contextlib.suppress(BrokenPipeError, ValueError), self._process.stdin as pipe:  # type: ignore[union-attr]
                pipe.write(text)

        threading.Thread(target=write, daemon=True).start()

    def join(self) -> None:
        # A daemon left behind may hold the pipe open for ever: what matters was written by now.
        for thread in self._threads:
            thread.join(_DRAIN_S)

    @property
    def stdout(self) -> str:
        return "".join(self._parts["stdout"])

    @property
    def stderr(self) -> str:
        return "".join(self._parts["stderr"])

    def text(self) -> str:
        return self.stdout + self.stderr

    def tail(self) -> str:
        return "".join(f"\n    {line}" for line in list(self._last))


def _start(
    argv: Sequence[str],
    env: Mapping[str, str] | None,
    cwd: Path | None,
    *,
    piped: bool,
    remedy: str,
) -> subprocess.Popen[str]:
    environment = dict(os.environ if env is None else env)
    return subprocess.Popen(
        _command(argv, environment, cwd, remedy),
        env=environment,
        cwd=cwd,
        stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def _command(
    argv: Sequence[str], env: Mapping[str, str], cwd: Path | None, remedy: str
) -> list[str]:
    if shutil.which(argv[0], path=env.get("PATH")) is None:
        raise ProcessError(
            f"the program {argv[0]} was not found",
            where=f"PATH={env.get('PATH', '')}" if "/" not in argv[0] else argv[0],
            remedy=remedy or "install it, or run `make tools`",
            returncode=_NOT_FOUND,
        )
    if cwd is not None and not cwd.is_dir():
        raise ProcessError(
            f"the folder to run {argv[0]} in does not exist", where=str(cwd), remedy=remedy
        )
    setpriv = shutil.which("setpriv", path=env.get("PATH"))
    # Without this a program outlives a killed parent and works on while its successor starts.
    guard = [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
    return [*guard, *argv]


def _stop(process: subprocess.Popen[str]) -> None:
    """Ask the whole session to end, wait, then kill what is left of it."""
    _signal(process.pid, signal.SIGTERM, only=process.pid)
    deadline = time.monotonic() + _GRACE_S
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    _signal(process.pid, signal.SIGKILL)
    process.wait()


def _signal(session: int, number: signal.Signals, *, only: int | None = None) -> None:
    for pid in session_pids(session) if only is None else [only]:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _where(argv: Sequence[str], cwd: Path | None) -> str:
    return shlex.join(argv) + (f" (in {cwd})" if cwd else "")
