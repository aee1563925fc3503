//! What few connections have: their address as text, a use that another thread may cancel, and a reply that is read step
//! by step.
//!
//! While there is such a use or reply, `ConnectionMemory::fd` is [`LOOK_CLOSER`], which no field of C equals. So each call
//! that takes the connection comes to the slow path here, and other connections pay nothing.

use std::ffi::CString;
use std::io;
use std::os::fd::AsRawFd as _;
use std::ptr;

use libc::{c_char, c_int};

use super::reply::SteppedReply;
use super::{Connection, ConnectionMemory};
use crate::abi::uses;
use droplet_client::checkout::ClientConnection as _;

/// Stands in the place of the descriptor while each call has to look at the [`Extras`].
const LOOK_CLOSER: c_int = c_int::MIN;

/// Rare facts of a connection.
#[derive(Default)]
pub struct Extras {
    /// The address of the peer. An address of a connection does not change.
    address: Option<CString>,
    /// The number of the use, if it may be cancelled.
    use_number: Option<u64>,
    /// The reply that is read step by step.
    pub(super) reply: Option<Box<SteppedReply>>,
    /// The `fd` field of the head when it was last looked at, while [`LOOK_CLOSER`] stands in its place.
    fd: Option<c_int>,
}

impl Connection {
    /// Returns the address of the peer as text, which lives as long as the connection; NULL without one.
    pub fn address(&mut self) -> *mut c_char {
        let Some(peer) = self.peer() else { return ptr::null_mut() };
        let address = &mut self.0.extras().address;
        let text = address.get_or_insert_with(|| CString::new(peer.to_string()).unwrap_or_default());
        text.as_ptr().cast_mut()
    }

    /// Returns the number of the use of the connection, by which another thread may cancel it. A use that has none gets
    /// `use_number`, or else a new number. An error means that memory is short.
    pub fn watch(&mut self, use_number: Option<u64>) -> io::Result<u64> {
        if let Some(number) = self.0.use_number() {
            return Ok(number);
        }
        let number = use_number.map_or_else(uses::begin, Ok)?;
        self.0.extras().use_number = Some(number);
        self.0.register_socket();
        self.0.look_closer();
        Ok(number)
    }

    /// Returns whether another thread has cancelled this use.
    pub fn was_cancelled(&self) -> bool {
        self.0.use_number().is_some_and(uses::is_cancelled)
    }
}

impl ConnectionMemory {
    pub(super) fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    fn use_number(&self) -> Option<u64> {
        self.extras.as_ref().and_then(|extras| extras.use_number)
    }

    /// Registers the socket that is shut down if the use is cancelled.
    pub(super) fn register_socket(&mut self) {
        if let Some(number) = self.use_number() {
            let descriptor = self.open.stream.descriptor();
            uses::set_socket(number, descriptor.as_raw_fd(), descriptor.file());
        }
    }

    /// Takes the socket out of the use, before it is closed or left to the program.
    pub(super) fn unregister_socket(&mut self) {
        if let Some(number) = self.use_number() {
            uses::take_socket(number);
        }
    }

    /// Makes each call come here while it is needed. The descriptor was looked at before.
    pub(super) fn look_closer(&mut self) {
        let Some(extras) = &mut self.extras else { return };
        if extras.fd.is_none() && (extras.use_number.is_some() || extras.reply.is_some()) {
            extras.fd = Some(std::mem::replace(&mut self.fd, LOOK_CLOSER));
        }
    }

    /// Puts the descriptor back, for a look at the fields.
    pub(super) fn pause_look(&mut self) {
        if let Some(fd) = self.extras.as_mut().and_then(|extras| extras.fd.take()) {
            self.fd = fd;
        }
    }

    /// Ends what belongs to one use only: the reply, and that it may be cancelled. A connection that was cancelled is closed
    /// afterwards.
    pub(super) fn end_use_of_extras(&mut self) {
        self.pause_look();
        let Some(extras) = &mut self.extras else { return };
        extras.reply = None;
        if extras.use_number.take().is_some_and(uses::end) {
            self.open.mark_broken();
        }
    }
}
