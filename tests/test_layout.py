"""The folders are the owner's: what stands where, and who may import whom."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "guards": set(),
    "agent": {"guards"},
    "finetune": {"guards", "agent"},
    "eval": {"guards", "agent", "finetune"},
    "tui": {"guards", "agent", "finetune", "eval"},
}


def _imports(source: str, package: tuple[str, ...]) -> set[str]:
    """Top folders that a module of ``package`` imports from, relatively or as ``warmline.…``."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                absolute = (*package[: len(package) - node.level + 1], *(node.module or "").split("."))
                names = [absolute] if node.module else [(*absolute[:-1], alias.name) for alias in node.names]
                found |= {name[0] for name in names if name and name[0]}
            elif (node.module or "").startswith("warmline."):
                found.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("warmline.")}
    return found & set(MAY_IMPORT)


@pytest.mark.parametrize("floor", MAY_IMPORT)
def test_imports_go_down_only(floor: str) -> None:
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / floor).rglob("*.py")
        for name in _imports(path.read_text(encoding="utf-8"), path.relative_to(ROOT).parent.parts)
        if name not in MAY_IMPORT[floor] | {floor}
    }
    assert wrong == set()


def test_the_import_reader_sees_every_way_of_looking_up() -> None:
    source = (
        "from ..agent.events import E\nfrom warmline.tui import x\nimport warmline.eval.y\nfrom .. import finetune\n"
    )
    assert _imports(source, ("guards",)) == {"agent", "tui", "eval", "finetune"}


def test_guards_load_no_heavy_library() -> None:
    code = (
        "import sys, warmline.guards, warmline.guards.filter, warmline.guards.output, warmline.guards.gate;"
        "print([m for m in ('torch', 'langgraph', 'langchain_core', 'guardrails', 'transformers', 'sqlalchemy')"
        " if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_importing_the_agent_loads_no_model_library() -> None:
    code = (
        "import sys; from warmline.agent import SupportAgent, Settings;"
        "print([m for m in ('torch', 'transformers', 'langgraph', 'openai', 'alembic') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_package_folder_is_installed() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    present = {
        "warmline." + ".".join(init.parent.relative_to(ROOT).parts)
        for floor in MAY_IMPORT
        for init in (ROOT / floor).rglob("__init__.py")
    }
    assert listed == present


def test_the_folders_the_owner_fixed_are_there() -> None:
    assert all((ROOT / name).is_dir() for name in (*MAY_IMPORT, "tests"))
    assert {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} >= {*MAY_IMPORT, "e2e"}


def test_the_base_install_needs_no_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    heavy = ("torch", "vllm", "transformers", "litellm", "guardrails")
    assert not [need for need in project["dependencies"] if need.startswith(heavy)]
    extras = {"local", "finetune", "vllm", "eval", "server", "postgres", "guardrails", "otel", "dev"}
    assert set(project["optional-dependencies"]) == extras
