"""The requirements of a template: whom each node stands on, and in which order that can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tosca.errors import Location, Problems, nearest

if TYPE_CHECKING:
    from tosca.catalogue import Catalogue
    from tosca.definitions import RequirementDef, TypeDef
    from tosca.template import NodeTemplate, RequirementUse, Template


class Relations:
    """Checks requirements one node at a time, then orders the nodes."""

    def __init__(self, template: Template, catalogue: Catalogue, problems: Problems) -> None:
        """Report to `problems`, look types up in `catalogue`."""
        self._template = template
        self._catalogue = catalogue
        self._problems = problems

    def of(self, node: NodeTemplate, flat: TypeDef) -> tuple[tuple[str, str], ...]:
        """Check the requirements of a node; give those that lead somewhere."""
        found = []
        uses: dict[str, int] = {}
        for use in node.requirements:
            defined = flat.requirements.get(use.name)
            if defined is None:
                message = f"{node.name}: {flat.name} has no requirement {use.name!r}"
                remedy = nearest(use.name, flat.requirements)
                self._problems.error(use.location, message, remedy, "unknown-requirement")
                continue
            uses[use.name] = uses.get(use.name, 0) + 1
            if defined.most is not None and uses[use.name] == defined.most + 1:
                message = f"{node.name}: {use.name} is given more than {defined.most} times"
                self._problems.error(use.location, message, "drop one", "occurrences")
            if target := self._target(use):
                self._fits(node, use, defined, target)
                found.append((use.name, target.name))
        for name, defined in flat.requirements.items():
            if uses.get(name, 0) < defined.least:
                message = f"{node.name} lacks the requirement {name} of {flat.name}"
                remedy = f"add `- {name}: <node template>`, or the orchestrator has to find one"
                self._problems.warning(node.location, message, remedy, "open-requirement")
        return tuple(found)

    def _target(self, use: RequirementUse) -> NodeTemplate | None:
        if use.target is None:
            return None
        if target := self._template.nodes.get(use.target):
            return target
        if self._catalogue.full_name("node", use.target):
            return None  # a node type: the orchestrator chooses one
        message = f"requirement {use.name} leads to {use.target!r}, which is not there"
        remedy = nearest(use.target, self._template.nodes)
        self._problems.error(use.target_location, message, remedy, "unknown-node")
        return None

    def _fits(
        self, node: NodeTemplate, use: RequirementUse, defined: RequirementDef, target: NodeTemplate
    ) -> None:
        """Report a target that does not offer what the requirement asks for."""
        there = self._catalogue.get("node", target.type)
        if there is None:
            return
        wanted = use.capability or defined.capability
        if wanted and wanted not in there.capabilities and not self._offers(there, wanted):
            offered = sorted(one.type for one in there.capabilities.values())
            message = (
                f"{node.name}: {use.name} asks for {wanted}, "
                f"which {target.name} ({there.name}) does not offer"
            )
            remedy = "it offers " + ", ".join(offered)
            self._problems.error(use.target_location, message, remedy, "unmet-requirement")
        elif self._is_other(there, defined.node):
            message = (
                f"{node.name}: {use.name} is meant for a {defined.node}, "
                f"{target.name} is a {there.name}"
            )
            remedy = "its capability fits, so it is accepted"
            self._problems.warning(use.target_location, message, remedy, "target-type")
        self._relationship(use, defined)

    def _is_other(self, there: TypeDef, wanted: str | None) -> bool:
        """Tell whether a type is not the known node type that a requirement is meant for."""
        if wanted is None or self._catalogue.full_name("node", wanted) is None:
            return False
        return not self._catalogue.is_a("node", there.name, wanted)

    def _offers(self, there: TypeDef, wanted: str) -> bool:
        """Tell whether a type offers a capability, or is itself what is asked for.

        A Compute offers what was called Container in 1.0 and Compute since 1.2, and types in the
        wild derive from either, so the ancestor counts as well as the descendant.
        """
        if self._catalogue.is_a("node", there.name, wanted):
            return True
        hosts = "tosca.capabilities.Container"
        either_way = self._catalogue.full_name("capability", wanted) == "tosca.capabilities.Compute"
        return any(
            self._catalogue.is_a("capability", one.type, wanted)
            or (either_way and self._catalogue.is_a("capability", one.type, hosts))
            for one in there.capabilities.values()
        )

    def _relationship(self, use: RequirementUse, defined: RequirementDef) -> None:
        if use.relationship is None:
            return
        where = use.relationship_location or use.location
        if self._catalogue.full_name("relationship", use.relationship) is None:
            message = f"unknown relationship type {use.relationship}"
            remedy = nearest(use.relationship, self._catalogue.names("relationship"))
            self._problems.error(where, message, remedy, "unknown-type")
        elif defined.relationship and not self._catalogue.is_a(
            "relationship", use.relationship, defined.relationship
        ):
            message = f"{use.name} asks for {defined.relationship}, not {use.relationship}"
            self._problems.error(where, message, code="unmet-requirement")

    def order(self) -> tuple[str, ...]:
        """Order nodes after what they require; each circle is reported once, written out."""
        done: dict[str, None] = {}
        for start in self._template.nodes:
            if start in done:
                continue
            # Depth first without recursion: a chain may be as long as the file.
            path: dict[str, list[tuple[str, Location]]] = {start: self._edges(start)}
            while path:
                name = next(reversed(path))
                if not path[name]:
                    path.pop(name)
                    done[name] = None
                    continue
                target, where = path[name].pop()
                if target in path:
                    names = list(path)
                    loop = [*names[names.index(target) :], target]
                    message = "nodes require each other: " + " -> ".join(loop)
                    self._problems.error(where, message, "break the cycle", "requirement-cycle")
                elif target not in done:
                    path[target] = self._edges(target)
        return tuple(done)

    def _edges(self, name: str) -> list[tuple[str, Location]]:
        """Give what a node requires, last first."""
        uses = reversed(self._template.nodes[name].requirements)
        return [
            (use.target, use.location)
            for use in uses
            if use.target is not None and use.target in self._template.nodes
        ]
