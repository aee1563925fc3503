use std::cell::Cell;

use super::*;

fn host_name(text: &str) -> HostName {
    HostName::new(&std::ffi::CString::new(text).unwrap()).unwrap()
}

fn named(text: &str) -> Addresses {
    Addresses::new(host_name(text), 80)
}

fn at(seconds: u64) -> Moment {
    Moment::default().after(Duration::from_secs(1000 + seconds))
}

const LONG: Duration = Duration::from_secs(10);

fn one(last: u8) -> Vec<SocketAddr> {
    vec![SocketAddr::from(([127, 0, 0, last], 80))]
}

fn unknown() -> LookupError {
    LookupError::Resolver("unknown".to_owned())
}

#[test]
fn a_literal_is_never_looked_up() {
    for (text, port) in [("127.0.0.1", 80), ("::1", 81), ("127.1", 80), ("[::ffff:127.0.0.1]", 80)] {
        let addresses = Addresses::new(host_name(text), port);
        let found = addresses.current_from(|| at(0), LONG, |_, _| panic!("looked up")).unwrap();
        assert_eq!(*found, [SocketAddr::new(addresses.name().address().unwrap(), port)]);
        assert_eq!(addresses.literal, Some(found[0]));
    }
    let known = Addresses::with_known(host_name("127.1"), one(9), 80);
    let found = known.current_from(|| at(100), LONG, |_, _| panic!("looked up")).unwrap();
    assert_eq!(*found, *one(1), "not even if C states another address");
}

#[test]
fn another_order_of_the_addresses_is_no_change() {
    let addresses = named("name");
    let answers = [[1, 2, 3], [2, 3, 1], [3, 1, 2]].map(|answer| answer.into_iter().flat_map(one).collect());
    let answers: [Vec<SocketAddr>; 3] = answers;
    for (answer, second) in answers.iter().zip([0, 5, 10]) {
        let found = addresses.current_from(|| at(second), LONG, |_, _| Ok(answer.clone())).unwrap();
        assert_eq!(*found, **answer, "the latest order counts");
    }
    assert!(!addresses.have_changed());
    addresses.current_from(|| at(15), LONG, |_, _| Ok(answers[0][..2].to_vec())).unwrap();
    assert!(addresses.have_changed(), "one address is gone");
}

#[test]
fn the_first_addresses_after_a_failed_look_up_count_as_a_change() {
    let addresses = named("name");
    assert!(addresses.current_from(|| at(0), LONG, |_, _| Err(unknown())).is_err());
    let before = changes();
    addresses.current_from(|| at(5), LONG, |_, _| Ok(one(1))).unwrap();
    assert!(changes() > before, "a list may show it without an address");
    assert!(!addresses.have_changed(), "no connection leads to another address");
}

#[test]
fn a_zone_is_looked_up_without_a_name_server() {
    let addresses = named("fe80::1%lo");
    let found = addresses.current(LONG).unwrap();
    let [SocketAddr::V6(address)] = found[..] else { panic!("{found:?}") };
    assert!(address.scope_id() > 0);
    assert_eq!(addresses.literal, None);
}

#[test]
fn mapped_addresses_become_ipv4_addresses() {
    assert_eq!(canonical("[::ffff:127.0.0.1]:80".parse().unwrap()), one(1)[0]);
    for text in ["[::1]:80", "[fe80::1%3]:80"] {
        let address: SocketAddr = text.parse().unwrap();
        assert_eq!(canonical(address), address);
    }
}

#[test]
fn a_name_is_looked_up_once_an_interval() {
    let addresses = named("name");
    let count = Cell::new(0);
    for second in 0..=10 {
        let found = addresses.current_from(
            || at(second),
            LONG,
            |_, _| {
                count.set(count.get() + 1);
                Ok(one(1))
            },
        );
        assert_eq!(*found.unwrap(), *one(1));
    }
    assert_eq!(count.get(), 3, "at seconds 0, 5 and 10");
    assert!(!addresses.have_changed(), "the answer was the same");
}

#[test]
fn other_addresses_count_as_a_change() {
    let addresses = named("name");
    addresses.current_from(|| at(0), LONG, |_, _| Ok(one(1))).unwrap();
    let found = addresses.current_from(|| at(5), LONG, |_, _| Ok(one(2))).unwrap();
    assert_eq!(*found, *one(2));
    assert!(addresses.have_changed());
}

#[test]
fn an_address_that_accepted_a_connection_comes_first_until_the_next_look_up() {
    let addresses = named("name");
    let three: Vec<SocketAddr> = (1..=3).flat_map(one).collect();
    let current = |second| addresses.current_from(|| at(second), LONG, |_, _| Ok(three.clone())).unwrap();
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
    addresses.current_from(|| at(0), LONG, |_, _| Ok(one(1))).unwrap();
    let found = addresses.current_from(|| at(9), LONG, |_, _| Err(unknown()));
    assert_eq!(*found.unwrap(), *one(1));
}

#[test]
fn a_failure_is_remembered_for_an_interval() {
    let addresses = named("name");
    assert!(addresses.current_from(|| at(0), LONG, |_, _| Err(unknown())).is_err());
    assert!(addresses.current_from(|| at(4), LONG, |_, _| Ok(one(1))).is_err());
    assert!(addresses.current_from(|| at(5), LONG, |_, _| Ok(one(1))).is_ok());
}

#[test]
fn a_local_error_lets_the_next_call_ask_again() {
    let addresses = named("name");
    let error = addresses.current_from(|| at(0), LONG, |_, _| Err(LookupError::Local(Error::System)));
    assert!(matches!(error, Err(LookupError::Local(Error::System))));
    assert!(addresses.current_from(|| at(0), LONG, |_, _| Ok(one(1))).is_ok());
}

#[test]
fn while_one_thread_looks_up_others_use_the_known_addresses() {
    let addresses = named("name");
    addresses.current_from(|| at(0), LONG, |_, _| Ok(one(1))).unwrap();
    let found = addresses.current_from(
        || at(5),
        LONG,
        |_, _| {
            let meanwhile = addresses.current_from(|| at(5), LONG, |_, _| panic!("a second"));
            assert_eq!(*meanwhile.unwrap(), *one(1));
            Ok(one(2))
        },
    );
    assert_eq!(*found.unwrap(), *one(2));
}

#[test]
fn without_known_addresses_others_wait_no_longer_than_the_timeout() {
    let addresses = named("name");
    let found = addresses.current_from(
        || at(0),
        LONG,
        |_, _| {
            let meanwhile = addresses.current_from(|| at(0), Duration::ZERO, |_, _| panic!("a second"));
            assert!(matches!(meanwhile, Err(LookupError::TimedOut)));
            Ok(one(1))
        },
    );
    assert!(found.is_ok());
}

#[test]
fn the_system_resolves_localhost() {
    let found = named("localhost").current(LONG).unwrap();
    assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
    assert!(!found.is_empty());
}
