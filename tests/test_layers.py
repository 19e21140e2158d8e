"""The rule of the house: the engine imports no Dagster, and its packages import downward only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGINE = ROOT / "cogorch_dagster"

# From the ground up; a package may import those before it in the list, and itself.
LAYERS = [
    "errors",
    "settings",
    "figures",
    "platform",
    "policies",
    "lake",
    "registry",
    "observations",
    "rewards",
    "evaluation",
    "features",
    "causal",
    "proposals",
    "canary",
    "fleet",
    "agents",
    "games",
    "tuning",
    "client",
    "serving",
    "service",
    "lab",
]
HEAVY = {
    "torch",
    "pettingzoo",
    "gymnasium",
    "dowhy",
    "causallearn",
    "statsmodels",
    "numba",
    "mlflow",
    "featuretools",
    "optuna",
    "sklearn",
    "scipy",
    "matplotlib",
}


def _imports(path: Path, *, module_level: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    for node in tree.body if module_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _modules() -> list[Path]:
    return [p for p in sorted(ENGINE.rglob("*.py")) if p.name != "definitions.py"]


def test_the_engine_imports_no_dagster() -> None:
    guilty = [str(p.relative_to(ROOT)) for p in _modules() for name in _imports(p) if name.split(".")[0] == "dagster"]
    assert guilty == []


@pytest.mark.parametrize("layer", LAYERS)
def test_packages_import_downward(layer: str) -> None:
    allowed = set(LAYERS[: LAYERS.index(layer) + 1])
    folder = ENGINE / layer
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [ENGINE / f"{layer}.py"]
    assert files
    for path in files:
        for name in _imports(path):
            parts = name.split(".")
            if parts[0] == "cogorch_dagster" and len(parts) > 1 and parts[1] in LAYERS:
                assert parts[1] in allowed, f"{path.relative_to(ROOT)} imports {name}, which lies above {layer}"


# From the ground up, within the causal core.
CAUSAL = ["graphs", "data", "discovery", "effects", "models", "versions", "insights"]


@pytest.mark.parametrize("part", CAUSAL)
def test_the_causal_core_imports_downward(part: str) -> None:
    allowed = set(CAUSAL[: CAUSAL.index(part) + 1])
    for path in sorted((ENGINE / "causal" / part).rglob("*.py")):
        for name in _imports(path):
            parts = name.split(".")
            if parts[:2] == ["cogorch_dagster", "causal"] and len(parts) > 2 and parts[2] in CAUSAL:
                assert parts[2] in allowed, f"{path.relative_to(ROOT)} imports {name}, which lies above {part}"


def test_the_client_needs_nothing_but_httpx() -> None:
    import sys

    allowed = {*sys.stdlib_module_names, "httpx", "cogorch_dagster"}
    for path in (ENGINE / "client").rglob("*.py"):
        for name in _imports(path):
            assert name.split(".")[0] in allowed, f"{path.name} imports {name}"
            if name.startswith("cogorch_dagster."):
                assert name.startswith("cogorch_dagster.client"), f"{path.name} imports {name}"


# Where a heavy package is what the whole file is about; such files are themselves imported late.
WHOLLY = {
    "agents": {"torch"},
    "fleet/parallel.py": {"gymnasium", "pettingzoo"},
    "causal/discovery/kernels": {"numba"},
}


def _allowed(path: Path) -> set[str]:
    place = path.relative_to(ENGINE).as_posix() if path.is_relative_to(ENGINE) else ""
    return set().union(*(names for where, names in WHOLLY.items() if place.startswith(where)))


def _dagster_layer() -> list[Path]:
    return [p for folder in ("assets", "jobs", "sensors", "resources") for p in (ROOT / folder).rglob("*.py")]


def test_no_heavy_import_at_module_level() -> None:
    for path in [*_dagster_layer(), *sorted(ENGINE.rglob("*.py"))]:
        found = {name.split(".")[0] for name in _imports(path, module_level=True)} & HEAVY
        assert found <= _allowed(path), f"{path.relative_to(ROOT)} imports {sorted(found)} at module level"


def test_what_is_wholly_about_a_heavy_package_is_imported_late() -> None:
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in [*_dagster_layer(), *ENGINE.rglob("*.py")]
    }
    imports = {name: set(_imports(path, module_level=True)) for name, path in files.items()}
    late = {name for name, found in imports.items() if {each.split(".")[0] for each in found} & HEAVY}
    assert "cogorch_dagster.agents.dqn" in late
    while more := {name for name, found in imports.items() if found & late} - late:
        late |= more
    for name in sorted(late):
        folder = name.removeprefix("cogorch_dagster.").split(".")[0]
        assert folder in {"agents", "causal", "fleet", "games"}, (
            f"{name} imports a heavy package as soon as it is imported"
        )
