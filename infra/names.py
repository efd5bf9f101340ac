"""Every name that an object outside this repository carries, in one place."""

from __future__ import annotations

OPERATOR_USER = "skerry"
"""The account on a machine that we make ourselves; may use sudo without a password."""

LABEL_FEDERATION = "skerry.federation"
LABEL_SITE = "skerry.site"
LABEL_MACHINE = "skerry.machine"
LABEL_SPEC = "skerry.spec"
"""Digest of what an object was made from: tells an object to adopt from one to replace."""


def host_image(image: str) -> str:
    """The Docker image a local machine is made of, for a template's image name."""
    return f"skerry-host:{image}"


def wide_area_network(federation: str) -> str:
    """The network on which the sites of a federation reach each other."""
    return f"{federation}-wide-area"


def private_network(federation: str, site: str) -> str:
    """A site's own network. Site names have no dash, so none of them is `wide-area`."""
    return f"{federation}-{site}"


def machine_container(federation: str, machine: str) -> str:
    """The container that is a machine; two federations on one Docker host do not clash."""
    return f"{federation}-{machine}"


def machine_volume(federation: str, machine: str) -> str:
    """The volume below a machine's own Docker daemon."""
    return f"{federation}-{machine}-docker"


def labels(federation: str, site: str, *, machine: str = "", spec: str = "") -> dict[str, str]:
    """What marks a Docker object as ours; objects without these are never touched."""
    every = {
        LABEL_FEDERATION: federation,
        LABEL_SITE: site,
        LABEL_MACHINE: machine,
        LABEL_SPEC: spec,
    }
    return {key: value for key, value in every.items() if value}
