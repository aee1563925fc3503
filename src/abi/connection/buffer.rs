//! Reading, through the buffer that C sees.

use std::io;
use std::slice;
use std::time::Duration;

use libc::c_int;

use super::{Connection, ConnectionMemory};
use droplet_client::net::stream::TransferError;
use droplet_client::status::{Error, SUCCESS};

impl Connection {
    /// Reads into `into`, first what is left in the buffer; 0 tells of the end. What Droplet's reader would
    /// note of a reply, this one notes as well.
    pub fn read(&mut self, into: &mut [u8], timeout: Option<Duration>) -> Result<usize, TransferError> {
        self.begin_exchange();
        let left = self.buffered();
        let count = left.len().min(into.len());
        if count > 0 {
            into[..count].copy_from_slice(&left[..count]);
            self.consume(count);
            return Ok(count);
        }
        let outcome = self.0.stream.read(into, timeout);
        self.0.note_read(&outcome);
        self.0.was_read |= matches!(outcome, Ok(1..));
        outcome
    }

    /// What was read into the buffer and not used yet.
    pub fn buffered(&mut self) -> &mut [u8] {
        let head = &self.0.head;
        let (Ok(start), Ok(end)) = (usize::try_from(head.read_buf_pos), usize::try_from(head.cc)) else {
            return &mut [];
        };
        let count = end.min(head.read_buf_size).saturating_sub(start);
        if count == 0 || head.read_buf.is_null() {
            return &mut [];
        }
        // SAFETY: this lies within the buffer, and its reader has filled it up to `cc`.
        unsafe { slice::from_raw_parts_mut(head.read_buf.add(start).cast::<u8>(), count) }
    }

    /// The first bytes that are buffered were used.
    pub fn consume(&mut self, count: usize) {
        self.0.head.read_buf_pos += count as c_int;
    }

    /// Reads into the buffer, all of which was used. False tells of the end.
    pub fn fill(&mut self, timeout: Option<Duration>) -> Result<bool, TransferError> {
        let body = &mut *self.0;
        if body.head.read_buf.is_null() {
            return Err(TransferError::Io(io::ErrorKind::OutOfMemory.into()));
        }
        let size = body.head.read_buf_size.max(1);
        // SAFETY: the buffer has that many bytes, at least one; nobody looks at what they hold before.
        let buffer = unsafe { slice::from_raw_parts_mut(body.head.read_buf.cast::<u8>(), size) };
        let outcome = body.stream.read(buffer, timeout);
        body.note_read(&outcome);
        let count = outcome?;
        body.head.cc = count as isize;
        body.was_read |= count > 0;
        Ok(count > 0)
    }

    /// A reply was read to its end, and no request was written since.
    pub fn set_reply_is_over(&mut self) {
        self.0.reply_is_over = true;
    }

    /// Before another reply is read: what was read behind the last one is no part of it, and is dropped. From a
    /// file, which nobody asks, replies are read in a row. False if there is nothing to drop.
    pub fn drop_surplus(&mut self) -> bool {
        let may_have_some = std::mem::take(&mut self.0.reply_is_over) && self.0.stream.socket().is_some();
        if may_have_some {
            let count = self.buffered().len();
            self.consume(count);
        }
        may_have_some
    }

    /// Before a request is written: what came since the last reply is no reply to it, and is dropped, from the
    /// wire as well. A connection that was just checked out has been looked at.
    pub fn drop_surplus_on_the_wire(&mut self) {
        /// Reads of a whole buffer. Who sends more than that is not to be stopped by reading.
        const MOST_READS: usize = 16;
        if !self.drop_surplus() {
            return;
        }
        let mut reads = 0;
        while reads < MOST_READS && !self.0.stream.is_good() {
            if !matches!(self.fill(Some(Duration::ZERO)), Ok(true)) {
                break;
            }
            let count = self.buffered().len();
            self.consume(count);
            reads += 1;
        }
    }

    /// Whether the request that is being written waits for a `100 Continue` before it goes on.
    pub fn set_awaits_continue(&mut self, awaits_continue: bool) {
        self.0.awaits_continue = awaits_continue;
    }

    /// Whether that is the next reply.
    pub fn awaits_continue(&self) -> bool {
        self.0.awaits_continue
    }
}

/// `DPL_EIO`, as Droplet's reader notes it.
const IO_ERROR: c_int = -7;

impl ConnectionMemory {
    /// Notes how a read ended. Nothing is in the buffer then.
    fn note_read(&mut self, outcome: &Result<usize, TransferError>) {
        let head = &mut self.head;
        (head.read_buf_pos, head.cc) = (0, 0);
        head.eof = c_int::from(matches!(outcome, Ok(0)));
        head.status = match outcome {
            Ok(_) => SUCCESS,
            Err(TransferError::TimedOut) => Error::TimedOut.status(),
            Err(TransferError::Io(_)) => IO_ERROR,
        };
    }
}
