"""The steps of book/build.py: execution, staging, link check, publication."""

import json
import shutil
import sys
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from urllib.parse import quote

import build
import execute
import matplotlib
import nbformat
import pytest
import yaml
from check_site import problems
from stage import edition, embed_figures, without_injected

from ecgadv import figures, files, machine
from ecgadv.errors import EcgadvError

PAGE = '<html><body><h1 id="top">T</h1>{}</body></html>'


def notebook(folder, name, source, *, parameters="out = '.'"):
    """Write a notebook of one parameters cell and one code cell."""
    cells = [nbformat.v4.new_code_cell(text) for text in (parameters, source)]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    folder.mkdir(exist_ok=True)
    nbformat.write(book, folder / name)
    return folder / name


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty project, the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("JUPYTER_PATH", "JUPYTER_PLATFORM_DIRS", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, "")
    return tmp_path


def rel(path):
    return path.relative_to(path.cwd())


WRITE = """
import sys
from pathlib import Path
folder = Path(out) / "figures"
folder.mkdir(parents=True)
(folder / "fig-a.csv").write_text(sys.executable)
"""


def test_notebooks_run_once_in_this_interpreter_and_give_the_same_bytes(work, capsys):
    source = notebook(work / "notebooks", "01-a.ipynb", WRITE)
    executed = rel(work / "_build" / "executed")

    def made():
        execute.execute_all(rel(source.parent), executed, inputs="")
        return {path: path.read_bytes() for path in executed.rglob("*") if path.is_file()}

    first = made()
    assert first[executed / "figures/fig-a.csv"].decode() == sys.executable
    assert str(work) not in first[executed / "01-a.ipynb"].decode(), "an absolute path"
    assert "unchanged" not in capsys.readouterr().out
    assert made() == first
    assert "unchanged" in capsys.readouterr().out

    ledger = executed / "01-a.json"
    ledger.write_bytes(first[ledger][:40])
    assert made() == first, "a time, a duration or a random name"
    assert "unchanged" not in capsys.readouterr().out

    source.unlink()
    assert made() == {}


MARK = "import sys; sys.marked = True"
OWN = {
    ".ipython/profile_default/startup/00-own.py": MARK,
    ".ipython/profile_default/ipython_kernel_config.py": f"get_config(); {MARK}",
    ".startup.py": MARK,
    ".config/matplotlib/matplotlibrc": "lines.linewidth: 9",
}
LOOK = """
import sys
import warnings

import matplotlib
from matplotlib import font_manager

assert not hasattr(sys, "marked"), "a start-up file ran"
assert matplotlib.rcParams["lines.linewidth"] == 1.5
fonts = {entry.fname for entry in font_manager.fontManager.ttflist}
assert all(font.startswith(matplotlib.get_data_path()) for font in fonts)
warnings.warn("one that the user had made an error")
"""


def test_start_up_files_settings_and_fonts_of_the_user_are_left_out(work, monkeypatch):
    home = work / "home"
    for name, text in OWN.items():
        files.write(home / name, text.encode())
    for name in (".fonts", ".local/share/fonts"):
        (home / name).mkdir(parents=True)
        shutil.copy(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), home / name)
    own = {"HOME": "", "PYTHONSTARTUP": ".startup.py", "IPYTHONDIR": ".ipython"}
    own |= {"MATPLOTLIBRC": ".config/matplotlib", "MPLCONFIGDIR": ".config/matplotlib"}
    for name, place in own.items():
        monkeypatch.setenv(name, str(home / place))
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    execute.pin_kernel(rel(work / "kernel"))
    source = notebook(work / "notebooks", "01-a.ipynb", LOOK)
    execute.execute(rel(source), work / "a.ipynb", parameters={})


def test_a_failing_notebook_is_named_and_nothing_is_published(work):
    source = notebook(work / "notebooks", "02-b.ipynb", "1 / 0")
    executed = rel(work / "_build" / "executed")
    with pytest.raises(execute.NotebookError, match=r"02-b.ipynb, cell \d: ZeroDivisionError"):
        execute.execute_all(rel(source.parent), executed, inputs="")
    assert not (executed / "02-b.ipynb").exists()


def test_a_kernel_that_dies_is_one_line(work):
    source = notebook(work / "notebooks", "02-b.ipynb", "import os; os._exit(1)")
    with pytest.raises(execute.NotebookError, match=r"^02-b.ipynb, cell 3: its kernel died.*$"):
        execute.execute_all(rel(source.parent), rel(work / "executed"), inputs="")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"nbformat": 4, "cells": 1}', "\udcff"])
def test_what_is_no_notebook_is_one_line(work, text):
    source = work / "04-d.ipynb"
    source.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(execute.NotebookError, match=r"^04-d.ipynb is no notebook \(.*\): .*$"):
        execute.execute(rel(source), work / "d.ipynb", parameters={})


RUNS = "from pathlib import Path\nif run: Path('ran').open('a').write(f'{profile} {deadline}; ')"


def test_only_the_pages_that_show_a_profile_run_what_is_missing_of_it(work):
    declared = "out = ''\nprofile = {!r}\nrun = False\ndeadline = None"
    for name, profile in {"01-a": "paper", "02-b": "compact", "03-c": "compact"}.items():
        notebook(work / "notebooks", f"{name}.ipynb", RUNS, parameters=declared.format(profile))
    notebook(work / "notebooks", "04-d.ipynb", "1 / 0")
    wanted = {"profile": "compact", "deadline": 3.0}
    execute.run_missing(Path("notebooks"), Path("_build/run"), **wanted)
    assert Path("ran").read_text() == "compact 3.0; compact 3.0; "
    assert not Path("_build/run").exists()
    with pytest.raises(execute.NotebookError, match="profile 'x'; they show compact, paper"):
        execute.run_missing(Path("notebooks"), Path("_build/run"), profile="x")


DAMAGES = (lambda old: old[: len(old) // 2], lambda old: old[:-9] + b"#" + old[-8:], lambda _: b"1")


@pytest.fixture
def executions(work, monkeypatch):
    """A notebook that is executed by a stand-in; what it was executed with."""

    def made(source, target, *, parameters):
        target.write_text("executed notebook")
        (Path(parameters["out"]) / "figures").mkdir()
        (Path(parameters["out"]) / "figures/fig-a.csv").write_text("eps,accuracy\n")
        log.append(source.name)

    log = []
    monkeypatch.setattr(execute, "execute", made)
    notebook(work / "notebooks", "01-a.ipynb", "")
    return log


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["01-a.json", "01-a.ipynb", "figures/fig-a.csv"])
def test_damage_in_what_was_executed_is_made_good(executions, damage, name):
    executed = Path("executed")
    execute.execute_all(Path("notebooks"), executed, inputs="")
    whole = (executed / name).read_bytes()
    (executed / name).write_bytes(damage(whole))
    execute.execute_all(Path("notebooks"), executed, inputs="")
    assert (executed / name).read_bytes() == whole


def test_other_inputs_or_another_text_execute_a_notebook_again(executions):
    for inputs in ("one", "one", "two"):
        execute.execute_all(Path("notebooks"), Path("executed"), inputs=inputs)
    assert len(executions) == 2
    source = Path("notebooks/01-a.ipynb")
    source.write_text(source.read_text() + "\n")
    execute.execute_all(Path("notebooks"), Path("executed"), inputs="two")
    assert len(executions) == 3


def test_an_undeclared_parameter_fails(work):
    source = notebook(work / "notebooks", "03-c.ipynb", "", parameters="seeds = 3")
    with pytest.raises(execute.NotebookError, match=r"declares seeds, not out"):
        execute.execute(rel(source), work / "c.ipynb", parameters={"out": "."})


def told(capsys, monkeypatch, *, raised=None):
    """The exit status of the build in the working directory, and what it says on stderr."""

    def fail(*arguments, **options):
        raise raised

    monkeypatch.setattr(build, "ROOT", Path.cwd())
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    if raised is not None:
        monkeypatch.setattr(build, "build", fail)
    status = build.main(["--no-demo"])
    return status, capsys.readouterr().err


def test_an_interrupt_is_one_line(work, capsys, monkeypatch):
    status, said = told(capsys, monkeypatch, raised=KeyboardInterrupt())
    assert (status, said) == (130, "book: interrupted; `make book` goes on from what is done\n")


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (PermissionError(13, "Permission denied", "_build/stage"), "denied (_build/stage): mend"),
        (OSError(30, "Read-only file system", "_build"), "Read-only file system (_build): mend"),
        (OSError(28, "No space left on device"), "no space left under _build; free some and run"),
        (ModuleNotFoundError("No module", name="papermill"), "the package papermill is missing"),
        (EcgadvError("verdicts on\nC-1: none"), "verdicts on C-1: none"),
    ],
)
def test_what_stops_the_build_is_one_line(work, capsys, monkeypatch, raised, said):
    status, line = told(capsys, monkeypatch, raised=raised)
    assert status == 2
    assert line.startswith("book: error: ") and line.count("\n") == 1
    assert said in line


def test_a_folder_that_cannot_be_made_is_one_line(work, capsys, monkeypatch):
    for name in ("ecgadv", "notebooks"):
        (work / name).mkdir()
    (work / "constraints.txt").write_text("")
    (work / "_build").write_text("")
    status, line = told(capsys, monkeypatch)
    assert status == 2
    assert line.startswith("book: error: Not a directory (") and line.count("\n") == 1


def test_a_full_disk_under_the_renderer_is_no_fault_of_the_pages(work, monkeypatch):
    renderer = work / "jupyter-book"
    renderer.write_text(
        "#!/bin/sh\necho 'OSError: [Errno 28] No space left on device' >&2\nexit 1\n"
    )
    renderer.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(work / "python"))
    with pytest.raises(OSError, match=r"^\[Errno 28\] No space left on device$"):
        build.render(work / "stage", work / "render", toc=work / "_toc.yml")


def test_without_git_the_pages_have_the_day_of_the_version(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(Path(__file__).parents[1])
    day = datetime.fromtimestamp(build._edition_time(), UTC).date()
    assert f"date-released: {day}" in Path("CITATION.cff").read_text().replace('"', "")


def registry(*ids):
    return [{"id": id, "notebook": "01-a.ipynb", "title": id} for id in ids]


def test_registered_figures_need_all_their_files(tmp_path):
    for suffix in figures.FORMATS:
        (tmp_path / f"fig-a.{suffix}").write_text("")
    build.check_registry(registry("fig-a"), tmp_path)
    (tmp_path / "fig-a.pdf").unlink()
    with pytest.raises(build.BuildError, match=r"lack files: fig-a.pdf"):
        build.check_registry(registry("fig-a"), tmp_path)


def test_figures_without_records_are_marked(tmp_path):
    (tmp_path / "fig-a.not-run").write_text("")
    build.check_registry(registry("fig-a"), tmp_path)
    with pytest.raises(build.BuildError, match=r"not in book/figures.yml: fig-a.not-run"):
        build.check_registry([], tmp_path)
    (tmp_path / "fig-a.svg").write_text("left over")
    with pytest.raises(build.BuildError, match=r"not in book/figures.yml: fig-a.svg"):
        build.check_registry(registry("fig-a"), tmp_path)


def test_unregistered_figures_fail(tmp_path):
    (tmp_path / "fig-b.svg").write_text("")
    with pytest.raises(build.BuildError, match=r"not in book/figures.yml: fig-b.svg"):
        build.check_registry([], tmp_path)


def test_saved_figures_become_entries_of_the_book(tmp_path):
    provenance = dict.fromkeys(figures.PROVENANCE, "x")
    described = {"title": "T", "caption": "C.", "alt": "A.", "provenance": provenance}
    (tmp_path / "fig-a.json").write_text(json.dumps(described))
    shown = {"data": {"image/png": "", figures.MIME: {"id": "fig-a"}}, "metadata": {"w": 1}}
    plain = {"data": {"text/plain": "1"}}
    injected = {"metadata": {"tags": ["injected-parameters"]}, "outputs": []}
    cell = {"metadata": {}, "outputs": [shown, plain]}
    book = without_injected({"cells": [injected, cell]})
    embed_figures(book, tmp_path, origin={"fig-a": "01-a.ipynb"}, book=edition())
    assert book["cells"] == [cell]
    assert list(shown["data"]) == ["text/markdown"]
    text = shown["data"]["text/markdown"]
    cited = yaml.safe_load((build.ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert ":name: fig-a" in text and f"authors ({cited['date-released']:.4})." in text
    assert f"*, version {cited['version']} at commit " in text
    assert plain["data"] == {"text/plain": "1"}


def site(tmp_path, **pages):
    for name, body in pages.items():
        (tmp_path / f"{name}.html").write_text(PAGE.format(body))
    return tmp_path


def test_a_sound_site_has_no_problems(tmp_path):
    (tmp_path / "a b.svg").write_text("<svg/>")
    body = """<a href="#top">1</a><a href="two.html#top">2</a><a href="https://x.org/#y">3</a>
    <img src="a%20b.svg" alt="">"""
    assert problems(site(tmp_path, index=body, two="")) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<a href="none.html">', "no such file: none.html"),
        ('<a href="#nowhere">', "no such anchor: #nowhere"),
        ('<a href="two.html#nowhere">', "no such anchor: two.html#nowhere"),
        ('<a href="../outside.html">', "no such file"),
        ('<a href="/two.html">', "not relative to the page"),
        ('<img src="none.png" alt="">', "no such file: none.png"),
        ('<img src="two.html">', "image without alt"),
        ("<pre>&lt;a.B object at 0x7f&gt;</pre>", "shows <a.B object at 0x7f>"),
        ('<script src="https://cdn.example/x.js"></script>', "loaded from the network"),
        ('<link rel="stylesheet" href="//fonts.example/x.css">', "loaded from the network"),
        ("run in /home/someone/ecgadv", "holds '/home/someone'"),
    ],
)
def test_each_kind_of_problem_is_found(tmp_path, body, problem):
    (tmp_path / "outside.html").write_text("")
    folder = tmp_path / "site"
    folder.mkdir()
    found = problems(site(folder, index=body, two=""), folders=[Path("/home/someone")])
    assert len(found) == 1
    assert problem in found[0]


ORDINARY = """<h1>h1</h1> is a heading, <code>x</code> and <a>b</a>; see https://x.org/code/a,
../code/, ~/code and /codes; ph1, h1-x and a/h1 are other names"""


def test_names_and_folders_are_looked_for_as_such(tmp_path, monkeypatch):
    """Neither `</code>` is the folder /code nor `<h1>` the machine h1."""
    monkeypatch.setattr("socket.gethostname", lambda: "h1")
    (tmp_path / "drawing.pdf").write_bytes(b"\xff h1 ")
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static/theme.css").write_text("h1 {}")
    (tmp_path / "style.css").write_text(".h1 {}")
    folders = [Path("/"), Path("/code"), Path("/a")]
    body = ORDINARY.replace(">h1<", "><")
    assert problems(site(tmp_path, index=body.replace("<a>", '<a href="">')), folders=folders) == []


@pytest.mark.parametrize(
    "body",
    [
        "ran on h1",
        "me@h1:x",
        "http://me@h1:8888/",
        "http://h1:8888/",
        '{"text": "ran\\nh1"}',
        '{"text": "ran in\\n/code/x"}',
        "h1.example.org",
        "in /code",
        '{"cwd": "/code/notebooks"}',
        "file:///code/x",
        "<p>/code/x.",
    ],
)
def test_each_way_of_naming_the_machine_is_found(tmp_path, monkeypatch, body):
    monkeypatch.setattr("socket.gethostname", lambda: "h1.example.org")
    found = problems(site(tmp_path, index=body), folders=[Path("/code")])
    assert found and set(found) <= {
        f"index.html: holds {text!r}" for text in ("h1", "h1.example.org", "/code")
    }


def test_a_user_without_a_home_has_none_to_look_for(monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    assert machine.homes() == []


@pytest.mark.parametrize("spell", [str, json.dumps, quote, escape], ids=lambda f: f.__name__)
def test_a_folder_with_blanks_and_accents_is_found_however_it_is_spelt(tmp_path, spell):
    folder = Path("/home/jörg & co/ecg adv")
    found = problems(site(tmp_path, index=spell(f"{folder}/notebooks")), folders=[folder])
    assert found == [f"index.html: holds {str(folder)!r}"]


@pytest.mark.parametrize("name", ["laptop", "127.0.0.1", "42"])
def test_a_machine_whose_name_is_also_a_word_or_a_number(tmp_path, monkeypatch, name):
    monkeypatch.setattr("socket.gethostname", lambda: name)
    assert problems(site(tmp_path, index="a laptop, 127, 127.0.0.1 and 42")) == []


def test_pages_are_replaced_whole(tmp_path):
    new, old = tmp_path / "new", tmp_path / "html"
    for folder, text in ((new, "new"), (old, "old")):
        folder.mkdir()
        (folder / "index.html").write_text(text)
    (old / "gone.html").write_text("")
    build.publish(new, old)
    assert [path.name for path in old.iterdir()] == ["index.html"]
    assert (old / "index.html").read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"html"}


def test_the_digest_sees_names_and_contents(tmp_path):
    (tmp_path / "a").write_text("1")
    before = build.digest([tmp_path])
    assert build.digest([tmp_path]) == before
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = build.digest([tmp_path])
    (tmp_path / "b").write_text("2")
    assert len({before, renamed, build.digest([tmp_path])}) == 3


def test_a_page_that_does_not_render_stops_the_build(work, capsys):
    """A broken reference is an error, and what was published stays."""
    for name in ("book/api", "book/assets", "notebooks", "_build/html", "ecgadv"):
        (work / name).mkdir(parents=True)
    for name in ("CHANGELOG.md", "CONTRIBUTING.md"):
        (work / name).write_text("")
    shutil.copy(build.ROOT / "CITATION.cff", work)
    (work / "_build/html/index.html").write_text("former")
    (work / "book/index.md").write_text("# Title\n\nSee {numref}`fig-none`.\n")
    toc = {"format": "jb-book", "root": "index"}
    (work / "book/_toc.yml").write_text(yaml.safe_dump(toc))
    (work / "book/figures.yml").write_text("[]")
    for name in ("claims", "moved", "reported"):
        (work / f"book/{name}.yml").write_text("[]")
    (work / "constraints.txt").write_text("")
    config = {"title": "T", "execute": {"execute_notebooks": "off"}}
    (work / "_config.yml").write_text(yaml.safe_dump(config))
    with pytest.raises(build.BuildError, match="fig-none"):
        build.build(rel(work / "_build"), root=work)
    assert (work / "_build/html/index.html").read_text() == "former"
