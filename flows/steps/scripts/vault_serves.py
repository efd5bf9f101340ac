"""Runs as root on the control site's first server: whether Vault is unsealed and answers."""  # noqa: INP001

import http.client
import json
import ssl
import sys

try:
    context = ssl.create_default_context(cafile="/etc/skerry/pki/ca.pem")
    connection = http.client.HTTPSConnection("127.0.0.1", 8200, timeout=10, context=context)
    connection.request("GET", "/v1/sys/health")
    serves = connection.getresponse().status == http.HTTPStatus.OK
except OSError:
    serves = False
sys.stdout.write(json.dumps(serves))
