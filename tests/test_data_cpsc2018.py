"""CPSC2018 on made-up records: both forms, labels, the authors' split, and all failures."""

import hashlib

import made_leads
import numpy as np
import pytest
import scipy.io

from ecgadv import data
from ecgadv.data import cpsc2018, cpsc2018_split, describe, ptbxl
from ecgadv.data import prepare as preparing
from ecgadv.errors import EcgadvError

# Header's words or codes, and the classes that they name.
RECORDS = {
    "A0001": ("59118001", (4,)),
    "A0002": ("Normal", (0,)),
    "A0044": ("AF", (1,)),
    "A1983": ("STE", (8,)),
    "A0005": ("164884008, 429622005", (6, 7)),
}
PARTS = {"validation": ["A0044"], "test": ["A1983"], "train": ["A0001", "A0002"]}


def physionet(root, records=RECORDS, **options):
    folder = root / "challenge-2020/1.0.2/training/cpsc_2018/g1"
    for seed, (name, (dx, _)) in enumerate(records.items()):
        signal = made_leads.counts(3000 + 500 * seed, seed)
        comments = f"#Age: NaN\n# Dx: {dx}" if dx else "#Age: 60"
        made_leads.write(folder, name, signal, fs=500, mat=True, comments=comments, **options)
    return root / "challenge-2020/1.0.2"


def organisers(root):
    """The same records in the organisers' form, with fractions of a microvolt."""
    folder = root / cpsc2018.ICBEB
    folder.mkdir()
    lines = ["Recording,First_label,Second_label,Third_label"]
    for seed, (name, (_, classes)) in enumerate(RECORDS.items()):
        signal = (made_leads.counts(3000 + 500 * seed, seed) + 0.3) / 1000
        ecg = {"sex": "Male", "age": float("nan"), "data": signal}
        scipy.io.savemat(folder / f"{name}.mat", {"ECG": ecg})
        lines.append(",".join([name, *(str(c + 1) for c in classes), "", ""][:4]))
    (folder / "REFERENCE.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("cpsc")
    found = cpsc2018.prepare(physionet(root), root / "prepared/cpsc2018.npz")
    return root, found


def test_prepare_says_what_is_there_and_what_is_missing(prepared):
    _, found = prepared
    assert found["records"] == 5 and found["of 6,877 missing"] == 6872
    assert found["with several classes"] == 1 and found["flat leads kept"] == 0
    assert sum(found["classes"].values()) == 4 and found["classes"]["RBBB"] == 1


def test_both_forms_give_the_same_dataset(prepared, tmp_path):
    organisers(tmp_path)
    said = preparing.prepare("cpsc2018", root=tmp_path)
    assert "5 records" in said[0]
    a, b = (data.load("cpsc2018", root=root) for root in (prepared[0], tmp_path))
    assert a.fingerprint == b.fingerprint


def test_what_is_loaded(prepared):
    dataset = data.load("cpsc2018", root=prepared[0])
    assert dataset.x.shape == (4, 8, 33_792) and dataset.classes == cpsc2018.CLASSES
    names = dataset.record.tolist()
    assert names == ["A0001", "A0002", "A0044", "A1983"]
    assert [dataset.y[names.index(name)] for name in names] == [4, 0, 1, 8]
    counts = made_leads.counts(4000, 2)
    at = names.index("A0044")
    back = dataset.x[at, 7, -4000:] * dataset.unit_mv[at, 7] * 1000
    assert np.allclose(back, counts[11], atol=1e-3)
    assert dataset.start[at] == 33_792 - 4000 and dataset.length[at] == 4000
    parts = data.split(dataset, "authors")
    for part, expected in PARTS.items():
        assert dataset.record[getattr(parts, part)].tolist() == expected
    twelve = data.load("cpsc2018-12", root=prepared[0])
    assert twelve.x.shape[1] == 12 and np.array_equal(twelve.x[:, 6:], dataset.x[:, 2:])


def test_as_a_network_trained_on_ptb_xl_meets_it(prepared):
    dataset = data.load("cpsc2018-100", root=prepared[0])
    assert dataset.x.shape == (3, 8, 1000) and dataset.classes == ptbxl.CLASSES
    assert dataset.record.tolist() == ["A0001", "A0002", "A0044"]  # A1983 has ST elevation
    assert dataset.length.tolist() == [600, 700, 800]
    assert np.abs(dataset.x).max(-1) == pytest.approx(1)


def test_held_out_names_are_the_authors():
    # SHA-256 of the sorted names that the authors' own selection holds out.
    found = {part: "\n".join(names) for part, names in cpsc2018_split.held_out().items()}
    sums = {part: hashlib.sha256(text.encode()).hexdigest()[:16] for part, text in found.items()}
    assert sums == {"validation": "71d20262ea88cae9", "test": "85dd19ead7cc8121"}


def test_select_takes_the_first_of_each_class_after_the_shuffles():
    rng = np.random.RandomState(1)
    first, single = rng.randint(1, 10, 900), rng.rand(900) < 0.9
    found = cpsc2018_split.select(first, single)
    # The same once more, record by record.
    rng, left = np.random.RandomState(0), [i for i in range(900) if single[i]]
    order = np.array(left)
    rng.shuffle(order)
    for part, count, shuffles in (("validation", 5, 0), ("test", 50, 9)):
        for _ in range(shuffles):
            rng.shuffle(order)
        taken, chosen = dict.fromkeys(range(1, 10), 0), []
        for i in order:
            if taken[first[i]] < count:
                taken[first[i]] += 1
                chosen.append(i)
        assert found[part].tolist() == chosen
        left = [i for i in left if i not in set(chosen)]
        order = np.array(left)
    assert found["train"].tolist() == left


def test_labels_that_give_another_split_are_refused():
    reference = {f"A{number:04d}": (number % 9,) for number in range(1, 6878)}
    with pytest.raises(EcgadvError, match="another validation part"):
        cpsc2018_split.check(reference)


@pytest.mark.parametrize("row", ["A0001,10", "A0001,x", "A0001,,,", "B1,1", "A0002,1\nA0002,2", ""])
def test_a_bad_row_of_the_labels_is_named(tmp_path, row):
    path = tmp_path / "REFERENCE.csv"
    path.write_text(f"Recording,First_label,Second_label,Third_label\n{row}\n", encoding="latin-1")
    with pytest.raises(EcgadvError, match=r"REFERENCE\.csv, line"):
        cpsc2018.read_reference(path)


@pytest.mark.parametrize(
    ("dx", "said"),
    [("", "names no diagnosis"), ("427084000", "'427084000', which is no class"), ("Müller", "Mü")],
)
def test_a_label_without_class(tmp_path, dx, said):
    with pytest.raises(EcgadvError, match=said) as caught:
        cpsc2018.prepare(physionet(tmp_path, {"A0001": (dx, ())}), tmp_path / "out.npz")
    assert "A0001" in str(caught.value) and not (tmp_path / "out.npz").exists()


def test_faults_of_the_organisers_form(tmp_path):
    folder = organisers(tmp_path)

    def save(signal):
        scipy.io.savemat(folder / "A0001.mat", {"ECG": {"data": signal}})
        return folder / "A0001.mat"

    good = made_leads.counts(3000) / 1000.0
    for signal, said in (
        (np.where(good == good[0, 0], np.nan, good), "NaN"),
        (good[:11], "12 leads"),
        (good[:, :0], "12 leads"),
        (good * 100, "below 32.768"),
    ):
        with pytest.raises(EcgadvError, match=said):
            cpsc2018.read_icbeb(save(signal))
    (folder / "A0001.mat").write_bytes(b"MATLAB 5.0 MAT-file, not")
    with pytest.raises(EcgadvError, match="cannot be read"):
        cpsc2018.read_icbeb(folder / "A0001.mat")
    save(good[:, :100])
    with pytest.raises(EcgadvError, match="100 samples, expected 3000"):
        cpsc2018.prepare(folder, tmp_path / "out.npz")
    save(good).rename(folder / "A0099.mat")
    with pytest.raises(EcgadvError, match="A0099 has no label"):
        cpsc2018.prepare(folder, tmp_path / "out.npz")


def test_nothing_there_is_one_line(tmp_path):
    with pytest.raises(EcgadvError, match="no records of CPSC2018"):
        cpsc2018.prepare(tmp_path, tmp_path / "out.npz")
    with pytest.raises(EcgadvError, match="ecgadv data prepare cpsc2018"):
        data.load("cpsc2018", root=tmp_path)
    said = "\n".join(describe.describe("cpsc2018", root=tmp_path))
    assert "ecgadv data prepare cpsc2018" in said
