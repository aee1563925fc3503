//! The exchange of a request and its reply on a connection.
//!
//! A program may release a connection before the reply has come. The next user of the connection would then read that
//! reply, and nothing can be seen of it on the socket yet. So a connection must not be used again if something was
//! written and no byte has come since.
#![forbid(unsafe_code)]

/// The state of the exchange.
#[derive(Debug)]
pub struct Exchange {
    /// True if something was written, and no byte is known to have come since.
    awaits_reply: bool,
    /// The number of bytes that had come at the last count; [`UNKNOWN`] after the program itself has read.
    received: u64,
}

/// More bytes than will ever come.
const UNKNOWN: u64 = u64::MAX;

impl Exchange {
    /// The state of a new connection.
    pub const NEW: Exchange = Exchange { awaits_reply: false, received: 0 };

    /// Notes a write.
    #[inline]
    pub fn write(&mut self) {
        self.awaits_reply = true;
    }

    /// Notes a read of `count` bytes. After the end of the stream, which has none, no reply comes either.
    #[inline]
    pub fn read(&mut self, count: usize) {
        self.awaits_reply = false;
        self.received = self.received.saturating_add(count as u64);
    }

    /// Notes that the program has read from the descriptor itself. The number of bytes is not known.
    #[inline]
    pub fn read_elsewhere(&mut self) {
        *self = Exchange { awaits_reply: false, received: UNKNOWN };
    }

    /// Notes that what was written so far has no reply.
    pub fn settle(&mut self) {
        self.awaits_reply = false;
    }

    /// True if a reply may still come, as far as is known without a count.
    #[inline]
    pub fn awaits_reply(&self) -> bool {
        self.awaits_reply
    }

    /// True if a count would show whether bytes have come since the last count.
    pub fn can_count(&self) -> bool {
        self.awaits_reply && self.received != UNKNOWN
    }

    /// Notes the number of bytes that have come on the connection so far. `None` if the kernel does not report it.
    pub fn count(&mut self, received: Option<u64>) {
        let received = received.unwrap_or(UNKNOWN);
        // False if the earlier number is not known, since UNKNOWN is the largest number.
        let has_reply = received != UNKNOWN && received > self.received;
        self.awaits_reply &= !has_reply;
        self.received = received;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_awaited_from_a_write_to_a_read() {
        let mut exchange = Exchange::NEW;
        assert!(!exchange.awaits_reply());
        exchange.write();
        exchange.write();
        assert!(exchange.awaits_reply());
        exchange.read(7);
        assert!(!exchange.awaits_reply());
        exchange.write();
        assert!(exchange.awaits_reply());
    }

    #[test]
    fn counted_bytes_end_the_wait_for_a_reply() {
        let mut exchange = Exchange::NEW;
        exchange.write();
        exchange.count(Some(5));
        assert!(!exchange.awaits_reply());
        exchange.write();
        assert!(exchange.can_count());
        exchange.count(Some(5));
        assert!(exchange.awaits_reply(), "the bytes came before the write");
        exchange.settle();
        assert!(!exchange.awaits_reply() && !exchange.can_count());
    }

    #[test]
    fn a_count_includes_bytes_that_were_read() {
        let mut exchange = Exchange::NEW;
        exchange.write();
        exchange.read(5);
        exchange.write();
        exchange.count(Some(5));
        assert!(exchange.awaits_reply());
    }

    #[test]
    fn without_two_counts_a_reply_may_still_come() {
        let mut exchange = Exchange::NEW;
        exchange.write();
        exchange.read_elsewhere();
        assert!(!exchange.awaits_reply());
        exchange.write();
        assert!(!exchange.can_count());
        exchange.count(Some(100));
        assert!(exchange.awaits_reply());
        exchange.count(None);
        assert!(exchange.awaits_reply());
    }
}
