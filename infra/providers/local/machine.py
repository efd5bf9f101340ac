"""A machine on this Docker host, as a Pulumi resource."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import pulumi
from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container
from pulumi.dynamic import (
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from infra.providers.local import container as box
from infra.providers.local.container import MachineSpec
from infra.providers.local.daemon import daemon

__all__ = ["DockerMachine", "MachineProvider", "MachineSpec"]

_READY = "ready"
_REPLACES = ("name", "hostname", "federation", "site", "image", "addresses", "volume", "user")
_UPDATES = ("cpus", "memory_mib", "public_key")


class MachineProvider(ResourceProvider):
    """Creates, watches, mends and removes machines.

    A machine is ready, stopped, detached (not in its networks) or gone. Stopped and detached are
    differences that an update mends; a machine that is gone is created again.
    """

    # Nothing secret is captured, and state without ciphers can be read and compared.
    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make the machine, or adopt what a killed run made of the same spec."""
        spec = _spec(props)
        with daemon(f"creating machine {spec.hostname}") as client:
            container = box.ensure(client, spec)
            box.settle(client, container, spec)
            return CreateResult(str(container.id), _outputs(container, spec))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """See how the machine is."""
        spec = _spec(props)
        with daemon(f"looking at machine {spec.hostname}") as client:
            try:
                container = client.containers.get(id_)
            except NotFound:
                return ReadResult("", {})
            return ReadResult(id_, _outputs(container, spec))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """What must be replaced, and what can be mended in place."""
        replaces = [key for key in _REPLACES if _olds.get(key) != _news.get(key)]
        updates = [key for key in _UPDATES if _olds.get(key) != _news.get(key)]
        drifted = _olds.get("state") != _READY
        return DiffResult(
            changes=bool(replaces or updates or drifted),
            replaces=replaces,
            # Name and addresses are taken until the old machine is gone.
            delete_before_replace=True,
        )

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Start it, attach it, set limits and key, as needed."""
        spec = _spec(_news)
        with daemon(f"updating machine {spec.hostname}") as client:
            container = _get(client, _id) or box.ensure(client, spec)
            box.settle(client, container, spec)
            return UpdateResult(_outputs(container, spec))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Remove the machine with its volume; one that is gone already is fine."""
        spec = _spec(_props)
        with daemon(f"removing machine {spec.hostname}") as client:
            box.remove(client, spec)


class DockerMachine(Resource, module="skerry", name="Machine"):
    """A machine in a stack."""

    ssh_host_key: pulumi.Output[str]
    ssh_port: pulumi.Output[int]
    state: pulumi.Output[str]

    def __init__(self, name: str, spec: MachineSpec, opts: pulumi.ResourceOptions) -> None:
        """Register it under a logical name; the outputs are known once it answers to SSH."""
        unknown = {"ssh_host_key": None, "ssh_port": None, "state": None}
        super().__init__(MachineProvider(), name, {**asdict(spec), **unknown}, opts)


def _get(client: DockerClient, id_: str) -> Container | None:
    try:
        return client.containers.get(id_)
    except NotFound:
        return None


def _spec(props: dict[str, Any]) -> MachineSpec:
    values = {field.name: props[field.name] for field in fields(MachineSpec)}
    # Numbers travel as floating point between engine and provider.
    for key in ("cpus", "memory_mib", "start_timeout_s"):
        values[key] = int(values[key])
    return MachineSpec(**values)


def _outputs(container: Container, spec: MachineSpec) -> dict[str, Any]:
    container.reload()
    state = container.status
    if state == "running":
        state = _READY if box.attached(container, spec) else "detached"
    return {
        **asdict(spec),
        "state": state,
        "ssh_port": box.SSH_PORT,
        "ssh_host_key": box.host_key(container),
    }
