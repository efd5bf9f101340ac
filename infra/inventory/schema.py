"""`python -m infra.inventory.schema [--check]`: write or compare schemas/inventory.schema.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from infra.files import write_atomic
from infra.inventory.model import Inventory

SCHEMA_FILE = Path(__file__).resolve().parents[2] / "schemas" / "inventory.schema.json"


def inventory_schema() -> str:
    """The JSON Schema of hosts.yml, as the bytes of its file."""
    schema = Inventory.model_json_schema(mode="validation")
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A site's inventory (hosts.yml)",
        **{key: value for key, value in schema.items() if key != "title"},
    }
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    """Return 1 when `--check` finds the committed file out of date."""
    if arguments == ["--check"]:
        if SCHEMA_FILE.is_file() and SCHEMA_FILE.read_text() == inventory_schema():
            return 0
        sys.stderr.write(f"{SCHEMA_FILE} is out of date; run `python -m infra.inventory.schema`\n")
        return 1
    write_atomic(SCHEMA_FILE, inventory_schema())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
