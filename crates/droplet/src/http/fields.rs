//! The fields of a head. A line that is no field is passed over, as browsers and the original do; the body's
//! framing does not get lost that way.

use std::iter;

use super::lines::after_blanks;
use super::reply::Malformed;

/// Fields that say where the body ends.
const FRAMING: [&str; 2] = ["Content-Length", "Transfer-Encoding"];

/// Names and values, in order.
pub type Fields = Vec<(String, Vec<u8>)>;

/// Whether a field says where the body ends.
pub fn is_framing(name: &str) -> bool {
    FRAMING.iter().any(|it| it.eq_ignore_ascii_case(name))
}

/// Parses the lines after the status line (RFC 9112, section 5). A line that begins with a blank continues
/// the one before. A field is passed over, with all its lines, if it has no colon, its name is no token, or
/// there is a control character in it.
pub fn parse(lines: &[&[u8]]) -> Result<Fields, Malformed> {
    let mut fields = Fields::new();
    for lines in lines.chunk_by(|_, next| matches!(next.first(), Some(b' ' | b'\t'))) {
        match field(lines) {
            Some(field) => fields.push(field),
            None => lines.iter().try_for_each(|line| refuse_framing(line))?,
        }
    }
    Ok(fields)
}

/// A name and a value. Blanks between name and colon are history, and a new line means a space (sections 5.1
/// and 5.2).
fn field(lines: &[&[u8]]) -> Option<(String, Vec<u8>)> {
    let (first, folds) = lines.split_first()?;
    let (name, rest) = first.split_at(first.iter().take_while(|byte| is_token(**byte)).count());
    let beginning = after_blanks(rest).strip_prefix(b":")?;
    let parts = || iter::once(&beginning).chain(folds);
    if name.is_empty() || !parts().all(|part| part.iter().all(|byte| is_text(*byte))) {
        return None;
    }
    let value = parts().map(|part| part.trim_ascii()).collect::<Vec<_>>().join(&b' ');
    Some((String::from_utf8_lossy(name).into_owned(), value.trim_ascii().to_vec()))
}

/// A line that is passed over must not be what the end of the body depends on.
fn refuse_framing(line: &[u8]) -> Result<(), Malformed> {
    let word = first_word(line);
    match FRAMING.iter().find(|it| it.as_bytes().eq_ignore_ascii_case(word)) {
        Some(name) => Err(Malformed::Head(format!("a line with {name} is no field"))),
        None => Ok(()),
    }
}

/// The first token of a line, wherever it begins.
fn first_word(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|byte| is_token(*byte)).unwrap_or(line.len());
    let word = &line[start..];
    &word[..word.iter().position(|byte| !is_token(*byte)).unwrap_or(word.len())]
}

/// A character of a name (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A character of a value (RFC 9110, section 5.5).
fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}
