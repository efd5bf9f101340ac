"""Flow: run the acceptance checks against the federation as it is."""

from __future__ import annotations

from prefect import flow, task

from flows import acceptance, report
from flows.acceptance import CheckResult
from flows.progress import board
from infra.settings import load

run_checks = task(acceptance.run)


@flow
def verify_federation(only: list[str] | None = None) -> list[CheckResult]:
    """Run all checks, or some; prints one line per check and writes build/verify.json.

    Args: only: ids of checks as in the table, or their first parts.
    """
    here = load()
    results = run_checks(here.inventories, only=only, progress=_tell)
    acceptance.write_report(results, report.build_folder(here) / "verify.json")
    passed = sum(result.passed for result in results)
    board().say(f"{passed} passed, {len(results) - passed} failed")
    return results


def _tell(result: CheckResult) -> None:
    word = "ok  " if result.passed else "FAIL"
    board().say(f"{word} {result.id:6} {result.title} ({result.seconds:.1f} s) {result.detail}")
