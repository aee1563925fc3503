//! The bound of an operation of OpenSSL on a socket that never runs dry.
//!
//! OpenSSL goes on as long as messages of TLS itself come: key updates, session tickets, requests for a handshake. A
//! peer that sends them without end would hold an operation for ever. So each operation is bounded by the number
//! and size of its reads of the socket, or by the time that they take.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::net::socket::TransferError;
use crate::os::libssl::Operation;

/// The number of reads of an operation that does not wait. A record takes two: its header and its body.
const MOST_READS: u32 = 1024;

/// The number of bytes that such an operation reads: a record can hold thousands of messages.
const MOST_BYTES: usize = 256 * 1024;

/// The number of reads before the clock is read: more than the usual operation has.
const READS_WITHOUT_CLOCK: u32 = 32;

/// The number of records that may hold the head of one message of a handshake, which has four bytes.
const RECORDS_OF_HEAD: u8 = 4;

/// The bound of the operation that is under way.
#[derive(Default)]
pub struct Bound {
    /// The number of reads of the socket. Those of C's operations are counted until one of them times out.
    reads: u32,
    /// The number of bytes of an operation that does not wait.
    bytes: usize,
    /// The end of the time of the operation.
    deadline: Option<Instant>,
    /// The end of the time of the record or message that is being read.
    message_deadline: Option<Instant>,
    /// The time of the last read.
    last_read: Option<Instant>,
    /// The number of records since the operation was made to end after a message. `None` if it was not.
    records_to_end: Option<u8>,
}

impl Bound {
    /// Notes that an operation begins, or that the current one ends.
    #[inline]
    pub fn restart(&mut self, operation: Operation) {
        if self.records_to_end.is_some() {
            operation.go_on_after_message();
        }
        *self = Bound::default();
    }

    /// True if an operation that does not wait may read again.
    pub fn allows_another_read(&self) -> bool {
        self.reads < MOST_READS && self.bytes < MOST_BYTES
    }

    /// Counts a read of such an operation.
    pub fn count_read(&mut self, bytes: usize) {
        self.reads += 1;
        self.bytes += bytes;
    }

    /// Counts a read of an operation whose begin was noted. Returns false if its time is over.
    pub fn is_in_time(&mut self, timeout: Option<Duration>) -> bool {
        self.reads += 1;
        let Some(timeout) = timeout.filter(|_| self.reads > READS_WITHOUT_CLOCK) else { return true };
        let now = Instant::now();
        let deadline = self.deadline.or_else(|| now.checked_add(timeout));
        self.deadline = deadline;
        deadline.is_none_or(|deadline| now < deadline)
    }

    /// Counts a read of an operation of C.
    pub fn count_read_by_program(
        &mut self,
        operation: Operation,
        timeout: Option<Duration>,
    ) -> Result<(), TransferError> {
        self.reads = self.reads.saturating_add(1);
        // A later read may belong to another message or operation.
        let may_change = self.message_deadline.is_some() || self.records_to_end.is_some();
        match timeout {
            Some(timeout) if may_change || self.reads > READS_WITHOUT_CLOCK => {
                self.end_of_wait(operation, timeout).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Returns the time until which a read of C's operation may wait. Fails if the time of the operation is over.
    ///
    /// Nothing tells when an operation of C begins: those that read data one after the other look like one that reads
    /// messages. So if their time is over, the one under way is made to end after the next message of either kind.
    /// Only within a message it is certain that it is one operation.
    pub fn end_of_wait(
        &mut self,
        operation: Operation,
        timeout: Duration,
    ) -> Result<Option<Instant>, TransferError> {
        let now = Instant::now();
        let Some(end) = now.checked_add(timeout) else { return Ok(None) };
        // The program was busy meanwhile, not OpenSSL.
        if self.last_read.replace(now).is_some_and(|last| now - last > timeout) {
            self.deadline = None;
        }
        if operation.is_in_handshake() || !operation.is_at_record() {
            let deadline = *self.message_deadline.get_or_insert(end);
            return if now < deadline { Ok(Some(deadline)) } else { Err(TransferError::TimedOut) };
        }
        self.message_deadline = None;
        match &mut self.records_to_end {
            Some(RECORDS_OF_HEAD) => self.restart(operation),
            Some(records) => *records += 1,
            None if *self.deadline.get_or_insert(end) <= now && operation.end_after_message() => {
                self.records_to_end = Some(0);
            }
            None => {}
        }
        Ok(Some(end))
    }

    /// Notes the end of a wait.
    pub fn waited(&mut self) {
        self.last_read = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_that_does_not_wait_reads_so_much_and_no_more() {
        // Thousands of records of a few bytes, or records of the largest size that stay within the bound of bytes.
        for (bytes, most) in [(3, u64::from(MOST_READS)), (16 * 1024, 16)] {
            let mut bound = Bound::default();
            let reads = (1..).take_while(|_| {
                let is_allowed = bound.allows_another_read();
                bound.count_read(bytes);
                is_allowed
            });
            assert_eq!(reads.count() as u64, most, "of {bytes} bytes");
        }
    }

    #[test]
    fn many_reads_end_with_their_time() {
        let mut bound = Bound::default();
        let in_time = (0..10 * READS_WITHOUT_CLOCK).filter(|_| bound.is_in_time(Some(Duration::ZERO)));
        assert_eq!(in_time.count(), READS_WITHOUT_CLOCK as usize, "the usual operation needs no clock");
        for timeout in [None, Some(Duration::from_secs(600)), Some(Duration::MAX)] {
            let mut bound = Bound::default();
            assert!((0..10 * READS_WITHOUT_CLOCK).all(|_| bound.is_in_time(timeout)), "{timeout:?}");
        }
    }
}
