"""The Docker policy: what a container may ask for, and that what cannot be judged is refused."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading

import pytest

CREATE = "/v1.41/containers/create?name=x"


@pytest.fixture
def policy(plugin, monkeypatch, tmp_path):
    module = plugin("roles/container_runtime/files/docker_policy.py")
    (tmp_path / "alloc/1/task").mkdir(parents=True)
    monkeypatch.setattr(module, "BINDABLE", (f"{tmp_path}/alloc/",))
    return module


def question(body, uri=CREATE, method="POST"):
    raw = json.dumps(body).encode() if not isinstance(body, bytes) else body
    return {
        "RequestMethod": method,
        "RequestUri": uri,
        "RequestBody": base64.b64encode(raw).decode(),
    }


def host(**config):
    return question({"Image": "x", "HostConfig": config})


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({}, id="nothing"),
        pytest.param(
            {"Privileged": False, "Binds": None, "CapAdd": None, "Devices": [], "PidMode": ""},
            id="what a client writes for nothing",
        ),
        pytest.param({"CapAdd": ["NET_BIND_SERVICE", "CAP_CHOWN"]}, id="default capabilities"),
        pytest.param({"CapDrop": ["ALL"]}, id="fewer capabilities"),
        pytest.param({"NetworkMode": "bridge"}, id="the bridge"),
        pytest.param({"NetworkMode": "container:abc"}, id="the network of its own group"),
        pytest.param({"IpcMode": "private"}, id="memory of its own"),
        pytest.param({"SecurityOpt": ["no-new-privileges:true"]}, id="a tighter option"),
        pytest.param({"CgroupParent": "nomad.slice"}, id="Nomad's cgroup"),
        pytest.param({"Mounts": [{"Type": "tmpfs", "Target": "/t"}]}, id="memory as files"),
    ],
)
def test_an_ordinary_container_is_allowed(policy, config):
    assert policy.decide(host(**config)) == {"Allow": True}


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"Privileged": True}, "privileged"),
        ({"PidMode": "host"}, "PidMode=host"),
        ({"PidMode": "container:other"}, "PidMode=container"),
        ({"IpcMode": "host"}, "IpcMode=host"),
        ({"IpcMode": "container:other"}, "IpcMode=container"),
        ({"UsernsMode": "host"}, "UsernsMode=host"),
        ({"UTSMode": "host"}, "UTSMode=host"),
        ({"NetworkMode": "host"}, "NetworkMode=host"),
        ({"CgroupnsMode": "host"}, "CgroupnsMode=host"),
        ({"Binds": ["/:/host:ro"]}, "host path /"),
        ({"Binds": ["/var/run/docker.sock:/s"]}, "host path /var/run/docker.sock"),
        ({"Mounts": [{"Type": "bind", "Source": "/etc", "Target": "/e"}]}, "host path /etc"),
        (
            {"Mounts": [{"Type": "volume", "Source": "v", "VolumeOptions": {"DriverConfig": {
                "Name": "local", "Options": {"type": "none", "o": "bind", "device": "/"}}}}]},
            "volume driver of v",
        ),
        ({"VolumeDriver": "local"}, "volume driver local"),
        ({"VolumesFrom": ["other"]}, "volumes of other"),
        ({"Devices": [{"PathOnHost": "/dev/sda"}]}, "device /dev/sda"),
        ({"DeviceCgroupRules": ["b *:* rwm"]}, "device rule b *:* rwm"),
        ({"CapAdd": ["SYS_ADMIN"]}, "capability SYS_ADMIN"),
        ({"CapAdd": ["cap_sys_ptrace"]}, "capability SYS_PTRACE"),
        ({"CapAdd": ["ALL"]}, "capability ALL"),
        ({"SecurityOpt": ["seccomp=unconfined"]}, "security option seccomp=unconfined"),
        ({"SecurityOpt": ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']}, "option seccomp"),
        ({"SecurityOpt": ["apparmor=unconfined"]}, "security option apparmor=unconfined"),
        ({"SecurityOpt": ["label=disable"]}, "security option label=disable"),
        ({"SecurityOpt": ["no-new-privileges:false"]}, "security option no-new-privileges:false"),
        ({"CgroupParent": "/system.slice"}, "cgroup parent /system.slice"),
    ],
)  # fmt: skip
def test_a_container_that_reaches_past_its_walls_is_refused_by_name(policy, config, named):
    answer = policy.decide(host(**config))

    assert answer["Allow"] is False
    assert named in answer["Msg"]


def test_all_that_is_refused_is_named_at_once(policy):
    message = policy.decide(host(Privileged=True, PidMode="host"))["Msg"]

    assert "privileged, PidMode=host" in message


def test_a_task_sees_its_allocations_own_files(policy, tmp_path):
    assert policy.decide(host(Binds=[f"{tmp_path}/alloc/1/task:/local"])) == {"Allow": True}


@pytest.mark.parametrize("path", ["alloc/../secret", "alloc/../../etc", "allocation", "alloc"])
def test_a_path_that_only_looks_like_an_allocations_is_refused(policy, tmp_path, path):
    allowed = policy.decide(host(Binds=[f"{tmp_path}/{path}:/x"]))["Allow"]

    assert allowed is (path == "alloc")


def test_a_link_that_leads_out_of_the_allocation_is_refused(policy, tmp_path):
    (tmp_path / "alloc/1/task/out").symlink_to("/")

    assert policy.decide(host(Binds=[f"{tmp_path}/alloc/1/task/out:/x"]))["Allow"] is False


@pytest.mark.parametrize(
    "uri",
    [
        "/containers/create",
        "/v1.24/containers/create",
        "//v1.41//containers/create",
        "/v1.41/containers/%63reate",
        "/v1.41/containers%2Fcreate?name=x",
    ],
)
def test_a_creation_is_judged_however_its_path_is_written(policy, uri):
    answer = policy.decide(question({"HostConfig": {"Privileged": True}}, uri))

    assert answer["Allow"] is False


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"null", b'{"HostConfig": []}', b'{"HostConfig": {"Mounts": [1]}}'],
)
def test_a_body_that_cannot_be_judged_is_refused(policy, body):
    answer = policy.decide(question(body))

    refused = {"Allow": False, "Msg": "skerry: the request's body could not be read"}
    assert answer == ({"Allow": True} if body == b'{"HostConfig": []}' else refused)


def test_a_body_that_the_daemon_did_not_pass_on_is_refused(policy):
    assert policy.decide({"RequestMethod": "POST", "RequestUri": CREATE})["Allow"] is False


@pytest.mark.parametrize(
    ("body", "allowed"), [({"Cmd": ["sh"]}, True), ({"Cmd": ["sh"], "Privileged": True}, False)]
)
def test_a_command_in_a_container_may_not_be_privileged(policy, body, allowed):
    answer = policy.decide(question(body, "/v1.41/containers/abc/exec"))

    assert answer["Allow"] is allowed


@pytest.mark.parametrize(
    ("method", "uri"),
    [("GET", "/v1.41/containers/json"), ("POST", "/v1.41/containers/abc/start"),
     ("DELETE", "/v1.41/containers/abc"), ("GET", "/v1.41/containers/create")],
)  # fmt: skip
def test_other_requests_pass(policy, method, uri):
    assert policy.decide({"RequestMethod": method, "RequestUri": uri}) == {"Allow": True}


class Unix(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=5)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def test_the_daemon_is_answered_in_its_protocol(policy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with policy.Server("p.sock", policy.Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        answers = []
        for path, body in (
            ("/Plugin.Activate", b""),
            ("/AuthZPlugin.AuthZReq", json.dumps(host(Privileged=True)).encode()),
            ("/AuthZPlugin.AuthZRes", b"{}"),
        ):
            connection = Unix("p.sock")
            connection.request("POST", path, body=body)
            answers.append(json.loads(connection.getresponse().read()))
            connection.close()
        server.shutdown()
        thread.join()

    assert answers[0] == {"Implements": ["authz"]}
    assert answers[1]["Allow"] is False
    assert answers[2] == {"Allow": True}
