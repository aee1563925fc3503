//! A server on the loopback interface, in the thread of its client.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

thread_local! {
    static LISTENER: TcpListener = TcpListener::bind("127.0.0.1:0").expect("a port");
}

/// Returns the address that [`accept`] takes connections of.
pub(crate) fn address() -> SocketAddr {
    LISTENER.with(|listener| listener.local_addr().expect("bound"))
}

/// Takes the connection of a client that has connected.
pub(crate) fn accept() -> TcpStream {
    let (stream, _) = LISTENER.with(TcpListener::accept).expect("a client has connected");
    stream.set_nodelay(true).expect("a socket");
    // What should be there is there. Nothing waits for longer than this.
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
    stream
}

/// Takes a connection, if a client has connected.
pub(crate) fn accept_if_any() -> Option<TcpStream> {
    LISTENER.with(|listener| {
        listener.set_nonblocking(true).expect("a socket");
        let accepted = listener.accept();
        listener.set_nonblocking(false).expect("a socket");
        match accepted {
            Ok((stream, _)) => Some(stream),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    })
}
