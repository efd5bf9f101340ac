"""A template as it is written: inputs, node templates, outputs, policies; and fragment merging.

Nothing is looked up here: whether names exist is the business of `tosca.resolve`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tosca.definitions import (
    KINDS,
    Artifact,
    Operation,
    Schema,
    read_artifacts,
    read_interfaces,
    read_schemas,
)
from tosca.errors import Location, Problems, nearest
from tosca.nodes import Map, Node, Scalar, Seq, describe
from tosca.shapes import entries, known_keys, listed, pairs, word

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSIONS: Final = tuple(f"tosca_simple_yaml_1_{minor}" for minor in range(4))
_TOP_KEYS = frozenset(
    {
        *("tosca_definitions_version", "description", "metadata", "imports", "repositories"),
        *("topology_template", "dsl_definitions", "namespace", "template_name"),
        *("template_author", "template_version", *KINDS),
    }
)
_TOPOLOGY_KEYS = frozenset(
    {
        *("description", "inputs", "node_templates", "relationship_templates", "outputs"),
        *("groups", "policies", "substitution_mappings", "workflows", "metadata"),
    }
)
_NODE_KEYS = frozenset(
    {
        *("type", "description", "metadata", "directives", "properties", "attributes", "copy"),
        *("capabilities", "requirements", "interfaces", "artifacts", "node_filter"),
    }
)
_MERGED_WHOLE = ("node_templates", "outputs")


@dataclass(frozen=True, slots=True)
class RequirementUse:
    """A requirement of a node template; `relationship` is a type name or a map with more."""

    name: str
    location: Location
    target: str | None
    target_location: Location
    capability: str | None = None
    relationship: str | None = None
    relationship_location: Location | None = None
    properties: Map | None = None
    interfaces: Mapping[str, Mapping[str, Operation]] | None = None


@dataclass(frozen=True, slots=True)
class NodeTemplate:
    """One node template; values are expressions, not yet evaluated."""

    name: str
    type: str
    location: Location
    type_location: Location
    properties: Mapping[str, tuple[Location, Node]]
    attributes: Mapping[str, tuple[Location, Node]]
    capabilities: Mapping[str, tuple[Location, Mapping[str, tuple[Location, Node]]]]
    requirements: tuple[RequirementUse, ...]
    interfaces: Mapping[str, Mapping[str, Operation]]
    artifacts: Mapping[str, Artifact]


@dataclass(frozen=True, slots=True)
class PolicyUse:
    """A policy, and the node templates or groups it is for."""

    name: str
    type: str
    location: Location
    properties: Mapping[str, tuple[Location, Node]]
    targets: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """Everything under topology_template."""

    location: Location
    inputs: Mapping[str, Schema]
    nodes: Mapping[str, NodeTemplate]
    outputs: Mapping[str, tuple[Location, Node | None]]
    policies: tuple[PolicyUse, ...]
    groups: Mapping[str, tuple[Location, tuple[Scalar, ...]]]


def merge(parent: Map, fragment: Map) -> Map:
    """Lay a fragment over its parent, the way the IM dashboard composes templates.

    Inputs unite per name and key, the fragment's keys winning; node templates and outputs are
    replaced whole by name. Everything else, imports included, is the parent's.
    """
    below, above = parent.get("topology_template"), fragment.get("topology_template")
    if not isinstance(above, Map):
        return parent
    if not isinstance(below, Map):
        below = Map({}, {}, above.location)
    merged = below
    for section in ("inputs", *_MERGED_WHOLE):
        ours, theirs = below.get(section), above.get(section)
        if isinstance(theirs, Map):
            base = ours if isinstance(ours, Map) else Map({}, {}, theirs.location)
            united = _over(base, theirs, fields=section == "inputs")
            merged = _with(merged, section, united, above.at(section))
    return _with(parent, "topology_template", merged, parent.at("topology_template"))


def _over(below: Map, above: Map, *, fields: bool) -> Map:
    """Unite two maps, the second winning; with `fields`, maps of one name unite as well."""
    united = dict(below.entries)
    for name, node in above.entries.items():
        under = united.get(name)
        if fields and isinstance(under, Map) and isinstance(node, Map):
            united[name] = _over(under, node, fields=False)
        else:
            united[name] = node
    return Map(united, {**below.keys, **above.keys}, below.location)


def _with(owner: Map, key: str, node: Node, place: Location) -> Map:
    return Map({**owner.entries, key: node}, {**owner.keys, key: place}, owner.location)


def read_version(root: Map, problems: Problems) -> None:
    """Report a missing or foreign tosca_definitions_version, and keys TOSCA does not have."""
    version = word(root, "tosca_definitions_version", problems)
    where = root.at("tosca_definitions_version")
    if version is None:
        expected = "one of " + " ".join(VERSIONS)
        problems.error(where, "tosca_definitions_version is missing", f"add {expected}", "version")
    elif version not in VERSIONS:
        message = f"TOSCA version {version} is not read"
        problems.error(where, message, "write one of " + " ".join(VERSIONS), "version")
    known_keys(root, _TOP_KEYS, "a TOSCA file", problems)


def read_template(root: Map, problems: Problems) -> Template | None:
    """Read topology_template; None for a file that only defines types."""
    topology = root.get("topology_template")
    if topology is None:
        return None
    place = root.at("topology_template")
    if not isinstance(topology, Map):
        message = f"topology_template is {describe(topology)}, a map was expected"
        problems.error(place, message, code="shape")
        return None
    known_keys(topology, _TOPOLOGY_KEYS, "topology_template", problems)
    for section in ("workflows", "substitution_mappings", "relationship_templates"):
        if topology.get(section) is not None:
            where = topology.at(section)
            problems.warning(where, f"{section} are read over, not checked", code="not-checked")
    nodes = {
        name: _read_node(name, where, body, problems)
        for name, where, body in entries(topology, "node_templates", problems)
    }
    return Template(
        location=place,
        inputs=read_schemas(topology, "inputs", problems),
        nodes=nodes,
        outputs={
            name: (where, body.get("value"))
            for name, where, body in entries(topology, "outputs", problems)
        },
        policies=tuple(_read_policies(topology, problems)),
        groups={
            name: (where, _names(body, "members", problems))
            for name, where, body in entries(topology, "groups", problems)
        },
    )


def _read_node(name: str, place: Location, body: Map, problems: Problems) -> NodeTemplate:
    for key in body.entries:
        if key not in _NODE_KEYS:
            remedy = nearest(key, _NODE_KEYS)
            if key in {"scalable", "host", "endpoint", "os", "binding"}:
                remedy = f"move it under capabilities: capabilities.{key}"
            message = f"node template {name} has no key {key!r}"
            problems.error(body.keys[key], message, remedy, "unknown-key")
    type_name = word(body, "type", problems)
    if type_name is None:
        message = f"node template {name} has no type"
        problems.error(place, message, "add `type:` with a node type", "missing-type")
    return NodeTemplate(
        name=name,
        type=type_name or "tosca.nodes.Root",
        location=place,
        type_location=body.at("type"),
        properties=_values(body, "properties", problems),
        attributes=_values(body, "attributes", problems),
        capabilities={
            capability: (where, _values(inner, "properties", problems))
            for capability, where, inner in entries(body, "capabilities", problems)
        },
        requirements=tuple(
            _read_requirement(requirement, where, node, problems)
            for requirement, where, node in listed(body, "requirements", problems)
        ),
        interfaces=read_interfaces(body, problems),
        artifacts=read_artifacts(body, problems),
    )


def _values(body: Map, key: str, problems: Problems) -> dict[str, tuple[Location, Node]]:
    return {name: (place, node) for name, place, node in pairs(body, key, problems)}


def _read_requirement(name: str, place: Location, node: Node, problems: Problems) -> RequirementUse:
    if isinstance(node, Scalar):
        return RequirementUse(name, place, node.text, node.location)
    if not isinstance(node, Map):
        message = f"requirement {name} is {describe(node)}, a node template's name was expected"
        problems.error(place, message, code="shape")
        return RequirementUse(name, place, None, place)
    known_keys(
        node,
        frozenset({"node", "relationship", "capability", "node_filter", "occurrences"}),
        f"requirement {name}",
        problems,
    )
    relationship = node.get("relationship")
    body = relationship if isinstance(relationship, Map) else None
    kind = word(body, "type", problems) if body else word(node, "relationship", problems)
    target = node.get("node")
    return RequirementUse(
        name=name,
        location=place,
        target=word(node, "node", problems),
        target_location=target.location if target else place,
        capability=word(node, "capability", problems),
        relationship=kind,
        relationship_location=body.at("type") if body else node.at("relationship"),
        properties=_map_or_none(body, "properties", problems),
        interfaces=read_interfaces(body, problems) if body else None,
    )


def _map_or_none(body: Map | None, key: str, problems: Problems) -> Map | None:
    node = body.get(key) if body else None
    if body is None or node is None or isinstance(node, Map):
        return node if isinstance(node, Map) else None
    problems.error(body.at(key), f"{key} is {describe(node)}, a map was expected", code="shape")
    return None


def _read_policies(topology: Map, problems: Problems) -> list[PolicyUse]:
    read = []
    for name, place, node in listed(topology, "policies", problems):
        kind = word(node, "type", problems) if isinstance(node, Map) else None
        if not isinstance(node, Map) or kind is None:
            message = f"policy {name} has no type"
            problems.error(place, message, "add `type:` with a policy type", "missing-type")
            continue
        values = _values(node, "properties", problems)
        read.append(PolicyUse(name, kind, place, values, _names(node, "targets", problems)))
    return read


def _names(body: Map, key: str, problems: Problems) -> tuple[Scalar, ...]:
    """Read a list of names."""
    node = body.get(key)
    if node is None:
        return ()
    if isinstance(node, Seq) and all(isinstance(item, Scalar) for item in node):
        return tuple(item for item in node if isinstance(item, Scalar))
    message = f"{key} is {describe(node)}, a list of names was expected"
    problems.error(body.at(key), message, code="shape")
    return ()
