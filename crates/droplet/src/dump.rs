//! Dumps of bytes, for people to read.
#![forbid(unsafe_code)]

use std::io::Write;

/// Number of bytes in a row.
const ROW: usize = 16;

/// A dump of several pieces. A row that repeats the previous row is left out; the first of several such rows is replaced
/// by a mark (`*` or `...`).
///
/// As in the original, the previous row may be in an earlier piece, but the last row of a piece is not a previous row.
pub struct Dump {
    /// True if rows show offsets, values and characters; false if they are the bytes themselves.
    binary: bool,
    /// The row that the next one is compared with. `None` at first.
    previous: Option<[u8; ROW]>,
    /// True if the last row was left out.
    is_repeating: bool,
}

impl Dump {
    /// Returns an empty dump: `binary` for offsets, values and characters, else for the bytes themselves.
    pub fn new(binary: bool) -> Dump {
        Dump { binary, previous: None, is_repeating: false }
    }

    /// Writes a piece to the end of `to`.
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

/// Writes a row as `OFFSET  VALUES  CHARACTERS`.
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
