//! Calls whose hosts do not answer, or are being probed.

use std::ffi::CString;
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;

use socket2::{Domain, Type};

use super::super::attempt::Attempt;
use super::super::happy_eyeballs::HappyEyeballs;
use super::*;
use crate::hosts::AttemptGuard;
use crate::net::connect::{ConnectPlan, Connecting};

/// A call that can connect to two hosts at once.
struct DialCall {
    /// The connect timeout of the call and of its first attempt.
    timeout: Duration,
    /// The connect timeout of later attempts.
    later_timeout: Duration,
    /// The number of attempts that can begin. Then this side lacks what they need.
    most_attempts: usize,
    /// True if no connection is allowed when the second attempt begins, and one at any other time.
    has_little_room: bool,
    /// The times at which attempts began.
    began: Mutex<Vec<Instant>>,
    /// The number of times that it looked for an interruption: before each attempt, and after each wait.
    looks: AtomicUsize,
}

impl DialCall {
    fn new(timeout: Duration) -> DialCall {
        DialCall {
            timeout,
            later_timeout: timeout,
            most_attempts: usize::MAX,
            has_little_room: false,
            began: Mutex::default(),
            looks: AtomicUsize::new(0),
        }
    }

    fn looks(&self) -> usize {
        self.looks.load(Ordering::Relaxed)
    }
}

logs_nothing!(DialCall);

impl Call<Fake> for DialCall {
    fn settings(&self) -> Settings {
        let connections = match (self.has_little_room, self.looks(), self.began.lock().unwrap().len()) {
            (false, ..) => 10,
            (true, 2.., 1) => 0,
            (true, ..) => 1,
        };
        let connect_timeout = if self.looks() == 1 { self.timeout } else { self.later_timeout };
        Settings { connections, connect_timeout, ..FakeCall.settings() }
    }
    fn limits(&self) -> pool::Limits {
        FakeCall.limits()
    }
    fn interruption(&self) -> Option<Interruption> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        None
    }
    fn security(&self) -> Result<Option<Security>, Error> {
        let mut began = self.began.lock().unwrap();
        began.push(Instant::now());
        if began.len() <= self.most_attempts { Ok(None) } else { Err(Error::Invalid) }
    }
    fn wrap(&self, stream: Stream, endpoint: &Arc<Endpoint>) -> Result<Fake, Error> {
        Ok(Fake::over(stream, endpoint))
    }
}

/// A host that answers no SYN, because connections that nobody accepts fill its queue.
struct SilentHost {
    listener: socket2::Socket,
    _queue: Vec<TcpStream>,
}

impl SilentHost {
    fn new() -> SilentHost {
        let listener = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let mut host = SilentHost { listener, _queue: Vec::new() };
        while let Ok(queued) = TcpStream::connect_timeout(&host.address(), Duration::from_millis(100)) {
            host._queue.push(queued);
        }
        host
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap().as_socket().unwrap()
    }
}

impl Fixture {
    /// Hosts at these addresses, with the handles 1, 2, 3 ...
    pub fn at(addresses: &[SocketAddr]) -> Fixture {
        let fixture = Fixture::new(0);
        for (place, address) in addresses.iter().enumerate() {
            let port = CString::new(address.port().to_string()).unwrap();
            let addresses = Addresses::of(&address.ip().to_string(), address.port());
            fixture.hosts.insert(place, Host::new(port, addresses, place + 1), Box::new(NoObserver));
        }
        fixture
    }

    /// Begins the probe of a host.
    fn probe(&self, handle: usize) -> AttemptGuard {
        let host = self.host(handle);
        self.hosts.blacklist(&host, Moment::now(), Some(Duration::ZERO), Fault::TimedOut);
        self.hosts.begin_probe(Moment::now(), |other| Arc::ptr_eq(other, &host)).expect("a probe")
    }

    fn dial(&self, call: &DialCall) -> Result<usize, Error> {
        let connection = self.client.checkout(call, &self.hosts, &AtomicU32::new(0), None)?;
        Ok(connection.endpoint.host().expect("a host of the list").handle())
    }
}

#[test]
fn a_call_ends_at_its_deadline_and_leaves_the_attempts_that_began_later() {
    let hosts = [(); 2].map(|()| SilentHost::new());
    let fixture = Fixture::at(&hosts.each_ref().map(SilentHost::address));
    let call =
        DialCall { later_timeout: Duration::from_secs(5), ..DialCall::new(Duration::from_millis(400)) };
    assert_eq!(fixture.dial(&call), Err(Error::Failure));
    assert_eq!(call.began.lock().unwrap().len(), 2);
    assert_eq!(fixture.client.statistics().connecting, 1, "the attempt that has time left goes on");
}

#[test]
fn a_call_sleeps_while_nothing_happens() {
    let silent = SilentHost::new();
    let fixture = Fixture::at(&[silent.address()]);
    let call = DialCall::new(Duration::from_millis(1500));
    assert_eq!(fixture.dial(&call), Err(Error::Failure));
    assert!(call.looks() <= 10, "{} looks", call.looks());
}

#[test]
fn a_call_that_looks_after_the_probe_of_another_sleeps_meanwhile() {
    let silent = SilentHost::new();
    let fixture = Fixture::at(&[silent.address(), ([127, 0, 0, 1], 9).into()]);
    let probe = fixture.probe(2);
    let call = DialCall::new(Duration::from_millis(1500));
    assert_eq!(fixture.dial(&call), Err(Error::Failure));
    assert!(call.looks() <= 100, "{} looks", call.looks());
    drop(probe);
}

#[test]
fn a_call_whose_attempt_is_slow_goes_on_with_the_parked_probe_of_another_host() {
    let (silent, listener) = (SilentHost::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let fixture = Fixture::at(&[silent.address(), listener.local_addr().unwrap()]);
    let endpoint = fixture.client.endpoint_of(&fixture.host(2));
    let plan = ConnectPlan {
        addresses: Arc::clone(endpoint.addresses()),
        timeout: Duration::from_secs(100),
        time_left: Duration::from_secs(100),
        permits: Arc::clone(&fixture.client.permits),
        tls: None,
    };
    let current = endpoint.addresses().current().unwrap();
    let connecting = Connecting::new(plan, current, fixture.client.permits.acquire(1), Instant::now());
    let mut attempts = HappyEyeballs::default();
    attempts.add(Attempt { endpoint, guard: Some(fixture.probe(2)), connecting });
    fixture.client.park(attempts);
    assert_eq!(fixture.dial(&DialCall::new(Duration::from_secs(5))), Ok(2));
}

#[test]
fn the_probe_of_another_host_shortens_no_head_start() {
    let hosts = [(); 2].map(|()| SilentHost::new());
    let fixture = Fixture::at(&[hosts[0].address(), hosts[1].address(), ([127, 0, 0, 1], 9).into()]);
    let probe = fixture.probe(3);
    let call = DialCall::new(Duration::from_millis(1000));
    assert_eq!(fixture.dial(&call), Err(Error::Failure));
    let began = call.began.lock().unwrap();
    assert!(began[1] - began[0] >= Duration::from_millis(200), "{:?}", began[1] - began[0]);
    drop(probe);
}

#[test]
fn a_lack_on_this_side_ends_no_attempt_that_is_under_way() {
    let hosts = [(); 2].map(|()| SilentHost::new());
    let fixture = Fixture::at(&[hosts[0].address(), hosts[1].address(), ([127, 0, 0, 1], 9).into()]);
    let probe = fixture.probe(3);
    let call = DialCall { most_attempts: 1, ..DialCall::new(Duration::from_millis(1500)) };
    assert_eq!(fixture.dial(&call), Err(Error::Failure), "the first host has not answered");
    let states = fixture.hosts.statuses();
    assert!(matches!(states[0].state, CircuitState::Open { .. }), "{:?}", states[0].state);
    assert_eq!(states[1].state, CircuitState::Closed, "blamed for what this side lacks");
    assert!(call.looks() <= 10, "{} looks: it looks for hosts that it cannot connect to", call.looks());
    drop(probe);
}

#[test]
fn a_host_is_tried_although_there_was_no_room_when_its_turn_came() {
    let (silent, listener) = (SilentHost::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let fixture = Fixture::at(&[silent.address(), listener.local_addr().unwrap()]);
    let call = DialCall { has_little_room: true, ..DialCall::new(Duration::from_secs(5)) };
    assert_eq!(fixture.dial(&call), Ok(2));
}
