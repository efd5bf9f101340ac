"""JSON Schemas of the files an operator writes, for editors and other tools.

`python -m tosca.schema` writes them to schemas/, `--check` only says whether they are up to date.
The inputs of a site are described from the inputs of the templates, so a template is enough.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tosca.catalogue import Catalogue
from tosca.definitions import Schema
from tosca.errors import Location, Problems
from tosca.files import SiteFile
from tosca.load import TEMPLATES, catalogue, normative, provider_kinds, read_source
from tosca.model import Federation
from tosca.nodes import Scalar, Seq, plain
from tosca.scalars import UNITS
from tosca.template import Template, read_template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tosca.definitions import Constraint

SCHEMAS: Final = Path(__file__).parent.parent / "schemas"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_JSON_TYPES: Final = {
    "string": "string",
    "integer": "integer",
    "float": "number",
    "boolean": "boolean",
    "list": "array",
    "map": "object",
}


def schemas() -> dict[str, dict[str, Any]]:
    """Give every schema by its file name."""
    return {
        "federation.schema.json": _headed("A federation", Federation.model_json_schema()),
        "site.schema.json": _headed("A site of a federation", _site()),
    }


def _headed(title: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": _DIALECT, **body, "title": title}


def _site() -> dict[str, Any]:
    """Describe site.yaml: the model, and per template the inputs it takes."""
    body = SiteFile.model_json_schema()
    names = sorted(path.stem for path in TEMPLATES.glob("*.yaml"))
    body["properties"]["template"]["enum"] = names
    body["properties"]["inputs"] = {"type": "object"}
    body["required"].append("inputs")
    body["properties"]["provider"] = {
        "description": body["properties"]["provider"]["description"],
        "oneOf": [_provider(kind) for kind in provider_kinds()],
    }
    body["allOf"] = [
        {
            "if": {"properties": {"template": {"const": name}}},
            "then": {"properties": {"inputs": template_inputs(TEMPLATES / f"{name}.yaml")}},
        }
        for name in names
    ]
    return body


def _provider(kind: str) -> dict[str, Any]:
    """Describe the settings of a provider by its data type."""
    types = Catalogue({key: one for source in normative() for key, one in source.types.items()})
    name = f"skerry.providers.{kind}"
    body = _value(Schema(name, Location(name)), types)
    body["properties"]["kind"] = {"const": kind}
    return body


def template_inputs(path: Path) -> dict[str, Any]:
    """Describe the inputs of a template. Raises ToscaError when the template cannot be read."""
    problems = Problems()
    source = read_source(path, problems)
    template: Template | None = None
    if source is not None and source.root is not None:
        types = catalogue(path, source, {}, problems)
        template = read_template(source.root, problems)
    problems.raise_errors()
    if template is None:
        return {"type": "object"}
    required = [
        name
        for name, schema in template.inputs.items()
        if schema.required and schema.default is None
    ]
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": {name: _value(one, types) for name, one in template.inputs.items()},
    }


def _value(schema: Schema, types: Catalogue) -> dict[str, Any]:
    """Describe one value: its type, its conditions, its default."""
    data_type = types.get("data", schema.type)
    primitive = types.root_primitive(schema.type)
    body: dict[str, Any] = {}
    if schema.description:
        body["description"] = schema.description
    if primitive is None and data_type is not None:
        body["type"] = "object"
        body["additionalProperties"] = False
        body["properties"] = {
            name: _value(one, types) for name, one in data_type.properties.items()
        }
        body["required"] = [
            name
            for name, one in data_type.properties.items()
            if one.required and one.default is None
        ]
    elif primitive in UNITS:
        units = "|".join(UNITS[primitive])
        body |= {"type": "string", "pattern": rf"^[0-9]+(\.[0-9]+)?\s*({units})$"}
    elif primitive in _JSON_TYPES:
        body["type"] = _JSON_TYPES[primitive]
    if schema.entry is not None:
        key = "items" if primitive == "list" else "additionalProperties"
        body[key] = _value(schema.entry, types)
    inherited = data_type.constraints if data_type is not None else ()
    if primitive not in UNITS:
        for constraint in (*inherited, *schema.constraints):
            body |= _condition(constraint)
    if schema.default is not None:
        body["default"] = plain(schema.default)
    return body


def _condition(constraint: Constraint) -> dict[str, Any]:
    """Translate a constraint; one that JSON Schema cannot say is left to the compiler."""
    argument = constraint.argument
    match constraint.kind, argument:
        case "valid_values", Seq():
            return {"enum": plain(argument)}
        case "equal", _:
            return {"const": plain(argument)}
        case "pattern", Scalar(text=pattern):
            return {"pattern": f"^({pattern})$"}
        case "in_range", Seq(items=(Scalar(value=int() as least), Scalar(value=int() as most))):
            return {"minimum": least, "maximum": most}
        case "greater_or_equal", Scalar(value=int() as least):
            return {"minimum": least}
        case "min_length", Scalar(value=int() as least):
            return {"minLength": least}
    return {}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the schemas; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tosca.schema")
    parser.add_argument("--check", action="store_true", help="change nothing, 1 when out of date")
    options = parser.parse_args(arguments)
    stale = 0
    for name, body in schemas().items():
        path = SCHEMAS / name
        wanted = json.dumps(body, indent=2) + "\n"
        if path.is_file() and path.read_text(encoding="utf-8") == wanted:
            continue
        stale += 1
        if options.check:
            message = f"schemas/{name} is out of date: run `python -m tosca.schema`\n"
            sys.stderr.write(message)
        else:
            SCHEMAS.mkdir(exist_ok=True)
            path.write_text(wanted, encoding="utf-8")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
