//! The fields of a head. Lines that are not fields are skipped, as browsers and the original do. If the end of the body
//! might depend on them, this is noted.

use std::collections::TryReserveError;

use super::error::SyntaxError;
use crate::os::reserve;

/// A name and its value.
pub type Field = (Vec<u8>, Vec<u8>);

/// Fields, in the order of the head.
pub type Fields = Vec<Field>;

/// Names of framing fields in lines that are not valid fields.
#[derive(Clone, Copy, Debug, Default)]
pub struct Doubts {
    /// True if such a line begins with `Content-Length`.
    pub length: bool,
    /// True if such a line begins with `Transfer-Encoding`.
    pub coding: bool,
}

impl Doubts {
    /// Takes note of a line that is no sound field.
    fn note(&mut self, line: &[u8]) {
        let word = first_word(line);
        self.length |= word.eq_ignore_ascii_case(b"content-length");
        self.coding |= word.eq_ignore_ascii_case(b"transfer-encoding");
    }
}

/// Parses the lines after the status line (RFC 9112, section 5). A line that begins with a blank continues the line
/// before. A field is skipped with all its lines if it has no colon or no name.
///
/// The original takes all before the colon for the name, and control characters in names and values, so they are taken
/// here too. A carriage return or NUL within a value counts as a space (RFC 9110, section 5.5). Lines that might frame the
/// body, and are not as the standard wants them, are doubts.
///
/// The server decides how many fields there are, so they need not fit into memory, nor must they use up the reserve.
pub fn parse(lines: &[&[u8]]) -> Result<(Fields, Doubts), SyntaxError> {
    let mut fields = Fields::new();
    let mut doubts = Doubts::default();
    for lines in lines.chunk_by(|_, next| matches!(next.first(), Some(b' ' | b'\t'))) {
        let field = field(lines)?;
        if reserve::is_low() {
            return Err(SyntaxError::OutOfMemory);
        }
        if !field.as_ref().is_some_and(|(name, _)| is_sound(name, lines)) {
            lines.iter().for_each(|line| doubts.note(line));
        }
        fields.try_reserve(1)?;
        fields.extend(field);
    }
    Ok((fields, doubts))
}

/// Parses the lines of one field. Older servers put blanks between name and colon, and continue a value on the next
/// line, where the line end means a space (sections 5.1 and 5.2).
fn field(lines: &[&[u8]]) -> Result<Option<Field>, TryReserveError> {
    let Some((first, folds)) = lines.split_first() else { return Ok(None) };
    let Some(colon) = first.iter().position(|byte| *byte == b':') else { return Ok(None) };
    let name = before_blanks(&first[..colon]);
    if matches!(name.first(), None | Some(b' ' | b'\t')) || name.iter().any(|byte| ends_text(*byte)) {
        return Ok(None);
    }
    let mut value = copy(first[colon + 1..].trim_ascii())?;
    for fold in folds.iter().map(|line| line.trim_ascii()) {
        value.try_reserve(fold.len() + 1)?;
        value.push(b' ');
        value.extend_from_slice(fold);
    }
    value.iter_mut().filter(|byte| ends_text(**byte)).for_each(|byte| *byte = b' ');
    if value.trim_ascii().len() < value.len() {
        value = copy(value.trim_ascii())?;
    }
    Ok(Some((copy(name)?, value)))
}

/// Copies bytes, if there is memory.
fn copy(bytes: &[u8]) -> Result<Vec<u8>, TryReserveError> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// Returns whether the name is a token and no line has a control character.
fn is_sound(name: &[u8], lines: &[&[u8]]) -> bool {
    name.iter().all(|byte| is_token(*byte)) && lines.iter().all(|line| line.iter().all(|byte| is_text(*byte)))
}

/// Returns the first token of a line, wherever it begins.
fn first_word(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|byte| is_token(*byte)).unwrap_or(line.len());
    let word = &line[start..];
    &word[..word.iter().position(|byte| !is_token(*byte)).unwrap_or(word.len())]
}

/// Returns the text without the spaces and tabs at its end.
fn before_blanks(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !matches!(byte, b' ' | b'\t'));
    &text[..end.map_or(0, |last| last + 1)]
}

/// Returns whether a byte may stand in a name (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Returns whether a byte may stand in a value (RFC 9110, section 5.5).
fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

/// Returns whether a byte would end a text for C programs.
fn ends_text(byte: u8) -> bool {
    matches!(byte, b'\r' | 0)
}
