//! Where the records of TLS begin and end in the bytes that OpenSSL has taken.
//!
//! OpenSSL tells in a text only whether a record is incomplete (SSL_rstate_string(3)), and texts change with versions.

/// The size of a record's header: its type, a version, and the length of its body (RFC 8446, section 5.1).
const HEADER: usize = 5;

/// The record in which the bytes that were taken end.
#[derive(Default)]
pub struct Records {
    /// The number of bytes of its header that were taken, if not all were.
    header: usize,
    /// The number of bytes of its body that are still to come. While the header is incomplete, the part of the
    /// length that was taken.
    body: usize,
}

impl Records {
    /// Notes bytes that were taken.
    #[inline]
    pub fn take(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            if self.header == 0 && self.body > 0 {
                let count = self.body.min(bytes.len());
                self.body -= count;
                bytes = &bytes[count..];
                continue;
            }
            // The length is in the last two bytes.
            if self.header >= HEADER - 2 {
                self.body = self.body << 8 | usize::from(*first);
            }
            self.header = (self.header + 1) % HEADER;
            bytes = rest;
        }
    }

    /// True if a record comes next, and no part of it was taken.
    #[inline]
    pub fn is_at_begin(&self) -> bool {
        self.header == 0 && self.body == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(length: usize) -> Vec<u8> {
        let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
        // The body looks like headers.
        [vec![23, 3, 3, high, low], vec![3; length]].concat()
    }

    #[test]
    fn records_begin_after_the_bodies_of_others() {
        let stream = [3, 0, 256, 16_640, 1].map(record);
        let mut begins = vec![0];
        for record in &stream {
            begins.push(begins.last().unwrap() + record.len());
        }
        let stream = stream.concat();
        for step in [1, 2, 4, 5, 7, 1000, stream.len()] {
            let (mut records, mut taken) = (Records::default(), 0);
            for part in stream.chunks(step) {
                assert_eq!(records.is_at_begin(), begins.contains(&taken), "{taken} bytes, {step} at a time");
                records.take(part);
                taken += part.len();
            }
            assert!(records.is_at_begin());
        }
    }
}
