# SPDX-License-Identifier: MIT
"""A step of a data platform: orders as CSV on stdin, revenue by region out.

stdout is the table, stderr one remark for each row that was left out, fd 3
the same result as JSON for the platform. Money is counted in Decimal: a sum
of binary fractions would be off by a cent sooner or later.
"""
import csv
import json
import os
import sys
from collections import defaultdict
from decimal import Decimal, InvalidOperation


def revenue_by_region(rows):
    """Sum quantity * price for each region; yield bad rows' numbers too."""
    total = defaultdict(Decimal)
    bad = []
    for number, row in enumerate(rows, start=2):
        try:
            if not row["region"]:
                raise ValueError("no region")
            total[row["region"]] += int(row["quantity"]) * Decimal(row["price"])
        except (ValueError, InvalidOperation) as why:
            bad.append(number)
            print(f"orders: line {number} left out: {why}", file=sys.stderr)
    return total, bad


def main():
    total, bad = revenue_by_region(csv.DictReader(sys.stdin))
    for region, amount in sorted(total.items(), key=lambda kv: -kv[1]):
        print(f"{region:<8}{amount:>10,.2f}")
    result = {
        "revenue": {region: str(amount) for region, amount in total.items()},
        "left_out": bad,
    }
    with os.fdopen(3, "w") as out:
        json.dump(result, out, sort_keys=True)
        out.write("\n")


if __name__ == "__main__":
    main()
