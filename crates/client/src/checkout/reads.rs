//! Notes on what was read from a connection.
#![forbid(unsafe_code)]

/// Notes on what was read in a use of a connection, in one byte, since there are many connections.
#[derive(Clone, Copy, Default)]
pub struct Reads(u8);

impl Reads {
    const ANY: u8 = 1;
    const TIMED_OUT: u8 = 2;
    const STALE: u8 = 4;

    /// Notes whether the last read timed out.
    pub fn set_timed_out(&mut self, timed_out: bool) {
        self.0 &= !Reads::TIMED_OUT;
        if timed_out {
            self.0 |= Reads::TIMED_OUT;
        }
    }

    /// Notes whether something was read.
    pub fn add(&mut self, any: bool) {
        if any {
            self.0 |= Reads::ANY;
        }
    }

    /// Notes that the peer had closed the connection while it was idle. Returns whether that was noted before.
    pub fn note_stale(&mut self) -> bool {
        let was_noted = self.0 & Reads::STALE != 0;
        self.0 |= Reads::STALE;
        was_noted
    }

    /// True if something was read.
    pub fn any(self) -> bool {
        self.0 & Reads::ANY != 0
    }

    /// True if the last read timed out.
    pub fn timed_out(self) -> bool {
        self.0 & Reads::TIMED_OUT != 0
    }
}
