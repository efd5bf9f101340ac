"""A federation is stood up by a flow that is killed five times on its way."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.steps import access, pulumi, remote
from flows.steps.nomad import Region
from infra import settings

CHECKOUT = Path(__file__).resolve().parents[2]
FEDERATION = "skerry-test-flow"
LABEL = f"label=skerry.federation={FEDERATION}"
MACHINES = {
    f"{FEDERATION}-{name}" for name in ("control-server-1", "aa-server-1", "aa-cpu-1", "aa-edge-1")
}
FILES = {
    "federation.yaml": f"""\
name: {FEDERATION}
domain: flow.test
mode: federated
control_site: control
control_address: 10.65.0.18
wide_area_cidr: 10.65.0.0/24
communities: [oceans]
sites: [aa]
""",
    "control/site.yaml": """\
name: control
template: control_site
provider: {kind: local}
inputs: {private_cidr: 10.68.0.0/24, wide_area_cidr: 10.65.0.16/28}
""",
    "aa/site.yaml": """\
name: aa
template: federated_site
provider: {kind: local}
inputs: {private_cidr: 10.68.1.0/24, wide_area_cidr: 10.65.0.32/28, communities: [oceans]}
""",
}
# Counts the credentials that were ever made out to a site.
CREDENTIALS = """
import http.client, json, pathlib, ssl
context = ssl.create_default_context(cafile="/etc/skerry/pki/ca.pem")
def call(method, path, token="", body=None):
    connection = http.client.HTTPSConnection("127.0.0.1", 8200, context=context, timeout=20)
    connection.request(method, path, body=body, headers={"X-Vault-Token": token} if token else {})
    return json.loads(connection.getresponse().read() or b"{}")
operator = pathlib.Path("/etc/skerry/vault-operator.json").read_text()
token = call("POST", "/v1/auth/approle/login", body=operator)["auth"]["client_token"]
print(json.dumps(call("LIST", "/v1/auth/approle/role/site-aa/secret-id", token)["data"]["keys"]))
"""
DEPLOY_S = 900.0


class Run:
    """`python -m flows deploy` in a process group of its own."""

    def __init__(self, env: dict[str, str]) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flows", "deploy"],
            cwd=CHECKOUT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line.rstrip())

    def until(self, seen: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + DEPLOY_S
        while not seen():
            assert self.process.poll() is None, f"ended before {what}:\n" + self.text()
            assert time.monotonic() < deadline, f"no {what} in time:\n" + self.text()
            time.sleep(0.02)

    def until_line(self, pattern: str) -> None:
        self.until(lambda: any(re.search(pattern, line) for line in self.lines), pattern)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self) -> int:
        code = self.process.wait(DEPLOY_S)
        self.reader.join(10)
        return code

    def text(self) -> str:
        return "\n".join(self.lines[-40:])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the inventories and the state of a federation, which is removed in the end."""
    folder = tmp_path_factory.mktemp("killed")
    for name, content in FILES.items():
        file = folder / "inventories" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    yield folder
    done = subprocess.run(
        [sys.executable, "-m", "flows", "down"],
        cwd=CHECKOUT,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert docker("ps", "--all", "--format", "{{.Names}}") == []
    assert docker("network", "ls", "--format", "{{.Name}}") == []
    assert docker("volume", "ls", "--format", "{{.Name}}") == []
    assert not (folder / "state").exists()


@pytest.fixture(scope="module")
def standing(home: Path) -> settings.Settings:
    """The federation after five kills and one run to the end."""
    env = environment(home)
    state, logs = home / "state", home / "build" / "logs"

    run = Run(env)
    run.until_line(r"control: machines \.\.\.")
    run.until(lambda: docker("ps", "--format", "{{.Names}}"), "a machine that Pulumi makes")
    run.kill()

    run = Run(env)
    run.until_line("control: machines done")
    run.kill()

    run = Run(env)
    run.until((state / f"vault-init-{FEDERATION}.json").is_file, "the root of trust")
    run.kill()

    run = Run(env)
    run.until_line("aa: admission done")
    run.kill()

    run = Run(env)
    run.until_line("aa: admission done .*not used yet")
    run.until_line(r"aa: join \.\.\.")
    log = logs / "aa-join-provider.log"
    run.until(lambda: "PLAY [Agents]" in log.read_text() if log.exists() else "", "half a join")
    run.kill()

    run = Run(env)
    assert run.end() == 0, run.text()
    return settings.load(env)


@pytest.fixture(scope="module")
def region(standing: settings.Settings) -> Region:
    """The site's Nomad with its management token."""
    keys = access.fetch("aa", standing)
    return Region("aa", keys.nomad, keys.nomad_token.read_text().strip())


def environment(home: Path) -> dict[str, str]:
    here = {"SKERRY_STATE": str(home / "state"), "SKERRY_INVENTORIES": str(home / "inventories")}
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    return {**kept, **here}


def docker(*arguments: str) -> list[str]:
    shown = subprocess.run(
        ["docker", *arguments, "--filter", LABEL], capture_output=True, text=True, check=True
    )
    return shown.stdout.split()


def test_there_is_exactly_one_container_per_machine(standing: settings.Settings) -> None:
    assert sorted(docker("ps", "--all", "--format", "{{.Names}}")) == sorted(MACHINES)


def test_there_is_exactly_one_nomad_node_per_worker(region: Region) -> None:
    nodes = region.call("GET", "/v1/nodes")
    assert [(one["Name"], one["Status"], one["SchedulingEligibility"]) for one in nodes] == [
        ("aa-cpu-1", "ready", "eligible")
    ]


def test_there_is_exactly_one_server_per_region(region: Region) -> None:
    members = region.call("GET", "/v1/agent/members")["Members"]
    assert sorted((one["Name"], one["Status"]) for one in members) == [
        ("aa-server-1.aa", "alive"),
        ("control-server-1.control", "alive"),
    ]


def test_each_job_was_submitted_and_placed_once(region: Region) -> None:
    jobs = region.call("GET", "/v1/jobs", namespace="*")
    assert sorted((one["ID"], one["Namespace"]) for one in jobs) == [
        ("demo-page", "oceans"),
        ("demo-run", "oceans"),
    ]
    assert sorted(one.job for one in region.all_allocations()) == ["demo-page", "demo-run"]


def test_there_is_exactly_one_management_token(region: Region) -> None:
    tokens = region.call("GET", "/v1/acl/tokens")
    assert sum(one["Type"] == "management" for one in tokens) == 1


def test_the_site_was_given_exactly_one_credential(standing: settings.Settings) -> None:
    where = remote.login("control", standing)
    shown = subprocess.run(
        where.argv("sudo -n python3 -"),
        input=CREDENTIALS,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(json.loads(shown.stdout)) == 1


def test_no_stack_is_locked_and_none_has_anything_pending(standing: settings.Settings) -> None:
    for site in ("control", "aa"):
        assert pulumi.locks(site, standing) == []
        assert pulumi.unchanged(site, standing)


def test_no_process_of_a_killed_run_is_left(standing: settings.Settings) -> None:
    mine = os.getpid()
    left = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environ = (folder / "environ").read_bytes()
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if int(folder.name) != mine and f"SKERRY_STATE={standing.state}".encode() in environ:
            left.append(words)
    assert left == []
