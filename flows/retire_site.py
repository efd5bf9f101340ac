"""Flow: a site says good-bye, the federation takes back what it gave, the machines go."""

from __future__ import annotations

from dataclasses import dataclass

from prefect import flow

from flows.errors import StepError
from flows.progress import board, new_board
from flows.steps import sites as steps
from flows.steps import tasks
from infra.settings import load, prepare

_STEPS = 3


@dataclass(frozen=True)
class Retirement:
    """What a run came to."""

    site: str
    seconds: float
    machines_removed: bool


@flow(task_runner=tasks.side_by_side())
def retire_site(site: str, keep_machines: bool = False) -> Retirement:
    """Take a federated site out of the federation.

    Args: site: its name. keep_machines: leave machines and stack alone.
    """
    here = load()
    prepare(here)
    if site == steps.federation(here).control_site:
        raise StepError(
            f"{site} is the control site: the federation ends with it",
            where=str(here.inventories / "federation.yaml"),
            remedy="`make down` ends a federation",
        )
    removed = False
    with new_board(_STEPS).shown(f"{site} leaves the federation"):
        # A run that was interrupted after the machines went has nobody left to say good-bye.
        if (here.inventories / site / "hosts.yml").is_file():
            tasks.leave(site, here)
        tasks.revoke(site, here)
        if not keep_machines:
            removed = tasks.destroy(site, here)
    return Retirement(site, board().seconds, removed)
