//! Open connections: which of them are pooled after a use, what they count as, and what their end teaches.

use std::ffi::CString;
use std::io::{IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use openssl::ssl::{SslContext, SslMethod, SslVersion};
use socket2::SockRef;

mod uses;

use super::super::open_connection::OpenConnection;
use super::*;
use crate::net::stream::TransferError;
use crate::net::tls::tests::acceptor;
use crate::os::sys::PollFd;
use crate::pool::metrics::{CLOSE_REASONS, NAMES};
use crate::pool::{Announced, Known};

const LONG: Option<Duration> = Some(Duration::from_secs(30));

/// A call whose connections can be used without limit.
struct OpenCall<'a>(&'a Served);

logs_nothing!(OpenCall<'_>);

impl Call<OpenConnection> for OpenCall<'_> {
    fn settings(&self) -> Settings {
        Settings { connections: 10, ..FakeCall.settings() }
    }
    fn limits(&self) -> pool::Limits {
        pool::Limits::new(Duration::from_secs(100), u32::MAX)
    }
    fn security(&self) -> Result<Option<Security>, Error> {
        let security = |context: &SslContext| Security { context: context.clone(), read_timeout: LONG };
        Ok(self.0.tls.as_ref().map(security))
    }
    fn wrap(&self, stream: Stream, endpoint: &Arc<Endpoint>) -> Result<OpenConnection, Error> {
        let metrics = Arc::clone(self.0.client.metrics());
        Ok(OpenConnection::new(stream, Some(Arc::clone(endpoint)), metrics))
    }
}

/// A client with one host, which this process serves.
struct Served {
    client: Client<OpenConnection>,
    hosts: Arc<Hosts>,
    listener: TcpListener,
    /// The settings of TLS; `None` for plain connections.
    tls: Option<SslContext>,
}

impl Served {
    fn new() -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let number = listener.local_addr().unwrap().port();
        let port = CString::new(number.to_string()).unwrap();
        let hosts = Hosts::new();
        let host = Host::new(port, Addresses::of("127.0.0.1", number), 1);
        hosts.insert(0, host, Box::new(NoObserver));
        Served { client: Client::new(Box::new(|_| {})), hosts, listener, tls: None }
    }

    fn checkout(&self) -> OpenConnection {
        let connection = self.client.checkout(&OpenCall(self), &self.hosts, &AtomicU32::new(0), None);
        connection.unwrap_or_else(|error| panic!("no connection: {error:?}"))
    }

    fn release(&self, connection: OpenConnection) {
        self.client.release(&OpenCall(self), connection);
    }

    /// Opens a connection. Returns it with the server's end.
    fn open(&self) -> (OpenConnection, TcpStream) {
        assert_eq!(self.client.pool.idle(), 0);
        (self.checkout(), self.listener.accept().unwrap().0)
    }

    /// Opens a connection and uses it `uses` times, and once more.
    fn reused(&self, uses: usize) -> (OpenConnection, TcpStream) {
        let (mut connection, mut server) = self.open();
        for _ in 0..uses {
            exchange(&mut connection, &mut server);
            self.release(connection);
            connection = self.checkout();
        }
        assert_eq!(connection.reuses(), uses as u32);
        (connection, server)
    }

    /// The limits of the server that are known.
    fn known(&self) -> Known {
        self.client.endpoint_of(&self.hosts.all()[0]).idle_set().known()
    }

    /// Takes a connection back. Returns the reason why it was closed; `None` if it was pooled.
    fn outcome(&self, connection: OpenConnection) -> Option<&'static CStr> {
        let before = self.client.metrics().counts().closed;
        self.release(connection);
        let after = self.client.metrics().counts().closed;
        let why = (0..CLOSE_REASONS).find(|why| after[*why] > before[*why]).map(|why| NAMES[why]);
        assert_eq!(self.client.pool.idle(), u64::from(why.is_none()));
        why
    }
}

fn write(connection: &mut OpenConnection) {
    connection.write_all(&mut [IoSlice::new(b"ping")], LONG).unwrap();
}

fn read(connection: &mut OpenConnection) -> Result<usize, TransferError> {
    connection.read(&mut [0; 64], LONG)
}

/// Sends a request and reads its reply.
fn exchange(connection: &mut OpenConnection, server: &mut TcpStream) {
    write(connection);
    server.read_exact(&mut [0; 4]).unwrap();
    server.write_all(b"pong").unwrap();
    assert_eq!(read(connection).unwrap(), 4);
}

/// Reads up to the end, which the server sends now.
fn read_end(connection: &mut OpenConnection, server: &mut TcpStream) {
    server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read(connection).unwrap(), 0);
}

/// Sends a request, for which the server closes the connection.
fn lose_reply(connection: &mut OpenConnection, server: &mut TcpStream) {
    write(connection);
    read_end(connection, server);
}

/// The name of a use of a connection, what it does, and what is expected of it.
type Use<R> = (&'static str, fn(&mut OpenConnection, &mut TcpStream), R);

#[test]
fn a_connection_that_the_pool_rejects_counts_by_the_reason() {
    let served = Served::new();
    let host = &served.hosts.all()[0];
    let set = || served.client.endpoint_of(host);
    let announce = |uses| {
        let announced = Announced { idle: None, uses };
        set().idle_set().announce(announced, || Duration::ZERO, Moment::now());
    };
    let connection = served.open().0;
    announce(Some(1));
    assert_eq!(served.outcome(connection), Some(c"used up"), "the server allows one use");
    announce(None);
    let (connection, other) = (served.open().0, served.open().0);
    served.client.pool.suspend(set().idle_set());
    assert_eq!(served.outcome(connection), Some(c"host out"));
    served.client.pool.close(set().idle_set());
    assert_eq!(served.outcome(other), Some(c"left"));
}

/// The bookkeeping of the pool is about the thread that uses a connection now.
#[test]
fn a_connection_goes_to_the_shard_of_the_thread_that_took_it() {
    let served = Served::new();
    let (connection, _server) = served.open();
    served.release(connection);
    thread::scope(|scope| {
        let elsewhere = scope.spawn(|| {
            let connection = served.checkout();
            assert!(connection.shard() == ShardNumber::own());
            served.release(connection);
        });
        elsewhere.join().unwrap();
    });
}

#[test]
fn a_host_is_excused_for_a_reused_connection_on_which_nothing_came() {
    let uses: [Use<bool>; 6] = [
        ("the end", read_end, true),
        ("the end after a request", lose_reply, true),
        (
            "the end after a reply",
            |connection, server| {
                exchange(connection, server);
                read_end(connection, server);
            },
            false,
        ),
        (
            "silence",
            |connection, _| {
                write(connection);
                assert!(matches!(
                    connection.read(&mut [0], Some(Duration::ZERO)),
                    Err(TransferError::TimedOut)
                ));
            },
            false,
        ),
        (
            "the end after silence",
            |connection, server| {
                write(connection);
                assert!(connection.read(&mut [0], Some(Duration::ZERO)).is_err());
                read_end(connection, server);
            },
            true,
        ),
        (
            "a reply that the program has read",
            |connection, _| connection.note_foreign_reads(true, false),
            false,
        ),
    ];
    for (name, act, expected) in uses {
        let served = Served::new();
        let (mut connection, mut server) = served.reused(1);
        act(&mut connection, &mut server);
        assert_eq!(connection.excuse().is_some(), expected, "{name}");
        let (mut connection, mut server) = Served::new().open();
        act(&mut connection, &mut server);
        assert_eq!(connection.excuse(), None, "{name}, on a new connection");
    }
    let (mut connection, _server) = Served::new().reused(1);
    connection.note_foreign_reads(false, true);
    assert_eq!(connection.excuse(), None, "the program has waited for a reply in vain");
}

/// Lets a reused connection have been idle for ten seconds, and ends it when it is used.
fn end_after_ten_seconds(served: &Served, end: impl Fn(&mut OpenConnection, &mut TcpStream)) {
    // Another connection is none that ended in the same event.
    thread::sleep(3 * clock::TICK);
    let (mut connection, mut server) = served.reused(1);
    connection.set_idle_since(Moment::now().before(Duration::from_secs(10)));
    end(&mut connection, &mut server);
}

#[test]
fn requests_that_got_no_answer_teach_the_idle_time_of_a_server() {
    let served = Served::new();
    end_after_ten_seconds(&served, lose_reply);
    assert_eq!(served.known(), Known::default(), "one may have another reason");
    end_after_ten_seconds(&served, lose_reply);
    let idle = served.known().idle.expect("an idle time");
    assert!((Duration::from_secs(8)..Duration::from_secs(10)).contains(&idle), "{idle:?}");
}

#[test]
fn requests_that_were_answered_teach_no_idle_time() {
    let served = Served::new();
    for _ in 0..2 {
        end_after_ten_seconds(&served, |connection, server| {
            exchange(connection, server);
            read_end(connection, server);
        });
    }
    assert_eq!(served.known(), Known::default());
}

#[test]
fn a_connection_teaches_once() {
    let served = Served::new();
    let (mut connection, mut server) = served.reused(1);
    lose_reply(&mut connection, &mut server);
    connection.excuse();
    assert_eq!(served.known(), Known::default(), "its server may have been restarted");
}

#[test]
fn a_reset_without_a_request_teaches_no_limit_on_requests() {
    let served = Served::new();
    for _ in 0..2 {
        let (mut connection, server) = served.reused(1);
        thread::sleep(Duration::from_millis(150));
        connection.set_idle_since(Moment::now().before(Duration::from_millis(120)));
        SockRef::from(&server).set_linger(Some(Duration::ZERO)).unwrap();
        drop(server);
        assert!(matches!(read(&mut connection), Err(TransferError::Io(_))));
    }
    assert_eq!(served.known().uses, None);
}

#[test]
fn a_connection_that_ended_before_its_release_was_not_idle() {
    let (connection, server) = Served::new().open();
    server.shutdown(Shutdown::Write).unwrap();
    thread::sleep(Duration::from_millis(200));
    let now = Moment::now();
    let ending = Poolable::ending(&connection, now.before(Duration::from_millis(50)), now).expect("an end");
    assert_eq!((ending.idle, ending.uses), (Duration::ZERO, 1));
    let months_later = now.after(Duration::from_secs(100 * 24 * 60 * 60));
    let late = Poolable::ending(&connection, now, months_later).expect("an end");
    assert_eq!(late.opened, ending.opened, "no clock begins anew meanwhile");
}

/// Two connections that end after two requests each show a limit, unless another one has served more.
#[test]
fn a_connection_that_served_more_requests_shows_that_there_is_no_limit() {
    for (others_uses, expected) in [(0, Some(2)), (9, None)] {
        let served = Served::new();
        served.reused(others_uses);
        for _ in 0..2 {
            thread::sleep(3 * clock::TICK);
            let (mut connection, mut server) = served.reused(1);
            exchange(&mut connection, &mut server);
            server.shutdown(Shutdown::Write).unwrap();
            let deadline = Some(Instant::now() + Duration::from_secs(30));
            assert!(sys::wait(&mut [PollFd::readable(&connection.stream)], deadline).unwrap());
            served.release(connection);
            // The next checkout finds its end, and connects.
            drop((served.checkout(), served.listener.accept().unwrap()));
        }
        assert_eq!(served.known().uses, expected, "another connection was reused {others_uses} times");
    }
}

/// A session of TLS may be why a new connection fails before its first reply. Nothing else is.
#[test]
fn a_resumed_session_is_blamed_for_a_new_connection_without_a_reply_only() {
    let mut served = Served::new();
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    context.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
    served.tls = Some(context.build());
    let server = served.listener.try_clone().unwrap();
    thread::spawn(move || {
        let acceptor = acceptor();
        let accept = |stream: std::io::Result<TcpStream>| acceptor.accept(stream.unwrap()).unwrap();
        let _open: Vec<_> = server.incoming().take(3).map(accept).collect();
        // Until the test has ended.
        thread::park();
    });
    let first = served.checkout();
    served.release(first);
    assert!(served.client.pool.close_oldest());
    let resumed = || {
        let mut connection = served.checkout();
        assert!(connection.stream.tls().is_some_and(|tls| tls.was_resumed()));
        connection
    };
    let mut connection = resumed();
    connection.note_foreign_reads(true, false);
    assert_eq!(connection.excuse(), None, "it has had a reply");
    served.release(connection);
    let mut connection = served.checkout();
    assert_eq!(connection.reuses(), 1);
    assert_eq!(connection.excuse(), Some("a reused connection went stale"));
    let mut connection = resumed();
    assert_eq!(connection.excuse(), Some("a connection that resumed a TLS session failed"));
}
