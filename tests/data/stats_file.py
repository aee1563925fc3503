"""Runs the library with DPLX_STATS_FILE, and reads the file with the parser of Prometheus' own client for Python.

    stats_file.py LIBRARY FOLDER [TEST]
"""

import ctypes
import math
import os
import resource
import signal
import socket
import stat
import sys
import threading
import time

from prometheus_client.parser import text_string_to_metric_families

LIBRARY, FOLDER = sys.argv[1:3]
WANTED = sys.argv[3:]
LOGGED = []


def load():
    library = ctypes.CDLL(LIBRARY)
    library.dplx_ctx_new.restype = library.dplx_req_new.restype = ctypes.c_void_p
    library.dplx_ctx_new.argtypes = [ctypes.c_char_p]
    library.dplx_req_new.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.dpl_try_connect.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)]
    for name in ("dpl_conn_release", "dpl_conn_terminate", "dplx_ctx_free", "dplx_req_free"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    return library


DROPLET = load()
LOG = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)
log = LOG(lambda user, ctx, level, text: LOGGED.append(text.decode()))
DROPLET.dplx_set_log(log, None)


MADE = {"contexts": 0}
MADE_LOCK = threading.Lock()


class Context:
    """A context, whose connections are checked out and given back."""

    def __init__(self, profile):
        with MADE_LOCK:
            MADE["contexts"] += 1
        self.ctx = DROPLET.dplx_ctx_new(profile.encode())
        assert self.ctx
        self.req = DROPLET.dplx_req_new(self.ctx, None)

    def use(self, terminate=False):
        conn = ctypes.c_void_p()
        status = DROPLET.dpl_try_connect(self.ctx, self.req, ctypes.byref(conn))
        if status == 0:
            (DROPLET.dpl_conn_terminate if terminate else DROPLET.dpl_conn_release)(conn)
        return status

    def free(self):
        DROPLET.dplx_req_free(self.req)
        DROPLET.dplx_ctx_free(self.ctx)


def server():
    """The address of a server that accepts and says nothing."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=50)
    SERVERS.append(listener)
    return "127.0.0.1:%d" % listener.getsockname()[1]


SERVERS = []


def dead_host():
    """An address that refuses, since its port is bound and nobody listens."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    SERVERS.append(bound)
    return "127.0.0.1:%d" % bound.getsockname()[1]


def use_file(name):
    """Names the file that contexts of now on write."""
    path = os.path.join(FOLDER, name)
    os.environ["DPLX_STATS_FILE"] = path
    return path


def samples(path):
    """All values of a file by name and labels. No two may have the same, and each metric stands together."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert text.endswith("\n")
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), names
    for family in families:
        assert family.documentation and family.type in ("counter", "gauge", "histogram"), family
        assert family.name.startswith("droplet_conn_"), family
    found = {}
    for family in families:
        for sample in family.samples:
            assert (sample.name.endswith("_total")) == (family.type == "counter"), sample
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def value(found, name, **labels):
    return found["droplet_conn_" + name, frozenset(labels.items())]


def eventually(condition):
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def no_drafts():
    assert not [name for name in os.listdir(FOLDER) if name.endswith(".tmp")], os.listdir(FOLDER)


def test_counts():
    path = use_file("counts.prom")
    alive, dead = server(), dead_host()
    context = Context(f"host = {dead},{alive}\nblacklist_expiretime = -1")
    assert context.use() == 0 and context.use() == 0
    eventually(lambda: context.use() == 0 and os.path.exists(path))
    now = samples(path)
    assert context.use(terminate=True) == 0
    context.free()
    found = samples(path)
    context = {key[1] for key in found if key[0] == "droplet_conn_checkouts_failed_total"}
    (number,) = {dict(labels)["context"] for labels in context}
    here = {"context": number}
    assert value(found, "info", version=os.environ["VERSION"]) == 1
    assert value(found, "connections_opened_total", **here) == 1
    assert value(found, "connections_reused_total", **here) >= 2
    assert value(found, "connections_closed_total", reason="terminated", **here) == 1
    assert value(found, "connections_closed_total", reason="used_up", **here) == 0
    assert value(now, "connections", state="in_use", **here) == 0
    assert value(now, "checkouts_waiting", **here) == 0 == value(found, "limit_waits_total", **here)
    waits = value(found, "checkout_wait_seconds_count", **here)
    assert waits in (1, 2), "the dead host is tried first or second"
    assert value(found, "checkout_wait_seconds_bucket", le="+Inf", **here) == waits
    buckets = [(float(dict(labels)["le"]), count) for (name, labels), count in found.items() if name.endswith("_bucket")]
    assert sorted(buckets) == sorted(buckets, key=lambda bucket: bucket[1]), "they are cumulative"
    longest = value(found, "checkout_longest_wait_seconds", **here)
    assert 0 < longest <= value(found, "checkout_wait_seconds_sum", **here) < 60
    assert all((count == waits) == (bound >= longest) for bound, count in buckets), (longest, buckets)
    assert value(found, "host_failures_total", host=dead, cause="refused", **here) == 1
    assert value(found, "host_failures_total", host=alive, cause="refused", **here) == 0
    assert value(now, "host_state", host=dead, state="out", **here) == 1
    assert value(now, "host_state", host=alive, state="out", **here) == 0
    assert value(now, "host_state", host=alive, state="available", **here) == 1
    assert value(now, "host_blacklisted_until_timestamp_seconds", host=dead, **here) == math.inf
    assert value(found, "host_attempts_total", host=alive, **here) == 1
    assert value(found, "host_tls_handshakes_total", host=alive, kind="full", **here) == 0
    no_drafts()


def test_contexts_share_the_file():
    path = use_file("shared.prom")
    contexts = [Context(f"host = {server()}") for _ in range(3)]
    for uses, context in enumerate(contexts):
        for _ in range(uses + 1):
            assert context.use() == 0
    for context in contexts:
        context.free()
    found = samples(path)
    reused = {dict(labels)["context"]: count for (name, labels), count in found.items() if name == "droplet_conn_connections_reused_total"}
    assert list(reused.values())[-3:] == [0, 1, 2], reused
    for _ in range(100):
        Context(f"host = {server()}").free()
    assert sum(name == "droplet_conn_connections_reused_total" for name, _ in samples(path)) <= 17, "some are kept"


def test_freed_contexts_have_counters_only():
    path = use_file("freed.prom")
    first = MADE["contexts"] + 1
    kept = Context(f"host = {server()}")
    for _ in range(20):
        context = Context(f"host = {server()}")
        assert context.use() == 0
        context.free()
    # One that lives puts nobody's last counters out of the file.
    eventually(lambda: kept.use() == 0 and f'connections{{context="{first}"' in open(path, encoding="utf-8").read())
    found = samples(path)

    def contexts(name):
        return {int(dict(labels)["context"]) for key, labels in found if key == "droplet_conn_" + name}

    freed = set(range(first + 5, first + 21))
    assert contexts("connections_opened_total") == freed | {first}, "the sixteen that were freed last are there"
    for gauge in ("connections", "checkouts_waiting", "host_state", "host_idle_connections"):
        assert contexts(gauge) == {first}, "the connections and hosts of the others are gone"
    for number in freed:
        here = {"context": str(number)}
        assert value(found, "connections_opened_total", **here) == 1
        assert value(found, "connections_closed_total", reason="left", **here) == 1, "it was closed with its context"
    kept.free()


def test_names_are_escaped():
    path = use_file("names.prom")
    context = Context('host = "127.0.0.1:1"')
    context.use()
    context.free()
    context = Context("host = [::1]:1")
    context.use()
    context.free()
    hosts = {dict(labels).get("host") for _, labels in samples(path)}
    assert "[::1]:1" in hosts, hosts


def test_paths():
    path = use_file("%p-100%%.prom")
    Context(f"host = {server()}").free()
    assert os.path.exists(os.path.join(FOLDER, f"{os.getpid()}-100%.prom")) and not os.path.exists(path)
    os.chdir(FOLDER)
    os.environ["DPLX_STATS_FILE"] = "relative.prom"
    context = Context(f"host = {server()}")
    os.chdir("/")
    context.free()
    assert os.path.exists(os.path.join(FOLDER, "relative.prom")), "it is relative to the first directory"


def test_children():
    use_file("child-%p.prom")
    Context(f"host = {server()}").free()
    context = Context(f"host = {server()}")
    assert context.use() == 0
    child = os.fork()
    if child == 0:
        os._exit(0 if context.use() == 0 and context.free() is None else 1)
    assert os.waitpid(child, 0)[1] == 0
    context.free()
    for process, reused in ((child, 0), (os.getpid(), 0)):
        found = samples(os.path.join(FOLDER, f"child-{process}.prom"))
        opened = [count for (name, _), count in found.items() if name == "droplet_conn_connections_opened_total"]
        assert opened[-1] == 1, (process, opened)
    found = samples(os.path.join(FOLDER, f"child-{child}.prom"))
    assert sum(name == "droplet_conn_checkouts_failed_total" for name, _ in found) == 1, "nothing of the parent's"


def test_failures_are_one_line():
    for path in (os.path.join(FOLDER, "none", "x.prom"), "/proc/x.prom", FOLDER):
        os.environ["DPLX_STATS_FILE"] = path
        LOGGED.clear()
        for _ in range(2):
            context = Context(f"host = {server()}")
            assert context.use() == 0 and context.use() == 0
            context.free()
        lines = [text for text in LOGGED if "statistics file" in text]
        assert len(lines) == 1 and path in lines[0], LOGGED
        use_file("good.prom")
        Context(f"host = {server()}").free()


def test_file_size_limit():
    use_file("limited.prom")
    LOGGED.clear()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    Context(f"host = {server()}").free()
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert any("File too large" in text for text in LOGGED), LOGGED
    assert not os.path.exists(os.path.join(FOLDER, "limited.prom"))
    no_drafts()


def test_what_is_no_regular_file_stays():
    # A failure is logged once until a file was written.
    use_file("good.prom")
    Context(f"host = {server()}").free()
    pipe = use_file("pipe.prom")
    os.mkfifo(pipe)
    LOGGED.clear()
    for _ in range(2):
        Context(f"host = {server()}").free()
    assert stat.S_ISFIFO(os.lstat(pipe).st_mode)
    lines = [text for text in LOGGED if "statistics file" in text]
    assert len(lines) == 1 and pipe in lines[0], LOGGED
    target = os.path.join(FOLDER, "of-others")
    with open(target, "w", encoding="utf-8") as file:
        file.write("precious")
    link = use_file("link.prom")
    os.symlink(target, link)
    Context(f"host = {server()}").free()
    assert os.path.islink(link)
    path = use_file("beside-a-link.prom")
    os.symlink(target, f"{path}.{os.getpid()}.tmp")
    Context(f"host = {server()}").free()
    samples(path)
    with open(target, encoding="utf-8") as file:
        assert file.read() == "precious"


def test_readers_find_whole_files():
    path = use_file("whole.prom")
    Context(f"host = {server()}").free()
    is_over = threading.Event()

    def replace():
        while not is_over.is_set():
            Context(f"host = {server_of_all}").free()

    server_of_all = server()
    threads = [threading.Thread(target=replace) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        assert "droplet_conn_host_use_limit gauge\n" in text and text.endswith("\n")
    is_over.set()
    for thread in threads:
        thread.join()
    numbers = [int(dict(labels)["context"]) for name, labels in samples(path) if name == "droplet_conn_checkouts_failed_total"]
    assert max(numbers) == MADE["contexts"], "the last of all is in the file, whoever wrote it"
    no_drafts()


for name, test in list(globals().items()):
    if name.startswith("test_") and (not WANTED or name in WANTED):
        test()
        print(name)
