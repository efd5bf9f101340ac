"""The `provider:` of a site's file, checked against the data type that describes its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from tosca.definitions import Schema
from tosca.errors import nearest
from tosca.load import provider_kinds
from tosca.model import ListedMachine, Provider
from tosca.nodes import Map, Scalar, plain
from tosca.values import Checker

if TYPE_CHECKING:
    from typing import Any

    from tosca.catalogue import Catalogue
    from tosca.errors import Problems

_TYPE: Final = "skerry.providers."
_LISTING: Final = "skerry.datatypes.ListingProvider"


def read_provider(root: Map, types: Catalogue, problems: Problems) -> Provider | None:
    """Read the provider of a site; None when something is wrong with it, which is reported."""
    before = problems.mark()
    node, place = root.entries["provider"], root.entries["provider"].location
    kind = node.get("kind") if isinstance(node, Map) else None
    if not isinstance(kind, Scalar) or kind.text not in provider_kinds():
        message = "provider is of no kind that is known"
        remedy = f"set kind; {nearest('', provider_kinds())}"
        problems.error(
            place if kind is None else kind.location, message, remedy, "unknown-provider"
        )
        return None
    type_name = _TYPE + kind.text
    checked = Checker(types, problems).conform(node, Schema(type_name, place), "provider")
    if problems.errors_since(before):
        return None
    settings = cast("dict[str, Any]", plain(checked))
    del settings["kind"]
    listed = None
    if types.is_a("data", type_name, _LISTING):
        listed = {
            name: ListedMachine(
                address=one["address"], wide_area_address=one.get("wide_area_address")
            )
            for name, one in settings["machines"].items()
        }
    return Provider(kind=kind.text, settings=settings, listed=listed)
