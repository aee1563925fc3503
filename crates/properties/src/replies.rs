//! The reader of replies against its model. The first byte is a set of flags, the next three are the sizes of the pieces
//! that the rest arrives in.

use std::iter::Cycle;
use std::vec::IntoIter;

use droplet_client::http::error::{ReadError, SyntaxError};
use droplet_client::http::reader::{Receiver, Reply, ReplyReader, Source, read};
use droplet_client::http::reply::Expected;
use droplet_client::http::{KeepAlive, Limits};

/// The model of the unit tests.
#[path = "../../client/src/http/reply_tests/model.rs"]
mod model;

/// The receiver of the unit tests.
#[path = "../../client/src/http/reply_tests/gathered.rs"]
mod gathered;

use gathered::Fields;
pub(crate) use gathered::Gathered;

/// A source that gives a text in pieces, then its end.
pub(crate) struct Pieces {
    text: Vec<u8>,
    used: usize,
    filled: usize,
    sizes: Cycle<IntoIter<usize>>,
    /// True if the peer is silent after the text, and does not close the connection.
    stays_open: bool,
    /// True once the reader was told of the end.
    has_ended: bool,
}

impl Pieces {
    pub(crate) fn new(text: &[u8], sizes: Vec<usize>, stays_open: bool) -> Pieces {
        let sizes = sizes.into_iter().cycle();
        Pieces { text: text.to_vec(), used: 0, filled: 0, sizes, stays_open, has_ended: false }
    }

    /// Returns the number of bytes that were consumed.
    pub(crate) fn used(&self) -> usize {
        self.used
    }
}

impl Source for Pieces {
    type Error = ();

    fn buffered(&mut self) -> &mut [u8] {
        &mut self.text[self.used..self.filled]
    }

    fn consume(&mut self, count: usize) {
        self.used += count;
        assert!(self.used <= self.filled, "more bytes are consumed than were read");
    }

    fn is_silent(&mut self) -> bool {
        self.stays_open && self.filled == self.text.len()
    }

    fn fill_soon(&mut self) -> Result<Option<bool>, ()> {
        if self.is_silent() { Ok(None) } else { self.fill().map(Some) }
    }

    fn fill(&mut self) -> Result<bool, ()> {
        assert_eq!(self.used, self.filled, "fill() was called although bytes are left");
        assert!(!self.has_ended, "fill() was called after the end");
        if self.is_silent() {
            // A wait that times out.
            return Err(());
        }
        self.filled = self.text.len().min(self.filled.saturating_add(self.sizes.next().unwrap_or(1)));
        self.has_ended = self.used == self.filled;
        Ok(!self.has_ended)
    }
}

/// A reply, what its receiver got, and the number of its bytes.
pub(crate) type Outcome = Result<(Reply, Gathered, usize), ReadError<(), ()>>;

pub(crate) fn read_in_pieces(mut source: Pieces, expected: Expected) -> Outcome {
    let mut gathered = Gathered::default();
    let reply = read(&mut source, &mut gathered, expected)?;
    Ok((reply, gathered, source.used()))
}

/// Reads a reply step by step, `most` bytes at a time.
fn read_in_steps(
    mut source: Pieces,
    expected: Expected,
    most: usize,
) -> Result<(Reply, Vec<u8>, usize), ReadError<(), ()>> {
    let mut reader = ReplyReader::new(expected);
    let mut buffer = vec![0; most];
    let mut body = Vec::new();
    let status = reader.read_head::<_, ()>(&mut source)?;
    loop {
        let count = reader.read_data(&mut source, &mut buffer)?;
        body.extend_from_slice(&buffer[..count]);
        if count == 0 {
            break;
        }
    }
    assert!(reader.is_over() && reader.status() == Some(status));
    assert_eq!(reader.read_data::<_, ()>(&mut source, &mut buffer), Ok(0), "after the end");
    Ok((reader.reply(), body, source.used()))
}

/// Limits that no input of the fuzzer reaches.
const WIDE: Limits = Limits { line: 1 << 16, head: 1 << 20 };

/// Limits that inputs reach.
const NARROW: Limits = Limits { line: 64, head: 200 };

/// Checks the properties on these bytes.
pub fn check(bytes: &[u8]) {
    let Some((&[flags, sizes @ ..], text)) = bytes.split_first_chunk::<4>() else { return };
    let sizes = sizes.map(|size| usize::from(size).max(1));
    let expected = Expected {
        body: flags & 1 == 0,
        data: flags & 2 == 0,
        continuation: flags & 4 != 0,
        limits: if flags & 8 == 0 { WIDE } else { NARROW },
    };
    let pieces = |stays_open| Pieces::new(text, sizes.to_vec(), stays_open);
    let outcome = read_in_pieces(pieces(false), expected);
    is_as_in_the_model(text, expected, &outcome);
    is_as_in_steps(&outcome, read_in_steps(pieces(false), expected, sizes[0]), expected);
    is_as_if_closed(&outcome, &read_in_pieces(pieces(true), expected), text.len());
}

fn is_as_in_the_model(text: &[u8], expected: Expected, outcome: &Outcome) {
    let longest_line = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap_or(0);
    match outcome {
        Err(ReadError::Syntax(SyntaxError::LineTooLong(limit))) => {
            assert!(longest_line > *limit, "no line is that long");
            return;
        }
        Err(ReadError::Syntax(SyntaxError::HeadTooLong(limit))) => {
            assert!(text.len() > *limit, "the text is shorter than the limit of a head");
            return;
        }
        Ok((_, gathered, used)) => {
            let is_chunked = text.to_ascii_lowercase().windows(7).any(|it| it == b"chunked");
            assert!(
                is_chunked || used - gathered.body.len() <= expected.limits.head,
                "a longer head was read"
            );
        }
        Err(_) => {}
    }
    let model = model::read(text, Expected { limits: WIDE, ..expected });
    // The model does not know the field Keep-Alive.
    let plain = outcome.clone().ok().map(|(reply, gathered, used)| {
        has_limits_of_its_fields(&reply, &gathered.fields);
        (Reply { keep_alive: None, ..reply }, gathered, used)
    });
    assert_eq!(plain, model);
}

/// Checks the limits that the server states.
fn has_limits_of_its_fields(reply: &Reply, fields: &Fields) {
    let mut stated = [None::<u32>; 2];
    let values = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"keep-alive"));
    for member in values.flat_map(|(_, value)| value.split(|byte| *byte == b',')) {
        let mut parts = member.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let Some(at) = [&b"timeout"[..], b"max"].iter().position(|it| name.eq_ignore_ascii_case(it)) else {
            continue;
        };
        let is_quoted = value.len() > 1 && value.starts_with(b"\"") && value.ends_with(b"\"");
        let digits = if is_quoted { &value[1..value.len() - 1] } else { value };
        if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
            let number = digits
                .iter()
                .fold(0_u32, |sum, digit| sum.saturating_mul(10).saturating_add(u32::from(digit - b'0')));
            stated[at] = Some(stated[at].unwrap_or(u32::MAX).min(number));
        }
    }
    let [timeout_s, max] = stated;
    let expected = (timeout_s.is_some() || max.is_some()).then_some(KeepAlive { timeout_s, max });
    assert_eq!(reply.keep_alive, expected);
}

/// Checks that steps of any size read the same.
fn is_as_in_steps(
    outcome: &Outcome,
    steps: Result<(Reply, Vec<u8>, usize), ReadError<(), ()>>,
    expected: Expected,
) {
    let plain = outcome.clone().map(|(reply, gathered, used)| (reply, gathered.body, used));
    assert_eq!(plain, steps, "{expected:?}");
}

/// Checks that a reply which ends before the connection does not depend on the connection's end.
fn is_as_if_closed(closed: &Outcome, open: &Outcome, length: usize) {
    match (closed, open) {
        (Ok((reply, gathered, used)), Ok((of_open, gathered_of_open, used_of_open))) => {
            assert_eq!((gathered, used), (gathered_of_open, used_of_open));
            assert_eq!(reply.status, of_open.status);
            if reply != of_open {
                assert_eq!(*used, length, "the end of the connection was needed");
                let is_uncertain = of_open.is_presumed_empty || of_open.lacks_last_line;
                assert!(is_uncertain && reply.is_last, "{reply:?}, {of_open:?}");
            }
        }
        // Read to the end of the connection, or waited for more in vain.
        (Ok((reply, ..)), Err(ReadError::Source(()))) => assert!(reply.is_last),
        (Err(ReadError::Syntax(SyntaxError::Ended)), Err(ReadError::Source(()))) => {}
        (Err(one), Err(other)) => assert_eq!(one, other),
        (Err(one), Ok(other)) => panic!("{one:?} if closed, {other:?} if open"),
        (Ok(one), Err(other)) => panic!("{one:?} if closed, {other:?} if open"),
    }
}
