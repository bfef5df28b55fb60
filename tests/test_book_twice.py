"""Two builds of one commit are compared in every byte, in surroundings that differ."""

import subprocess

import pytest
from twice import check_twice

from ecgadv import files
from ecgadv.errors import EcgadvError

# What a page may not depend on.
KINDS = {
    "hash": "hash('a')",
    "home": "os.environ['HOME']",
    "locale": "os.environ['LC_ALL']",
    "packages": "sys.prefix",
    "place": "__file__",
    "zone": "time.localtime(0).tm_hour",
}


@pytest.fixture
def compared(tmp_path, monkeypatch):
    """A function from the lines of a build to what the comparison of its pages says."""
    fixed = {"HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "TZ": "UTC"}
    for name, value in fixed.items():
        monkeypatch.setenv(name, value)
    root = tmp_path / "a checkout"
    head = "import os, sys, time\nfrom pathlib import Path\n"
    head += "pages = Path(__file__).parents[1] / '_build/html'\npages.mkdir(parents=True)\n"

    def compare(*lines):
        files.write(root / "book/build.py", (head + "\n".join(lines)).encode())
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        for command in (["init", "--quiet"], ["add", "."], [*who, "commit", "--quiet", "-m", "1"]):
            subprocess.run(["git", *command], cwd=root, check=True)
        return check_twice(root / "_build/twice", root=root)

    return compare


def page(name, value):
    return f"(pages / {name!r}).write_text(str({value}))"


def test_equal_builds_are_counted(compared):
    assert compared(page("index.html", 1), page("more.html", 2)) == 2


def test_each_file_that_differs_is_named(compared):
    lines = [page("index.html", 1), *(page(name, value) for name, value in KINDS.items())]
    lines += ["if os.environ['HOME'] == '/':", f"    {page('strange', 1)}"]
    named = ", ".join(sorted([*KINDS, "strange"]))
    with pytest.raises(EcgadvError, match=rf"^7 files of .*_build/twice differ: {named}$"):
        compared(*lines)


def test_a_build_that_fails_is_no_comparison(compared):
    with pytest.raises(EcgadvError, match=r"^`.*book/build.py` failed, see above$"):
        compared("sys.exit(2)")
