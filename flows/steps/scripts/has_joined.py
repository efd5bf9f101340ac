# Runs as root on a site's first server: whether it holds the credential that a join token buys.
import json
import pathlib

print(json.dumps(pathlib.Path("/etc/skerry/site-credential.json").is_file()))
