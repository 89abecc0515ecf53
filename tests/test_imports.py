"""The direction of imports, and that importing does nothing."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAX_LINES, MAX_MODULES, MAX_MODULES_ON_TOP = 400, 18, 10
BOTTOM = {"errors"}
# What each part may import besides itself and the bottom: never upwards.
BELOW = {
    "errors": set(),
    "util": set(),
    "settings": {"util"},
    "access": {"settings"},
    "images": {"util"},
    "backbones": {"images", "util"},
    "datasets": {"images", "settings", "util"},
    "adapters": {"backbones", "images", "util"},
    "engine": {"adapters", "backbones", "util"},
    "training": {"adapters", "backbones", "datasets", "images", "util"},
    "runtime": {"images", "training", "util"},
    "export": {"adapters", "backbones", "engine", "runtime", "util"},
    "serving": {"adapters", "backbones", "datasets", "engine", "images", "settings", "training", "util"},
    "catalog": {
        *("access", "adapters", "backbones", "export", "runtime", "serving", "settings", "training", "util")
    },
    "runs": {"access", "adapters", "backbones", "catalog", "datasets", "settings", "training", "util"},
    "saver": {"access", "settings"},
    "expiry": {"access", "datasets", "settings"},
    "visibility": {
        *("access", "backbones", "catalog", "datasets", "export", "runtime", "serving", "settings"),
        *("training", "util", "worker"),
    },
    "extractor": {"adapters", "backbones", "datasets", "engine", "images", "settings", "training"},
    "__init__": {"adapters", "extractor"},
}
BELOW["worker"] = BELOW["runs"] | {"images"}
BELOW["doctor"] = {"backbones", "settings", "worker"}
BELOW["service"] = {*BELOW} - {"doctor", "extractor"}
BELOW["actions"] = {*BELOW}
BELOW["ui"] = {*BELOW} - {"doctor", "extractor"}
BELOW["cluster"] = {"service", "serving", "settings", "util", "worker"}
BELOW["opening"] = {"backbones", "cluster", "service", "serving", "settings", "ui", "util"}
BELOW["cli"] = {*BELOW}
BELOW["__main__"] = {"cli", "util"}
TABLES = {"registry/records.py", "registry/database/models.py"}
WITHOUT_REGISTRY = {"util", "images", "backbones", "datasets", "adapters", "engine", "training", "extractor"}
WITHOUT_REGISTRY |= {"runtime", "export"}
# The same inside ui: what each part may import of the others. Of a tab, others may use `runs.watch` alone.
WITHIN_UI: dict[str, Collection[str]] = {
    "__init__": {"patches"},
    "language": (),
    **dict.fromkeys(("patches", "templates"), ("language",)),
    "scripts": {"templates"},
    "kit": {"language", "patches", "scripts", "templates"},
    "gate": {"kit", "language", "patches", "scripts", "templates"},
    **dict.fromkeys(("api", "use", "runs"), ("kit", "language", "scripts", "templates")),
    **dict.fromkeys(("train", "catalog"), ("kit", "language", "runs.watch", "scripts", "templates")),
    "page": {"kit", "language", "use", "runs", "train", "catalog", "scripts", "templates"},
}
WITHIN_UI["app"] = {*WITHIN_UI} - {"gate"}
WITHIN_UI["launch"] = {*WITHIN_UI}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def part_of(path: Path) -> str:
    """The first name below loravit_web: a package or a module."""
    first = path.relative_to(ROOT / "loravit_web").parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Dotted names of everything that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def parts_imported(path: Path) -> set[str]:
    parts = set()
    for name in imported(path):
        package, _, rest = name.partition(".")
        if package == "loravit_web" and rest != "__version__":  # a constant, there before every part
            first = rest.partition(".")[0]
            parts.add(first if first in BELOW else "__init__")
    return parts


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_part_has_its_place() -> None:
    assert {part_of(path) for path in sources("loravit_web")} == set(BELOW)


@pytest.mark.parametrize("path", sources("loravit_web"), ids=relative)
def test_imports_point_downwards_only(path: Path) -> None:
    part = part_of(path)
    assert parts_imported(path) - {part} <= BELOW[part] | BOTTOM


def test_the_layers_have_no_circle() -> None:
    above: dict[str, set[str]] = {part: set(below) for part, below in BELOW.items()}
    while above:
        lowest = {part for part, below in above.items() if not below & set(above)}
        assert lowest, f"a circle among {sorted(above)}"
        above = {part: below for part, below in above.items() if part not in lowest}


@pytest.mark.parametrize("path", sources("loravit_web/ui"), ids=relative)
def test_tabs_import_no_tabs_and_parts_of_the_page_point_one_way(path: Path) -> None:
    part = path.relative_to(ROOT / "loravit_web/ui").parts[0].removesuffix(".py")
    ours = "loravit_web.ui."
    names = {name.removeprefix(ours) for name in imported(path) if name.startswith(ours)}
    allowed = {part, *WITHIN_UI[part]}
    assert {name for name in names if not any(f"{name}.".startswith(f"{one}.") for one in allowed)} == set()


def test_the_registry_imports_nothing_of_the_app() -> None:
    assert sources("registry")
    for path in sources("registry"):
        assert not {name for name in imported(path) if name.split(".")[0] == "loravit_web"}, relative(path)


def test_only_the_interface_imports_gradio() -> None:
    users = {
        part_of(path)
        for path in sources("loravit_web")
        if {name.split(".")[0] for name in imported(path)} & {"gradio", "gradio_client"}
    }
    assert users == {"ui"}


def test_what_learns_and_computes_knows_no_registry() -> None:
    users = {
        part_of(path)
        for path in sources("loravit_web")
        if "registry" in {name.split(".")[0] for name in imported(path)}
    }
    assert not users & WITHOUT_REGISTRY


@pytest.mark.parametrize("path", sources("loravit_web/ui"), ids=relative)
def test_the_page_reads_only_what_its_visitor_sees(path: Path) -> None:
    """Through `service.seen_by`, and never through all that a service has."""
    everything = {"registry", "predictor", "datasets", "estimates", "admission", "base_for"}
    reached = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and (getattr(node.value, "id", "") == "service" or getattr(node.value, "attr", "") == "service")
    }
    assert not reached & everything


def test_nobody_reaches_behind_the_registrys_front() -> None:
    for path in sources("loravit_web"):
        reached = {name for name in imported(path) if name.startswith("registry.") and name.count(".") > 1}
        assert not reached, f"{relative(path)} imports {reached}"


@pytest.mark.parametrize("path", [*sources("loravit_web"), *sources("registry")], ids=relative)
def test_no_module_is_too_long_to_read(path: Path) -> None:
    if relative(path) in TABLES:
        pytest.skip("a table: one field or column a line")
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("package", ["loravit_web", "registry", "benchmarks"])
def test_no_folder_holds_more_modules_than_fit_on_a_screen(package: str) -> None:
    counts = Counter(path.parent for path in sources(package))
    assert {relative(folder): count for folder, count in counts.items() if count > MAX_MODULES} == {}
    assert counts[ROOT / "loravit_web"] <= MAX_MODULES_ON_TOP or package != "loravit_web"


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


@dataclass(frozen=True)
class Imports:
    """What a fresh interpreter, whose home is an empty folder, holds after importing in two steps.

    Attributes:
        without: the names of all modules after everything but the interface.
        all: those after the interface as well.
        written: what is in the home then.
    """

    without: set[str]
    all: set[str]
    written: list[Path]


WITHOUT_INTERFACE = [module_name(path) for path in sources("loravit_web") if part_of(path) != "ui"]
INTERFACE = [module_name(path) for path in sources("loravit_web/ui")]


@pytest.fixture(scope="module")
def imports(tmp_path_factory: pytest.TempPathFactory) -> Imports:
    home = tmp_path_factory.mktemp("fresh") / "home"
    home.mkdir()
    code = (
        "import importlib, json, sys, threading\n"
        f"for names in {[[*WITHOUT_INTERFACE, 'registry'], INTERFACE]!r}:\n"
        "    for name in names: importlib.import_module(name)\n"
        "    assert threading.active_count() == 1, threading.enumerate()\n"
        "    print(json.dumps(sorted(sys.modules)))"
    )
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "LORAVIT_"))},
        "HOME": str(home),
        "USERPROFILE": str(home),
        "LORAVIT_HOME": str(home / "data"),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    without, everything = (set(json.loads(line)) for line in done.stdout.splitlines())
    return Imports(without, everything, list(home.rglob("*")))


def test_importing_writes_nothing_and_starts_no_thread(imports: Imports) -> None:
    assert {*WITHOUT_INTERFACE, *INTERFACE} <= imports.all
    assert imports.written == []


def test_only_importing_the_interface_loads_gradio(imports: Imports) -> None:
    assert "gradio" not in imports.without
    assert "gradio" in imports.all


def test_what_is_slow_to_load_waits_until_it_is_used(imports: Imports) -> None:
    assert not {"sklearn", "scipy", "timm"} & imports.all
