//! The head of a reply: its status, its fields, and the framing of its body.

use std::str;

use super::error::SyntaxError;
use super::fields::{self, Doubts, Fields};
use super::keep_alive::KeepAlive;

/// Number of bytes of an invalid status line that the error shows.
const SHOWN: usize = 40;

/// The status line and the fields of a reply.
#[derive(Debug)]
pub struct Head {
    /// The status, three digits.
    pub status: u16,
    /// The fields.
    pub fields: Fields,
    doubts: Doubts,
    is_http_1_0: bool,
}

/// The framing of a body: how its end is found (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The body has this many bytes.
    Length(u64),
    /// The body is sent in chunks.
    Chunked,
    /// The body ends with the connection.
    UntilClose,
}

impl Head {
    /// Parses all lines up to the empty one.
    pub fn parse(text: &[u8]) -> Result<Head, SyntaxError> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let mut lines =
            text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let status_line = lines.next().unwrap_or_default();
        let Some((status, is_http_1_0)) = status(status_line) else {
            let shown = String::from_utf8_lossy(&status_line[..status_line.len().min(SHOWN)]);
            return Err(SyntaxError::Head(format!("it begins with {shown:?}")));
        };
        // The empty line ends the head.
        let lines = lines.filter(|line| !line.is_empty());
        let mut kept = Vec::new();
        kept.try_reserve_exact(lines.clone().count())?;
        kept.extend(lines);
        let (fields, doubts) = fields::parse(&kept)?;
        Ok(Head { status, fields, doubts, is_http_1_0 })
    }

    /// Returns the members of all fields of this name. Each field is a list separated by commas.
    fn members<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.fields.iter().filter(move |(it, _)| it.eq_ignore_ascii_case(name.as_bytes()));
        fields.flat_map(|(_, value)| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
    }

    /// Returns the framing of the body, if the reply has one. A length counts with any coding but `chunked`: servers
    /// that send both, and keep the connection, mean the length, and the original takes it.
    pub fn framing(&self) -> Result<Framing, SyntaxError> {
        let length = self.content_length()?;
        match (self.last_coding(), length) {
            (Some(coding), _) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
            (_, Some(length)) => Ok(Framing::Length(length)),
            // The body may be in chunks, which must not be taken for data.
            (_, None) if self.doubts.coding => {
                Err(SyntaxError::Head("the line with Transfer-Encoding is not a valid field".to_owned()))
            }
            (_, None) => Ok(Framing::UntilClose),
        }
    }

    /// Returns whether a reply of this status has a body.
    pub fn has_body(&self) -> bool {
        !matches!(self.status, 100..=199 | 204 | 304)
    }

    /// Returns whether no reply can follow on the connection (RFC 9112, section 9.3).
    pub fn is_last(&self) -> bool {
        let says = |option: &[u8]| self.members("connection").any(|it| it.eq_ignore_ascii_case(option));
        // With both a length and a coding, one of the two is wrong (section 6.3).
        let has_both = self.last_coding().is_some() && self.members("content-length").next().is_some();
        let is_doubtful = has_both || self.doubts.length || self.doubts.coding;
        let is_switched = self.status == 101;
        says(b"close") || is_doubtful || is_switched || (self.is_http_1_0 && !says(b"keep-alive"))
    }

    /// Returns the limits of the connection that the server states.
    pub fn keep_alive(&self) -> Option<KeepAlive> {
        KeepAlive::among(self.members("keep-alive"))
    }

    /// Returns the last transfer coding. Older servers send `identity`, which means none.
    fn last_coding(&self) -> Option<&[u8]> {
        let codings = self.members("transfer-encoding");
        codings.filter(|it| !it.is_empty() && !it.eq_ignore_ascii_case(b"identity")).last()
    }

    /// Returns `Content-Length`. It may be stated several times if the number is always the same. Empty members of a
    /// list do not count (RFC 9110, section 5.6.1).
    fn content_length(&self) -> Result<Option<u64>, SyntaxError> {
        let mut stated = None;
        for member in self.members("content-length").filter(|it| !it.is_empty()) {
            let is_number = member.iter().all(u8::is_ascii_digit);
            let number = str::from_utf8(member).ok().filter(|_| is_number).and_then(|it| it.parse().ok());
            let number = number.ok_or(SyntaxError::ContentLength)?;
            if stated.replace(number).is_some_and(|other| other != number) {
                return Err(SyntaxError::ContentLength);
            }
        }
        Ok(stated)
    }
}

/// Parses a status line. Returns the status, and whether the version is HTTP/1.0. The reason is ignored, and may be
/// missing (RFC 9112, section 4).
fn status(line: &[u8]) -> Option<(u16, bool)> {
    let (version, rest) = line.strip_prefix(b"HTTP/1.")?.split_first_chunk()?;
    let is_http_1_0 = match version {
        b"0 " => true,
        b"1 " => false,
        _ => return None,
    };
    let (digits, reason) = rest.split_first_chunk::<3>()?;
    let is_status = matches!(digits, [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'])
        && matches!(reason.first(), None | Some(b' '));
    let status = str::from_utf8(digits).ok().filter(|_| is_status)?.parse().ok()?;
    Some((status, is_http_1_0))
}
