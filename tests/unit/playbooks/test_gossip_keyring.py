"""gossip_keyring against rings in memory that answer as Consul's and Nomad's do."""

from __future__ import annotations

import time

import pytest

HEADERS = {"consul": "X-Consul-Token", "nomad": "X-Nomad-Token"}


class Ring:
    """Three members; `slow` is how many looks it takes until all have followed a change."""

    def __init__(self, kind, engine, keys, primary, slow=0):
        self.kind, self.keys, self.primary = kind, dict.fromkeys(keys, 3), primary
        self.slow, self.behind, self.steps = slow, 0, []
        if kind == "consul":
            path = "/v1/operator/keyring"
            engine.on["GET", path] = lambda _body: (200, self.consul())
            for method, verb in (("POST", "install"), ("PUT", "use"), ("DELETE", "remove")):
                engine.on[method, path] = lambda body, verb=verb: self.change(verb, body["Key"])
        else:
            engine.on["GET", "/v1/agent/keyring/list"] = lambda _body: (
                200, {"Keys": self.holders(), "NumNodes": 3, "Messages": {}})  # fmt: skip
            for verb in ("install", "use", "remove"):
                engine.on["POST", f"/v1/agent/keyring/{verb}"] = lambda body, verb=verb: (
                    self.change(verb, body["Key"]))  # fmt: skip

    def holders(self):
        late, self.behind = self.behind > 0, max(0, self.behind - 1)
        return {key: 2 if late else held for key, held in self.keys.items()}

    def consul(self):
        held = self.holders()
        one = {"Keys": held, "PrimaryKeys": {self.primary: held[self.primary]}, "NumNodes": 3}
        return [{**one, "WAN": True}, {**one, "WAN": False}]

    def change(self, verb, key):
        self.steps.append((verb, key))
        self.behind = self.slow
        if verb == "install":
            self.keys[key] = 3
        elif key not in self.keys:
            return 500, b"key is not in the keyring"
        elif verb == "use":
            self.primary = key
        elif key == self.primary:
            return 500, b"removing the primary key is not allowed"
        else:
            del self.keys[key]
        return 200, {}


@pytest.fixture
def settle(plugin, run, engine):
    module = plugin("library/gossip_keyring.py")

    def call(kind, keys, primary, **more):
        return run(module, url=engine.url, engine=kind, token_header=HEADERS[kind], keys=keys,
                   primary=primary, **more)  # fmt: skip

    return call


@pytest.mark.parametrize("kind", ["consul", "nomad"])
@pytest.mark.parametrize("slow", [0, 3])
def test_a_new_key_is_on_every_member_before_it_is_used_and_the_old_one_goes_last(
    settle, engine, kind, slow
):
    ring = Ring(kind, engine, ["old"], "old", slow)

    settle(kind, ["old", "new"], "old")
    settle(kind, ["new"], "new")

    assert [step for step in ring.steps if step != ("use", "old")] == [
        ("install", "new"), ("use", "new"), ("remove", "old")]  # fmt: skip
    assert ring.primary == "new"


@pytest.mark.parametrize("kind", ["consul", "nomad"])
def test_a_ring_that_is_as_it_should_be_is_left_alone(settle, engine, kind):
    ring = Ring(kind, engine, ["new"], "new")

    result = settle(kind, ["new"], "new")

    assert (result["changed"], result["steps"], ring.steps) == (False, [], [])


@pytest.mark.parametrize(
    ("keys", "primary"),
    [
        pytest.param(["old", "new"], "old", id="killed after the installation"),
        pytest.param(["old", "new"], "new", id="killed after the change of key"),
        pytest.param(["old", "new", "older"], "new", id="a rotation before it was killed too"),
    ],
)
def test_a_rotation_that_was_killed_goes_on_where_it_stopped(settle, engine, keys, primary):
    ring = Ring("consul", engine, keys, primary)

    settle("consul", ["new"], "new")

    assert (set(ring.keys), ring.primary) == ({"new"}, "new")
    assert settle("consul", ["new"], "new")["changed"] is False


def test_check_mode_counts_the_steps_and_takes_none(settle, engine):
    ring = Ring("consul", engine, ["old"], "old")

    result = settle("consul", ["new"], "new", check=True)

    assert result["steps"] == ["installed a key", "changed the key in use", "removed a key"]
    assert ring.steps == []


def test_a_member_that_does_not_follow_is_an_error(settle, engine, monkeypatch):
    Ring("consul", engine, ["old"], "old", slow=10**9)
    start, clock = time.monotonic(), iter(range(0, 10**6, 30))
    monkeypatch.setattr(time, "monotonic", lambda: start + next(clock))

    result = settle("consul", ["old", "new"], "old", retry_s=10**6)

    assert "some members did not follow within 60 s" in result["msg"]


def test_keys_are_never_in_the_answer(settle, engine):
    Ring("consul", engine, ["0ldkey"], "0ldkey")

    assert "n3wkey" not in str(settle("consul", ["n3wkey"], "n3wkey"))
