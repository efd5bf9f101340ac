"""Every role says what it takes: no variable is used that is not declared, none is declared twice
in different words."""  # noqa: D209, D205

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROLES = sorted(path.name for path in (Path(__file__).parents[2] / "playbooks/roles").iterdir())
FOLDERS = ("tasks", "templates", "defaults", "vars", "handlers")


@pytest.fixture(params=ROLES)
def role(request, checkout):
    return checkout / "playbooks/roles" / request.param


@pytest.fixture
def options(role, load_yaml):
    """Declared options over all entry points, by name."""
    specs = load_yaml(role / "meta/argument_specs.yml")["argument_specs"]
    return {name: option for spec in specs.values() for name, option in spec["options"].items()}


def names_used(role):
    """Names with the role's prefix in its files; those with underscores before it are its own."""
    pattern = re.compile(rf"(?<![\w.-]){role.name}_\w+")
    return {
        name
        for folder in FOLDERS
        for path in (role / folder).glob("*")
        for name in pattern.findall(path.read_text())
    }


def facts_set(role, tasks):
    """Names the role gives to those after it."""
    return {
        name
        for task in tasks
        if f"/{role.name}/" in task.file and task.module == "set_fact"
        for name in task.arguments
        if not name.startswith("__")
    }


def test_a_role_uses_what_it_declares_and_declares_what_it_uses(role, options, tasks):
    assert names_used(role) - facts_set(role, tasks) == set(options)


def test_defaults_are_the_declared_ones(role, options, load_yaml):
    declared = {name: one["default"] for name, one in options.items() if "default" in one}

    assert load_yaml(role / "defaults/main.yml") == declared


def test_an_option_has_a_default_or_is_required(options):
    unclear = [
        name for name, one in options.items() if ("default" in one) == one.get("required", False)
    ]

    assert unclear == []


def test_a_required_option_stands_as_a_comment_among_the_defaults(role, options):
    commented = set(
        re.findall(r"^# (\w+):", (role / "defaults/main.yml").read_text(), flags=re.MULTILINE)
    )

    assert commented == {name for name, one in options.items() if one.get("required")}


def test_a_role_says_who_it_is_and_what_it_is_for(role, load_yaml):
    about = load_yaml(role / "meta/main.yml")["galaxy_info"]
    specs = load_yaml(role / "meta/argument_specs.yml")["argument_specs"]

    assert about["license"] == "Apache-2.0"
    assert about["description"] == specs["main"]["short_description"]
    assert (role / "README.md").is_file()


def test_a_role_reads_its_own_variables_only(role):
    foreign = re.compile(r"\bfed_\w+|\bgroups\[|\bhostvars\[|ansible\.builtin\.env")
    found = [
        f"{path.relative_to(role)}: {match[0]}"
        for folder in FOLDERS
        for path in (role / folder).glob("*")
        for match in foreign.finditer(path.read_text())
    ]

    assert found == []


def test_registered_and_internal_names_carry_the_roles_prefix(role, tasks):
    registered = [
        (str(task), task.body["register"])
        for task in tasks
        if f"/{role.name}/" in task.file and "register" in task.body
    ]

    assert [one for one in registered if not one[1].startswith(f"__{role.name}_")] == []


def test_a_group_has_a_role_of_its_name(checkout, load_yaml):
    groups = load_yaml(checkout / "inventories/common/groups.yml")["all"]["children"]

    assert [name for name in groups if name not in ROLES] == []


def test_group_variables_stand_in_a_file_named_after_their_role(checkout, load_yaml):
    folder = checkout / "inventories/common/group_vars/all"
    pairs = {
        "consul_server.yml": ("consul_client", "consul_base"),
        "nomad_server.yml": ("nomad_base",),
    }
    misplaced = [
        f"{path.name}: {name}"
        for path in sorted(folder.glob("*.yml"))
        if path.stem in ROLES
        for name in load_yaml(path)
        if not name.startswith((path.stem, *pairs.get(path.name, ())))
    ]

    assert misplaced == []
