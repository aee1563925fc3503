#!/usr/bin/env python3
"""The long run: servers that fail at random, a program that uses them, samples, and a verdict.

Exit status: 0 if all rules hold. Ctrl-C ends it early, with a verdict. What it writes lies in the folder OUT:
samples.csv, samples.svg, verdict.txt, events.txt, program.txt. The same seed makes the same choices, but not at the same
moments.
"""
import argparse
import csv
import os
import queue
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

import plot
import samples
import verdict
from faults import REPLY_FAULTS, Faults
from servers import World

GRACE = 8  # of the program's profile: 2 s to connect, 2 s for a host that is out and a quarter more, 3 s to read
TICK, STALL, SILENCE = 0.05, 1, 4
KINDS = ["stopped", "killed", "restarted", "reloaded", "refuses", "closes idle connections"] + [
    f"replies: {it}" for it in REPLY_FAULTS]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 10**9))
    parser.add_argument("--library", required=True)
    parser.add_argument("--programs", required=True, help="the folder of client and origin")
    parser.add_argument("--out", required=True)
    return parser.parse_args()


class Program:
    """The program that makes the requests (client.c)."""

    def __init__(self, options, scratch, world):
        self.log = open(f"{options.out}/program.txt", "w+", encoding="utf-8", errors="replace")
        # DPLX_STATS_FILE without the prefix of other variables: a child has a file of its own.
        environment = dict(os.environ, LD_PRELOAD=options.library, DPLX_STATS_FILE=f"{scratch}/%p.prom",
                           SOAK_AUTHORITY=world.authority,
                           # What malloc(3) keeps for each thread counts as given out, and grows for an hour.
                           GLIBC_TUNABLES="glibc.malloc.tcache_count=0")
        command = [f"{options.programs}/client", str(options.seed), ";".join(world.plain), ";".join(world.tls)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
                                        env=environment, text=True, start_new_session=True)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.statistics = samples.Statistics(f"{scratch}/{self.process.pid}.prom")

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line)

    def tell(self, letter):
        try:
            self.process.stdin.write(letter)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def end(self):
        """Returns its status and the last line that it printed."""
        self.tell("s")
        try:
            status = self.process.wait(90)
        except subprocess.TimeoutExpired:
            self.log.write("does not end; its threads:\n" + "\n".join(samples.threads_of(self.process.pid)) + "\n")
            self.process.send_signal(signal.SIGABRT)
            status = self.process.wait()
        self.reader.join()
        last = None
        while not self.lines.empty():
            last = self.lines.get()
        return status, last

    def bad_messages(self):
        self.log.seek(0)
        words = ("bad message", "bug in droplet-conn", "panicked", "descriptors:", "wrong:", "overdue:", "does not end")
        return [line.strip() for line in self.log if line.startswith(words)]


class Run:
    """Phases that follow each other: wild; settling, when all is well again; and calm, when nothing may fail."""

    def __init__(self, options, scratch):
        self.options, self.rows = options, []
        self.began = time.monotonic()
        self.events = open(f"{options.out}/events.txt", "w", encoding="utf-8")
        chance = random.Random(options.seed)
        self.world = World(scratch, f"{options.programs}/origin", chance)
        self.faults = Faults(self.world, chance, self.note)
        self.program = None
        self.is_stopped = False
        self.is_wild, self.calm_from = True, 0
        self.heard = 0  # when the program said something last
        self.wild, self.calm = (40, 20) if options.seconds >= 300 else (14, 16)

    def stop(self, *_):
        """Ends the run early, with a verdict; a second signal ends it at once."""
        self.is_stopped = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.default_int_handler)

    def goes_on(self, until):
        return self.now() < until and not self.is_stopped and self.program.process.poll() is None

    def now(self):
        return time.monotonic() - self.began

    def note(self, text):
        self.events.write(f"{self.now():9.2f}  {text}\n")
        self.events.flush()

    def held_up(self, who, seconds):
        """The machine was: what was calm may fail now, so it settles once more."""
        self.note(f"{who} was held up for {seconds:.1f} s")
        self.calm_from = max(self.calm_from, self.now() + GRACE)
        self.heard = self.now()

    def sample(self):
        phase = "wild" if self.is_wild else "calm" if self.now() >= self.calm_from else "settling"
        while not self.program.lines.empty():
            line = self.program.lines.get()
            try:
                row = samples.row(self.now(), phase, line, self.program.process.pid, self.program.statistics)
            except (FileNotFoundError, ProcessLookupError, KeyError):
                return  # it has ended
            before = self.rows[-1]["lost"] if self.rows else 0
            if row["lost"] - before > STALL:
                self.held_up("the program", row["lost"] - before)
                row["phase"] = "wild" if self.is_wild else "settling"
            self.rows.append(row)
            self.heard = self.now()
        if self.now() - self.heard > SILENCE:
            self.heard = self.now()
            threads = "\n".join(samples.threads_of(self.program.process.pid))
            self.note(f"the program says nothing; its threads:\n{threads}")

    def spend(self, seconds, step=lambda now: None):
        until = min(self.now() + seconds, self.options.seconds)
        while self.goes_on(until):
            step(self.now())
            self.sample()
            before = self.now()
            time.sleep(TICK)
            if self.now() - before > STALL:
                self.held_up("this script", self.now() - before)

    def all_phases(self, scratch):
        self.world.start()
        self.program = Program(self.options, scratch, self.world)
        self.heard = self.now()
        while self.goes_on(self.options.seconds):
            self.program.tell("w")
            self.note("wild")
            self.is_wild = True
            self.spend(self.wild, self.faults.step)
            self.faults.end()
            self.program.tell("c")
            self.note("all is well")
            self.is_wild, self.calm_from = False, self.now() + GRACE
            self.spend(self.calm)

    def end(self):
        """Ends the program. Returns what is known then."""
        status, last = self.program.end()
        said = samples.json.loads(last) if last else None
        return {"status": status, "said": said if said and said["phase"] == "ended" else None,
                "messages": self.program.bad_messages(), "statistics": self.program.statistics.faults,
                "made": self.faults.made, "kinds": KINDS}


def write_results(options, run, end):
    with open(f"{options.out}/samples.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(run.rows[0]))
        writer.writeheader()
        writer.writerows(run.rows)
    with open(f"{options.out}/samples.svg", "w", encoding="utf-8") as file:
        file.write(plot.drawn(run.rows))
    result = verdict.judge(run.rows, end)
    made = ", ".join(f"{kind} {count}" for kind, count in sorted(run.faults.made.items()))
    text = "\n".join([f"seed {options.seed}, {run.rows[-1]['seconds']:.0f} s", f"faults: {made}", *result.lines,
                      "all is well" if result.is_good else "THE RUN FAILED", ""])
    with open(f"{options.out}/verdict.txt", "w", encoding="utf-8") as file:
        file.write(text)
    print(text, end="")
    return result.is_good


def main():
    options = arguments()
    os.makedirs(options.out, exist_ok=True)
    print(f"soak: {options.seconds} s with seed {options.seed}; the results go to {options.out}", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as scratch:
        run = Run(options, scratch)
        signal.signal(signal.SIGINT, run.stop)
        signal.signal(signal.SIGTERM, run.stop)
        try:
            run.all_phases(scratch)
            end = run.end()
        finally:
            run.world.end()
            if run.program and run.program.process.poll() is None:
                run.program.process.kill()
    if not run.rows:
        raise SystemExit(f"soak: the program said nothing, status {run.program.process.returncode}; "
                         f"see {options.out}/program.txt")
    sys.exit(0 if write_results(options, run, end) else 1)


if __name__ == "__main__":
    main()
