"""`python -m tosca check`: the only command of this package."""

import sys

from tosca.cli import main

if __name__ == "__main__":
    sys.exit(main())
