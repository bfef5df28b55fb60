"""One wrong byte, or an end that is missing, in whatever a later step takes on trust."""

import contextlib
import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import sums
import tiny
import torch
from faults import material
from faults.outcomes import OTHER, REFUSED, TRACEBACK, UNCHECKED, Case, judged
from torch import nn

from ecgadv import cli, data
from ecgadv.data import catalogue, prepare
from ecgadv.defenses import cross_entropy
from ecgadv.experiments import whole
from ecgadv.experiments.config import training_key
from ecgadv.experiments.run import run_once
from ecgadv.experiments.session import Session, load_model
from ecgadv.experiments.store import Record, Store, Trained
from ecgadv.experiments.unfinished import Unfinished
from ecgadv.training import Samples, Schedule, train

FLIPS, TRUNCATIONS = 1000, 200
CONFIG = tiny.replace(tiny.PLAIN, attacks=tiny.ATTACKS[:1])


@dataclass(frozen=True)
class Target:
    """Files that a later step reads, and what it makes of them.

    Attributes:
        what: the row of the table.
        files: those that are damaged, one at a time.
        judge: gives the Case of the files as they are now.
    """

    what: str
    files: list[Path]
    judge: Callable[[], Case]


def total() -> int:
    """Return how many cases `cases` gives."""
    return FLIPS + TRUNCATIONS


def cases(folder: Path, seed: int) -> Iterator[Case]:
    """Damage one file after another, read it as its user would, and restore it."""
    with contextlib.ExitStack() as stack:
        tiny.install(tiny.dataset(), lambda *a: stack.enter_context(patch.object(*a)))
        stack.enter_context(material.pinned(folder / "raw"))
        targets = [*_recordings(folder), *_prepared(folder), *_made(folder)]
        for number in range(total()):
            rng = np.random.default_rng([seed, number])
            target = targets[number % len(targets)]
            path = target.files[rng.integers(len(target.files))]
            content = path.read_bytes()
            flip = number < FLIPS
            path.write_bytes(_flipped(content, rng) if flip else _cut(content, rng))
            case = target.judge()
            path.write_bytes(content)
            what = f"{'a byte' if flip else 'an end'} of {target.what}"
            yield Case(what, case.outcome, f"{path.name}: {case.detail}")


def _flipped(content: bytes, rng: np.random.Generator) -> bytes:
    copy = bytearray(content)
    copy[rng.integers(len(copy))] ^= rng.integers(1, 256)
    return bytes(copy)


def _cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: rng.integers(len(content))]


def _target(what: str, files: list[Path], read: Callable[[], object]) -> Target:
    wanted = read()
    return Target(what, files, lambda: judged(what, read, wanted))


def _recordings(folder: Path) -> Iterator[Target]:
    """With their sums, without them, and with sums that were made of the damaged files."""
    for name, title in (("mitdb", "MIT-BIH"), ("challenge-2017", "the 2017 challenge")):
        source, raw = catalogue.source(name), folder / "raw" / catalogue.source(name).path

        def read(name=name):
            prepare.prepare(name, root=folder / "raw")
            return data.load(name, root=folder / "raw").fingerprint

        def unlisted(read=read, raw=raw):
            kept = (raw / "SHA256SUMS.txt").read_bytes()
            (raw / "SHA256SUMS.txt").unlink()
            try:
                return read()
            finally:
                (raw / "SHA256SUMS.txt").write_bytes(kept)

        def relisted(read=read, raw=raw, source=source):
            kept = (raw / "SHA256SUMS.txt").read_bytes()
            material.lay(raw, {file: (raw / file).read_bytes() for file in source.files})
            try:
                return read()
            finally:
                (raw / "SHA256SUMS.txt").write_bytes(kept)

        files = [raw / file for file in source.files]
        yield _target(f"recordings of {title}", [*files, raw / "SHA256SUMS.txt"], read)
        wanted = read()
        words = f"recordings of {title}, their sums "
        for ending, act in (("missing", unlisted), ("made of the damaged files", relisted)):
            yield Target(
                words + ending, files, lambda act=act, wanted=wanted: judged("", act, wanted)
            )


def _prepared(folder: Path) -> Iterator[Target]:
    for name in ("mitdb", "challenge-2017"):
        kept = shutil.copytree(folder / "raw" / "prepared", folder / name / "prepared")

        def read(name=name):
            return data.load(name, root=folder / name).fingerprint

        yield _target("prepared caches", [kept / f"{name}.npz"], read)


def _made(folder: Path) -> Iterator[Target]:
    """A checkpoint, trained weights, a part of an evaluation, and records."""
    keep = Unfinished(folder / "parts")
    keep.once("noise", lambda: {"held": np.arange(300) % 2})
    part = [folder / "parts" / "noise.npz"]

    def kept():
        return Unfinished(folder / "parts").once("noise", dict)["held"].tolist()

    yield _target("parts of an evaluation", part, kept)
    yield _target("checkpoints", [folder / "abc.pt"], lambda: _resumed(folder / "abc.pt"))
    store = Store(folder / "runs")
    record = run_once(CONFIG, 0, Session(store, released=None))
    trained = store.weights_folder(training_key(CONFIG, 0, tiny.dataset().fingerprint))
    yield _target("trained weights", sorted(trained.iterdir()), lambda: _network(trained))
    yield _target("records", sorted(record.path.iterdir()), lambda: _whole(record.path))
    old = shutil.copytree(record.path, folder / "old" / record.key)
    sums.unseal(old)
    yield Target("records of before there were sums", sorted(old.iterdir()), lambda: _verified(old))


def _resumed(path: Path) -> list:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.1)
    x = torch.rand(8, 1, 4, generator=torch.Generator().manual_seed(0))
    history = train(
        model,
        cross_entropy.loss,
        Samples(x, torch.arange(8) % 2),
        Schedule(epochs=1, batch_size=8),
        seeds=[0],
        generator=torch.Generator(),
        checkpoint=path,
    )
    return [history, [value.tolist() for value in model.parameters()]]


def _network(folder: Path) -> list:
    model = load_model(CONFIG, tiny.dataset(), folder / "weights.safetensors")
    return [Trained(folder).about, [value.tolist() for value in model.state_dict().values()]]


def _whole(folder: Path) -> list:
    record = Record(folder)
    whole.check(record, weights=True)
    arrays = {name: array.tolist() for name, array in record.examples().items()}
    model = load_model(CONFIG, tiny.dataset(), record.weights)
    values = [value.tolist() for value in model.state_dict().values()]
    return [record.run, record.metrics, arrays, values]


def _verified(folder: Path) -> Case:
    """Nothing vouches for these: `ecgadv verify` refuses them, or says that it reads unchecked."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli.main(["verify", str(folder)])
    except Exception as error:
        return Case("", TRACEBACK, repr(error))
    told = out.getvalue() + err.getvalue()
    if status:
        return Case("", REFUSED, told)
    return Case("", UNCHECKED if "read unchecked" in told else OTHER, told)
