"""`make conformance`: pass and fail per provider and feature, for every client dialect, with each failure explained."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent.parent.parent)]

from conformance.recordings import cases  # noqa: E402 - found through the lines above
from conformance.runs import DIALECTS, running  # noqa: E402 - found through the lines above


def main() -> int:
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    told: dict[str, Counter[str]] = defaultdict(Counter)
    failures = []
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "home") as run:
        for case in sorted(cases(), key=lambda case: case["status"] == 429):
            if only not in f"{case['family']} {case['provider']} {case['api']} {case['id']}":
                continue
            for dialect in DIALECTS:
                wrong = run.mismatches(case, dialect)
                outcome = "fail" if wrong else "pass"
                told[f"{case['family']}: {case['provider']}"][f"{dialect} {outcome}"] += 1
                for feature in case["features"]:
                    told[f"feature {feature}"][f"{dialect} {outcome}"] += 1
                told["all"][f"{dialect} {outcome}"] += 1
                if wrong:
                    failures.append(f"{case['id']} ({case['api']}) to {dialect}: {'; '.join(wrong)}")
    print(f"{'':44}" + "".join(f"{dialect:>22}" for dialect in DIALECTS))
    for name in sorted(told):
        row = told[name]
        cells = [f"{row[f'{d} pass']}/{row[f'{d} pass'] + row[f'{d} fail']}" for d in DIALECTS]
        print(f"{name:44}" + "".join(f"{cell:>22}" for cell in cells))
    print(*failures, sep="\n")
    passed = sum(count for name, count in told["all"].items() if name.endswith("pass"))
    print(f"{passed} of {sum(told['all'].values())} passed")
    return 0 if passed >= 0.98 * sum(told["all"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
