"""What a person sees while long work is under way: which site, which step, how long, what is left.

On a terminal a table that changes in place, otherwise one line when a step starts and one when it
ends. Safe to use from several threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

_MOST_DETAIL = 60
_FRAMES_PER_S = 2


@dataclass
class Step:
    """One step of one site while it runs; `detail` says what it does at the moment."""

    site: str
    name: str
    started: float = field(default_factory=time.monotonic)
    detail: str = ""

    def tell(self, detail: str) -> None:
        """Show what the step is doing now."""
        self.detail = detail.strip()

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self.started


@dataclass(frozen=True)
class Done:
    """A step that ended."""

    site: str
    name: str
    seconds: float
    ok: bool
    result: str


class Board:
    """The steps of one run. `planned` is how many there will be."""

    def __init__(self, planned: int = 0, console: Console | None = None) -> None:
        """Write to standard output unless told otherwise."""
        self.console = console or Console()
        self.done: list[Done] = []
        self.planned = planned
        self._running: list[Step] = []
        self._lock = threading.Lock()
        self._live: Live | None = None
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time since the board was made."""
        return time.monotonic() - self._started

    @contextmanager
    def shown(self, title: str) -> Iterator[Board]:
        """Show the board for the time of the block."""
        self.say(title)
        if not self.console.is_terminal:
            yield self
            return
        self._live = Live(
            get_renderable=self._table, console=self.console, refresh_per_second=_FRAMES_PER_S
        )
        try:
            with self._live:
                yield self
        finally:
            self._live = None

    @contextmanager
    def step(self, site: str, name: str) -> Iterator[Step]:
        """Show a step for the time of the block; what the block raises is shown and passed on."""
        step = Step(site, name)
        with self._lock:
            self._running.append(step)
        if self._live is None:
            self.say(f"{self._count()} {site}: {name} ...")
        ok = False
        try:
            yield step
            ok = True
        finally:
            with self._lock:
                self._running.remove(step)
                self.done.append(Done(site, name, step.seconds, ok, step.detail))
            word = "done" if ok else "FAILED"
            result = f" ({step.detail})" if ok and step.detail else ""
            self.say(f"{self._count()} {site}: {name} {word} in {step.seconds:.1f} s{result}")

    def say(self, line: str) -> None:
        """Print a line above whatever changes in place."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _count(self) -> str:
        total = max(self.planned, len(self.done) + len(self._running))
        return f"[{self.seconds:5.0f} s, {len(self.done)}/{total}]"

    def _table(self) -> Group:
        table = Table(box=None, padding=(0, 2), show_header=False)
        with self._lock:
            running: Sequence[Step] = list(self._running)
            left = max(self.planned - len(self.done) - len(running), 0)
        for step in running:
            table.add_row(
                step.site, step.name, f"{step.seconds:.0f} s", Text(step.detail[:_MOST_DETAIL])
            )
        footer = f"{len(self.done)} steps done, {len(running)} under way, {left} to come"
        return Group(table, Text(f"{footer}, {self.seconds:.0f} s"))


_current = Board()


def board() -> Board:
    """The board of this process; every step of every flow reports to it."""
    return _current


def new_board(planned: int, console: Console | None = None) -> Board:
    """Start a run of so many steps."""
    global _current  # noqa: PLW0603 - tasks run in threads that Prefect makes and know nothing else
    _current = Board(planned, console)
    return _current
