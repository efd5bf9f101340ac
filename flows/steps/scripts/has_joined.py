"""Runs as root on a site's first server: whether it holds what a join token buys."""  # noqa: INP001

import json
import pathlib
import sys

sys.stdout.write(json.dumps(pathlib.Path("/etc/skerry/site-credential.json").is_file()))
