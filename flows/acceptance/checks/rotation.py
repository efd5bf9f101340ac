"""R: keys and certificates are what they should be, and change without being felt."""

from __future__ import annotations

import secrets

from flows.acceptance import plays
from flows.acceptance.checks.loss import Watch
from flows.acceptance.federation import Federation, Host, Site
from flows.acceptance.model import Context, expect, none_of
from flows.acceptance.remote import machine, rotation

DAY_S = 86400
LONGEST_S = 30 * DAY_S + 3600
LEAST_LEFT_S = 5 * DAY_S
PORTS = {"server": (4646, 4647, 8300, 8501), "cpu": (4646,), "gpu": (4646,), "edge": (443,)}
UNITS = ["consul", "nomad", "traefik", "docker", "vault"]


def _rings(context: Context, salt: str) -> list[rotation.Ring]:
    sites = context.federation.sites
    found = context.each(sites, lambda site: context.ask(site.first, rotation.rings, salt))
    return [ring for _, listed in found for ring in listed]


def _in_use(context: Context, salt: str) -> dict[str, str]:
    """Digests of the keys in use; fails unless every member has exactly one, also on its disk."""
    federation = context.federation
    wanted = context.ask(federation.control.first, rotation.keys_in_vault, salt)
    problems = []
    for ring in _rings(context, salt):
        key = wanted["nomad" if ring["pool"].startswith("Nomad") else "consul"]
        if ring["keys"] != {key: ring["nodes"]}:
            have = sorted(ring["keys"].values())
            problems.append(f"{ring['pool']}: {ring['nodes']} members have {len(have)} keys {have}")
    on_disk = context.each(federation.hosts, lambda h: context.ask(h, rotation.keys_on_disk, salt))
    problems += [
        f"{host.name}: {file} holds another key"
        for host, found in on_disk
        for file, key in found.items()
        if key != wanted[file.split()[0]]
    ]
    problems += [
        f"{host.name} has no gossip key on its disk" for host, found in on_disk if not found
    ]
    none_of(problems)
    return wanted


def r1_keys(context: Context) -> str:
    """Every gossip pool has one key, on all members, the one in Vault and on the disks."""
    salt = secrets.token_hex(16)
    _in_use(context, salt)
    return (
        f"{len(_rings(context, salt))} pools, {len(context.federation.hosts)} machines, 1 key each"
    )


def r1_rotate(context: Context) -> str:
    """Gossip keys are changed in the running federation; nobody leaves, no job feels it."""
    federation = context.federation
    salt = secrets.token_hex(16)
    before = _in_use(context, salt)
    names = [site.name for site in federation.sites]
    watch = Watch(context, federation.working)

    def rotate() -> str:
        plays.deploy(context, "rotate-gossip", [federation.control.name, *_others(federation)])
        return "rotated"

    said = watch.during(30.0, rotate)
    after = _in_use(context, salt)
    same = [engine for engine, key in before.items() if after[engine] == key]
    expect(not same, f"the key of {', '.join(same)} is the same as before")
    return f"{said}; new keys in {len(names)} sites"


def _others(federation: Federation) -> list[str]:
    return [site.name for site in federation.members]


def r2_certificates(context: Context) -> str:
    """Leaves live at most 30 days, have days left, and are the ones that the ports show."""
    federation = context.federation
    found = context.each(federation.hosts, lambda host: context.ask(host, rotation.leaves))
    problems, count = [], 0
    for host, leaves in found:
        count += len(leaves)
        for file, leaf in leaves.items():
            if leaf["lifetime_s"] > LONGEST_S:
                problems.append(f"{host.name} {file} lives {leaf['lifetime_s'] // DAY_S} days")
            if leaf["left_s"] < 0:
                problems.append(f"{host.name} {file} has run out")
            elif leaf["left_s"] < LEAST_LEFT_S:
                problems.append(f"{host.name} {file} has {leaf['left_s'] // DAY_S} days left")
        known = {leaf["digest"] for leaf in leaves.values()}
        shown = _shown(context, host)
        problems += [
            f"{where} shows another certificate" for where, d in shown.items() if d not in known
        ]
    none_of(problems)
    return f"{count} certificates, on disk as on the ports"


def _shown(context: Context, host: Host) -> dict[str, str]:
    ports = [(host.private_address, port) for port in PORTS[host.pool]]
    return context.ask(host, rotation.shown, ports)


def _state(context: Context, site: Site) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Certificates shown, leaders, and starts of services of a site."""
    shown, starts = {}, {}
    for host, (certificates, units) in context.each(
        site.hosts,
        lambda h: (_shown(context, h), context.ask(h, machine.service_states, UNITS)),
    ):
        shown.update(certificates)
        starts.update({f"{host.name} {unit}": state for unit, state in units.items()})
    return shown, context.ask(site.first, rotation.leaders), starts


def r2_renew(context: Context) -> str:
    """All leaves of a site are renewed: new on every port, nothing started again."""
    site = max(context.federation.working, key=lambda site: len(site.servers))
    shown, leaders, starts = _state(context, site)
    watch = Watch(context, [site])

    def renew() -> str:
        plays.deploy(context, "renew-certificates", [site.name])
        return f"renewed {site.name}"

    said = watch.during(30.0, renew)
    shown_after, leaders_after, starts_after = _state(context, site)
    problems = [
        f"{where} shows the old certificate"
        for where in shown
        if shown[where] == shown_after[where]
    ]
    problems += [f"{where} shows none" for where, digest in shown_after.items() if not digest]
    problems += [
        f"{what}: {leaders[what]} before, {leaders_after[what]} after"
        for what in leaders
        if leaders[what] != leaders_after[what]
    ]
    problems += [
        f"{unit} was started again" for unit in starts if starts[unit] != starts_after[unit]
    ]
    none_of(problems)
    return f"{said}; {len(shown)} ports show new certificates; same leaders"
