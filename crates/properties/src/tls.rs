//! What the targets of TLS share: a client's handshake over a loopback connection, in one thread with its server.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use droplet_client::fault::Fault;
use droplet_client::net::socket::Socket;
use droplet_client::net::tls::{
    Handshake, HandshakeError, PeerName, Security, Sessions, Step, TlsPlan, TlsStream,
};
use droplet_client::os::sys::{self, PollFd};
use droplet_client::pool::permits::Permits;
use openssl::ssl::{SslContext, SslMethod, SslVersion};

use crate::loopback;

/// Longest time that something without a wait may take. It is generous: the machine may be busy.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(10);

/// A client, and the server's end of its connection.
pub(crate) struct Pair {
    pub(crate) client: Client,
    pub(crate) wire: Wire,
}

/// The state of a client.
pub(crate) enum Client {
    /// The handshake waits for the server.
    Pending(Box<Handshake>),
    /// The connection is secure.
    Done(Box<TlsStream>),
    /// The handshake has failed; true if another attempt without a session is allowed.
    Failed(HandshakeError, bool),
}

/// The server's end of a connection.
pub(crate) struct Wire(TcpStream);

/// Makes the context of a client.
pub(crate) fn client_context(version: SslVersion) -> SslContext {
    let mut context = SslContext::builder(SslMethod::tls_client()).expect("OpenSSL");
    context.set_max_proto_version(Some(version)).expect("a version");
    context.build()
}

impl Pair {
    /// Connects, and begins the handshake. Sessions are offered and kept.
    pub(crate) fn new(context: &SslContext, sessions: &Arc<Sessions>) -> Pair {
        let permit = Permits::new(Box::new(|_| {})).acquire(1).expect("the first");
        let socket = Socket::connect(loopback::address(), permit).expect("a socket");
        let mut fds = [PollFd::writable(&socket)];
        assert!(sys::wait(&mut fds, Some(Instant::now() + AT_ONCE)).expect("poll"), "no connection");
        socket.end_connect(&fds[0]).expect("connected");
        let wire = Wire(loopback::accept());
        let security = Security { context: context.clone(), read_timeout: Some(AT_ONCE) };
        let plan = TlsPlan {
            security,
            peer: PeerName::new("host.example"),
            sessions: Arc::clone(sessions),
            without_session: None,
        };
        let client = Client::of(Handshake::begin(plan, socket));
        Pair { client, wire }
    }

    /// Lets the client go on, if its handshake is under way. It must not wait.
    pub(crate) fn advance(&mut self) {
        let end = Client::Failed(HandshakeError::timed_out(), false);
        let began = Instant::now();
        self.client = match std::mem::replace(&mut self.client, end) {
            Client::Pending(handshake) => Client::of(handshake.advance()),
            other => other,
        };
        assert!(began.elapsed() < AT_ONCE, "a step of a handshake has waited");
    }

    /// Ends a handshake that waits for the server in vain.
    pub(crate) fn give_up(&mut self) {
        let end = Client::Failed(HandshakeError::timed_out(), false);
        self.client = match std::mem::replace(&mut self.client, end) {
            Client::Pending(handshake) => {
                let (_, error) = handshake.time_out();
                assert_eq!(error.fault, Fault::TimedOut);
                Client::Failed(error, false)
            }
            other => other,
        };
    }

    /// Checks that a failure is blamed on the host, which caused it.
    pub(crate) fn blames_the_host(&self) {
        if let Client::Failed(error, _) = &self.client {
            assert!(error.local_fault().is_none(), "{error:?}");
            assert_ne!(error.fault, Fault::Local, "{error:?}");
            assert!(!error.reason.is_empty());
        }
    }
}

impl Client {
    fn of(step: Step) -> Client {
        match step {
            Step::Pending(handshake) => Client::Pending(handshake),
            Step::Done(stream) => Client::Done(stream),
            Step::Failed(failed) => Client::Failed(failed.error, failed.retry_permit.is_some()),
        }
    }
}

impl Wire {
    /// Sends bytes to the client. What does not fit, or comes after the client has closed, is dropped.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.set_nonblocking(true).expect("a socket");
        let _ = self.0.write_all(bytes);
        self.0.set_nonblocking(false).expect("a socket");
    }

    /// Takes what the client has sent.
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 16384];
        self.0.set_nonblocking(true).expect("a socket");
        while let Ok(count @ 1..) = self.0.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..count]);
        }
        self.0.set_nonblocking(false).expect("a socket");
        bytes
    }

    /// Ends the stream to the client.
    pub(crate) fn end(&self) {
        let _ = self.0.shutdown(std::net::Shutdown::Write);
    }
}

/// Two queues in memory as the stream of a server.
#[derive(Default)]
pub(crate) struct Queues {
    pub(crate) from_client: Vec<u8>,
    pub(crate) to_client: Vec<u8>,
}

impl Read for Queues {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.from_client.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = buffer.len().min(self.from_client.len());
        buffer[..count].copy_from_slice(&self.from_client[..count]);
        self.from_client.drain(..count);
        Ok(count)
    }
}

impl Write for Queues {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to_client.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
