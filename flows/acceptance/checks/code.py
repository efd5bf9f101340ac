"""F9, I: the code says what there is, sees what is different, and knows no site by name."""

from __future__ import annotations

import re
from functools import partial

from flows.acceptance import plays
from flows.acceptance.checks.formation import body, calls, get
from flows.acceptance.federation import Federation, Site
from flows.acceptance.model import Context, expect, none_of
from flows.acceptance.remote import drift
from infra.settings import CHECKOUT

CODE = ("flows", "infra", "playbooks", "tosca")
# The second holds a secret: it is named, and its difference is not shown.
EDITS = (
    ("/etc/security/limits.d/60-skerry.conf", "core 0", "core 77"),
    ("/etc/nomad.d/nomad.json", '"log_level": "INFO"', '"log_level": "TRACE"'),
)
SUFFIXES = {".py", ".yml", ".yaml", ".j2", ".service", ".conf", ".json"}


def _names(federation: Federation) -> list[str]:
    return [federation.control.name, *(site.name for site in federation.members)]


def f9_twice(context: Context) -> str:
    """Deploying all sites again changes nothing on any host."""
    names = _names(context.federation)
    first = plays.deploy(context, "deploy-site", names)
    # What the first run may still find to do, the second may not.
    changed = plays.deploy(context, "deploy-site", names) if first else 0
    expect(not changed, f"the second run changed {changed} things")
    return f"0 changed on {len(context.federation.hosts)} machines" + (
        f" (the run before changed {first})" if first else ""
    )


def i2_check_mode(context: Context) -> str:
    """`--check --diff` goes through every role on every site and finds nothing."""
    done = plays.dry(context, "deploy-site", _names(context.federation))
    expect(not done.failed, f"it fails: {done.printed[-400:]}")
    expect(done.changed, "it printed no recap")
    none_of(f"{host}: {count} differences" for host, count in done.changed.items() if count)
    return f"0 differences on {len(done.changed)} machines"


def i1_drift(context: Context) -> str:
    """Edits by hand are listed with host, file and difference, and the next deploy undoes them."""
    site = context.federation.working[-1]
    worker, edge, community = site.workers[0], site.edges[0], site.communities[-1]
    for file, old, new in EDITS:
        context.undo.callback(context.ask, worker, drift.forget, file, old, new)
        context.ask(worker, drift.edit, file, old, new)
    _widen(context, site, community)
    context.undo.callback(partial(context.ask, edge, drift.start, "consul"))
    context.ask(edge, drift.stop, "consul")
    told = plays.dry(context, "deploy-site", [site.name])
    wanted = [file for file, _, _ in EDITS] + [EDITS[0][2], f"namespace {community}"]
    problems = [f"{text} is not listed" for text in wanted if text not in told.printed]
    problems += [
        f"nothing is listed for {host.name}"
        for host in (worker, edge, site.first)
        if not told.changed.get(host.name)
    ]
    none_of(problems)
    fixed = plays.deploy(context, "deploy-site", [site.name])
    after = plays.dry(context, "deploy-site", [site.name])
    left = {host: count for host, count in after.changed.items() if count}
    expect(not after.failed and not left, f"after the deploy there is still: {left}")
    _, drivers = _capabilities(context, site, community)
    expect(drivers == ["docker"], f"namespace {community} allows {drivers}")
    return f"4 edits on {site.name} listed with file and difference; {fixed} tasks undid them"


def _capabilities(
    context: Context, site: Site, community: str
) -> tuple[dict[str, object], list[str]]:
    (reply,) = calls(context, site.first, get("nomad", f"/v1/namespace/{community}"))
    space = body(reply, community)
    return space, space["Capabilities"]["EnabledTaskDrivers"]


def _widen(context: Context, site: Site, community: str) -> None:
    space, drivers = _capabilities(context, site, community)
    context.undo.callback(_put_back, context, site, space)
    _write(context, site, {**space, "Capabilities": {"EnabledTaskDrivers": [*drivers, "raw_exec"]}})


def _write(context: Context, site: Site, space: dict[str, object]) -> None:
    path = f"/v1/namespace/{space['Name']}"
    write = {"engine": "nomad", "method": "POST", "path": path, "body": space}
    body(calls(context, site.first, write)[0], path)


def _put_back(context: Context, site: Site, space: dict[str, object]) -> None:
    now, _ = _capabilities(context, site, str(space["Name"]))
    if now["Capabilities"] != space["Capabilities"]:
        _write(context, site, space)


def i5_literals(context: Context) -> str:
    """No address, domain or machine of this federation stands in the code."""
    patterns = _literals(context.federation)
    problems, files = [], 0
    for folder in CODE:
        for path in sorted((CHECKOUT / folder).rglob("*")):
            if path.suffix not in SUFFIXES or not path.is_file():
                continue
            files += 1
            text = path.read_text(errors="replace")
            problems += [
                f"{path.relative_to(CHECKOUT)} holds {found[0]}"
                for pattern in patterns
                if (found := pattern.search(text))
            ]
    none_of(problems)
    return f"{files} files, {len(patterns)} patterns"


def _literals(federation: Federation) -> list[re.Pattern[str]]:
    shared = federation.control.vars
    networks = {str(shared.fed_wide_area_cidr.network_address)}
    networks |= {str(site.vars.fed_private_cidr.network_address) for site in federation.sites}
    words = {shared.fed_name, shared.fed_domain, *(host.name for host in federation.hosts)}
    prefixes = {network.rsplit(".", 1)[0] + "." for network in networks}
    return [re.compile(rf"\b{re.escape(word)}\b") for word in sorted(words)] + [
        re.compile(rf"\b{re.escape(prefix)}\d") for prefix in sorted(prefixes)
    ]
