"""Twelve leads: reading and every fault of a header, the authors' input, the cache of them."""

import made_leads
import numpy as np
import pytest

from ecgadv.data import leads, resample, wfdb16
from ecgadv.errors import EcgadvError


def read(tmp_path, **options):
    signal = options.pop("signal", made_leads.counts(300))
    return wfdb16.read(made_leads.write(tmp_path, "A0001", signal, fs=100, **options), fs=100)


@pytest.mark.parametrize("mat", [False, True])
def test_reads_what_was_written(tmp_path, mat):
    counts, comments = read(tmp_path, mat=mat, comments="# Age: NaN\n#Dx: AF\n# Hx: Müller")
    assert np.array_equal(counts, made_leads.counts(300))
    assert "Müller" in comments and "#Dx: AF" in comments


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({" 0 V1": " 0 VX", " 0 V2": " 0 V1", " 0 VX": " 0 V2"}, "its leads are"),
        ({" 0 V6": " 0 V7"}, "lead V6 is missing among I, II"),
        ({"1000.0(0)/mV": "200/mV"}, "lead I has gain and unit 200/mV, expected 1000/mV"),
        ({"1000.0(0)/mV": "1000/uV"}, "1000/uV"),
        ({"1000.0(0)/mV": "1000(5)/mV"}, "gain and unit 1000\\(5\\)/mV"),
        ({" 16 0 ": " 16 7 "}, "zero 7"),
        ({"A0001 12 100 300": "A0001 12 500 300"}, "500 Hz, expected 100"),
        ({"A0001 12 100 300": "A0001 12 100 0"}, "length 0"),
        ({"A0001 12 100 300": "A0001 11 100 300"}, "states 11 leads and describes 12"),
        ({"A0001 12 100 300": "A0001 12 100 299"}, "bytes, its header says"),
        ({"A0001 12": "A0002 12"}, "does not begin with 'A0001'"),
        ({" 0 aVL": ""}, "too few words"),
    ],
)
def test_every_fault_of_a_header_is_one_line(tmp_path, changes, said):
    with pytest.raises(EcgadvError, match=said) as caught:
        read(tmp_path, changes=changes)
    assert "A0001" in str(caught.value) and "\n" not in str(caught.value)


def test_faults_of_the_signal(tmp_path):
    header = made_leads.write(tmp_path, "A0001", made_leads.counts(300), fs=100)
    content = (tmp_path / "A0001.dat").read_bytes()
    for broken, said in (
        (content[:-2], "bytes"),
        (content[:-2] + b"\x01\x7f", "V6: first value or checksum"),
        (b"\x00\x80" + content[2:], r"missing samples \(NaN\)"),
    ):
        (tmp_path / "A0001.dat").write_bytes(broken)
        with pytest.raises(EcgadvError, match=said):
            wfdb16.read(header, fs=100)
    (tmp_path / "A0001.dat").unlink()
    with pytest.raises(EcgadvError, match="A0001"):
        wfdb16.read(header, fs=100)


def formula(samples, k, *, flat):
    """The raw leads of the golden numbers of the authors' loader, float32 (12, samples)."""
    t, lead = np.arange(samples), np.arange(12)[:, None]
    wave = np.sin(0.01 * t * (1 + 0.1 * lead) + k) + 0.5 * np.cos(0.003 * t + lead)
    whole = np.rint(1000 * wave)
    signal = (whole / 1000 * (0.5 + 0.1 * lead)).astype(np.float32)
    if flat:
        signal[7] = 0
    return signal


@pytest.mark.parametrize(
    ("samples", "k", "flat", "start", "train_start", "sums"),
    [
        (5000, 2, False, 28_792, 27_107, (57.39477153867483, 152.27261204546085)),
        (15_123, 3, True, 18_669, 16_984, (107.57582187734079, 28.21466395939933)),
        (30_720, 4, False, 3072, 1387, (-74.62549656373449, 156.5698035681853)),
    ],
)
def test_the_authors_input(samples, k, flat, start, train_start, sums):
    # Sums of leads I and V6 and starts come from the authors' loader on these formulas.
    signal = formula(samples, k, flat=flat)[leads.rows(leads.EIGHT)]
    x, found, unit = leads.arrange([signal], length=33_792, most=30_720)
    assert x.shape == (1, 8, 33_792) and found[0] == start
    assert x[0].sum(-1, dtype=np.float64)[[0, 7]] == pytest.approx(sums, abs=2e-3)
    largest = np.abs(x[0]).max(-1)
    assert largest == pytest.approx(np.array([1, 1, 1, 0 if flat else 1, 1, 1, 1, 1]))
    assert np.allclose(x[0, :, start:] * unit[0][:, None], signal, atol=1e-6)
    assert not x[0, :, :start].any()
    draw = np.random.RandomState(0).uniform()
    found = leads.train_start(samples, length=33_792, shift=3072, draw=draw)
    assert found == train_start


def test_a_longer_recording_is_cut_before_it_is_scaled():
    signal = np.ones((8, 40_000), np.float32)
    signal[:, 35_000] = 10
    x, _, unit = leads.arrange([signal], length=33_792, most=30_720)
    assert unit.max() == 1 and (x[0, :, 3072:] == 1).all() and not x[0, :, :3072].any()


def test_packed_recordings_come_back_and_flat_leads_are_counted():
    packer, signals = leads.Packer(), [made_leads.counts(50, 1), made_leads.counts(70, 2)]
    signals[1][3] = 12
    for signal in signals:
        packer.add(signal)
    arrays = packer.arrays()
    found = list(leads.unpack(arrays, leads=leads.LEADS))
    assert all(np.array_equal(*pair) for pair in zip(found, signals, strict=True))
    (only,) = leads.unpack(arrays, leads=("V6", "I"), keep=np.array([False, True]))
    assert np.array_equal(only, signals[1][[11, 0]])
    assert packer.flat == 1


def test_slower_keeps_slow_waves_and_drops_what_would_fold_back():
    t = np.arange(5000) / 500
    slow, fast = np.sin(2 * np.pi * 8 * t), np.sin(2 * np.pi * 92 * t)  # 92 Hz folds to 8 Hz
    found = resample.slower(np.stack([1000 * slow, 1000 * fast]), 5)
    assert found.shape == (2, 1000)
    assert np.abs(found[0, 20:-20] - 1000 * slow[::5][20:-20]).max() < 10
    assert np.abs(found[1, 20:-20]).max() < 10


def test_the_limb_leads_follow_from_two():
    """Of three electrodes: I = L - R, II = F - R, III = F - L; each aV lead to the others' mean."""
    right, left, foot = np.random.default_rng(0).normal(size=(3, 50))
    chest = np.arange(300.0).reshape(6, 50)
    found = leads.twelve([left - right, foot - right, *chest])
    assert tuple(found) == leads.LEADS
    for lead, expected in {
        "III": foot - left,
        "aVR": right - (left + foot) / 2,
        "aVL": left - (right + foot) / 2,
        "aVF": foot - (right + left) / 2,
        "V3": chest[2],
    }.items():
        np.testing.assert_allclose(found[lead], expected, atol=1e-12)
