"""Talking to the Docker daemon: one client, its errors in our words, and what is ours there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, NotFound

from infra import names
from infra.errors import ProviderError

_CALL_TIMEOUT_S = 120


@contextmanager
def daemon(doing: str) -> Iterator[docker.DockerClient]:
    """A client for one operation; every Docker error becomes a ProviderError that says `doing`."""
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    try:
        client = docker.from_env(timeout=_CALL_TIMEOUT_S)
    except DockerException as error:
        raise ProviderError(
            f"{doing}: the Docker daemon does not answer ({error})",
            where=address,
            remedy="start it (`systemctl start docker`, or `make demo` which installs it), "
            "and see that your user may use it",
        ) from error
    try:
        yield client
    except APIError as error:
        raise ProviderError(
            f"{doing}: Docker refused: {error.explanation or error}",
            where=address,
            remedy=_remedy(str(error.explanation or "")),
        ) from error
    except (DockerException, requests.exceptions.RequestException) as error:
        raise ProviderError(
            f"{doing}: the Docker daemon stopped answering ({error})",
            where=address,
            remedy="see that it runs (`docker info`) and start again",
        ) from error
    finally:
        client.close()


def is_ours(labels: Mapping[str, str] | None, federation: str, site: str) -> bool:
    """Whether an object was made for this site of this federation."""
    have = labels or {}
    return have.get(names.LABEL_FEDERATION) == federation and have.get(names.LABEL_SITE) == site


def foreign(kind: str, name: str, labels: Mapping[str, str] | None) -> ProviderError:
    """The error for an object that has a name of ours and was made by somebody else."""
    owner = names.LABEL_FEDERATION
    belongs = (labels or {}).get(owner)
    what = f"it belongs to federation {belongs}" if belongs else f"it has no label {owner}"
    return ProviderError(
        f"a {kind} named {name} exists and is not this site's: {what}",
        where=f"docker {kind} inspect {name}",
        remedy=f"rename or remove it (`docker {kind} rm {name}`), or give the federation another "
        "name in inventories/federation.yaml",
    )


def sweep(federation: str, site: str | None = None) -> list[str]:
    """Remove what a killed run made but never recorded; returns what was removed.

    Without a site, everything of the federation goes. Objects without our labels stay.
    """
    wanted = [f"{names.LABEL_FEDERATION}={federation}"]
    if site is not None:
        wanted.append(f"{names.LABEL_SITE}={site}")
    filters: dict[str, Any] = {"label": wanted}
    removed = []
    with daemon(f"removing what is left of {site or federation}") as client:
        for container in client.containers.list(all=True, filters=filters):
            removed.append(f"container {container.name}")
            container.remove(force=True, v=True)
        for volume in client.volumes.list(filters=filters):
            removed.append(f"volume {volume.name}")
            volume.remove(force=True)
        for network in client.networks.list(filters=filters):
            removed.append(f"network {network.name}")
            remove_network(client, str(network.id))
    return removed


def remove_network(client: docker.DockerClient, network_id: str) -> None:
    """Remove a network that may be gone already; raises ProviderError while machines use it."""
    try:
        network = client.networks.get(network_id)
        users = sorted(
            str(endpoint["Name"]) for endpoint in network.attrs.get("Containers", {}).values()
        )
        if users:
            raise ProviderError(
                f"the network {network.name} is still used by {', '.join(users)}",
                where=f"docker network inspect {network.name}",
                remedy="destroy the sites of these machines first; the control site goes last",
            )
        network.remove()
    except NotFound:
        return


def _remedy(explanation: str) -> str:
    known = {
        "no space left": "free disk space below Docker's data directory (`docker system df`)",
        "overlaps with other": "another network of this machine has these addresses: remove it "
        "(`docker network ls`) or change the site's networks in its site.yaml",
        "Address already in use": "another container has this address: find it with `docker "
        "network inspect` and remove it",
    }
    lower = explanation.lower()
    return next(
        (remedy for sign, remedy in known.items() if sign.lower() in lower),
        "`docker info` and the daemon's log say more",
    )
