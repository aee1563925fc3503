"""Faults of the servers: at random times, of a random kind, for a random time."""
import collections
import signal

# Those that origins make of their replies, besides being killed and stopped (origin.c).
REPLY_FAULTS = ("hang", "reset", "cut", "busy", "early", "slow", "late", "extra")
MOST_AT_ONCE = 3
MEAN_PAUSE = 1.2


class Faults:
    """One fault a server at a time, and a few at once."""

    def __init__(self, world, chance, note):
        self.world, self.chance, self.note = world, chance, note
        self.active = {}  # server: when it ends, and how
        self.next = 0
        self.made = collections.Counter()

    def step(self, now):
        for server, (until, undo) in list(self.active.items()):
            if now >= until:
                del self.active[server]
                undo()
        if now >= self.next:
            self.next = now + self.chance.expovariate(1 / MEAN_PAUSE)
            well = [it for it in self.world.servers if it not in self.active]
            if len(self.active) < MOST_AT_ONCE:
                self.begin(self.chance.choice(well), now)

    def begin(self, server, now):
        kinds = [self.stop, self.kill, self.terminate]
        if server.RELOAD and server.is_up():  # before, the signal would end it
            kinds += [self.reload, self.reload]
        if server in self.world.origins:
            kinds += [self.refuse, self.spoil]
        if server in self.world.wild:
            kinds += [self.refuse, self.idle] + 8 * [self.spoil]
        kind, seconds, undo = self.chance.choice(kinds)(server)
        self.made[kind] += 1
        self.active[server] = (now + seconds, undo)
        self.note(f"{server.name}: {kind}, {seconds:.1f} s")

    def stop(self, server):
        server.signal_all(signal.SIGSTOP)
        return "stopped", self.chance.uniform(0.2, 7), lambda: server.signal_all(signal.SIGCONT)

    def kill(self, server):
        server.end(signal.SIGKILL)
        return "killed", self.chance.uniform(0, 5), server.start

    def terminate(self, server):
        server.end(signal.SIGTERM)
        return "restarted", self.chance.uniform(0, 2), server.start

    def reload(self, server):
        server.reload()
        return "reloaded", 1, lambda: None

    def refuse(self, server):
        server.tell("close")
        return "refuses", self.chance.uniform(0.2, 5), lambda: server.tell("listen")

    def idle(self, server):
        server.tell(f"idle {self.chance.randrange(50, 1500)}")
        return "closes idle connections", self.chance.uniform(3, 12), lambda: server.tell("idle 60000")

    def spoil(self, server):
        fault = self.chance.choice(REPLY_FAULTS)
        server.tell(f"{fault} {self.chance.choice((5, 20, 50, 100))}")
        return f"replies: {fault}", self.chance.uniform(1, 8), lambda: server.tell("good")

    def end(self):
        """Makes everything well again; returns when all servers accept connections."""
        self.active.clear()
        self.world.make_well()
