"""The command line of a suite: chooses rows, gives each an empty folder, and says what went wrong."""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from . import peers, store_rows
from .measure import Failure, say
from .results import Results, machine


def run_suite(name: str, description: str, rows: list) -> None:
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose names hold TEXT")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs that count (default: 3)")
    parser.add_argument("--folder", default=os.environ.get("TMPDIR", "/var/tmp"), help="where to work: a real disk")
    parser.add_argument("--list", action="store_true", help="print the rows' names")
    options = parser.parse_args()
    chosen = [row for row in rows if options.only in row.__name__]
    if options.list:
        return print("\n".join(row.__name__ for row in chosen))
    if not chosen:
        sys.exit(f"error: no row is named like `{options.only}`\nhint: run `Benchmarks/{name} --list`")
    say(f"{machine()}; load {os.getloadavg()[0]:.2f}")
    say(f"mlops {peers.version_of([peers.mlops(), '--version'])}, {peers.mlops()}")
    results = Results(name)
    for row in chosen:
        folder = Path(tempfile.mkdtemp(prefix="mlops-bench-", dir=options.folder))
        say(f"\n{row.__name__}: {row.__doc__}")
        try:
            row(store_rows.Bench(folder, results, options.runs))
        except Failure as failure:
            sys.exit(f"error: {failure}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
