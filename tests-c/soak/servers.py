"""The servers of the long run: origins, and nginx, haproxy and stunnel in front of them. All listen on 127.0.0.0/8."""
import os
import random
import shutil
import signal
import socket
import subprocess
import time

SYSTEM_RANDOM = random.SystemRandom()
PROGRAMS = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


def program(name):
    """Returns the path of a program; the PATH of a user may lack the system's own."""
    path = shutil.which(name) or shutil.which(name, path=PROGRAMS)
    if not path:
        raise SystemExit(f"soak: {name} is not installed: scripts/setup.sh soak sees to it")
    return path


def free_port(address):
    """Returns a port that nobody uses, below those that the system gives to clients: it stays free while its server is
    down."""
    while True:
        port = SYSTEM_RANDOM.randrange(10000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
                return port
            except OSError:
                continue


def accepts(address, port):
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((address, port)) == 0


class Server:
    """A program that listens. It can be started, stopped, killed, restarted and reloaded."""

    END = signal.SIGTERM
    RELOAD = None

    def __init__(self, name, scratch, ports):
        self.name, self.folder, self.ports = name, f"{scratch}/{name}", ports
        os.makedirs(self.folder, exist_ok=True)
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self):
        # The death of this program ends them all; a master ends its workers itself.
        ends = ["setpriv", "--pdeathsig", "TERM"]
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen(
                ends + self.command(), cwd=self.folder, stdin=subprocess.PIPE, stdout=log, stderr=log,
                start_new_session=True, env={"PATH": PROGRAMS})

    def signal_all(self, number):
        """To the program and its workers."""
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def end(self, number=None):
        """Ends it, its workers too, whatever state it is in."""
        if not self.process:
            return
        if number not in (None, signal.SIGKILL):
            self.signal_all(number)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                pass
        self.signal_all(signal.SIGKILL)
        self.signal_all(signal.SIGCONT)
        self.process.wait()
        self.process.stdin.close()
        self.process = None

    def reload(self):
        self.process.send_signal(self.RELOAD)

    def is_up(self):
        return self.process is not None and all(accepts(*place) for place in self.ports)

    def make_well(self):
        """Takes back all that was done to it."""
        if not self.process or self.process.poll() is not None:
            self.end(signal.SIGKILL)
            self.start()
        self.signal_all(signal.SIGCONT)

    def wait_until_up(self):
        until = time.monotonic() + 20
        while not self.is_up():
            if time.monotonic() > until:
                raise SystemExit(f"soak: {self.name} does not start; see {self.folder}/log")
            time.sleep(0.02)


class Origin(Server):
    """Our own server, which can be told to be unwell (origin.c)."""

    def __init__(self, name, scratch, address, binary, seed):
        self.place = (address, free_port(address))
        super().__init__(name, scratch, [self.place])
        self.binary, self.seed, self.lives = binary, seed, 0

    def command(self):
        self.lives += 1
        return [self.binary, self.place[0], str(self.place[1]), str(self.seed * 100 + self.lives)]

    def tell(self, line):
        try:
            self.process.stdin.write(f"{line}\n".encode())
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass

    def make_well(self):
        super().make_well()
        for line in ("good", "idle 60000", "listen"):
            self.tell(line)


class Nginx(Server):
    """Plain on one port, TLS on the other."""

    RELOAD = signal.SIGHUP

    def __init__(self, scratch, plain, tls, origins, certificate, chance):
        super().__init__("nginx", scratch, [plain, tls])
        self.plain, self.tls, self.origins, self.certificate, self.chance = plain, tls, origins, certificate, chance

    def command(self):
        upstream = "".join(f"server {a}:{p} max_fails=0; " for a, p in self.origins)
        user = "user root;" if os.geteuid() == 0 else ""
        temporary = "".join(
            f"{it}_temp_path {self.folder}/{it}; " for it in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        # Short and different each time, so that the client's connections are closed under it.
        idle, uses = self.chance.choice((1, 2, 4, 30)), self.chance.choice((20, 100, 1000))
        with open(f"{self.folder}/nginx.conf", "w", encoding="ascii") as file:
            file.write(f"""
{user} daemon off; worker_processes 2; pid {self.folder}/pid; error_log {self.folder}/error.log warn;
worker_shutdown_timeout 2s;
events {{ worker_connections 512; }}
http {{
  access_log off; {temporary}
  client_max_body_size 16m; client_body_buffer_size 256k; keepalive_timeout {idle}s; keepalive_requests {uses};
  ssl_certificate {self.certificate}; ssl_certificate_key {self.certificate}; ssl_session_cache shared:s:1m;
  upstream origins {{ {upstream} keepalive 8; }}
  server {{
    listen {self.plain[0]}:{self.plain[1]}; listen {self.tls[0]}:{self.tls[1]} ssl;
    location / {{
      proxy_pass http://origins; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_connect_timeout 1s; proxy_read_timeout 2s; proxy_send_timeout 2s;
    }}
  }}
}}
""")
        return [program("nginx"), "-p", self.folder, "-c", f"{self.folder}/nginx.conf", "-e", f"{self.folder}/error.log"]


class Haproxy(Server):
    RELOAD = signal.SIGUSR2

    def __init__(self, scratch, plain, tls, origins, certificate, chance):
        super().__init__("haproxy", scratch, [plain, tls])
        self.plain, self.tls, self.origins, self.certificate, self.chance = plain, tls, origins, certificate, chance

    def command(self):
        servers = "".join(f"  server o{i} {a}:{p} check inter 500 fastinter 200 rise 1 fall 2\n"
                          for i, (a, p) in enumerate(self.origins))
        idle = self.chance.choice((800, 2000, 5000, 30000))
        with open(f"{self.folder}/haproxy.cfg", "w", encoding="ascii") as file:
            file.write(f"""
global
  maxconn 400
  hard-stop-after 3s
defaults
  mode http
  timeout connect 1s
  timeout client 4s
  timeout server 2s
  timeout http-request 2s
  timeout http-keep-alive {idle}
  option redispatch
frontend all
  bind {self.plain[0]}:{self.plain[1]}
  bind {self.tls[0]}:{self.tls[1]} ssl crt {self.certificate}
  default_backend origins
backend origins
{servers}""")
        return [program("haproxy"), "-W", "-db", "-f", f"{self.folder}/haproxy.cfg"]


class Stunnel(Server):
    RELOAD = signal.SIGHUP

    def __init__(self, name, scratch, place, origin, certificate):
        super().__init__(name, scratch, [place])
        self.place, self.origin, self.certificate = place, origin, certificate

    def command(self):
        with open(f"{self.folder}/stunnel.conf", "w", encoding="ascii") as file:
            file.write(f"""
foreground = yes
pid =
debug = 4
[soak]
accept = {self.place[0]}:{self.place[1]}
connect = {self.origin[0]}:{self.origin[1]}
cert = {self.certificate}
TIMEOUTconnect = 1
""")
        return [program("stunnel"), f"{self.folder}/stunnel.conf"]


def make_certificate(scratch, addresses):
    """Returns the files of an authority, and of a certificate and its key for localhost and these addresses."""
    def openssl(*arguments):
        subprocess.run([program("openssl"), *arguments], cwd=scratch, check=True, capture_output=True)

    names = ",".join(["DNS:localhost"] + [f"IP:{it}" for it in addresses])
    with open(f"{scratch}/names", "w", encoding="ascii") as file:
        file.write(f"subjectAltName={names}\n")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "authority.key", "-out", "authority.pem", "-subj", "/CN=soak", "-days", "2")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial",
            "-out", "server.crt", "-days", "2", "-extfile", "names")
    with open(f"{scratch}/server.pem", "wb") as whole:
        for part in ("server.crt", "server.key"):
            with open(f"{scratch}/{part}", "rb") as file:
                whole.write(file.read())
    os.chmod(f"{scratch}/server.pem", 0o600)
    return f"{scratch}/authority.pem", f"{scratch}/server.pem"


class World:
    """All servers. Hosts of the two contexts are NAME:PORT, in lists with semicolons."""

    def __init__(self, scratch, origin, chance):
        net = f"127.0.{SYSTEM_RANDOM.randrange(1, 255)}"
        local, far, wild = "127.0.0.1", f"{net}.2", f"{net}.3"
        self.authority, certificate = make_certificate(scratch, [local, far, wild])
        self.origins = [Origin(f"origin{i}", scratch, f"{net}.{10 + i}", origin, i) for i in (1, 2)]
        self.wild = [Origin(f"wild{i}", scratch, wild, origin, 10 + i) for i in (1, 2)]
        behind = [it.place for it in self.origins]
        places = {name: (address, free_port(address)) for name, address in (
            ("nginx", local), ("nginx tls", local), ("haproxy", far), ("haproxy tls", far),
            ("stunnel", far), ("stunnel wild", wild))}
        self.proxies = [
            Nginx(scratch, places["nginx"], places["nginx tls"], behind, certificate, chance),
            Haproxy(scratch, places["haproxy"], places["haproxy tls"], behind, certificate, chance),
            Stunnel("stunnel", scratch, places["stunnel"], behind[0], certificate),
            Stunnel("stunnel-wild", scratch, places["stunnel wild"], self.wild[1].place, certificate),
        ]
        self.servers = self.origins + self.wild + self.proxies
        # The names of hosts, for those who read the results.
        self.plain = {f"localhost:{places['nginx'][1]}": "nginx", "%s:%d" % places["haproxy"]: "haproxy",
                      "%s:%d" % self.origins[1].place: "origin", "%s:%d" % self.wild[0].place: "wild"}
        self.tls = {f"localhost:{places['nginx tls'][1]}": "nginx, TLS", "%s:%d" % places["haproxy tls"]: "haproxy, TLS",
                    "%s:%d" % places["stunnel"]: "stunnel", "%s:%d" % places["stunnel wild"]: "stunnel, wild"}

    def start(self):
        for server in self.servers:
            server.start()
        self.wait_until_up()

    def wait_until_up(self):
        for server in self.servers:
            server.wait_until_up()

    def make_well(self):
        for server in self.servers:
            server.make_well()
        self.wait_until_up()

    def end(self):
        for server in reversed(self.servers):
            server.end(signal.SIGTERM if server.process and server.process.poll() is None else None)
