//! What the library knows of a request from what is written, against a model that has the whole text. The first three bytes
//! are the sizes of the writes, the rest is the text behind the first line.

use droplet_client::http::request::WrittenRequest;

const FIRST_LINE: &[u8] = b"PUT /r HTTP/1.1\r\n";

/// The longest text: the model looks at all of it after each write.
const LONGEST: usize = 2000;

/// The end of a request, in a text.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Behind so many bytes.
    Behind(usize),
    /// It is not in the text.
    Later,
    /// Nobody can say where it is.
    Undefined,
}

/// Checks the properties on these bytes.
pub fn check(bytes: &[u8]) {
    let Some((sizes, rest)) = bytes.split_first_chunk::<3>() else { return };
    let rest = &rest[..rest.len().min(LONGEST)];
    let text = [FIRST_LINE, rest].concat();
    let mut request = WrittenRequest::default();
    let mut written = 0;
    for size in sizes.iter().cycle() {
        let piece = &text[written..text.len().min(written + usize::from(size % 64) + 1)];
        // In two pieces, the first of which may be empty.
        let (first, second) = piece.split_at(usize::from(size / 64).min(piece.len()));
        let is_begin = request.note([first, second].into_iter());
        written += piece.len();
        assert_eq!(is_begin, ends_in(piece, written), "the first line ends in {}", piece.escape_ascii());
        if written < FIRST_LINE.len() {
            continue;
        }
        let text = &text[..written];
        let end = end(text);
        let is_whole = match end {
            End::Behind(count) => text[count..].iter().all(|byte| matches!(byte, b'\r' | b'\n')),
            End::Later | End::Undefined => false,
        };
        assert_eq!(request.is_whole(), is_whole, "{end:?}: {}", text.escape_ascii());
        assert!(!request.is_head());
        if end != End::Later || written == FIRST_LINE.len() + rest.len() {
            return;
        }
    }
}

/// Returns whether the first line ends in this piece, which ends behind so many bytes.
fn ends_in(piece: &[u8], written: usize) -> bool {
    written >= FIRST_LINE.len() && written - piece.len() < FIRST_LINE.len()
}

/// Returns the end of a request that begins like this.
fn end(text: &[u8]) -> End {
    let Some((head, lines)) = lines(text) else { return End::Later };
    let (mut length, mut is_chunked, mut is_undefined) = (None, false, false);
    for line in &lines[1..] {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (line[..colon].to_ascii_lowercase(), &line[colon + 1..]);
        match &name[..] {
            b"content-length" => {
                let number = number(value);
                is_undefined |= number.is_none() || length.is_some_and(|length| Some(length) != number);
                length = number.or(length);
            }
            b"transfer-encoding" => {
                let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
                is_chunked = trimmed(last).eq_ignore_ascii_case(b"chunked");
                is_undefined |= !is_chunked;
            }
            _ => {}
        }
    }
    let body = &text[head..];
    let body_end = match length {
        _ if is_undefined => End::Undefined,
        _ if is_chunked => end_of_chunks(body),
        Some(length) if length > body.len() as u64 => End::Later,
        length => End::Behind(length.unwrap_or_default() as usize),
    };
    match body_end {
        End::Behind(count) => End::Behind(head + count),
        other => other,
    }
}

/// Returns the lines up to an empty one, and the number of bytes up to there.
fn lines(text: &[u8]) -> Option<(usize, Vec<&[u8]>)> {
    let (mut lines, mut count) = (Vec::new(), 0);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        count += line.len();
        match line {
            b"\n" | b"\r\n" => return Some((count, lines)),
            _ => lines.push(line.strip_suffix(b"\n")?),
        }
    }
    None
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

fn trimmed(value: &[u8]) -> &[u8] {
    let begin = value.iter().position(|byte| !is_blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_blank(byte)).map_or(begin, |last| last + 1);
    &value[begin..end]
}

fn number(value: &[u8]) -> Option<u64> {
    let digits = trimmed(value);
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()?;
    (number != u64::MAX).then_some(number)
}

/// Returns the end of chunks that begins like this.
fn end_of_chunks(text: &[u8]) -> End {
    let mut at = 0;
    loop {
        let digits = text[at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = std::str::from_utf8(&text[at..at + digits]).expect("digits");
        let follows = text.get(at + digits);
        let is_too_large = digits > 0 && u64::from_str_radix(size, 16).is_err();
        match follows {
            _ if is_too_large => return End::Undefined,
            None => return End::Later,
            Some(byte) if digits > 0 && (is_blank(byte) || matches!(byte, b';' | b'\n')) => {}
            Some(_) => return End::Undefined,
        }
        let Some(line) = text[at..].iter().position(|byte| *byte == b'\n') else { return End::Later };
        at += line + 1;
        let size = u64::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            return lines(&text[at..]).map_or(End::Later, |(count, _)| End::Behind(at + count));
        }
        if size >= (text.len() - at) as u64 {
            return End::Later;
        }
        at += size as usize;
        at += text[at..].iter().take_while(|byte| **byte == b'\r').count();
        match text.get(at) {
            None => return End::Later,
            Some(b'\n') => at += 1,
            Some(_) => return End::Undefined,
        }
    }
}
