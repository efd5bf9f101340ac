"""J: a site joins a federation that works on; what a join left behind is in build/join.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from flows.acceptance import plays
from flows.acceptance.checks.formation import body, calls, get
from flows.acceptance.federation import Federation, Site
from flows.acceptance.model import Context, expect, none_of
from flows.acceptance.remote import joined

MOST_INPUTS = 12
LONGEST_JOIN_S = 45 * 60.0
# Where joins are cut off: while keys are exchanged, while servers take them up, among the workers.
CUTS = {
    "certificates": "Leaves | Put them in place",
    "servers": "Service | Run Nomad",
    "federation": "Let Consul know the region's workloads",
}
CUT_S = 240
USED = (400, 403)


def evidence(federation: Federation) -> dict[str, Any]:
    """What `make join-demo` wrote down; fails when it has not run."""
    file = federation.inventories.parent / "build" / "join.json"
    expect(file.is_file(), f"there is no {_short(file)}: run `make join-demo`")
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def _short(file: Path) -> str:
    return "/".join(file.parts[-2:])


def j0_probes(context: Context) -> str:
    """The join was watched all the time: pages, submissions, leaders."""
    told = evidence(context.federation)
    seconds = told["seconds"]
    expect(told["probes"] >= seconds, f"{told['probes']} probes in {seconds} s")
    expect(told["submissions"] >= seconds / 10, f"{told['submissions']} submissions in {seconds} s")
    return f"{told['probes']} pages, {told['submissions']} submissions in {seconds:.0f} s"


def j1_inputs(context: Context) -> str:
    """Each site comes from one file of at most 12 inputs."""
    counted = {}
    for site in context.federation.sites:
        file = site.folder / "site.yaml"
        expect(file.is_file(), f"{site.name} has no {_short(file)}")
        counted[site.name] = _leaves(yaml.safe_load(file.read_text()))
    many = [f"{name} has {count}" for name, count in counted.items() if count > MOST_INPUTS]
    none_of(many)
    return ", ".join(f"{name} {count}" for name, count in counted.items())


def _leaves(value: object) -> int:
    return sum(_leaves(inner) for inner in value.values()) if isinstance(value, dict) else 1


def j2_token(context: Context) -> str:
    """A wrapped hand-over opens once: the second try is refused."""
    told = context.ask(context.federation.control.first, joined.open_twice)
    expect(told["first"] == 200, f"the first try: {told}")  # noqa: PLR2004
    expect(told["second"] in USED, f"the second try: {told}")
    return f"first {told['first']}, second {told['second']}"


def j2_time(context: Context) -> str:
    """The join came to its first running job in time, and its token cannot be used again."""
    told = evidence(context.federation)
    expect(told["seconds"] <= LONGEST_JOIN_S, f"{told['site']} took {told['seconds']} s")
    expect(told["second_unwrap_status"] in USED, f"second use: {told['second_unwrap_status']}")
    return f"{told['site']} in {told['seconds']:.0f} s, token used once"


def j3_quiet(context: Context) -> str:
    """During the join nothing failed, no leader changed, nothing was restarted elsewhere."""
    told = evidence(context.federation)
    keys = ("failed_probes", "failed_submissions", "leader_changes", "restarts")
    none_of(f"{told[key]} {key}" for key in keys if told[key])
    return f"0 of {told['probes']} probes failed, 0 leader changes, 0 restarts"


def j4_held(context: Context) -> str:
    """Nodes were held back when they came, and had no work before they were let in."""

    def look(site: Site) -> list[str]:
        problems = []
        told = context.ask(site.first, joined.admissions)
        expect(told, f"{site.name} has no node")
        for name, story in told.items():
            held, let_in, first = story["held"], story["let_in"], story["first_work"]
            if not 0 < held < let_in:
                problems.append(f"{name} was held at {held}, let in at {let_in}: {story['said']}")
            if first and first < let_in:
                problems.append(f"{name} had work at {first}, before it was let in")
        return problems

    sites = context.federation.working
    none_of(problem for _, found in context.each(sites, look) for problem in found)
    return f"nodes of {len(sites)} sites were held back, then let in, then worked"


def j4_gate(context: Context) -> str:
    """Workers of a site that does not pass its checks are not let in; once it does, they are."""
    site = context.federation.members[-1]
    worker, edge, lost = site.workers[0], site.edges[0], str(site.vars.fed_control_address)

    def state() -> str:
        (reply,) = calls(context, site.first, get("nomad", "/v1/nodes"))
        nodes = {n["Name"]: n["SchedulingEligibility"] for n in body(reply, "nodes")}
        return str(nodes[worker.name])

    context.undo.callback(context.ask, site.first, joined.mark, worker.name, admitted=True)
    context.ask(site.first, joined.mark, worker.name, admitted=False)
    context.undo.callback(context.ask, edge, joined.mend, lost)
    # The deploy cannot mend this, and only the site's own checks see it.
    context.ask(edge, joined.cut, lost, CUT_S)
    said = plays.refused(context, "join-provider", [site.name])
    expect("Vault" in said and edge.name in said, f"the join of an unfit site said: {said[:300]}")
    expect(state() == "ineligible", f"{worker.name} is {state()} after a failed check")
    context.ask(edge, joined.mend, lost)
    plays.deploy(context, "join-provider", [site.name])
    expect(state() == "eligible", f"{worker.name} is {state()} after the checks passed")
    return f"{worker.name} stayed outside while its site was unfit, and came in when it was fit"


def j6_interrupted(context: Context) -> str:
    """A join cut off at three points goes on where it stopped and ends with nothing doubled."""
    site = context.federation.members[-1]
    # Every leaf is due, so that each of the runs has something to leave half-done.
    context.undo.callback(plays.deploy, context, "join-provider", [site.name])
    for point, task in CUTS.items():
        reached = plays.cut_off(
            context, "join-provider", [site.name], task, pki_trust_renew_before_s=2592001
        )
        expect(reached, f"the join ended before it could be cut off at {point} ({task})")
    plays.deploy(context, "join-provider", [site.name])
    context.undo.pop_all()
    again = plays.deploy(context, "deploy-site", [site.name])
    expect(again == 0, f"after the joins were cut off, a second run still changed {again} things")
    nodes, tokens = calls(
        context, site.first, get("nomad", "/v1/nodes"), get("nomad", "/v1/acl/tokens")
    )
    ready = sorted(one["Name"] for one in body(nodes, "nodes") if one["Status"] == "ready")
    expect(ready == sorted(one.name for one in site.workers), f"nodes are {ready}")
    names = [one["Name"] for one in body(tokens, "tokens")]
    expect(len(names) == len(set(names)), f"tokens are doubled: {sorted(names)}")
    return f"{site.name} cut off at {', '.join(CUTS)}; nothing doubled, then 0 changed"


def j7_preflight(context: Context) -> str:
    """What would make a join fail is named before anything is changed."""
    site = context.federation.members[-1]
    control, shared = context.federation.control, site.vars
    good: dict[str, object] = {
        "site": site.name,
        "control_site": control.name,
        "control_address": str(shared.fed_control_address),
        "addresses": [site.first.private_address],
        "join_token": "",
        "first": True,
        "federated": context.federation.federated,
        "ca_sha256": context.ask(site.first, joined.root_digest),
    }
    unused = str(shared.fed_wide_area_cidr.broadcast_address - 1)
    # The module names everything that is wrong at once; a closed Vault port ends its questions.
    wrong: list[tuple[dict[str, object], tuple[str, ...]]] = [
        (
            {
                "site": control.name,
                "addresses": [unused],
                "control_address": site.first.private_address,
            },
            ("does not join itself", "does not have the address", "port 8200/tcp"),
        ),
        (
            {"max_skew_s": -1.0, "join_token": "none", "credential_file": "/nonexistent"},
            ("clock differs", "join token is not valid"),
        ),
    ]
    fine = plays.module(context, site.first, "join_preflight", good)
    expect("SUCCESS" in fine, f"a good site is refused: {fine[-300:]}")
    problems, named = [], 0
    for change, causes in wrong:
        said = plays.module(context, site.first, "join_preflight", {**good, **change})
        problems += [
            f"`{cause}` is not told: {said[-200:]}" for cause in causes if cause not in said
        ]
        expect("FAILED" in said, f"{change} is accepted")
        named += len(causes)
    none_of(problems)
    return f"{named} causes named before anything was changed"


def j7_admission(context: Context) -> str:
    """A name or network that is taken is refused by the federation, naming who has it."""
    federation = context.federation
    taken = federation.members[0]
    free = str(federation.control.vars.fed_wide_area_cidr)
    tries = {
        "network": ("check-newcomer", str(taken.vars.fed_private_cidr), free),
        "name": (taken.name, "192.0.2.0/24", "198.51.100.0/28"),
    }
    problems, nowhere = [], Path("/nonexistent")
    for what, (name, private, wide) in tries.items():
        entry = {"name": name, "inputs": {"private_cidr": private, "wide_area_cidr": wide}}
        said = plays.refused(
            context,
            "admit-site",
            [federation.control.name],
            admit_site=name,
            admitted=entry,
            join_token_file=str(nowhere),
        )
        if taken.name not in said:
            problems.append(f"a taken {what} was refused with: {said[:200] or 'nothing'}")
    none_of(problems)
    return f"a {' and a '.join(tries)} of {taken.name} are refused"
