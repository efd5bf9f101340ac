"""What a check is, what it gets and what it gives."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from flows.acceptance.federation import Federation, Host
from flows.acceptance.ssh import Connections
from flows.errors import FlowError

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")

_SIDE_BY_SIDE = 6
# A playbook may have to run once more.
_CLEANUP_S = 300.0


class CheckFailed(FlowError):  # noqa: N818 - it is a verdict, not a fault of the check
    """The federation does not do what the check looks for."""


@dataclass(frozen=True)
class CheckResult:
    """One line of a report; `seconds` is wall time, `detail` what was seen."""

    id: str
    title: str
    passed: bool
    seconds: float
    detail: str


class Context:
    """What a running check works with; time and cleaning up are kept here."""

    def __init__(
        self, federation: Federation, connections: Connections, undo: ExitStack, seconds: float
    ) -> None:
        """Give a check `seconds` from now."""
        self.federation = federation
        self.undo = undo
        """Callbacks run last to first when the check ends in whatever way."""
        self.scratch: list[str] = []
        self._connections = connections
        self._deadline = time.monotonic() + seconds
        self._cleaning = False

    def ask(self, host: Host, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of `flows.acceptance.remote` on a machine; raises RemoteError."""
        return self._connections.ask(host, self.left(), function, *args, **kwargs)

    def each(self, things: Iterable[S], function: Callable[[S], T]) -> list[tuple[S, T]]:
        """Do something for several things side by side, all of them even when one fails.

        What fails is raised at the end, together: one site in trouble does not hide another.
        """
        listed = list(things)
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            running = [(thing, pool.submit(function, thing)) for thing in listed]
        failed = [error for _, future in running if (error := future.exception()) is not None]
        if len(failed) > 1 and all(isinstance(error, FlowError) for error in failed):
            raise CheckFailed("; ".join(e.what for e in failed if isinstance(e, FlowError)))
        if failed:
            raise failed[0]
        return [(thing, future.result()) for thing, future in running]

    def left(self) -> float:
        """Seconds that the check, or its cleaning up, still has; raises CheckFailed at 0."""
        if self._cleaning:
            return _CLEANUP_S
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise CheckFailed("it did not come to an end in its time")
        return left

    def clean(self) -> None:
        """From now on calls belong to cleaning up and have their own time."""
        self._cleaning = True


@dataclass(frozen=True)
class Check:
    """One row of the table.

    `run` returns what it saw and raises CheckFailed when that is not as it should be. A disruptive
    check stops or changes something for a while. `federated` ones look at what joins sites and do
    not apply to a sovereign federation.
    """

    id: str
    title: str
    run: Callable[[Context], str]
    seconds: float = 60.0
    disruptive: bool = False
    federated: bool = False


def expect(condition: object, what: str) -> None:
    """Raise CheckFailed saying `what` was seen unless the condition holds."""
    if not condition:
        raise CheckFailed(what)


def none_of(problems: Iterable[str]) -> None:
    """Raise CheckFailed with all problems, if there are any."""
    found = list(problems)
    expect(not found, "; ".join(found))
