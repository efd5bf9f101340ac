"""What can be wrong with an input, always with the place where it stands.

ToscaError is the only exception that leaves this package; it carries every problem found.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Location(NamedTuple):
    """A place in a file; line and column count from 1, and 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Give `file:line:column`, the form editors jump to."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


MAX_PROBLEMS: Final = 1000
"""Reading stops after so many problems; a file with more is no template."""
_MAX_COMPARED = 1000


@unique
class Severity(StrEnum):
    """Whether a problem refuses the input or only deserves a look."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong: where, what (and what was expected), and how to get rid of it."""

    location: Location
    message: str
    remedy: str = ""
    severity: Severity = Severity.ERROR
    code: str = ""
    """The rule a warning comes from (`literal-secret`), or the kind of an error."""

    def __str__(self) -> str:
        """Give one line, `file:line:column: message; remedy`."""
        tail = f"; {self.remedy}" if self.remedy else ""
        mark = "warning: " if self.severity is Severity.WARNING else ""
        return f"{self.location}: {mark}{self.message}{tail}"


class ToscaError(Exception):
    """An input was refused; `problems` holds every error found, in file order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Keep the problems sorted and say them one per line."""
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(slots=True)
class Problems:
    """Collects problems while a file is read, so that all of them are reported in one go."""

    found: list[Problem] = field(default_factory=list)
    lenient_files: set[str] = field(default_factory=set)
    """Files of others: what the letter of the language forbids there is only a warning."""

    def error(self, location: Location, message: str, remedy: str = "", code: str = "") -> None:
        """Record what refuses the input; raises ToscaError when there are too many problems."""
        self._add(Problem(location, message, remedy, Severity.ERROR, code))

    def warning(self, location: Location, message: str, remedy: str = "", code: str = "") -> None:
        """Record what deserves a look."""
        self._add(Problem(location, message, remedy, Severity.WARNING, code))

    def formal(self, location: Location, message: str, remedy: str = "", code: str = "") -> None:
        """Record a breach of the letter: an error in our files, a warning in those of others."""
        severity = Severity.WARNING if location.file in self.lenient_files else Severity.ERROR
        self._add(Problem(location, message, remedy, severity, code))

    def _add(self, problem: Problem) -> None:
        self.found.append(problem)
        if len(self.found) >= MAX_PROBLEMS:
            message = f"more than {MAX_PROBLEMS} problems, reading stops here"
            last = Problem(problem.location, message, "correct these first", code="too-many")
            raise ToscaError([*self.errors, last])

    def mark(self) -> int:
        """Remember how far the collection is, for `errors_since`."""
        return len(self.found)

    def errors_since(self, mark: int) -> bool:
        """Tell whether an error was recorded after `mark`."""
        return any(problem.severity is Severity.ERROR for problem in self.found[mark:])

    @property
    def errors(self) -> list[Problem]:
        """The problems that refuse the input."""
        return [problem for problem in self.found if problem.severity is Severity.ERROR]

    @property
    def warnings(self) -> list[Problem]:
        """The problems that do not."""
        return [problem for problem in self.found if problem.severity is Severity.WARNING]

    def raise_errors(self) -> None:
        """Raise ToscaError when an error was recorded."""
        if errors := self.errors:
            raise ToscaError(errors)


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest what `name` may have been meant to be, as the remedy of an unknown-name error."""
    names = sorted(known)
    close: list[str] = []
    if len(names) <= _MAX_COMPARED:
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
        if not close:  # a short name, such as Computer for tosca.nodes.Compute
            by_last = {one.rpartition(".")[2]: one for one in reversed(names)}
            last = difflib.get_close_matches(name.rpartition(".")[2], by_last, n=3, cutoff=0.6)
            close = [by_last[one] for one in last]
    if close:
        return "did you mean " + " or ".join(close) + "?"
    if not names:
        return "none is defined here"
    few = 12
    shown = ", ".join(names[:few]) + (", ..." if len(names) > few else "")
    return f"known: {shown}"
