"""L: sites go on when a server, or the control site, is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from flows.acceptance.checks.formation import body, calls, get
from flows.acceptance.federation import Host, Site
from flows.acceptance.model import Context, expect, none_of
from flows.acceptance.remote import engines, faults, jobs, wire

START_S = 45.0
HELD_S = 150
BACK_S = 60.0
LEADER_S = 10.0
SUBMIT_S = 15.0
FROZEN_S = 60
SILENT_S = 15.0
CONTROL = ["consul", "nomad", "vault"]
_THREE = 3


class Watch:
    """A page per site, asked for from another site until `stop`, and the jobs that ran before."""

    def __init__(self, context: Context, sites: Iterable[Site]) -> None:
        """Start the pages and wait until each is seen."""
        self.context, self.sites = context, list(sites)
        self.before = context.each(self.sites, lambda s: context.ask(s.first, faults.work_there))
        self.pages = [page for _, page in context.each(self.sites, self._publish)]

    def _publish(self, site: Site) -> tuple[str, str]:
        community, ask = site.communities[0], self.context.ask
        told = ask(site.first, jobs.start_web, "watch", community, site.domain, START_S)
        self.context.undo.callback(partial(ask, site.first, jobs.stop, told["job"], community))
        expect(told["status"] == "running", f"{site.name}: the page does not run: {told['status']}")
        edge = site.edges[0].reachable_address
        host = self.context.federation.control.first
        page = ask(host, wire.fetch, edge, told["host"], "/", START_S)
        expect(page["status"] == 200, f"{told['host']}: {page}")  # noqa: PLR2004
        return edge, told["host"]

    def during(self, seconds: float, work: Callable[[], str]) -> str:
        """Do the work while pages are asked for; then see that nothing was felt."""
        host = self.context.federation.control.first
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(self.context.ask, host, wire.probe, self.pages, seconds)
            said = work()
            probed = asking.result()
        expect(
            not probed["failed"], f"{probed['failed']} of {probed['asked']} pages: {probed['said']}"
        )
        return f"{said}; {probed['asked']} pages, 0 failed; {self.unchanged()}"

    def unchanged(self) -> str:
        """Say how many jobs ran on; fails naming the sites whose jobs did not."""
        count = 0
        for site, before in self.before:
            after = self.context.ask(site.first, faults.work_there)
            lost = [one for one in before if after.get(one) != before[one]]
            expect(not lost, f"{site.name}: {len(lost)} allocations stopped or were restarted")
            count += len(before)
        return f"{count} other allocations untouched"


def _big_site(context: Context) -> Site:
    sites = [s for s in context.federation.working if len(s.servers) >= _THREE]
    expect(sites, "no site has three servers")
    return sites[0]


def _leader(context: Context, site: Site) -> Host:
    (reply,) = calls(context, site.first, get("nomad", "/v1/status/leader", who="none"))
    address = str(body(reply, "leader")).rpartition(":")[0]
    for server in site.servers:
        if address in (server.private_address, server.wide_area_address):
            return server
    raise AssertionError(address)


def l1_follower(context: Context) -> str:
    """A follower is killed and stays away for a while: nobody notices, and it comes back."""
    site = _big_site(context)
    leader = _leader(context, site)
    victim = next(one for one in site.servers if one not in (leader, site.first))
    spare = (len(site.servers) - 1) // 2
    watch = Watch(context, [site])

    def lose() -> str:
        context.undo.callback(partial(context.ask, victim, faults.release, "nomad"))
        context.ask(victim, faults.hold_down, "nomad", HELD_S)
        health = context.ask(site.first, engines.autopilot, spare - 1, START_S, False)
        expect(
            health.get("FailureTolerance") == spare - 1,
            f"without {victim.name} the tolerance is {health.get('FailureTolerance')}",
        )
        ran = context.ask(site.first, jobs.pinned, "l1", site.communities[0], "", START_S)
        expect(ran == "running", f"a job submitted meanwhile: {ran}")
        context.ask(victim, faults.release, "nomad")
        return f"{victim.name} gone, tolerance {spare - 1}, a new job ran"

    said = watch.during(20.0, lose)
    back = context.ask(site.first, engines.autopilot, spare, BACK_S)
    expect(back.get("Healthy") and back["FailureTolerance"] == spare, f"not whole again: {back}")
    return f"{said}; tolerance {spare} again"


def l2_leader(context: Context) -> str:
    """The leader is killed: another leads within 10 s and takes jobs within 15 s."""
    site = _big_site(context)
    leader = _leader(context, site)
    others = [server.private_address for server in site.servers if server is not leader]
    watch = Watch(context, [site])
    mark = jobs.name("leader")
    measured: list[faults.Recovery] = []

    def lose() -> str:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(
                context.ask, site.first, faults.recovery, mark, others, site.communities[0], 30.0
            )
            expect(context.ask(site.first, faults.began, mark, START_S), "the wait did not begin")
            context.ask(leader, faults.kill, "nomad")
            measured.append(waiting.result())
        return f"{leader.name} killed"

    said = watch.during(20.0, lose)
    told = measured[0]
    expect(
        0 <= told["leader_s"] <= LEADER_S,
        f"new leader after {told['leader_s']:.1f} s {told['said']}",
    )
    expect(
        0 <= told["submit_s"] <= SUBMIT_S,
        f"first job after {told['submit_s']:.1f} s {told['said']}",
    )
    spare = (len(site.servers) - 1) // 2
    back = context.ask(site.first, engines.autopilot, spare, BACK_S)
    expect(back.get("FailureTolerance") == spare, f"{leader.name} did not come back: {back}")
    return f"{said}; leader after {told['leader_s']:.1f} s, job after {told['submit_s']:.1f} s"


def l6_control(context: Context) -> str:
    """The control site falls silent: jobs, tokens and access of the sites go on."""
    control = context.federation.control.first
    sites = [s for s in context.federation.working if s is not context.federation.control]
    watch, mark = Watch(context, sites), jobs.name("alone")

    def live(site: Site) -> list[str]:
        told = context.ask(
            site.first, faults.alone, mark, site.communities[0], site.domain, SILENT_S
        )
        expect(told["vault_silent"], f"{site.name} still reached the control site's Vault")
        good = {"job": "running", "policy": 200, "policy removed": 200, "still_silent": True}
        good |= {f"consul {who} token": 200 for who in ("management", "agent")}
        return [
            f"{site.name} {key}: {told[key]}" for key, want in good.items() if told[key] != want
        ]

    def begun(site: Site) -> None:
        there = context.ask(site.first, faults.began, mark, START_S)
        expect(there, f"{site.name} did not get ready")

    def lose() -> str:
        context.undo.callback(partial(context.ask, control, faults.thaw, CONTROL))
        with ThreadPoolExecutor(1) as pool:
            living = pool.submit(context.each, sites, live)
            context.each(sites, begun)
            context.ask(control, faults.freeze, CONTROL, FROZEN_S)
            try:
                problems = [problem for _, found in living.result() for problem in found]
            finally:
                context.ask(control, faults.thaw, CONTROL)
        none_of(problems)
        return f"{len(sites)} sites ran new jobs, kept their tokens, changed their access"

    said = watch.during(25.0, lose)
    for site in sites:
        seen = context.ask(
            site.first, engines.region_alive, context.federation.control.name, BACK_S
        )
        expect(seen, f"{site.name} does not see {control.name} alive again")
    return said
