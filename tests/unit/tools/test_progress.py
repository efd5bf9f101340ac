"""Progress is told in plain lines off a terminal and on one live line on a terminal."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools import process
from tools.errors import CommandError
from tools.progress import Progress

if TYPE_CHECKING:
    from conftest import Bench

CHECKOUT = Path(__file__).parents[3]


def test_a_long_step_gives_a_sign_of_life_with_its_detail_and_time(tmp_path: Path) -> None:
    stream = io.StringIO()
    progress = Progress(stream, beat_seconds=0.2)
    progress.position(2, 5)

    with progress.step("fake", "compile"):
        argv = ["sh", "-c", "echo one; sleep 1.5; echo two"]
        process.run(
            "fake",
            "compile",
            argv,
            progress=progress,
            log=tmp_path / "log",
            remedy="-",
            watch=lambda line: f"package {line}",
        )

    lines = stream.getvalue().splitlines()
    assert lines[0] == "  0:00 [2/5] fake: compile"
    assert "  0:01 [2/5] fake: compile (0:01) package one" in lines
    assert lines[-1] == "  0:01 [2/5] fake: compile done in 0:01"


def test_a_program_that_fails_is_told_with_its_last_line_and_its_log(tmp_path: Path) -> None:
    argv = ["sh", "-c", "echo first; echo the cause >&2; exit 3"]
    log = tmp_path / "log"

    with pytest.raises(CommandError) as caught:
        process.run("fake", "try", argv, progress=Progress(io.StringIO()), log=log, remedy="think")

    expected = f"fake: try: sh ended with code 3: the cause (log: {log}). Remedy: think"
    assert expected == str(caught.value)
    assert "first\nthe cause\n" in log.read_text(encoding="utf-8")


def test_a_terminal_gets_a_live_line_and_the_result(bench: Bench) -> None:
    bench.pin(fake={"release": bench.offer("fake", bench.zip_of({"fake": bench.script()}))})
    leader, follower = pty.openpty()
    argv = [sys.executable, "-m", "tools", "--versions", str(bench.versions)]
    run = subprocess.Popen(
        argv,
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=follower,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(follower)
    out, _none = run.communicate(timeout=20)
    shown = os.read(leader, 1 << 16).decode()
    os.close(leader)

    assert run.returncode == 0
    assert out.decode().startswith("fake 1.2.3 (release): ")
    assert "\x1b[" in shown
    assert "fake: 1.2.3 is ready (source: release)" in shown
