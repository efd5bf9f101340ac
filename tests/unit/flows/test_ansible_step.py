"""Command lines, environments and events of playbook runs, without running one."""

import io
import json
from pathlib import Path

import pytest

from flows.errors import HostUnreachableError, StepError
from flows.steps import ansible
from infra import process, settings

HERE = settings.load({"HOME": "/home/op", "SKERRY_INVENTORIES": "/fed/inventories"})


def event(kind: str, **values: object) -> str:
    return ansible.EVENT + json.dumps({"event": kind, **values})


def watched(*lines: str) -> ansible.Watcher:
    watcher = ansible.Watcher(io.StringIO())
    for line in lines:
        watcher.line(line)
    return watcher


def test_the_command_line_names_the_common_inventory_first() -> None:
    argv = ansible.argv("deploy-site", [Path("/fed/inventories/es")], values={"b": 1, "a": "x"})
    assert argv == [
        "ansible-playbook",
        "-i",
        str(settings.CHECKOUT / "inventories" / "common"),
        "-i",
        "/fed/inventories/es",
        "-e",
        '{"a": "x", "b": 1}',
        str(settings.CHECKOUT / "playbooks" / "deploy-site.yml"),
    ]


def test_the_environment_prefers_the_fast_strategy_and_lets_people_choose() -> None:
    assert ansible.environment(HERE, {})["ANSIBLE_STRATEGY"] == "mitogen_linear"
    chosen = ansible.environment(HERE, {"ANSIBLE_STRATEGY": "linear", "PATH": "/bin"})
    assert chosen["ANSIBLE_STRATEGY"] == "linear"
    assert chosen["PATH"].endswith(":/bin")
    strategies = Path(chosen["ANSIBLE_STRATEGY_PLUGINS"])
    assert (strategies / "mitogen_linear.py").is_file()


def test_a_log_stands_beside_the_inventories() -> None:
    file = ansible.log_file("deploy-site", ["es"], HERE)
    assert file == Path("/fed/build/logs/es-deploy-site.log")


def test_text_goes_to_the_log_and_of_events_only_when_they_came() -> None:
    watcher = watched("TASK [x]", event("start", plays=2), "half " + event("play", name="P"))
    assert isinstance(watcher.log, io.StringIO)
    assert watcher.log.getvalue() == "TASK [x]\nhalf \n# 0.0 s: P\n"
    assert (watcher.play, watcher.plays, watcher.at) == (1, 2, "P")


def test_only_the_last_failure_of_a_host_that_ended_badly_counts() -> None:
    numbers = {"ok": 1, "changed": 0, "unreachable": 0, "skipped": 0, "rescued": 1, "ignored": 0}
    watcher = watched(
        event("failed", host="a", task="one", message="rescued later"),
        event("failed", host="b", task="one", message="first"),
        event("failed", host="b", task="two", message="last"),
        event("stats", hosts={"a": {**numbers, "failures": 0}, "b": {**numbers, "failures": 1}}),
    )
    assert watcher.final_failures() == [ansible.Failure("b", "two", "last")]


def test_equal_failures_of_several_hosts_are_told_once() -> None:
    watcher = watched(
        event("failed", host="b", task="Look", message="no disk"),
        event("failed", host="a", task="Look", message="no disk"),
    )
    error = fail(watcher)
    assert error.what == "a, b: Look\n    no disk"


def test_a_broken_way_is_told_apart_from_a_refusal() -> None:
    gone = event("unreachable", host="a", task="Look", message="refused")
    assert isinstance(fail(watched(gone)), HostUnreachableError)
    both = watched(gone, event("failed", host="b", task="Look", message="no disk"))
    assert not isinstance(fail(both), HostUnreachableError)


def test_a_run_without_events_ends_with_its_last_words() -> None:
    error = fail(ansible.Watcher(io.StringIO()), stderr="\n".join(map(str, range(50))))
    assert error.what.splitlines()[0] == "deploy-site failed with exit code 4:"
    assert len(error.what.splitlines()) == 9


def test_a_site_without_inventory_is_refused_before_anything_runs(tmp_path: Path) -> None:
    here = settings.load({"HOME": str(tmp_path), "SKERRY_INVENTORIES": str(tmp_path / "i")})
    with pytest.raises(StepError, match="the site es has no inventory"):
        ansible.play("deploy-site", ["es"], here)


def fail(watcher: ansible.Watcher, stderr: str = "") -> StepError:
    done = process.Completed(("ansible-playbook",), 4, "", stderr, 1.0)
    return ansible._failed("deploy-site", ["es"], Path("/log"), watcher, done)
