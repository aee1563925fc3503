//! The servers: what they do with a connection, and how they answer. A request states the reply that it wants.

use std::net::SocketAddrV4;

use crate::http::{self, Kind, Request};
use crate::network::Event;
use crate::threads::{MILLISECOND, Time};
use crate::tls::Session;
use crate::world::World;

/// What a server does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It serves.
    Up,
    /// It refuses connects.
    Refusing,
    /// Nothing that is sent to it gets an answer.
    Deaf,
    /// There is no route to it.
    Unreachable,
    /// It accepts connections and resets them.
    Slamming,
    /// It accepts connections and sends something that is neither TLS nor HTTP.
    Broken,
}

/// A server.
pub struct Server {
    /// Its address.
    pub address: SocketAddrV4,
    /// What it does now.
    pub condition: Condition,
    /// The time that a segment takes to it or from it.
    pub latency: Time,
    /// The time that it takes to answer a connect.
    pub slowness: Time,
    /// The time after which it closes an idle connection.
    pub idle_limit: Option<Time>,
    /// The number of requests after which it closes a connection.
    pub most_requests: Option<usize>,
    /// True if it resets a handshake that offers a session.
    pub rejects_sessions: bool,
    /// Since this time it has served without a fault.
    pub healthy_since: Option<Time>,
    /// The number of times that it gave cause for blame.
    pub causes: u64,
    /// The last cause.
    pub last_cause: &'static str,
}

impl Server {
    /// A server that serves.
    pub fn new(address: SocketAddrV4, latency: Time) -> Server {
        Server {
            address,
            condition: Condition::Up,
            latency,
            slowness: 0,
            idle_limit: None,
            most_requests: None,
            rejects_sessions: false,
            healthy_since: Some(0),
            causes: 0,
            last_cause: "none",
        }
    }

    /// Notes that it gave cause for blame.
    pub fn blame(&mut self, cause: &'static str) {
        self.causes += 1;
        self.last_cause = cause;
    }
}

/// The server's side of a connection.
#[derive(Default)]
pub struct Remote {
    /// True once the server has answered the connect.
    pub is_open: bool,
    /// True once the server has ended or reset it.
    pub is_over: bool,
    /// True once the client has ended it.
    pub is_left: bool,
    /// True once bytes were lost, because the server was deaf.
    pub has_lost: bool,
    /// Bytes of a request that is not complete.
    incoming: Vec<u8>,
    /// The number of bytes that belong to a request which was answered early.
    owed: usize,
    /// The requests so far.
    pub requests: Vec<Request>,
    /// The number of requests that were answered.
    pub answered: usize,
    /// The time until which a reply arrives that nobody asked for.
    pub extra_until: Time,
    /// The server's side of TLS.
    pub tls: Option<Box<Session>>,
}

impl Remote {
    /// True if it has answered a request, and none waits for its reply.
    pub fn is_idle_after_use(&self) -> bool {
        self.answered > 0 && self.answered == self.requests.len() && self.incoming.is_empty()
    }
}

impl World {
    fn server_of(&mut self, number: usize) -> &mut Server {
        let server = self.sockets[number].server.expect("a connected socket has a server");
        &mut self.servers[server]
    }

    /// A connection is open at the client.
    pub fn accepted(&mut self, number: usize) {
        let (condition, is_secure) = (self.server_of(number).condition, self.program.config.is_secure);
        match condition {
            Condition::Slamming => self.reset(number, "a new connection is reset"),
            Condition::Broken => {
                self.server_of(number).blame("it does not speak the protocol");
                self.send_to_client(number, Event::ToClient(number, b"\x00\x01nonsense\r\n\r\n".to_vec()));
                self.end(number, "it does not speak the protocol");
            }
            _ if is_secure => {
                self.sockets[number].remote.tls = Some(Box::new(Session::new()));
            }
            _ => {}
        }
        self.expect_idle_close(number);
    }

    /// The server resets a connection.
    pub fn reset(&mut self, number: usize, cause: &'static str) {
        let remote = &mut self.sockets[number].remote;
        if !remote.is_open || remote.is_over {
            return;
        }
        remote.is_over = true;
        if !remote.is_idle_after_use() {
            self.server_of(number).blame(cause);
        }
        self.send_to_client(number, Event::Reset(number));
    }

    /// The server ends a connection.
    pub fn end(&mut self, number: usize, cause: &'static str) {
        let remote = &mut self.sockets[number].remote;
        if !remote.is_open || remote.is_over {
            return;
        }
        remote.is_over = true;
        let last = remote.tls.as_mut().map(|tls| tls.close()).unwrap_or_default();
        if !remote.is_idle_after_use() {
            self.server_of(number).blame(cause);
        }
        if !last.is_empty() {
            self.send_to_client(number, Event::ToClient(number, last));
        }
        self.send_to_client(number, Event::EndToClient(number));
    }

    /// Bytes arrive at a server that serves.
    pub fn serve(&mut self, number: usize, bytes: &[u8]) {
        let mut plain = bytes.to_vec();
        if self.sockets[number].remote.tls.is_some() {
            let rejects = self.server_of(number).rejects_sessions;
            let remote = &mut self.sockets[number].remote;
            let Some(tls) = remote.tls.as_mut() else { return };
            let outcome = tls.receive(bytes, rejects);
            if outcome.is_rejected {
                // The client's session is at fault, and not the server.
                remote.is_over = true;
                return self.send_to_client(number, Event::Reset(number));
            }
            plain = outcome.plain;
            if !outcome.sent.is_empty() {
                self.send_to_client(number, Event::ToClient(number, outcome.sent));
            }
            if outcome.has_failed {
                return self.end(number, "TLS fails");
            }
        }
        self.sockets[number].remote.incoming.extend(plain);
        loop {
            let remote = &mut self.sockets[number].remote;
            let owed = remote.owed.min(remote.incoming.len());
            remote.owed -= owed;
            remote.incoming.drain(..owed);
            let Some((request, length)) = Request::parse(&remote.incoming) else { return };
            remote.incoming.drain(..length);
            remote.owed = request.left_out();
            let place = remote.requests.len();
            let delay = request.delay;
            remote.requests.push(request);
            self.after(delay, Event::Reply(number, place));
        }
    }

    /// The server begins a reply.
    pub fn reply(&mut self, number: usize, place: usize) {
        let is_deaf = self.server_of(number).condition == Condition::Deaf;
        let socket = &mut self.sockets[number];
        if socket.remote.is_over || socket.remote.is_left {
            return;
        }
        if is_deaf || socket.remote.has_lost {
            socket.remote.has_lost = true;
            return self.server_of(number).blame("a reply is lost");
        }
        if place > socket.remote.answered {
            // Those before it come first.
            return self.after(MILLISECOND, Event::Reply(number, place));
        }
        let request = socket.remote.requests[place].clone();
        if let Some(cause) = request.kind.cause() {
            self.server_of(number).blame(cause);
        }
        self.answer_with(number, request.reply());
        self.sockets[number].remote.answered += 1;
        match request.kind {
            Kind::Cut | Kind::UntilClose | Kind::Close => self.end(number, "a reply is cut short"),
            Kind::Reset => self.reset(number, "a reply is cut short"),
            Kind::Extra => self.send_extra(number),
            Kind::LateExtra => {
                let delay = self.random.u64(..20 * MILLISECOND);
                self.after(delay, Event::Extra(number));
            }
            _ => {}
        }
        let most = self.server_of(number).most_requests;
        if most.is_some_and(|most| place + 1 >= most) {
            self.end(number, "it has served enough");
        }
        self.expect_idle_close(number);
    }

    /// The server sends a reply that nobody asked for.
    pub fn send_extra(&mut self, number: usize) {
        let remote = &self.sockets[number].remote;
        if remote.is_over || remote.is_left || remote.has_lost {
            return;
        }
        self.answer_with(number, http::EXTRA.to_vec());
        self.sockets[number].remote.extra_until = self.sockets[number].to_client_at;
    }

    fn answer_with(&mut self, number: usize, plain: Vec<u8>) {
        let sent = match &mut self.sockets[number].remote.tls {
            Some(tls) => tls.send(&plain),
            None => plain,
        };
        for piece in sent.chunks(self.random.usize(200..8000)) {
            self.send_to_client(number, Event::ToClient(number, piece.to_vec()));
        }
    }

    fn expect_idle_close(&mut self, number: usize) {
        if let Some(limit) = self.server_of(number).idle_limit {
            let requests = self.sockets[number].remote.requests.len();
            self.after(limit, Event::IdleClose(number, requests));
        }
    }

    /// The server closes a connection that has been idle since a request.
    pub fn close_if_idle(&mut self, number: usize, requests: usize) {
        let is_deaf = self.server_of(number).condition == Condition::Deaf;
        let remote = &self.sockets[number].remote;
        let is_in_handshake = remote.tls.as_ref().is_some_and(|tls| !tls.is_open());
        let is_idle = remote.requests.len() == requests && remote.answered == requests && !is_in_handshake;
        if is_idle && !remote.is_left && !is_deaf {
            self.end(number, "it closes a connection that was never used");
        }
    }

    /// Changes what a server does. One that dies resets its connections.
    pub fn change(&mut self, server: usize, condition: Condition) {
        let before = self.servers[server].condition;
        self.trace(|| format!("server {server} is {condition:?}"));
        self.servers[server].condition = condition;
        if condition == Condition::Refusing || before == Condition::Deaf {
            let own = (0..self.sockets.len()).filter(|number| self.sockets[*number].server == Some(server));
            for number in own.collect::<Vec<_>>() {
                if condition == Condition::Refusing || self.sockets[number].remote.has_lost {
                    self.reset(number, "it dies");
                }
            }
        }
        self.review_health(server);
    }

    /// Notes whether a server serves without a fault.
    pub fn review_health(&mut self, number: usize) {
        let now = self.now;
        let server = &mut self.servers[number];
        let is_healthy = server.condition == Condition::Up && server.slowness < 50 * MILLISECOND;
        server.healthy_since = is_healthy.then(|| server.healthy_since.unwrap_or(now));
    }
}
