//! Histories: what a program and the world do, step by step, made from a seed.

use std::fmt;

use crate::faults::Call;
use crate::http::{KINDS, Kind};
use crate::servers::Condition;
use crate::threads::{MICROSECOND, MILLISECOND, SECOND, Time};

/// The function by which a connection is got.
#[derive(Clone, Copy, Debug)]
pub enum Door {
    /// `dpl_try_connect`
    TryConnect,
    /// `dplx_connect_cancellable`, with a timeout in milliseconds
    Cancellable(i32),
    /// `dpl_conn_open_host`, for the host of this number
    OpenHost(usize),
}

/// The functions by which a request is written and its reply read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// `dpl_conn_writev_all` and `dpl_read_http_reply_buffered`
    Buffered,
    /// `dpl_conn_writev_all` and `dpl_read_http_reply_ext`, which blacklists
    Whole,
    /// `dplx_conn_write` and `dplx_reply_read`
    Stepped,
}

/// A request: the reply that it wants, the size of that in bytes, the time of the server, and its own size.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// The kind of the reply.
    pub kind: Kind,
    /// The size of the reply's body.
    pub size: usize,
    /// The time that the server takes.
    pub delay: Time,
    /// The size of the request's body.
    pub upload: usize,
    /// The functions that write and read.
    pub reader: Reader,
}

/// An action of the program or the world.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Gets a connection, makes a request, and gives the connection back.
    Exchange(Door, Wish, bool),
    /// Gets a connection and keeps it.
    Take(Door),
    /// Makes a request on a connection that the thread has.
    Ask(Wish),
    /// Reads the reply, or a part of it.
    Read(bool),
    /// Gives a connection back; terminates it if true.
    GiveBack(bool),
    /// Calls `dpl_blacklist_host` for a connection.
    Report,
    /// Calls `dplx_cancel` for a use that is under way.
    Cancel(usize),
    /// Takes a host out, for seconds.
    Order(usize, i64),
    /// Lifts a blacklisting.
    Lift(usize),
    /// Replaces the list by the hosts of these bits.
    SetList(u32),
    /// Sets `n_conn_max`.
    Limit(i32),
    /// Sets the wait at the limit, in milliseconds.
    Wait(i32),
    /// Replaces the `SSL_CTX`.
    NewTls,
    /// Forks. The child makes requests.
    Fork,
    /// Changes what a server does.
    Serve(usize, Condition),
    /// Makes a server slow to answer connects, by so many milliseconds.
    Slow(usize, u64),
    /// Sets the time in milliseconds after which a server closes idle connections; 0 for never.
    IdleLimit(usize, u64),
    /// Sets the number of requests after which a server closes a connection; 0 for none.
    MostRequests(usize, usize),
    /// Sets whether a server rejects sessions.
    Sessions(usize, bool),
    /// Changes a name: the servers of these bits, the time of a look-up in milliseconds, its error.
    Name(usize, u32, u64, i32),
    /// Has system calls fail: the call, the error, how many succeed before, how many fail.
    Fault(Call, i32, u32, u32),
    /// Moves the wall clock by seconds.
    WallClock(i64),
}

/// A step of a history.
#[derive(Clone, Copy)]
pub struct Step {
    /// The time that passes before.
    pub pause: Time,
    /// The thread of the program that acts, if it is free.
    pub thread: usize,
    /// The action.
    pub act: Act,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step { pause, thread, act } = self;
        write!(f, "after {:>11.3} ms, thread {thread}: {act:?}", *pause as f64 / MILLISECOND as f64)
    }
}

/// The settings of a history.
#[derive(Clone, Debug)]
pub struct Config {
    /// True with TLS.
    pub is_secure: bool,
    /// The servers of each host. A host with one server may be a literal address.
    pub hosts: Vec<(bool, Vec<usize>)>,
    /// The number of servers.
    pub servers: usize,
    /// `conn_timeout` in seconds.
    pub connect_timeout: u64,
    /// `read_timeout` in seconds.
    pub read_timeout: u64,
    /// `blacklist_expiretime` in seconds.
    pub expiry: u64,
    /// `n_conn_max`.
    pub limit: i32,
    /// The wait at the limit in milliseconds.
    pub wait: i32,
    /// The number of threads.
    pub threads: usize,
}

/// The share of histories with TLS, which take longer.
const SECURE: f64 = 0.12;

/// Makes the history of a seed.
pub fn generate(seed: u64) -> (Config, Vec<Step>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let config = config(&mut random);
    // Each history is about something: some actions are frequent in it, others do not occur.
    let weights: Vec<u32> =
        ACTS.iter().map(|(usual, _)| usual * random.choice([0, 1, 1, 3]).unwrap_or(1)).collect();
    let kinds = random.u8(..4);
    let pace = random.choice([200 * MICROSECOND, 3 * MILLISECOND, 50 * MILLISECOND]).unwrap_or(MILLISECOND);
    let length = random.usize(40..400);
    let steps = (0..length).map(|_| {
        let mut maker = Maker { random: &mut random, config: &config, kinds };
        let act = maker.act(&weights);
        let thread = maker.random.usize(..config.threads);
        Step { pause: maker.pause(pace), thread, act }
    });
    let steps = steps.collect();
    (config, steps)
}

fn config(random: &mut fastrand::Rng) -> Config {
    let count = if random.u8(..4) == 0 { random.usize(5..=8) } else { random.usize(1..=4) };
    let mut servers = 0;
    let mut hosts = Vec::new();
    for _ in 0..count {
        let own = random.usize(1..=2);
        let is_named = own > 1 || random.u8(..3) == 0;
        hosts.push((is_named, (servers..servers + own).collect()));
        servers += own;
    }
    Config {
        is_secure: random.f64() < SECURE,
        hosts,
        servers,
        connect_timeout: random.u64(1..=4),
        read_timeout: random.u64(1..=3),
        expiry: random.u64(1..=8),
        limit: random.choice([1, 2, 3, 4, 6, 50]).unwrap_or(4),
        wait: random.choice([0, 0, 20, 500, 5000]).unwrap_or(0),
        threads: random.usize(1..=5),
    }
}

type Make = fn(&mut Maker<'_>) -> Act;

/// The actions, and how frequent they are.
const ACTS: [(u32, Make); 22] = [
    (60, |maker| Act::Exchange(maker.door(), maker.wish(), maker.random.u8(..8) == 0)),
    (12, |maker| Act::Take(maker.door())),
    (12, |maker| Act::Ask(maker.wish())),
    (8, |maker| Act::Read(maker.random.bool())),
    (12, |maker| Act::GiveBack(maker.random.u8(..4) == 0)),
    (2, |_| Act::Report),
    (3, |maker| Act::Cancel(maker.random.usize(..8))),
    (2, |maker| Act::Order(maker.host(), maker.random.choice([0, 1, 5]).unwrap_or(0))),
    (2, |maker| Act::Lift(maker.host())),
    (2, |maker| Act::SetList(maker.random.u32(1..256))),
    (2, |maker| Act::Limit(maker.random.choice([1, 2, 3, 5, 50]).unwrap_or(1))),
    (2, |maker| Act::Wait(maker.random.choice([0, 10, 300, 3000]).unwrap_or(0))),
    (1, |_| Act::NewTls),
    (2, |_| Act::Fork),
    (10, |maker| Act::Serve(maker.server(), maker.condition())),
    (3, |maker| Act::Slow(maker.server(), maker.random.choice([0, 0, 120, 400, 900]).unwrap_or(0))),
    (2, |maker| Act::IdleLimit(maker.server(), maker.random.choice([0, 5, 100, 1000, 3000]).unwrap_or(0))),
    (2, |maker| Act::MostRequests(maker.server(), maker.random.usize(..5))),
    (2, |maker| Act::Sessions(maker.server(), maker.random.bool())),
    (4, |maker| maker.name()),
    (4, |maker| maker.fault()),
    (1, |maker| Act::WallClock(maker.random.choice([-100_000, -5, 5, 100_000]).unwrap_or(1))),
];

struct Maker<'a> {
    random: &'a mut fastrand::Rng,
    config: &'a Config,
    kinds: u8,
}

impl Maker<'_> {
    fn act(&mut self, weights: &[u32]) -> Act {
        let sum = weights.iter().sum::<u32>().max(1);
        let mut place = self.random.u32(..sum);
        for (weight, (_, make)) in weights.iter().zip(ACTS) {
            if place < *weight {
                return make(self);
            }
            place -= weight;
        }
        (ACTS[0].1)(self)
    }

    fn pause(&mut self, pace: Time) -> Time {
        match self.random.u8(..100) {
            0..50 => self.random.u64(..pace),
            50..80 => 0,
            80..95 => self.random.u64(..20 * pace),
            95..99 => self.random.u64(..2 * SECOND),
            _ => self.random.u64(..15 * SECOND),
        }
    }

    fn host(&mut self) -> usize {
        self.random.usize(..self.config.hosts.len())
    }

    fn server(&mut self) -> usize {
        self.random.usize(..self.config.servers)
    }

    fn door(&mut self) -> Door {
        match self.random.u8(..10) {
            0 => Door::OpenHost(self.host()),
            1 | 2 => Door::Cancellable(self.random.choice([-1, 0, 5, 300, 2000]).unwrap_or(-1)),
            _ => Door::TryConnect,
        }
    }

    fn wish(&mut self) -> Wish {
        let is_plain = match self.kinds {
            0 => true,
            1 => self.random.u8(..10) > 0,
            _ => self.random.bool(),
        };
        let kind = if is_plain { Kind::Plain } else { self.random.choice(KINDS).unwrap_or(Kind::Plain) };
        let size = match self.random.u8(..10) {
            0 => 0,
            1 => self.random.usize(..40_000),
            _ => self.random.usize(12..300),
        };
        let delay = match self.random.u8(..4) {
            0 => self.random.u64(..20 * MILLISECOND),
            1 => self.random.u64(..300 * MILLISECOND),
            _ => self.random.u64(..300 * MICROSECOND),
        };
        let upload = match kind {
            Kind::Early => self.random.usize(1..3000),
            _ if self.random.u8(..12) == 0 => self.random.usize(..200_000),
            _ => 0,
        };
        let reader =
            self.random.choice([Reader::Buffered, Reader::Whole, Reader::Stepped]).unwrap_or(Reader::Stepped);
        Wish { kind, size, delay, upload, reader }
    }

    fn condition(&mut self) -> Condition {
        let all = [
            Condition::Up,
            Condition::Up,
            Condition::Up,
            Condition::Up,
            Condition::Refusing,
            Condition::Refusing,
            Condition::Deaf,
            Condition::Unreachable,
            Condition::Slamming,
            Condition::Broken,
        ];
        self.random.choice(all).unwrap_or(Condition::Up)
    }

    fn name(&mut self) -> Act {
        let host = self.host();
        let servers = if self.random.bool() { 0 } else { self.random.u32(1..1 << self.config.servers) };
        let delay = self.random.choice([0, 0, 0, 30, 700, 9000]).unwrap_or(0);
        let error = self.random.choice([0, 0, 0, libc::EAI_NONAME, libc::EAI_AGAIN]).unwrap_or(0);
        Act::Name(host, servers, delay, error)
    }

    fn fault(&mut self) -> Act {
        let all = [
            (Call::Socket, libc::EMFILE),
            (Call::Socket, libc::ENFILE),
            (Call::Socket, libc::ENOBUFS),
            (Call::Socket, libc::ENOMEM),
            (Call::Connect, libc::EADDRNOTAVAIL),
            (Call::Connect, libc::EPERM),
            (Call::Connect, libc::EAGAIN),
            (Call::Poll, libc::EINTR),
            (Call::Poll, libc::ENOMEM),
            (Call::Receive, libc::EINTR),
            (Call::Receive, libc::ENOMEM),
            (Call::Send, libc::EINTR),
            (Call::Send, libc::ENOBUFS),
            (Call::Pipe, libc::EMFILE),
            (Call::Thread, libc::EAGAIN),
            (Call::Memory, libc::ENOMEM),
            (Call::Memory, libc::ENOMEM),
        ];
        let (call, error) = self.random.choice(all).unwrap_or(all[0]);
        let skip = self.random.u32(..if call == Call::Memory { 60 } else { 6 });
        let count = self.random.choice([1, 1, 2, 5, 30]).unwrap_or(1);
        Act::Fault(call, error, skip, count)
    }
}
