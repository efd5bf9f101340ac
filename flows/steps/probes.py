"""What the rest of a federation feels while something is done to it: asked all the time.

Pages of existing sites once a second, a submission per region every ten seconds, leaders, and
before and after the starts of services and the restarts of jobs.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Self

from flows.errors import FlowError
from flows.jobs.demo import PROBE_PREFIX, probe_job
from flows.steps import access, remote, work
from flows.steps.https import Endpoint
from flows.steps.nomad import Region
from infra.settings import Settings

PAGE_EVERY_S = 1.0
SUBMIT_EVERY_S = 10.0
LEADER_EVERY_S = 2.0
_ANSWER_S = 5.0
_OK = 200


@dataclass
class Counts:
    """Numbers over the whole time; `failures` says when and how, for people."""

    probes: int = 0
    failed_probes: int = 0
    submissions: int = 0
    failed_submissions: int = 0
    leader_changes: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Watched:
    """One existing site and the ways to ask it; `page` is None without an edge."""

    site: str
    community: str
    page: Endpoint | None
    member: Region
    manager: Region


@dataclass(frozen=True)
class Snapshot:
    """Starts of services by host and unit, and restarts of jobs by allocation."""

    starts: dict[str, dict[str, str]]
    restarts: dict[str, int]

    def restarts_since(self, before: Snapshot) -> list[str]:
        """What was started again since, by name."""
        services = [
            f"{host} {unit}"
            for host, units in before.starts.items()
            for unit, started in units.items()
            if self.starts.get(host, {}).get(unit) != started
        ]
        jobs = [
            f"allocation {name}"
            for name, number in before.restarts.items()
            if self.restarts.get(name, number) != number
        ]
        return services + jobs


def watch(site: str, settings: Settings) -> Watched:
    """Fetch what it takes to ask a site; raises StepError."""
    keys = access.fetch(site, settings)
    variables = remote.inventory(site, settings).site_group.vars
    community = variables.fed_communities[0] if variables.fed_communities else ""
    manager = Region(site, keys.nomad, keys.nomad_token.read_text().strip())
    member = Region(site, keys.nomad, keys.community_token(community)) if community else manager
    page = work.edge_of(site, settings) if variables.fed_edges else None
    return Watched(site, community, page, member, manager)


def snapshot(sites: list[Watched], settings: Settings) -> Snapshot:
    """How services and jobs of these sites are now."""
    hosts = [
        remote.login(one.site, settings, host)
        for one in sites
        for host in remote.inventory(one.site, settings).site_group.hosts
    ]
    with ThreadPoolExecutor(max_workers=4) as pool:
        found = pool.map(lambda where: remote.call(where, "service_starts"), hosts)
        starts = dict(zip((where.host for where in hosts), found, strict=True))
    restarts = {
        one.id: one.restarts
        for watched in sites
        for one in watched.manager.all_allocations()
        if not one.job.startswith(PROBE_PREFIX)
    }
    return Snapshot(starts, restarts)


class Probes:
    """Asks from the beginning of a `with` block to its end."""

    def __init__(self, sites: list[Watched]) -> None:
        """Ask these sites."""
        self.sites = sites
        self.counts = Counts()
        self._leaders: dict[str, str] = {}
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._submitted: list[tuple[Watched, int]] = []

    def __enter__(self) -> Self:
        """Begin."""
        for one in self.sites:
            rounds = [(SUBMIT_EVERY_S, self._submit), (LEADER_EVERY_S, self._leader)]
            if not one.community:
                rounds = rounds[1:]
            if one.page is not None:
                rounds.append((PAGE_EVERY_S, self._page))
            for every, ask in rounds:
                thread = threading.Thread(target=self._repeat, args=(every, ask, one), daemon=True)
                self._threads.append(thread)
                thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, and remove the jobs that were submitted."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for one, number in self._submitted:
            try:
                one.manager.forget(probe_job(one.site, one.community, number))
            except FlowError as error:
                self._fail(one.site, f"probe job {number} stays: {error.what}")

    def _repeat(self, every: float, ask: Callable[[Watched, int], None], one: Watched) -> None:
        started, number = time.monotonic(), 0
        while not self._stop.wait(max(started + number * every - time.monotonic(), 0)):
            number += 1
            ask(one, number)

    def _page(self, one: Watched, _number: int) -> None:
        problem = ""
        try:
            answer = one.page.request("GET", "/", timeout=_ANSWER_S) if one.page else None
            if answer is None or answer.status != _OK:
                problem = f"page answered {answer.status if answer else 'nothing'}"
        except (OSError, http.client.HTTPException) as error:
            problem = f"page: {error}"
        with self._lock:
            self.counts.probes += 1
            self.counts.failed_probes += bool(problem)
        if problem:
            self._fail(one.site, problem)

    def _submit(self, one: Watched, number: int) -> None:
        problem = ""
        try:
            one.member.submit(probe_job(one.site, one.community, number))
            with self._lock:
                self._submitted.append((one, number))
        except FlowError as error:
            problem = f"submission: {error.what}"
        with self._lock:
            self.counts.submissions += 1
            self.counts.failed_submissions += bool(problem)
        if problem:
            self._fail(one.site, problem)

    def _leader(self, one: Watched, _number: int) -> None:
        try:
            leader = one.manager.leader()
        except FlowError:
            leader = ""
        with self._lock:
            before = self._leaders.setdefault(one.site, leader)
            if leader == before:
                return
            self._leaders[one.site] = leader
            self.counts.leader_changes += 1
        self._fail(one.site, f"leader was {before or 'none'}, is {leader or 'none'}")

    def _fail(self, site: str, what: str) -> None:
        with self._lock:
            self.counts.failures.append(f"{time.strftime('%H:%M:%S')} {site}: {what}")
