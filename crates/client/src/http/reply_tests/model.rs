//! A model of the reader: it does the same with the whole text at once, without any state, and parses what is
//! valid with httparse.

use super::*;

/// Returns the position of the first line that is not empty.
fn start_of_head(text: &[u8]) -> usize {
    let mut start = 0;
    while let Some(end) = [&b"\r\n"[..], b"\n"].iter().find(|end| text[start..].starts_with(end)) {
        start += end.len();
    }
    start
}

/// Returns the position after the first empty line that follows another line.
fn end_of_head(text: &[u8]) -> Option<usize> {
    let start = start_of_head(text);
    (start..text.len()).find_map(|at| {
        [&b"\n\r\n"[..], b"\n\n"].iter().find(|end| text[at..].starts_with(end)).map(|end| at + end.len())
    })
}

/// Parses status, version and fields with httparse, which skips lines that are not fields. A carriage return within a
/// line and a NUL would end its parsing; they are replaced by another control character.
fn head(text: &[u8]) -> Option<(u16, u8, Fields, [bool; 2])> {
    let (status_line, rest) = text.split_at(text.iter().position(|it| *it == b'\n')? + 1);
    let (begin, reason) = status_line.split_at_checked("HTTP/1.1 200".len())?;
    if !reason.starts_with(b" ") && reason != b"\r\n" && reason != b"\n" {
        return None;
    }
    let end = |at: usize| rest.get(at + 1) == Some(&b'\n');
    let mut text = [begin, b"\r\n"].concat();
    text.extend(rest.iter().enumerate().map(|(at, byte)| match byte {
        0 => 1,
        b'\r' if !end(at) => 1,
        byte => *byte,
    }));
    let mut fields = vec![httparse::EMPTY_HEADER; text.len()];
    let mut response = httparse::Response::new(&mut fields);
    let mut config = httparse::ParserConfig::default();
    config.allow_spaces_after_header_name_in_responses(true);
    config.allow_obsolete_multiline_headers_in_responses(true);
    config.ignore_invalid_headers_in_responses(true);
    config.parse_response(&mut response, &text).ok().filter(httparse::Status::is_complete)?;
    let plain = |value: &[u8]| {
        let lines: Vec<_> = value.split(|it| *it == b'\n').map(<[u8]>::trim_ascii).collect();
        lines.join(&b' ')
    };
    let all = all_fields(rest);
    let mut candidates = all.iter();
    for field in response.headers.iter() {
        let sound = (field.name.as_bytes().to_vec(), plain(field.value));
        assert!(candidates.any(|it| *it == sound), "httparse finds {sound:?}, in this order, not in {all:?}");
    }
    // The place of a field is from the first byte of its name to the last byte of its value.
    let place = |it: &[u8]| it.as_ptr() as usize - text.as_ptr() as usize;
    let kept = response.headers.iter().map(|field| {
        let start = place(field.name.as_bytes());
        start..(place(field.value) + field.value.len()).max(start + 1)
    });
    let kept: Vec<_> = kept.collect();
    let lost = ["content-length", "transfer-encoding"].map(|name| loses(name, &text, &kept));
    Some((response.code?, response.version?, all, lost))
}

/// Returns the fields of a head, also those that httparse skips.
fn all_fields(text: &[u8]) -> Fields {
    let mut all: Vec<Vec<Vec<u8>>> = Vec::new();
    for line in text.split(|it| *it == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        match (line.first(), all.last_mut()) {
            (None, _) => {}
            (Some(b' ' | b'\t'), Some(field)) => field.push(line),
            _ => all.push(vec![line]),
        }
    }
    let field = |lines: Vec<Vec<u8>>| {
        let (first, folds) = lines.split_first()?;
        let colon = first.iter().position(|it| *it == b':')?;
        let mut name = first[..colon].to_vec();
        while name.ends_with(b" ") || name.ends_with(b"\t") {
            name.pop();
        }
        let is_none = name.is_empty() || name.starts_with(b" ") || name.starts_with(b"\t");
        if is_none || name.contains(&0) || name.contains(&b'\r') {
            return None;
        }
        let mut value = first[colon + 1..].trim_ascii().to_vec();
        for fold in folds {
            value.push(b' ');
            value.extend(fold.trim_ascii());
        }
        let value: Vec<_> = value.iter().map(|it| if matches!(it, 0 | b'\r') { b' ' } else { *it }).collect();
        Some((name, value.trim_ascii().to_vec()))
    };
    all.into_iter().filter_map(field).collect()
}

/// Returns whether a line outside these places begins with this name.
fn loses(name: &str, text: &[u8], kept: &[std::ops::Range<usize>]) -> bool {
    let mut start = 0;
    text.split_inclusive(|it| *it == b'\n').any(|line| {
        let (begin, end) = (start, start + line.len());
        start = end;
        let is_kept = kept.iter().any(|field| field.start < end && begin < field.end);
        let is_sign = |it: char| !it.is_ascii_alphanumeric() && !"!#$%&'*+-.^_`|~".contains(it);
        let text = String::from_utf8_lossy(line).to_ascii_lowercase();
        let word = text.split(is_sign).find(|it| !it.is_empty());
        !is_kept && word == Some(name)
    })
}

/// Returns all members of a list, in lower case.
fn members(fields: &Fields, name: &str) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (_, value) in fields.iter().filter(|(it, _)| it.to_ascii_lowercase() == name.as_bytes()) {
        all.extend(value.split(|it| *it == b',').map(|it| it.trim_ascii().to_ascii_lowercase()));
    }
    all
}

fn length(fields: &Fields) -> Option<Option<u64>> {
    let mut all = members(fields, "content-length");
    all.retain(|it| !it.is_empty());
    let Some(first) = all.first() else { return Some(None) };
    let is_sound = first.iter().all(u8::is_ascii_digit)
        && all.iter().all(|other| {
            let number = |it: &Vec<u8>| String::from_utf8(it.clone()).ok()?.parse::<u64>().ok();
            other.iter().all(u8::is_ascii_digit) && number(other).is_some() && number(other) == number(first)
        });
    is_sound.then(|| String::from_utf8_lossy(first).parse().ok())
}

/// Returns the data of all chunks, their number of bytes with sizes and trailer, and whether the trailer is missing or
/// incomplete.
fn chunks(text: &[u8]) -> Option<(Vec<u8>, usize, bool)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line_end = at + text[at..].iter().position(|it| *it == b'\n')? + 1;
        let line = &text[at..line_end];
        let line = &line[line.iter().take_while(|it| matches!(it, b' ' | b'\t')).count()..];
        let digits = line.iter().take_while(|it| it.is_ascii_hexdigit()).count();
        let zeros = line[..digits].iter().take_while(|it| **it == b'0').count();
        let after = line[digits..].iter().find(|it| !matches!(it, b' ' | b'\t'))?;
        let bare = line.strip_suffix(b"\r\n").or(line.strip_suffix(b"\n"))?;
        if digits == 0
            || digits - zeros > 16
            || !matches!(after, b';' | b'\r' | b'\n')
            || bare.contains(&b'\r')
        {
            return None;
        }
        let size = line[zeros..digits]
            .iter()
            .try_fold(0_u64, |sum, digit| Some(sum << 4 | u64::from(char::from(*digit).to_digit(16)?)))?;
        at = line_end;
        if size == 0 {
            break;
        }
        let end = usize::try_from(size).ok()?.checked_add(at)?;
        body.extend_from_slice(text.get(at..end)?);
        let rest = text.get(end..)?;
        at = end + [&b"\r\n"[..], b"\n"].iter().find(|it| rest.starts_with(it))?.len();
    }
    loop {
        let Some(length) = text[at..].iter().position(|it| *it == b'\n') else {
            return Some((body, text.len(), true));
        };
        let line_end = at + length + 1;
        let is_empty = matches!(&text[at..line_end], b"\n" | b"\r\n");
        at = line_end;
        if is_empty {
            return Some((body, at, false));
        }
    }
}

pub fn read(text: &[u8], expected: Expected) -> Option<(Reply, Gathered, usize)> {
    let end = end_of_head(text)?;
    let (status, version, mut fields, lost) =
        head(&text[start_of_head(text)..end]).filter(|(status, ..)| *status >= 100)?;
    if (status < 200 && status != 101) && !(status == 100 && expected.continuation) {
        let (reply, gathered, used) = read(&text[end..], expected)?;
        return Some((reply, gathered, used + end));
    }
    let rest = &text[end..];
    let codings = members(&fields, "transfer-encoding");
    let coding = codings.iter().rfind(|it| !it.is_empty() && *it != b"identity");
    let has_none = !expected.body || status < 200 || status == 204 || status == 304;
    let length = if has_none { None } else { length(&fields)? };
    let (body, used, was_closed) = match (has_none, coding, length) {
        (true, ..) => (Vec::new(), 0, false),
        (_, Some(coding), _) if coding == b"chunked" => chunks(rest)?,
        (_, _, Some(length)) => {
            let body = rest.get(..usize::try_from(length).ok()?)?.to_vec();
            (body, length as usize, false)
        }
        _ if lost[1] => return None,
        _ if expected.data => (rest.to_vec(), rest.len(), true),
        _ => (Vec::new(), 0, true),
    };
    let options = members(&fields, "connection");
    let says = |option: &[u8]| options.iter().any(|it| it == option);
    let has_both = coding.is_some() && !members(&fields, "content-length").is_empty();
    let is_doubtful = has_both || lost[0] || lost[1];
    let is_last = was_closed
        || is_doubtful
        || status == 101
        || says(b"close")
        || (version == 0 && !says(b"keep-alive"));
    fields.retain(|(name, _)| match &*name.to_ascii_lowercase() {
        b"transfer-encoding" | b"connection" => false,
        b"content-length" => !expected.body,
        _ => true,
    });
    let reply = Reply { status, is_last, keep_alive: None, is_presumed_empty: false, lacks_last_line: false };
    Some((reply, Gathered { fields, body }, end + used))
}
