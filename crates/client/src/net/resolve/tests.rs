use std::cell::Cell;
use std::thread;

use super::*;
use crate::os::sys::{self, Event, PollFd};

fn named(text: &str) -> Arc<Addresses> {
    Addresses::of(text, 80)
}

fn at(seconds: u64) -> Moment {
    Moment::default().after(Duration::from_secs(1000 + seconds))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn one(last: u8) -> Vec<SocketAddr> {
    vec![SocketAddr::from(([127, 0, 0, last], 80))]
}

fn unknown() -> LookupError {
    LookupError::Resolver("unknown".to_owned())
}

fn ask_for(host: &Arc<Addresses>) -> look_up::Asked {
    look_up::ask(host.name(), Arc::downgrade(host)).map_err(|error| error.to_string()).unwrap()
}

impl Current {
    /// These addresses, and a look-up that never ends: nobody has asked for it who is still there.
    pub fn with_endless_look_up(addresses: &[SocketAddr]) -> Current {
        let look_up = look_up::LookUp::idle(named("endless.invalid").name());
        Current { addresses: addresses.into(), look_up: Some(look_up) }
    }
}

impl Addresses {
    /// Returns what a call at this second gets, if a look-up that is due then ends at once.
    fn at_second(
        &self,
        second: u64,
        look_up: impl FnOnce() -> Answer,
    ) -> Result<Vec<SocketAddr>, LookupError> {
        let is_due = self.state.lock().is_due(at(second));
        if is_due {
            self.learn_at(look_up(), at(second));
        }
        self.answer().map(|addresses| addresses.to_vec())
    }
}

#[test]
fn a_literal_is_never_looked_up() {
    for (text, port) in [("127.0.0.1", 80), ("::1", 81), ("127.1", 80), ("[::ffff:127.0.0.1]", 80)] {
        let addresses = Addresses::of(text, port);
        let found = addresses.at_second(0, || panic!("looked up")).unwrap();
        assert_eq!(*found, [SocketAddr::new(addresses.name().address().unwrap(), port)]);
        assert_eq!(addresses.literal, Some(found[0]));
        assert!(addresses.current().unwrap().look_up.is_none());
    }
    let known = Addresses::with_known(named("127.1").name().clone(), one(9), 80);
    let found = known.at_second(100, || panic!("looked up")).unwrap();
    assert_eq!(*found, *one(1), "not even if C states another address");
}

#[test]
fn another_order_of_the_addresses_is_no_change() {
    let addresses = named("name");
    let answers = [[1, 2, 3], [2, 3, 1], [3, 1, 2]].map(|answer| answer.into_iter().flat_map(one).collect());
    let answers: [Vec<SocketAddr>; 3] = answers;
    for (answer, second) in answers.iter().zip([0, 5, 10]) {
        let found = addresses.at_second(second, || Ok(answer.clone())).unwrap();
        assert_eq!(*found, **answer, "the latest order counts");
    }
    assert!(!addresses.have_changed());
    addresses.at_second(15, || Ok(answers[0][..2].to_vec())).unwrap();
    assert!(addresses.have_changed(), "one address is gone");
}

#[test]
fn the_first_addresses_after_a_failed_look_up_count_as_a_change() {
    let addresses = named("name");
    assert!(addresses.at_second(0, || Err(unknown())).is_err());
    let before = changes();
    addresses.at_second(5, || Ok(one(1))).unwrap();
    assert!(changes() > before, "a list may show it without an address");
    assert!(!addresses.have_changed(), "no connection leads to another address");
}

#[test]
fn a_name_is_looked_up_once_an_interval() {
    let addresses = named("name");
    let count = Cell::new(0);
    for second in 0..=10 {
        let found = addresses.at_second(second, || {
            count.set(count.get() + 1);
            Ok(one(1))
        });
        assert_eq!(*found.unwrap(), *one(1));
    }
    assert_eq!(count.get(), 3, "at seconds 0, 5 and 10");
    assert!(!addresses.have_changed(), "the answer was the same");
}

#[test]
fn other_addresses_count_as_a_change() {
    let addresses = named("name");
    addresses.at_second(0, || Ok(one(1))).unwrap();
    assert_eq!(addresses.at_second(5, || Ok(one(2))).unwrap(), one(2));
    assert!(addresses.have_changed());
}

#[test]
fn an_address_that_accepted_a_connection_comes_first_until_the_next_look_up() {
    let addresses = named("name");
    let three: Vec<SocketAddr> = (1..=3).flat_map(one).collect();
    let current = |second| addresses.at_second(second, || Ok(three.clone())).unwrap();
    assert_eq!(*current(0), *three);
    addresses.succeeded(three[1]);
    assert_eq!(*current(1), [three[1], three[2], three[0]]);
    addresses.succeeded(three[1]);
    addresses.succeeded("127.0.0.9:80".parse().unwrap());
    assert_eq!(*current(2), [three[1], three[2], three[0]]);
    assert_eq!(*addresses.known(), *three, "the host is known by the first");
    assert_eq!(*current(5), *three);
    assert!(!addresses.have_changed());
}

#[test]
fn a_failed_look_up_keeps_the_last_addresses() {
    let addresses = named("name");
    addresses.at_second(0, || Ok(one(1))).unwrap();
    assert_eq!(addresses.at_second(9, || Err(unknown())).unwrap(), one(1));
}

#[test]
fn a_failure_is_remembered_for_an_interval() {
    let addresses = named("name");
    assert!(addresses.at_second(0, || Err(unknown())).is_err());
    assert!(addresses.at_second(4, || Ok(one(1))).is_err());
    assert!(addresses.at_second(5, || Ok(one(1))).is_ok());
}

#[test]
fn a_local_error_lets_the_next_call_ask_again() {
    let addresses = named("name");
    let error = addresses.at_second(0, || Err(LookupError::Local(Error::System)));
    assert!(matches!(error, Err(LookupError::Local(Error::System))));
    assert!(addresses.at_second(0, || Ok(one(1))).is_ok());
}

#[test]
fn an_answer_has_the_port_of_the_host() {
    let found = Addresses::of("localhost", 81).wait(soon()).unwrap();
    assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 81));
    assert!(!found.is_empty());
}

#[test]
fn a_zone_is_looked_up_at_once() {
    let Current { addresses, look_up } = named("fe80::1%lo").current().unwrap();
    assert!(look_up.is_none(), "it takes no name server, and no thread");
    let [SocketAddr::V6(address)] = addresses[..] else { panic!("{addresses:?}") };
    assert!(address.scope_id() > 0);
}

#[test]
fn nobody_waits_for_a_look_up_while_an_address_is_known() {
    let addresses = named("name");
    addresses.learn(Ok(one(1)));
    addresses.state.lock().look_up = Some(LookUp::idle(addresses.name()));
    assert!(addresses.current().is_ok_and(|current| current.look_up.is_some()));
    assert!(addresses.wait(soon()).is_ok_and(|found| *found == *one(1)));
}

#[test]
fn those_who_ask_for_a_name_at_the_same_time_share_a_look_up() {
    let name = "x".repeat(64);
    let hosts: Vec<_> = (1..=8).map(|port| Addresses::of(&name, port)).collect();
    // Not begun, so that it does not end in between.
    let asked: Vec<_> = hosts.iter().map(ask_for).collect();
    assert!(asked.iter().all(|one| Arc::ptr_eq(&one.look_up, &asked[0].look_up)));
    let shared = Arc::clone(&asked[0].look_up);
    asked.into_iter().for_each(look_up::Asked::go_on);
    assert!(shared.wait(soon()));
    assert!(hosts.iter().all(|host| host.answer().is_err()), "each has the answer");
}

#[test]
fn the_end_of_a_look_up_is_an_event() {
    let host = named(&"y".repeat(64));
    let asked = ask_for(&host);
    let look_up = Arc::clone(&asked.look_up);
    let events = [look_up.event().unwrap(), look_up.event().unwrap()];
    assert!(Arc::ptr_eq(&events[0], &events[1]), "one for all who wait");
    let has_come =
        |event: &Arc<Event>, until| sys::wait(&mut [PollFd::readable(&**event)], Some(until)).unwrap();
    assert!(!has_come(&events[0], Instant::now()));
    thread::spawn(|| asked.go_on());
    assert!(has_come(&events[0], soon()));
    drop(events);
    assert!(look_up.is_over() && has_come(&look_up.event().unwrap(), Instant::now()), "also for the late");
}
