"""Whether an inventory file is as it was generated.

A digest over the parsed content shows that something changed, short digests of its parts show
what. This finds honest edits; it is no protection against a person who means harm.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

DIGEST = "fed_inventory_sha256"
PARTS = "fed_inventory_parts"
REMEDY = "run the stack's inventory step again; changes belong in the site's site.yaml"
_SHORT = 12


def digest(document: Mapping[str, Any]) -> str:
    """SHA-256 over the parsed content without the digest itself; formatting does not count."""
    return _sha256(_without(document, DIGEST))


def part_digests(document: Mapping[str, Any]) -> dict[str, str]:
    """A short digest for every host, group and site variable, by a name a person understands."""
    return {
        name: _sha256(value)[:_SHORT]
        for name, value in sorted(_parts(_without(document, DIGEST, PARTS)))
    }


def inventory_problems(inventory_file: str) -> list[str]:
    """What is wrong with a generated inventory file; empty when it is intact."""
    try:
        document = yaml.safe_load(Path(inventory_file).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        return [f"{inventory_file}: cannot be read: {error}. Remedy: {REMEDY}"]
    recorded = _site_vars(document)
    if not isinstance(recorded.get(DIGEST), str):
        return [f"{inventory_file}: carries no digest, so it was not generated. Remedy: {REMEDY}"]
    if digest(document) == recorded[DIGEST]:
        return []
    changes = _changes(recorded.get(PARTS), part_digests(document))
    return [
        f"{inventory_file}: {change} since it was generated. Remedy: {REMEDY}"
        for change in changes or ["its list of digests was changed"]
    ]


def _changes(then: object, now: Mapping[str, str]) -> list[str]:
    before: Mapping[str, str] = then if isinstance(then, dict) else {}
    return [
        f"{name} was "
        + ("added" if name not in before else "removed" if name not in now else "changed")
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def _parts(document: object) -> Iterator[tuple[str, object]]:
    children = _mapping(_mapping(_mapping(document).get("all")).get("children"))
    for group_name, group in children.items():
        content = _mapping(group)
        hosts = _mapping(content.get("hosts"))
        if "vars" in content:
            for key, value in _mapping(content["vars"]).items():
                yield f"variable {key}", value
            for host, values in hosts.items():
                yield f"host {host}", values
        else:
            yield f"group {group_name}", sorted(hosts.items(), key=lambda item: str(item[0]))
    rest = {key: value for key, value in _mapping(document).items() if key != "all"}
    rest |= {
        f"all.{key}": value
        for key, value in _mapping(_mapping(document).get("all")).items()
        if key != "children"
    }
    for key, value in rest.items():
        yield f"section {key}", value


def _without(document: Mapping[str, Any], *keys: str) -> object:
    def copy(value: object) -> object:
        if isinstance(value, Mapping):
            return {str(k): copy(v) for k, v in value.items() if k not in keys}
        return [copy(item) for item in value] if isinstance(value, list) else value

    return copy(document)


def _site_vars(document: object) -> Mapping[str, Any]:
    children = _mapping(_mapping(_mapping(document).get("all")).get("children"))
    for group in children.values():
        variables = _mapping(_mapping(group).get("vars"))
        if DIGEST in variables:
            return variables
    return {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sha256(value: object) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()
