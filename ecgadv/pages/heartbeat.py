"""What the page on the heartbeat csv says in numbers, from the facts of book/heartbeat.yml.

Neither the recordings nor the csv are part of the repository; book/heartbeat.py counted on them.
"""

from pathlib import Path

from ecgadv.data import beats
from ecgadv.errors import EcgadvError
from ecgadv.figures import Table
from ecgadv.figures.panels import Drawing
from ecgadv.figures.signals import overlaid
from ecgadv.markdown import Markdown

DESCRIBED_FS = 125  # Hz, that the csv's description gives its rows
# Each single change of the rule: the step that it changes, and what is done instead.
CHANGES = {
    "low-pass": (1, "with a low-pass before the thinning"),
    "from the peak": (2, "from the highest sample near the annotation"),
    "own interval": (3, "1.2 times the own interval"),
    "beats alone": (3, "counting annotations of beats alone"),
    "rounded": (4, "rounded to the nearest"),
    "mean of three": (5, "the mean of every three samples"),
    "125 Hz": (5, "resampled to 125 Hz"),
    "scale after the cut": (6, "scaled after the cut"),
}


def load(path: str | Path) -> dict:
    """Return the facts that book/heartbeat.py wrote.

    Raises:
        EcgadvError: there is no such file.
    """
    import yaml

    if not Path(path).is_file():
        raise EcgadvError(f"no {path}: write it with `python book/heartbeat.py RECORDINGS CSV`")
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


def in_short(found: dict) -> Markdown:
    """Return the answers of the page, a number each."""
    share = _share(found["rule"]["equal"], found["genuine"]["rows"], 0)
    fast = DESCRIBED_FS / found["fs"] - 1
    return Markdown(
        f"* **The csv can be made again from the recordings.** Ours equal {share} of the genuine "
        "rows at hand, bit for bit and with their class.\n"
        f"* **Its rows are at {found['fs']:g} Hz**, unfiltered, whatever its description says.\n"
        f"* **Whoever reads them at the described rate** finds every heart rate "
        f"{100 * fast:.0f} % too high.\n"
        f"* **A row ends by the next annotations, whatever they are.** In "
        f"{_share(found['other'], found['beats'])} of the rows one of these is no beat.\n"
        f"* **Train and test are no strangers.** In a random draw over beats such as ours, "
        f"{_share(found['neighbours'], found['test'], 0)} of the test beats directly neighbour one "
        "that trained or validated."
    )


def evidence(found: dict) -> Table:
    """Return how many genuine rows are still made when one step of the rule is changed."""
    n = found["genuine"]["rows"]
    changed = [found["changes"][name] for name in CHANGES]
    return Table(
        {
            "step": ["-", *(step for step, _ in CHANGES.values())],
            "instead": ["the rule itself", *(text for _, text in CHANGES.values())],
            f"of {n} rows equal, %": [
                f"{100 * c['equal'] / n:.1f}" for c in [found["rule"], *changed]
            ],
            "nearly equal, %": [f"{100 * c['near'] / n:.1f}" for c in [found["rule"], *changed]],
        }
    )


def provided(found: dict) -> Markdown:
    """Say on which genuine rows the rule was tested."""
    here, before = found["genuine"], found["before"]
    classes = ", ".join(f"{name} {n}" for name, n in here["classes"].items())
    return Markdown(
        f"Counted on {here['rows']} genuine rows ({classes}), which come from {here['records']} "
        f"records. *Nearly equal* is within a root mean square (RMS) of 0.001. "
        f"When the rule was found it gave {before['equal']:,} of {before['rows']:,} rows, "
        f"{before['test']} of them of the test file, which is not at hand here."
    )


def distance(found: dict) -> Markdown:
    """Say how far the rows of the described form lie from the genuine ones."""
    low, median, high = found["described"]["rms"]
    n, near = found["genuine"]["rows"], found["described"]["near"]
    return Markdown(
        f"The RMS difference between such a row and the genuine one, whose values run from 0 to 1, "
        f"is **{median:.3f} in the median** ({low:.3f} to {high:.3f} in nine of ten); {near} of "
        f"{n} rows ({_share(near, n)}) are within 0.001."
    )


def windows(found: dict) -> Table:
    """Return how many rows the rule makes in ways that their users would not expect."""
    shown = {
        "set by an annotation that is no beat": found["other"],
        f"cut at {beats.LENGTH} values": found["cut"],
        "shorter than 30 values before the padding": found["short"],
    }
    return Table(
        {
            f"of {found['beats']:,} rows": list(shown),
            "rows": [f"{n:,}" for n in shown.values()],
            "share, %": [f"{100 * n / found['beats']:.2f}" for n in shown.values()],
        }
    )


def consequences(found: dict) -> Markdown:
    """Say what follows from the rule for whoever uses the csv."""
    fs, test, before = found["fs"], found["test"], found["before"]
    short, fast = 1 - fs / DESCRIBED_FS, DESCRIBED_FS / fs - 1
    low, high = found["uncut"]
    return Markdown(
        f"* **Time.** Read at {DESCRIBED_FS} Hz, every interval is {100 * short:.0f} % too short "
        f"and every heart rate {100 * fast:.1f} % too high. The edges of filters designed for "
        f"{DESCRIBED_FS} Hz are off by as much.\n"
        f"* **Frequencies.** The thinning has no filter before it, so whatever the recording holds "
        f"above {fs / 2:g} Hz is folded below it.\n"
        f"* **Length.** Before the cut a row has {low} to {high} values. Its zero padding shows "
        "how soon the next annotation came.\n"
        f"* **Neighbours.** A row's end is the start of the next one. In our random draw "
        f"{found['neighbours']:,} of {test:,} test beats neighbour one in train or validation. The "
        f"csv is no better: {before['neighbours']} of {before['test']} of its test rows neighbour "
        f"one of only {before['train']} train rows."
    )


def still_open(found: dict) -> Markdown:
    """Say what of the csv is not known."""
    return Markdown(
        f"* **{found['guessed']} rows at the ends of the records.** One annotation alone follows "
        f"their beat, so there is no interval after the next. We take {1 + beats.OVERLAP:g} times "
        "their own; none of them is among the genuine rows at hand.\n"
        "* **Which beats the csv puts into test**, and the order of its rows. Our draw has its "
        "counts per class.\n"
        "* **Why it was made so.** We found the rule published nowhere."
    )


def drawing(found: dict) -> Drawing:
    """Draw genuine rows under ours and the described form.

    Raises:
        EcgadvError: one of our rows is not the genuine one, so that a drawing would lie.
    """
    panels = {}
    for example in found["examples"]:
        if not example["equal"]:
            raise EcgadvError(
                f"the row of record {example['record']}, annotation {example['annotation']}, "
                "differs from the genuine one: mend ecgadv.data.beats"
            )
        title = (
            f"record {example['record']}, class {example['class']}: {example['label']} "
            f"(RMS {example['rms']:.2f})"
        )
        panels[title] = {
            "csv": example["values"],
            "ours": example["values"],
            f"described, {DESCRIBED_FS} Hz": example["described"],
        }
    fig, columns = overlaid(panels, x="position in the row", y="value")
    last = beats.LENGTH - 1
    seconds = sum(len(e["values"]) for e in found["examples"]) / found["fs"]
    caption = (
        f"{len(panels)} genuine rows of the csv (broad), our rows from the recordings over them "
        f"(thin; equal in every bit), and what the description makes of the same beats (dashed), "
        f"without the zero padding up to position {last}. In brackets the RMS difference between "
        f"the dashed row and the genuine one, padding included. The first genuine row at hand of "
        f"each kind. {seconds:.1f} seconds of the MIT-BIH Arrhythmia Database "
        "{cite:p}`moody2001,goldberger2000`, ODC-BY 1.0; no seed."
    )
    alt = (
        "Three panels of one beat each. A thin line, ours, runs in the middle of a broad one, the "
        "csv's. A dashed line has the same waves and drifts to their right with time; in the last "
        "panel it lies higher and ends far earlier."
    )
    return Drawing(fig, columns, caption, alt, found["provenance"])


def _share(part: int, whole: int, digits: int = 1) -> str:
    return f"{100 * part / whole:.{digits}f} %"
