//! The program under test: its threads do what the steps of a history say, by the library's C functions.

mod actor;
mod life;
mod replies;

use std::ffi::CString;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use openssl::ssl::SslContext;

use crate::c;
use crate::history::{Act, Config, Reader};
use crate::http::Request;
use crate::names::DOMAIN;
use crate::real::simulated;
use crate::threads::Time;
use crate::world::{World, with};

pub use life::{await_child, be_alone, close, give_all_back, live, open, prove_recovery};

/// A connection that a thread of the program has.
#[derive(Clone)]
pub struct Held {
    /// The connection.
    pub conn: *mut c::Connection,
    /// The thread that has it.
    pub thread: usize,
    /// The number of its socket.
    pub socket: usize,
    /// The number of the host, if it is one of the history's.
    pub host: Option<usize>,
    /// The request that waits for its reply, and the functions that read it.
    pub request: Option<(Request, Reader)>,
    /// The time at which it was got.
    pub since: Time,
    /// The part of the reply that was read.
    pub part: Vec<u8>,
    /// The number of its use, if it can be cancelled; else 0.
    pub use_number: u64,
    /// True if the program cannot use it any more.
    pub is_broken: bool,
}

/// The state of the program.
pub struct Program {
    /// The settings of the history.
    pub config: Config,
    /// The context.
    pub context: *mut c::Context,
    /// The action that each thread is to do next.
    pub jobs: Vec<Option<Act>>,
    /// The connections that it has.
    pub held: Vec<Held>,
    /// The number of calls under way that give a connection back.
    pub giving_back: usize,
    /// The number of calls under way that get a connection.
    pub connecting: usize,
    /// The number of such calls so far.
    pub connects: u64,
    /// The number of times that each host was reported.
    pub reports: Vec<u64>,
    /// The times from which and until which the program has taken each host out.
    pub orders: Vec<(Time, Time)>,
    /// The time until which it has taken any host out.
    pub out_until: Time,
    /// The number of changes of the list under way.
    pub changing: usize,
    /// The number of changes of the list so far.
    pub list_version: u64,
    /// The number of requests so far.
    pub requests: u64,
    /// The uses that can be cancelled, and those that were.
    pub uses: Vec<(u64, bool)>,
    /// `n_conn_max`, and the value before.
    pub limits: (i32, i32),
    /// The number of sockets that were open when `n_conn_max` changed, or fewer: one may take the place of another.
    pub above_limit: i32,
    /// The number of changes of `n_conn_max` or the wait so far.
    pub limit_version: u64,
    /// The longest wait at the limit that a call may have begun with, in milliseconds.
    pub wait: i32,
    /// The `SSL_CTX`s that it has made.
    pub contexts: Vec<SslContext>,
}

impl Program {
    /// A program that has not begun.
    pub fn new(config: Config) -> Program {
        let limits = (config.limit, config.limit);
        let (threads, hosts, wait) = (config.threads, config.hosts.len(), config.wait);
        Program {
            config,
            context: ptr::null_mut(),
            jobs: vec![None; threads + 1],
            held: Vec::new(),
            giving_back: 0,
            connecting: 0,
            connects: 0,
            reports: vec![0; hosts],
            orders: vec![(0, 0); hosts],
            out_until: 0,
            changing: 0,
            list_version: 0,
            requests: 0,
            uses: Vec::new(),
            limits,
            above_limit: 0,
            limit_version: 0,
            wait,
            contexts: Vec::new(),
        }
    }
}

impl Config {
    /// Returns the name of a host, as the profile has it.
    pub fn host_name(&self, host: usize) -> String {
        let (is_named, servers) = &self.hosts[host];
        if *is_named { format!("h{host}{DOMAIN}") } else { format!("10.0.0.{}", servers[0] + 1) }
    }

    /// Returns the port of all hosts.
    pub fn port(&self) -> u16 {
        if self.is_secure { 443 } else { 80 }
    }

    fn c_name(&self, host: usize) -> (CString, CString) {
        let text = |text: String| CString::new(text).expect("no NUL in a name");
        (text(self.host_name(host)), text(self.port().to_string()))
    }

    fn list(&self, bits: u32) -> CString {
        let chosen = (0..self.hosts.len()).filter(|host| bits >> host & 1 == 1);
        let names: Vec<String> = chosen.map(|host| self.host_name(host)).collect();
        let names = if names.is_empty() { vec![self.host_name(0)] } else { names };
        CString::new(names.join(",")).expect("no NUL in a name")
    }
}

impl Program {
    /// Returns a connection that a thread has.
    pub fn held(&mut self, conn: *mut c::Connection) -> &mut Held {
        self.held.iter_mut().find(|held| held.conn == conn).expect("a held connection")
    }

    /// True if this use was cancelled.
    pub fn was_cancelled(&self, number: u64) -> bool {
        number > 0 && self.uses.iter().any(|(other, is_cancelled)| *other == number && *is_cancelled)
    }

    fn forget_use(&mut self, number: u64) {
        self.uses.retain(|(other, _)| *other != number);
    }
}

fn context() -> *mut c::Context {
    with(|world| world.program.context)
}

impl World {
    /// Sets `n_conn_max`.
    pub fn set_limit(&mut self, limit: i32) {
        // SAFETY: the field of a context, which a program may write at any time.
        let field = unsafe { AtomicI32::from_ptr(&raw mut (*self.program.context).n_conn_max) };
        field.store(limit, Ordering::Relaxed);
        let (before, most) = self.program.limits;
        self.program.above_limit = self.open_sockets();
        self.program.limits = (limit, before.max(most).max(limit));
        self.program.limit_version += 1;
    }
}

/// Sets the wait at the limit.
pub fn set_wait(milliseconds: i32) {
    let context = context();
    // SAFETY: a context.
    simulated(|| unsafe { c::dplx_ctx_set_wait(context, milliseconds) });
    with(|world| {
        world.program.wait = world.program.wait.max(milliseconds);
        world.program.limit_version += 1;
    });
}
