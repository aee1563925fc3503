//! The head of a reply: what it says, and how long its body is.

use std::str;

use super::reply::Malformed;

/// Fields that are parsed at first; more are tried if there are more.
const USUAL_FIELDS: usize = 64;

/// The status line and the fields of a reply.
#[derive(Debug)]
pub struct Head {
    /// The status, three digits.
    pub status: u16,
    /// Names and values.
    pub fields: Vec<(String, Vec<u8>)>,
    is_http_1_0: bool,
}

/// How the end of a body is found (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// It is so long.
    Length(u64),
    /// It comes in chunks.
    Chunked,
    /// It ends with the connection.
    UntilClose,
}

impl Head {
    /// Parses all lines up to the empty one.
    pub fn parse(text: &[u8]) -> Result<Head, Malformed> {
        let mut room = USUAL_FIELDS;
        loop {
            let mut fields = vec![httparse::EMPTY_HEADER; room];
            let mut response = httparse::Response::new(&mut fields);
            let parsed = httparse::ParserConfig::default()
                .allow_spaces_after_header_name_in_responses(true)
                .allow_obsolete_multiline_headers_in_responses(true)
                .parse_response(&mut response, text);
            match parsed {
                Ok(httparse::Status::Complete(_)) => return Head::from_parsed(&response),
                Ok(httparse::Status::Partial) => return Err(Malformed::Head("it is incomplete".to_owned())),
                // There are no more fields than bytes.
                Err(httparse::Error::TooManyHeaders) if room < text.len() => room *= 4,
                Err(error) => return Err(Malformed::Head(error.to_string())),
            }
        }
    }

    fn from_parsed(response: &httparse::Response<'_, '_>) -> Result<Head, Malformed> {
        let status = response.code.filter(|code| *code >= 100);
        let status = status.ok_or_else(|| Malformed::Head("it has no status".to_owned()))?;
        let fields = response.headers.iter().map(|field| (field.name.to_owned(), unfolded(field.value)));
        Ok(Head { status, fields: fields.collect(), is_http_1_0: response.version == Some(0) })
    }

    /// The members of all fields of a name, which are lists separated by commas.
    fn members<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.fields.iter().filter(move |(it, _)| it.eq_ignore_ascii_case(name));
        fields.flat_map(|(_, value)| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
    }

    /// How the end of the body is found, if there is one at all.
    pub fn framing(&self) -> Result<Framing, Malformed> {
        let length = self.content_length()?;
        Ok(match (self.last_coding(), length) {
            (Some(coding), _) if coding.eq_ignore_ascii_case(b"chunked") => Framing::Chunked,
            (Some(_), _) | (None, None) => Framing::UntilClose,
            (None, Some(length)) => Framing::Length(length),
        })
    }

    /// Whether a reply of this status has a body.
    pub fn has_body(&self) -> bool {
        !matches!(self.status, 100..=199 | 204 | 304)
    }

    /// Whether nothing follows on the connection after this reply (RFC 9112, section 9.3).
    pub fn is_last(&self) -> bool {
        let says = |option: &[u8]| self.members("connection").any(|it| it.eq_ignore_ascii_case(option));
        // A length beside a coding: one of the two is a lie (section 6.3).
        let is_doubtful = self.last_coding().is_some() && self.members("content-length").next().is_some();
        let is_switched = self.status == 101;
        says(b"close") || is_doubtful || is_switched || (self.is_http_1_0 && !says(b"keep-alive"))
    }

    /// The last transfer coding, but for `identity`, which older servers send to mean none.
    fn last_coding(&self) -> Option<&[u8]> {
        let codings = self.members("transfer-encoding");
        codings.filter(|it| !it.is_empty() && !it.eq_ignore_ascii_case(b"identity")).last()
    }

    /// The length that is stated, any number of times but always the same.
    fn content_length(&self) -> Result<Option<u64>, Malformed> {
        let mut stated = None;
        for member in self.members("content-length") {
            let is_number = !member.is_empty() && member.iter().all(u8::is_ascii_digit);
            let number = str::from_utf8(member).ok().filter(|_| is_number).and_then(|it| it.parse().ok());
            let number = number.ok_or(Malformed::ContentLength)?;
            if stated.replace(number).is_some_and(|other| other != number) {
                return Err(Malformed::ContentLength);
            }
        }
        Ok(stated)
    }
}

/// A value in one line: a fold means a space (RFC 9112, section 5.2).
fn unfolded(value: &[u8]) -> Vec<u8> {
    value.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect()
}
