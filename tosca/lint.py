"""Warnings about templates that are correct by the letter and still go wrong in use.

Each rule comes from a defect seen in a published template; its code stands in the warning.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from tosca.nodes import Map, Node, Scalar, Seq

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tosca.catalogue import Catalogue
    from tosca.definitions import Artifact, Operation, TypeDef
    from tosca.errors import Problems
    from tosca.resolve import Topology
    from tosca.template import NodeTemplate, Template

MAX_MINOR_SKEW: Final = 3
"""How many minor versions a worker may be behind its front end (the Kubernetes skew policy)."""

_SECRET = re.compile(
    r"(passw|passphrase|secret|token|credential|(api|access|private)_?key)", re.IGNORECASE
)
_FILLED_IN = re.compile(r"^(\w+\(\d*\))?$")
"""An empty default, or one that orchestrators replace, such as `random(12)`."""
_VERSION = re.compile(r"v?(\d+)\.(\d+)")
_MOVING: Final = {"", "master", "main", "devel", "latest", "HEAD"}
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)


def lint(template: Template, topology: Topology, catalogue: Catalogue, problems: Problems) -> None:
    """Run every rule over a template that was resolved."""
    _literal_secrets(template, problems)
    _version_skew(template, topology, problems)
    references = _References(template, catalogue)
    for node in template.nodes.values():
        flat = catalogue.get("node", node.type)
        if flat is not None:
            _unwired(node, flat, references, problems)
            _implementations(node, flat, problems)
            for artifact in {**flat.artifacts, **node.artifacts}.values():
                _artifact(artifact, problems)
            _latest_images(node, problems)


def _literal_secrets(template: Template, problems: Problems) -> None:
    for name, schema in template.inputs.items():
        default = schema.default
        if (
            _SECRET.search(name)
            and isinstance(default, Scalar)
            and isinstance(default.value, str)
            and not _FILLED_IN.match(default.text)
        ):
            message = f"input {name} looks like a secret and has the default {default.text!r}"
            remedy = "drop the default, so that everyone has to choose a value"
            problems.warning(default.location, message, remedy, "literal-secret")


def _version_skew(template: Template, topology: Topology, problems: Problems) -> None:
    """Compare the `version` of node types that belong together, such as front end and worker."""
    groups: dict[str, list[tuple[tuple[int, int], str, Scalar]]] = defaultdict(list)
    for node in topology.nodes.values():
        value = node.properties.get("version")
        match = _VERSION.match(value.text) if isinstance(value, Scalar) else None
        if match and isinstance(value, Scalar) and node.name in template.nodes:
            family = node.type.rpartition(".")[2]
            groups[family].append(((int(match[1]), int(match[2])), node.name, value))
    for family, members in groups.items():
        (newest, ahead, _), (oldest, behind, value) = max(members)[:3], min(members)[:3]
        if newest[0] != oldest[0] or newest[1] - oldest[1] > MAX_MINOR_SKEW:
            message = (
                f"{behind} has {family} {value.text}, {ahead} is at {newest[0]}.{newest[1]}: "
                f"more than {MAX_MINOR_SKEW} minor versions apart"
            )
            problems.warning(value.location, message, "use one version for both", "version-skew")


class _References:
    """Which properties of which node some expression reads."""

    def __init__(self, template: Template, catalogue: Catalogue) -> None:
        self._read: dict[str, set[str]] = defaultdict(set)
        for node in template.nodes.values():
            flat = catalogue.get("node", node.type)
            for _, value in node.properties.values():
                self._note(value, node.name)
            for _, values in node.capabilities.values():
                for _, value in values.values():
                    self._note(value, node.name)
            self._note_operations(node.interfaces, node.name)
            self._note_operations(flat.interfaces if flat else {}, node.name)
            for use in node.requirements:
                kind = catalogue.get("relationship", use.relationship or "")
                self._note_operations(use.interfaces or {}, node.name)
                self._note_operations(kind.interfaces if kind else {}, node.name)
        for _, output in template.outputs.values():
            if output is not None:
                self._note(output, "")

    def has(self, node: str, name: str) -> bool:
        """Tell whether a property is read by name; from a relationship, any node may be meant."""
        return name in self._read[node] or name in self._read["*"]

    def _note_operations(
        self, interfaces: Mapping[str, Mapping[str, Operation]], owner: str
    ) -> None:
        for operations in interfaces.values():
            for operation in operations.values():
                for value in operation.inputs.values():
                    self._note(value, owner)

    def _note(self, value: Node, owner: str) -> None:
        for entity, name in _calls(value):
            if entity == "SELF":
                self._read[owner].add(name)
            elif entity in {"SOURCE", "TARGET", "HOST"}:
                self._read["*"].add(name)
            else:
                self._read[entity].add(name)


def _calls(value: Node) -> Iterator[tuple[str, str]]:
    """Find the (entity, name) pairs that a value reads."""
    if isinstance(value, Seq):
        for item in value:
            yield from _calls(item)
    elif isinstance(value, Map):
        for key, inner in value.entries.items():
            match inner:
                case Seq(items=(Scalar() as entity, Scalar() as name, *_)) if key in {
                    "get_property",
                    "get_attribute",
                }:
                    yield entity.text, name.text
                case _:
                    yield from _calls(inner)


def _unwired(
    node: NodeTemplate, flat: TypeDef, references: _References, problems: Problems
) -> None:
    """Report a property that is set, while no operation of the type ever receives it."""
    operations = [one for interface in flat.interfaces.values() for one in interface.values()]
    if not any(operation.inputs for operation in operations):
        return
    for name, (place, _) in node.properties.items():
        if name in flat.properties and not references.has(node.name, name):
            message = f"{node.name}.{name} is set, but no operation of {flat.name} receives it"
            remedy = "the value is dropped: pass it to an operation or remove it"
            problems.warning(place, message, remedy, "unwired-property")


def _implementations(node: NodeTemplate, flat: TypeDef, problems: Problems) -> None:
    for interfaces in (flat.interfaces, node.interfaces):
        for operations in interfaces.values():
            for operation in operations.values():
                found = operation.implementation
                if isinstance(found, Scalar) and _ADDRESS.match(found.text):
                    message = f"{found.text} is fetched when the template is deployed"
                    remedy = "use a copy of known content"
                    problems.warning(found.location, message, remedy, "url-implementation")


def _artifact(artifact: Artifact, problems: Problems) -> None:
    if artifact.type is None or not isinstance(artifact.file, Scalar):
        return
    name = artifact.file.text
    if ".AnsibleGalaxy." in artifact.type and name.partition(",")[2] in _MOVING:
        message = f"{name} has no version, so another one may be installed every time"
        remedy = f"write `{name},<version>`"
        problems.warning(artifact.file.location, message, remedy, "unpinned-role")
    if artifact.type.endswith(".Docker") and _is_latest(name):
        _report_latest(artifact.file, problems)


def _latest_images(node: NodeTemplate, problems: Problems) -> None:
    values = [node.properties, *(values for _, values in node.capabilities.values())]
    for name, (_, value) in ((n, v) for one in values for n, v in one.items()):
        if name == "image" and isinstance(value, Scalar) and value.text.endswith(":latest"):
            _report_latest(value, problems)


def _is_latest(image: str) -> bool:
    """Tell whether a container image is `latest`, by name or for want of a tag."""
    last = image.rpartition("/")[2]
    return last.endswith(":latest") or not (":" in last or "@" in last)


def _report_latest(value: Scalar, problems: Problems) -> None:
    message = f"image {value.text} is whatever is newest"
    problems.warning(value.location, message, "name a version or digest", "latest-image")
