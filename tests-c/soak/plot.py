#!/usr/bin/env python3
"""Draws samples over time, as SVG. By hand: plot.py samples.csv samples.svg"""
import csv
import sys

WIDTH, HEIGHT, LEFT, TOP, GAP = 860, 96, 62, 44, 30
POINTS = 300  # at most, in a line
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")


def rate(name):
    """A counter as its change in a second."""
    return lambda before, row: max(0, (row[name] - before[name]) / max(0.001, row["seconds"] - before["seconds"]))


def value(name, scale=1.0):
    return lambda before, row: row[name] * scale


def failed_tries(before, row):
    kinds = ("no_connection", "at_limit", "local", "not_written", "stale", "no_reply", "cut_short", "server_error",
             "refused")
    return sum(rate(f"tries_{kind}")(before, row) for kind in kinds)


def failed_requests(before, row):
    kinds = ("no_connection", "at_limit", "local", "not_written", "stale", "no_reply", "cut_short", "server_error",
             "refused")
    return sum(rate(f"requests_{kind}")(before, row) for kind in kinds)


PANELS = (
    ("requests answered a second", (("", rate("requests_done")),)),
    ("failures a second", (("tries", failed_tries), ("requests, after four tries", failed_requests))),
    ("memory in MB", (("resident", value("rss_kb", 1 / 1024)), ("from malloc", value("malloc_kb", 1 / 1024)))),
    ("descriptors and threads", (("descriptors", value("descriptors")), ("threads", value("threads")))),
    ("connections", (("idle", value("idle")), ("in use", value("in_use")))),
    ("hosts that are out", (("", value("out")),)),
)


def thinned(rows):
    """Means over equal times would hide peaks: every so manieth sample, with counters over the time between."""
    step = max(1, len(rows) // POINTS)
    return rows[::step]


def nice(most):
    """A round number that is not less."""
    size = 1
    while size * 10 <= most:
        size *= 10
    return next(size * it for it in (1, 2, 3, 4, 5, 6, 8, 10) if size * it >= most)


def shades(rows, x, bottom):
    """The times in which all is well."""
    parts, begin = [], None
    for row in rows + [None]:
        if row and row["phase"] == "calm":
            begin = row["seconds"] if begin is None else begin
            end = row["seconds"]
        elif begin is not None:
            parts.append(f"M{x(begin):.1f} {TOP}V{bottom}H{x(end):.1f}V{TOP}Z")
            begin = None
    return f'<path d="{"".join(parts)}" fill="#000" fill-opacity=".07"/>'


def panel(rows, x, top, title, lines):
    pairs = list(zip(rows, rows[1:]))
    most = nice(max([1] + [of(*pair) for _, of in lines for pair in pairs]))
    y = lambda it: top + HEIGHT - HEIGHT * it / most
    out = [f'<text x="{LEFT}" y="{top - 6}" font-weight="bold">{title}</text>']
    for share in (0, 0.5, 1):
        out.append(f'<path d="M{LEFT} {y(most * share):.1f}H{LEFT + WIDTH}" stroke="#bbb" stroke-width=".5"/>'
                   f'<text x="{LEFT - 6}" y="{y(most * share) + 4:.1f}" text-anchor="end">{most * share:g}</text>')
    for number, (name, of) in enumerate(lines):
        points = " ".join(f"{x(pair[1]['seconds']):.1f},{y(of(*pair)):.1f}" for pair in pairs)
        out.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[number]}" stroke-width="1"/>')
        if name:
            out.append(f'<text x="{LEFT + WIDTH - 170 * (len(lines) - number) + 170}" y="{top - 6}" '
                       f'text-anchor="end" fill="{COLOURS[number]}">{name}</text>')
    return "\n".join(out)


def drawn(rows):
    end = max(row["seconds"] for row in rows)
    x = lambda seconds: LEFT + WIDTH * seconds / end
    bottom = TOP + len(PANELS) * (HEIGHT + GAP) - GAP
    unit, name = (60, "minutes") if end > 300 else (1, "seconds")
    few = thinned(rows)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 20} {bottom + 40}" '
             'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>',
             f'<text x="{LEFT}" y="16">The long run. All is well where it is grey; elsewhere servers fail at random.</text>',
             shades(rows, x, bottom)]
    for number, (title, lines) in enumerate(PANELS):
        parts.append(panel(few, x, TOP + number * (HEIGHT + GAP), title, lines))
    step = nice(end / unit / 8)
    ticks = [step * it for it in range(int(end / unit / step) + 1)]
    parts += [f'<text x="{x(it * unit):.1f}" y="{bottom + 16}" text-anchor="middle">{it:g}</text>' for it in ticks]
    parts.append(f'<text x="{LEFT + WIDTH / 2}" y="{bottom + 32}" text-anchor="middle">{name}</text></svg>\n')
    return "\n".join(parts)


def numbers(row):
    return {name: text if name in ("phase", "calm") else float(text) for name, text in row.items()}


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as table:
        read = [numbers(row) for row in csv.DictReader(table)]
    with open(sys.argv[2], "w", encoding="utf-8") as picture:
        picture.write(drawn(read))
