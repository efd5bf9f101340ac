"""A region's Nomad as flows use it: a few calls, each with an error that a person understands."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from flows.errors import StepError
from flows.jobs.model import SPEC_KEY, Job, JobType
from flows.steps.https import Endpoint

_OK = 200
_NOT_FOUND = 404
_CALL_S = 15.0
_PAUSE_S = 0.5
_DECIDED = ("complete", "failed", "canceled")
_ENDED = ("complete", "failed", "lost")
_AGAIN = "run the same command again; if it stays so, see `journalctl -u nomad` on the server"


@dataclass(frozen=True)
class Allocation:
    """One placement of a job. `restarts` counts over its tasks."""

    id: str
    job: str
    node: str
    status: str
    create_index: int
    restarts: int
    events: tuple[str, ...]


@dataclass(frozen=True)
class Region:
    """One region's API with one token."""

    name: str
    endpoint: Endpoint
    token: str

    def call(
        self, method: str, path: str, *, body: object = None, timeout: float = _CALL_S, **query: str
    ) -> Any:
        """One call; None when there is no such thing. Raises StepError."""
        full = path + (f"?{urlencode(query)}" if query else "")
        what = f"Nomad of region {self.name} at {self.endpoint.address}:{self.endpoint.port}"
        try:
            answer = self.endpoint.request(
                method,
                full,
                body=None if body is None else json.dumps(body),
                headers={"X-Nomad-Token": self.token, "Content-Type": "application/json"},
                timeout=timeout,
            )
        except (OSError, http.client.HTTPException) as error:
            raise StepError(f"{what} does not answer: {error}", remedy=_AGAIN) from error
        if answer.status == _NOT_FOUND:
            return None
        text = answer.body.decode(errors="replace")
        if answer.status != _OK:
            raise StepError(
                f"{what} answered {answer.status}: {text.strip()}",
                where=f"{method} {path}",
                remedy=_AGAIN,
            )
        is_json = "json" in answer.headers.get("content-type", "")
        return json.loads(text) if is_json else text

    def submit(self, job: Job) -> bool:
        """Register a job unless the same is registered and runs or has run; True when it was new.

        Of two runs that submit at once only one registers: the other one's index is out of date.
        """
        there = self.call("GET", f"/v1/job/{quote(job.id)}", namespace=job.community)
        if there is not None and _same(there, job):
            return False
        index = int(there["JobModifyIndex"]) if there is not None else 0
        body = {"Job": job.render(), "EnforceIndex": True, "JobModifyIndex": index}
        try:
            self.call("POST", "/v1/jobs", body=body, namespace=job.community)
        except StepError:
            there = self.call("GET", f"/v1/job/{quote(job.id)}", namespace=job.community)
            if there is None or not _same(there, job):
                raise
            return False
        return True

    def allocations(self, job: Job) -> list[Allocation]:
        """A job's placements, the newest first."""
        path = f"/v1/job/{quote(job.id)}/allocations"
        return sorted(
            map(_allocation, self.call("GET", path, namespace=job.community) or []),
            key=lambda one: -one.create_index,
        )

    def all_allocations(self) -> list[Allocation]:
        """Placements of every community; needs a token that may see them."""
        return list(map(_allocation, self.call("GET", "/v1/allocations", namespace="*") or []))

    def leader(self) -> str:
        """Address of the region's leader; empty while there is none."""
        return str(self.call("GET", "/v1/status/leader", timeout=5) or "")

    def output(self, allocation: Allocation, community: str) -> str:
        """What the job's container wrote to standard output."""
        path = f"/v1/client/fs/logs/{allocation.id}"
        return str(
            self.call("GET", path, task="main", type="stdout", plain="true", namespace=community)
            or ""
        )

    def forget(self, job: Job, *, timeout: float = 30.0) -> None:
        """Stop a job, and remove every trace of it once nothing of it is under way.

        Purged while a plan for it is in flight, a job takes the region's leaders down, each in turn
        (Nomad 1.11.2 and 1.11.3, hashicorp/nomad pull request 27739): members of a community may
        not purge. Needs a management token; raises StepError.
        """
        path = f"/v1/job/{quote(job.id)}"
        self.call("DELETE", path, namespace=job.community)
        deadline = time.monotonic() + timeout
        while not self._over(path, job.community):
            if time.monotonic() > deadline:
                raise StepError(
                    f"job {job.id} of {job.community} was stopped and did not end "
                    f"within {timeout:g} s",
                    where=f"region {self.name}",
                    remedy=f"see `nomad job status -namespace {job.community} {job.id}`",
                )
            time.sleep(_PAUSE_S)
        self.call("DELETE", path, purge="true", namespace=job.community)

    def _over(self, path: str, namespace: str) -> bool:
        evaluations = self.call("GET", f"{path}/evaluations", namespace=namespace) or []
        allocations = self.call("GET", f"{path}/allocations", namespace=namespace) or []
        return all(one["Status"] in _DECIDED for one in evaluations) and all(
            one["ClientStatus"] in _ENDED for one in allocations
        )

    def await_job(
        self, job: Job, *, timeout: float, tell: Callable[[str], None] | None = None
    ) -> Allocation:
        """Wait until a batch job is complete or a service runs; raises StepError."""
        wanted = "complete" if job.type is JobType.BATCH else "running"
        deadline = time.monotonic() + timeout
        last: Allocation | None = None
        while time.monotonic() < deadline:
            found = self.allocations(job)
            last = found[0] if found else None
            if last is not None and last.status == wanted:
                return last
            if last is not None and last.status == "failed":
                break
            if tell is not None:
                tell(f"{job.id}: {last.status if last else 'waiting for a machine'}")
            time.sleep(_PAUSE_S)
        raise self._stuck(job, last, timeout)

    def _stuck(self, job: Job, last: Allocation | None, timeout: float) -> StepError:
        if last is None:
            return StepError(
                f"no machine took job {job.id} of {job.community} within {timeout:g} s: "
                + self._blocked(job),
                where=f"region {self.name}",
                remedy="see `nomad node status`: a worker must be ready and eligible",
            )
        told = "; ".join(last.events[-3:]) or "no event"
        return StepError(
            f"job {job.id} of {job.community} is {last.status} on {last.node}: {told}",
            where=f"region {self.name}, allocation {last.id}",
            remedy=f"see `nomad alloc status -namespace {job.community} {last.id[:8]}`",
        )

    def _blocked(self, job: Job) -> str:
        path = f"/v1/job/{quote(job.id)}/evaluations"
        for one in self.call("GET", path, namespace=job.community) or []:
            for metrics in (one.get("FailedTGAllocs") or {}).values():
                reasons = {
                    **(metrics.get("ConstraintFiltered") or {}),
                    **(metrics.get("DimensionExhausted") or {}),
                }
                return ", ".join(reasons) or "no machine is ready"
        return "no evaluation says why"


def _same(there: Any, job: Job) -> bool:
    return (
        (there.get("Meta") or {}).get(SPEC_KEY) == job.digest()
        and not there.get("Stop")
        and (job.type is JobType.BATCH or there.get("Status") != "dead")
    )


def _allocation(raw: Any) -> Allocation:
    states = raw.get("TaskStates") or {}
    events = [
        event.get("DisplayMessage") or ""
        for state in states.values()
        for event in state.get("Events") or []
    ]
    return Allocation(
        id=raw["ID"],
        job=raw["JobID"],
        node=raw.get("NodeName") or "",
        status=raw["ClientStatus"],
        create_index=int(raw["CreateIndex"]),
        restarts=sum(int(state.get("Restarts") or 0) for state in states.values()),
        events=tuple(event for event in events if event),
    )
