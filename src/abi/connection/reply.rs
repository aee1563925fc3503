//! The reply that a program reads step by step (`dplx_reply_read`). Few connections have one.

use std::ffi::{CStr, CString};
use std::ptr;

use libc::c_char;

use super::Connection;
use droplet_client::http::reader::ReplyReader;

/// A reply, and its fields as C gets them.
pub struct SteppedReply {
    /// The reader of the reply.
    pub reader: ReplyReader,
    /// Names and values, once the head was read and C has asked for one.
    fields: Vec<(CString, CString)>,
}

impl SteppedReply {
    /// A reply of which nothing was read.
    pub fn new(reader: ReplyReader) -> SteppedReply {
        SteppedReply { reader, fields: Vec::new() }
    }

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
        self.0.extras.as_mut()?.reply.take()
    }

    /// Keeps the reply, for the next step and for its fields, until the next request.
    pub fn keep_reply(&mut self, reply: Box<SteppedReply>) {
        self.0.extras().reply = Some(reply);
        self.0.look_closer();
    }

    /// Forgets the reply unless it is under way, since the program reads this reply, or the next one, in another way.
    /// Returns false if it is under way: a part of it was read, and not its end.
    pub fn forget_unless_under_way(&mut self) -> bool {
        let Some(extras) = &mut self.0.extras else { return true };
        extras.reply.take_if(|reply| reply.reader.is_over() || !reply.reader.is_begun());
        extras.reply.is_none()
    }

    /// Forgets the reply if it is over, before something is written. Returns false if it is not.
    pub fn forget_reply(&mut self) -> bool {
        let Some(extras) = &mut self.0.extras else { return true };
        extras.reply.take_if(|reply| reply.reader.is_over());
        extras.reply.is_none()
    }
}
