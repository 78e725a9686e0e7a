"""The shape of the house: who may import whom, who may know a file layout, and what `import` may cost."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import execspec_fast
import pytest

PACKAGE = Path(execspec_fast.__file__).parent
MODULES = {
    ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted(PACKAGE.rglob("*.py"))
}

# Module -> the modules of this package it may import, by name or by folder. `formats` stands for every reader in it.
MAY_IMPORT = {
    # nouns
    "errors": "",
    "domain": "errors",
    "ops": "errors",
    "stats": "errors",
    "conventions": "errors stats",
    # metadata wing: files and ecosystems, no arithmetic
    "controller": "errors stats conventions",
    "controllers": "errors conventions controller",
    "formats": "errors stats conventions domain controller controllers",
    "formulas": "errors ops stats",
    "profile": "errors stats domain ops formulas",
    "profiles": "errors domain ops formulas profile",
    # mathematics wing: maps, no file and no ecosystem
    "arrays": "errors",
    "reference": "errors ops",
    "unnormalizer": "errors domain arrays ops _core",
    "sample": "errors stats domain arrays ops unnormalizer _core",
    "metric": "errors",
    "drift": "errors arrays conventions domain ops metric unnormalizer sample _core",
    "l2": "errors unnormalizer sample drift _core",
    "matrix": "errors arrays metric unnormalizer sample drift l2 _core",
    "isa": "_core",
    "tiles": "errors metric unnormalizer matrix",
    "survey": "errors unnormalizer matrix tiles",
    "classes": "errors unnormalizer drift matrix tiles",
    "shards": "errors metric unnormalizer sample matrix",
    "mismatch": "errors ops unnormalizer _core",
    "rotation": "stats _core",
    "bounds": "errors stats domain sample unnormalizer",
    # the same for jitted code
    "numba": "errors numba.apply numba.column numba.drift numba.gate",
    "numba.jit": "",
    "numba.doubles": "numba.jit",
    "numba.apply": "errors ops numba.jit",
    "numba.column": "errors ops numba.jit numba.doubles",
    "numba.drift": "errors unnormalizer numba.jit numba.doubles numba.column",
    "numba.gate": "errors ops guarding numba.apply numba.jit",
    # the same on a device
    "jax": "errors jax.maps jax.matrix jax.mismatch jax.pair jax.precision jax.sample jax.table",
    "jax.precision": "errors ops",
    "jax.doubles": "",
    "jax.table": "errors ops unnormalizer jax.precision",
    "jax.maps": "errors drift unnormalizer jax.precision jax.doubles jax.table",
    "jax.sample": "errors sample jax.precision jax.doubles",
    "jax.drift": "jax.doubles jax.maps jax.sample",
    "jax.l2": "jax.doubles jax.maps jax.sample jax.drift",
    "jax.matrix": "errors metric unnormalizer jax.table jax.doubles jax.maps jax.sample jax.drift jax.l2",
    "jax.mismatch": "errors unnormalizer jax.maps",
    "jax.pair": "metric unnormalizer jax.matrix jax.sample",
    # where they meet
    "spec": "errors stats conventions domain arrays ops profile profiles unnormalizer formats.published",
    "registry": "errors profiles spec formats",
    "actions": "errors formats",
    # the other half of a policy: the robot it runs on
    "inference": "stats conventions spec",
    "client": "errors ops",
    "deployment": "errors stats conventions ops profiles controller unnormalizer spec inference client",
    "motion": "stats ops unnormalizer sample drift deployment _core",
    "agreement": "errors conventions controller rotation sample spec inference deployment motion",
    # the audit: what figures give away before anything moves
    "auditing": "",
    "auditing.symptoms": "errors stats ops profile",
    "auditing.health": "stats auditing.symptoms",
    "auditing.rules": "errors profiles auditing.symptoms auditing.health formats.published",
    # the audit: one folder, by what is asked
    "auditing.units": "stats deployment",
    "auditing.config": "errors controller controllers formats auditing.units",
    "auditing.siblings": "stats controller unnormalizer sample drift matrix spec inference deployment auditing.units",
    "auditing.candidates": "errors drift sample spec inference",
    "auditing.question": "errors controller deployment motion agreement spec sample actions auditing.siblings",
    "auditing.verdict": "errors spec agreement auditing.rules auditing.config auditing.question auditing.units "
    "formats.published",
    "auditing.inspection": "errors controller spec registry formats auditing.rules auditing.candidates auditing.config "
    "auditing.question "
    "auditing.verdict",
    # the audit: all of them
    "auditing.cache": "errors formats",
    "auditing.batch": "formats.tree auditing.cache auditing.inspection auditing.question",
    "auditing.outcome": "errors auditing.inspection auditing.verdict _core",
    "auditing.audit": "errors controller actions formats auditing",
    # what can be checked later
    "certificates": "",
    "certificates.policy": "errors conventions spec",
    "certificates.wire": "errors formats",
    "certificates.evidence": "errors stats ops conventions bounds unnormalizer drift mismatch sample spec deployment "
    "motion agreement auditing.units certificates.policy _core",
    "certificates.markdown": "certificates.wire",
    "certificates.certificate": "errors controller formats registry sample spec deployment auditing.siblings "
    "certificates.policy certificates.wire certificates.evidence certificates.markdown _core",
    "certificates.verification": "errors controller controllers formats registry sample spec certificates _core",
    # the guard: from a spec to the bytes that C++ reads
    "guarding": "",
    "guarding.status": "",
    "guarding.given": "errors stats",
    "guarding.image": "ops stats guarding.status",
    "guarding.layout": "errors ops guarding.image guarding.status",
    "guarding.watching": "errors stats guarding.given guarding.image",
    "guarding.lines": "ops unnormalizer",
    "guarding.bands": "errors ops stats unnormalizer guarding.image guarding.lines",
    "guarding.envelope": "ops stats unnormalizer",
    "guarding.subject": "errors controller conventions deployment inference ops spec unnormalizer guarding.given",
    "guarding.limits": "errors controller ops stats guarding.bands guarding.envelope guarding.given guarding.subject",
    "guarding.build": "errors controller formats ops spec unnormalizer guarding",
    "guarding.banner": "guarding.image guarding.status",
    "guarding.explanation": "guarding.image guarding.status",
    "guarding.guard": "errors spec unnormalizer guarding.banner guarding.build guarding.explanation guarding.image "
    "guarding.layout guarding.status _core",
    "guarding.watch": "errors guarding.banner guarding.explanation guarding.guard guarding.image guarding.layout "
    "guarding.status _core",
    # from executed actions alone
    "guarding.calibration": "errors formats sample spec",
    "guarding.eprocess": "errors",
    "guarding.monitor": "errors sample spec guarding.calibration guarding.eprocess",
    # what people see
    "cli": "",
    "cli.paper": "",
    "cli.describe": "ops spec inference auditing.candidates cli.paper",
    "cli.report": "errors auditing.units auditing.outcome cli.paper",
    "cli.inputs": "errors controller formats actions sample spec auditing.config",
    "cli.pair": "ops drift registry spec deployment auditing.outcome auditing.units cli.describe cli.inputs cli.paper "
    "cli.report",
    "cli.certify": "errors controller registry certificates cli.inputs cli.paper cli.report",
    "cli.limits_file": "errors auditing.config guarding",
    "cli.guard_image": "errors auditing.outcome certificates controllers guarding ops registry cli.certify "
    "cli.describe cli.limits_file cli.paper cli.report",
    "cli.calibrate": "actions registry guarding cli.describe cli.paper",
    "cli.main": "*",
    "__main__": "cli.main",
    "__init__": "*",
}
EXTENSION = "_core"
OURS = "execspec_fast."

HEAVY = """
    jax numba torch h5py pyarrow pandas scipy safetensors lerobot
    argparse asyncio concurrent csv difflib http importlib.metadata multiprocessing
    socket sqlite3 ssl tarfile tomllib unittest urllib.request xml zipfile
"""
LAYOUTS = "norm_stats dataset_statistics policy_preprocessor policy_postprocessor episodes_stats stats.json"


def imports(file: Path) -> set[str]:
    """Every module of this package a file imports, at its top or inside a function, without the package's name."""
    package = list(file.relative_to(PACKAGE).parent.parts)
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.removeprefix(OURS) for alias in node.names if alias.name.startswith(OURS)}
        elif isinstance(node, ast.ImportFrom) and (node.level or f"{node.module}.".startswith(OURS)):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = [*base, *(node.module or "").split(".")] if node.module else base
            for alias in node.names:
                whole = ".".join([*stem, alias.name])
                found.add(whole if node.level and whole in {*MODULES, EXTENSION} else ".".join(stem) or "__init__")
    return {name.removeprefix(OURS) for name in found}


def place(name: str) -> str:
    return "formats" if name.startswith("formats") else name


def allowed(name: str) -> str:
    return MAY_IMPORT["formats"] + " formats" if place(name) == "formats" else MAY_IMPORT[name]


def test_every_module_has_its_place():
    assert set(map(place, MODULES)) == set(MAY_IMPORT)


def test_the_tree_in_contributing_names_every_module():
    words = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text().replace(",", " ").split()
    files = {MODULES[name].name for name in MAY_IMPORT if name != "formats"} - {"__init__.py"}
    assert files <= set(words)


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_one_way(name):
    ours = {one for one in imports(MODULES[name]) if one in MODULES or one == EXTENSION} - {name}
    may = allowed(name).split()
    wrong = {one for one in ours if "*" not in may and one not in may and one.split(".")[0] not in may}
    assert not wrong, f"{name} may import {may}, and imports {wrong}"


def test_the_table_has_no_circle():
    graph = {name: set(map(place, may.split())) for name, may in MAY_IMPORT.items() if may != "*"}
    assert tuple(graphlib.TopologicalSorter(graph).static_order())


def test_every_spelling_of_an_import_is_seen(tmp_path, monkeypatch):
    folder = tmp_path / "formats"
    folder.mkdir()
    file = folder / "new.py"
    code = "from ..drift import x; from .. import ops, y; from . import tree; import numba; import execspec_fast.cli"
    file.write_text(f"def f(): {code}")
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    monkeypatch.setitem(MODULES, "drift", file)
    monkeypatch.setitem(MODULES, "ops", file)
    monkeypatch.setitem(MODULES, "formats.tree", file)
    assert imports(file) == {"drift", "ops", "__init__", "formats.tree", "cli"}  # numba is not our numba


def constants(name: str) -> set[object]:
    """The literals of a module without its docstrings."""
    tree = ast.parse(MODULES[name].read_text())
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in prose}


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith("formats")])
def test_only_readers_know_a_file_layout(name):
    texts = [text for text in constants(name) if isinstance(text, str)]
    assert not [text for text in texts if any(layout in text for layout in LAYOUTS.split())]


@pytest.mark.parametrize("name", [name for name in MODULES if name != "profiles"])
def test_only_profiles_know_an_epsilon(name):
    assert not {1e-6, 1e-8} & {number for number in constants(name) if isinstance(number, float)}


def loaded(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    """Above what NumPy itself loads. Modules that need more import it inside the function that does."""
    extra = loaded("import execspec_fast") - loaded("import numpy")
    assert "execspec_fast" in extra
    assert not {name for name in extra if {name, name.split(".")[0]} & set(HEAVY.split())}
