"""Removes everything that a federation left on this machine, whatever state it is in."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flows.errors import FlowError, StepError
from flows.steps import access, pulumi
from infra.errors import InfraError
from infra.providers import kinds, provider_for
from infra.settings import CHECKOUT, Settings
from tosca.model import Federation

JOINS = CHECKOUT / "tests" / "fixtures" / "sites"
Say = Callable[[str], None]


def remove_federation(federation: Federation, settings: Settings, say: Say) -> None:
    """Remove stacks, machines, networks, volumes, inventories and state of a federation.

    The stacks are destroyed by Pulumi; what it cannot (a damaged state, a missing engine) is found
    by the labels that every object of ours carries. Raises StepError when something stays.
    """
    names = _sites(federation, settings)
    others = [name for name in names if name != federation.control_site]
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda name: _destroy(name, settings, say), others))
    # Its network can only go when no machine uses it any more.
    _destroy(federation.control_site, settings, say)
    try:
        for kind in kinds():
            for line in provider_for(kind).sweep(federation.name):
                say(f"removed, no stack knew of it: {line}")
    except InfraError as error:
        raise StepError(error.what, where=error.where, remedy=error.remedy) from error
    for name in names:
        _forget_site(name, settings)
    _forget_federation(federation, names, settings, say)


def _sites(federation: Federation, settings: Settings) -> list[str]:
    here = {file.parent.name for file in settings.inventories.glob("*/site.yaml")}
    return sorted(here | {federation.control_site, *federation.sites})


def _destroy(site: str, settings: Settings, say: Say) -> None:
    try:
        if pulumi.destroy(site, settings):
            say(f"{site}: machines and stack removed")
    except (FlowError, InfraError) as error:
        say(f"{site}: Pulumi cannot remove it, going by labels: {str(error).splitlines()[0]}")


def _forget_site(site: str, settings: Settings) -> None:
    folder = settings.inventories / site
    for name in ("hosts.yml", "known_hosts"):
        (folder / name).unlink(missing_ok=True)
    (settings.state / "join" / f"{site}.token").unlink(missing_ok=True)
    given, ours = folder / "site.yaml", JOINS / site / "site.yaml"
    # A site file that join-demo put there goes with it; one that a person wrote or changed stays.
    if given.is_file() and ours.is_file() and given.read_bytes() == ours.read_bytes():
        given.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()


def _forget_federation(
    federation: Federation, sites: list[str], settings: Settings, say: Say
) -> None:
    state = settings.state
    for file in (f"vault-init-{federation.name}.json", f"federation-{federation.name}.sha256"):
        (state / file).unlink(missing_ok=True)
    shutil.rmtree(access.folder(federation.name, settings), ignore_errors=True)
    shutil.rmtree(settings.inventories.parent / "build" / "logs", ignore_errors=True)
    if any(state.glob("vault-init-*.json")) or _foreign_stacks(sites, state):
        say(f"kept {state}: other federations use it")
        return
    for name in ("pulumi", "pulumi-home", "prefect", "ansible", "join", "operator", "ssh"):
        shutil.rmtree(state / name, ignore_errors=True)
    (state / "pulumi-passphrase").unlink(missing_ok=True)
    if state.is_dir() and not any(state.iterdir()):
        state.rmdir()


def _foreign_stacks(sites: list[str], state: Path) -> bool:
    root = state / "pulumi" / ".pulumi" / "stacks"
    return any(file.stem not in sites for file in root.rglob("*.json"))
