//! What few connections have: their address as text, and a use that another thread may cancel.
//!
//! While the use is registered, `ConnectionMemory::fd` is [`WATCHED`], which no field of C equals. So each call that takes
//! the connection comes to the slow path here, and other connections pay nothing.

use std::ffi::CString;

use libc::{c_char, c_int};

use super::{Connection, ConnectionMemory};
use crate::abi::uses;
use droplet_client::checkout::ClientConnection as _;
use std::ptr;

/// Stands in the place of the descriptor while the use may be cancelled.
const WATCHED: c_int = -2;

/// Rare facts of a connection.
#[derive(Default)]
pub struct Extras {
    /// The address of the peer. An address of a connection does not change.
    address: Option<CString>,
    /// The use that may be cancelled, and the `fd` field of the head when it was last looked at.
    watched: Option<(u64, c_int)>,
}

impl Connection {
    /// Returns the address of the peer as text, which lives as long as the connection; NULL without one.
    pub fn address(&mut self) -> *mut c_char {
        let Some(peer) = self.peer() else { return ptr::null_mut() };
        let address = &mut self.0.extras().address;
        let text = address.get_or_insert_with(|| CString::new(peer.to_string()).unwrap_or_default());
        text.as_ptr().cast_mut()
    }

    /// Registers the use of the connection as this one, or as a new one, unless it is registered already. Returns its
    /// number.
    pub fn watch(&mut self, use_number: Option<u64>) -> u64 {
        if let Some((number, _)) = self.0.watched() {
            return number;
        }
        let number = use_number.unwrap_or_else(uses::begin);
        self.0.watch(number);
        number
    }

    /// Returns whether another thread has cancelled this use.
    pub fn was_cancelled(&self) -> bool {
        self.0.watched().is_some_and(|(number, _)| uses::is_cancelled(number))
    }
}

impl ConnectionMemory {
    fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    fn watched(&self) -> Option<(u64, c_int)> {
        self.extras.as_ref().and_then(|extras| extras.watched)
    }

    /// Begins or goes on to watch, after the descriptor was looked at.
    pub(super) fn watch(&mut self, number: u64) {
        let fd = self.fd;
        let descriptor = self.open.stream.descriptor();
        uses::set_socket(number, std::os::fd::AsRawFd::as_raw_fd(descriptor), descriptor.file());
        self.extras().watched = Some((number, fd));
        self.fd = WATCHED;
    }

    /// Puts the descriptor back, for a look at the fields. Returns the number of the use that is watched.
    pub(super) fn pause_watch(&mut self) -> Option<u64> {
        let (number, fd) = self.watched()?;
        self.fd = fd;
        Some(number)
    }

    /// Ends the use. A connection that was cancelled is closed afterwards.
    pub(super) fn end_watch(&mut self) {
        let Some(number) = self.pause_watch() else { return };
        self.extras().watched = None;
        if uses::end(number) {
            self.open.mark_broken();
        }
    }
}
