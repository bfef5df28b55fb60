"""Put small bugs into the package, one at a time, and see which of them a test notices.

`make mutants` draws a sample of changes such as < for <=, another constant, an argument less, min
for max. Each is made in a copy of the repository, and the tests that import the changed module run
there. A change that survives is a question: is a test missing, or does the change not matter? The
kinds of change take turns in the sample, so its share killed is not that of all possible changes.
"""

import argparse
import ast
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

ROOT, PACKAGE = Path(__file__).resolve().parents[1], "ecgadv"
LEFT_OUT = (".*", "__pycache__", "_build", "runs", "data_cache", "recordings", "*.egg-info")
KILLED, SURVIVED, TIMED_OUT, UNTESTED = "killed", "SURVIVED", "timed out", "NO TEST"


def _both_ways(*pairs: str) -> dict[str, str]:
    return {a: b for pair in pairs for a, b in (pair.split(), pair.split()[::-1])}


SIGNS = _both_ways("Lt LtE", "Gt GtE", "Eq NotEq", "Is IsNot", "In NotIn")
SIGNS |= _both_ways("Add Sub", "Mult Div", "BitAnd BitOr", "And Or")
NAMES = _both_ways("min max", "any all", "argmin argmax", "minimum maximum", "floor ceil")
# Types, options of decorators and texts are seldom what goes wrong.
SKIPPED_FIELDS = ("annotation", "returns", "decorator_list")
SKIPPED_NODES = (ast.JoinedStr, ast.Raise)


@dataclass(frozen=True)
class Change:
    """One expression of a module replaced: its first line, its bytes in the source, its code."""

    kind: str
    line: int
    text: str
    begin: int
    end: int
    old: str
    new: str

    def apply(self, source: str) -> str:
        """Return the source with the change, in parentheses so that it binds as it did."""
        content = source.encode()
        return (content[: self.begin] + f"({self.new})".encode() + content[self.end :]).decode()

    def __str__(self) -> str:
        same = len(os.path.commonprefix([self.old, self.new]))  # noqa: RUF071  no paths
        first = max(0, same - 25)  # enough to recognise it by
        shown = [text[first : same + 30] for text in (self.old, self.new)]
        found = " -> ".join(f"...{text}" if first else text for text in shown)
        return found if len(self.old) > 10 else f"{found}  in  {self.text[:60]}"


def changes(source: str) -> list[Change]:
    """Return every change of a module's source."""
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    return [
        Change(
            kind,
            old.lineno,
            lines[old.lineno - 1].decode().strip(),
            starts[old.lineno - 1] + old.col_offset,
            starts[old.end_lineno - 1] + old.end_col_offset,
            ast.unparse(old),
            ast.unparse(new),
        )
        for node in _nodes(ast.parse(source))
        for kind, old, new in _variants(node)
    ]


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            skipped = name in SKIPPED_FIELDS or isinstance(child, SKIPPED_NODES)
            if isinstance(child, ast.AST) and not skipped:
                yield from _nodes(child)


def _variants(node: ast.AST) -> Iterator[tuple[str, ast.expr, ast.expr]]:
    """Yield kinds of change at a node: the expression that goes, and what comes."""

    def having(**fields) -> ast.expr:
        return type(node)(**dict(ast.iter_fields(node)) | fields)

    def swapped(sign: ast.AST) -> ast.AST:
        return getattr(ast, SIGNS[type(sign).__name__])()

    match node:
        case ast.Compare(ops=ops):
            for n, sign in enumerate(ops):
                yield "comparison", node, having(ops=[*ops[:n], swapped(sign), *ops[n + 1 :]])
        case ast.BinOp(op=sign) | ast.BoolOp(op=sign) if type(sign).__name__ in SIGNS:
            yield "operator", node, having(op=swapped(sign))
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield "negation", node, operand
        case ast.If(test=test) | ast.IfExp(test=test):
            yield "negation", test, ast.UnaryOp(ast.Not(), test)
        case ast.Constant(value=bool(value)):
            yield "constant", node, having(value=not value)
        case ast.Constant(value=int(value) | float(value)):
            yield "constant", node, having(value=value + 1)
        case ast.Name(id=name, ctx=ast.Load()) if name in NAMES:
            yield "name", node, having(id=NAMES[name])
        case ast.Attribute(attr=name, ctx=ast.Load()) if name in NAMES:
            yield "name", node, having(attr=NAMES[name])
        case ast.Call(args=args, keywords=keywords):
            for n, keyword in enumerate(keywords):
                if keyword.arg:
                    yield "argument", node, having(keywords=keywords[:n] + keywords[n + 1 :])
            if len(args) > 1:
                yield "argument", node, having(args=args[:-1])
        case ast.Subscript(slice=ast.Tuple(elts=[a, b, *rest]), ctx=ast.Load()):
            yield "index", node, having(slice=ast.Tuple([b, a, *rest], ast.Load()))


def sample(found: list[tuple[Path, Change]], count: int, seed: int) -> list[tuple[Path, Change]]:
    """Draw some of the changes, so that their kinds take turns."""
    rng, kinds = random.Random(seed), {}
    for path, change in rng.sample(found, len(found)):
        kinds.setdefault(change.kind, []).append((path, change))
    turns = [(n, pair) for pairs in kinds.values() for n, pair in enumerate(pairs)]
    rng.shuffle(turns)
    return [pair for _, pair in sorted(turns, key=lambda turn: turn[0])[:count]]


def nearest_tests(root: Path) -> dict[str, list[str]]:
    """Return for each module, by its dotted name, the test files that import it.

    What an `__init__` imports counts as imported by whoever imports the package. Where no test
    imports a module like that, those with the fewest imports between. Names alike come first.
    """
    files = {_dotted(path.relative_to(root)): path for path in (root / PACKAGE).rglob("*.py")}
    files |= {path.stem: path for path in (root / "tests").glob("*.py")}
    imported = {name: _imports(path, files.keys()) for name, path in files.items()}

    def reached(names: set[str]) -> set[str]:
        packages = [name for name in names if files[name].name == "__init__.py"]
        more = names.union(*(imported[name] for name in packages))
        return names if more == names else reached(more)

    importers = {name: set() for name in files}
    for name in files:
        for other in reached(imported[name]):
            importers[other].add(name)
    return {name: _nearest(name, importers) for name in files if name not in _tests(files)}


def _nearest(name: str, importers: dict[str, set[str]]) -> list[str]:
    words, ring, seen = name.replace("_", ".").split("."), {name}, {name}
    while ring and not _tests(ring):
        ring = set().union(*(importers[one] for one in ring)) - seen
        seen |= ring
    alike = {test: sum(word in test for word in words) for test in _tests(ring)}
    return [f"tests/{test}.py" for test in sorted(alike, key=lambda test: (-alike[test], test))]


def _tests(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith("test_")}


def _imports(path: Path, known: set[str]) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in known else node.module for name in names}
    return found & known


def _dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def outcome(copy: Path, tests: list[str], limit: float | None = None) -> str:
    """Run test files in the copy until one test fails, for `limit` seconds at most."""
    if not tests:
        return UNTESTED
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",  # its age counts in seconds: a change could go unseen
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # no test needs them, and each takes time
    }
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=copy, env=environment, start_new_session=True, **quiet)
    try:
        return SURVIVED if process.wait(limit) in (0, 5) else KILLED  # 5: all were skipped
    except subprocess.TimeoutExpired:
        return TIMED_OUT
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Print a line for each change and the share killed; return the exit status."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20, help="changes to draw (20)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (0)")
    parser.add_argument("--module", default="", help="only paths with this in them, as attacks/")
    parser.add_argument("--limit", type=float, default=120, help="seconds for each change (120)")
    options = parser.parse_args(arguments)
    paths = sorted(path.relative_to(root) for path in (root / PACKAGE).rglob("*.py"))
    chosen = [path for path in paths if options.module in path.as_posix()]
    if options.count < 1 or options.limit <= 0:
        parser.error("give a --count of at least 1 and a --limit above 0")
    if not chosen:
        parser.error(f"no path has {options.module!r} in it; give --module such as {paths[-1]}")
    counts: Counter[str] = Counter()
    try:
        found = [(path, one) for path in chosen for one in changes((root / path).read_text())]
        drawn, tests = sample(found, options.count, options.seed), nearest_tests(root)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "copy"
            shutil.copytree(root, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
            files = sorted({test for path, _ in drawn for test in tests[_dotted(path)]})
            print(
                f"{len(drawn)} of {len(found)} changes; first {len(files)} test files unchanged",
                flush=True,
            )
            if outcome(copy, files) == KILLED:
                print("tests fail without a change: run `make test` and mend that first")
                return 1
            for path, change in tqdm(drawn, leave=False, disable=None):
                source = (copy / path).read_text()
                (copy / path).write_text(change.apply(source))
                result = outcome(copy, tests[_dotted(path)], options.limit)
                (copy / path).write_text(source)
                counts[result] += 1
                tqdm.write(f"{result:10}{path}:{change.line}  {change}")
    except KeyboardInterrupt:
        print(f"stopped: {_summary(counts)}")
        return 130
    print(_summary(counts))
    return 0


def _summary(counts: Counter[str]) -> str:
    judged = counts.total() - counts[TIMED_OUT]
    share = f" ({counts[KILLED] / judged:.0%})" if judged else ""
    late = f", {counts[TIMED_OUT]} ran out of time" if counts[TIMED_OUT] else ""
    return f"{counts[KILLED]} of {judged} killed{share}{late}"


if __name__ == "__main__":
    sys.exit(main())
