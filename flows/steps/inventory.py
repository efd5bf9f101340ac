"""From a stack's outputs to the inventory that playbooks read."""

from __future__ import annotations

from pathlib import Path

from flows.errors import StepError
from flows.steps import pulumi
from infra.errors import InfraError
from infra.inventory import parse_outputs, write
from infra.settings import Settings
from tosca.model import Site


def write_inventory(site: Site, settings: Settings) -> Path:
    """Write inventories/<site>/hosts.yml from the stack as it is; raises FlowError."""
    try:
        outputs = parse_outputs(pulumi.outputs(site.name, settings), site=site.name)
        return write(
            site,
            outputs,
            folder=settings.inventories / site.name,
            key_file=settings.private_key,
        )
    except InfraError as error:
        raise StepError(error.what, where=error.where, remedy=error.remedy) from error
    except OSError as error:
        raise StepError(
            f"the inventory of {site.name} cannot be written: {error.strerror}",
            where=str(error.filename),
            remedy="free some space or mend the folder's owner",
        ) from error
