"""Steps as Prefect tasks, with a Prefect API of their own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect import flow, task
from prefect.testing.utilities import prefect_test_harness

from flows.errors import FlowError, HostUnreachableError, StackError, StepError
from flows.steps import tasks
from infra.settings import CHECKOUT


@pytest.fixture(scope="module", autouse=True)
def prefect() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@task
def work(name: str) -> str:
    return name


@task
def refuse(error: Exception) -> str:
    raise error


def run_all(*begun: object) -> FlowError | None:
    """Run steps in a flow and give the error that comes out."""

    @flow(task_runner=tasks.side_by_side())
    def ordered() -> None:
        futures = []
        for step, argument, after in begun:
            futures.append(tasks.begin(step, argument, after=[futures[n] for n in after]))
        tasks.settle(futures)

    try:
        ordered()
    except FlowError as error:
        return error
    return None


def test_steps_that_go_well_give_no_error() -> None:
    assert run_all((work, "a", []), (work, "b", [0])) is None


def test_an_error_comes_out_as_it_was_raised_and_what_follows_stays_silent() -> None:
    error = StackError("no disk", where="stack es", remedy="free some")
    caught = run_all((refuse, error, []), (work, "later", [0]), (work, "beside", []))
    assert str(caught) == str(error)


def test_the_errors_of_several_sites_are_all_told() -> None:
    caught = run_all((refuse, StepError("es is full"), []), (refuse, StepError("pt is full"), []))
    assert str(caught) == "es is full\n\npt is full"


def test_a_defect_is_told_as_one() -> None:
    caught = run_all((refuse, KeyError("x"), []))
    assert "a defect in this program: KeyError: 'x'" in str(caught)


@pytest.mark.parametrize(
    ("error", "tries"), [(HostUnreachableError("no way"), 3), (StepError("refused"), 1)]
)
def test_only_a_broken_way_is_tried_again(error: StepError, tries: int) -> None:
    tried: list[int] = []

    @task(retries=2, retry_delay_seconds=0, retry_condition_fn=tasks._worth_another_try)
    def step(_: str) -> None:
        tried.append(1)
        raise error

    caught = run_all((step, "", []))
    assert str(caught) == str(error)
    assert len(tried) == tries


def test_a_server_of_our_own_answers_and_ends_with_its_process(tmp_path: Path) -> None:
    program = (
        "from infra import settings; from flows.settings import Server; import sys, time\n"
        f"server = Server(settings.load({{'HOME': {str(tmp_path)!r}}}))\n"
        "server.start(); server.await_ready(); print(server.port, flush=True); time.sleep(600)"
    )
    env = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=CHECKOUT, env=env, stdout=subprocess.PIPE, text=True
    ) as owner:
        port = int(owner.stdout.readline())
        assert answers(port)
        owner.kill()
    deadline = time.monotonic() + 30
    while answers(port):
        assert time.monotonic() < deadline, "the server outlives its process"
        time.sleep(0.2)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
