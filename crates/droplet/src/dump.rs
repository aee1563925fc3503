//! Bytes written for people to read.
#![forbid(unsafe_code)]

use std::io::Write;

/// How many bytes stand in a line of a dump.
const ROW: usize = 16;

/// A dump of several pieces. As in the original, a row is left out that is the same as the last whole row that
/// something followed in its piece, which may be a piece before; the first left out in a run is told of.
pub struct Dump {
    binary: bool,
    previous: Option<[u8; ROW]>,
    is_repeating: bool,
}

impl Dump {
    /// A dump of the bytes as they are, or of their offsets, values and characters.
    pub fn new(binary: bool) -> Dump {
        Dump { binary, previous: None, is_repeating: false }
    }

    /// Adds a piece.
    pub fn piece(&mut self, to: &mut Vec<u8>, bytes: &[u8]) {
        for (number, row) in bytes.chunks(ROW).enumerate() {
            let whole = <[u8; ROW]>::try_from(row).ok();
            if whole.is_some() && whole == self.previous {
                if !self.is_repeating {
                    to.extend_from_slice(if self.binary { b"*\n" } else { b"..." });
                }
                self.is_repeating = true;
            } else {
                self.is_repeating = false;
                if self.binary {
                    row_of_bytes(to, number * ROW, row);
                } else {
                    to.extend_from_slice(row);
                }
            }
            if (number + 1) * ROW < bytes.len() {
                self.previous = whole;
            }
        }
        if !self.binary && bytes.len() > 1 && bytes.last() != Some(&b'\n') {
            to.push(b'\n');
        }
    }
}

/// `OFFSET  VALUES  CHARACTERS`
fn row_of_bytes(to: &mut Vec<u8>, offset: usize, row: &[u8]) {
    let _ = write!(to, "{offset:08}  ");
    for at in 0..ROW {
        let _ = match row.get(at) {
            Some(byte) => write!(to, "{byte:02x}"),
            None => write!(to, "  "),
        };
        if at % 2 == 1 {
            to.push(b' ');
        }
    }
    to.extend_from_slice(b"  ");
    to.extend(row.iter().map(|byte| if matches!(byte, b' '..=b'~') { *byte } else { b'.' }));
    to.push(b'\n');
}
