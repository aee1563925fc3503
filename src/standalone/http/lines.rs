//! Text that comes in lines, gathered piece by piece.

use super::reply::Malformed;

/// How much text is gathered.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest line, with its end.
    pub line: usize,
    /// All lines together.
    pub head: usize,
}

/// Lines, up to an empty one.
#[derive(Debug, Default)]
pub struct Lines {
    text: Vec<u8>,
    line_start: usize,
}

impl Lines {
    /// Takes the beginning of `input`: how much of it, and whether a line has ended.
    fn take(&mut self, input: &[u8], limits: Limits) -> Result<(usize, bool), Malformed> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(input.len(), |end| end + 1);
        self.text.extend_from_slice(&input[..used]);
        if self.text.len() - self.line_start > limits.line {
            return Err(Malformed::LineTooLong(limits.line));
        }
        if self.text.len() > limits.head {
            return Err(Malformed::HeadTooLong(limits.head));
        }
        Ok((used, end.is_some()))
    }

    /// Takes a single line. It is there when the answer says so.
    pub fn take_one(&mut self, input: &[u8], limits: Limits) -> Result<(usize, bool), Malformed> {
        self.take(input, limits)
    }

    /// Takes lines until one is empty, which is no line before the first where `may_be_none` is false.
    pub fn take_all(
        &mut self,
        input: &[u8],
        limits: Limits,
        may_be_none: bool,
    ) -> Result<(usize, bool), Malformed> {
        let mut used = 0;
        while used < input.len() {
            let (count, ended) = self.take(&input[used..], limits)?;
            used += count;
            if ended {
                let is_empty = matches!(&self.text[self.line_start..], b"\n" | b"\r\n");
                let is_first = self.text[..self.line_start].iter().all(|byte| matches!(byte, b'\r' | b'\n'));
                self.line_start = self.text.len();
                if is_empty && (may_be_none || !is_first) {
                    return Ok((used, true));
                }
            }
        }
        Ok((used, false))
    }

    /// What was gathered.
    pub fn text(&self) -> &[u8] {
        &self.text
    }
}
