"""Programs are started, watched, timed out and cleared away by infra.process alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from infra import process
from infra.errors import ProcessError


def gone(pid: int, within_s: float = 5.0) -> bool:
    """Whether a process ends in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
            if stat.rpartition(")")[2].split()[0] in "ZX":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_both_streams_and_the_exit_code_are_kept():
    done = process.run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=10, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 3)
    assert 0 < done.seconds < 10


def test_each_line_is_handed_on_as_it_appears():
    lines: list[str] = []
    process.run(["sh", "-c", "echo one; echo two"], timeout=10, on_line=lines.append)
    assert lines == ["one", "two"]


def test_input_reaches_the_program():
    assert process.run(["cat"], timeout=10, input="hello").stdout == "hello"


def test_a_program_that_does_not_read_its_input_is_no_error():
    assert process.run(["true"], timeout=10, input="x" * 1_000_000).returncode == 0


def test_a_program_that_never_reads_its_input_still_runs_out_of_time():
    with pytest.raises(ProcessError, match=r"within 0\.4 s"):
        process.run(["sleep", "300"], timeout=0.4, input="x" * 1_000_000)


def test_a_watcher_that_fails_neither_blocks_the_program_nor_goes_unseen(tmp_path):
    done = tmp_path / "done"

    def watch(_line: str) -> None:
        raise ValueError("the watcher broke")

    with pytest.raises(ValueError, match="the watcher broke"):
        process.run(["sh", "-c", f"seq 100000; touch {done}"], timeout=30, on_line=watch)
    assert done.exists()


def test_the_environment_given_is_the_whole_environment():
    env = {"PATH": os.environ["PATH"], "ONLY": "this"}
    assert "ONLY=this" in process.run(["env"], timeout=10, env=env).stdout
    assert "HOME=" not in process.run(["env"], timeout=10, env=env).stdout


def test_a_failure_says_what_where_the_last_lines_and_the_remedy(tmp_path):
    script = "seq 100; echo the real cause >&2; exit 7"
    with pytest.raises(ProcessError) as caught:
        process.run(["sh", "-c", script], timeout=10, cwd=tmp_path, remedy="eat more fish")
    message = str(caught.value)
    assert "sh failed with exit code 7" in message
    assert "the real cause" in message
    assert "\n    5\n" not in message
    assert str(tmp_path) in message
    assert "remedy: eat more fish" in message
    assert caught.value.returncode == 7
    assert "\n5\n" in caught.value.output


def test_a_program_that_is_not_there_is_named_with_the_path_that_was_searched():
    with pytest.raises(ProcessError, match="the program no-such-thing was not found") as caught:
        process.run(["no-such-thing"], timeout=10, env={"PATH": "/nowhere"})
    assert "PATH=/nowhere" in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ProcessError, match="does not exist"):
        process.run(["true"], timeout=10, cwd=tmp_path / "absent")


def test_time_up_stops_the_program_with_all_its_children(tmp_path):
    pids = tmp_path / "pids"
    script = f"sleep 300 & echo $! > {pids}; setsid -f true; echo started; wait"
    started = time.monotonic()
    with pytest.raises(ProcessError, match=r"did not finish within 0\.5 s") as caught:
        process.run(["bash", "-c", script], timeout=0.5)
    assert time.monotonic() - started < 10
    assert "started" in str(caught.value)
    assert gone(int(pids.read_text()))


def test_a_program_that_ignores_the_request_to_stop_is_killed(monkeypatch):
    monkeypatch.setattr(process, "_GRACE_S", 0.3)
    script = "trap '' TERM; echo pid=$$; while true; do sleep 0.1; done"
    with pytest.raises(ProcessError) as caught:
        process.run(["bash", "-c", script], timeout=0.5)
    pid = int(caught.value.output.split("pid=")[1].split()[0])
    assert gone(pid)


def test_a_child_that_moved_to_a_process_group_of_its_own_is_stopped_too(tmp_path):
    pids = tmp_path / "pid"
    child = f"set -m; sleep 300 & echo $! > {pids}; wait"
    with pytest.raises(ProcessError):
        process.run(["bash", "-c", child], timeout=0.7)
    assert gone(int(pids.read_text()))


@pytest.fixture
def interruptible():
    """SIGINT raises KeyboardInterrupt, also where the tests run as a shell's background job."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_stops_the_program(tmp_path):
    pid_file = tmp_path / "pid"
    timer = threading.Timer(0.6, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        process.run(["bash", "-c", f"echo $$ > {pid_file}; sleep 300"], timeout=60)
    assert gone(int(pid_file.read_text()))


def test_helpers_of_a_killed_program_do_not_work_on(tmp_path):
    pids = tmp_path / "pid"
    script = f"sleep 300 & echo $! > {pids}; kill -9 $$"
    done = process.run(["bash", "-c", script], timeout=10, check=False)
    assert done.returncode == -signal.SIGKILL
    assert gone(int(pids.read_text()))


def test_a_program_does_not_outlive_its_killed_parent(tmp_path):
    pid_file = tmp_path / "pid"
    code = (
        "from infra import process;"
        f"process.run(['bash', '-c', 'echo $$ > {pid_file}; exec sleep 300'], timeout=60)"
    )
    parent = os.posix_spawn(sys.executable, [sys.executable, "-c", code], dict(os.environ))
    deadline = time.monotonic() + 20
    while not (pid_file.exists() and pid_file.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert gone(int(pid_file.read_text()))


def test_a_session_whose_leader_lives_is_let_alone():
    with subprocess.Popen(["sleep", "300"], start_new_session=True) as leader:
        process.kill_session(leader.pid)
        assert leader.poll() is None
        assert not gone(leader.pid, within_s=0.3)
        leader.kill()


def test_a_session_led_from_outside_of_this_namespace_is_let_alone(monkeypatch):
    # A container's processes may belong to a session that /proc there counts as 0: everybody's.
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _number: killed.append(pid))
    process.kill_session(0)
    assert killed == []
