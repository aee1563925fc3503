//! Reading replies, and the reasons why a transfer may fail.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;

use super::Held;
use crate::c;
use crate::real::{really, simulated};
use crate::servers::Condition;
use crate::world::with;

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

/// A reply that was read, or a part of it.
pub struct Read {
    /// The part of the body that was read.
    pub body: Vec<u8>,
    /// True if that is all of it.
    pub is_complete: bool,
}

unsafe extern "C" fn collect(body: *mut c_void, data: *mut c_char, length: c_uint) -> c_int {
    // SAFETY: the library passes the pointer that it got, and bytes of this length.
    really(|| unsafe {
        let bytes = std::slice::from_raw_parts(data.cast::<u8>(), length as usize);
        (*body.cast::<Vec<u8>>()).extend_from_slice(bytes);
    });
    c::SUCCESS
}

/// Reads a reply. `None` if that fails.
pub fn read_buffered(conn: *mut c::Connection) -> Option<Read> {
    let mut body = Vec::<u8>::new();
    let mut status = 0;
    // SAFETY: a connection in use, places for the results, and a function that takes the body.
    let outcome = simulated(|| unsafe {
        let body = (&raw mut body).cast();
        c::dpl_read_http_reply_buffered(conn, 1, &mut status, ptr::null(), Some(collect), body)
    });
    (outcome == c::SUCCESS).then_some(Read { body, is_complete: true })
}

/// Reads a reply. `None` if that fails.
pub fn read_whole(conn: *mut c::Connection) -> Option<Read> {
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

/// Reads a reply. `None` if that fails.
pub fn read_stepped(conn: *mut c::Connection, all: bool, mut body: Vec<u8>) -> Option<Read> {
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
pub struct Undisturbed {
    socket: usize,
    faults: u64,
}

impl Undisturbed {
    /// Notes the state.
    pub fn begin(socket: usize) -> Undisturbed {
        Undisturbed { socket, faults: with(|world| world.faults.so_far) }
    }

    /// True if the server has served the connection without a fault, and nothing on this side has failed.
    pub fn is_undisturbed(&self, held: &Held) -> bool {
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
