//! The reply that a program reads step by step (`dplx_reply_read`).
//!
//! It hangs in the field `next` of the head. In Droplet that field links the idle connections of the original's pool, so
//! nobody else uses it. Connections on which no reply is read this way have none.

use std::ffi::{CStr, CString};
use std::ptr;

use libc::c_char;

use super::{Connection, ConnectionMemory};
use droplet_client::http::reader::ReplyReader;
use droplet_client::pool::Poolable as _;

/// A reply, and its fields as C gets them.
pub struct SteppedReply {
    /// The reader of the reply.
    pub reader: ReplyReader,
    /// Names and values, once the head was read and C has asked for one.
    fields: Vec<(CString, CString)>,
    /// The use of the connection that it belongs to.
    reuses: u32,
}

impl SteppedReply {
    /// Returns the value of the `index`-th field of this name, counted from 0, in whatever case; NULL if there is none.
    pub fn field(&mut self, name: &CStr, index: usize) -> *const c_char {
        if self.fields.is_empty() {
            // The parser lets no NUL through.
            let text = |text: &[u8]| CString::new(text).unwrap_or_default();
            let fields = self.reader.fields().iter();
            self.fields = fields.map(|(name, value)| (text(name), text(value))).collect();
        }
        let is_named = |it: &CStr| it.to_bytes().eq_ignore_ascii_case(name.to_bytes());
        let mut named = self.fields.iter().filter(|(it, _)| is_named(it));
        named.nth(index).map_or(ptr::null(), |(_, value)| value.as_ptr())
    }
}

impl Connection {
    /// Takes the reply to the last request, if reading has begun.
    pub fn take_reply(&mut self) -> Option<Box<SteppedReply>> {
        let reuses = self.reuses();
        self.0.take_reply().filter(|reply| reply.reuses == reuses)
    }

    /// Returns a reply of which nothing was read.
    pub fn new_reply(&self, reader: ReplyReader) -> Box<SteppedReply> {
        Box::new(SteppedReply { reader, fields: Vec::new(), reuses: self.reuses() })
    }

    /// Keeps the reply, for the next step and for its fields, until the next request.
    pub fn keep_reply(&mut self, reply: Box<SteppedReply>) {
        drop(self.0.take_reply());
        self.0.head.next = Box::into_raw(reply).cast();
    }

    /// Forgets the reply if it is over, before something is written. Returns false if it is not.
    pub fn forget_reply(&mut self) -> bool {
        if self.0.head.next.is_null() {
            return true;
        }
        match self.take_reply() {
            Some(reply) if !reply.reader.is_over() => {
                self.keep_reply(reply);
                false
            }
            _ => true,
        }
    }
}

impl ConnectionMemory {
    pub(super) fn take_reply(&mut self) -> Option<Box<SteppedReply>> {
        let reply = std::mem::replace(&mut self.head.next, ptr::null_mut()).cast::<SteppedReply>();
        // SAFETY: the field is NULL or what `keep_reply` stored: C has no use for it (contract of dpl_conn_release).
        (!reply.is_null()).then(|| unsafe { Box::from_raw(reply) })
    }
}
