"""`search_packing` against the best packings known: value, difference, time and starts for every record of tests/numerics/packings.csv.

    python benchmarks/packings.py                     all records, at most a minute each
    python benchmarks/packings.py --only lines:8:*    some of them
    python benchmarks/packings.py --out FILE          also writes the rows as JSON

A difference below 1e-8 counts as reached; a negative one beyond 1e-8 is a better packing than the table knows. Seconds are by the wall
clock and, in brackets, of the processor.
"""

import argparse
import csv
import json
import platform
import time
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

import tegum
from tegum.numerics._search_packing import search_packing

TABLE = Path(__file__).parent.parent / "tests" / "numerics" / "packings.csv"


def records():
    with TABLE.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def measure(record, seconds, seed):
    wall, cpu = time.perf_counter(), time.process_time()
    found = search_packing(
        int(record["n"]), int(record["count"]), lines=record["kind"] == "lines", seconds=seconds, seed=seed
    )
    return {
        "kind": record["kind"],
        "n": int(record["n"]),
        "count": int(record["count"]),
        "value": found.coherence,
        "best known": float(record["value"]),
        "difference": found.coherence - float(record["value"]),
        "seconds": round(time.perf_counter() - wall, 2),
        "processor seconds": round(time.process_time() - cpu, 2),
        "starts": found.starts,
        "starts at best": found.starts_at_best,
        "active pairs": len(found.active),
        "status": record["status"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="records as kind:n:count, * for any")
    parser.add_argument("--seconds", type=float, default=60.0, help="limit for each record")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where to write the rows")
    arguments = parser.parse_args()
    rows = []
    print("kind      n count           value      best known difference   seconds (cpu)  starts at best  active")
    for record in records():
        name = f"{record['kind']}:{record['n']}:{record['count']}"
        if arguments.only and not any(fnmatch(name, pattern) for pattern in arguments.only):
            continue
        row = measure(record, arguments.seconds, arguments.seed)
        rows.append(row)
        print(
            f"{row['kind']:6}{row['n']:5}{row['count']:6}{row['value']:16.12f}{row['best known']:16.12f}{row['difference']:11.1e}"
            f"{row['seconds']:8.1f} ({row['processor seconds']:5.1f}){row['starts']:8}{row['starts at best']:8}{row['active pairs']:8}",
            flush=True,
        )
    reached = sum(row["difference"] < 1e-8 for row in rows)
    better = [f"{row['kind']}:{row['n']}:{row['count']}" for row in rows if row["difference"] < -1e-8]
    print(f"reached {reached} of {len(rows)}; better than the table: {', '.join(better) or 'none'}")
    if arguments.out:
        machine = f"{platform.processor() or platform.machine()}, Python {platform.python_version()}"
        head = {"date": datetime.now(UTC).date().isoformat(), "version": tegum.__version__, "machine": machine}
        arguments.out.write_text(json.dumps(head | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
