"""The acceptance library: its table, its runner and its reading of inventories."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from flows import acceptance
from flows.acceptance import runner
from flows.acceptance.federation import load
from flows.acceptance.model import Check, CheckFailed, CheckResult, Context, expect, none_of
from flows.acceptance.plays import kill_all, recap
from flows.acceptance.ssh import Connections, RemoteError
from flows.errors import FlowError, StepError

FIXTURES = Path(__file__).parents[2] / "fixtures" / "inventories"
WANTED = {
    *("F1", "F2", "F3", "F4", "F5", "F6", "F8", "F9"),
    *("N1", "N2", "N3", "N4", "N5", "N6", "N7", "N8", "N9", "W1", "W6"),
    *("J0", "J1", "J2", "J3", "J4", "J6", "J7", "L1", "L2", "L6"),
    *("R1", "R2", "I1", "I2", "I5"),
}


@pytest.fixture
def inventories(tmp_path):
    """A federation of three sites whose machines are not there."""
    for file in FIXTURES.glob("*.yml"):
        folder = tmp_path / file.stem
        folder.mkdir()
        (folder / "hosts.yml").write_text(file.read_text())
        (folder / "known_hosts").write_text("")
    return tmp_path


@pytest.fixture
def federation(inventories):
    return load(inventories)


def outcome(check, federation):
    with Connections() as connections:
        return runner._run_one(check, federation, connections)


def test_every_id_of_the_plan_has_a_check():
    assert {check.id.split(".")[0] for check in acceptance.CHECKS} == WANTED


def test_ids_are_unique_and_at_least_32():
    ids = [check.id for check in acceptance.CHECKS]
    assert len(ids) == len(set(ids)) >= 32


def test_every_check_says_what_it_shows_and_how():
    for check in acceptance.CHECKS:
        assert check.title
        assert check.run.__doc__
        assert 0 < check.seconds <= 900


def test_sites_and_machines_come_from_inventories(federation):
    assert [site.name for site in federation.sites] == ["control", "es", "pt"]
    assert federation.control.name == "control"
    assert federation.site("es").first.name == "es-server-1"
    assert all(host.facts["site"] == host.site for host in federation.hosts)


def test_an_empty_folder_is_an_error_with_a_remedy(tmp_path):
    with pytest.raises(StepError, match="make demo"):
        load(tmp_path)


def test_a_folder_without_a_control_site_is_refused(inventories):
    (inventories / "control" / "hosts.yml").unlink()
    with pytest.raises(StepError, match="control site"):
        load(inventories)


def test_an_inventory_that_is_no_inventory_is_named(inventories):
    (inventories / "es" / "hosts.yml").write_text("all: {children: {}}\nextra: 1\n")
    with pytest.raises(StepError, match=r"es/hosts\.yml"):
        load(inventories)


def test_a_first_part_chooses_all_its_checks(federation):
    chosen = [check.id for check in acceptance.select(federation, {"N4", "F1"})]
    assert chosen[0] == "F1"
    assert len(chosen) > 2
    assert all(one == "F1" or one.startswith("N4.") for one in chosen)


def test_an_unknown_id_is_refused_with_the_known_ones(federation):
    with pytest.raises(StepError, match=r"no check X9[\s\S]*N1\.token"):
        acceptance.select(federation, {"X9"})


def test_what_joins_sites_is_not_asked_of_sovereign_ones(inventories):
    for file in inventories.glob("*/hosts.yml"):
        file.write_text(file.read_text().replace("fed_mode: federated", "fed_mode: sovereign"))
    chosen = {check.id for check in acceptance.select(load(inventories))}
    assert "F1" in chosen
    assert not chosen & {check.id for check in acceptance.CHECKS if check.federated}


def test_a_check_that_sees_what_it_should_passes(federation):
    result = outcome(Check("X1", "title", lambda _: "seen"), federation)
    assert (result.passed, result.detail) == (True, "seen")


def test_a_check_that_does_not_cleans_up_and_says_why(federation):
    cleaned = []

    def bad(context: Context) -> str:
        context.undo.callback(cleaned.append, "first")
        context.undo.callback(cleaned.append, "last")
        expect(False, "3 servers,\nnot 4")
        return ""

    result = outcome(Check("X1", "title", bad), federation)
    assert (result.passed, result.detail) == (False, "3 servers, not 4")
    assert cleaned == ["last", "first"]


def test_cleaning_up_that_fails_fails_the_check(federation):
    def untidy(context: Context) -> str:
        context.undo.callback(expect, False, "the job is still there")
        return "fine"

    result = outcome(Check("X1", "title", untidy), federation)
    assert not result.passed
    assert "not cleaned up: the job is still there" in result.detail


def test_a_check_out_of_time_fails_and_still_cleans_up(federation):
    left = []

    def slow(context: Context) -> str:
        context.undo.callback(lambda: left.append(context.left()))
        threading.Event().wait(0.05)
        return str(context.left())

    result = outcome(Check("X1", "title", slow, seconds=0.01), federation)
    assert "did not come to an end" in result.detail
    assert left[0] > 1


def test_an_interrupt_cleans_up_and_goes_on_up(federation):
    cleaned = []

    def interrupted(context: Context) -> str:
        context.undo.callback(cleaned.append, "done")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outcome(Check("X1", "title", interrupted), federation)
    assert cleaned == ["done"]


def test_sigterm_is_like_an_interrupt_while_checks_run():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), runner._terminated_like_interrupted():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_machines_that_are_not_there_fail_checks_with_their_names(inventories):
    for file in inventories.glob("*/hosts.yml"):
        lines = [
            f"{line.split('ansible_host')[0]}ansible_host: 127.0.0.1" if "ansible_host:" in line
            else f"{line.split('ansible_port')[0]}ansible_port: 1" if "ansible_port:" in line
            else line
            for line in file.read_text().splitlines()
        ]  # fmt: skip
        file.write_text("\n".join(lines) + "\n")
    seen = []
    results = acceptance.run(inventories, only={"F3"}, progress=seen.append)
    assert results == seen
    assert not results[0].passed
    assert "cannot be reached" in results[0].detail


def test_several_things_are_done_and_the_failure_is_raised(federation):
    def look(number: int) -> int:
        none_of([f"{number} is bad"] if number == 2 else [])
        return number

    with Connections() as connections, ExitStack() as undo:
        context = Context(federation, connections, undo, 10)
        assert context.each([1, 3], look) == [(1, 1), (3, 3)]
        with pytest.raises(CheckFailed, match="2 is bad"):
            context.each([1, 2], look)
        with pytest.raises(CheckFailed, match="2 is bad; 2 is bad"):
            context.each([2, 1, 2], look)


def test_a_remote_error_is_one_of_the_package():
    assert issubclass(RemoteError, FlowError)


def test_a_report_counts_and_lists(tmp_path):
    results = [
        CheckResult("F1", "a", True, 1.25, "seen"),
        CheckResult("F2", "b", False, 2.0, "not seen"),
    ]
    acceptance.write_report(results, tmp_path / "build" / "verify.json")
    report = json.loads((tmp_path / "build" / "verify.json").read_text())
    assert (report["passed"], report["failed"], report["seconds"]) == (1, 1, 3.2)
    assert report["checks"][1]["detail"] == "not seen"


def test_changes_are_read_from_what_ansible_prints():
    printed = (
        "TASK [x]\nPLAY RECAP ****\n"
        "es-cpu-1    : ok=41   changed=2    unreachable=0    failed=0\n"
        "es-edge-1   : ok=20   changed=0    unreachable=0    failed=0\n\n"
    )
    assert recap(printed) == {"es-cpu-1": 2, "es-edge-1": 0}
    assert recap("ERROR! no hosts") == {}


def test_only_processes_with_the_mark_are_killed():
    marked, other = (
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)", mark])
        for mark in ("c0ffee-mark", "other")
    )
    try:
        kill_all("c0ffee-mark")
        assert marked.wait(5) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
