//! The reply that a program reads step by step (`dplx_reply_read`). Few connections have one.

use std::ffi::{CStr, CString};
use std::ptr;

use libc::c_char;

use super::Connection;
use crate::abi::memory;
use droplet_client::http::reader::ReplyReader;
use droplet_client::status::Error;

/// A reply, and those of its values that C has asked for.
pub struct SteppedReply {
    /// The reader of the reply.
    pub reader: ReplyReader,
    /// Values by the places of their fields, as C got them.
    values: Vec<(usize, CString)>,
}

impl SteppedReply {
    /// A reply of which nothing was read.
    pub fn new(reader: ReplyReader) -> SteppedReply {
        SteppedReply { reader, values: Vec::new() }
    }

    /// Returns the value of the `index`-th field of this name, counted from 0, in whatever case; NULL if there is none.
    pub fn field(&mut self, name: &CStr, index: usize) -> Result<*const c_char, Error> {
        let fields = self.reader.fields().iter().enumerate();
        let mut named = fields.filter(|(_, (it, _))| it.eq_ignore_ascii_case(name.to_bytes()));
        let Some((place, (_, value))) = named.nth(index) else { return Ok(ptr::null()) };
        if let Some((_, value)) = self.values.iter().find(|(it, _)| *it == place) {
            return Ok(value.as_ptr());
        }
        let value = memory::c_string(value)?;
        self.values.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
        let pointer = value.as_ptr();
        self.values.push((place, value));
        Ok(pointer)
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

    /// Says that the reply is read to its end. Returns false if it is under way. If it was read step by step, its fields
    /// stay until the next request.
    pub fn end_reply(&mut self) -> bool {
        let Some(extras) = &mut self.0.extras else { return true };
        extras.reply.take_if(|reply| !reply.reader.is_begun());
        extras.reply.as_ref().is_none_or(|reply| reply.reader.is_over())
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
