"""What people see of long work where there is no terminal."""

import io
import re

import pytest
from rich.console import Console

from flows.progress import Board


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def board(screen: io.StringIO) -> Board:
    return Board(3, Console(file=screen, width=200))


def test_a_step_prints_one_line_at_its_start_and_one_at_its_end(board, screen) -> None:
    with board.shown("three steps"), board.step("es", "join") as step:
        step.tell("3 changed")
    lines = [re.sub(r" *\d+(\.\d)? s", " N s", line) for line in screen.getvalue().splitlines()]
    assert lines == [
        "three steps",
        "[ N s, 0/3] es: join ...",
        "[ N s, 1/3] es: join done in N s (3 changed)",
    ]


def test_a_step_that_fails_says_so_and_passes_the_error_on(board, screen) -> None:
    with pytest.raises(ZeroDivisionError), board.step("es", "join"):
        raise ZeroDivisionError
    assert "es: join FAILED in" in screen.getvalue()
    assert [(one.site, one.name, one.ok) for one in board.done] == [("es", "join", False)]


def test_markup_in_a_line_is_printed_as_it_is(board, screen) -> None:
    board.say("[bold]es[/bold]")
    assert screen.getvalue() == "[bold]es[/bold]\n"


def test_a_terminal_shows_what_is_under_way_and_what_is_left(monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = io.StringIO()
    board = Board(4, Console(file=screen, force_terminal=True, width=100))
    with board.shown("t"), board.step("es", "join") as step, board.step("pt", "machines"):
        step.tell("4/11 Workers")
        board._live.refresh()
    assert "4/11 Workers" in screen.getvalue()
    assert "2 under way, 2 to come" in screen.getvalue()
