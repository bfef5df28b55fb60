"""The files around the package agree with one another."""

import ast
import graphlib
import importlib
import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import ecgadv

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
INSTALLED = "book,data,test"  # the extras of `make setup` and environment.yml


# What the default torch 2.13.0 of Linux requires beside what the CPU build does.
CUDA = """\
cuda-toolkit[cublas,cudart,cufft,cufile,cupti,curand,cusolver,cusparse,nvjitlink,nvrtc,nvtx]==13.0.3
cuda-bindings<14,>=13.0.3
nvidia-cudnn-cu13==9.20.0.48
nvidia-cusparselt-cu13==0.8.1
nvidia-nccl-cu13==2.29.7
nvidia-nvshmem-cu13==3.4.5
triton==3.7.1"""


def pins():
    """The versions of constraints.txt by canonical name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    form = r'([\w.-]+)==([\w.]+)(; platform_system == "Linux")?'
    found = [re.fullmatch(form, line) for line in lines]
    assert all(found), "names and versions only, and for which platform"
    versions = {canonicalize_name(one[1]): Version(one[2]) for one in found}
    assert len(versions) == len(lines), "a package has two versions"
    return versions


def requirements():
    extras = [Requirement(r) for e in INSTALLED.split(",") for r in extra(e)]
    return [Requirement(r) for r in PROJECT["dependencies"]] + extras


def extra(name):
    return PROJECT["optional-dependencies"][name]


def test_every_requirement_is_pinned_within_its_bounds():
    versions = pins()
    for requirement in requirements():
        pinned = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pinned), f"{requirement} but pinned {pinned}"


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_pins_are_closed_under_dependencies(python):
    """For each Python, and for a torch with CUDA or without."""
    versions = pins()
    for name in versions:
        try:
            needed = list(metadata.requires(name) or [])
        except metadata.PackageNotFoundError:
            continue  # of another platform or Python
        for requirement in map(Requirement, needed + CUDA.splitlines() * (name == "torch")):
            here = {"extra": "", "python_version": python, "python_full_version": f"{python}.9"}
            if requirement.marker is None or requirement.marker.evaluate(here):
                pinned = versions.get(canonicalize_name(requirement.name))
                assert pinned is not None, f"{requirement} of {name}"
                assert requirement.specifier.contains(pinned), f"{requirement} of {name}, {pinned}"


def test_torch_is_pinned_to_no_local_build():
    assert str(pins()["torch"]) == "2.13.0"


def test_the_environment_has_the_pinned_versions():
    for name, version in pins().items():
        try:
            installed = Version(metadata.version(name))
        except metadata.PackageNotFoundError:
            continue  # of another platform or Python
        assert installed.public == str(version), name


def test_conda_environment_installs_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, nested = environment["dependencies"]
    assert python == f"python {PROJECT['requires-python']}"
    assert pip == "pip"
    options = ["--constraint constraints.txt", f"--editable .[{INSTALLED}]"]
    assert nested["pip"] == options
    assert f".[{INSTALLED}]" in (ROOT / "Makefile").read_text()


def test_makefile_and_package_ask_for_the_same_python():
    lowest, bound = re.fullmatch(r">=([\d.]+),<([\d.]+)", PROJECT["requires-python"]).groups()
    last = f"3.{int(bound.removeprefix('3.')) - 1}"
    makefile = (ROOT / "Makefile").read_text()
    assert "({}) <= v < ({})".format(*(x.replace(".", ", ") for x in (lowest, bound))) in makefile
    assert f"Python {lowest} to {last}" in makefile
    for page in ("README.md", "book/index.md", "notebooks/reproduce.ipynb"):
        assert f"Python {lowest} to {last}, git" in (ROOT / page).read_text(), page


@pytest.mark.parametrize("version", ["3.10.1", "3.11.4", "3.14.0", "4.0.0"])
def test_another_python_is_told_in_one_line(tmp_path, version):
    other = tmp_path / "python3"
    script = f"import sys; sys.version_info = ({version.replace('.', ', ')}); exec(sys.argv[2])"
    other.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c \'{script}\' "$@"\n')
    other.chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(
        ["make", "setup", f"PYTHON={other}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode != 0
    first, *_ = done.stderr.splitlines()
    assert first.startswith("ecgadv needs Python 3.11.5 to 3.13, but ") and version in first
    assert not (tmp_path / ".venv").exists()


def test_a_checkout_that_cannot_be_written_can_be_tested(tmp_path):
    """A file where each cache would be stands for a read-only folder, which root can write to."""
    for name in ("Makefile", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for name in (".pytest_cache", ".ruff_cache"):
        (tmp_path / name).write_text("")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_one.py").write_text("def test_one():\n    pass\n")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    command = ["make", "-o", ".venv/ecgadv.stamp", "test", "ARGS=-n 0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_make_help_names_every_command():
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    targets = "setup", "test", "mutants", "book", "book-twice", "serve", "clean", "bench", "demo"
    for target in (*targets, "site-tools", "check-site"):
        assert f"make {target}" in done.stdout


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == ecgadv.__version__
    page = (ROOT / "book/licences.md").read_text()
    year = str(citation["date-released"])[:4]
    assert f"version {citation['version']}." in page
    assert f"  version = {{{citation['version']}}}," in page
    assert f"({year}). " in page
    assert f"  year = {{{year}}}," in page
    said = " ".join(page.replace("> ", "").split())
    assert citation["title"] in said
    assert citation["title"].replace("ECG", "{ECG}") in said
    assert citation["license"] == PROJECT["license"] == "MIT"


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_notebooks_are_stripped():
    command = [sys.executable, "-m", "nbstripout", "--verify", *map(str, NOTEBOOKS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"run nbstripout: {done.stdout}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_thin_and_take_their_output_folder(path):
    cells = json.loads(path.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) <= 15
    parameters = [c for c in code if "parameters" in c["metadata"].get("tags", [])]
    assert len(parameters) == 1
    assert "".join(parameters[0]["source"]).startswith("out = ")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_what_a_notebook_imports_is_there(path):
    """Modules move, and a notebook is executed only by a build."""
    cells = json.loads(path.read_text())["cells"]
    for cell in (cell for cell in cells if cell["cell_type"] == "code"):
        for node in ast.walk(ast.parse("".join(cell["source"]))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                exec(ast.unparse(node), {})


def toc():
    """Every page that book/_toc.yml names."""
    contents = yaml.safe_load((ROOT / "book/_toc.yml").read_text())
    chapters = [page for part in contents["parts"] for page in part["chapters"]]
    pages = [inner for page in chapters for inner in (page, *page.get("sections", []))]
    return [contents["root"], *(page["file"] for page in pages)]


def test_every_page_of_the_contents_exists_and_every_notebook_is_a_page():
    pages = toc()
    for page in pages:
        source = f"{page}.ipynb" if page.startswith("notebooks/") else f"book/{page}.md"
        assert (ROOT / source).is_file(), source
    assert {f"notebooks/{path.stem}" for path in NOTEBOOKS} <= set(pages)
    book = ROOT / "book"
    written = [
        path.relative_to(book)
        for path in book.rglob("*.md")
        if "node_modules" not in path.parts  # of `make site-tools`
    ]
    assert {path.with_suffix("").as_posix() for path in written} <= set(pages)


@pytest.mark.parametrize(
    "package", ["attacks", "data", "defenses", "evaluation", "models", "results"]
)
def test_the_api_reference_has_whatever_a_package_offers(package):
    """Its names, where it lists them, or else its modules."""
    page = (ROOT / f"book/api/{package}.md").read_text()
    offered = getattr(importlib.import_module(f"ecgadv.{package}"), "__all__", [])
    modules = {path.stem for path in (ROOT / "ecgadv" / package).glob("[!_]*.py")}
    listed = set(re.findall(rf"automodule:: ecgadv\.{package}\.(\w+)", page))
    if listed:
        assert listed == (modules & set(offered) or modules)
    else:
        assert f"automodule:: ecgadv.{package}\n   :members:\n   :imported-members:" in page
        assert offered


def test_every_figure_is_registered_once_with_its_notebook():
    registry = yaml.safe_load((ROOT / "book/figures.yml").read_text())
    ids = [entry["id"] for entry in registry]
    assert len(set(ids)) == len(ids)
    for entry in registry:
        cells = json.loads((ROOT / "notebooks" / entry["notebook"]).read_text())["cells"]
        source = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        assert f'"{entry["id"]}"' in source, f"{entry['notebook']} does not save {entry['id']}"
        assert f'title="{entry["title"]}"' in source, entry["title"]


def test_every_paper_cited_or_reported_is_in_the_references():
    known = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "book/references.bib").read_text(), re.M))
    cited = {claim["paper"] for claim in yaml.safe_load((ROOT / "book/claims.yml").read_text())}
    reported = yaml.safe_load((ROOT / "book/reported.yml").read_text())
    assert cited | {entry["paper"] for entry in reported} <= known


def test_every_reported_number_has_a_source():
    for entry in yaml.safe_load((ROOT / "book/reported.yml").read_text()):
        assert (entry["value"] is None) == (entry["source"] is None), entry
        assert entry["value"] is None or 0 <= entry["value"] <= 1, entry


def test_a_bare_gpu_node_needs_little():
    """That no more is imported is a test of the runner, which starts an interpreter anyway."""
    needed = {Requirement(r).name for r in PROJECT["dependencies"]}
    assert needed == {"filelock", "numpy", "safetensors", "torch"}
    assert "filelock" in {Requirement(r).name for r in metadata.requires("torch")}  # comes with it


def imported(path, modules):
    """What a module imports anywhere in it: `from package import module` is the module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in modules else node.module


def test_no_modules_import_one_another_in_a_circle():
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (ROOT / "ecgadv").rglob("*.py")
    }
    graph = {name: set(imported(path, paths)) & set(paths) for name, path in paths.items()}
    assert "ecgadv.errors" in graph["ecgadv.attacks.boundary"]
    graphlib.TopologicalSorter(graph).prepare()  # a CycleError shows the circle
