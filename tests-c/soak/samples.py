"""Samples: what the program says about itself, what the kernel says about it, and the library's file of statistics."""
import json
import os
import re
import time

METRIC = re.compile(r'^droplet_conn_(\w+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="([^"]*)"')
OLDEST_STATISTICS = 20  # seconds; the library writes the file every ten


def of_process(pid):
    """Returns the resident memory in kB and the number of threads."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        facts = dict(line.split(":", 1) for line in file if ":" in line)
    return int(facts["VmRSS"].split()[0]), int(facts["Threads"])


def threads_of(pid):
    """Returns a line for each thread: what it is doing, as far as the kernel tells."""
    lines = []
    for task in sorted(os.listdir(f"/proc/{pid}/task")):
        facts = []
        for name in ("comm", "stat", "wchan", "syscall", "stack"):
            try:
                with open(f"/proc/{pid}/task/{task}/{name}", encoding="ascii", errors="replace") as file:
                    text = file.read()
            except OSError:
                continue
            facts.append(text.rsplit(")", 1)[1].split()[0] if name == "stat" else " ".join(text.split()))
        lines.append(f"    {task}: " + "; ".join(facts))
    return lines


class Statistics:
    """DPLX_STATS_FILE of the program, as a user's monitoring would read it."""

    def __init__(self, path):
        self.path, self.faults = path, []
        self.began = time.time()

    def read(self):
        """Returns the sums over both contexts: idle and used connections, and the hosts that are out."""
        sums = {"idle": 0, "in_use": 0, "connecting": 0, "out": 0}
        try:
            with open(self.path, encoding="utf-8") as file:
                lines = file.read().splitlines()
                written = os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            lines, written = [], self.began
        if time.time() - written > OLDEST_STATISTICS:
            self.faults.append(f"{time.time() - written:.0f} s old")
        for line in lines:
            self.take(line, sums)
        return sums

    def take(self, line, sums):
        match = METRIC.match(line)
        if not match and not line.startswith("#"):
            self.faults.append(f"a line that is no metric: {line}")
        if not match:
            return
        name, labels, value = match.group(1), dict(LABEL.findall(match.group(2) or "")), float(match.group(3))
        if name == "connections":
            sums[labels["state"]] += int(value)
        elif name == "host_state" and labels["state"] == "out":
            sums["out"] += int(value)


def row(seconds, phase, line, pid, statistics):
    """Returns a sample, as a flat dictionary. The line is the program's."""
    said = json.loads(line)
    rss, threads = of_process(pid)
    file = statistics.read()
    contexts = said["contexts"]
    sample = {"seconds": round(seconds, 2), "phase": phase, "calm": said["calm"], "rss_kb": rss, "threads": threads,
              "malloc_kb": said["malloc"] // 1024, "descriptors": said["descriptors"]}
    for name in ("idle", "in_use", "connecting", "waiting", "limit_waits"):
        sample[name] = sum(it[name] for it in contexts)
    sample["out"] = sum(len(it["out"]) for it in contexts)
    sample.update({f"file_{name}": value for name, value in file.items()})
    for name in ("bytes", "bad_children", "overdue", "most_over", "lost"):
        sample[name] = said[name]
    for group in ("requests", "tries", "meddled"):
        sample.update({f"{group}_{name}": count for name, count in said[group].items()})
    for context in contexts:
        sample.update({f"served {host}": count for host, count in context["served"].items()})
    return sample
