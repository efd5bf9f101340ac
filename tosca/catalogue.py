"""All types that a template may use, and what each inherits.

A catalogue is immutable once checked; flattened types are computed once and kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tosca.definitions import CapabilityDef, Operation, TypeDef
from tosca.errors import Location, Problems, nearest
from tosca.scalars import UNITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tosca.definitions import Schema

PRIMITIVES: Final = frozenset(
    {
        *("string", "integer", "float", "boolean", "timestamp", "null", "version", "range"),
        *("list", "map", "any", "json", "xml"),
        *UNITS,
    }
)
MAX_LINE: Final = 64
"""Most types a type may derive over; real ones stay below 8."""
_PREFIX: Final = {
    "node": ("tosca.nodes.", "tosca.nodes.network.", "tosca.nodes.Storage."),
    "capability": ("tosca.capabilities.", "tosca.capabilities.network."),
    "relationship": ("tosca.relationships.", "tosca.relationships.network."),
    "data": ("tosca.datatypes.", "tosca.datatypes.network."),
    "artifact": ("tosca.artifacts.",),
    "interface": (
        "tosca.interfaces.",
        "tosca.interfaces.node.lifecycle.",
        "tosca.interfaces.relationship.",
    ),
    "policy": ("tosca.policies.",),
    "group": ("tosca.groups.",),
}
"""Where a short name such as `Compute` or `PortSpec` is looked for, in this order."""


class Catalogue:
    """Types by kind and name, later files winning over the normative ones they redefine."""

    def __init__(self, types: Mapping[tuple[str, str], TypeDef]) -> None:
        """Take the types of all files that are in sight of a template."""
        self._types = types
        self._flat: dict[tuple[str, str], TypeDef] = {}
        self._lines: dict[tuple[str, str], tuple[TypeDef, ...]] = {}

    def full_name(self, kind: str, name: str) -> str | None:
        """Resolve a full, short (`Compute`) or prefixed (`tosca:Compute`) name; None if unknown."""
        if (kind, name) in self._types:
            return name
        short = name.removeprefix("tosca:")
        return next(
            (prefix + short for prefix in _PREFIX[kind] if (kind, prefix + short) in self._types),
            None,
        )

    def names(self, kind: str) -> list[str]:
        """All full names of a kind."""
        return [name for found, name in self._types if found == kind]

    def line(self, kind: str, name: str) -> tuple[TypeDef, ...]:
        """Give a type and its ancestors, nearest first; stops where the chain breaks or loops."""
        key = (kind, name)
        if key not in self._lines:
            chain: list[TypeDef] = []
            current = self._types.get(key)
            seen: set[str] = set()
            while current is not None and current.name not in seen and len(chain) < MAX_LINE:
                chain.append(current)
                seen.add(current.name)
                parent = self.full_name(kind, current.parent) if current.parent else None
                current = self._types.get((kind, parent)) if parent else None
            self._lines[key] = tuple(chain)
        return self._lines[key]

    def is_a(self, kind: str, name: str, ancestor: str) -> bool:
        """Tell whether a type is another one or derives from it; both may be short names."""
        full, wanted = self.full_name(kind, name), self.full_name(kind, ancestor)
        return (
            full is not None
            and wanted is not None
            and any(one.name == wanted for one in self.line(kind, full))
        )

    def get(self, kind: str, name: str) -> TypeDef | None:
        """Give a type with everything it inherits; None when it is unknown."""
        full = self.full_name(kind, name)
        if full is None:
            return None
        key = (kind, full)
        if key not in self._flat:
            self._flat[key] = self._flatten(self.line(kind, full))
        return self._flat[key]

    def root_primitive(self, name: str) -> str | None:
        """Give the primitive a data type stands on (`network.PortDef` -> integer), if any."""
        if name in PRIMITIVES:
            return name
        full = self.full_name("data", name)
        chain = self.line("data", full) if full else ()
        last = chain[-1].parent if chain else None
        return last if last in PRIMITIVES else None

    def capability_schemas(self, capability: CapabilityDef) -> dict[str, Schema]:
        """Properties of a capability: its type's, refined where the node type does so."""
        base = self.get("capability", capability.type)
        return {**(base.properties if base else {}), **capability.properties}

    def capability_attributes(self, capability: CapabilityDef) -> dict[str, Schema]:
        """Attributes of a capability; every property can be read as one."""
        base = self.get("capability", capability.type)
        inherited = base.attributes if base else {}
        return {**self.capability_schemas(capability), **inherited, **capability.attributes}

    @staticmethod
    def _flatten(line: tuple[TypeDef, ...]) -> TypeDef:
        """Merge from the root of the line down: what is nearer wins, name by name."""
        flat = line[-1]
        for one in reversed(line[:-1]):
            flat = replace(
                one,
                properties={**flat.properties, **one.properties},
                attributes={**flat.attributes, **one.attributes},
                capabilities=_merge_capabilities(flat.capabilities, one.capabilities),
                requirements={**flat.requirements, **one.requirements},
                interfaces=merge_interfaces(flat.interfaces, one.interfaces),
                artifacts={**flat.artifacts, **one.artifacts},
                constraints=flat.constraints + one.constraints,
            )
        return flat

    def check(self, types: Iterable[TypeDef], problems: Problems) -> None:
        """Report what the given types refer to and does not exist, and inheritance cycles."""
        for one in types:
            self._check_parent(one, problems)
            for name, schema in {**one.properties, **one.attributes}.items():
                self.check_schema(name, schema, problems)
            for capability in one.capabilities.values():
                self._known("capability", capability.type, capability.location, problems)
                for name, schema in capability.properties.items():
                    self.check_schema(name, schema, problems)
            for requirement in one.requirements.values():
                where = requirement.location
                self._known("relationship", requirement.relationship, where, problems)
                self._known("node", requirement.node, where, problems)
                self._known("capability", requirement.capability, where, problems)
            for artifact in one.artifacts.values():
                self._known("artifact", artifact.type, artifact.location, problems)

    def check_schema(self, name: str, schema: Schema, problems: Problems) -> None:
        """Report unknown types in a definition, entry schemas included."""
        if schema.type not in PRIMITIVES and self.full_name("data", schema.type) is None:
            known = [*PRIMITIVES, *self.names("data")]
            problems.formal(
                schema.location,
                f"{name} has the unknown type {schema.type}",
                nearest(schema.type, known),
                "unknown-type",
            )
        if schema.entry:
            self.check_schema(f"entry of {name}", schema.entry, problems)

    def _check_parent(self, one: TypeDef, problems: Problems) -> None:
        if one.parent is None or (one.kind == "data" and one.parent in PRIMITIVES):
            return
        where = one.parent_location or one.location
        self._known(one.kind, one.parent, where, problems)
        chain = self.line(one.kind, one.name)
        if len(chain) == MAX_LINE:
            message = f"{one.name} derives over {MAX_LINE} types or more"
            problems.error(where, message, "derive over fewer", "too-deep")
            return
        last = chain[-1].parent
        again = self.full_name(one.kind, last) if last else None
        if again is not None:
            names = [member.name for member in chain]
            loop = [*names[names.index(again) :], again]
            if one.name in loop:
                message = "types derive from each other: " + " -> ".join(loop)
                problems.error(where, message, "break the cycle", "inheritance-cycle")

    def _known(self, kind: str, name: str | None, where: Location, problems: Problems) -> None:
        # In 1.0 a requirement may name a capability of the target, or a node type, as capability.
        kinds = ("capability", "node") if kind == "capability" else (kind,)
        if name is None or any(self.full_name(one, name) for one in kinds):
            return
        message = f"unknown {kind} type {name}"
        problems.formal(where, message, nearest(name, self.names(kind)), "unknown-type")


def _merge_capabilities(
    inherited: Mapping[str, CapabilityDef], own: Mapping[str, CapabilityDef]
) -> dict[str, CapabilityDef]:
    merged = dict(inherited)
    for name, one in own.items():
        above = inherited.get(name)
        merged[name] = (
            one
            if above is None
            else replace(
                one,
                properties={**above.properties, **one.properties},
                attributes={**above.attributes, **one.attributes},
            )
        )
    return merged


def merge_interfaces(
    inherited: Mapping[str, Mapping[str, Operation]], own: Mapping[str, Mapping[str, Operation]]
) -> dict[str, Mapping[str, Operation]]:
    """Merge operations by name: a nearer implementation wins, inputs are united."""
    merged = {name: dict(operations) for name, operations in inherited.items()}
    for name, operations in own.items():
        target = merged.setdefault(name, {})
        for verb, operation in operations.items():
            above = target.get(verb)
            target[verb] = (
                operation
                if above is None
                else Operation(
                    operation.location,
                    operation.implementation or above.implementation,
                    {**above.inputs, **operation.inputs},
                )
            )
    return dict(merged)
