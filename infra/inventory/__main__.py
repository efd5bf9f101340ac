"""`python -m infra.inventory SITE < outputs.json`: write a site's inventory.

Reads what `pulumi stack output --json` prints for the site's stack.
"""

from __future__ import annotations

import json
import sys

from infra import settings
from infra.errors import InfraError
from infra.inventory import parse_outputs, write
from infra.sites import load_site
from tosca.errors import ToscaError


def main(arguments: list[str]) -> int:
    """Return the exit code; the path that was written goes to standard output."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m infra.inventory SITE < OUTPUTS.json\n")
        return 2
    name = arguments[0]
    here = settings.load()
    try:
        outputs = parse_outputs(json.load(sys.stdin), site=name)
        site = load_site(here.inventories, name)
        path = write(site, outputs, folder=here.inventories / name, key_file=here.private_key)
    except json.JSONDecodeError as error:
        sys.stderr.write(
            f"standard input is not JSON ({error}); give it `pulumi stack output --json`\n"
        )
        return 1
    except (InfraError, ToscaError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
