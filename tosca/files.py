"""The two files an operator writes, read into models; every complaint points at its line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field, ValidationError

from tosca.errors import Location, Problems, nearest
from tosca.load import read_bytes
from tosca.model import Model, Name
from tosca.nodes import Map, Node, Scalar, Seq, describe, plain
from tosca.parse import parse

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=Model)


class SiteFile(Model):
    """inventories/<site>/site.yaml: which template, where machines come from, and its inputs."""

    name: Name = Field(description="The site's name, equal to the name of its folder.")
    template: str = Field(description="A file of tosca/templates, without `.yaml`.")
    provider: dict[str, Any] = Field(description="Where the machines come from.")
    inputs: dict[str, Any] = Field(
        default_factory=dict, description="Values for the inputs of the template."
    )


def read_model(path: Path, model: type[M], problems: Problems) -> tuple[M | None, Map | None]:
    """Read a file into a closed model, and its nodes for the places of later complaints."""
    data = read_bytes(path, Location(str(path)), problems)
    root = None if data is None else parse(data, str(path), problems)
    if root is None:
        return None, None
    if any(problem.location.file == str(path) for problem in problems.errors):
        return None, root
    try:
        return model.model_validate(plain(root)), root
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _report(detail, root, model, problems)
        return None, root


def _report(detail: ErrorDetails, root: Map, model: type[Model], problems: Problems) -> None:
    """Say one complaint of pydantic in our words, at the place of the value."""
    steps = [str(step) for step in detail["loc"]]
    node, owner, trail = _find(root, steps)
    what = ".".join(trail) or "the file"
    match detail["type"]:
        case "extra_forbidden":
            where = owner.at(steps[-1]) if isinstance(owner, Map) else node.location
            remedy = nearest(steps[-1], model.model_fields)
            problems.error(where, f"no key {steps[-1]!r} here", remedy, "unknown-key")
        case "missing":
            known = f"add `{steps[-1]}:`"
            problems.error(node.location, f"{what} lacks {steps[-1]!r}", known, "missing-key")
        case _:
            expected = detail["msg"].removeprefix("Input ").removeprefix("Value error, ")
            remedy = ""
            if isinstance(node, Scalar) and isinstance(node.value, bool):
                remedy = f"YAML reads {node.text} as true or false: write '{node.text}'"
            message = f"{what}: {describe(node)} given, it {expected}"
            problems.error(node.location, message, remedy, "wrong-value")


def _find(root: Map, steps: list[str]) -> tuple[Node, Node, list[str]]:
    """Follow pydantic's path as far as there are nodes; tags of unions are stepped over."""
    node: Node = root
    owner: Node = root
    trail: list[str] = []
    for step in steps:
        if isinstance(node, Map) and step in node.entries:
            owner, node = node, node.entries[step]
        elif isinstance(node, Seq) and step.isdigit() and int(step) < len(node.items):
            owner, node = node, node.items[int(step)]
        else:
            continue
        trail.append(step)
    return node, owner, trail
