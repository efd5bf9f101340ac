"""Flow: one more site joins the running federation, from one reviewed file, under probes."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import yaml
from prefect import flow

from flows.errors import StepError
from flows.progress import board, new_board
from flows.steps import probes, tasks
from flows.steps import sites as steps
from flows.steps.probes import Counts, Snapshot, Watched
from flows.steps.work import WorkResult
from infra.settings import Settings, load, prepare

MOST_INPUTS = 12
_STEPS = 7
_OK = 200


@dataclass(frozen=True)
class Joining:
    """What a run came to; `seconds` from its first change to the new site's first job."""

    site: str
    inputs: int
    seconds: float
    counts: Counts
    restarts: tuple[str, ...]
    second_unwrap_status: int | None
    """What Vault answered to a second use of the join token; None when none was needed."""
    work: WorkResult

    def facts(self) -> dict[str, object]:
        """What build/join.json holds."""
        return {
            "site": self.site,
            "inputs": self.inputs,
            "seconds": round(self.seconds, 1),
            **asdict(self.counts),
            "restarts": len(self.restarts),
            "restarted": list(self.restarts),
            "second_unwrap_status": self.second_unwrap_status,
            "said": self.work.said,
            "url": self.work.url,
        }


@flow(task_runner=tasks.side_by_side())
def join_site(site: str) -> Joining:
    """Have the site of inventories/<site>/site.yaml join while the others are watched.

    Args: site: its name. Run again after an interruption it goes on where it stopped.
    """
    here = load()
    prepare(here)
    inputs = count_inputs(site, here)
    with new_board(_STEPS).shown(f"{site} joins, from a file of {inputs} inputs"):
        tasks.check_machine([site], here)
        watched, before = _look(site, here)
        with probes.Probes(watched) as watching:
            started = board().seconds
            there = (here.inventories / site / "hosts.yml").is_file()
            up = tasks.begin(tasks.bring_up, site, here)
            known = tasks.begin(tasks.write_inventory, site, here, after=[up])
            # A site without an inventory cannot be a member yet: no need to wait and ask it.
            admitted = tasks.begin(tasks.admit, site, here, after=[known] if there else [])
            tasks.settle([up, known, admitted])
            token_file = admitted.result()
            token = token_file.read_text().strip() if token_file else ""
            tasks.join(site, token_file, here)
            work = tasks.run_work(site, here)
            seconds = board().seconds - started
        after = probes.snapshot(watched, here)
    return Joining(
        site=site,
        inputs=inputs,
        seconds=seconds,
        counts=watching.counts,
        restarts=tuple(after.restarts_since(before)),
        second_unwrap_status=_use_again(site, token, here) if token else None,
        work=work,
    )


def count_inputs(site: str, settings: Settings) -> int:
    """How many values a person filled in; raises StepError when there are too many."""
    file = settings.inventories / site / "site.yaml"
    number = _leaves(yaml.safe_load(file.read_text()))
    if number > MOST_INPUTS:
        raise StepError(
            f"the site's file has {number} inputs",
            where=str(file),
            remedy=f"at most {MOST_INPUTS}: leave out what equals the template's default",
        )
    return number


def _leaves(value: object) -> int:
    """A list is one input: one decision, however many names it has."""
    if isinstance(value, dict):
        return sum(_leaves(one) for one in value.values())
    return 1


def _look(site: str, settings: Settings) -> tuple[list[Watched], Snapshot]:
    """The sites that are there already and how they are."""
    there = sorted(
        file.parent.name
        for file in settings.inventories.glob("*/hosts.yml")
        if file.parent.name != site
    )
    with board().step("others", "look before") as step:
        watched = [probes.watch(one, settings) for one in there]
        before = probes.snapshot(watched, settings)
        step.tell(f"{len(before.starts)} machines of {len(watched)} sites")
    return watched, before


def _use_again(site: str, token: str, settings: Settings) -> int:
    with board().step(site, "use the join token again") as step:
        status = steps.use_token(token, settings)
        step.tell(f"Vault answered {status}")
    if status == _OK:
        raise StepError(
            f"the join token of {site} could be used twice",
            where="Vault's response wrapping",
            remedy="do not hand out any more tokens before this is understood",
        )
    return status
