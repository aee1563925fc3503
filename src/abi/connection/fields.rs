//! Fields that C may change while it has the connection: the descriptor, the names and the read buffer.

use std::ptr;

use libc::c_int;

use super::{Connection, ConnectionMemory};
use crate::abi::layout::ConnectionHead;
use crate::abi::memory::{Block, replace};
use crate::abi::request::Request;
use droplet_client::checkout::ClientConnection as _;
use droplet_client::net::stream::{File, Stream};
use droplet_client::os::sys::{Descriptor, OpenFile};
use droplet_client::status::Error;

impl Connection {
    /// Follows the `ssl` field: a program that sets it to NULL has taken the SSL, or has freed it.
    ///
    /// Follows the `fd` field, as Droplet does, which has no other descriptor: the file there is read from, written to
    /// and closed, and the file that was there before belongs to the program.
    #[inline]
    pub(super) fn follow_fields(&mut self) {
        if self.0.have_fields_changed() {
            self.0.follow_fields();
        }
    }

    /// Follows the fields as [`Connection::follow_fields`] does, when the use of the connection ends.
    #[inline]
    pub(super) fn follow_fields_at_end(&mut self) {
        if self.0.have_fields_changed() {
            self.0.follow_fields_at_end();
        }
    }

    /// Sets the host and port of a request to those that it is connected to.
    #[inline(always)]
    pub fn introduce_to(&mut self, request: &mut Request<'_>) -> Result<(), Error> {
        let ConnectionHead { host, port, .. } = self.0.head;
        // SAFETY: each field is NULL or a string that the connection owns (contract of dpl_conn_release).
        if unsafe { request.is_to(host, port) } {
            return Ok(());
        }
        self.set_names()?;
        let Some(endpoint) = self.0.open.endpoint() else { return Ok(()) };
        request.set_host(endpoint.name_for_peer(), endpoint.port())
    }

    /// Sets the host and port fields, which C may have changed, to those of the endpoint. The pointers do not tell
    /// whether C has changed them: another name may lie in the very block that C has freed.
    pub fn set_names(&mut self) -> Result<(), Error> {
        let ConnectionMemory { head, open, .. } = &mut *self.0;
        let Some(endpoint) = open.endpoint() else { return Ok(()) };
        replace(&mut head.host, endpoint.name())?;
        replace(&mut head.port, endpoint.port())
    }
}

impl ConnectionMemory {
    #[inline(always)]
    fn have_fields_changed(&self) -> bool {
        let ConnectionMemory { head, fd, has_ssl, .. } = self;
        head.fd != *fd || (*has_ssl && head.ssl.is_null())
    }

    #[cold]
    #[inline(never)]
    fn follow_fields_at_end(&mut self) {
        self.end_use_of_extras();
        self.follow_changed_fields();
    }

    #[cold]
    #[inline(never)]
    fn follow_fields(&mut self) {
        self.pause_look();
        if self.have_fields_changed() {
            self.unregister_socket();
            self.follow_changed_fields();
            self.register_socket();
        }
        self.look_closer();
    }

    fn follow_changed_fields(&mut self) {
        if self.has_ssl && self.head.ssl.is_null() {
            self.leave_ssl();
        }
        if self.head.fd != self.fd {
            self.change_descriptor(self.head.fd);
        }
    }

    /// Leaves the SSL to the program, which has set the `ssl` field to NULL. If it has taken the descriptor too, its TLS
    /// connection goes on as it is; otherwise the descriptor is closed with the SSL.
    fn leave_ssl(&mut self) {
        self.has_ssl = false;
        let closes = self.head.fd == self.fd;
        let nothing = Stream::File(File::new(Descriptor::none()));
        match std::mem::replace(&mut self.open.stream, nothing) {
            Stream::Tls(tls) => {
                tls.leave_to_program(closes);
                self.mark_replaced();
            }
            other => self.open.stream = other,
        }
    }

    /// Takes over the descriptor that C has put into the `fd` field; -1 leaves the connection without one.
    fn change_descriptor(&mut self, number: c_int) {
        self.fd = number;
        let file = OpenFile::behind(number);
        let own = self.open.stream.descriptor();
        let is_same = file.as_ref().is_ok_and(|file| *file == own.file());
        own.forget();
        let Ok(file) = file else {
            self.mark_replaced();
            return;
        };
        // SAFETY: a program that sets the `fd` field hands the descriptor over (contract of dpl_conn_release).
        let descriptor = unsafe { Descriptor::adopt(number, file) };
        if is_same || matches!(self.open.stream, Stream::Tls(_)) {
            *self.open.stream.descriptor() = descriptor;
        } else {
            self.open.stream = Stream::File(File::new(descriptor));
        }
        if !is_same {
            self.mark_replaced();
        }
    }

    fn mark_replaced(&mut self) {
        self.is_replaced = true;
        self.open.begin_exchange();
    }

    /// Frees the blocks that the fields hold by now, which C may have replaced.
    pub(super) fn free_fields(&mut self) {
        let head = &mut self.head;
        for field in [&mut head.host, &mut head.port, &mut head.read_buf] {
            // SAFETY: each field is NULL or a block from malloc that the connection owns (contract of
            // dpl_conn_release).
            drop(unsafe { Block::from_raw(std::mem::replace(field, ptr::null_mut())) });
        }
    }
}
