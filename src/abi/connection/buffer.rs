//! Reading, through the buffer that C sees.

use std::io::{self, IoSlice};
use std::slice;
use std::time::Duration;

use libc::c_int;

use super::{Connection, ConnectionMemory, Reply};
use droplet_client::net::stream::TransferError;
use droplet_client::status::{Error, SUCCESS};

impl Connection {
    /// Reads into `into`, first what is left in the buffer; 0 is the end. It fails after another thread has cancelled the
    /// use. It leaves the traces in the head that Droplet's reader leaves.
    pub fn read(&mut self, into: &mut [u8], timeout: Option<Duration>) -> Result<usize, TransferError> {
        self.begin_exchange();
        if self.was_cancelled() {
            return Err(cancelled());
        }
        let left = self.buffered();
        let count = left.len().min(into.len());
        if count > 0 {
            into[..count].copy_from_slice(&left[..count]);
            self.consume(count);
            return Ok(count);
        }
        let outcome = self.0.open.read(into, timeout);
        let outcome = self.unless_cancelled(outcome);
        self.0.note_read(&outcome);
        outcome
    }

    /// Turns the outcome of a read into an error if another thread has cancelled the use: what looks like the end of what
    /// the peer sends is that of the use.
    fn unless_cancelled(&self, outcome: Result<usize, TransferError>) -> Result<usize, TransferError> {
        if self.was_cancelled() { Err(cancelled()) } else { outcome }
    }

    /// Returns the bytes in the buffer that are not used yet.
    pub fn buffered(&mut self) -> &mut [u8] {
        let head = &self.0.head;
        let (Ok(start), Ok(end)) = (usize::try_from(head.read_buf_pos), usize::try_from(head.cc)) else {
            return &mut [];
        };
        let count = end.min(head.read_buf_size).saturating_sub(start);
        if count == 0 || head.read_buf.is_null() {
            return &mut [];
        }
        // SAFETY: this range lies in the buffer, which its reader has filled up to `cc`.
        unsafe { slice::from_raw_parts_mut(head.read_buf.add(start).cast::<u8>(), count) }
    }

    /// Marks the first `count` bytes of the buffer as used.
    pub fn consume(&mut self, count: usize) {
        self.0.head.read_buf_pos += count as c_int;
    }

    /// Reads into the buffer, all bytes of which were used. Returns false at the end. After another thread has cancelled the
    /// use it fails, as [`Connection::read`] does.
    pub fn fill(&mut self, timeout: Option<Duration>) -> Result<bool, TransferError> {
        let body = &mut *self.0;
        if body.head.read_buf.is_null() {
            return Err(TransferError::Io(io::ErrorKind::OutOfMemory.into()));
        }
        let size = body.head.read_buf_size.max(1);
        // SAFETY: the buffer has `read_buf_size` bytes, at least one, and C does not use it during a call. They may be
        // uninitialised, but are written before anybody reads them.
        let buffer = unsafe { slice::from_raw_parts_mut(body.head.read_buf.cast::<u8>(), size) };
        let outcome = body.open.read(buffer, timeout);
        let outcome = self.unless_cancelled(outcome);
        self.0.note_read(&outcome);
        let count = outcome?;
        self.0.head.cc = count as isize;
        Ok(count > 0)
    }

    /// Notes what was read of the reply to the request that was written last.
    pub fn set_reply(&mut self, reply: Reply) {
        self.0.reply = reply;
        self.end_request();
    }

    /// Drops what was read behind the last reply, before another is read. Nothing is dropped from a file: replies are
    /// read from it in a row. Returns false if there is nothing to drop.
    pub fn drop_surplus(&mut self) -> bool {
        let is_over = std::mem::take(&mut self.0.reply) != Reply::Unread;
        // With several requests under way, it is the next reply.
        let may_have_some = is_over && self.0.open.stream.socket().is_some() && !self.0.open.is_torn();
        if may_have_some {
            let count = self.buffered().len();
            self.consume(count);
        }
        may_have_some
    }

    /// Drops what came since the last reply, before a request is written, from the wire as well: it is no reply to
    /// that request. After a checkout there is nothing to drop, since the checkout has looked at the wire.
    pub fn drop_surplus_on_the_wire(&mut self) {
        /// Most reads of a whole buffer: a peer that sends for ever does not keep the writer.
        const MOST_READS: usize = 16;
        if !self.drop_surplus() {
            return;
        }
        let mut reads = 0;
        while reads < MOST_READS && !self.0.open.stream.is_good() {
            if !matches!(self.fill(Some(Duration::ZERO)), Ok(true)) {
                break;
            }
            let count = self.buffered().len();
            self.consume(count);
            reads += 1;
        }
    }

    /// Notes what is about to be written: it may be a request that waits for `100 Continue`.
    /// Returns whether it looks like the beginning of one.
    #[inline]
    pub fn note_request(&mut self, pieces: &[IoSlice<'_>]) -> bool {
        let ConnectionMemory { open, request, .. } = &mut *self.0;
        let begins = request.note(pieces.iter().map(|piece| &**piece));
        open.set_request(request);
        begins
    }

    /// Returns whether a request was written to its end, and its reply was not read to its end by this library.
    pub fn has_complete_request(&self) -> bool {
        self.0.request.is_complete()
    }

    /// Notes that something is about to be written behind such a request.
    #[cold]
    pub fn note_pipelining(&mut self) {
        self.0.open.note_pipelining();
    }

    /// Returns whether something was written by this library's functions, to which no reply was read.
    pub fn has_written(&mut self) -> bool {
        self.0.request.was_seen() || self.0.open.stream.awaits_reply()
    }

    /// Returns whether the request that was written last is a HEAD.
    pub fn is_head_request(&self) -> bool {
        self.0.request.is_head()
    }

    /// Returns whether the request that was written last is waiting for a `100 Continue`. If it was written to its end, it
    /// is not.
    pub fn waits_to_continue(&self) -> bool {
        self.0.request.waits_to_continue()
    }

    /// Returns whether the reply to the request that was written last may be a `100 Continue`.
    pub fn may_be_continued(&self) -> bool {
        self.0.request.may_be_continued()
    }
}

/// The error of a read in a use that another thread has cancelled.
fn cancelled() -> TransferError {
    TransferError::Io(io::Error::new(io::ErrorKind::ConnectionAborted, "cancelled"))
}

/// `DPL_EIO`, as Droplet's reader notes it.
const IO_ERROR: c_int = -7;

impl ConnectionMemory {
    /// Notes in the head how a read ended. The buffer counts as empty.
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
