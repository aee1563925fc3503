//! The fields of a head. Lines that are not fields are skipped, as browsers and the original do, unless the end of the
//! body might depend on them.

use std::iter;

use super::error::SyntaxError;
use super::lines::after_blanks;

/// Names of the fields that define where the body ends.
const FRAMING: [&str; 2] = ["Content-Length", "Transfer-Encoding"];

/// Names and values, in the order of the head.
pub type Fields = Vec<(String, Vec<u8>)>;

/// Returns whether the field of this name defines where the body ends.
pub fn is_framing(name: &str) -> bool {
    FRAMING.iter().any(|it| it.eq_ignore_ascii_case(name))
}

/// Parses the lines after the status line (RFC 9112, section 5). A line that begins with a blank continues the line
/// before. A field is skipped with all its lines if it has no colon, its name is not a token, or it has a control
/// character.
pub fn parse(lines: &[&[u8]]) -> Result<Fields, SyntaxError> {
    let mut fields = Fields::new();
    for lines in lines.chunk_by(|_, next| matches!(next.first(), Some(b' ' | b'\t'))) {
        match field(lines) {
            Some(field) => fields.push(field),
            None => lines.iter().try_for_each(|line| refuse_framing(line))?,
        }
    }
    Ok(fields)
}

/// Parses the lines of one field. Older servers put blanks between name and colon, and continue a value on the next
/// line, where the line end means a space (sections 5.1 and 5.2).
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

/// Refuses to skip a line that the end of the body might depend on.
fn refuse_framing(line: &[u8]) -> Result<(), SyntaxError> {
    let word = first_word(line);
    match FRAMING.iter().find(|it| it.as_bytes().eq_ignore_ascii_case(word)) {
        Some(name) => Err(SyntaxError::Head(format!("the line with {name} is not a valid field"))),
        None => Ok(()),
    }
}

/// Returns the first token of a line, wherever it begins.
fn first_word(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|byte| is_token(*byte)).unwrap_or(line.len());
    let word = &line[start..];
    &word[..word.iter().position(|byte| !is_token(*byte)).unwrap_or(word.len())]
}

/// Returns whether a byte may stand in a name (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Returns whether a byte may stand in a value (RFC 9110, section 5.5).
fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}
