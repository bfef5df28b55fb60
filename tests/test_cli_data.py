"""`ecgadv data`: what it prints, how it fails, how it is interrupted."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loopback import MITDB, WHOLE, Mirror, below, fake_files, with_sums

from ecgadv import cli
from ecgadv.data import catalogue

BODY = "mitdb/1.0.0/100.dat"

pytestmark = pytest.mark.usefixtures("quick_downloads")


def mirror_of(source):
    files = fake_files(source.files, size=500, large=("100.dat",))
    return Mirror(below(source.path, with_sums(files)))


@pytest.fixture
def mirror(monkeypatch):
    monkeypatch.setitem(catalogue.SOURCES, "mitdb", MITDB)
    with mirror_of(MITDB) as mirror:
        yield mirror


@pytest.fixture
def whole():
    """A mirror of all files, which another process wants."""
    with mirror_of(WHOLE) as mirror:
        yield mirror


def python(*arguments, **options):
    """A process of this interpreter that can be interrupted.

    A shell starts its background jobs with SIGINT ignored, and children inherit that.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)], stderr=subprocess.PIPE, text=True, **options
        )
    finally:
        signal.signal(signal.SIGINT, before)


def error_line(capsys, *arguments):
    """The one line on stderr of a command that fails with status 2."""
    assert cli.main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("ecgadv: error: ")
    return lines[0].removeprefix("ecgadv: error: ")


@pytest.mark.parametrize(
    ("arguments", "taught"),
    [
        ([], "ecgadv data fetch mitdb"),
        (["data"], "challenge-2017"),
        (["data", "fetch"], "ECGADV_PHYSIONET"),
        (["data", "prepare"], "ecgadv data prepare mitdb"),
        (["data", "info"], "ecgadv data info synthetic"),
    ],
)
def test_help_teaches(capsys, arguments, taught):
    with pytest.raises(SystemExit) as caught:
        cli.main([*arguments, "--help"])
    assert caught.value.code == 0
    assert taught in capsys.readouterr().out


def test_help_imports_nothing_heavy():
    code = (
        "import sys, ecgadv.cli\n"
        "try: ecgadv.cli.main(['data', 'fetch', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'wfdb', 'pandas', 'requests', 'matplotlib'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    process = python("-c", code, stdout=subprocess.DEVNULL)
    assert process.communicate()[1] == ""


def test_loading_without_the_download_packages():
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['requests', 'tqdm', 'wfdb', 'scipy', 'pandas']))\n"
        "import ecgadv.cli\n"
        "assert ecgadv.cli.main(['data', 'info', 'synthetic']) == 0\n"
        "sys.exit(ecgadv.cli.main(['data', 'fetch', 'mitdb']))\n"
    )
    process = python("-c", code, stdout=subprocess.DEVNULL)
    message = process.communicate()[1]
    assert process.returncode == 2
    assert re.fullmatch(r"ecgadv: error: the package \w+ is missing: run `pip .*`\n", message)


def test_fetch_tells_what_it_did(mirror, tmp_path, capsys):
    arguments = ["data", "fetch", "mitdb", "--base-url", mirror.url, "--dest", str(tmp_path)]
    assert cli.main(arguments) == 0
    text = capsys.readouterr().out
    assert f"from {mirror.url}mitdb/1.0.0/ to {tmp_path / 'mitdb/1.0.0'}" in text
    assert "19 files" in text and "verified against SHA256SUMS.txt, 19 of them fetched" in text
    assert "ODC-BY 1.0" in text and "Moody & Mark" in text
    assert cli.main(arguments) == 0
    assert "0 of them fetched now" in capsys.readouterr().out


def test_fetch_takes_server_and_folder_from_the_environment(mirror, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ECGADV_PHYSIONET", mirror.url)
    monkeypatch.setenv("ECGADV_DATA", str(tmp_path))
    assert cli.main(["data", "fetch", "mitdb"]) == 0
    assert (tmp_path / BODY).read_bytes() == mirror.files[BODY]


def test_fetch_fails_in_one_line(mirror, tmp_path, capsys):
    arguments = ["data", "fetch", "mitdb", "--dest", tmp_path, "--base-url"]
    assert "give something like" in error_line(capsys, *arguments, "mirror")
    del mirror.files[BODY]
    assert "100.dat: the server answered 404" in error_line(capsys, *arguments, mirror.url)
    del mirror.files["mitdb/1.0.0/SHA256SUMS.txt"]
    assert "nothing can be verified" in error_line(capsys, *arguments, mirror.url)


def test_no_server_is_one_line(tmp_path, capsys):
    with Mirror({}) as mirror:
        pass
    arguments = ["data", "fetch", "mitdb", "--dest", tmp_path, "--base-url", mirror.url]
    assert "connection refused, 5 times" in error_line(capsys, *arguments)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_one_line(mirror, tmp_path, capsys):
    part = tmp_path / (BODY + ".part")
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    line = error_line(
        capsys, "data", "fetch", "mitdb", "--dest", tmp_path, "--base-url", mirror.url
    )
    assert line.startswith("no space left for ")


def test_folder_that_is_a_file_is_one_line(mirror, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    line = error_line(
        capsys, "data", "fetch", "mitdb", "--dest", tmp_path / "file", "--base-url", mirror.url
    )
    assert line.startswith("Not a directory") and str(tmp_path) in line


def fetching(mirror, root):
    """A process that fetches, once it waits for the second half of 100.dat."""
    mirror.plan[BODY] = ["stall"]
    process = python(
        *("-m", "ecgadv", "data", "fetch", "mitdb", "--base-url", mirror.url, "--dest", root),
        stdout=subprocess.DEVNULL,
    )
    part = root / (BODY + ".part")
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size > 10_000) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert mirror.stalled.is_set() and process.poll() is None
    return process


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize(("sign", "status"), [("SIGINT", 130), ("SIGKILL", -9)])
def test_interrupted_fetch_goes_on_later(whole, tmp_path, capsys, sign, status):
    process = fetching(whole, tmp_path)
    started = time.monotonic()
    process.send_signal(getattr(signal, sign))
    message = process.communicate(timeout=20)[1]
    assert time.monotonic() - started < 10  # the server is silent: no waiting for its time-out
    assert process.returncode == status
    assert message == ("ecgadv: interrupted\n" if status == 130 else "")
    assert not (tmp_path / BODY).exists()
    have = (tmp_path / (BODY + ".part")).stat().st_size
    assert have > 0
    whole.release.set()
    assert (
        cli.main(["data", "fetch", "mitdb", "--base-url", whole.url, "--dest", str(tmp_path)]) == 0
    )
    assert whole.asked("100.dat") == [0, have]
    assert (tmp_path / BODY).read_bytes() == whole.files[BODY]


def test_closed_pipe_is_silent():
    process = python("-m", "ecgadv", "data", "info", "synthetic", stdout=subprocess.PIPE)
    process.stdout.close()
    message = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), message) == (141, "")


def test_info_of_the_synthetic_set(capsys):
    assert cli.main(["data", "info", "synthetic"]) == 0
    text = capsys.readouterr().out
    assert "made in memory, not recorded from anybody" in text
    counts = [int(cell.replace(",", "")) for cell in re.search(r"  all  (.*)", text)[1].split()]
    assert len(counts) == 6 and sum(counts[:5]) == counts[5]
    for part in ("train", "validation", "test"):
        assert len(re.findall(rf"^    {part} ", text, re.MULTILINE)) == 2


def test_info_counts_the_labels_of_each_version(tmp_path, capsys):
    source = catalogue.source("challenge-2017")
    labels = b"A00001,N\nA00002,A\nA00003,N\nA00004,~\n"
    files = fake_files(["training2017.zip"]) | {
        f"REFERENCE-v{version}.csv": labels for version in (0, 2, 3)
    }
    folder = tmp_path / source.path
    folder.mkdir(parents=True)
    for name, body in with_sums(files).items():
        (folder / name).write_bytes(body)
    assert cli.main(["data", "info", "challenge-2017", "--root", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "4 of 4" in text and "v3        A 1, N 2, ~ 1, sha256 " in text
    (folder / "training2017.zip").write_bytes(b"PK")
    assert cli.main(["data", "info", "challenge-2017", "--root", str(tmp_path)]) == 0
    assert "training2017.zip missing or not as published" in capsys.readouterr().out


def test_info_of_what_is_not_there(tmp_path, capsys):
    for name in ("mitdb", "cpsc2018"):
        assert cli.main(["data", "info", name, "--root", str(tmp_path)]) == 0
        assert f"`ecgadv data fetch {name}` gets it" in capsys.readouterr().out
    assert "use one of mitdb, " in error_line(capsys, "data", "info", "ptbxl")


def test_info_of_the_csv_without_the_csv(tmp_path, capsys):
    assert "mitbih_train.csv" in error_line(capsys, "data", "info", "kaggle", "--root", tmp_path)


def test_prepare_fails_in_one_line(mirror, tmp_path, capsys):
    root = ("--root", tmp_path)
    assert "run `ecgadv data fetch mitdb`" in error_line(capsys, "data", "prepare", "mitdb", *root)
    for name in ("cpsc2018", "ptb-xl"):
        line = error_line(capsys, "data", "prepare", name, *root)
        assert f"run `ecgadv data fetch {name}`" in line
    for name in ("ptbxl", "synthetic"):
        line = error_line(capsys, "data", "prepare", name, *root)
        assert line == (
            f"'{name}' cannot be prepared: use one of mitdb, challenge-2017, cpsc2018, ptb-xl, "
            "ptb-xl-500; what is synthetic and kaggle need no preparing"
        )
    cli.main(["data", "fetch", "mitdb", "--base-url", mirror.url, "--dest", str(tmp_path)])
    capsys.readouterr()
    listed = tmp_path / "mitdb/1.0.0/SHA256SUMS.txt"
    whole = listed.read_bytes()
    for content, what in (
        (None, "SHA256SUMS.txt is missing, so nothing can be verified: run `ecgadv data fetch"),
        (whole[:-3], "it lacks 1 of 19 files"),
        (whole.replace(b"100.dat", b"1OO.dat"), "it lacks 1 of 19 files, such as 100.dat"),
        (b"z" + whole[1:], "SHA256SUMS.txt is damaged (line 1 is not a SHA-256 sum and a name"),
    ):
        listed.unlink() if content is None else listed.write_bytes(content)
        line = error_line(capsys, "data", "prepare", "mitdb", *root)
        assert what in line and "run `ecgadv data fetch mitdb`, which repairs it" in line
        assert cli.main(["data", "info", "mitdb", *map(str, root)]) == 0
        assert "`ecgadv data fetch mitdb` repairs it" in capsys.readouterr().out
    listed.write_bytes(whole)
    (tmp_path / BODY).write_bytes(b"short")
    line = error_line(capsys, "data", "prepare", "mitdb", *root)
    assert "1 of 19 files" in line and "such as 100.dat" in line
    assert not (tmp_path / "prepared").exists()
