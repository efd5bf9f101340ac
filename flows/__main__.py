"""What make calls: `python -m flows deploy|join|verify|retire|down|env ...`."""

import sys

from flows.cli import main

if __name__ == "__main__":
    sys.exit(main())
