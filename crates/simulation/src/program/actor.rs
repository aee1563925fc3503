//! What a thread of the program does in a step.

use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use c_interface::abi::layout::AddrListHead;
use foreign_types_shared::ForeignType;

use super::replies::{Read, Undisturbed, last_error, read_buffered, read_stepped, read_whole};
use super::{Held, context};
use crate::c;
use crate::checks::Before;
use crate::files::File;
use crate::history::{Act, Door, Reader, Wish};
use crate::http::{Kind, Request};
use crate::real::{really, simulated};
use crate::threads::{MILLISECOND, SECOND, Time};
use crate::tls::client_context;
use crate::world::{violation, with};

/// A thread of the program.
#[derive(Clone, Copy)]
pub struct Actor {
    /// Its number.
    pub number: usize,
    /// Its request.
    pub request: *mut c::Request,
}

impl Actor {
    /// Does an action.
    pub fn perform(self, act: Act) {
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

    /// Gets a connection, makes a request, and gives the connection back.
    pub fn exchange(self, door: Door, wish: Wish, terminates: bool) {
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
        if let Some(host) = held.host.filter(|_| reader == Reader::Whole) {
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
            held.is_broken |= matches!(request.kind, Kind::Extra | Kind::LateExtra | Kind::Early);
        });
    }

    /// Gives a connection back.
    pub fn give_back(self, conn: *mut c::Connection, terminates: bool) {
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
        change: impl FnOnce(*mut AddrListHead, *const c_char, *const c_char) -> c_int,
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
        let made = client_context().expect("an SSL_CTX");
        let context = context();
        // SAFETY: the field of a context, which a program may write at any time.
        let field = unsafe { AtomicPtr::from_ptr(&raw mut (*context).ssl_ctx) };
        field.store(made.as_ptr().cast(), Ordering::Release);
        with(|world| world.program.contexts.push(made));
    }
}
