//! The program under test: its threads do what the steps of a history say, by the library's C functions.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

use foreign_types_shared::ForeignType;
use openssl::ssl::{SslContext, SslMethod, SslVerifyMode};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;

use crate::c;
use crate::checks::Before;
use crate::files::File;
use crate::history::{Act, Config, Door, Reader, Wish};
use crate::http::{Kind, Request};
use crate::names::DOMAIN;
use crate::real::{self, really, simulated};
use crate::servers::Condition;
use crate::threads::{MILLISECOND, SECOND, Time, What, wait_for};
use crate::tls::identity;
use crate::world::{World, violation, with};

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

/// Makes the context. It is ready before the history begins.
pub fn open(config: &Config) {
    let mut profile = String::new();
    if config.is_secure {
        profile += "use_https = true\n";
        profile += &format!("ssl_ca_pem = \"{}\"\n", identity().pem);
    }
    profile += &format!("host = {}\n", config.list(u32::MAX).to_string_lossy());
    profile += &format!("connection_timeout = {}\n", config.connect_timeout);
    profile += &format!("read_timeout = {}\nwrite_timeout = 2\n", config.read_timeout);
    profile += &format!("blacklist_expiretime = {}\n", config.expiry);
    let profile = CString::new(profile).expect("no NUL in a profile");
    // SAFETY: the profile is a string.
    let context = simulated(|| unsafe { c::dplx_ctx_new(profile.as_ptr()) });
    if context.is_null() {
        violation(&format!("no context is made: {}", last_error()));
    }
    with(|world| world.program.context = context);
    with(|world| world.set_limit(config.limit));
    set_wait(config.wait);
}

/// Returns the text of the last error.
pub fn last_error() -> String {
    // SAFETY: it returns NULL or a string.
    let text = simulated(|| unsafe { c::dplx_last_error() });
    if text.is_null() {
        return String::new();
    }
    // SAFETY: it is a string.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
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

/// The life of a thread of the program.
pub fn live(number: usize) {
    crate::threads::begin(number);
    really(|| {
        let mut request: *mut c::Request = ptr::null_mut();
        loop {
            wait_for(What::Job, None);
            while request.is_null() {
                // Memory may be short.
                // SAFETY: a context, and no bucket.
                request = simulated(|| unsafe { c::dplx_req_new(context(), ptr::null()) });
            }
            let act = with(|world| world.program.jobs[number].take());
            let Some(act) = act else { continue };
            with(|world| world.trace(|| format!("{act:?}")));
            let actor = Actor { number, request };
            actor.perform(act);
            with(|world| world.threads[number].is_busy = false);
        }
    });
}

/// A thread of the program.
#[derive(Clone, Copy)]
pub struct Actor {
    /// Its number.
    pub number: usize,
    /// Its request.
    pub request: *mut c::Request,
}

impl Actor {
    fn perform(self, act: Act) {
        match act {
            Act::Exchange(door, wish, terminates) => self.exchange(door, wish, terminates),
            Act::Take(door) => {
                self.take(door);
            }
            Act::Ask(wish) => {
                if let Some(place) = self.own(|held| held.request.is_none() && !held.is_broken) {
                    self.ask(place, wish);
                }
            }
            Act::Read(all) => {
                if let Some(place) = self.own(|held| held.request.is_some() && !held.is_broken) {
                    self.read(place, all);
                }
            }
            Act::GiveBack(terminates) => {
                if let Some(place) = self.own(|_| true) {
                    self.give_back(place, terminates);
                }
            }
            Act::Report => {
                if let Some(conn) = self.own(|_| true) {
                    self.report(conn);
                }
            }
            Act::Cancel(place) => self.cancel(place),
            Act::Order(host, seconds) => {
                let status = self.change_list(host, |list, name, port| {
                    // SAFETY: a list and strings.
                    unsafe { c::dpl_addrlist_blacklist(list, name, port, seconds) }
                });
                let is_done = status == c::SUCCESS;
                with(|world| {
                    let until = world.now + seconds as Time * SECOND;
                    // Its name may lead to the address of another host, which is taken out instead.
                    world.program.out_until = world.program.out_until.max(until);
                    let is_done = is_done
                        && world.program.changing == 0
                        && world.names.all.iter().all(|name| name.changed.is_none());
                    world.program.orders[host] = if is_done { (world.now, until) } else { (0, 0) };
                });
            }
            Act::Lift(host) => {
                // It lifts those of other names for the same address, too.
                with(|world| world.program.orders.fill((0, 0)));
                self.change_list(host, |list, name, port| {
                    // SAFETY: a list and strings.
                    unsafe { c::dpl_addrlist_unblacklist(list, name, port) }
                });
            }
            Act::SetList(bits) => {
                let hosts = with(|world| {
                    world.program.orders.fill((0, 0));
                    world.program.config.list(bits)
                });
                self.change_list(0, |list, _, _| {
                    // SAFETY: a list and a string.
                    unsafe { c::dpl_addrlist_set_from_str(list, hosts.as_ptr()) }
                });
            }
            Act::NewTls => self.new_tls(),
            Act::Fork => self.fork(),
            other => unreachable!("{other:?} is not for a thread"),
        }
    }

    /// Returns a connection of this thread.
    fn own(self, is_fit: impl Fn(&Held) -> bool) -> Option<*mut c::Connection> {
        let is_fit = |held: &&Held| held.thread == self.number && is_fit(held);
        with(|world| world.program.held.iter().find(is_fit).map(|held| held.conn))
    }

    fn exchange(self, door: Door, wish: Wish, terminates: bool) {
        let Some(conn) = self.take(door) else { return };
        self.ask(conn, wish);
        self.read(conn, true);
        self.give_back(conn, terminates);
    }

    /// Gets a connection.
    pub fn take(self, door: Door) -> Option<*mut c::Connection> {
        let use_number = match door {
            // SAFETY: it takes nothing.
            Door::Cancellable(_) => simulated(|| unsafe { c::dplx_use_new() }),
            _ => 0,
        };
        if use_number > 0 {
            with(|world| world.program.uses.push((use_number, false)));
        }
        let context = context();
        let before = Before::new(door);
        let mut conn = ptr::null_mut();
        // SAFETY: a context, a request of this thread, and a place for the connection.
        let status = simulated(|| unsafe {
            match door {
                Door::TryConnect => c::dpl_try_connect(context, self.request, &mut conn),
                Door::Cancellable(timeout) => {
                    conn = c::dplx_connect_cancellable(context, self.request, use_number, timeout);
                    if conn.is_null() { c::FAILURE } else { c::SUCCESS }
                }
                Door::OpenHost(host) => {
                    let (name, port) = really(|| with(|world| world.program.config.c_name(host)));
                    conn = c::dpl_conn_open_host(context, libc::AF_INET, name.as_ptr(), port.as_ptr());
                    if conn.is_null() { c::FAILURE } else { c::SUCCESS }
                }
            }
        });
        if (status == c::SUCCESS) == conn.is_null() {
            violation(&format!("status {status} and connection {conn:?} do not agree"));
        }
        let is_cancelled = with(|world| world.program.was_cancelled(use_number));
        if conn.is_null() {
            before.failed(status, is_cancelled, &last_error());
            with(|world| {
                world.program.connecting -= 1;
                world.program.forget_use(use_number);
            });
            return None;
        }
        // SAFETY: a connection in use.
        let descriptor = simulated(|| unsafe { c::dplx_conn_fd(conn) });
        let socket = match with(|world| world.files.get(descriptor)) {
            Some(File::Socket(number)) => number,
            other => violation(&format!("a connection leads to {other:?}")),
        };
        // SAFETY: a connection in use.
        let name = unsafe { (*conn).host.cast_const() };
        let name = if name.is_null() {
            String::new()
        } else {
            // SAFETY: the host of a connection is NULL or a string.
            unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
        };
        let host = with(|world| {
            let config = &world.program.config;
            (0..config.hosts.len()).find(|host| config.host_name(*host) == name)
        });
        let (thread, request, part, is_broken) = (self.number, None, Vec::new(), is_cancelled);
        let since = before.begin;
        before.succeeded(socket, host, is_cancelled);
        let held = Held { conn, thread, socket, host, request, since, part, use_number, is_broken };
        with(|world| {
            world.program.connecting -= 1;
            world.program.held.push(held);
        });
        Some(conn)
    }

    /// Writes a request.
    fn ask(self, conn: *mut c::Connection, wish: Wish) {
        let Wish { kind, size, delay, upload, reader } = wish;
        let held = with(|world| world.program.held(conn).clone());
        let token = with(|world| {
            world.program.requests += 1;
            world.program.requests
        });
        // In a child the numbers are others, so that a reply to the parent is told from one to the child.
        let token = if with(|world| world.is_child) { token + 1_000_000_000 } else { token };
        let request = Request { token, kind, size, delay, upload };
        let text = request.text();
        let begin = Undisturbed::begin(held.socket);
        let mut piece = libc::iovec { iov_base: text.as_ptr().cast_mut().cast(), iov_len: text.len() };
        // SAFETY: a connection in use; the text is readable.
        let status = simulated(|| unsafe {
            match reader {
                Reader::Stepped => c::dplx_conn_write(conn, text.as_ptr().cast(), text.len(), 2000),
                _ => c::dpl_conn_writev_all(conn, &mut piece, 1, 2),
            }
        });
        with(|world| {
            let held = world.program.held(conn);
            held.is_broken |= status != c::SUCCESS;
            held.request = Some((request, reader));
            held.part.clear();
        });
        if status != c::SUCCESS && begin.is_undisturbed(&held) {
            violation(&format!("a write to a good connection fails with {status}: {}", last_error()));
        }
    }

    /// Reads a reply, or the beginning of it.
    fn read(self, conn: *mut c::Connection, all: bool) {
        let mut held = with(|world| world.program.held(conn).clone());
        let Some((request, reader)) = held.request.clone() else { return };
        if held.is_broken {
            return;
        }
        let begin = Undisturbed::begin(held.socket);
        if reader == Reader::Whole
            && let Some(host) = held.host
        {
            with(|world| world.program.reports[host] += 1);
        }
        let read = match reader {
            Reader::Buffered => read_buffered(conn),
            Reader::Whole => read_whole(conn),
            Reader::Stepped => read_stepped(conn, all, std::mem::take(&mut held.part)),
        };
        let Some(read) = read else {
            // A status of 503 is a failure for this function.
            let is_refused = request.kind == Kind::Unavailable && reader == Reader::Whole;
            let is_excused = !request.kind.is_complete() || is_refused || !begin.is_undisturbed(&held);
            if !is_excused {
                let error = last_error();
                violation(&format!(
                    "no reply from a good server over a good connection: {request:?}: {error}"
                ));
            }
            with(|world| world.program.held(conn).is_broken = true);
            return;
        };
        let Read { body, is_complete } = read;
        if !is_complete {
            with(|world| world.program.held(conn).part = body);
            return;
        }
        // Nobody can tell a reply that was not asked for, once it comes after the next request.
        let is_excused = with(|world| {
            let extra_until = &mut world.sockets[held.socket].remote.extra_until;
            let is_excused = *extra_until >= held.since;
            if is_excused {
                *extra_until = Time::MAX;
            }
            is_excused
        });
        if !request.kind.is_complete() && !is_excused {
            violation(&format!("a reply that is not complete was read as one: {request:?}"));
        }
        let (got, wanted) = (body, request.body());
        if got != wanted && !is_excused {
            let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
            let (got_length, wanted_length) = (got.len(), wanted.len());
            violation(&format!(
                "a wrong reply: {got_length} bytes {:?} instead of {wanted_length} bytes {:?}",
                text(&got),
                text(&wanted)
            ));
        }
        with(|world| {
            let held = world.program.held(conn);
            held.request = None;
            // What comes next on it is not the reply to another request.
            held.is_broken |= matches!(request.kind, Kind::Extra | Kind::LateExtra);
        });
    }

    /// Gives a connection back.
    fn give_back(self, conn: *mut c::Connection, terminates: bool) {
        let held = with(|world| {
            let place =
                world.program.held.iter().position(|held| held.conn == conn).expect("a held connection");
            world.program.giving_back += 1;
            world.program.held.swap_remove(place)
        });
        let begin = with(|world| world.now);
        // SAFETY: a connection in use, which is not used any more.
        simulated(|| unsafe {
            if terminates { c::dpl_conn_terminate(conn) } else { c::dpl_conn_release(conn) }
        });
        let took = with(|world| world.now) - begin;
        if took > 200 * MILLISECOND {
            violation(&format!("giving a connection back takes {} ms", took / MILLISECOND));
        }
        with(|world| {
            world.program.giving_back -= 1;
            world.program.forget_use(held.use_number);
        });
    }

    fn report(self, conn: *mut c::Connection) {
        let host = with(|world| {
            let held = world.program.held(conn);
            held.is_broken = true;
            held.host
        });
        if let Some(host) = host {
            with(|world| world.program.reports[host] += 1);
        }
        let context = context();
        // SAFETY: a context and a connection in use, whose host and port are strings.
        simulated(|| unsafe { c::dpl_blacklist_host(context, (*conn).host, (*conn).port) });
    }

    fn cancel(self, place: usize) {
        let number = with(|world| {
            let uses = &mut world.program.uses;
            let place = place.checked_rem(uses.len())?;
            uses[place].1 = true;
            Some(uses[place].0)
        });
        if let Some(number) = number {
            // SAFETY: it takes any number.
            simulated(|| unsafe { c::dplx_cancel(number) });
        }
    }

    fn change_list(
        self,
        host: usize,
        change: impl FnOnce(*mut c_interface::abi::layout::AddrListHead, *const c_char, *const c_char) -> c_int,
    ) -> c_int {
        let (name, port) = with(|world| {
            world.program.list_version += 1;
            world.program.changing += 1;
            world.program.config.c_name(host)
        });
        // SAFETY: the field of a context.
        let list = unsafe { (*context()).addrlist };
        let status = simulated(|| change(list, name.as_ptr(), port.as_ptr()));
        with(|world| {
            world.program.list_version += 1;
            world.program.changing -= 1;
            if world.program.changing > 0 {
                // Nobody knows which change comes last.
                world.program.orders.fill((0, 0));
            }
        });
        status
    }

    fn new_tls(self) {
        if !with(|world| world.program.config.is_secure) {
            return;
        }
        let made = make_client_context().expect("an SSL_CTX");
        let context = context();
        // SAFETY: the field of a context, which a program may write at any time.
        let field = unsafe { AtomicPtr::from_ptr(&raw mut (*context).ssl_ctx) };
        field.store(made.as_ptr().cast(), Ordering::Release);
        with(|world| world.program.contexts.push(made));
    }

    /// Forks. The child makes requests, gives its parent's connections back, and ends.
    fn fork(self) {
        let is_another_in_child = with(|world| world.is_child);
        if is_another_in_child {
            return;
        }
        // SAFETY: the child calls the library, which supports that, and ends.
        match simulated(|| unsafe { libc::fork() }) {
            0 => self.be_child(),
            child => {
                let mut status = 0;
                let arguments = [child.into(), (&raw mut status) as i64, 0, 0, 0, 0];
                real::system_call(libc::SYS_wait4, arguments);
                if status != 0 {
                    violation(&format!("a child ends with status {status:#x}"));
                }
            }
        }
    }

    fn be_child(self) -> ! {
        let parents = with(|world| {
            let own: Vec<Held> =
                world.program.held.drain(..).filter(|held| held.thread == self.number).collect();
            world.program.held = own.clone();
            own
        });
        let wish = Wish { kind: Kind::Plain, size: 50, delay: 0, upload: 0, reader: Reader::Stepped };
        self.exchange(Door::TryConnect, wish, false);
        for held in parents {
            self.give_back(held.conn, false);
        }
        self.exchange(Door::TryConnect, wish, false);
        self.exchange(Door::TryConnect, wish, false);
        // SAFETY: it ends the process.
        unsafe { libc::_exit(0) }
    }
}

fn make_client_context() -> Result<SslContext, openssl::error::ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    store.add_cert(X509::from_pem(identity().pem.as_bytes())?)?;
    let mut builder = SslContext::builder(SslMethod::tls_client())?;
    builder.set_cert_store(store.build());
    builder.set_verify(SslVerifyMode::PEER);
    Ok(builder.build())
}

/// A reply that was read, or a part of it.
struct Read {
    body: Vec<u8>,
    is_complete: bool,
}

unsafe extern "C" fn collect(body: *mut c_void, data: *mut c_char, length: c_uint) -> c_int {
    // SAFETY: the library passes the pointer that it got, and bytes of this length.
    really(|| unsafe {
        let bytes = std::slice::from_raw_parts(data.cast::<u8>(), length as usize);
        (*body.cast::<Vec<u8>>()).extend_from_slice(bytes);
    });
    c::SUCCESS
}

fn read_buffered(conn: *mut c::Connection) -> Option<Read> {
    let mut body = Vec::<u8>::new();
    let mut status = 0;
    // SAFETY: a connection in use, places for the results, and a function that takes the body.
    let outcome = simulated(|| unsafe {
        let body = (&raw mut body).cast();
        c::dpl_read_http_reply_buffered(conn, 1, &mut status, ptr::null(), Some(collect), body)
    });
    (outcome == c::SUCCESS).then_some(Read { body, is_complete: true })
}

fn read_whole(conn: *mut c::Connection) -> Option<Read> {
    let (mut data, mut length) = (ptr::null_mut(), 0);
    // SAFETY: a connection in use, and places for the results.
    let outcome = simulated(|| unsafe {
        let (headers, close) = (ptr::null_mut(), ptr::null_mut());
        c::dpl_read_http_reply_ext(conn, 1, 0, &mut data, &mut length, headers, close)
    });
    let body = if data.is_null() {
        Vec::new()
    } else {
        // SAFETY: the library has stored a block of this length, which the caller frees.
        unsafe {
            let body = std::slice::from_raw_parts(data.cast::<u8>(), length as usize).to_vec();
            libc::free(data.cast());
            body
        }
    };
    (outcome == c::SUCCESS).then_some(Read { body, is_complete: true })
}

fn read_stepped(conn: *mut c::Connection, all: bool, mut body: Vec<u8>) -> Option<Read> {
    let timeout = with(|world| world.program.config.read_timeout) as c_int * 1000;
    // SAFETY: a connection in use.
    let status = simulated(|| unsafe { c::dplx_reply_status(conn, timeout) });
    if status < 0 {
        return None;
    }
    let mut buffer = [0_u8; 700];
    loop {
        let size = if all { buffer.len() } else { 5 };
        // SAFETY: a connection in use, and a buffer of at least this size.
        let count =
            simulated(|| unsafe { c::dplx_reply_read(conn, buffer.as_mut_ptr().cast(), size, timeout) });
        let count = usize::try_from(count).ok()?;
        body.extend_from_slice(&buffer[..count]);
        if count == 0 || !all {
            return Some(Read { body, is_complete: count == 0 });
        }
    }
}

/// The state of the world at the beginning of a transfer.
struct Undisturbed {
    socket: usize,
    faults: u64,
}

impl Undisturbed {
    fn begin(socket: usize) -> Undisturbed {
        Undisturbed { socket, faults: with(|world| world.faults.so_far) }
    }

    /// True if the server has served the connection without a fault, and nothing on this side has failed.
    fn is_undisturbed(&self, held: &Held) -> bool {
        with(|world| {
            let socket = &world.sockets[self.socket];
            let server = socket.server.map(|server| &world.servers[server]);
            let is_sound = server.is_some_and(|server| {
                server.condition == Condition::Up
                    && server.healthy_since.is_some_and(|since| since <= socket.begin)
            });
            let is_cancelled = world.program.was_cancelled(held.use_number);
            let token = world.program.held.iter().find(|other| other.conn == held.conn);
            let token = token.and_then(|held| held.request.as_ref()).map(|(request, _)| request.token);
            let answered = &socket.remote.requests[..socket.remote.answered];
            let was_answered =
                token.is_some_and(|token| answered.iter().any(|request| request.token == token));
            let is_open = !socket.remote.is_over || was_answered;
            let is_in_step = socket.remote.extra_until < held.since;
            is_in_step && is_sound && is_open && !is_cancelled && world.faults.so_far == self.faults
        })
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

/// Gives all connections back.
pub fn give_all_back() {
    let held = with(|world| world.program.held.clone());
    for held in held {
        let actor = Actor { number: held.thread, request: ptr::null_mut() };
        actor.give_back(held.conn, false);
    }
}

/// Frees the context.
pub fn close() {
    let context = context();
    // SAFETY: a context that nobody uses any more.
    simulated(|| unsafe { c::dplx_ctx_free(context) });
}

/// The first handler of a fork in the child: no other thread is there any more.
pub extern "C" fn be_alone() {
    // SAFETY: it takes a number.
    unsafe { libc::alarm(30) };
    let number = real::THREAD.get().unwrap_or(crate::threads::DRIVER);
    with(|world| world.become_child(number));
}

impl World {
    fn become_child(&mut self, number: usize) {
        self.is_child = true;
        self.forget_events();
        for (place, thread) in self.threads.iter_mut().enumerate() {
            if place != number {
                thread.state = crate::threads::State::Ended;
                thread.is_busy = false;
            }
        }
        for socket in &mut self.sockets {
            socket.is_inherited = true;
        }
        (self.program.connecting, self.program.giving_back) = (0, 0);
        self.faults.clear();
    }
}

/// Makes requests that must succeed, now that nothing is wrong any more.
pub fn prove_recovery(request: *mut c::Request) {
    let actor = Actor { number: crate::threads::DRIVER, request };
    let (rounds, expiry) = with(|world| (3 * world.program.config.hosts.len(), world.program.config.expiry));
    let wish = Wish { kind: Kind::Plain, size: 20, delay: 0, upload: 0, reader: Reader::Buffered };
    for _ in 0..2 {
        // In the first round the library finds out which attempts have failed.
        wait_for(What::Time, Some(with(|world| world.now) + (expiry + 10) * SECOND));
        for _ in 0..rounds {
            actor.exchange(Door::TryConnect, wish, false);
            wait_for(What::Time, Some(with(|world| world.now) + 300 * MILLISECOND));
        }
    }
}
