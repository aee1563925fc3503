//! Models of calls that wait at the limit, and of a pool whose host fails.

use std::ffi::CString;
use std::net::TcpListener;

use super::*;
use crate::os::sync::model::{explore, spawn};

/// A call on a context that allows one connection. It waits for that without end, and can connect.
struct PatientCall;

logs_nothing!(PatientCall);

impl Call<Fake> for PatientCall {
    fn settings(&self) -> Settings {
        Settings { wait: None, ..FakeCall.settings() }
    }
    fn limits(&self) -> pool::Limits {
        FakeCall.limits()
    }
    fn security(&self) -> Result<Option<Security>, Error> {
        Ok(None)
    }
    fn wrap(&self, stream: Stream, endpoint: &Arc<Endpoint>) -> Result<Fake, Error> {
        Ok(Fake::over(stream, endpoint))
    }
}

/// A context with one host, which accepts connections while the listener lives, and one connection, which is idle.
fn with_one_connection() -> (Arc<Fixture>, TcpListener) {
    let fixture = Fixture::new(0);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let name = CString::new(port.to_string()).expect("digits");
    let host = Host::new(name, Addresses::of("127.0.0.1", port), 1);
    fixture.hosts.insert(0, host, Box::new(NoObserver));
    fixture.release_new(1);
    (Arc::new(fixture), listener)
}

/// A thread uses the connection `times` times. Time stands still, so that it is stuck if it sleeps when its turn comes.
fn use_connection(fixture: &Fixture, in_use: &AtomicUsize, times: usize) {
    for _ in 0..times {
        let connection = fixture.client.checkout(&PatientCall, &fixture.hosts, &AtomicU32::new(0), None);
        let connection = connection.unwrap_or_else(|error| panic!("no connection: {error:?}"));
        assert_eq!(in_use.fetch_add(1, Ordering::Relaxed), 0, "two threads have the connection");
        crate::os::sync::yield_now();
        in_use.fetch_sub(1, Ordering::Relaxed);
        fixture.client.release(&PatientCall, connection);
    }
}

#[test]
fn nobody_sleeps_beside_a_free_connection() {
    explore("waiting at the limit", || {
        let (fixture, _listener) = with_one_connection();
        let in_use = Arc::new(AtomicUsize::new(0));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (fixture, in_use) = (Arc::clone(&fixture), Arc::clone(&in_use));
                spawn(move || use_connection(&fixture, &in_use, 2))
            })
            .collect();
        use_connection(&fixture, &in_use, 1);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(fixture.client.permits.waiters().length(), 0, "a call is left in the queue");
        assert_eq!((fixture.client.permits.open(), fixture.client.pool.idle()), (1, 1));
    });
}

/// A connection that is given back while its host fails is not left in the pool.
#[test]
fn a_host_that_fails_keeps_no_connection() {
    explore("suspended pool", || {
        let (fixture, _listener) = with_one_connection();
        let connection = fixture.checkout(0).ok().expect("it is idle");
        let user = {
            let fixture = Arc::clone(&fixture);
            spawn(move || fixture.client.release(&FakeCall, connection))
        };
        let endpoint = fixture.client.endpoint_of(&fixture.host(1));
        fixture.client.pool.suspend(endpoint.idle_set());
        user.join().unwrap();
        assert_eq!(fixture.client.pool.idle(), 0, "a connection from before is used again");
        assert_eq!(fixture.client.permits.open(), 0);
    });
}
