# Runs as root on a site's first server: answers with what its operator needs to use its engines.
import http.client
import json
import pathlib
import ssl

request = json.loads(REQUEST)  # noqa: F821 - the caller puts it above
site = request["site"]
context = ssl.create_default_context(cafile="/etc/skerry/pki/ca.pem")


def vault(method, path, token="", body=None):
    connection = http.client.HTTPSConnection(
        request["vault_address"], 8200, timeout=20, context=context
    )
    headers = {"X-Vault-Token": token} if token else {}
    connection.request(method, path, body=body and json.dumps(body), headers=headers)
    response = connection.getresponse()
    answer = json.loads(response.read() or b"{}")
    if response.status == 404:
        return {}
    if response.status != 200:
        raise SystemExit(f"Vault answered {response.status} to {method} {path}: {answer}")
    return answer


def secret(name):
    return (vault("GET", f"/v1/kv/data/sites/{site}/{name}", token).get("data") or {}).get(
        "data"
    ) or {}


credential = json.loads(pathlib.Path("/etc/skerry/site-credential.json").read_text())
token = vault("POST", "/v1/auth/approle/login", body=credential)["auth"]["client_token"]
engines = secret("engines")
print(
    json.dumps(
        {
            "ca": pathlib.Path("/etc/skerry/pki/ca.pem").read_text(),
            "certificate": pathlib.Path("/etc/skerry/operator/cert.pem").read_text(),
            "key": pathlib.Path("/etc/skerry/operator/key.pem").read_text(),
            "nomad_token": engines["nomad_management"],
            "consul_token": engines["consul_management"],
            "communities": {
                name.removeprefix("community-"): value
                for name, value in secret("communities").items()
            },
        }
    )
)
