"""Type definitions as they are written: one dataclass for all kinds, and how they are read.

What a type inherits is not known here; that is `tosca.catalogue`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tosca.errors import Location, Problems, nearest
from tosca.nodes import Map, Node, Scalar, Seq, describe
from tosca.shapes import entries, known_keys, listed, pairs, word

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS: Final = {
    "node_types": "node",
    "capability_types": "capability",
    "relationship_types": "relationship",
    "data_types": "data",
    "artifact_types": "artifact",
    "interface_types": "interface",
    "policy_types": "policy",
    "group_types": "group",
}
"""Section of a file -> kind of type."""

CONSTRAINTS: Final = frozenset(
    {
        "equal",
        "greater_than",
        "greater_or_equal",
        "less_than",
        "less_or_equal",
        "in_range",
        "valid_values",
        "length",
        "min_length",
        "max_length",
        "pattern",
        "schema",
    }
)
_SCHEMA_KEYS = frozenset(
    {
        *("type", "description", "required", "default", "value", "status", "constraints"),
        *("entry_schema", "key_schema", "external-schema", "external_schema", "metadata"),
    }
)
_TYPE_KEYS = frozenset(
    {
        *("derived_from", "version", "metadata", "description", "properties", "attributes"),
        *("capabilities", "requirements", "interfaces", "artifacts", "constraints", "inputs"),
        *("valid_source_types", "valid_target_types", "mime_type", "file_ext", "targets"),
        *("members", "triggers", "operations", "notifications", "key_schema", "entry_schema"),
    }
)


@dataclass(frozen=True, slots=True)
class Constraint:
    """One condition on a value, `kind` out of CONSTRAINTS."""

    kind: str
    argument: Node
    location: Location


@dataclass(frozen=True, slots=True)
class Schema:
    """What a property, attribute or input accepts."""

    type: str
    location: Location
    required: bool = True
    default: Node | None = None
    constraints: tuple[Constraint, ...] = ()
    entry: Schema | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class CapabilityDef:
    """A capability that a node type has, with refinements of the capability type's properties."""

    type: str
    location: Location
    properties: Mapping[str, Schema] = field(default_factory=dict)
    attributes: Mapping[str, Schema] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RequirementDef:
    """What a node type asks of another; `most` is None without an upper bound."""

    name: str
    location: Location
    capability: str | None = None
    node: str | None = None
    relationship: str | None = None
    least: int = 1
    most: int | None = 1


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of an interface; inputs are expressions, evaluated where they are used."""

    location: Location
    implementation: Node | None = None
    inputs: Mapping[str, Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that an implementation needs, by name and artifact type."""

    type: str | None
    file: Node | None
    location: Location


@dataclass(frozen=True, slots=True)
class TypeDef:
    """One type of any kind; what a kind does not have stays empty."""

    kind: str
    name: str
    location: Location
    parent: str | None = None
    parent_location: Location | None = None
    properties: Mapping[str, Schema] = field(default_factory=dict)
    attributes: Mapping[str, Schema] = field(default_factory=dict)
    capabilities: Mapping[str, CapabilityDef] = field(default_factory=dict)
    requirements: Mapping[str, RequirementDef] = field(default_factory=dict)
    interfaces: Mapping[str, Mapping[str, Operation]] = field(default_factory=dict)
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    constraints: tuple[Constraint, ...] = ()


def read_types(root: Map, problems: Problems) -> dict[tuple[str, str], TypeDef]:
    """Read every type a file defines; keys are (kind, name)."""
    types: dict[tuple[str, str], TypeDef] = {}
    for section, kind in KINDS.items():
        for name, place, body in entries(root, section, problems):
            types[kind, name] = _read_type(kind, name, place, body, problems)
    return types


def _read_type(kind: str, name: str, place: Location, body: Map, problems: Problems) -> TypeDef:
    if kind != "interface":
        known_keys(body, _TYPE_KEYS, f"{kind} type {name}", problems)
    parent = word(body, "derived_from", problems)
    return TypeDef(
        kind=kind,
        name=name,
        location=place,
        parent=parent,
        parent_location=body.at("derived_from") if parent else None,
        properties=read_schemas(body, "properties", problems),
        attributes=read_schemas(body, "attributes", problems),
        capabilities={} if kind != "node" else _read_capabilities(body, problems),
        requirements={} if kind != "node" else _read_requirements(body, problems),
        interfaces=(
            {"": _read_operations(body, problems)}
            if kind == "interface"
            else read_interfaces(body, problems)
        ),
        artifacts=read_artifacts(body, problems),
        constraints=read_constraints(body, problems),
    )


def read_schemas(owner: Map, key: str, problems: Problems) -> dict[str, Schema]:
    """Read a map of property, attribute or input definitions."""
    return {
        name: read_schema(name, place, body, problems)
        for name, place, body in entries(owner, key, problems)
    }


def read_schema(name: str, place: Location, body: Map, problems: Problems) -> Schema:
    """Read one definition; a missing type is reported and read as text."""
    known_keys(body, _SCHEMA_KEYS, f"the definition of {name}", problems)
    type_name = word(body, "type", problems)
    if type_name is None:
        problems.formal(place, f"{name} has no type", "add `type:`", "missing-type")
        type_name = "string"
    required = body.get("required")
    if required is not None and not (
        isinstance(required, Scalar) and isinstance(required.value, bool)
    ):
        message = f"required is {describe(required)}, true or false was expected"
        problems.formal(body.at("required"), message, code="shape")
    wanted = required.value if isinstance(required, Scalar) else True
    description = body.get("description")
    return Schema(
        type=type_name,
        location=place,
        required=bool(wanted),
        default=body.get("default"),
        constraints=read_constraints(body, problems),
        entry=_read_entry(body, problems),
        description=description.text if isinstance(description, Scalar) else "",
    )


def _read_entry(body: Map, problems: Problems) -> Schema | None:
    """Read `entry_schema: {type: PortSpec}` or its short form `entry_schema: PortSpec`."""
    entry = body.get("entry_schema")
    if isinstance(entry, Map):
        return read_schema("entry_schema", body.at("entry_schema"), entry, problems)
    if isinstance(entry, Scalar):
        return Schema(type=entry.text, location=entry.location)
    if entry is not None:
        message = f"entry_schema is {describe(entry)}, a map with `type` was expected"
        problems.error(body.at("entry_schema"), message, code="shape")
    return None


def read_constraints(body: Map, problems: Problems) -> tuple[Constraint, ...]:
    """Read the list form, and the map form that some templates use, with a warning."""
    node = body.get("constraints")
    if node is None:
        return ()
    if isinstance(node, Map):
        message = "constraints is a map, a list of one-entry maps was expected"
        problems.warning(body.at("constraints"), message, "put `- ` before each", "constraint-map")
        found = [(name, node.keys[name], value) for name, value in node.entries.items()]
    else:
        found = list(listed(body, "constraints", problems))
    read = []
    for name, place, argument in found:
        if name in CONSTRAINTS:
            read.append(Constraint(name, argument, place))
        else:
            message = f"no constraint is called {name!r}"
            problems.error(place, message, nearest(name, CONSTRAINTS), "unknown-constraint")
    return tuple(read)


def _read_capabilities(body: Map, problems: Problems) -> dict[str, CapabilityDef]:
    read = {}
    for name, place, node in pairs(body, "capabilities", problems):
        if isinstance(node, Scalar):
            read[name] = CapabilityDef(node.text, place)
        elif isinstance(node, Map) and (type_name := word(node, "type", problems)):
            properties = read_schemas(node, "properties", problems)
            attributes = read_schemas(node, "attributes", problems)
            read[name] = CapabilityDef(type_name, place, properties, attributes)
        else:
            message = f"capability {name} is {describe(node)}, a type was expected"
            problems.error(place, message, code="shape")
    return read


def _read_requirements(body: Map, problems: Problems) -> dict[str, RequirementDef]:
    read = {}
    for name, place, node in listed(body, "requirements", problems):
        if isinstance(node, Scalar):
            read[name] = RequirementDef(name, place, capability=node.text)
        elif isinstance(node, Map):
            least, most = _occurrences(node, problems)
            relationship = node.get("relationship")
            if isinstance(relationship, Map):
                kind = word(relationship, "type", problems)
            else:
                kind = word(node, "relationship", problems)
            capability = word(node, "capability", problems)
            target = word(node, "node", problems)
            read[name] = RequirementDef(name, place, capability, target, kind, least, most)
        else:
            message = f"requirement {name} is {describe(node)}, a capability type was expected"
            problems.error(place, message, code="shape")
    return read


def _occurrences(body: Map, problems: Problems) -> tuple[int, int | None]:
    """Read `[0, UNBOUNDED]`; absent means exactly one."""
    match body.get("occurrences"):
        case None:
            return 1, 1
        case Seq(items=(Scalar(value=int() as least), Scalar(value=int() as most))):
            return least, most
        case Seq(items=(Scalar(value=int() as least), Scalar(text="UNBOUNDED"))):
            return least, None
        case node:
            message = f"occurrences is {describe(node)}, [least, most] was expected"
            problems.error(body.at("occurrences"), message, "e.g. [0, UNBOUNDED]", "shape")
            return 0, None


def read_interfaces(body: Map, problems: Problems) -> dict[str, dict[str, Operation]]:
    """Read interfaces of a type or a template; `operations:` (1.3) may stand between or not."""
    return {
        name: _read_operations(interface, problems)
        for name, _, interface in entries(body, "interfaces", problems)
    }


def _read_operations(interface: Map, problems: Problems) -> dict[str, Operation]:
    operations = interface.get("operations")
    body = operations if isinstance(operations, Map) else interface
    own = _TYPE_KEYS | {"type"}
    read = {}
    for name, node in body.entries.items():
        place = body.keys[name]
        if body is interface and name in own:
            continue
        if isinstance(node, Scalar):
            read[name] = Operation(place, None if node.value is None else node)
        elif isinstance(node, Map):
            inputs = {key: _input_value(value) for key, _, value in pairs(node, "inputs", problems)}
            read[name] = Operation(place, node.get("implementation"), inputs)
        else:
            message = f"operation {name} is {describe(node)}, an implementation was expected"
            problems.error(place, message, code="shape")
    return read


def _input_value(node: Node) -> Node:
    """Take the default where an operation declares an input instead of giving it a value."""
    if isinstance(node, Map) and isinstance(node.entries.get("type"), Scalar):
        return node.entries.get("default") or Scalar(None, "", node.location)
    return node


def read_artifacts(body: Map, problems: Problems) -> dict[str, Artifact]:
    """Read artifacts of a type or a template, `{file, type}` or the file alone."""
    read = {}
    for name, place, node in pairs(body, "artifacts", problems):
        if isinstance(node, Scalar):
            read[name] = Artifact(None, node, place)
        elif isinstance(node, Map):
            read[name] = Artifact(word(node, "type", problems), node.get("file"), place)
        else:
            message = f"artifact {name} is {describe(node)}, a file was expected"
            problems.error(place, message, code="shape")
    return read
