"""Runs checks one after another and writes down what came out."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from flows.acceptance.federation import Federation, Site, load
from flows.acceptance.model import Check, CheckFailed, CheckResult, Context
from flows.acceptance.remote import jobs
from flows.acceptance.ssh import Connections
from flows.acceptance.table import CHECKS
from flows.errors import FlowError, StepError
from infra.errors import InfraError
from infra.files import write_atomic

Progress = Callable[[CheckResult], None]
_SWEEP_S = 60.0


def run(
    inventories: Path,
    *,
    only: Collection[str] | None = None,
    progress: Progress = lambda _: None,
) -> list[CheckResult]:
    """Run the checks that apply, or those of `only`, against the federation of a folder.

    `only` takes ids and their first parts (N4 is all of N4.*). What an earlier, killed run left
    behind is removed first. Raises StepError for an unknown id or an unreadable inventory.
    """
    federation = load(inventories)
    chosen = select(federation, only)
    results = []
    with _terminated_like_interrupted(), Connections() as connections:
        _sweep(federation, connections)
        try:
            for check in chosen:
                result = _run_one(check, federation, connections)
                results.append(result)
                progress(result)
        finally:
            _sweep(federation, connections)
    return results


def select(federation: Federation, only: Collection[str] | None = None) -> list[Check]:
    """The rows to run, in the table's order; raises StepError for an unknown id."""
    known = {check.id for check in CHECKS} | {check.id.split(".")[0] for check in CHECKS}
    unknown = sorted(set(only or ()) - known)
    if unknown:
        raise StepError(
            f"there is no check {', '.join(unknown)}",
            where="flows/acceptance/table.py",
            remedy=f"choose from {', '.join(check.id for check in CHECKS)}",
        )
    return [
        check
        for check in CHECKS
        if (only is None or {check.id, check.id.split(".")[0]} & set(only))
        and (federation.federated or not check.federated)
    ]


def write_report(results: Collection[CheckResult], path: Path) -> None:
    """Write the results as JSON; the file is complete or not there."""
    failed = [result.id for result in results if not result.passed]
    report = {
        "passed": len(results) - len(failed),
        "failed": len(failed),
        "seconds": round(sum(result.seconds for result in results), 1),
        "checks": [asdict(result) for result in results],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(report, indent=2) + "\n", mode=0o644)


def _run_one(check: Check, federation: Federation, connections: Connections) -> CheckResult:
    started = time.monotonic()
    undo = ExitStack()
    context = Context(federation, connections, undo, check.seconds)
    passed, detail = False, ""
    try:
        try:
            detail = check.run(context)
            passed = True
        except CheckFailed as verdict:
            detail = verdict.what
        except (FlowError, InfraError) as error:
            detail = f"could not be looked at: {error.what}"
        finally:
            context.clean()
            undo.close()
    except (FlowError, InfraError) as error:
        passed = False
        detail += f"; not cleaned up: {error.what}"
    seconds = round(time.monotonic() - started, 2)
    return CheckResult(check.id, check.title, passed, seconds, " ".join(detail.split()))


def _sweep(federation: Federation, connections: Connections) -> None:
    def sweep(site: Site) -> None:
        # A site that cannot be swept fails its checks with a better reason.
        with suppress(FlowError):
            connections.ask(site.first, _SWEEP_S, jobs.sweep)

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(sweep, federation.working))


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM run the cleaning up as Ctrl-C does; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
