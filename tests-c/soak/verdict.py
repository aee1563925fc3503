"""The verdict on a run, by rules."""
import statistics

OUTCOMES_OF_THE_PROGRAM = ("cancelled", "abandoned")  # it wanted them
BASE_THREADS = 11  # eight that ask, one that meddles, the first one, the clock
STALE_PER_REQUEST = 0.02  # of the calm ones: tries whose reused connection the server closed at that moment
RSS_KB, RSS_SHARE, MALLOC_KB, DESCRIPTORS = 2048, 0.03, 1024, 3  # by which they may grow
FILE_IDLE = 8  # by which the file may have more, which is up to ten seconds old
LONG = 1500  # seconds after which every kind of fault must have been made


def calm_windows(rows):
    """Returns the samples of each window in which all has been well for a while."""
    windows, before = [], None
    for row in rows:
        if row["phase"] == "calm":
            if before != "calm":
                windows.append([])
            windows[-1].append(row)
        before = row["phase"]
    return [it for it in windows if len(it) > 2]


def gained(window, name):
    return window[-1][name] - window[0][name]


def quarters(rows, windows, value):
    """Returns the medians of the second and the last quarter, of calm samples if both quarters have some."""
    end = rows[-1]["seconds"]
    calm = [row for window in windows for row in window]

    def of(samples, first, last):
        return [value(row) for row in samples if first * end <= row["seconds"] <= last * end]

    for samples in (calm, rows):
        second, fourth = of(samples, 0.25, 0.5), of(samples, 0.75, 1)
        if len(second) > 3 and len(fourth) > 3:
            return statistics.median(second), statistics.median(fourth)
    return 0, 0


def spare_descriptors(row):
    return row["descriptors"] - row["idle"] - row["in_use"] - row["connecting"]


class Verdict:
    def __init__(self):
        self.lines, self.is_good = [], True

    def rule(self, name, is_good, figures):
        self.is_good &= bool(is_good)
        self.lines.append(f"{'ok    ' if is_good else 'FAILED'}  {name}: {figures}")

    def nothing_grows(self, rows, windows):
        kinds = (("memory, kB", lambda row: row["rss_kb"], RSS_KB, RSS_SHARE),
                 ("memory from malloc, kB", lambda row: row["malloc_kb"], MALLOC_KB, 0),
                 ("descriptors that are no connection", spare_descriptors, DESCRIPTORS, 0))
        for name, value, most, share in kinds:
            before, after = quarters(rows, windows, value)
            self.rule(f"{name}: no growth", after - before <= max(most, share * before),
                      f"median of the second quarter {before:.0f}, of the last {after:.0f}")

    def calm_is_calm(self, windows):
        self.rule("calm windows", windows, len(windows))
        if not windows:
            return
        kinds = [it[len("requests_"):] for it in windows[0][0] if it.startswith("requests_")]
        failures = {kind: sum(gained(it, f"requests_{kind}") for it in windows) for kind in kinds}
        done = failures.pop("done")
        tries = {kind: sum(gained(it, f"tries_{kind}") for it in windows) for kind in kinds if kind != "done"}
        stale = tries.pop("stale")
        self.rule("requests that fail while all is well", not any(failures.values()),
                  f"{sum(failures.values())} of {done} {seen(failures)}")
        self.rule("tries that fail while all is well", not any(tries.values()), f"{sum(tries.values())} {seen(tries)}")
        self.rule("connections that the server closes at the moment of their reuse", stale <= done * STALE_PER_REQUEST,
                  f"{stale} of {done}")
        idle = [(number, host) for number, window in enumerate(windows, 1)
                for host in window[0] if host.startswith("served ") and gained(window, host) == 0]
        self.rule("each host serves again", not idle, f"{len(idle)} did not in one of {len(windows)} windows {idle[:5]}")
        more = statistics.median(row["file_idle"] - row["idle"] for window in windows for row in window)
        self.rule("the file of statistics has no connections that are not there", more <= FILE_IDLE,
                  f"median of idle ones {more:+.0f}")
        threads = {min(row["threads"] for row in window[-3:]) for window in windows}  # a look-up has one for a moment
        self.rule("threads are back to the base", threads == {BASE_THREADS}, f"{sorted(threads)}, base {BASE_THREADS}")

    def faults_were_felt(self, rows, made, kinds):
        last = rows[-1]
        felt = sum(count for name, count in last.items() if name.startswith("tries_") and name != "tries_done")
        self.rule("the faults were felt", felt > 0, f"{felt} tries failed, {last['requests_done']} requests were answered")
        if last["seconds"] < LONG:
            return
        missing = [it for it in kinds if not made.get(it)] + [
            name for name, count in last.items() if (name.startswith("meddled_") or name == "limit_waits") and not count]
        self.rule("every kind of fault was made", not missing, f"{sum(made.values())} {missing}")


def seen(counts):
    return {name: count for name, count in counts.items() if count} or ""


def judge(rows, end):
    """The end is what is known after it: see run.py."""
    verdict, windows, last = Verdict(), calm_windows(rows), rows[-1]
    final = end.get("said") or {}
    total = final.get("requests", {})
    verdict.rule("wrong replies", final.get("tries", {}).get("wrong", last["tries_wrong"]) == 0 and total,
                 f"{total.get('wrong', 'unknown')} of {total.get('done', 'unknown')}")
    verdict.rule("calls that do not return in time", final.get("overdue") == 0,
                 f"{final.get('overdue')}; at most {final.get('most_over', 0):.2f} s beyond the bound")
    verdict.rule("children that hang or crash", final.get("bad_children") == 0,
                 f"{final.get('bad_children')} of {final.get('meddled', {}).get('forking')}")
    verdict.rule("the program ends well", end["status"] == 0, f"status {end['status']}")
    verdict.rule("bad messages of the library", not end["messages"], f"{len(end['messages'])} {end['messages'][:3]}")
    verdict.rule("the file of statistics", not end["statistics"], f"{len(end['statistics'])} faults {end['statistics'][:3]}")
    verdict.calm_is_calm(windows)
    verdict.nothing_grows(rows, windows)
    verdict.faults_were_felt(rows, end["made"], end["kinds"])
    return verdict
