"""Compares slither's findings with those explained in AUDIT.md.

Promise: every finding is explained in the table, and every row of the table is still found.
Takes: slither's JSON and AUDIT.md. Exit 1 names each finding without a row and each row without a finding.

A finding is known by its detector and by the contract and function it lies in, never by its line:
so that an edit elsewhere does not ask for a new row.
"""

import collections
import json
import re
import sys

ROW = re.compile(r"^\| `([a-z0-9-]+)` \| `([^`]+)` \| (\d+) \| (.+) \|$")


def place(element):
    """`Contract.function(types)`, `Contract.variable`, or the file's name."""
    parent = (element.get("type_specific_fields") or {}).get("parent") or {}
    fields = element.get("type_specific_fields") or {}
    if element["type"] == "function":
        return f"{parent['name']}.{fields.get('signature', element['name'])}"
    if element["type"] == "contract":
        return element["name"]
    if element["type"] == "node":
        return place(parent)
    if parent.get("name"):
        return f"{parent['name']}.{element['name']}"
    return element["source_mapping"]["filename_relative"]


def found(path):
    """Counts findings by (detector, place)."""
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    if not report["success"]:
        sys.exit(f"slither failed: {report['error']}")
    counts = collections.Counter()
    for finding in report["results"].get("detectors", []):
        counts[finding["check"], place(finding["elements"][0])] += 1
    return counts


def explained(path):
    """Counts what the table of AUDIT.md explains, by (detector, place)."""
    counts = collections.Counter()
    with open(path, encoding="utf-8") as file:
        for line in file:
            if row := ROW.match(line.rstrip()):
                counts[row[1], row[2]] += int(row[3])
    return counts


def main():
    there, known = found(sys.argv[1]), explained(sys.argv[2])
    wrong = 0
    for key in sorted(there.keys() | known.keys()):
        if there[key] != known[key]:
            wrong += 1
            print(f"{key[0]} in {key[1]}: slither finds {there[key]}, {sys.argv[2]} explains {known[key]}")
    print(f"slither: {sum(there.values())} findings, {wrong} places not as explained")
    sys.exit(1 if wrong else 0)


main()
