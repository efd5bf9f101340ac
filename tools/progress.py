"""Progress for people: one live line on a terminal, plain lines elsewhere.

A plain line is written when a step starts and ends and at least every `BEAT_SECONDS` in between,
so that a log shows that a long compile is alive.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.status import Status

BEAT_SECONDS = 10.0


def clock(seconds: float) -> str:
    """Format a duration as minutes:seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Progress:
    """Tells which tool is at which step, for how long, and how many tools are left."""

    def __init__(self, stream: TextIO | None = None, beat_seconds: float = BEAT_SECONDS) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._beat_seconds = beat_seconds
        self._began = time.monotonic()
        self._count = ""
        self._head = ""
        self._step_began = self._began
        self._last_line = self._began
        self._status: Status | None = None

    def position(self, index: int, total: int) -> None:
        """Say that the tool at work is number `index` (from 1) of `total`."""
        self._count = f"[{index}/{total}] "

    def say(self, tool: str, text: str) -> None:
        """Write a line that stays."""
        line = f"{clock(time.monotonic() - self._began):>6} {self._count}{tool}: {text}"
        self._last_line = time.monotonic()
        if self._status is not None:
            self._status.console.print(line, markup=False, highlight=False, soft_wrap=True)
            return
        self._stream.write(line + "\n")
        self._stream.flush()

    def detail(self, text: str) -> None:
        """Tell how far the current step is; cheap enough to be called for every line read."""
        now = time.monotonic()
        elapsed = clock(now - self._step_began)
        if self._status is not None:
            self._status.update(f"{self._head} ({elapsed}) {text}")
        elif now - self._last_line >= self._beat_seconds:
            tool, _, step = self._head.partition(": ")
            self.say(tool, f"{step} ({elapsed}) {text}".rstrip())

    @contextmanager
    def step(self, tool: str, step: str) -> Iterator[None]:
        """Run a step; nothing is said at its end when it raises (the error tells)."""
        self._head = f"{tool}: {step}"
        self._step_began = time.monotonic()
        if self._stream.isatty():
            yield from self._live(tool, step)
            return
        self.say(tool, step)
        yield
        took = time.monotonic() - self._step_began
        if took >= self._beat_seconds:
            self.say(tool, f"{step} done in {clock(took)}")

    def _live(self, tool: str, step: str) -> Iterator[None]:
        # rich costs a tenth of a second to import: only a terminal with work to do pays it.
        from rich.console import Console  # noqa: PLC0415

        console = Console(file=self._stream)
        with console.status(f"{self._count}{self._head}", spinner="line") as status:
            self._status = status
            try:
                yield
                took = clock(time.monotonic() - self._step_began)
                self.say(tool, f"{step} done in {took}")
            finally:
                self._status = None
