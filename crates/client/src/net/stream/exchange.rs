//! Whether the reply to what was written may still be on its way.
//!
//! Somebody who gives up on a reply and releases the connection leaves that reply to the next user: it may come
//! when no look at the socket would show it yet. So a connection on which something was written, and to which
//! no byte came back since, must not be used again.
#![forbid(unsafe_code)]

/// What was written on a connection, and what came back.
#[derive(Debug)]
pub struct Exchange {
    /// Something was written, and nothing is known to have come since.
    awaits_reply: bool,
    /// How many bytes had come by the last time that anybody counted; [`UNKNOWN`] after somebody else has read.
    received: u64,
}

/// More than will ever come.
const UNKNOWN: u64 = u64::MAX;

impl Exchange {
    /// The state of a new connection.
    pub const NEW: Exchange = Exchange { awaits_reply: false, received: 0 };

    /// Something is written.
    #[inline]
    pub fn write(&mut self) {
        self.awaits_reply = true;
    }

    /// So many bytes were read, at least one.
    #[inline]
    pub fn read(&mut self, count: usize) {
        self.awaits_reply = false;
        self.received = self.received.saturating_add(count as u64);
    }

    /// Somebody else has read; how much is not known.
    #[inline]
    pub fn read_elsewhere(&mut self) {
        *self = Exchange { awaits_reply: false, received: UNKNOWN };
    }

    /// Nothing that was written so far asks for a reply.
    pub fn settle(&mut self) {
        self.awaits_reply = false;
    }

    /// Whether a reply may still come, as far as is known without counting.
    #[inline]
    pub fn awaits_reply(&self) -> bool {
        self.awaits_reply
    }

    /// Whether a count of the bytes that have come would tell whether some came since the last one.
    pub fn can_count(&self) -> bool {
        self.awaits_reply && self.received != UNKNOWN
    }

    /// So many bytes have come in all; `None` if the system does not say.
    pub fn count(&mut self, received: Option<u64>) {
        // Nothing is more than what is not known.
        let received = received.unwrap_or(UNKNOWN);
        let has_answer = received != UNKNOWN && received > self.received;
        self.awaits_reply &= !has_answer;
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
    fn bytes_that_came_count_whoever_read_them() {
        let mut exchange = Exchange::NEW;
        exchange.write();
        exchange.count(Some(5));
        assert!(!exchange.awaits_reply());
        exchange.write();
        exchange.count(Some(5));
        assert!(exchange.awaits_reply(), "those came before");
    }

    #[test]
    fn own_reads_are_part_of_the_count() {
        let mut exchange = Exchange::NEW;
        exchange.write();
        exchange.read(5);
        exchange.write();
        exchange.count(Some(5));
        assert!(exchange.awaits_reply());
    }

    #[test]
    fn without_an_earlier_count_or_a_later_one_nothing_is_known() {
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
