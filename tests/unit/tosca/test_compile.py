"""From site.yaml to Site: what the committed sites compile to, and what is refused where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import tosca

if TYPE_CHECKING:
    from collections.abc import Callable

    from tosca.model import Federation, Site

ROOT = Path(__file__).parents[3]
INVENTORIES = ROOT / "inventories"
GOLDEN = ROOT / "tests" / "fixtures" / "tosca" / "golden"
PL = ROOT / "tests" / "fixtures" / "sites" / "pl"
SITES = [*(INVENTORIES / name for name in ("control", "es", "pt", "sk")), PL]

ES = """\
name: es
template: federated_site
provider: {kind: local}
inputs:
  private_cidr: 10.71.0.0/24
  wide_area_cidr: 10.60.0.32/28
  communities: [oceans]
"""
FEDERATION = """\
name: skerry-demo
domain: skerry.test
control_site: control
control_address: 10.60.0.18
wide_area_cidr: 10.60.0.0/24
communities: [oceans, forests]
sites: [es]
"""
KEY = "ssh-ed25519 AAAA"


@pytest.fixture(scope="module")
def federation() -> Federation:
    return tosca.load_federation(INVENTORIES / "federation.yaml")


@pytest.fixture
def compile_text(tmp_path: Path, federation: Federation) -> Callable[..., Site]:
    """Compile a site.yaml given as text, in a folder called as given."""

    def compile_(text: str, folder: str = "es") -> Site:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "site.yaml").write_text(text, encoding="utf-8")
        return tosca.compile_site(tmp_path / folder, federation)

    return compile_


def _found(error: tosca.ToscaError) -> list[tuple[int, int, str]]:
    return [
        (problem.location.line, problem.location.column, f"{problem.message}; {problem.remedy}")
        for problem in error.problems
    ]


@pytest.mark.parametrize("folder", SITES, ids=[path.name for path in SITES])
def test_a_committed_site_compiles_to_its_golden_plan(folder: Path, federation: Federation) -> None:
    site = tosca.compile_site(folder, federation)
    golden = (GOLDEN / f"{folder.name}.json").read_text(encoding="utf-8")
    assert golden == site.model_dump_json(indent=2) + "\n"


def test_all_sites_of_the_inventories_compile_together() -> None:
    federation, sites = tosca.load_sites(INVENTORIES)
    assert {federation.control_site, *federation.sites} <= {site.name for site in sites}


def test_machines_are_planned_in_order_with_addresses_only_where_they_belong(
    compile_text: Callable[..., Site],
) -> None:
    site = compile_text(ES.replace("  communities", "  servers: 3\n  gpu_count: 1\n  communities"))
    planned = [(one.name, one.private_address, one.wide_area_address) for one in site.machines]
    assert planned == [
        ("es-server-1", "10.71.0.10", "10.60.0.34"),
        ("es-server-2", "10.71.0.11", "10.60.0.35"),
        ("es-server-3", "10.71.0.12", "10.60.0.36"),
        ("es-cpu-1", "10.71.0.30", None),
        ("es-gpu-1", "10.71.0.130", None),
        ("es-edge-1", "10.71.0.20", "10.60.0.41"),
    ]


def test_sizes_with_units_become_whole_mib_and_gib_rounded_up(
    compile_text: Callable[..., Site],
) -> None:
    size = "{num_cpus: 2, mem_size: 2 GB, disk_size: 20 GB}"
    site = compile_text(ES + f"  cpu_size: {size}\n")
    cpu = next(pool for pool in site.pools if pool.kind == "cpu")
    assert (
        cpu.size.cpus,
        cpu.size.memory_mib,
        cpu.size.disk_gib,
        cpu.size.gpus,
    ) == (2, 1908, 19, 0)


def test_a_site_without_gpus_and_edge_has_those_pools_with_no_machines(
    compile_text: Callable[..., Site],
) -> None:
    site = compile_text(ES + "  edge: false\n")
    assert {pool.kind: pool.count for pool in site.pools} == {
        "gpu": 0,
        "edge": 0,
        "server": 1,
        "cpu": 1,
    }


class Case(NamedTuple):
    """A change to a good file, and what is said where about it."""

    old: str
    new: str
    line: int
    column: int
    message: str


SITE_CASES = {
    "name is not the folder": Case("name: es", "name: sp", 1, 7, "called sp, its folder es"),
    "name of the wrong form": Case("name: es", "name: Es-1", 1, 7, "name: 'Es-1' given, it"),
    "a name that YAML reads as no": Case("name: es", "name: no", 1, 7, "write 'no'"),
    "unknown key": Case("provider:", "provider_x: 1\nprovider:", 3, 1, "no key 'provider_x'"),
    "missing key": Case("provider: {kind: local}\n", "", 1, 1, "the file lacks 'provider'"),
    "unknown provider": Case("kind: local", "kind: moon", 3, 18, "local, static"),
    "provider with a key of another": Case(
        "kind: local", "kind: local, machines: {}", 3, 25, "provider has no 'machines'"
    ),
    "unknown template": Case(
        "federated_site", "federated_cite", 2, 11, "did you mean federated_site"
    ),
    "duplicate key": Case("inputs:\n", "name: es\ninputs:\n", 4, 1, "'name' is given twice"),
    "unknown input": Case("  communities", "  server: 3\n  communities", 7, 3, "servers"),
    "missing input": Case(
        "  private_cidr: 10.71.0.0/24\n", "", 5, 3, "input private_cidr has no value"
    ),
    "input of the wrong type": Case(
        "  communities", "  cpu_count: two\n  communities", 7, 14, "a whole number was expected"
    ),
    "input out of its values": Case(
        "  communities", "  servers: 2\n  communities", 7, 12, "one of 1, 3 was expected"
    ),
    "wrong unit": Case(
        "  communities",
        "  cpu_size: {mem_size: 4 GX}\n  communities",
        7,
        24,
        "cpu_size.mem_size: '4 GX' given, a number and one of B kB",
    ),
    "no unit": Case(
        "  communities", "  cpu_size: {mem_size: 4096}\n  communities", 7, 24, "add the unit"
    ),
    "unknown field of a size": Case(
        "  communities", "  cpu_size: {memory: 4 GiB}\n  communities", 7, 14, "mem_size"
    ),
    "not a network": Case("10.71.0.0/24", "10.71.0.0/44", 5, 17, "is not an IPv4 network"),
    "no CIDR at all": Case("10.71.0.0/24", "ten", 5, 17, "private_cidr: 'ten' given"),
    "host bits": Case("10.71.0.0/24", "10.71.0.5/24", 5, 17, "write 10.71.0.0/24"),
    "wide-area block elsewhere": Case(
        "10.60.0.32/28", "10.61.0.32/28", 6, 19, "not inside the federation's 10.60.0.0/24"
    ),
    "private network over the wide-area one": Case(
        "10.71.0.0/24", "10.60.0.0/16", 5, 17, "overlaps the federation's 10.60.0.0/24"
    ),
    "private network too small": Case(
        "10.71.0.0/24", "10.71.0.0/28", 5, 17, "too few addresses for the site's machines"
    ),
    "wide-area block too small": Case(
        "10.60.0.32/28", "10.60.0.32/30", 6, 19, "too few addresses for servers and edge"
    ),
    "unknown community": Case("[oceans]", "[oceans, ocean]", 7, 25, "did you mean oceans"),
    "community twice": Case("[oceans]", "[oceans, oceans]", 7, 3, "names oceans twice"),
    "control template elsewhere": Case(
        "federated_site", "control_site", 2, 1, "use federated_site"
    ),
}


@pytest.mark.parametrize("case", SITE_CASES.values(), ids=SITE_CASES)
def test_a_wrong_site_file_is_refused_at_the_place_of_the_mistake(
    case: Case, compile_text: Callable[..., Site]
) -> None:
    assert case.old in ES
    with pytest.raises(tosca.ToscaError) as caught:
        compile_text(ES.replace(case.old, case.new))
    found = _found(caught.value)
    assert [(case.line, case.column)] == [place[:2] for place in found if case.message in place[2]]
    assert str(caught.value).count("site.yaml") >= 1


def test_every_mistake_of_a_site_file_is_reported_in_one_go(
    compile_text: Callable[..., Site],
) -> None:
    text = ES.replace("10.71.0.0/24", "ten").replace("[oceans]", "[Oceans]") + "  servers: 2\n"
    with pytest.raises(tosca.ToscaError) as caught:
        compile_text(text, folder="pt")
    assert [problem.location.line for problem in caught.value.problems] == [1, 5, 7, 8]


def test_the_control_site_has_to_be_a_control_site_at_the_control_address(
    compile_text: Callable[..., Site],
) -> None:
    text = ES.replace("name: es", "name: control")
    with pytest.raises(tosca.ToscaError) as caught:
        compile_text(text, folder="control")
    found = [message for _, _, message in _found(caught.value)]
    assert ["federated site, but control_site is this one" in found[0], "10.60.0.34" in found[1]]


def test_a_missing_site_file_is_named(tmp_path: Path, federation: Federation) -> None:
    with pytest.raises(tosca.ToscaError, match=r"site\.yaml cannot be read: No such file"):
        tosca.compile_site(tmp_path, federation)


def _static(machines: dict[str, str]) -> str:
    lines = "".join(f"    {name}: {{{body}, host_key: {KEY}}}\n" for name, body in machines.items())
    return ES.replace("{kind: local}", f"\n  kind: static\n  machines:\n{lines.rstrip()}")


def test_existing_machines_are_taken_when_they_are_exactly_those_planned(
    compile_text: Callable[..., Site],
) -> None:
    site = compile_text(
        _static(
            {
                "es-server-1": "address: a.example, wide_area_address: 192.0.2.1",
                "es-cpu-1": "address: b.example",
                "es-edge-1": "address: c.example, wide_area_address: 192.0.2.3",
            }
        )
    )
    assert site.provider.kind == "static"


def test_existing_machines_that_do_not_fit_the_plan_are_named(
    compile_text: Callable[..., Site],
) -> None:
    text = _static(
        {
            "es-server-1": "address: a.example",
            "es-cpu-2": "address: a.example",
            "es-edge-1": "address: c.example, wide_area_address: 192.0.2.3",
        }
    )
    with pytest.raises(tosca.ToscaError) as caught:
        compile_text(text)
    assert _found(caught.value) == [
        (5, 3, ("the plan has a machine es-cpu-1, the provider has none of that name; "
               "add es-cpu-1, or ask for fewer machines")),
        (6, 5, ("es-server-1 has no wide_area_address, which other sites reach it by; "
               "add `wide_area_address:`")),
        (7, 5, "es-cpu-2 and es-server-1 have the same address; give each its own"),
        (7, 5, ("the provider has a machine es-cpu-2, the plan has none of that name; "
               "did you mean es-cpu-1?")),
    ]  # fmt: skip


FEDERATION_CASES = {
    "control address elsewhere": Case("10.60.0.18", "10.61.0.18", 4, 1, "is not in wide_area_cidr"),
    "control site among the others": Case("[es]", "[es, control]", 7, 1, "the control site"),
    "site twice": Case("[es]", "[es, es]", 7, 1, "sites names es twice"),
    "community twice": Case("[oceans, forests]", "[oceans, oceans]", 6, 1, "names oceans twice"),
    "mode unknown": Case("domain:", "mode: loose\ndomain:", 2, 7, "'federated' or 'sovereign'"),
    "a site name of the wrong form": Case("[es]", "[es, E S]", 7, 13, "sites.1: 'E S' given"),
    "not a network": Case("10.60.0.0/24", "10.60.0.0/99", 5, 17, "wide_area_cidr"),
    "unknown key": Case("domain:", "domains: 1\ndomain:", 2, 1, "did you mean domain?"),
    "a list at the top": Case(FEDERATION, "- a\n", 1, 1, "a map was expected"),
}


@pytest.mark.parametrize("case", FEDERATION_CASES.values(), ids=FEDERATION_CASES)
def test_a_wrong_federation_file_is_refused_at_the_place_of_the_mistake(
    case: Case, tmp_path: Path
) -> None:
    path = tmp_path / "federation.yaml"
    path.write_text(FEDERATION.replace(case.old, case.new), encoding="utf-8")
    with pytest.raises(tosca.ToscaError) as caught:
        tosca.load_federation(path)
    found = _found(caught.value)
    assert [(case.line, case.column)] == [place[:2] for place in found if case.message in place[2]]


def test_two_sites_that_claim_one_network_are_both_named(tmp_path: Path) -> None:
    (tmp_path / "federation.yaml").write_text(FEDERATION, encoding="utf-8")
    for name in ("es", "pt"):
        (tmp_path / name).mkdir()
        text = ES.replace("name: es", f"name: {name}")
        (tmp_path / name / "site.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(tosca.ToscaError) as caught:
        tosca.load_sites(tmp_path)
    assert [(str(tmp_path / "pt" / "site.yaml"), 5), (str(tmp_path / "pt" / "site.yaml"), 6)] == [
        (problem.location.file, problem.location.line) for problem in caught.value.problems
    ]
    assert "10.71.0.0/24 overlaps 10.71.0.0/24 of site es" in str(caught.value)


def test_a_folder_that_holds_another_sites_file_does_not_become_that_site(tmp_path: Path) -> None:
    (tmp_path / "federation.yaml").write_text(FEDERATION, encoding="utf-8")
    for name in ("es", "copy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "site.yaml").write_text(ES, encoding="utf-8")
    with pytest.raises(tosca.ToscaError, match="the site is called es, its folder copy"):
        tosca.load_sites(tmp_path)
