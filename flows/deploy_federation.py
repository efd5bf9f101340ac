"""Flow: stand the control site and the federated sites up, and show work on each of them."""

from __future__ import annotations

from dataclasses import dataclass

from prefect import flow

from flows.progress import board, new_board
from flows.steps import sites as steps
from flows.steps import tasks
from flows.steps.tasks import begin, failed, settle, side_by_side
from flows.steps.work import WorkResult
from infra.settings import load, prepare

_PER_SITE = 5
_FOR_CONTROL = 5


@dataclass(frozen=True)
class Deployment:
    """What a run came to; `changed` counts changed tasks and machines."""

    sites: tuple[str, ...]
    changed: int
    seconds: float
    work: tuple[WorkResult, ...]


@flow(task_runner=side_by_side())
def deploy_federation(sites: list[str] | None = None) -> Deployment:
    """Stand up what inventories/federation.yaml names, or only some of its sites.

    Run again after an interruption it goes on where it stopped; with nothing to do it changes
    nothing. Args: sites: names of federated sites; none means all.
    """
    here = load()
    prepare(here)
    federation = steps.federation(here)
    control, wanted = federation.control_site, list(sites or federation.sites)
    with new_board(_FOR_CONTROL + _PER_SITE * len(wanted)).shown(
        f"federation {federation.name}: control site {control}, sites {', '.join(wanted)}"
    ):
        tasks.check_machine([control, *wanted], here)
        early = set(tasks.members(wanted, here))
        # The control site's stack owns the network that every other machine attaches to.
        ground = begin(tasks.bring_up, control, here)
        known = begin(tasks.write_inventory, control, here, after=[ground])
        root = begin(tasks.deploy_control, here, after=[known])
        up = [begin(tasks.bring_up, site, here, after=[ground]) for site in wanted]
        lists = [
            begin(tasks.write_inventory, site, here, after=[one])
            for site, one in zip(wanted, up, strict=True)
        ]
        admitted = [
            # A member needs nothing that the control site's play would make first.
            begin(tasks.admit, site, here, after=[one] if site in early else [root, one])
            for site, one in zip(wanted, lists, strict=True)
        ]
        joined = [
            begin(tasks.join, site, token, here)
            for site, token in zip(wanted, admitted, strict=True)
        ]
        for number, site in enumerate(wanted):
            # The control site may have restarted what a member's play was talking to.
            if site in early and failed(joined[number]) and not failed(root):
                joined[number] = begin(tasks.join, site, None, here)
        work = [
            begin(tasks.run_work, site, here, after=[one])
            for site, one in zip(wanted, joined, strict=True)
        ]
        settle([ground, known, root, *up, *lists, *admitted, *joined, *work])
    counts = [ground, root, *up, *joined]
    return Deployment(
        sites=(control, *wanted),
        changed=sum(future.result() for future in counts),
        seconds=board().seconds,
        work=tuple(future.result() for future in work),
    )
