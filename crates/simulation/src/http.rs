//! Requests and replies. The path of a request states the reply that the server is to give, and the number that the
//! reply has to bear.

use crate::threads::{MICROSECOND, Time};

/// A reply that nobody asked for.
pub const EXTRA: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON";

/// A kind of reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With a length.
    Plain,
    /// In chunks.
    Chunked,
    /// After two replies of 1xx.
    Continued,
    /// A status of 503.
    Unavailable,
    /// Says that the connection ends, which it does.
    Close,
    /// Ends with the connection.
    UntilClose,
    /// Followed by a reply that nobody asked for.
    Extra,
    /// Followed by such a reply a little later.
    LateExtra,
    /// Ends in the middle.
    Cut,
    /// Is reset in the middle.
    Reset,
    /// Never comes.
    Silent,
    /// Is no HTTP.
    Garbage,
    /// Comes before the body of the request, of which the program then sends nothing.
    Early,
}

/// All kinds, as the path of a request numbers them.
pub const KINDS: [Kind; 13] = [
    Kind::Plain,
    Kind::Chunked,
    Kind::Continued,
    Kind::Unavailable,
    Kind::Close,
    Kind::UntilClose,
    Kind::Extra,
    Kind::LateExtra,
    Kind::Cut,
    Kind::Reset,
    Kind::Silent,
    Kind::Garbage,
    Kind::Early,
];

impl Kind {
    /// Returns why the server may be blamed for such a reply.
    pub fn cause(self) -> Option<&'static str> {
        match self {
            Kind::Unavailable => Some("a reply has a status of 503"),
            Kind::Cut | Kind::Reset => Some("a reply is cut short"),
            Kind::Silent => Some("a reply does not come"),
            Kind::Garbage => Some("a reply is no HTTP"),
            _ => None,
        }
    }

    /// True if a reader can get the whole reply.
    pub fn is_complete(self) -> bool {
        !matches!(self, Kind::Cut | Kind::Reset | Kind::Silent | Kind::Garbage)
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The number of the request, which no other one has.
    pub token: u64,
    /// The kind of reply that it wants.
    pub kind: Kind,
    /// The length of that reply's body.
    pub size: usize,
    /// The time that the server takes for it.
    pub delay: Time,
    /// The length of its own body.
    pub upload: usize,
}

impl Request {
    /// Returns the request as text.
    pub fn text(&self) -> Vec<u8> {
        let kind = KINDS.iter().position(|kind| *kind == self.kind).unwrap_or(0);
        let (Request { token, size, upload, .. }, delay) = (self, self.delay / MICROSECOND);
        let head = format!(
            "PUT /{token}/{kind}/{size}/{delay} HTTP/1.1\r\nHost: simulated\r\nContent-Length: {upload}\r\n\r\n"
        );
        let mut text = head.into_bytes();
        text.resize(text.len() + self.upload - self.left_out(), b'u');
        text
    }

    /// Returns the number of bytes at its end that the program does not send.
    pub fn left_out(&self) -> usize {
        if self.kind == Kind::Early { self.upload } else { 0 }
    }

    /// Parses a request at the beginning of some bytes. Returns it and its length, once it is complete.
    pub fn parse(bytes: &[u8]) -> Option<(Request, usize)> {
        let head_length = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&bytes[..head_length]).expect("the head of a request is text");
        let mut numbers = head.split(' ').nth(1)?.split('/').skip(1).map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten().expect("the path of a request has four numbers");
        let (token, kind, size, delay): (u64, u64, u64, u64) = (next(), next(), next(), next());
        let upload = head.split("Content-Length: ").nth(1)?.split('\r').next()?.parse().ok()?;
        let request = Request {
            token,
            kind: KINDS[kind as usize],
            size: size as usize,
            delay: delay * MICROSECOND,
            upload,
        };
        let length = head_length + upload - request.left_out();
        (bytes.len() >= length).then_some((request, length))
    }

    /// Returns the body of the reply.
    pub fn body(&self) -> Vec<u8> {
        format!("{};", self.token).bytes().cycle().take(self.size).collect()
    }

    fn plain_reply(&self) -> Vec<u8> {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", self.size);
        [head.into_bytes(), self.body()].concat()
    }

    /// Returns the reply, without what nobody asked for.
    pub fn reply(&self) -> Vec<u8> {
        let plain = self.plain_reply();
        let with = |head: &str| [head.as_bytes(), &self.body()[..]].concat();
        match self.kind {
            Kind::Plain | Kind::Extra | Kind::LateExtra | Kind::Early => plain,
            Kind::Chunked => self.chunked(),
            Kind::Continued => {
                [b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", &plain[..]]
                    .concat()
            }
            Kind::Unavailable => {
                with(&format!("HTTP/1.1 503 Service Unavailable\r\nContent-Length: {}\r\n\r\n", self.size))
            }
            Kind::Close => with(&format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                self.size
            )),
            Kind::UntilClose => with("HTTP/1.1 200 OK\r\n\r\n"),
            Kind::Cut | Kind::Reset => plain[..plain.len() - 1 - self.size / 2].to_vec(),
            Kind::Silent => Vec::new(),
            Kind::Garbage => b"+OK this is no HTTP\r\n\r\n".to_vec(),
        }
    }

    fn chunked(&self) -> Vec<u8> {
        let mut reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in self.body().chunks(1000) {
            reply.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            reply.extend(chunk);
            reply.extend(b"\r\n");
        }
        reply.extend(b"0\r\n\r\n");
        reply
    }
}
