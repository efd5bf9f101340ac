"""The steps as Prefect tasks: what is tried again and what is not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, cast

from prefect import Task, task
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.errors import FlowError, HostUnreachableError, StepError
from flows.steps import sites
from infra.errors import InfraError
from tosca.errors import ToscaError

RETRIES = 2
RETRY_DELAY_S = 5
MOST_THREADS = 64

Result = TypeVar("Result")


def _worth_another_try(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """A broken way may mend itself; what a playbook or Pulumi refuses stays refused."""
    return isinstance(state.data, HostUnreachableError) or isinstance(
        getattr(state.data, "exception", None), HostUnreachableError
    )


_over_the_net: dict[str, Any] = {
    "retries": RETRIES,
    "retry_delay_seconds": RETRY_DELAY_S,
    "retry_condition_fn": _worth_another_try,
}

check_machine = task(sites.check_machine)
bring_up = task(sites.bring_up)
write_inventory = task(sites.write_inventory)
deploy_control = task(sites.deploy_control, **_over_the_net)
members = task(sites.members)
admit = task(sites.admit, **_over_the_net)
join = task(sites.join, **_over_the_net)
run_work = task(sites.run_work, **_over_the_net)
leave = task(sites.leave, **_over_the_net)
revoke = task(sites.revoke, **_over_the_net)
destroy = task(sites.destroy)


def side_by_side() -> TaskRunner[PrefectFuture[Any]]:
    """Threads for steps; how many of them may load this machine is the steps' own business."""
    # Prefect's own types do not admit its own task runner.
    return cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=MOST_THREADS))


def begin(
    step: Task[..., Result], *arguments: object, after: Iterable[PrefectFuture[Any]] = ()
) -> PrefectFuture[Result]:
    """Start a step when others are done; a future among the arguments stands for its result."""
    return step.submit(*arguments, return_state=False, wait_for=list(after))


def failed(future: PrefectFuture[Any]) -> bool:
    """Wait for a step and say whether it failed."""
    future.wait()
    return future.state.is_failed()


def settle(futures: Iterable[PrefectFuture[Any]]) -> None:
    """Wait for all, then raise one StepError that tells every site's own error."""
    told: list[FlowError | InfraError | ToscaError] = []
    for future in futures:
        future.wait()
        # A step whose predecessor failed never began, and has nothing of its own to say.
        if not future.state.is_final() or future.state.is_completed():
            continue
        error = future.result(raise_on_failure=False)
        if isinstance(error, FlowError | InfraError | ToscaError):
            told.append(error)
        else:
            told.append(StepError(f"a defect in this program: {type(error).__name__}: {error}"))
    if len(told) == 1:
        raise told[0]
    if told:
        raise StepError("\n\n".join(str(error) for error in told))
