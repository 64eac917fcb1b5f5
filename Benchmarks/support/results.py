"""The file that a suite leaves: Benchmarks/results/<suite>.json."""

import json
import os
import platform
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "results"


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}"


def rounded(value: float) -> float:
    """Four digits are more than any of this is exact to."""
    return float(f"{value:.4g}")


class Results:
    """The rows of a suite; each is written as soon as it is known, in the place of an older one of the same work and peer."""

    def __init__(self, suite: str):
        self.path = FOLDER / f"{suite}.json"
        self.rows = json.loads(self.path.read_text()) if self.path.exists() else []

    def add(self, work: str, peer: str, version: str, ours: float, theirs: float, unit: str, bar: float, **more) -> None:
        """`ratio` is theirs over ours: above 1 we win."""
        row = dict(
            work=work, peer=peer, version=version, ours=rounded(ours), theirs=rounded(theirs), unit=unit,
            ratio=rounded(theirs / ours), bar=bar, **more, machine=machine(), date=time.strftime("%Y-%m-%d"))
        places = [i for i, old in enumerate(self.rows) if (old["work"], old["peer"]) == (work, peer)]
        if places:
            self.rows[places[0]] = row
        else:
            self.rows.append(row)
        FOLDER.mkdir(exist_ok=True)
        # A row a line, so that a change of one is a change of one line in git.
        self.path.write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in self.rows) + "\n]\n")
        verdict = "" if row["ratio"] >= bar else "   BELOW THE BAR"
        print(f"  {work}: {row['ours']} against {row['theirs']} {unit} of {peer} {version}: "
              f"{row['ratio']} ×, at least {bar} wanted{verdict}", flush=True)
