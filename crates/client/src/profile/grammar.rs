//! The grammar of a profile: statements `variable = value`, each ended by a newline or `;`.
//!
//! - `#` begins a comment, up to the end of the line.
//! - Spaces and tabs outside double quotes are dropped, and so is a carriage return at the end of a line.
//! - A backslash makes the next byte part of the text, inside quotes and outside. `\n`, `\r` and `\t` are a newline, a
//!   carriage return and a tab.
#![forbid(unsafe_code)]

use std::str;

/// The longest name and the longest value, in bytes.
pub const LONGEST: usize = 256;

/// The end of the names of variables whose value may have any length: it is a whole file as text.
const UNLIMITED: &[u8] = b"_pem";

/// A variable and its value.
#[derive(Debug, PartialEq, Eq)]
pub struct Statement {
    /// Line that it begins on, counted from 1.
    pub line: u32,
    /// Name of the variable.
    pub name: Vec<u8>,
    /// Value, without a NUL.
    pub value: Vec<u8>,
}

/// An error in the grammar of a text.
#[derive(Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Line of the error, counted from 1.
    pub line: u32,
    /// Description of the error.
    pub reason: String,
}

/// Returns the statements of a text. The first error ends them.
pub fn statements(text: &[u8]) -> impl Iterator<Item = Result<Statement, SyntaxError>> {
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

/// A byte of a statement, after quotes and escapes.
enum Symbol {
    /// Part of a name or a value.
    Text(u8),
    /// An unquoted `=`. The first one ends the name, others are part of the value.
    Equals,
    /// The end of a statement.
    End,
}

struct Reader<'a> {
    /// Bytes that were not read yet.
    rest: &'a [u8],
    /// Line of the next byte.
    line: u32,
    /// Line of the open quote, if there is one.
    quoted_since: Option<u32>,
}

impl Reader<'_> {
    fn fail<T>(line: u32, reason: impl Into<String>) -> Result<T, SyntaxError> {
        Err(SyntaxError { line, reason: reason.into() })
    }

    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.line += u32::from(byte == b'\n');
        Some(byte)
    }

    /// Reads the next symbol. `None` at the end of the text.
    fn symbol(&mut self) -> Result<Option<Symbol>, SyntaxError> {
        let is_quoted = |reader: &Self| reader.quoted_since.is_some();
        while let Some(byte) = self.byte() {
            return Ok(Some(match byte {
                0 => return Self::fail(self.line, "a NUL byte"),
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
            Some(line) => Self::fail(line, "a quote that does not end"),
            None => Ok(None),
        }
    }

    fn escaped(&mut self) -> Result<u8, SyntaxError> {
        match self.byte() {
            Some(b'n') => Ok(b'\n'),
            Some(b'r') => Ok(b'\r'),
            Some(b't') => Ok(b'\t'),
            Some(0) => Self::fail(self.line, "a NUL byte"),
            Some(byte) => Ok(byte),
            None => Self::fail(self.line, "a backslash at the end"),
        }
    }

    /// Reads the next statement. `None` at the end of the text.
    fn statement(&mut self) -> Result<Option<Statement>, SyntaxError> {
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
                        // The text may be a piece of a secret: the line says enough.
                        (false, false, _) => Self::fail(statement.line, "a statement without ="),
                        (true, true, _) => Self::fail(line, "no variable before ="),
                        (true, false, None) => Ok(None),
                        (true, false, Some(_)) => {
                            statement.line = self.line;
                            continue;
                        }
                    };
                }
            };
            let is_unlimited = has_value && statement.name.ends_with(UNLIMITED);
            let part = if has_value { &mut statement.value } else { &mut statement.name };
            if part.is_empty() && !has_value {
                statement.line = line;
            }
            if part.len() == LONGEST && !is_unlimited {
                let what = if has_value { "value" } else { "variable" };
                let reason = format!("a {what} of more than {LONGEST} bytes");
                // A quote that somebody forgot to end makes the rest of the text one long value.
                return match self.quoted_since {
                    Some(begin) => Self::fail(begin, format!("{reason}, or a quote that does not end")),
                    None => Self::fail(line, reason),
                };
            }
            part.push(byte);
        }
    }
}

/// Quotes a text for a message. Bytes that are not UTF-8, and control characters, are escaped.
pub fn show(text: &[u8]) -> String {
    match str::from_utf8(text) {
        Ok(text) => format!("'{}'", text.escape_debug()),
        Err(_) => format!("'{}'", text.escape_ascii()),
    }
}
