//! Fields that C may change while it has the connection: the descriptor, the names and the read buffer.

use std::ptr;

use libc::c_int;

use super::{Connection, ConnectionMemory};
use crate::abi::layout::ConnectionHead;
use crate::abi::memory::Block;
use crate::abi::request::{Request, replace};
use droplet_client::net::stream::{File, Stream};
use droplet_client::os::sys::{Descriptor, OpenFile};
use droplet_client::status::Error;

impl Connection {
    /// Does as the `fd` field says, as the original does, which has no other descriptor: what is there is read
    /// from, written to and closed, and what was there before is the program's.
    #[inline]
    pub(super) fn follow_descriptor(&mut self) {
        let number = self.0.head.fd;
        if number != self.0.fd {
            self.0.change_descriptor(number);
        }
    }

    /// Tells a request where the connection leads.
    #[inline]
    pub fn introduce_to(&mut self, request: &mut Request<'_>) -> Result<(), Error> {
        let ConnectionHead { host, port, .. } = self.0.head;
        // SAFETY: each is NULL, or a string of the connection's.
        if unsafe { request.is_to(host, port) } {
            return Ok(());
        }
        self.set_names()?;
        let Some(endpoint) = &self.0.endpoint else { return Ok(()) };
        request.set_host(endpoint.name_for_peer(), endpoint.port())
    }

    /// Sets the names that C may have changed to those of the host. The pointers do not tell whether it has:
    /// another name may lie in the very block that C has freed.
    pub fn set_names(&mut self) -> Result<(), Error> {
        let ConnectionMemory { head, endpoint, .. } = &mut *self.0;
        let Some(endpoint) = endpoint else { return Ok(()) };
        replace(&mut head.host, endpoint.name())?;
        replace(&mut head.port, endpoint.port())
    }
}

impl ConnectionMemory {
    /// C has put another number in the place of the descriptor's, or -1, which leaves the connection none.
    #[cold]
    fn change_descriptor(&mut self, number: c_int) {
        self.fd = number;
        let file = OpenFile::behind(number);
        let own = self.stream.descriptor();
        let is_same = file.as_ref().is_ok_and(|file| *file == own.file());
        own.forget();
        let Ok(file) = file else {
            // Nothing is open there.
            self.mark_replaced();
            return;
        };
        // SAFETY: C hands it over by the field, and leaves the closing of it to the connection.
        let descriptor = unsafe { Descriptor::adopt(number, file) };
        if is_same || matches!(self.stream, Stream::Tls(_)) {
            *self.stream.descriptor() = descriptor;
        } else {
            self.stream = Stream::File(File::new(descriptor));
        }
        if !is_same {
            self.mark_replaced();
        }
    }

    fn mark_replaced(&mut self) {
        (self.is_replaced, self.in_exchange) = (true, true);
    }

    /// Frees what is in the fields by now, as the original does.
    pub(super) fn free_fields(&mut self) {
        let head = &mut self.head;
        for field in [&mut head.host, &mut head.port, &mut head.read_buf] {
            // SAFETY: each is NULL or a block of its own, which belongs to the connection.
            drop(unsafe { Block::from_raw(std::mem::replace(field, ptr::null_mut())) });
        }
    }
}
