"""`ecgadv verify`: recompute a record and compare."""

import math

from ecgadv.cli import arguments
from ecgadv.errors import EcgadvError

EXAMPLES = """\
Puts the stored weights through every attack again and compares the numbers and the flag of every
example. With --retrain it trains from the seed first; on another device or number of threads the
rounding differs, and both then agree only roughly. Exits with 1 if an accuracy, or the share of
flags that differ, is off by more than --tolerance.

examples:
  ecgadv verify 3f2a91c05d7e8b46
  ecgadv verify book/records/3f2a91c05d7e8b46 --retrain --tolerance 0.02
"""


def add(commands):
    """`ecgadv verify RUN`."""
    about = "recompute one record and compare"
    parser = arguments.add_command(commands, "verify", about=about, epilog=EXAMPLES)
    parser.add_argument("record", metavar="RUN", help="a record's key, or its folder")
    parser.add_argument("--retrain", action="store_true", help="train again from the seed, too")
    parser.add_argument(
        "--tolerance", type=arguments.number, default=0.002, metavar="T", help="(0.002)"
    )
    arguments.add_device(parser)
    parser.add_argument(
        "--threads", type=arguments.whole, default=1, metavar="N", help="(default: 1)"
    )
    arguments.add_runs(parser)
    parser.set_defaults(action=_verify)


def _verify(options):
    import torch

    from ecgadv.experiments import runner, verify
    from ecgadv.experiments.store import find, folders_at_hand

    runner.check_device(options.device)
    arguments.check_count("--threads", options.threads)
    if not 0 <= options.tolerance < math.inf:
        raise EcgadvError(f"--tolerance is {options.tolerance}; give a finite number, at least 0")
    torch.set_num_threads(options.threads)
    record = find(options.record, folders_at_hand(options.runs))
    session = verify.session_on(options.device)
    result = verify.verify(record, session, retrain=options.retrain)
    print(f"{record.config['label']} seed {record.seed}, record {record.key}")
    if not record.sealed:
        print("  made before records had SHA-256 sums: its files were read unchecked")
    print("\n".join(result.lines()))
    if not result.largest <= options.tolerance:  # NaN agrees with nothing
        print(f"  differs by {result.largest:.4f}, more than {options.tolerance:g}")
        return arguments.DIFFERS
    print(f"  agrees within {options.tolerance:g}")
    return 0
