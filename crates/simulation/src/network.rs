//! Connections over the simulated network: the client's side is a socket, the server's side is in `servers`.

use std::collections::VecDeque;
use std::ffi::c_int;
use std::net::SocketAddrV4;

use crate::servers::{Condition, Remote};
use crate::threads::{MICROSECOND, MILLISECOND, SECOND, Time};
use crate::world::World;

/// The bytes that a socket takes before its peer has read some.
const ROOM: usize = 64 * 1024;

/// Something that is going to happen.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A connect arrives at the server.
    Syn(usize),
    /// The answer to a connect arrives at the client: 0, or an error.
    Answer(usize, c_int),
    /// Bytes arrive at the server.
    ToServer(usize, Vec<u8>),
    /// The end of the stream arrives at the server, or a reset.
    EndToServer(usize),
    /// Bytes arrive at the client.
    ToClient(usize, Vec<u8>),
    /// The end of the stream arrives at the client.
    EndToClient(usize),
    /// A reset arrives at the client.
    Reset(usize),
    /// The server begins the reply to its request of this number.
    Reply(usize, usize),
    /// The server sends a reply that nobody asked for.
    Extra(usize),
    /// The server closes the connection, if it has been idle since its request of this number.
    IdleClose(usize, usize),
}

/// The phase of a socket's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It was made.
    New,
    /// connect(2) is under way.
    Connecting,
    /// It is connected, or was.
    Connected,
    /// The connect has failed.
    Failed,
}

/// A socket, and the connection behind it.
pub struct Socket {
    /// The phase of its life.
    pub phase: Phase,
    /// The address that it connects to.
    pub peer: Option<SocketAddrV4>,
    /// The number of the server there.
    pub server: Option<usize>,
    /// The error that the next call reports.
    pub error: c_int,
    /// Bytes that came and were not read.
    pub unread: VecDeque<u8>,
    /// The time at which the oldest unread byte came.
    pub unread_since: Time,
    /// True once the peer's end of the stream has come.
    pub has_ended: bool,
    /// The time at which the end or a reset came.
    pub over_since: Option<Time>,
    /// True once the client has shut it down.
    pub is_shut: bool,
    /// True once the client has closed it.
    pub is_closed: bool,
    /// True if calls on it do not wait.
    pub is_nonblocking: bool,
    /// True in a forked child, if its parent has opened it.
    pub is_inherited: bool,
    /// The time of the connect.
    pub begin: Time,
    /// The bytes that were sent.
    pub sent: u64,
    /// The bytes that came.
    pub received: u64,
    /// The time at which it sent last.
    pub last_sent: Time,
    /// The time at which it heard of its peer last.
    pub last_heard: Time,
    /// Bytes under way to the server.
    under_way: usize,
    to_server_at: Time,
    /// The time at which the last bytes to the client arrive.
    pub to_client_at: Time,
    /// The server's side.
    pub remote: Remote,
}

impl Socket {
    /// A new socket.
    pub fn new(is_nonblocking: bool) -> Socket {
        Socket {
            phase: Phase::New,
            peer: None,
            server: None,
            error: 0,
            unread: VecDeque::new(),
            unread_since: 0,
            has_ended: false,
            over_since: None,
            is_shut: false,
            is_closed: false,
            is_nonblocking,
            is_inherited: false,
            begin: 0,
            sent: 0,
            received: 0,
            last_sent: 0,
            last_heard: 0,
            under_way: 0,
            to_server_at: 0,
            to_client_at: 0,
            remote: Remote::default(),
        }
    }

    /// Returns the number of bytes that it takes now.
    pub fn room(&self) -> usize {
        ROOM.saturating_sub(self.under_way)
    }
}

impl World {
    fn delay(&mut self, socket: usize) -> Time {
        let server = self.sockets[socket].server;
        let latency = server.map_or(0, |server| self.servers[server].latency);
        latency + self.random.u64(0..50 * MICROSECOND)
    }

    /// Begins a connect.
    pub fn connect(&mut self, number: usize, peer: SocketAddrV4) {
        let server = self.servers.iter().position(|server| server.address == peer);
        let now = self.now;
        let socket = &mut self.sockets[number];
        socket.peer = Some(peer);
        socket.server = server;
        socket.phase = Phase::Connecting;
        socket.begin = now;
        self.trace(|| format!("socket {number} connects to {peer}"));
        let delay = self.delay(number);
        self.after(delay, Event::Syn(number));
    }

    /// Sends bytes from the client.
    pub fn send_to_server(&mut self, number: usize, bytes: Vec<u8>) {
        let now = self.now;
        let arrival = (now + self.delay(number)).max(self.sockets[number].to_server_at);
        let socket = &mut self.sockets[number];
        socket.to_server_at = arrival;
        socket.last_sent = now;
        socket.sent += bytes.len() as u64;
        socket.under_way += bytes.len();
        self.at(arrival, Event::ToServer(number, bytes));
    }

    /// Tells the server that the client has ended the connection.
    pub fn end_to_server(&mut self, number: usize) {
        let arrival = (self.now + self.delay(number)).max(self.sockets[number].to_server_at);
        self.sockets[number].to_server_at = arrival;
        self.at(arrival, Event::EndToServer(number));
    }

    /// Has an event arrive at the client, after those that were sent before.
    pub fn send_to_client(&mut self, number: usize, event: Event) {
        let arrival = (self.now + self.delay(number)).max(self.sockets[number].to_client_at);
        self.sockets[number].to_client_at = arrival;
        self.at(arrival, event);
    }

    /// Lets an event happen.
    pub fn handle(&mut self, event: Event) {
        match event {
            Event::Syn(socket) => self.syn(socket),
            Event::Answer(socket, error) => self.answer(socket, error),
            Event::ToServer(socket, bytes) => self.arrive(socket, bytes),
            Event::EndToServer(socket) => self.sockets[socket].remote.is_left = true,
            Event::ToClient(number, bytes) => {
                let now = self.now;
                let socket = &mut self.sockets[number];
                if socket.is_closed || socket.error != 0 {
                    return;
                }
                if socket.unread.is_empty() {
                    socket.unread_since = now;
                }
                socket.received += bytes.len() as u64;
                socket.last_heard = now;
                socket.unread.extend(bytes);
            }
            Event::EndToClient(number) => {
                let now = self.now;
                let socket = &mut self.sockets[number];
                if !socket.is_closed && socket.over_since.is_none() {
                    socket.has_ended = true;
                    socket.last_heard = now;
                    socket.over_since = Some(now);
                    self.trace(|| format!("socket {number} gets the end of the stream"));
                }
            }
            Event::Reset(number) => {
                let now = self.now;
                let socket = &mut self.sockets[number];
                if !socket.is_closed && socket.phase == Phase::Connected {
                    socket.phase = Phase::Failed;
                    socket.error = libc::ECONNRESET;
                    socket.over_since.get_or_insert(now);
                    self.trace(|| format!("socket {number} is reset"));
                }
            }
            Event::Reply(socket, request) => self.reply(socket, request),
            Event::Extra(socket) => self.send_extra(socket),
            Event::IdleClose(socket, request) => self.close_if_idle(socket, request),
        }
    }

    /// A connect arrives at its server.
    fn syn(&mut self, number: usize) {
        if self.sockets[number].is_closed {
            return;
        }
        let Some(server) = self.sockets[number].server else {
            return self.send_to_client(number, Event::Answer(number, libc::ECONNREFUSED));
        };
        let error = match self.servers[server].condition {
            Condition::Deaf => {
                self.servers[server].blame("a connect gets no answer");
                // The kernel sends it again: after 1 s, 3 s, 7 s.
                let age = self.now - self.sockets[number].begin;
                return self.after(age.max(SECOND), Event::Syn(number));
            }
            Condition::Refusing => libc::ECONNREFUSED,
            Condition::Unreachable => libc::EHOSTUNREACH,
            Condition::Up | Condition::Slamming | Condition::Broken => 0,
        };
        if error != 0 {
            self.servers[server].blame("a connect is refused");
        }
        let slowness = self.servers[server].slowness;
        if slowness > 50 * MILLISECOND {
            self.servers[server].blame("a connect is slow");
        }
        let arrival = self.now + slowness + self.delay(number);
        self.sockets[number].to_client_at = arrival;
        self.at(arrival, Event::Answer(number, error));
        if error == 0 {
            self.sockets[number].remote.is_open = true;
        }
    }

    /// The answer to a connect arrives at the client.
    fn answer(&mut self, number: usize, error: c_int) {
        let now = self.now;
        let socket = &mut self.sockets[number];
        if socket.is_closed || socket.phase != Phase::Connecting {
            return;
        }
        socket.last_heard = now;
        socket.error = error;
        socket.phase = if error == 0 { Phase::Connected } else { Phase::Failed };
        if error == 0 {
            self.accepted(number);
        }
    }

    /// Bytes of the client arrive at the server.
    fn arrive(&mut self, number: usize, bytes: Vec<u8>) {
        let Some(server) = self.sockets[number].server else { return };
        if self.servers[server].condition == Condition::Deaf {
            // They stay under way, and are lost.
            self.servers[server].blame("bytes are lost");
            self.sockets[number].remote.has_lost = true;
            return;
        }
        let socket = &mut self.sockets[number];
        socket.under_way -= bytes.len();
        if socket.remote.is_left {
            return;
        }
        if socket.remote.is_over || socket.remote.has_lost {
            return self.send_to_client(number, Event::Reset(number));
        }
        self.serve(number, &bytes);
    }
}
