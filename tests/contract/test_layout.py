"""The checkout as a whole: what is described, what is collected, how large, and for which site."""

from __future__ import annotations

import ast
import fnmatch
import re
import tomllib

import pytest

PACKAGES = ("tosca/", "infra/", "flows/", "playbooks/", "tools/")


def code(texts, *suffixes):
    return {
        path: text
        for path, text in texts.items()
        if path.startswith(PACKAGES) and path.endswith(suffixes)
    }


def test_every_role_is_described(texts, roles):
    readme = texts["playbooks/README.md"]

    assert [role.name for role in roles if f"`{role.name}`" not in readme] == []


def test_every_playbook_and_plugin_is_described(texts, checkout):
    readme = texts["playbooks/README.md"]
    folder = checkout / "playbooks"
    names = [path.name for path in folder.glob("*.yml")]
    names += [
        path.stem for kind in ("library", "filter_plugins") for path in (folder / kind).glob("*.py")
    ]

    assert [name for name in names if f"`{name}`" not in readme] == []


def test_every_flow_is_described(texts):
    flows = [
        path.removeprefix("flows/").removesuffix(".py")
        for path, text in texts.items()
        if re.fullmatch(r"flows/\w+\.py", path) and re.search(r"^@flow\b", text, re.MULTILINE)
    ]

    assert flows
    assert [name for name in flows if f"`{name}`" not in texts["flows/README.md"]] == []


def test_every_folder_at_the_top_has_a_readme(texts):
    folders = {path.split("/")[0] for path in texts if "/" in path and not path.startswith(".")}

    assert [name for name in sorted(folders) if f"{name}/README.md" not in texts] == []


@pytest.mark.parametrize(
    ("pattern", "lines"),
    [("*/__main__.py", 60), ("*/defaults/main.yml", 150), ("*.py", 400), ("*/tasks/*.yml", 250)],
)
def test_no_file_grows_past_its_cap(texts, pattern, lines):
    """Style: small files can be read; a long one is two."""
    long = [
        f"{path}: {len(text.splitlines())}"
        for path, text in code(texts, ".py", ".yml").items()
        if fnmatch.fnmatch(path, pattern) and len(text.splitlines()) > lines
    ]

    assert long == []


def test_no_function_grows_past_fifty_lines(texts):
    long = [
        f"{path}:{node.lineno} {node.name}: {(node.end_lineno or 0) - node.lineno + 1}"
        for path, text in code(texts, ".py").items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > 50
    ]

    assert long == []


def test_every_file_with_tests_is_collected(texts, checkout):
    settings = tomllib.loads((checkout / "pyproject.toml").read_text())["tool"]["pytest"]
    patterns = settings.get("python_files", ["test_*.py"])
    with_tests = [
        path
        for path, text in texts.items()
        if path.endswith(".py") and re.search(r"^(async )?def test_", text, re.MULTILINE)
    ]

    lost = [
        path
        for path in with_tests
        if not any(fnmatch.fnmatch(path.rsplit("/", 1)[-1], pattern) for pattern in patterns)
        or not any(path.startswith(f"{root}/") for root in settings["testpaths"])
        or any(part.startswith(".") or part in {"build", "dist"} for part in path.split("/"))
    ]

    assert with_tests
    assert lost == []


def test_tests_are_no_packages(texts):
    """With importlib mode two test files may have one name; a package would change that."""
    assert [path for path in texts if re.fullmatch(r"tests/(.*/)?__init__\.py", path)] == []


def without_words(path, text):
    """Drop what is for people: comments, docstrings and descriptions may give examples."""
    if path.endswith(".py"):
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                node.value.value = ""
        return ast.unparse(tree)
    return re.sub(r"(^|\s)#.*|description:.*", "", text)


def test_no_site_stands_in_code(texts, load_yaml, checkout):
    """A site is one folder below inventories/; code that knows one cannot serve another."""
    federation = load_yaml(checkout / "inventories/federation.yaml")
    names = "|".join([*federation["sites"], "pl"])
    literal = re.compile(
        rf"\b10\.(?!0\.0\.0/8)\d+\.\d+\.\d+|{re.escape(federation['domain'])}"
        rf"|(?<=[\"'/])(?:{names})(?=[\"'/-])|\b(?:{names})-(?:server|cpu|gpu|edge)-\d"
    )
    found = [
        f"{path}: {match[0]}"
        for path, text in code(texts, ".py", ".yml", ".yaml", ".j2", ".service", ".conf").items()
        for match in literal.finditer(without_words(path, text))
    ]

    assert found == []


def test_no_version_floats_and_no_registry_is_named(texts):
    floating = re.compile(
        r"(?<![\w.])\w[\w./-]*:latest\b|\bversion: [\"']?latest"
        r"|(?<![\w.-])(?:docker\.io/|registry-1\.docker\.io|ghcr\.io|quay\.io|pypi\.org"
        r"|files\.pythonhosted\.org|proxy\.golang\.org|releases\.hashicorp\.com|get\.pulumi\.com"
        r"|deb\.debian\.org|registry\.npmjs\.org)"
    )
    found = [
        f"{path}: {match[0]}"
        for path, text in texts.items()
        if not path.startswith("tests/")
        for match in floating.finditer(text)
    ]

    assert found == []


def test_no_machines_own_path_stands_in_a_file(texts):
    """A checkout works wherever it is put."""
    own = re.compile(r"(?<![\w.~-])/(?:work|root)/")
    found = [
        f"{path}: {match[0]}"
        for path, text in texts.items()
        if path != "tests/contract/test_layout.py"
        for match in own.finditer(text)
    ]

    assert found == []
