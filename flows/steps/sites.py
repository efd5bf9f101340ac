"""The steps that a flow orders, each for one site: plain functions that show their progress.

Every one of them may be repeated at any time: it looks first and does only what is missing.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import yaml

from flows.errors import StepError
from flows.progress import board
from flows.steps import ansible, pulumi, remote, work
from flows.steps import inventory as inventory_step
from flows.steps.work import WorkResult
from infra.providers import provider_for
from infra.settings import Settings, tool
from infra.sites import load_site
from tosca import load_federation
from tosca.model import Federation

ENGINES = ("consul", "nomad", "pulumi", "traefik", "vault")
_HTTP_OK = 200
_LEAST_SIDE_BY_SIDE = 3
# Plays and stacks load the operator's machine; waiting for machines does not.
_heavy = threading.BoundedSemaphore(max(_LEAST_SIDE_BY_SIDE, 2 * (os.cpu_count() or 1)))


def federation(settings: Settings) -> Federation:
    """What the sites agree on; raises ToscaError."""
    return load_federation(settings.inventories / "federation.yaml")


def check_machine(sites: list[str], settings: Settings) -> None:
    """See that the operator's machine has what the rest needs; raises InfraError or StepError."""
    with board().step("here", "look at this machine"):
        for engine in ENGINES:
            tool(settings, engine)
        archive = settings.cache / "images" / "manifest.json"
        if not archive.is_file():
            raise StepError(
                "the demo's container image is not made", where=str(archive), remedy="make images"
            )
        for name in sites:
            site = load_site(settings.inventories, name)
            provider_for(site.provider.kind).check(site)


def bring_up(site: str, settings: Settings) -> int:
    """Machines and networks; returns how many resources changed."""
    with board().step(site, "machines") as step, _heavy:
        changes = pulumi.up(site, settings, on_line=step.tell)
        touched = changes.created + changes.updated + changes.replaced + changes.deleted
        step.tell(
            f"{changes.created} created, {changes.updated} updated, {changes.replaced} replaced"
            if changes.any
            else "as declared"
        )
        return touched


def write_inventory(site: str, settings: Settings) -> Path:
    """The site's inventory from its stack."""
    with board().step(site, "inventory"), _heavy:
        return inventory_step.write_inventory(load_site(settings.inventories, site), settings)


def deploy_control(settings: Settings) -> int:
    """Stand the control site up; returns how many tasks changed something."""
    site = federation(settings).control_site
    return _play("deploy", "deploy-site", site, settings)


def members(sites: list[str], settings: Settings) -> list[str]:
    """Those of the sites that have joined, if the control site serves them at this moment."""
    control = federation(settings).control_site
    with board().step("all", "look at what is there") as step:
        if not _says_yes(control, "vault_serves", settings):
            step.tell("no federation yet")
            return []
        with ThreadPoolExecutor(max_workers=_LEAST_SIDE_BY_SIDE) as pool:
            joined = pool.map(lambda site: _says_yes(site, "has_joined", settings), sites)
            found = [site for site, yes in zip(sites, joined, strict=True) if yes]
        step.tell(f"{len(found)} of {len(sites)} sites are members")
        return found


def admit(site: str, settings: Settings) -> Path | None:
    """Have the federation make a join token; None when the site has joined already.

    A token that an interrupted run left is used if it still is valid, so that there is one only.
    """
    control = federation(settings).control_site
    with board().step(site, "admission") as step:
        token_file = join_token_file(site, settings)
        listed = (settings.inventories / site / "hosts.yml").is_file()
        if listed and remote.call(remote.login(site, settings), "has_joined"):
            token_file.unlink(missing_ok=True)
            step.tell("is a member")
            return None
        # Admissions change one list on the control site: one after the other.
        with _one_at_a_time(token_file.parent / ".lock"), _heavy:
            if _token_is_valid(site, token_file, settings):
                step.tell("has a token that was not used yet")
                return token_file
            file = settings.inventories / site / "site.yaml"
            ansible.play(
                "admit-site",
                [control],
                settings,
                values={
                    "admit_site": site,
                    "join_token_file": str(token_file),
                    "admitted": yaml.safe_load(file.read_text()),
                },
                tell=step.tell,
            )
        step.tell("one token, for one use")
        return token_file


def join(site: str, token_file: Path | None, settings: Settings) -> int:
    """Make the site a working member; returns how many tasks changed something."""
    values = {} if token_file is None else {"join_token_file": str(token_file)}
    changed = _play("join", "join-provider", site, settings, values)
    if token_file is not None:
        token_file.unlink(missing_ok=True)
    return changed


def run_work(site: str, settings: Settings) -> WorkResult:
    """A job and a page on the site."""
    with board().step(site, "first jobs") as step:
        result = work.run(site, settings, tell=step.tell)
        step.tell(result.said)
        return result


def leave(site: str, settings: Settings) -> int:
    """Have the site say good-bye; returns how many tasks changed something."""
    return _play("leave", "leave-federation", site, settings)


def revoke(site: str, settings: Settings) -> int:
    """Take back what the site was given; returns how many tasks changed something."""
    control = federation(settings).control_site
    with board().step(site, "revocation") as step, _heavy:
        result = ansible.play(
            "revoke-site", [control], settings, values={"revoke_site": site}, tell=step.tell
        )
        step.tell(f"{result.changed} changed")
        return result.changed


def destroy(site: str, settings: Settings) -> bool:
    """Remove the site's machines, networks, stack and inventory; False if there was no stack."""
    with board().step(site, "remove machines") as step, _heavy:
        removed = pulumi.destroy(site, settings, on_line=step.tell)
        for name in ("hosts.yml", "known_hosts"):
            (settings.inventories / site / name).unlink(missing_ok=True)
        join_token_file(site, settings).unlink(missing_ok=True)
        step.tell("removed" if removed else "there was nothing")
        return removed


def join_token_file(site: str, settings: Settings) -> Path:
    """Where the join token of a site lies between admission and join, mode 0600."""
    folder = settings.state / "join"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder / f"{site}.token"


def use_token(token: str, settings: Settings) -> int:
    """Try to exchange a join token; the HTTP status that Vault gives."""
    control = remote.login(federation(settings).control_site, settings)
    return int(remote.call(control, "join_token", {"do": "use", "token": token})["status"])


def _play(
    step_name: str,
    playbook: str,
    site: str,
    settings: Settings,
    values: dict[str, object] | dict[str, str] | None = None,
) -> int:
    with board().step(site, step_name) as step, _heavy:
        result = ansible.play(playbook, [site], settings, values=values, tell=step.tell)
        step.tell(f"{result.changed} changed")
        return result.changed


def _says_yes(site: str, script: str, settings: Settings) -> bool:
    """What a script says on the site's first server; no when it cannot be asked."""
    try:
        return bool(remote.call(remote.login(site, settings), script))
    except StepError:
        return False


def _token_is_valid(site: str, file: Path, settings: Settings) -> bool:
    try:
        token = file.read_text().strip()
    except FileNotFoundError:
        return False
    control = remote.login(federation(settings).control_site, settings)
    answer = remote.call(control, "join_token", {"do": "look", "token": token})
    made_for = f"auth/approle/role/site-{site}/secret-id"
    return bool(answer["status"] == _HTTP_OK and answer["path"] == made_for)


@contextmanager
def _one_at_a_time(file: Path) -> Iterator[None]:
    """Hold a lock that other threads and other runs on this machine respect."""
    with file.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
