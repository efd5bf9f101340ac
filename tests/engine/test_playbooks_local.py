"""Real ansible-playbook on this machine: files, differences, refusals; no site is touched."""

from __future__ import annotations

import getpass
import grp
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import ansible_mitogen
import pytest
import yaml

CHECKOUT = Path(__file__).parents[2]
PLAYBOOKS = sorted(path.name for path in (CHECKOUT / "playbooks").glob("*.yml"))
SECRET = "hvs.N0tForAnybodysEyes"


@dataclass(frozen=True)
class Outcome:
    """What ansible-playbook printed and how it ended."""

    code: int
    text: str

    @property
    def changed(self) -> int:
        """Number of tasks that changed something, from the recap."""
        return sum(int(number) for number in re.findall(r"\bchanged=(\d+)", self.text))


@pytest.fixture
def ansible(tmp_path):
    """Run ansible-playbook with the checkout's settings, as this account, and log to a file."""
    program = Path(sys.executable).with_name("ansible-playbook")
    assert program.is_file(), f"{program} is missing; `make setup` installs ansible-core"

    def run(playbook, *arguments, **environment):
        outcome = subprocess.run(
            [program, playbook, *arguments],
            cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=120,
            env={
                **os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
                "ANSIBLE_BECOME": "false", "ANSIBLE_LOG_PATH": str(tmp_path / "ansible.log"),
                "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "false",
                "ANSIBLE_INTERPRETER_PYTHON": sys.executable, **environment,
            },
        )  # fmt: skip
        return Outcome(outcome.returncode, outcome.stdout + outcome.stderr)

    return run


@pytest.fixture
def play(ansible, tmp_path):
    """Write a play for this machine beside its templates and files, and run it."""
    home = tmp_path / "play"
    (home / "templates").mkdir(parents=True)
    (home / "files").mkdir()
    # A template and a file as roles have them.
    (home / "templates/service.conf.j2").write_text(
        "# kept\n{% for item in colours %}\ncolour = {{ item }}\n{% endfor %}\n"
        "token = {{ token }}\n"
    )
    (home / "files/unit.service").write_text("[Unit]\nDescription={{ not a template }}\n")

    def run(*arguments, tasks, **environment):
        whole = [{
            "name": "Play", "hosts": "localhost", "connection": "local", "gather_facts": False,
            "vars": {"colours": ["red", "blue"], "token": SECRET,
                     "ansible_python_interpreter": sys.executable},
            "tasks": tasks,
        }]  # fmt: skip
        (home / "play.yml").write_text(yaml.safe_dump(whole))
        return ansible(str(home / "play.yml"), "-i", "localhost,", *arguments, **environment)

    return run


@pytest.fixture
def install(play, tmp_path):
    """Install one file of each kind below target/."""
    mine = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}
    target = tmp_path / "target"

    def entry(name, **more):
        return {"dest": str(target / name), "mode": "0640", **mine, **more}

    task = {
        "name": "Install",
        "install_files": {
            "files": [
                entry("", directory=True) | {"mode": "0750"},
                entry("service.conf", template="service.conf.j2", secret=True),
                entry("unit.service", src="unit.service"),
                entry("words", content="colour {{ colours[0] }}\n"),
            ]
        },
    }
    return lambda *arguments, **environment: play(*arguments, tasks=[task], **environment)


def snapshot(folder):
    """Content and time of writing of every file."""
    return {
        path.name: (path.read_text(), path.stat().st_mtime_ns) for path in sorted(folder.iterdir())
    }


def test_files_are_rendered_and_a_second_run_changes_nothing(install, tmp_path):
    first = install()
    written = snapshot(tmp_path / "target")
    second = install()

    assert (first.code, first.changed) == (0, 1), first.text
    assert {name: content for name, (content, _) in written.items()} == {
        "service.conf": f"# kept\ncolour = red\ncolour = blue\ntoken = {SECRET}\n",
        "unit.service": "[Unit]\nDescription={{ not a template }}\n",
        "words": "colour red\n",
    }
    assert (second.code, second.changed) == (0, 0), second.text
    assert snapshot(tmp_path / "target") == written


def test_checking_shows_the_file_and_the_difference_and_writes_nothing(install, tmp_path):
    install()
    (tmp_path / "target/words").write_text("colour green\n")
    edited = snapshot(tmp_path / "target")

    outcome = install("--check", "--diff")

    assert (outcome.code, outcome.changed) == (0, 1), outcome.text
    assert f"before: {tmp_path}/target/words" in outcome.text
    assert "-colour green\n+colour red\n" in outcome.text
    assert snapshot(tmp_path / "target") == edited


def test_checking_works_where_nothing_is_there_yet(install, tmp_path):
    outcome = install("--check", "--diff")

    assert (outcome.code, outcome.changed) == (0, 1), outcome.text
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("strategy", ["linear", "mitogen_linear"])
def test_a_secret_is_neither_in_the_difference_nor_in_the_log(install, tmp_path, strategy):
    plugins = Path(ansible_mitogen.__file__).parent / "plugins/strategy"
    outcome = install("--diff", "-vvv", ANSIBLE_STRATEGY=strategy,
                      ANSIBLE_STRATEGY_PLUGINS=str(plugins))  # fmt: skip

    assert outcome.code == 0, outcome.text
    assert SECRET in (tmp_path / "target/service.conf").read_text()
    assert f"{tmp_path}/target/service.conf" in outcome.text
    for shown in (outcome.text, (tmp_path / "ansible.log").read_text()):
        assert SECRET not in shown


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"dest": "/nowhere/x", "mode": "0600"}, "needs dest, mode and one of"),
        ({"dest": "/nowhere/x", "content": "x"}, "needs dest, mode and one of"),
        ({"dest": "/nowhere/x", "mode": "0600", "content": "x", "src": "y"}, "and one of"),
        ({"dest": "/nowhere/x", "mode": "0600", "template": "none.j2"}, "Could not find or access"),
        ({"dest": "/nowhere/x", "mode": "0600", "content": "{{ nope }}"}, "'nope' is undefined"),
    ],
)
def test_a_wrong_entry_is_refused_with_what_is_wrong(play, entry, message):
    outcome = play(tasks=[{"name": "Install", "install_files": {"files": [entry]}}])

    assert outcome.code != 0
    assert message in outcome.text


def test_a_role_refuses_missing_and_misspelt_inputs_before_it_does_anything(play):
    role = {
        "name": "Role",
        "ansible.builtin.include_role": {"name": "edge"},
        "vars": {"edge_domain": "x", "edge_private_address": "192.0.2.1"},
    }

    outcome = play(tasks=[role])

    assert outcome.code != 0
    assert "missing required arguments: edge_consul_token, edge_vault_address" in outcome.text
    assert outcome.changed == 0


def test_a_role_refuses_an_input_of_the_wrong_type(play):
    role = {
        "name": "Role",
        "ansible.builtin.include_role": {"name": "container_runtime"},
        "vars": {"container_runtime_log_max_size_mib": "large"},
    }

    outcome = play(tasks=[role])

    assert outcome.code != 0
    assert "container_runtime_log_max_size_mib" in outcome.text
    assert outcome.changed == 0


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_a_playbook_can_be_read_without_a_site(ansible, playbook):
    outcome = ansible(f"playbooks/{playbook}", "-i", "inventories/common", "--syntax-check")

    assert outcome.code == 0, outcome.text
    assert "WARNING" not in outcome.text.replace("No inventory was parsed", "")


def test_an_edited_inventory_is_refused_with_the_part_and_the_remedy(ansible, tmp_path):
    site = tmp_path / "es"
    site.mkdir()
    shutil.copy(CHECKOUT / "tests/fixtures/inventories/es.yml", site / "hosts.yml")
    shutil.copy(CHECKOUT / "tests/fixtures/inventories/known_hosts", site / "known_hosts")
    check = ("playbooks/validate-inventory.yml", "-i", "inventories/common", "-i", str(site))
    intact = ansible(*check)

    hosts = site / "hosts.yml"
    hosts.write_text(hosts.read_text().replace("fed_site: es", "fed_site: pt", 1))
    edited = ansible(*check)

    assert intact.code == 0, intact.text
    assert edited.code != 0
    assert "fed_site" in edited.text
    assert "site.yaml" in edited.text
