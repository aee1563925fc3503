//! The text of a profile, taken apart: `variable = value`, ended by a newline or `;`.
//!
//! `#` begins a comment, up to the end of the line. Blanks outside double quotes vanish. A backslash takes
//! the next byte as it is, in quotes and outside; `\n`, `\r` and `\t` are the bytes of these names. A carriage
//! return at the end of a line vanishes, outside quotes.
#![forbid(unsafe_code)]

use std::str;

/// The longest name and the longest value, in bytes.
pub const LONGEST: usize = 256;

/// One variable and what it is set to.
#[derive(Debug, PartialEq, Eq)]
pub struct Statement {
    /// The line on which it begins, counted from 1.
    pub line: u32,
    /// The variable's name.
    pub name: Vec<u8>,
    /// Its value, which has no NUL.
    pub value: Vec<u8>,
}

/// What is wrong with the text, and on which line.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The line, counted from 1.
    pub line: u32,
    /// What is wrong.
    pub fault: String,
}

/// The statements of a profile, up to the first that is malformed.
pub fn statements(text: &[u8]) -> impl Iterator<Item = Result<Statement, Malformed>> {
    let mut reader = Reader { rest: text, line: 1, quoted_since: None };
    let mut is_over = false;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let next = reader.statement();
        is_over = !matches!(next, Ok(Some(_)));
        next.transpose()
    })
}

/// A byte of a statement, and what it means.
enum Symbol {
    /// Part of a name or a value.
    Text(u8),
    /// `=`, which parts the name from the value, and is part of the value after that.
    Equals,
    /// The end of a statement.
    End,
}

struct Reader<'a> {
    rest: &'a [u8],
    line: u32,
    quoted_since: Option<u32>,
}

impl Reader<'_> {
    fn malformed<T>(line: u32, fault: impl Into<String>) -> Result<T, Malformed> {
        Err(Malformed { line, fault: fault.into() })
    }

    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.line += u32::from(byte == b'\n');
        Some(byte)
    }

    /// The next symbol; nothing at the end of the text.
    fn symbol(&mut self) -> Result<Option<Symbol>, Malformed> {
        let is_quoted = |reader: &Self| reader.quoted_since.is_some();
        while let Some(byte) = self.byte() {
            return Ok(Some(match byte {
                0 => return Self::malformed(self.line, "a NUL byte"),
                b'\\' => Symbol::Text(self.escaped()?),
                b'"' => {
                    self.quoted_since = if is_quoted(self) { None } else { Some(self.line) };
                    continue;
                }
                _ if is_quoted(self) => Symbol::Text(byte),
                b' ' | b'\t' => continue,
                b'\r' if matches!(self.rest, [] | [b'\n', ..]) => continue,
                b'#' => {
                    let end = self.rest.iter().position(|byte| *byte == b'\n');
                    self.rest = &self.rest[end.unwrap_or(self.rest.len())..];
                    continue;
                }
                b'=' => Symbol::Equals,
                b'\n' | b';' => Symbol::End,
                _ => Symbol::Text(byte),
            }));
        }
        match self.quoted_since {
            Some(line) => Self::malformed(line, "a quote that does not end"),
            None => Ok(None),
        }
    }

    fn escaped(&mut self) -> Result<u8, Malformed> {
        match self.byte() {
            Some(b'n') => Ok(b'\n'),
            Some(b'r') => Ok(b'\r'),
            Some(b't') => Ok(b'\t'),
            Some(0) => Self::malformed(self.line, "a NUL byte"),
            Some(byte) => Ok(byte),
            None => Self::malformed(self.line, "a backslash at the end"),
        }
    }

    /// The next statement; nothing if there is no more.
    fn statement(&mut self) -> Result<Option<Statement>, Malformed> {
        let mut statement = Statement { line: self.line, name: Vec::new(), value: Vec::new() };
        let mut has_value = false;
        loop {
            let line = self.line;
            let byte = match self.symbol()? {
                Some(Symbol::Text(byte)) => byte,
                Some(Symbol::Equals) if has_value => b'=',
                Some(Symbol::Equals) => {
                    has_value = true;
                    continue;
                }
                end => {
                    return match (statement.name.is_empty(), has_value, end) {
                        (false, true, _) => Ok(Some(statement)),
                        (false, false, _) => {
                            Self::malformed(statement.line, format!("no = after {}", show(&statement.name)))
                        }
                        (true, true, _) => Self::malformed(line, "no variable before ="),
                        (true, false, None) => Ok(None),
                        (true, false, Some(_)) => {
                            statement.line = self.line;
                            continue;
                        }
                    };
                }
            };
            let part = if has_value { &mut statement.value } else { &mut statement.name };
            if part.is_empty() && !has_value {
                statement.line = line;
            }
            if part.len() == LONGEST {
                let what = if has_value { "value" } else { "variable" };
                return Self::malformed(line, format!("a {what} of more than {LONGEST} bytes"));
            }
            part.push(byte);
        }
    }
}

/// What was written, for a message: quoted, and what is not text escaped.
pub fn show(text: &[u8]) -> String {
    match str::from_utf8(text) {
        Ok(text) => format!("'{}'", text.escape_debug()),
        Err(_) => format!("'{}'", text.escape_ascii()),
    }
}
