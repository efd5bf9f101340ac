"""A job of one container, as Nomad's API takes it.

Only what a community may ask for can be said here: the docker driver, no host paths, no host
namespaces, and an image that the workers already carry.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum, unique
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from tosca.model import Model, Name

JobId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
"""A job's id, which is also its service's name and therefore a DNS label."""

SPEC_KEY = "skerry_spec"
"""Key of a job's metadata: digest of what was asked for, to tell an equal job from another."""

_SECOND_NS = 1_000_000_000


@unique
class JobType(StrEnum):
    """Nomad's scheduler types that communities use."""

    BATCH = "batch"
    SERVICE = "service"


class Container(Model):
    """What runs, and what it may use: MHz of CPU and MiB of memory."""

    image: str
    command: str | None = None
    arguments: tuple[str, ...] = ()
    cpu_mhz: int = Field(default=50, ge=20)
    memory_mib: int = Field(default=32, ge=16)
    environment: dict[str, str] = Field(default_factory=dict)


class Service(Model):
    """A port of the container that the catalogue announces and an edge may publish."""

    port: int = Field(ge=1, le=65535)
    host: str | None = None
    """The name under which the edge publishes it over HTTPS; None keeps it inside the site."""
    health_path: str = "/"


class Job(Model):
    """One job of one community in one region. The same values render to the same JSON."""

    id: JobId
    region: Name
    community: Name
    type: JobType
    container: Container
    service: Service | None = None
    attempts: int = Field(default=2, ge=0)
    """Restarts on the same machine before the job counts as failed."""

    def digest(self) -> str:
        """SHA-256 over everything that was asked for."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def render(self) -> dict[str, Any]:
        """The `Job` object of Nomad's POST /v1/jobs."""
        group: dict[str, Any] = {
            "Name": "main",
            "Count": 1,
            "Tasks": [self._task()],
            "RestartPolicy": {
                "Attempts": self.attempts,
                "Interval": 600 * _SECOND_NS,
                "Delay": 2 * _SECOND_NS,
                "Mode": "fail",
            },
        }
        if self.service is not None:
            label = {"Label": "http", "To": self.service.port}
            group["Networks"] = [{"Mode": "host", "DynamicPorts": [label]}]
            group["Services"] = [self._service(self.service)]
        return {
            "ID": self.id,
            "Name": self.id,
            "Region": self.region,
            "Namespace": self.community,
            "Datacenters": ["*"],
            "Type": self.type.value,
            "Meta": {SPEC_KEY: self.digest()},
            "TaskGroups": [group],
        }

    def _task(self) -> dict[str, Any]:
        config: dict[str, Any] = {"image": self.container.image, "force_pull": False}
        if self.container.command is not None:
            config["command"] = self.container.command
            config["args"] = list(self.container.arguments)
        if self.service is not None:
            config["ports"] = ["http"]
        return {
            "Name": "main",
            "Driver": "docker",
            "Config": config,
            "Env": dict(self.container.environment),
            "Resources": {"CPU": self.container.cpu_mhz, "MemoryMB": self.container.memory_mib},
        }

    def _service(self, service: Service) -> dict[str, Any]:
        tags: list[str] = []
        if service.host is not None:
            # The router's name is unique in the site, whatever other communities call their jobs.
            router = f"traefik.http.routers.{self.community}-{self.id}"
            tags = [
                "traefik.enable=true",
                f"{router}.rule=Host(`{service.host}`)",
                f"{router}.entrypoints=websecure",
                f"{router}.tls=true",
            ]
        return {
            "Name": self.id,
            "PortLabel": "http",
            "Provider": "consul",
            "Tags": tags,
            "Checks": [
                {
                    "Type": "http",
                    "Path": service.health_path,
                    "Interval": 5 * _SECOND_NS,
                    "Timeout": 2 * _SECOND_NS,
                    # One slow answer of a busy machine takes nothing off the network.
                    "FailuresBeforeCritical": 2,
                }
            ],
        }


def canonical(job: Job) -> str:
    """The rendered job as text; equal jobs give equal bytes."""
    return json.dumps(job.render(), sort_keys=True, indent=2) + "\n"
