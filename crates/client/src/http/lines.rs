//! Lines of text, collected from pieces of any size.

use super::error::SyntaxError;

/// Limits on the text of a head.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Greatest length of a line in bytes, with its end.
    pub line: usize,
    /// Greatest length in bytes of all that precedes a body: the head, and the replies of 1xx and the empty lines before
    /// it. Without this limit such replies and lines could go on for ever. Go limits them together as well
    /// (`MaxResponseHeaderBytes`), and so does curl (`MAX_HTTP_RESP_HEADER_SIZE`).
    pub head: usize,
}

impl Limits {
    /// Returns the limits for lines of this length, or for those of the original if that is more: it reads 200 blocks of
    /// 512 bytes, whatever `header_size` says, and any number of lines.
    pub fn of_lines(header_size: usize) -> Limits {
        let line = header_size.max(200 * 512);
        Limits { line, head: line.saturating_mul(16) }
    }
}

/// A collection of lines. Each byte is examined once.
#[derive(Debug, Default)]
pub struct Lines {
    text: Vec<u8>,
    line_start: usize,
    /// Number of bytes that were dropped. They count towards the limit.
    dropped: usize,
}

impl Lines {
    /// Takes bytes from `input`, up to the end of a line. Returns how many, and whether the line ended.
    fn take(&mut self, input: &[u8], limits: Limits) -> Result<(usize, bool), SyntaxError> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(input.len(), |end| end + 1);
        self.text.try_reserve(used)?;
        self.text.extend_from_slice(&input[..used]);
        if self.text.len() - self.line_start > limits.line {
            return Err(SyntaxError::LineTooLong(limits.line));
        }
        if self.count() > limits.head {
            return Err(SyntaxError::HeadTooLong(limits.head));
        }
        Ok((used, end.is_some()))
    }

    /// Takes bytes of a single line. Returns how many, and whether the line is complete.
    pub fn take_one(&mut self, input: &[u8], limits: Limits) -> Result<(usize, bool), SyntaxError> {
        self.take(input, limits)
    }

    /// Takes bytes of lines, up to an empty line. Returns how many, and whether the empty line was among them. Unless
    /// `may_be_none`, empty lines before the first other line are dropped.
    pub fn take_all(
        &mut self,
        input: &[u8],
        limits: Limits,
        may_be_none: bool,
    ) -> Result<(usize, bool), SyntaxError> {
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

    /// Drops the text. It still counts towards the limit.
    pub fn start_again(&mut self) {
        self.dropped = self.count();
        self.text.clear();
        self.line_start = 0;
    }

    /// Returns the number of bytes that count towards the limit.
    fn count(&self) -> usize {
        self.dropped + self.text.len()
    }

    /// Returns the text.
    pub fn text(&self) -> &[u8] {
        &self.text
    }
}

/// Returns the text without the spaces and tabs at its beginning.
pub fn after_blanks(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()..]
}
