//! Text that comes in lines, gathered piece by piece.

use super::reply::Malformed;

/// How much text is gathered.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest line, with its end.
    pub line: usize,
    /// All lines before a body: those of the head, of the provisional replies (1xx) before it, and empty ones.
    /// Go bounds them together as well (`MaxResponseHeaderBytes`), and so does curl
    /// (`MAX_HTTP_RESP_HEADER_SIZE`). Without that, 1xx replies and empty lines could go on for ever.
    pub head: usize,
}

/// Lines, up to an empty one. Each byte is looked at once.
#[derive(Debug, Default)]
pub struct Lines {
    text: Vec<u8>,
    line_start: usize,
    /// Bytes that count towards the limit and are not kept.
    dropped: usize,
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
        if self.count() > limits.head {
            return Err(Malformed::HeadTooLong(limits.head));
        }
        Ok((used, end.is_some()))
    }

    /// Takes a single line. It is there when the answer says so.
    pub fn take_one(&mut self, input: &[u8], limits: Limits) -> Result<(usize, bool), Malformed> {
        self.take(input, limits)
    }

    /// Takes lines until one is empty. Where `may_be_none` is false, empty lines before the first are dropped.
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
            if !ended {
                break;
            }
            let is_empty = matches!(&self.text[self.line_start..], b"\n" | b"\r\n");
            if is_empty && self.line_start == 0 && !may_be_none {
                self.start_again();
                continue;
            }
            self.line_start = self.text.len();
            if is_empty {
                return Ok((used, true));
            }
        }
        Ok((used, false))
    }

    /// Drops what was gathered. It counts towards the limit all the same.
    pub fn start_again(&mut self) {
        self.dropped = self.count();
        self.text.clear();
        self.line_start = 0;
    }

    fn count(&self) -> usize {
        self.dropped + self.text.len()
    }

    /// What was gathered.
    pub fn text(&self) -> &[u8] {
        &self.text
    }
}

/// What follows blanks.
pub fn after_blanks(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()..]
}
