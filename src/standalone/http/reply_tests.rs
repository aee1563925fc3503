//! The reader against a model that has the whole reply before it, over replies valid and spoilt, cut into
//! pieces of any size. `PROPTEST_CASES` sets how many (`make fuzz`).

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::Limits;
use super::reader::{Failure, Receiver, Reply, Source, read};
use super::reply::{Expected, Malformed};

const LIMITS: Limits = Limits { line: 1 << 16, head: 1 << 20 };
const ANY: Expected = Expected { body: true, continuation: false, limits: LIMITS };

/// Gives a text in pieces, then its end.
struct Pieces<'a> {
    text: &'a mut [u8],
    used: usize,
    filled: usize,
    sizes: std::iter::Cycle<std::vec::IntoIter<usize>>,
}

impl<'a> Pieces<'a> {
    fn new(text: &'a mut [u8], sizes: Vec<usize>) -> Pieces<'a> {
        Pieces { text, used: 0, filled: 0, sizes: sizes.into_iter().cycle() }
    }
}

impl Source for Pieces<'_> {
    type Error = ();

    fn buffered(&mut self) -> &mut [u8] {
        &mut self.text[self.used..self.filled]
    }

    fn consume(&mut self, count: usize) {
        self.used += count;
        assert!(self.used <= self.filled);
    }

    fn fill(&mut self) -> Result<bool, ()> {
        assert_eq!(self.used, self.filled, "asks for more although there is some");
        self.filled = self.text.len().min(self.filled + self.sizes.next().unwrap_or(1));
        Ok(self.used < self.filled)
    }
}

type Fields = Vec<(String, Vec<u8>)>;

#[derive(Debug, Default, PartialEq)]
struct Gathered {
    fields: Fields,
    body: Vec<u8>,
}

impl Receiver for Gathered {
    type Error = ();

    fn field(&mut self, name: &str, value: &[u8]) -> Result<(), ()> {
        self.fields.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    fn data(&mut self, bytes: &mut [u8]) -> Result<(), ()> {
        assert!(!bytes.is_empty());
        self.body.extend_from_slice(bytes);
        Ok(())
    }
}

/// A reply, and how many bytes it had.
type Outcome = Result<(Reply, Gathered, usize), Failure<(), ()>>;

fn read_in_pieces(text: &[u8], sizes: Vec<usize>, expected: Expected) -> Outcome {
    let mut text = text.to_vec();
    let mut source = Pieces::new(&mut text, sizes);
    let mut gathered = Gathered::default();
    let reply = read(&mut source, &mut gathered, expected)?;
    Ok((reply, gathered, source.used))
}

fn read_whole(text: &str) -> Outcome {
    read_in_pieces(text.as_bytes(), vec![1 << 20], ANY)
}

fn body_of(text: &str) -> (u16, String) {
    let (reply, gathered, _) = read_whole(text).unwrap();
    (reply.status, String::from_utf8(gathered.body).unwrap())
}

fn fault_of(text: &str) -> Malformed {
    match read_whole(text) {
        Err(Failure::Malformed(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

/// The same by other means: the whole text is there, so that nothing needs to be remembered.
mod model {
    use super::*;

    /// Where the empty line ends that follows some other.
    fn end_of_head(text: &[u8]) -> Option<usize> {
        let start = text.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
        (start..text.len()).find_map(|at| {
            [&b"\n\r\n"[..], b"\n\n"].iter().find(|end| text[at..].starts_with(end)).map(|end| at + end.len())
        })
    }

    fn head(text: &[u8]) -> Option<(u16, u8, Fields)> {
        let mut fields = vec![httparse::EMPTY_HEADER; text.len()];
        let mut response = httparse::Response::new(&mut fields);
        let mut config = httparse::ParserConfig::default();
        config.allow_spaces_after_header_name_in_responses(true);
        config.allow_obsolete_multiline_headers_in_responses(true);
        config.parse_response(&mut response, text).ok().filter(httparse::Status::is_complete)?;
        let plain = |value: &[u8]| {
            value.iter().map(|byte| if b"\r\n".contains(byte) { b' ' } else { *byte }).collect()
        };
        let fields = response.headers.iter().map(|field| (field.name.to_owned(), plain(field.value)));
        Some((response.code?, response.version?, fields.collect()))
    }

    /// All members of a list, in small letters.
    fn members(fields: &Fields, name: &str) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for (_, value) in fields.iter().filter(|(it, _)| it.to_ascii_lowercase() == name) {
            all.extend(value.split(|it| *it == b',').map(|it| it.trim_ascii().to_ascii_lowercase()));
        }
        all
    }

    fn length(fields: &Fields) -> Option<Option<u64>> {
        let all = members(fields, "content-length");
        let Some(first) = all.first() else { return Some(None) };
        let is_sound = first.iter().all(u8::is_ascii_digit)
            && all.iter().all(|other| {
                let number = |it: &Vec<u8>| String::from_utf8(it.clone()).ok()?.parse::<u64>().ok();
                other.iter().all(u8::is_ascii_digit)
                    && number(other).is_some()
                    && number(other) == number(first)
            });
        is_sound.then(|| String::from_utf8_lossy(first).parse().ok())
    }

    /// The data of all chunks, and how many bytes they had with their lengths and trailer.
    fn chunks(text: &[u8]) -> Option<(Vec<u8>, usize)> {
        let (mut body, mut at) = (Vec::new(), 0);
        loop {
            let line_end = at + text[at..].iter().position(|it| *it == b'\n')? + 1;
            let line = &text[at..line_end];
            let digits = line.iter().take_while(|it| it.is_ascii_hexdigit()).count();
            let after = line[digits..].iter().find(|it| !matches!(it, b' ' | b'\t'))?;
            let carriage_return = line.iter().position(|it| *it == b'\r')?;
            if !(1..=16).contains(&digits)
                || !matches!(after, b';' | b'\r')
                || carriage_return + 2 != line.len()
            {
                return None;
            }
            let size = u64::from_str_radix(std::str::from_utf8(&line[..digits]).ok()?, 16).ok()?;
            at = line_end;
            if size == 0 {
                break;
            }
            let end = usize::try_from(size).ok()?.checked_add(at)?;
            body.extend_from_slice(text.get(at..end)?);
            at = end.checked_add(2)?;
            text.get(end..at).filter(|it| *it == b"\r\n")?;
        }
        loop {
            let line_end = at + text[at..].iter().position(|it| *it == b'\n')? + 1;
            let is_empty = matches!(&text[at..line_end], b"\n" | b"\r\n");
            at = line_end;
            if is_empty {
                return Some((body, at));
            }
        }
    }

    pub fn read(text: &[u8], expected: Expected) -> Option<(Reply, Gathered, usize)> {
        let end = end_of_head(text)?;
        let (status, version, mut fields) = head(&text[..end]).filter(|(status, ..)| *status >= 100)?;
        if (status < 200 && status != 101) && !(status == 100 && expected.continuation) {
            let (reply, gathered, used) = read(&text[end..], expected)?;
            return Some((reply, gathered, used + end));
        }
        let rest = &text[end..];
        let length = length(&fields)?;
        let codings = members(&fields, "transfer-encoding");
        let coding = codings.iter().rfind(|it| !it.is_empty() && *it != b"identity");
        let has_none = !expected.body || status < 200 || status == 204 || status == 304;
        let (body, used, until_close) = match (has_none, coding, length) {
            (true, ..) => (Vec::new(), 0, false),
            (_, Some(coding), _) if coding == b"chunked" => {
                let (body, used) = chunks(rest)?;
                (body, used, false)
            }
            (_, None, Some(length)) => {
                let body = rest.get(..usize::try_from(length).ok()?)?.to_vec();
                (body, length as usize, false)
            }
            _ => (rest.to_vec(), rest.len(), true),
        };
        let options = members(&fields, "connection");
        let says = |option: &[u8]| options.iter().any(|it| it == option);
        let is_doubtful = coding.is_some() && length.is_some();
        let is_last = until_close
            || is_doubtful
            || status == 101
            || says(b"close")
            || (version == 0 && !says(b"keep-alive"));
        let framing =
            if expected.body { &["transfer-encoding", "content-length"][..] } else { &["transfer-encoding"] };
        fields.retain(|(name, _)| !framing.contains(&&*name.to_ascii_lowercase()));
        Some((Reply { status, is_last }, Gathered { fields, body }, end + used))
    }
}

fn framing_and_body() -> impl Strategy<Value = Vec<u8>> {
    let chunks = vec((vec(any::<u8>(), 1..40), select(vec!["", ";a=b", " ", "\t;x"])), 0..5);
    let trailer = select(vec!["", "X-T: 1\r\n", "X-T: 1\r\nY:\r\n"]);
    prop_oneof![
        vec(any::<u8>(), 0..60).prop_map(|body| {
            [format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes(), body].concat()
        }),
        vec(any::<u8>(), 0..60).prop_map(|body| [b"\r\n".to_vec(), body].concat()),
        (chunks, trailer).prop_map(|(chunks, trailer)| {
            let mut text = b"Transfer-Encoding: chunked\r\n\r\n".to_vec();
            for (data, extension) in chunks {
                text.extend(format!("{:x}{extension}\r\n", data.len()).into_bytes());
                text.extend(data);
                text.extend(b"\r\n");
            }
            text.extend(format!("0\r\n{trailer}\r\n").into_bytes());
            text
        }),
    ]
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        ("[A-Za-z0-9-]{1,12}", "[ -~]{0,20}").prop_map(|(name, value)| format!("{name}: {value}\r\n")),
        select(vec!["Connection: close\r\n", "connection: Keep-Alive\r\n", "Connection: x, CLOSE\r\n"])
            .prop_map(str::to_owned),
        select(vec!["X-Fold: a\r\n b\r\n", "X-Space : a\r\n", "Transfer-Encoding: identity\r\n"])
            .prop_map(str::to_owned),
        select(vec!["Content-Length: 3\r\n", "Content-Length: 3, 3\r\n", "Content-Length: x\r\n"])
            .prop_map(str::to_owned),
        select(vec!["Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: gzip\r\n"])
            .prop_map(str::to_owned),
    ]
}

fn any_reply() -> impl Strategy<Value = Vec<u8>> {
    let provisional = select(vec![
        "",
        "",
        "",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    ]);
    let status =
        select(vec!["200 OK", "206 Partial", "404 Not Found", "204 No", "304 Not", "503", "200", "101 S"]);
    let version = select(vec!["1.1", "1.1", "1.1", "1.0"]);
    (provisional, version, status, vec(field(), 0..5), framing_and_body(), vec(any::<u8>(), 0..9)).prop_map(
        |(provisional, version, status, fields, rest, after)| {
            let head = format!("{provisional}HTTP/{version} {status}\r\n{}", fields.concat());
            [head.into_bytes(), rest, after].concat()
        },
    )
}

#[derive(Clone, Debug)]
enum Damage {
    Cut(Index),
    Change(Index, u8),
    Remove(Index),
    Insert(Index, &'static [u8]),
    Repeat(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let tokens: Vec<&'static [u8]> = vec![
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b":",
        b" ",
        b"0",
        b"f",
        b"\0",
        b",",
        b"-",
        b"HTTP/1.1 200 OK\r\n",
    ];
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Change(at, byte)),
        any::<Index>().prop_map(Damage::Remove),
        (any::<Index>(), select(tokens)).prop_map(|(at, token)| Damage::Insert(at, token)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

fn spoilt(mut text: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let length = text.len() + 1;
        match damage {
            Damage::Cut(at) => text.truncate(at.index(length)),
            Damage::Change(at, byte) => {
                if let Some(place) = text.get_mut(at.index(length)) {
                    *place = *byte;
                }
            }
            Damage::Remove(at) => {
                let at = at.index(length);
                text.drain(at..text.len().min(at + 1));
            }
            Damage::Insert(at, token) => {
                let at = at.index(length);
                text.splice(at..at, token.iter().copied());
            }
            Damage::Repeat(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                let piece = text[from.min(to)..from.max(to)].to_vec();
                text.splice(from..from, piece);
            }
        }
    }
    text
}

fn expected() -> impl Strategy<Value = Expected> {
    (any::<bool>(), any::<bool>()).prop_map(|(body, continuation)| Expected {
        body,
        continuation,
        limits: LIMITS,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replies_in_pieces_mean_what_the_whole_means(
        text in any_reply(),
        damages in prop_oneof![Just(Vec::new()), vec(damage(), 1..4)],
        sizes in vec(1_usize..50, 1..20),
        expected in expected(),
    ) {
        let text = spoilt(text, &damages);
        prop_assert_eq!(read_in_pieces(&text, sizes, expected).ok(), model::read(&text, expected));
    }

    #[test]
    fn any_bytes_mean_what_the_whole_means(text in vec(any::<u8>(), 0..300), sizes in vec(1_usize..9, 1..9)) {
        let text = [b"HTTP/1.1 200 OK\r\n".as_slice(), &text].concat();
        prop_assert_eq!(read_in_pieces(&text, sizes, ANY).ok(), model::read(&text, ANY));
    }
}

#[test]
fn bodies_end_where_their_heads_say() {
    assert_eq!(body_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloMORE"), (200, "hello".into()));
    assert_eq!(body_of("HTTP/1.1 200 OK\r\n\r\nall of it"), (200, "all of it".into()));
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n";
    assert_eq!(body_of(chunked), (200, "hello!".into()));
    let (_, _, used) = read_whole(&format!("{chunked}HTTP/1.1 404")).unwrap();
    assert_eq!(used, chunked.len(), "the empty line after the last chunk belongs to the reply");
}

#[test]
fn replies_that_announce_another_are_skipped() {
    let last = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
    let text = format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX: 1\r\n\r\n{last}");
    assert_eq!(body_of(&text), (404, "no".into()));
    let expected = Expected { continuation: true, ..ANY };
    let (reply, _, used) = read_in_pieces(text.as_bytes(), vec![3], expected).unwrap();
    assert_eq!((reply.status, used), (100, 25), "it was asked for");
}

#[test]
fn no_body_is_read_where_there_is_none() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let (reply, gathered, _) =
        read_in_pieces(head.as_bytes(), vec![9], Expected { body: false, ..ANY }).unwrap();
    assert_eq!((reply.status, gathered.body.len()), (200, 0));
    assert_eq!(gathered.fields, [("Content-Length".to_owned(), b"5".to_vec())], "news after a HEAD");
    for status in [204, 304] {
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(body_of(&text), (status, String::new()));
    }
}

#[test]
fn the_end_of_a_connection_is_foretold() {
    let is_last = |head: &str| read_whole(&format!("{head}Content-Length: 0\r\n\r\n")).unwrap().0.is_last;
    assert!(!is_last("HTTP/1.1 200 OK\r\n"));
    assert!(is_last("HTTP/1.1 200 OK\r\nConnection: foo, Close\r\n"));
    assert!(is_last("HTTP/1.0 200 OK\r\n"));
    assert!(!is_last("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"));
    assert!(read_whole("HTTP/1.1 200 OK\r\n\r\nall").unwrap().0.is_last);
}

#[test]
fn what_is_no_reply_is_named() {
    use Malformed::*;
    assert_eq!(fault_of(""), Ended);
    assert_eq!(fault_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"), Ended);
    assert_eq!(fault_of("HTTP/1.1 100 Continue\r\n\r\n"), Ended);
    for length in ["-5", "5x", "+5", "", "99999999999999999999", "5, 6"] {
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nhello");
        assert_eq!(fault_of(&text), ContentLength, "{length}");
    }
    for chunks in
        ["zz\r\nhello\r\n", "\r\n", "-1\r\n", "5\r\nhelloX0\r\n", "fffffffffffffffff\r\n", "5\nhello"]
    {
        let text = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        assert_eq!(fault_of(&text), Chunk, "{chunks:?}");
    }
    for head in ["HTTP/2 200 OK\r\n", "HTTP/1.1 20 OK\r\n", "HTTP/1.1 099 X\r\n", "hello\r\n"] {
        assert!(matches!(fault_of(&format!("{head}\r\n")), Head(_)), "{head:?}");
    }
    for line in ["no colon", ": no name", "X: a\0b", "X\u{1}: a"] {
        assert!(matches!(fault_of(&format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n")), Head(_)), "{line:?}");
    }
}

#[test]
fn heads_have_limits() {
    let limits = Limits { line: 100, head: 400 };
    let read = |field: String, end: &str| {
        let text = format!("HTTP/1.1 204 No Content\r\n{field}{end}");
        read_in_pieces(text.as_bytes(), vec![7], Expected { limits, ..ANY }).map(|(reply, ..)| reply.status)
    };
    let line = |length: usize| format!("X: {}\r\n", "a".repeat(length - 5));
    assert_eq!(read(line(100), "\r\n"), Ok(204));
    assert_eq!(read(line(101), "\r\n"), Err(Failure::Malformed(Malformed::LineTooLong(100))));
    assert_eq!(read("a".repeat(5000), ""), Err(Failure::Malformed(Malformed::LineTooLong(100))));
    assert_eq!(read(line(90).repeat(4), "\r\n"), Ok(204));
    assert_eq!(read(line(90).repeat(5), "\r\n"), Err(Failure::Malformed(Malformed::HeadTooLong(400))));
}

#[test]
fn any_number_of_fields_is_read() {
    let text = format!("HTTP/1.1 204 No Content\r\n{}\r\n", "X: 1\r\n".repeat(1000));
    assert_eq!(read_whole(&text).unwrap().1.fields.len(), 1000);
}
