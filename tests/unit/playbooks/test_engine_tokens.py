"""nomad_tokens, vault_tokens_revoked and members_left against APIs in memory."""

from __future__ import annotations

import itertools

import pytest


class Nomad:
    """Nomad's token API: it chooses accessor and secret itself."""

    def __init__(self, engine, *names):
        self.tokens, self.number, self.engine = {}, itertools.count(1), engine
        engine.on["GET", "/v1/acl/tokens"] = lambda _body: (200, list(self.listed()))
        engine.on["POST", "/v1/acl/token"] = self.make
        for name in names:
            self.make({"Name": name, "Policies": [name]})

    def listed(self):
        return (
            {key: value for key, value in one.items() if key != "SecretID"}
            for one in self.tokens.values()
        )

    def make(self, body):
        number = next(self.number)
        one = {**body, "AccessorID": f"a{number}", "SecretID": f"s{number}", "CreateIndex": number}
        self.tokens[f"a{number}"] = one
        path = f"/v1/acl/token/a{number}"
        self.engine.on["GET", path] = lambda _body: (200, one)
        self.engine.on["DELETE", path] = lambda _body: (
            204, self.tokens.pop(one["AccessorID"]) and None)  # fmt: skip
        return 200, one


@pytest.fixture
def nomad_tokens(plugin, run, engine):
    module = plugin("library/nomad_tokens.py")

    def call(*policies, **more):
        return run(module, url=engine.url, policies=list(policies), **more)

    return call


def test_each_policy_gets_one_token_and_keeps_it(nomad_tokens, engine):
    nomad = Nomad(engine)

    first = nomad_tokens("community-a", "community-b")
    second = nomad_tokens("community-a", "community-b")

    assert (first["changed"], second["changed"]) == (True, False)
    assert first["tokens"] == second["tokens"] == {"community-a": "s1", "community-b": "s2"}
    assert [one["Policies"] for one in nomad.tokens.values()] == [["community-a"], ["community-b"]]


def test_a_token_is_of_this_region_and_no_manager(nomad_tokens, engine):
    nomad = Nomad(engine)
    nomad_tokens("community-a")

    assert (nomad.tokens["a1"]["Type"], nomad.tokens["a1"]["Global"]) == ("client", False)


def test_the_oldest_of_two_tokens_is_kept_and_the_others_are_deleted(nomad_tokens, engine):
    nomad = Nomad(engine, "community-a", "else", "community-a")

    result = nomad_tokens("community-a")

    assert (result["changed"], result["tokens"]) == (True, {"community-a": "s1"})
    assert sorted(nomad.tokens) == ["a1", "a2"]
    assert nomad_tokens("community-a")["changed"] is False


def test_checking_makes_and_deletes_no_token(nomad_tokens, engine):
    nomad = Nomad(engine, "community-a", "community-a")

    result = nomad_tokens("community-a", "community-b", check=True)

    assert result["changed"] is True
    assert sorted(nomad.tokens) == ["a1", "a2"]


@pytest.fixture
def vault(engine):
    """Vault's token store: accessor to policies; those in `ended` end between list and look."""
    tokens, ended = (
        {"one": ["site-x"], "two": ["site-y"], "three": ["default", "workload-x"]},
        set(),
    )

    def lookup(body):
        accessor = body["accessor"]
        if accessor in ended or accessor not in tokens:
            return 403, {"errors": ["invalid accessor"]}
        return 200, {"data": {"policies": tokens[accessor]}}

    engine.on["GET", "/v1/auth/token/accessors?list=true"] = lambda _body: (
        200, {"data": {"keys": sorted(tokens)}})  # fmt: skip
    engine.on["POST", "/v1/auth/token/lookup-accessor"] = lookup
    engine.on["POST", "/v1/auth/token/revoke-accessor"] = lambda body: (
        204, tokens.pop(body["accessor"]) and None)  # fmt: skip
    return tokens, ended


@pytest.fixture
def revoke(plugin, run, engine):
    module = plugin("library/vault_tokens_revoked.py")
    return lambda **more: run(module, url=engine.url, policies=["site-x", "workload-x"], **more)


def test_tokens_with_a_policy_of_the_list_are_revoked_and_no_others(revoke, vault):
    result = revoke()

    assert (result["changed"], result["revoked"], sorted(vault[0])) == (True, 2, ["two"])
    assert revoke()["changed"] is False


def test_a_token_that_ends_meanwhile_is_no_error(revoke, vault):
    vault[1].add("one")

    assert revoke()["revoked"] == 1


def test_checking_revokes_no_token(revoke, vault):
    assert revoke(check=True)["revoked"] == 2
    assert len(vault[0]) == 3


class Gossip:
    """The wide-area pool as an agent of Consul or Nomad shows it."""

    def __init__(self, kind, members):
        self.kind, self.members, self.told = kind, dict(members), []

    def call(self, method, path, _body=None):
        if method == "GET":
            return 200, self.shown()
        name = path.split("/")[-1].split("?")[0] if self.kind == "consul" else path.split("=")[1]
        self.told.append(name)
        self.members[name] = 3 if self.kind == "consul" else "left"
        return 200, None

    def shown(self):
        if self.kind == "consul":
            return [
                {"Name": name, "Status": status, "Tags": {"dc": name.split("-")[0]}}
                for name, status in self.members.items()
            ]
        return {
            "Members": [
                {"Name": name, "Status": status, "Tags": {"region": name.split("-")[0]}}
                for name, status in self.members.items()
            ]
        }


STATES = {"consul": {"alive": 1, "left": 3, "failed": 4}}


@pytest.fixture
def left(plugin):
    return plugin("library/members_left.py")


def gossip(kind, **members):
    states = STATES.get(kind, {})
    named = {name.replace("_", "-"): states.get(was, was) for name, was in members.items()}
    return Gossip(kind, named)


@pytest.mark.parametrize("kind", ["consul", "nomad"])
def test_servers_that_vanished_are_told_to_leave_and_no_others(left, kind):
    ring = gossip(kind, xx_1="failed", xx_2="left", yy_1="failed")

    assert left.settle(ring, "xx", kind, 1e12, check=False) == ["xx-1"]
    assert ring.told == ["xx-1"]
    assert left.settle(ring, "xx", kind, 1e12, check=False) == []


@pytest.mark.parametrize("kind", ["consul", "nomad"])
def test_a_server_that_is_alive_is_not_touched_and_is_an_error(left, engine_api, kind):
    ring = gossip(kind, xx_1="alive")

    with pytest.raises(engine_api.ApiError, match=r"servers of xx are still there.*xx-1"):
        left.settle(ring, "xx", kind, 0, check=False)
    assert ring.told == []


@pytest.mark.parametrize("kind", ["consul", "nomad"])
def test_checking_tells_nobody_to_leave(left, kind):
    ring = gossip(kind, xx_1="failed")

    assert left.settle(ring, "xx", kind, 1e12, check=True) == ["xx-1"]
    assert ring.told == []


def test_without_tokens_no_engine_is_asked(left, run):
    assert run(left, site="xx") | {"invocation": None} == {
        "changed": False, "told": [], "invocation": None}  # fmt: skip
