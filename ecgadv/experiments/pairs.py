"""The boundary attack of paper A in an evaluation: pairs of recordings, walked from one to other.

For every ordered pair of classes some originals of the one are drawn, and as many recordings of
the other from which the walks start (PROTOCOLS 2.5). A network is attacked itself, which is ours,
and it reads the examples that were found against the surrogate, which is what the authors report.
"""

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from ecgadv import attacks
from ecgadv.evaluation.robustness import NOT_ATTACKED, predict
from ecgadv.experiments.unfinished import Arrays

SEED = 0
LOT = 24  # pairs that walk together and are kept together: minutes of work on a full network


def draw(y: np.ndarray, classes: int, number: int) -> np.ndarray:
    """Return pairs (P, 2) of positions in y (N,): an original and the start of its walk.

    For each ordered pair of classes that occur, `number` of both are drawn with replacement, as
    the authors do, but seeded (row A13).
    """
    rng = np.random.default_rng(SEED)
    members = [np.flatnonzero(y == label) for label in range(classes)]
    drawn = [
        np.stack([rng.choice(a, number), rng.choice(b, number)], axis=1)
        for i, a in enumerate(members)
        for j, b in enumerate(members)
        if i != j and len(a) and len(b)
    ]
    return np.concatenate(drawn)


def attacked(evaluation) -> tuple[dict, Arrays]:
    """Return the numbers and arrays of the boundary attack on an evaluation's network.

    The arrays hold one value a pair: `boundary/original` and `boundary/start`, positions in the
    test part; `boundary/distance` and `boundary/queries` of the attack on the network itself (RMS
    over the recording in the unit of the data, NaN where the pair was skipped), and for the
    surrogate's examples `boundary/transfer`, the class that the network reads (255: skipped), and
    `boundary/transfer-distance`.
    """
    options = dict(evaluation.config.boundary)
    pairs = draw(evaluation.y, evaluation.classes, options.pop("pairs"))
    own = _walks(evaluation, "itself", evaluation.model, pairs, options)
    made = evaluation.crafting("boundary", evaluation.config.boundary)
    if evaluation.is_surrogate():
        evaluation.session.crafted.setdefault(made, own)
    if made not in evaluation.session.crafted:
        surrogate = evaluation.surrogate()
        walks = _walks(evaluation, "surrogate", surrogate, pairs, options)
        evaluation.session.crafted[made] = walks
    moved = evaluation.session.crafted[made]
    read = predict(evaluation.model, moved["x_adv"], batch_size=evaluation.batch).argmax(1)
    transfer = np.where(np.isnan(moved["distance"]), NOT_ATTACKED, read.numpy()).astype(np.uint8)
    arrays = {
        "original": pairs[:, 0],
        "start": pairs[:, 1],
        "distance": own["distance"],
        "queries": own["queries"],
        "transfer": transfer,
        "transfer-distance": moved["distance"],
    }
    right = (transfer == evaluation.y[pairs[:, 0]])[transfer != NOT_ATTACKED]
    numbers = {
        "pairs": len(pairs),
        "attacked": _summary(own),
        "transferred": {**_summary(moved), "accuracy": float(right.mean()) if len(right) else None},
    }
    return numbers, {f"boundary/{name}": values for name, values in arrays.items()}


def _summary(walks: Arrays) -> dict:
    """Return how many pairs were walked, how near they came, and what they asked."""
    walked = ~np.isnan(walks["distance"])
    median = {
        f"median_{name}": float(np.median(walks[name][walked])) if walked.any() else None
        for name in ("distance", "queries")
    }
    return {"n": int(walked.sum()), **median}


def _walks(evaluation, whom: str, model: nn.Module, pairs: np.ndarray, options: dict) -> Arrays:
    """Return what `_walk` does for all pairs, lot by lot."""
    lots = []
    for first in range(0, len(pairs), LOT):
        evaluation.report(f"boundary attack on {whom}, pair {first + 1}", first / len(pairs))
        walk = partial(_walk, evaluation, model, pairs[first : first + LOT], options, SEED + first)
        lots.append(evaluation.unfinished.once(f"boundary-{whom}-{first}", walk))
    return {name: np.concatenate([lot[name] for lot in lots]) for name in lots[0]}


def _walk(evaluation, model: nn.Module, pairs: np.ndarray, options: dict, seed: int) -> Arrays:
    """Return x_adv (P, C, L), distance (P,) and queries (P,) of the walks against one network.

    As in the authors' code a pair is skipped unless the network reads both recordings right; also
    where the start, cut to the original's length (row A12), has lost its class, and where the
    example that was found is of another class once it is judged again.
    """
    device = evaluation.session.device
    x, start = (evaluation.x[pairs[:, side]] for side in (0, 1))
    mask = evaluation.mask[pairs[:, 0]]
    wanted = [torch.from_numpy(evaluation.y[pairs[:, side]]) for side in (0, 1)]
    rows = _readable(model, x, start, torch.where(mask, start, x), *wanted)
    walks = {
        "x_adv": x.numpy().copy(),
        "distance": np.full(len(pairs), np.nan, np.float32),
        "queries": np.zeros(len(pairs), np.int32),
    }
    if not len(rows):
        return walks

    def moved(values: Tensor) -> Tensor:
        return values[rows].to(device)

    found = attacks.boundary(
        model,
        moved(x),
        moved(wanted[0]),
        moved(start),
        target=moved(wanted[1]),
        mask=moved(mask),
        generator=torch.Generator(device).manual_seed(seed),
        **options,
    )
    samples = mask[rows].sum((-2, -1)).sqrt()  # the root of their number: L2 norm to RMS
    ends = predict(model, found.x_adv, batch_size=evaluation.batch).argmax(1)
    distance = torch.where(ends == wanted[1][rows], found.distance.cpu() / samples, torch.nan)
    places = rows.numpy()  # numpy takes a tensor of one element for a number, not for an index
    walks["x_adv"][places] = found.x_adv.cpu().numpy()
    walks["distance"][places] = distance.numpy()
    walks["queries"][places] = found.queries.cpu().numpy()
    return walks


def _readable(model: nn.Module, x: Tensor, start: Tensor, begin: Tensor, y, target) -> Tensor:
    """Return the pairs (A,) whose x is read as y, and whose start and masked start as `target`.

    The rest is judged again without those that fell out, until all pass as the one batch that
    they will walk in: a batch of another size may round a recording across the boundary.
    """
    rows = torch.arange(len(x))
    while len(rows):
        read = [predict(model, v[rows], batch_size=len(rows)).argmax(1) for v in (x, start, begin)]
        right = (read[0] == y[rows]) & (read[1] == target[rows]) & (read[2] == target[rows])
        if right.all():
            break
        rows = rows[right]
    return rows
