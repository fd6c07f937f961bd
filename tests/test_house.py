"""The house: arrows, light import, doctests, README, the wheel, and nothing of any one machine in what is committed."""

import ast
import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tegum

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "theory": {"theory"},
    "numerics": {"theory", "numerics"},
    "papers": {"theory", "numerics", "papers"},
    "tegum": {"theory", "numerics", "papers", "tegum"},
}
FORBIDDEN = {"theory": {"torch", "matplotlib", "jinja2", "tqdm"}, "numerics": {"matplotlib", "jinja2"}}


def modules():
    """Every module by its installed name; the folders on disk are mapped, so walking the package would miss them."""
    paths = [path for part in MAY_IMPORT for path in sorted((ROOT / part).rglob("*.py")) if path.stem != "__main__"]
    names = (path.relative_to(ROOT).with_suffix("").parts for path in paths)
    return [".".join(["tegum", *parts[parts[0] == "tegum" :]]).removesuffix(".__init__") for parts in names]


def imports(path, part):
    """(subpackage or outside package) names that a file imports."""
    depth = len(path.relative_to(ROOT / part).parts)  # one dot is the file's own folder
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level > depth:
            yield from [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]


@pytest.mark.parametrize("part", ["theory", "numerics", "papers"])
def test_arrows_point_one_way(part):
    parts = set(MAY_IMPORT)
    for path in (ROOT / part).rglob("*.py"):
        used = set(imports(path, part))
        assert used & parts <= MAY_IMPORT[part], f"{path.name} imports {used & parts - MAY_IMPORT[part]}"
        assert not used & FORBIDDEN.get(part, set()), path.name
        assert "tegum" not in used, f"{path.name}: imports inside are relative"


def test_the_arrow_test_sees_a_wrong_arrow(tmp_path):
    wrong = ROOT / "theory" / "_wrong.py"
    wrong.write_text("from ..papers import verify\n")
    try:
        assert "papers" in set(imports(wrong, "theory"))
    finally:
        wrong.unlink()


def test_import_is_light():
    script = (
        "import sys, tegum; heavy = {'torch', 'sympy', 'matplotlib', 'scipy', 'jinja2', 'numpy', 'xarray', 'flint', 'numba'};"
        "print(sorted(heavy & set(sys.modules)));"
        "import tegum.theory; print(sorted(heavy & set(sys.modules)));"
        "tegum.theory.expected_loss; print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.split("\n")[:3] == ["[]", "[]", "False False"]


def test_facade_gives_the_theory():
    assert tegum.Features is tegum.theory.Features
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = tegum.nonsense


@pytest.mark.parametrize("name", modules())
def test_doctests(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_there_are_doctests():
    found = [t for m in modules() if "theory" in m for t in doctest.DocTestFinder().find(importlib.import_module(m))]
    assert sum(len(test.examples) for test in found) > 100


def test_public_names_are_documented():
    for part in ("theory", "numerics", "papers"):
        module = importlib.import_module(f"tegum.{part}")
        names = [name for name in dir(module) if not name.startswith("_") and callable(getattr(module, name))]
        assert names
        for name in names:
            assert getattr(module, name).__doc__, f"tegum.{part}.{name} has no docstring"


@pytest.mark.slow
def test_readme_examples_run(tmp_path):
    """Every python block runs, and prints what the comments beside its lines say; every shell line is a known command."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert blocks
    for block in blocks:
        expected = [
            line.split("# ", 1)[1].strip() for line in block.splitlines() if line.startswith("print(") and "# " in line
        ]
        run = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, cwd=tmp_path)
        assert run.returncode == 0, run.stderr
        assert run.stdout.strip().splitlines() == expected
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    shell = [line for block in re.findall(r"```sh\n(.*?)```", text, re.S) for line in block.splitlines()]
    assert {"verify", "test"} <= {line.split()[1] for line in shell if line.startswith("make ")} <= targets
    for image in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert (ROOT / image).exists()


def test_readme_times_are_the_recorded_ones():
    """The table of time to solution in the README is made of rows that the benchmark prints from its recorded results."""
    script = [sys.executable, str(ROOT / "benchmarks" / "time_to_solution.py"), "--table"]
    printed = subprocess.run(script, capture_output=True, text=True, check=True).stdout.splitlines()
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| n = ")]
    assert rows
    assert set(rows) <= set(printed)


@pytest.mark.slow
def test_wheel_imports_from_an_empty_folder(tmp_path):
    """Built without the network, installed beside the present dependencies, and used from elsewhere."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    source = tmp_path / "source"
    source.mkdir()
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in files.stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path / "dist", source],
        check=True,
        capture_output=True,
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", tmp_path / "site", wheel], check=True, capture_output=True
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    script = (
        "import tegum, tegum.papers as p; assert 'site' in tegum.__file__, tegum.__file__;"
        "print(p.verify(['lieberum2022.01', 'elhage2022.20']).results[1].verdict.status.name)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=empty,
        env={"PYTHONPATH": str(tmp_path / "site"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert run.stdout.strip() == "CORRECTED", run.stderr


def test_nothing_of_one_machine_is_committed():
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    pattern = re.compile(r"(?<![\w.])/(home|root|work|opt|tmp|Users)/\w|https?://(localhost|127\.)|index-url")
    for name in files.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and path.suffix in {".py", ".md", ".toml", ".txt", ".json", ".jsonl", ".html", ".cff", ""}:
            found = pattern.search(path.read_text(encoding="utf-8", errors="ignore"))
            if path.name != "test_house.py":
                assert not found, f"{name}: {found.group(0)}"
