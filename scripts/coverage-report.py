#!/usr/bin/env python3
"""Reports what scripts/coverage.sh has measured, and compares it with docs/coverage.md.

    coverage-report.py FOLDER [--rows]

FOLDER/lcov has the counters. Writes FOLDER/files.txt, a table by file, and FOLDER/uncovered.txt, each line that no test
runs with the function it is in. Fails if fewer lines are covered than the limit, if a function has more uncovered lines
than docs/coverage.md explains, or if that names a function that does not exist. --rows prints what is missing there.
"""

import collections
import os
import re
import sys

LIMIT = 93.0  # per cent of lines
DOCUMENT = "docs/coverage.md"

# A row of the document: the file, and its functions with the number of lines that may be uncovered.
ROW = re.compile(r"^- `([^`]+\.rs)`: (.+)$")
FUNCTION = re.compile(r"`([^`]+)` (\d+)")
DEFINITION = re.compile(r"^(\s*)(?:pub(?:\([^)]*\))? )?(?:const )?(?:unsafe )?(?:extern \"C\"(?:-unwind)? )?fn (\$?\w+)")


class File:
    def __init__(self, path):
        self.path = path
        with open(path, encoding="utf-8") as source:
            self.source = source.read().splitlines()
        self.end = self._first_line_of_tests()
        self.lines = {}
        self.branches = []

    def _first_line_of_tests(self):
        """Unit tests stand at the end of a file. They are no code to cover."""
        for number, (line, next_line) in enumerate(zip(self.source, self.source[1:]), 1):
            if re.fullmatch(r"#\[cfg\((all\()?test\b.*", line) and next_line.startswith("mod ") and next_line.endswith("{"):
                return number
        return len(self.source) + 1

    def function_at(self, number):
        """The name of the function that a line is in: the nearest one above that is indented less, or ends there."""
        line = self.source[number - 1]
        depth = len(line) - len(line.lstrip()) + line.lstrip().startswith(("}", ")"))
        if found := DEFINITION.match(line):
            return found[2]
        for line in reversed(self.source[:number]):
            found = DEFINITION.match(line)
            if found and len(found[1]) < depth:
                return found[2]
        return "(file)"

    def uncovered(self):
        return sorted(number for number, count in self.lines.items() if count == 0)


def read(lcov):
    """The files of a report in the format of lcov, by path."""
    files, current = {}, None
    with open(lcov, encoding="utf-8") as report:
        for line in report:
            kind, _, rest = line.rstrip("\n").partition(":")
            if kind == "SF":
                path = os.path.relpath(rest)
                current = files.setdefault(path, File(path))
            elif kind == "DA":
                number, count = map(int, rest.split(",")[:2])
                if number < current.end:
                    current.lines[number] = count
            elif kind == "BRDA":
                number, _, _, taken = rest.split(",")
                if int(number) < current.end:
                    current.branches.append(taken not in ("-", "0"))
    return dict(sorted(files.items()))


def per_cent(covered, of):
    return f"{100 * covered / of:6.1f}" if of else "     -"


def row(name, lines, missed, branches, taken):
    return (f"{name:55} {lines:6} {missed:9} {per_cent(lines - missed, lines)} "
            f"{branches:8} {per_cent(taken, branches)}\n")


def table(files):
    """The table by file, and its last line."""
    text = f"{'file':55} {'lines':>6} {'uncovered':>9} {'%':>6} {'branches':>8} {'%':>6}\n"
    total = [0, 0, 0, 0]
    for file in files.values():
        counts = [len(file.lines), len(file.uncovered()), len(file.branches), sum(file.branches)]
        text += row(file.path, *counts)
        total = [a + b for a, b in zip(total, counts)]
    last = row("all", *total)
    return text + last, last, 100 * (total[0] - total[1]) / total[0]


def explained():
    """What the document allows: (file, function) to number of lines."""
    allowed = {}
    with open(DOCUMENT, encoding="utf-8") as document:
        for line in document:
            if found := ROW.match(line):
                for name, count in FUNCTION.findall(found[2]):
                    allowed[found[1], name] = int(count)
    return allowed


def problems(uncovered, allowed):
    for (path, name), count in sorted(uncovered.items()):
        if count > allowed.get((path, name), 0):
            yield f"{path}: {name}: {count} lines are uncovered, {allowed.get((path, name), 0)} are explained"
    for path, name in sorted(allowed):
        if not os.path.exists(path):
            yield f"{path}: there is no such file"
        elif not any((found := DEFINITION.match(line)) and found[2] == name for line in File(path).source):
            yield f"{path}: {name}: there is no such function"


def main(folder, *options):
    files = read(os.path.join(folder, "lcov"))
    uncovered = collections.Counter()
    with open(os.path.join(folder, "uncovered.txt"), "w", encoding="utf-8") as listed:
        for file in files.values():
            for number in file.uncovered():
                name = file.function_at(number)
                uncovered[file.path, name] += 1
                listed.write(f"{file.path}:{number}: {name}: {file.source[number - 1].strip()}\n")
    text, last, covered = table(files)
    with open(os.path.join(folder, "files.txt"), "w", encoding="utf-8") as listed:
        listed.write(text)
    print(text.partition("\n")[0] + "\n" + last, end="")
    print(f"the files are in {folder}/files.txt, the lines in {folder}/uncovered.txt")

    allowed = explained()
    if "--rows" in options:
        rows = collections.defaultdict(list)
        for (path, name), count in sorted(uncovered.items()):
            if count > allowed.get((path, name), 0):
                rows[path].append(f"`{name}` {count}")
        for path, names in rows.items():
            print(f"- `{path}`: {', '.join(names)}")
    found = list(problems(uncovered, allowed))
    if covered < LIMIT:
        found.append(f"{covered:.1f} % of the lines are covered; it should be {LIMIT:.0f} %")
    if found:
        print(f"{DOCUMENT} does not agree:", *found, sep="\n    ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
