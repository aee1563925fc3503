//! Traces that Droplet's reply reader leaves in the head of a connection.
//!
//! Droplet reads replies by itself, into the buffer that `read_buf` points to: `cc` is the result of its last read,
//! `read_buf_pos` the part of it that was used, `status` and `eof` how the read ended. A program that reads from the
//! descriptor by itself leaves no trace.

use std::slice;

use libc::c_char;

use super::Reply;
use crate::abi::layout::ConnectionHead;
use droplet_client::net::stream::Stream;
use droplet_client::status::SUCCESS;

/// First byte of a read buffer that nothing was read into: no reply begins with it. It is needed beside `cc`, whose
/// value after a failed read differs among Droplet's revisions.
pub const UNTOUCHED: c_char = 1;

impl ConnectionHead {
    /// Returns whether the reply was read to its end. This library's own reader knows; of another the traces tell.
    /// [`super::Connection::begin_write`] has removed those of earlier replies.
    #[inline]
    pub fn is_reply_read(&self, stream: &mut Stream, reply: Reply) -> bool {
        if !self.was_read_by_c() {
            return [self.status, self.eof] == [SUCCESS, 0];
        }
        if self.status != SUCCESS {
            return false;
        }
        stream.was_read_elsewhere();
        let lacks_line = match reply {
            Reply::Unread => self.is_before_last_line(),
            Reply::BeforeLastLine => true,
            Reply::Over => false,
        };
        self.is_used_up() && (!lacks_line || stream.take_empty_line())
    }

    /// Returns whether Droplet's reader has read since the connection was checked out or written to.
    #[inline]
    pub fn was_read_by_c(&self) -> bool {
        self.cc | self.read_buf_pos as isize != 0
    }

    /// Returns whether the reader has used all that it has read. A read without a byte met the end of the stream.
    #[inline]
    pub fn is_used_up(&self) -> bool {
        self.cc > 0 && (self.cc <= self.read_buf_pos as isize || self.is_crlf_left())
    }

    /// Returns whether only the empty line is unread that ends a chunked reply (RFC 9112, section 7.1). Droplet's
    /// reader does not read it.
    #[cold]
    fn is_crlf_left(&self) -> bool {
        let (Ok(start), Ok(end)) = (usize::try_from(self.read_buf_pos), usize::try_from(self.cc)) else {
            return false;
        };
        if self.read_buf.is_null() || end > self.read_buf_size || end.checked_sub(start) != Some(2) {
            return false;
        }
        // SAFETY: `start` and `end` lie in the buffer, which its reader has filled up to `cc`.
        unsafe { self.read_buf.add(start).cast::<[u8; 2]>().read() == *b"\r\n" }
    }

    /// Returns whether the reader may have stopped behind the last chunk of a reply, before the empty line had come.
    #[inline]
    fn is_before_last_line(&self) -> bool {
        let used = usize::try_from(self.read_buf_pos).unwrap_or(0);
        if self.cc > self.read_buf_pos as isize || used > self.read_buf_size || self.read_buf.is_null() {
            return false;
        }
        // SAFETY: `used` lies in the buffer, which its reader has filled that far.
        let used = unsafe { slice::from_raw_parts(self.read_buf.cast::<u8>(), used) };
        used.ends_with(b"0\r\n") || (used.len() < 3 && used.ends_with(b"\n"))
    }

    /// Returns whether nothing was read into the buffer since the connection was checked out.
    #[inline]
    pub fn is_untouched(&self) -> bool {
        // SAFETY: a buffer that is not NULL has at least one byte: this library allocates one at least, and so does a
        // program that replaces it (contract of dpl_conn_release).
        !self.read_buf.is_null() && unsafe { *self.read_buf } == UNTOUCHED
    }

    /// Removes all traces before the connection is used again.
    #[inline]
    pub fn wipe_traces(&mut self) {
        self.read_buf_pos = 0;
        self.cc = 0;
        self.eof = 0;
        self.status = SUCCESS;
        // SAFETY: `end_use` pools no connection without a buffer, and a buffer has at least one byte.
        unsafe { *self.read_buf = UNTOUCHED };
    }
}
