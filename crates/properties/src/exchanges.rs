//! C's functions that read a reply, over a socket, against the reader in Rust. The first byte is a set of flags, the second
//! the size of the read buffer, the third that of the pieces that are sent and read. The rest is what the server sends.

use std::ffi::CString;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ptr;
use std::slice;

use droplet_client::http::Limits;
use droplet_client::http::reader::Reply;
use droplet_client::http::reply::Expected;
use libc::{c_char, c_int, c_uint, c_void};

use crate::c::{self, Connection, Context, Dict};
use crate::loopback;
use crate::replies::{Gathered, Pieces, read_in_pieces};

/// Bits of the first byte.
const IS_HEAD: u8 = 1;
const EXPECTS_CONTINUE: u8 = 2;
const HAS_BUFFER: u8 = 4;
const DROPS_DATA: u8 = 8;
/// Two bits: the function that reads.
const READER: u8 = 0x30;
const INTO_MEMORY: u8 = 0x10;
const INTO_FUNCTIONS: u8 = 0x20;

/// States of a host in the statistics.
const AVAILABLE: i32 = 0;
const OUT: i32 = 2;

/// What should be read.
struct Truth {
    /// `None` if the reply is invalid or cut short.
    reply: Option<(Reply, Gathered)>,
    /// True if the reply ends before the connection does, and nothing follows it.
    ends_by_itself: bool,
}

/// One request on a connection, and how its reply is read.
struct Exchange<'a> {
    flags: u8,
    piece: usize,
    text: &'a [u8],
    truth: Truth,
}

/// Checks the properties on these bytes.
pub fn check(bytes: &[u8]) {
    let Some((&[flags, read_buf_size, piece], text)) = bytes.split_first_chunk::<3>() else { return };
    c::be_quiet();
    let is_step = flags & READER != INTO_MEMORY && flags & READER != INTO_FUNCTIONS;
    let expected = Expected {
        body: flags & IS_HEAD == 0,
        data: flags & DROPS_DATA == 0 || is_step,
        // Step by step, a request that was written at once does not wait for it.
        continuation: flags & EXPECTS_CONTINUE != 0 && !is_step,
        limits: Limits::of_lines(8192),
    };
    let truth = Truth::of(text, expected);
    let exchange = Exchange { flags, piece: usize::from(piece).max(1), text, truth };
    let size = usize::from(read_buf_size).max(1);
    let profile = format!("host = {}\nread_timeout = 20\nread_buf_size = {size}", loopback::address());
    let profile = CString::new(profile).expect("no NUL");
    // SAFETY: a string; the context is used by this thread only, and no more after it was freed.
    unsafe {
        let context = c::dplx_ctx_new(profile.as_ptr());
        assert!(!context.is_null());
        exchange.run(context);
        c::dplx_ctx_free(context);
    }
    assert!(loopback::accept_if_any().is_none(), "a connection that nobody asked for");
}

impl Truth {
    fn of(text: &[u8], expected: Expected) -> Truth {
        let read =
            |stays_open| read_in_pieces(Pieces::new(text, vec![usize::MAX], stays_open), expected).ok();
        let (closed, open) = (read(false), read(true));
        let is_sure = |reply: &Reply| !reply.is_presumed_empty && !reply.lacks_last_line;
        let ends_by_itself =
            open.is_some_and(|(reply, _, used)| is_sure(&reply) && used == text.len() && !reply.is_last);
        Truth { reply: closed.map(|(reply, gathered, _)| (reply, gathered)), ends_by_itself }
    }

    /// Returns whether the connection can serve another request.
    fn is_reusable(&self) -> bool {
        self.ends_by_itself
            && self.reply.as_ref().is_some_and(|(reply, _)| !matches!(reply.status, 100 | 101))
    }
}

impl Exchange<'_> {
    /// # Safety
    /// The context is valid.
    unsafe fn run(&self, context: *mut Context) {
        // SAFETY: the context is valid, and connections are given back once.
        unsafe {
            let connection = c::dplx_connect(context, 20_000);
            assert!(!connection.is_null(), "no connection");
            let mut server = loopback::accept();
            self.ask(connection, &mut server);
            let mut ended_early = false;
            let blames = match self.flags & READER {
                INTO_MEMORY => self.read_into_memory(connection, server.try_clone().expect("a socket")),
                INTO_FUNCTIONS => self.read_by_functions(connection, server.try_clone().expect("a socket")),
                _ => {
                    ended_early = self.read_in_steps(connection, &mut server);
                    false
                }
            };
            assert_eq!(host_state(context), if blames { OUT } else { AVAILABLE }, "blame");
            c::dpl_conn_release(connection);
            if !blames {
                self.check_next(context, ended_early);
            }
        }
    }

    /// Writes a request, which the server reads.
    unsafe fn ask(&self, connection: *mut Connection, server: &mut TcpStream) {
        let method = if self.flags & IS_HEAD != 0 { "HEAD" } else { "GET" };
        let expect = if self.flags & EXPECTS_CONTINUE != 0 { "Expect: 100-continue\r\n" } else { "" };
        let request = format!("{method} / HTTP/1.1\r\nHost: h\r\n{expect}\r\n");
        // SAFETY: a connection of this thread's, and a text of this length.
        let written =
            unsafe { c::dplx_conn_write(connection, request.as_ptr().cast(), request.len(), 20_000) };
        assert_eq!(written, c::SUCCESS);
        let mut received = vec![0; request.len()];
        server.read_exact(&mut received).expect("the request");
        assert_eq!(received, request.as_bytes());
    }

    /// Sends the whole text, and the end of the connection unless the reply ends by itself.
    fn send(&self, mut server: TcpStream) {
        server.write_all(self.text).expect("room in the socket");
        if !self.truth.ends_by_itself {
            server.shutdown(Shutdown::Write).expect("a socket");
        }
    }

    /// Reads by `dpl_read_http_reply_ext`. Returns whether the host is to blame.
    unsafe fn read_into_memory(&self, connection: *mut Connection, server: TcpStream) -> bool {
        self.send(server);
        let is_provided = self.flags & HAS_BUFFER != 0 && self.flags & DROPS_DATA == 0;
        let mut provided = vec![0xAA_u8; self.piece];
        let mut data: *mut c_char = if is_provided { provided.as_mut_ptr().cast() } else { ptr::null_mut() };
        let mut length = if is_provided { self.piece as c_uint } else { 7 };
        let mut fields: *mut Dict = ptr::null_mut();
        let mut closes: c_int = 7;
        let datap = if self.flags & DROPS_DATA == 0 { &raw mut data } else { ptr::null_mut() };
        let expects = c_int::from(self.flags & IS_HEAD == 0);
        // SAFETY: the connection is this thread's, and the others are writable; the buffer has the size in `length`. What
        // was returned is freed once.
        unsafe {
            let status = c::dpl_read_http_reply_ext(
                connection,
                expects,
                c_int::from(is_provided),
                datap,
                &raw mut length,
                &raw mut fields,
                &raw mut closes,
            );
            let Some((reply, gathered)) = &self.truth.reply else {
                assert_eq!(status, c::FAILURE, "an invalid reply was read");
                c::dpl_dict_free(fields);
                if !is_provided {
                    libc::free(data.cast());
                }
                return true;
            };
            assert_eq!(status, c::dpl_map_http_status(c_int::from(reply.status)));
            assert_eq!(closes != 0, reply.is_last);
            let body = &gathered.body[..];
            if self.flags & DROPS_DATA != 0 {
                assert_eq!(length, 0);
            } else if is_provided {
                let count = body.len().min(self.piece);
                assert_eq!((length as usize, &provided[..count]), (count, &body[..count]));
                assert!(provided[count..].iter().all(|byte| *byte == 0xAA), "beyond the body");
            } else {
                assert_eq!(length as usize, body.len());
                if !body.is_empty() {
                    assert_eq!(slice::from_raw_parts(data.cast::<u8>(), body.len()), body);
                }
                libc::free(data.cast());
            }
            check_fields(fields, gathered);
            c::dpl_dict_free(fields);
            reply.status / 100 == 5
        }
    }

    /// Reads by `dpl_read_http_reply_buffered`, which blames nobody.
    unsafe fn read_by_functions(&self, connection: *mut Connection, server: TcpStream) -> bool {
        self.send(server);
        let mut gathered = Gathered::default();
        let mut status: c_int = 7;
        let has_data = self.flags & DROPS_DATA == 0;
        // SAFETY: the connection is this thread's; the functions take `gathered`.
        let result = unsafe {
            c::dpl_read_http_reply_buffered(
                connection,
                c_int::from(self.flags & IS_HEAD == 0),
                &raw mut status,
                Some(take_field),
                has_data.then_some(take_data as c::DataFunction),
                (&raw mut gathered).cast(),
            )
        };
        match &self.truth.reply {
            Some((reply, expected)) => {
                assert_eq!((result, status), (c::SUCCESS, c_int::from(reply.status)));
                let body = if has_data { &expected.body[..] } else { &[] };
                assert_eq!((&gathered.fields, &gathered.body[..]), (&expected.fields, body));
            }
            None => assert_eq!((result, status), (c::FAILURE, 7)),
        }
        false
    }

    /// Reads by `dplx_reply_status` and `dplx_reply_read`, which do not wait: each piece is read as far as it goes before
    /// the next is sent. Returns whether the reply was over before all was sent: what follows the last chunk is not waited
    /// for.
    unsafe fn read_in_steps(&self, connection: *mut Connection, server: &mut TcpStream) -> bool {
        let mut pieces = self.text.chunks(self.piece);
        let mut has_ended = false;
        let mut body = Vec::new();
        let mut buffer = vec![0_u8; self.piece];
        let mut status = None;
        // SAFETY: the connection is this thread's, and the buffer has this size.
        unsafe {
            let outcome = loop {
                let result = match status {
                    None => c::dplx_reply_status(connection, 0) as isize,
                    Some(_) => c::dplx_reply_read(connection, buffer.as_mut_ptr().cast(), buffer.len(), 0),
                };
                match (result, status) {
                    (c::ETIMEOUT, _) => match pieces.next() {
                        Some(piece) => server.write_all(piece).expect("room in the socket"),
                        None if has_ended => panic!("timed out after the end"),
                        None if self.truth.ends_by_itself => panic!("waits for more than the reply"),
                        None => {
                            server.shutdown(Shutdown::Write).expect("a socket");
                            has_ended = true;
                        }
                    },
                    (100..=999, None) => status = Some(result as c_int),
                    (1.., Some(_)) => body.extend_from_slice(&buffer[..result as usize]),
                    (0, Some(_)) => break Ok(()),
                    (error, _) => break Err(error as c_int),
                }
            };
            match (&self.truth.reply, outcome) {
                (Some((reply, expected)), Ok(())) => {
                    assert_eq!(status, Some(c_int::from(reply.status)));
                    assert_eq!(body, expected.body);
                    check_values(connection, expected);
                }
                (None, Err(error)) => assert_eq!(error, c::FAILURE),
                (truth, outcome) => panic!("{outcome:?}, {truth:?}"),
            }
            let ended_early = pieces.len() > 0;
            // The rest of the text comes as well: nobody may get it.
            pieces.for_each(|piece| server.write_all(piece).expect("room in the socket"));
            ended_early
        }
    }

    /// Checks that the next checkout gets the same connection if that is clean, and a new one otherwise.
    unsafe fn check_next(&self, context: *mut Context, ended_early: bool) {
        // SAFETY: the context is valid, and the connection is given back once.
        unsafe {
            let next = c::dplx_connect(context, 20_000);
            assert!(!next.is_null());
            let fresh = loopback::accept_if_any();
            let may_be_kept = self.truth.is_reusable();
            let states_limits =
                self.truth.reply.as_ref().is_some_and(|(reply, _)| reply.keep_alive.is_some());
            assert!(fresh.is_some() || may_be_kept, "a connection with a reply on it was lent again");
            assert!(
                fresh.is_none() || !may_be_kept || states_limits || ended_early,
                "a clean connection was closed"
            );
            c::dpl_conn_terminate(next);
        }
    }
}

/// Checks a dictionary of fields: the last of several values counts.
unsafe fn check_fields(fields: *const Dict, gathered: &Gathered) {
    let mut expected = std::collections::BTreeMap::new();
    for (name, value) in &gathered.fields {
        expected.insert(name.to_ascii_lowercase(), value.clone());
    }
    // SAFETY: a dictionary of strings.
    let found = unsafe { c::texts(fields) };
    assert_eq!(found.len(), expected.len());
    assert!(found.into_iter().all(|(name, value)| expected.get(&name) == Some(&value)));
}

/// Checks the values of each name that C can ask for.
unsafe fn check_values(connection: *mut Connection, expected: &Gathered) {
    for (name, _) in &expected.fields {
        let same = expected.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let name = c::c_string(name);
        let values = (0..).map_while(|index| {
            // SAFETY: the connection is this thread's.
            unsafe { c::copied(c::dplx_reply_field(connection, name.as_ptr(), index)) }
        });
        assert_eq!(values.collect::<Vec<_>>(), same.map(|(_, value)| value.clone()).collect::<Vec<_>>());
    }
}

/// Returns the state of the only host.
unsafe fn host_state(context: *mut Context) -> i32 {
    let mut statistics = c::HostStatistics {
        size: size_of::<c::HostStatistics>(),
        host: [0; 256],
        port: [0; 8],
        state: -1,
        fault: -1,
    };
    // SAFETY: a valid context, and room for one element.
    assert_eq!(unsafe { c::dplx_host_stats(context, &raw mut statistics, 1) }, 1);
    statistics.state
}

unsafe extern "C" fn take_field(into: *mut c_void, name: *const c_char, value: *const c_char) -> c_int {
    // SAFETY: `into` is a Gathered; the others are strings.
    unsafe {
        let entry = (c::copied(name).expect("a name"), c::copied(value).expect("a value"));
        (*into.cast::<Gathered>()).fields.push(entry);
    }
    c::SUCCESS
}

unsafe extern "C" fn take_data(into: *mut c_void, data: *mut c_char, length: c_uint) -> c_int {
    // SAFETY: `into` is a Gathered; there are `length` bytes.
    unsafe {
        let bytes = slice::from_raw_parts(data.cast::<u8>(), length as usize);
        (*into.cast::<Gathered>()).body.extend_from_slice(bytes);
    }
    c::SUCCESS
}
