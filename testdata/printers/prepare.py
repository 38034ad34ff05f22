#!/usr/bin/env python3
"""Takes printer recordings over into this folder and writes the tables of README.md.

    prepare.py take FOLDER   copy every device of FOLDER whose licence is MIT or Apache-2.0, reduced as README.md says
    prepare.py tables        write the two tables of README.md anew from the files in this folder
"""
import json
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
# A reading stays when it comes from the project whose recording it is, or from the machine's own web page.
KEPT = ("printmaster", "brother", "the machine's own web page, read by printmaster")
# Fields of `expected` that are kept or dropped as a whole; `identity` and `counters` are judged value by value.
WHOLE = ("parts", "status", "cartridges")


def reduced(device):
    """`device` without any reading of a project under the GPL, and without `counter_oids`, whose origin is not noted."""
    origin = device["provenance"]
    kept = {field: who for field, who in origin.items() if who.startswith(KEPT)}
    expected = {}
    for group, values in device["expected"].items():
        if group in ("identity", "counters"):
            values = {key: value for key, value in values.items() if f"{group}.{key}" in kept}
        elif group in WHOLE and group not in kept:
            continue
        elif group not in WHOLE and group != "counters_not_in_walk":
            continue
        if values:
            expected[group] = values
    result = dict(device, expected=expected, provenance=kept)
    result["peers"] = {who: values for who, values in device["peers"].items() if who.startswith(KEPT)}
    if not result["peers"]:
        del result["peers"]
    dropped = sorted(field for field in origin if field not in kept)
    if "counter_oids" in device["expected"]:
        dropped.append("counter_oids")
    result["left_out"] = dropped
    return result


def take(folder):
    for file in sorted(pathlib.Path(folder).glob("*/expected.json")):
        device = json.loads(file.read_text())
        if not device["source"]["licence"].startswith(("MIT", "Apache-2.0")):
            continue
        target = HERE / file.parent.name
        target.mkdir(exist_ok=True)
        for walk in file.parent.glob("walk*.snmprec"):
            shutil.copyfile(walk, target / walk.name)
        text = json.dumps(reduced(device), indent=1, ensure_ascii=False)
        (target / "expected.json").write_text(text + "\n")


def objects(folder):
    return [line.split("|", 2) for line in (folder / "walk.snmprec").read_text().splitlines()]


def rows(walk, column):
    return sum(1 for oid, _, _ in walk if oid.startswith(column + "."))


def first(walk, column):
    return next((value for oid, _, value in walk if oid.startswith(column + ".")), "")


def tables():
    source = ["| recording | project | repository | commit | licence | readings left out |", "| --- | --- | --- | --- | --- | --- |"]
    content = ["| recording | kind | objects | markers (life count) | supplies | inputs | outputs | alerts | console | error state | serial | private objects |",
               "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for file in sorted(HERE.glob("*/expected.json")):
        device, walk = json.loads(file.read_text()), objects(file.parent)
        name, origin = file.parent.name, device["source"]
        left = ", ".join(device["left_out"]) or "none"
        source.append(f"| {name} | {origin['project']} | {origin['repo']} | {origin['commit'][:8]} | {origin['licence']} | {left} |")
        mib = "1.3.6.1.2.1.43."
        life = [value for oid, _, value in walk if oid.startswith(mib + "10.2.1.4.")]
        cells = [
            f"{len(life)} ({', '.join(life)})" if life else "-",
            rows(walk, mib + "11.1.1.9"), rows(walk, mib + "8.2.1.9"), rows(walk, mib + "9.2.1.7"),
            rows(walk, mib + "18.1.1.2"), rows(walk, mib + "16.5.1.2"),
            first(walk, "1.3.6.1.2.1.25.3.5.1.2").replace("\0", "") and "yes" or "-",
            "yes" if first(walk, mib + "5.1.1.17") else "-",
            rows(walk, "1.3.6.1.4.1"),
        ]
        content.append("| " + " | ".join([name, device["kind"], str(len(walk))] + [str(cell or "-") for cell in cells]) + " |")
    readme = HERE / "README.md"
    text = readme.read_text()
    for mark, table in (("sources", source), ("contents", content)):
        head, rest = text.split(f"<!-- {mark} -->\n", 1)
        tail = rest.split(f"<!-- end of {mark} -->", 1)[1]
        text = head + f"<!-- {mark} -->\n" + "\n".join(table) + f"\n<!-- end of {mark} -->" + tail
    readme.write_text(text)


if __name__ == "__main__":
    if sys.argv[1:2] == ["take"] and len(sys.argv) == 3:
        take(sys.argv[2])
    elif sys.argv[1:] == ["tables"]:
        tables()
    else:
        sys.exit(__doc__)
