//! Tests of replies in the Rust interface (package droplet-client), against servers on loopback that say what the test
//! wants.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::thread;
use std::time::Duration;

use droplet_client::Context;
use socket2::SockRef;

fn context_over(host: SocketAddr) -> Context {
    Context::from_profile(&format!("host = {host}")).expect("a good profile")
}

/// A server that sends a text, whatever it is asked, and then closes the connection if `closes`. It serves one connection.
fn server_saying(text: &'static str, closes: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a connection");
        let mut request = [0; 1000];
        while client.read(&mut request).is_ok_and(|count| count > 0) {
            if client.write_all(text.as_bytes()).is_err() || closes {
                return;
            }
        }
    });
    address
}

/// Returns the status and the body of the reply to a request on a new connection.
fn reply_of(context: &Context, request: &str) -> io::Result<(u16, String)> {
    let mut connection = context.connect().expect("connected");
    connection.write_all(request.as_bytes())?;
    let mut reply = connection.reply()?;
    let mut body = String::new();
    reply.read_to_string(&mut body)?;
    Ok((reply.status(), body))
}

const GET: &str = "GET / HTTP/1.1\r\n\r\n";

#[test]
fn replies_are_read_to_their_end() {
    const LENGTH: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello";
    const CHUNKS: &str =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    for (text, request, status, body) in
        [(LENGTH, GET, 404, "hello"), (CHUNKS, GET, 200, "hello"), (HEAD, "HEAD / HTTP/1.1\r\n\r\n", 200, "")]
    {
        let address = server_saying(text, false);
        let context = context_over(address);
        for reused in 0..2 {
            assert_eq!(reply_of(&context, request).expect(text), (status, body.to_owned()));
            assert_eq!(context.statistics().reused, reused);
            assert_eq!(context.statistics().idle, 1, "{text}: others may use it");
        }
    }
}

#[test]
fn a_reply_may_be_the_last_of_its_connection() {
    for text in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 404",
    ] {
        let address = server_saying(text, true);
        let context = context_over(address);
        assert_eq!(reply_of(&context, GET).expect(text), (200, "hello".to_owned()));
        assert_eq!(context.statistics().idle, 0, "{text}: nobody else gets it");
    }
}

#[test]
fn an_empty_write_is_no_request() {
    let context = context_over(server_saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false));
    let mut connection = context.connect().expect("connected");
    connection.write_all(GET.as_bytes()).expect("written");
    connection.reply().expect("a reply").read_to_end(&mut Vec::new()).expect("the whole");
    assert_eq!(connection.write(b"").expect("written"), 0);
    drop(connection);
    assert_eq!(context.statistics().idle, 1, "no reply is missing");
}

#[test]
fn broken_replies_are_errors() {
    for (text, kind) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 27400\r\n\r\nhello", io::ErrorKind::UnexpectedEof),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", io::ErrorKind::InvalidData),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", io::ErrorKind::InvalidData),
    ] {
        let context = context_over(server_saying(text, true));
        assert_eq!(reply_of(&context, GET).expect_err(text).kind(), kind);
        assert_eq!(context.statistics().idle, 0, "{text}: nobody else gets it");
    }
}

#[test]
fn a_reply_can_be_gone_on_with() {
    const TEXT: &str = "HTTP/1.1 200 OK\r\nETag: 1\r\netag: 2\r\nContent-Length: 10\r\n\r\nhelloworld";
    let context = context_over(server_saying(TEXT, false));
    let mut connection = context.connect().expect("connected");
    connection.write_all(GET.as_bytes()).expect("written");
    let mut reply = connection.reply().expect("a reply");
    assert_eq!(reply.field("ETAG").as_deref(), Some("1"));
    assert_eq!(reply.field("Location"), None);
    let named: Vec<_> = reply.fields().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    assert_eq!(named[1], (b"etag".to_vec(), b"2".to_vec()));
    let mut half = [0; 5];
    reply.read_exact(&mut half).expect("half of it");
    assert_eq!(&half, b"hello");
    let mut rest = String::new();
    connection.reply().expect("the same").read_to_string(&mut rest).expect("the other half");
    assert_eq!(rest, "world");
    connection.write_all(GET.as_bytes()).expect("another request");
    connection.reply().expect("its reply").read_exact(&mut half).expect("half of it");
    let error = connection.write_all(GET.as_bytes()).expect_err("it is not at its end");
    assert!(error.to_string().contains("not read to its end"), "{error}");
    drop(connection);
    assert_eq!(context.statistics().idle, 0, "nobody else gets the other half");
}

#[test]
fn a_reply_that_is_half_read_is_not_complete() {
    const TEXT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nhello";
    let context = context_over(server_saying(TEXT, false));
    let mut connection = context.connect().expect("connected");
    connection.write_all(GET.as_bytes()).expect("written");
    assert_eq!(connection.reply().expect("a head").status(), 200);
    let mut half = [0; 5];
    connection.reply().expect("the same").read_exact(&mut half).expect("half of it");
    connection.reply_complete();
    drop(connection);
    assert_eq!(context.statistics().idle, 0, "nobody else gets the other half");
}

#[test]
fn a_reply_that_was_not_begun_may_be_read_in_another_way() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let context = context_over(listener.local_addr().expect("bound"));
    let mut connection = context.connect().expect("connected");
    let (mut server, _) = listener.accept().expect("a connection");
    connection.write_all(GET.as_bytes()).expect("written");
    connection.set_read_timeout(Some(Duration::ZERO));
    let error = connection.reply().err().expect("nothing has come");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    server.write_all(b"hello").expect("said");
    connection.set_read_timeout(Some(Duration::from_secs(10)));
    connection.read_exact(&mut [0; 5]).expect("the program reads");
    connection.reply_complete();
    connection.write_all(GET.as_bytes()).expect("the next request");
    server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("said");
    assert_eq!(connection.reply().expect("its reply").status(), 204);
    drop(connection);
    assert_eq!(context.statistics().idle, 1, "others may use it");
}

#[test]
fn a_stated_limit_is_learned() {
    const TEXT: &str = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 5\r\n\r\nhello";
    let context = context_over(server_saying(TEXT, false));
    reply_of(&context, GET).expect("a reply");
    assert_eq!(context.statistics().idle, 1, "others may use it");
    thread::sleep(Duration::from_millis(1200));
    drop(context.connect());
    assert_eq!(context.statistics().reused, 0, "but not after that time");
}

#[test]
fn a_long_field_needs_a_header_size() {
    let text = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 5\r\n\r\nhello", "x".repeat(150_000));
    let text: &'static str = text.leak();
    for (header_size, is_read) in [(8192, false), (200_000, true)] {
        let host = server_saying(text, true);
        let profile = format!("host = {host}\nheader_size = {header_size}");
        let context = Context::from_profile(&profile).expect("a good profile");
        assert_eq!(reply_of(&context, GET).is_ok(), is_read, "{header_size}");
    }
}

/// A server that answers one request after the other on one connection: of whatever method, with the head that says that
/// five bytes follow, and with those unless it is a HEAD.
fn server_of_hello() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        let (client, _) = listener.accept().expect("a connection");
        let mut lines = BufReader::new(&client).lines().map_while(Result::ok);
        while let Some(request) = lines.next() {
            lines.by_ref().find(|line| line.is_empty());
            let body = if request.starts_with("HEAD ") { "" } else { "hello" };
            let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{body}");
            if (&client).write_all(reply.as_bytes()).is_err() {
                return;
            }
        }
    });
    address
}

#[test]
fn requests_are_recognised_in_whatever_pieces_they_are_written() {
    let context = context_over(server_of_hello());
    let mut connection = context.connect().expect("connected");
    connection.set_read_timeout(Some(Duration::from_secs(10)));
    // The last one is no request that the library knows: then nothing of the HEAD before it applies.
    for (method, version, body) in [
        ("GET", "HTTP/1.1", "hello"),
        ("HEAD", "HTTP/1.1", ""),
        ("GET", "HTTP/1.1", "hello"),
        ("HEAD", "HTTP/1.1", ""),
        ("GET", "HTTP/3", "hello"),
    ] {
        write!(connection, "{method} /a {version}\r\nHost: h\r\n\r\n").expect("written");
        let mut text = String::new();
        connection.reply().expect("a reply").read_to_string(&mut text).expect(method);
        assert_eq!(text, body, "{method}");
    }
    connection.write_all(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n").expect("written");
    let mut reply = [0; 38];
    connection.read_exact(&mut reply).expect("a reply that the program reads by itself");
    assert!(reply.ends_with(b"\r\n\r\n"));
    connection.reply_complete();
    connection.write_all(b"GET / HTTP/3\r\nHost: h\r\n\r\n").expect("written");
    let mut text = String::new();
    connection.reply().expect("a reply").read_to_string(&mut text).expect("a body");
    assert_eq!(text, "hello");
}

#[test]
fn a_body_may_begin_like_a_request() {
    const TEXT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let context = context_over(server_saying(TEXT, false));
    let mut connection = context.connect().expect("connected");
    connection.set_read_timeout(Some(Duration::from_secs(10)));
    connection.write_all(b"PUT / HTTP/1.1\r\nContent-Length: 12\r\n\r\n").expect("written");
    let mut half = [0; 2];
    connection.reply().expect("a reply that comes early").read_exact(&mut half).expect("half of it");
    connection.write_all(b"HEAD x").expect("a part of the body");
    connection.write_all(b"I am x").expect("another part");
    let mut rest = String::new();
    connection.reply().expect("the same").read_to_string(&mut rest).expect("the other half");
    assert_eq!(rest, "llo");
}

#[test]
fn bytes_after_a_reply_are_no_reply_to_the_next_request() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let context = context_over(listener.local_addr().expect("bound"));
    let mut connection = context.connect().expect("connected");
    let (mut server, _) = listener.accept().expect("a connection");
    connection.write_all(GET.as_bytes()).expect("written");
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").expect("a reply");
    let mut body = String::new();
    let mut reply = connection.reply().expect("a reply");
    assert_eq!(reply.read(&mut []).expect("nothing is asked for"), 0);
    reply.read_to_string(&mut body).expect("its body");
    assert_eq!(body, "hello");
    server.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").expect("nobody asked");
    // SAFETY: the connection keeps its socket open.
    let socket = unsafe { BorrowedFd::borrow_raw(connection.as_raw_fd()) };
    SockRef::from(&socket).peek(&mut [MaybeUninit::uninit()]).expect("they arrive");
    let error = connection.write_all(GET.as_bytes()).expect_err("they would be taken for its reply");
    assert_eq!(error.kind(), io::ErrorKind::NotConnected);
    assert!(error.to_string().contains("sent more than the last reply"), "{error}");
    drop(connection);
    assert_eq!(context.statistics().idle, 0, "nobody else gets it");
}
