"""Fetching against a server that fails in every way a server can."""

import hashlib
import re
import threading
import time
from pathlib import Path

import pytest
from loopback import MITDB, WHOLE, Mirror, below, fake_files, fake_record, with_sums

from ecgadv.data import catalogue, describe, download, parallel, physionet, verify
from ecgadv.errors import EcgadvError

CPSC = catalogue.source("cpsc2018")
BODY = "mitdb/1.0.0/100.dat"
SUMS = "mitdb/1.0.0/SHA256SUMS.txt"

pytestmark = pytest.mark.usefixtures("quick_downloads")


def random_files(source):
    """A database of random bytes under the names of mitdb, 100.dat being 300 kB."""
    names = [*source.files, "ANNOTATORS", "mitdbdir/intro.htm"]
    return below(source.path, with_sums(fake_files(names, large=("100.dat",))))


@pytest.fixture(scope="module")
def mitdb_files():
    return random_files(MITDB)


@pytest.fixture(autouse=True)
def _few_files(monkeypatch):
    monkeypatch.setitem(catalogue.SOURCES, "mitdb", MITDB)


@pytest.fixture
def whole(monkeypatch):
    """A mirror of all files, all of which are wanted."""
    monkeypatch.setitem(catalogue.SOURCES, "mitdb", WHOLE)
    with Mirror(random_files(WHOLE)) as mirror:
        yield mirror


@pytest.fixture
def mirror(mitdb_files):
    with Mirror(mitdb_files) as mirror:
        yield mirror


def fetch(mirror, root, name="mitdb"):
    return physionet.fetch(name, root=root, base=mirror.url, say=lambda line: None)


def assert_whole(root, files, source=MITDB):
    """Every file wanted is there with the right bytes, and nothing else but the lock."""
    wanted = {
        path: body
        for path, body in files.items()
        if source.lists(path.removeprefix(source.path + "/")) or path.endswith(verify.SUMS)
    }
    there = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name != ".fetch.lock"
    }
    assert there == wanted


def assert_no_half_file(root, files):
    """Whatever stands under a final name is the published file."""
    for path in root.rglob("*"):
        if path.is_file() and path.suffix != ".part" and path.name != ".fetch.lock":
            assert path.read_bytes() == files[path.relative_to(root).as_posix()]


def fails(mirror, root, *, match, name="mitdb"):
    """A fetch that fails in one line; returns that line."""
    with pytest.raises(EcgadvError, match=match) as caught:
        fetch(mirror, root, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_fetch_gets_every_file_once(whole, tmp_path):
    done = fetch(whole, tmp_path)
    assert (done.files, done.new, done.published) == (145, 145, True)
    assert_whole(tmp_path, whole.files, WHOLE)
    assert len(whole.requests) == len(set(whole.requests)) == 146
    assert done.folder == tmp_path / "mitdb/1.0.0"


def test_fetch_again_asks_the_server_nothing(mirror, tmp_path):
    fetch(mirror, tmp_path)
    mirror.requests.clear()
    done = fetch(mirror, tmp_path)
    assert done.new == 0
    assert mirror.requests == []


def test_connection_breaks_off_and_the_download_goes_on(mirror, tmp_path):
    mirror.plan[BODY] = [200_000, 50_000]
    fetch(mirror, tmp_path)
    first, second, third = mirror.asked("100.dat")
    # The unwritten rest of a chunk may be lost, never more.
    assert first == 0 and 0 < second <= 200_000 and second < third <= 250_000
    assert second > 200_000 - download.CHUNK
    assert_whole(tmp_path, mirror.files)


def test_server_dies_for_good_and_the_second_call_resumes(mirror, tmp_path):
    mirror.plan[BODY] = [200_000] + [0] * 20
    line = fails(mirror, tmp_path, match="100.dat: the connection broke off, 5 times")
    assert "again" in line
    assert not (tmp_path / BODY).exists()
    assert_no_half_file(tmp_path, mirror.files)
    have = (tmp_path / (BODY + ".part")).stat().st_size
    assert have > 200_000 - download.CHUNK
    mirror.plan.clear()
    mirror.requests.clear()
    fetch(mirror, tmp_path)
    assert mirror.asked("100.dat") == [have]
    assert_whole(tmp_path, mirror.files)


def test_server_without_ranges(mitdb_files, tmp_path):
    with Mirror(mitdb_files, ranges=False) as mirror:
        mirror.plan[BODY] = [200_000, 100_000]
        fetch(mirror, tmp_path)
        assert len(mirror.asked("100.dat")) == 3
        assert_whole(tmp_path, mitdb_files)


def test_server_without_ranges_that_always_dies_is_given_up(mitdb_files, tmp_path):
    with Mirror(mitdb_files, ranges=False) as mirror:
        mirror.plan[BODY] = [200_000] * 50
        fails(mirror, tmp_path, match="broke off")
        assert len(mirror.asked("100.dat")) <= 2 * download.ATTEMPTS


def test_truncated_on_the_server(mirror, tmp_path):
    whole = mirror.files[BODY]
    mirror.files[BODY] = whole[:1000]
    fails(mirror, tmp_path, match=r"100.dat: its SHA-256 sum is \w{12}..., but SHA256SUMS")
    assert not (tmp_path / BODY).exists() and not (tmp_path / (BODY + ".part")).exists()
    assert mirror.asked("100.dat") == [0, 0]
    mirror.files[BODY] = whole
    assert fetch(mirror, tmp_path).new == 1
    assert_whole(tmp_path, mirror.files)


def test_byte_flipped_underway_is_fetched_again(mirror, tmp_path):
    mirror.plan[BODY] = ["flip"]
    fetch(mirror, tmp_path)
    assert mirror.asked("100.dat") == [0, 0]
    assert_whole(tmp_path, mirror.files)


def test_byte_flipped_on_the_server(mirror, tmp_path):
    mirror.plan[BODY] = ["flip", "flip"]
    fails(mirror, tmp_path, match="SHA-256")
    assert_no_half_file(tmp_path, mirror.files)
    fetch(mirror, tmp_path)
    assert_whole(tmp_path, mirror.files)


def test_no_checksum_file(mirror, tmp_path):
    sums = mirror.files.pop(SUMS)
    fails(mirror, tmp_path, match="SHA256SUMS.txt: the server answered 404 .* nothing was fetched")
    assert {path for path, _ in mirror.requests} == {SUMS}
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".fetch.lock"]
    mirror.files[SUMS] = sums
    fetch(mirror, tmp_path)
    assert_whole(tmp_path, mirror.files)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"<html>Log in to the network</html>\n", "line 1 is not a SHA-256 sum"),
        (b"", "lacks 19 of 19 files"),
    ],
)
def test_checksum_file_that_is_none(mirror, tmp_path, content, match):
    mirror.files[SUMS] = content
    fails(mirror, tmp_path, match=match)
    assert not (tmp_path / SUMS).exists()


def test_checksum_file_cut_at_a_line_end(mirror, tmp_path):
    lines = mirror.files[SUMS].splitlines(keepends=True)
    mirror.files[SUMS] = b"".join(lines[:12])
    fails(mirror, tmp_path, match="lacks 7 of 19 files")
    mirror.files[SUMS] = b"".join(lines)
    fetch(mirror, tmp_path)
    assert_whole(tmp_path, mirror.files)


def test_stale_checksum_file_is_replaced(mirror, tmp_path):
    fetch(mirror, tmp_path)
    text = (tmp_path / SUMS).read_text()
    digit = "0" if text[0] != "0" else "1"
    (tmp_path / SUMS).write_text(digit + text[1:])
    assert fetch(mirror, tmp_path).new == 0
    assert_whole(tmp_path, mirror.files)


def test_truncated_checksum_file_on_disk_is_not_trusted(mirror, tmp_path):
    fetch(mirror, tmp_path)
    lines = mirror.files[SUMS].splitlines(keepends=True)
    (tmp_path / SUMS).write_bytes(b"".join(lines[:12]))
    done = fetch(mirror, tmp_path)
    assert (done.files, done.new) == (19, 0)
    assert_whole(tmp_path, mirror.files)


def test_two_files_missing_on_the_server(mirror, tmp_path):
    names = ("mitdb/1.0.0/102.atr", "mitdb/1.0.0/105.hea")
    bodies = {name: mirror.files.pop(name) for name in names}
    line = fails(mirror, tmp_path, match="the server answered 404")
    assert line.endswith("(2 of 19 files failed)")
    assert_no_half_file(tmp_path, mirror.files)
    mirror.files.update(bodies)
    mirror.requests.clear()
    assert fetch(mirror, tmp_path).new == 2
    assert {path for path, _ in mirror.requests} == {SUMS, *names}
    assert_whole(tmp_path, mirror.files)


def test_refused_is_not_tried_again(mirror, tmp_path):
    mirror.plan[BODY] = [(403, {})] * 9
    fails(mirror, tmp_path, match="100.dat: the server answered 403 Forbidden")
    assert mirror.asked("100.dat") == [0]


def test_no_server(mitdb_files, tmp_path):
    with Mirror(mitdb_files) as mirror:
        pass
    started = time.monotonic()
    fails(mirror, tmp_path, match="connection refused, 5 times; check the network and the base")
    assert time.monotonic() - started < 5


def test_busy_server_is_waited_for(mirror, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(threading.Event, "wait", lambda self, s=None: waits.append(s))
    stop, job = threading.Event(), _job(mirror, tmp_path)
    mirror.plan[BODY] = [(503, {"Retry-After": "7"}), (429, {"Retry-After": "9999"}), (500, {})]
    with download.open_session() as session:
        download.download(session, job, stop=stop)
    assert [wait for wait in waits if wait is not None][:2] == [7, download.LONGEST_WAIT]
    assert job.target.read_bytes() == mirror.files[BODY]


def test_server_that_stays_busy(mirror, tmp_path):
    mirror.plan[BODY] = [(503, {})] * 9
    fails(mirror, tmp_path, match="the server answered 503 Service Unavailable, 5 times")
    assert len(mirror.asked("100.dat")) == download.ATTEMPTS


def _job(mirror, root):
    expected = hashlib.sha256(mirror.files[BODY]).hexdigest()
    target = root / "100.dat"
    return download.Job(
        url=mirror.url + BODY,
        target=target,
        check=lambda path: verify.sum_problem(path, expected=expected),
    )


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("kept", [0, 1, 1000, 299_999, 300_000])
@pytest.mark.parametrize("tail", [b"", b"of another file", bytes(400_000)])
def test_no_part_file_poisons_the_result(mitdb_files, tmp_path, ranges, kept, tail):
    with Mirror(mitdb_files, ranges=ranges) as mirror:
        job = _job(mirror, tmp_path)
        job.part.write_bytes(mitdb_files[BODY][:kept] + tail)
        with download.open_session() as session:
            download.download(session, job)
        assert job.target.read_bytes() == mitdb_files[BODY]
        assert not job.part.exists()
        assert len(mirror.requests) <= 2


def test_complete_part_file_is_not_fetched_again(mirror, tmp_path):
    job = _job(mirror, tmp_path)
    job.part.write_bytes(mirror.files[BODY])
    with download.open_session() as session:
        download.download(session, job)
    assert mirror.requests == [(BODY, 300_000)]
    assert job.target.read_bytes() == mirror.files[BODY]


def test_server_that_answers_another_range(mirror, tmp_path):
    job = _job(mirror, tmp_path)
    job.part.write_bytes(mirror.files[BODY][:1000])
    mirror.plan[BODY] = ["shift"]
    with download.open_session() as session:
        download.download(session, job)
    assert job.target.read_bytes() == mirror.files[BODY]


def test_silent_server_times_out(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", (1, 0.05))
    job = _job(mirror, tmp_path)
    mirror.plan[BODY] = ["stall"]
    with download.open_session() as session:
        download.download(session, job)
    assert len(mirror.requests) == 2
    assert job.target.read_bytes() == mirror.files[BODY]


def test_server_that_drips_is_given_up(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "STALL", 0.05)
    mirror.plan[BODY] = ["drip"] * download.ATTEMPTS
    line = fails(mirror, tmp_path, match="100.dat: fewer than 4,096 bytes in 0.05 s, 5 times")
    assert "the same command again" in line
    asked = mirror.asked("100.dat")
    assert len(asked) == 5 and asked == sorted(set(asked))  # each went on from the last
    fetch(mirror, tmp_path)
    assert_whole(tmp_path, mirror.files)


def test_server_that_drips_for_a_while_is_waited_for(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "STALL", 0.05)
    mirror.plan[BODY] = ["drip", 100_000, "drip"]
    fetch(mirror, tmp_path)
    assert_whole(tmp_path, mirror.files)


@pytest.mark.parametrize("path", [BODY, SUMS])
def test_redirects_in_a_circle(mirror, tmp_path, path):
    mirror.plan[path] = [(302, {"Location": f"/files/{path}"})] * 99
    fails(mirror, tmp_path, match=f"{path}: the server redirects for ever; check the base URL")
    assert len(mirror.requests) < 60  # not tried again


def test_off_a_terminal_a_line_now_and_then_tells_the_progress(
    mirror, tmp_path, monkeypatch, capsys
):
    fetch(mirror, tmp_path / "quick")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(parallel, "LOG_EVERY", -1)
    fetch(mirror, tmp_path / "slow")
    lines = capsys.readouterr().err.splitlines()
    assert all(re.fullmatch(r"mitdb: \d+\.\d MB, \d+ of 19 files", line) for line in lines)
    assert lines[-1] == "mitdb: 0.4 MB, 19 of 19 files"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_no_space_left(mirror, tmp_path):
    part = tmp_path / (BODY + ".part")
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    fails(mirror, tmp_path, match="no space left for .*mitdb/1.0.0: free some")
    assert not (tmp_path / BODY).exists()
    assert_no_half_file(tmp_path, mirror.files)
    part.unlink()
    fetch(mirror, tmp_path)
    assert_whole(tmp_path, mirror.files)


def test_damaged_files_are_repaired_and_the_others_left_alone(mirror, tmp_path):
    fetch(mirror, tmp_path)
    folder = tmp_path / MITDB.path
    (folder / "101.dat").write_bytes(b"")
    content = bytearray((folder / "102.atr").read_bytes())
    content[7] ^= 4
    (folder / "102.atr").write_bytes(content)
    (folder / "103.hea").unlink()
    mirror.requests.clear()
    assert fetch(mirror, tmp_path).new == 3
    asked = {path.rpartition("/")[2] for path, _ in mirror.requests}
    assert asked == {"SHA256SUMS.txt", "101.dat", "102.atr", "103.hea"}
    assert_whole(tmp_path, mirror.files)


def test_two_fetches_at_once_share_the_work(whole, tmp_path):
    lines, done = [], []

    def run():
        done.append(physionet.fetch("mitdb", root=tmp_path, base=whole.url, say=lines.append))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.new for one in done) == [0, 145]
    assert len(whole.requests) == 146
    assert_whole(tmp_path, whole.files, WHOLE)


@pytest.mark.parametrize("url", ["localhost:8017", "ftp://host/files", "http://", "http://a b/"])
def test_base_url_that_is_none(url):
    with pytest.raises(EcgadvError, match=f"base URL '{url}' is not one"):
        physionet.base_url(url)


def test_base_url_from_option_then_environment_then_physionet(monkeypatch):
    assert physionet.base_url() == "https://physionet.org/files/"
    monkeypatch.setenv("ECGADV_PHYSIONET", "http://mirror/files")
    assert physionet.base_url() == "http://mirror/files/"
    assert physionet.base_url("http://127.0.0.1:8017") == "http://127.0.0.1:8017/"


def test_unknown_dataset(tmp_path):
    with pytest.raises(EcgadvError, match="no PhysioNet dataset 'ptbxl': use one of mitdb, "):
        physionet.fetch("ptbxl", root=tmp_path)


def test_challenge_2017_takes_the_labels_and_the_zip(tmp_path):
    source = catalogue.source("challenge-2017")
    names = [*source.files, "sample2017.zip", "REFERENCE-v1.csv"]
    with Mirror(below(source.path, with_sums(fake_files(names)))) as mirror:
        assert fetch(mirror, tmp_path, "challenge-2017").files == 4
        assert_whole(tmp_path, mirror.files, source)


# CPSC 2018: groups of records, perhaps without published sums.


@pytest.fixture
def cpsc_files():
    """Five records in two of the seven groups, without published sums."""
    files = {}
    for group, numbers in (("g1", (1, 2, 3)), ("g2", (1000, 1001))):
        folder = f"training/cpsc_2018/{group}"
        files[f"{folder}/RECORDS"] = "".join(f"A{n:04d}\n" for n in numbers).encode()
        for number in numbers:
            files |= below(folder, fake_record(f"A{number:04d}", seed=number))
    return files


@pytest.fixture
def cpsc(cpsc_files):
    with Mirror(below(CPSC.path, cpsc_files)) as mirror:
        yield mirror


def test_without_published_sums_headers_are_verified_and_said_so(cpsc, tmp_path):
    lines = []
    done = physionet.fetch("cpsc2018", root=tmp_path, base=cpsc.url, say=lines.append)
    assert any("publishes no SHA256SUMS.txt" in line for line in lines)
    assert any("5 of 6,877 records" in line for line in done.summary())
    assert (done.files, done.records, done.published) == (12, 5, False)
    assert_whole(tmp_path, cpsc.files, CPSC)
    cpsc.requests.clear()
    assert fetch(cpsc, tmp_path, "cpsc2018").new == 0
    assert not [path for path, _ in cpsc.requests if path.endswith((".hea", ".mat"))]


def test_a_comment_in_latin_1_is_read(cpsc, tmp_path):
    cpsc.files[f"{CPSC.path}/training/cpsc_2018/g1/A0001.hea"] += "# Hx: Müller\n".encode("latin-1")
    fetch(cpsc, tmp_path, "cpsc2018")
    said = describe.describe("cpsc2018", root=tmp_path)
    assert any(line.split()[:3] == ["labels", "RBBB", "5"] for line in said)


@pytest.mark.parametrize("fault", ["flip", "truncate"])
@pytest.mark.parametrize("name", ["A0002.mat", "A0002.hea"])
def test_wrong_bytes_show_by_the_header(cpsc, tmp_path, fault, name):
    path = f"{CPSC.path}/training/cpsc_2018/g1/{name}"
    if (name, fault) == ("A0002.hea", "flip"):
        # The last byte is a line end of a comment: flip a checksum instead.
        whole = cpsc.files[path]
        cpsc.files[path] = whole.replace(b" 0 I\n", b"1 0 I\n", 1)
    else:
        whole = cpsc.files[path]
        cpsc.plan[path] = [fault, fault]
    fails(cpsc, tmp_path, match="A0002", name="cpsc2018")
    assert not (tmp_path / path).exists()
    cpsc.files[path] = whole
    cpsc.plan.clear()
    fetch(cpsc, tmp_path, "cpsc2018")
    assert_whole(tmp_path, cpsc.files, CPSC)


def test_published_sums_decide_where_there_are_any(cpsc_files, tmp_path):
    other = {"training/ptb/g1/S0001.mat": b"of another database"}
    with Mirror(below(CPSC.path, with_sums(cpsc_files | other))) as mirror:
        done = fetch(mirror, tmp_path, "cpsc2018")
        assert (done.files, done.records, done.published) == (12, 5, True)
        assert_whole(tmp_path, mirror.files, CPSC)


def test_server_without_any_group(tmp_path):
    with Mirror({}) as mirror:
        fails(mirror, tmp_path, match="g1/RECORDS: the server answered 404", name="cpsc2018")


def test_signal_check_sees_every_kind_of_damage(tmp_path):
    files = fake_record("A0001", samples=20)
    header, path = tmp_path / "A0001.hea", tmp_path / "A0001.mat"
    header.write_bytes(files["A0001.hea"])
    good = files["A0001.mat"]
    assert len(good) == 24 + 2 * 12 * 20
    path.write_bytes(good)
    assert verify.signal_problem(path, header=header) is None
    for position in range(len(good)):
        path.write_bytes(good[:position] + bytes([good[position] ^ 8]) + good[position + 1 :])
        assert verify.signal_problem(path, header=header) is not None, position
    path.write_bytes(good[:-2])
    assert "502 bytes, but its header says 504" in verify.signal_problem(path, header=header)
