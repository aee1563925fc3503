//! The time for which endpoints are kept, and the identity of each.

use std::ffi::CString;
use std::sync::atomic::AtomicU32;

use super::*;
use crate::net::resolve::LookUp;

fn authority(name: &CStr, port: &CStr) -> Authority {
    Authority::new(name, port).unwrap()
}

/// Checks that endpoints which a call makes are forgotten, but not within seconds.
fn is_kept_for_a_time(fixture: &Fixture, make: impl Fn(Moment) -> Arc<Endpoint>) {
    let begin = Moment::now();
    let after = |seconds| begin.after(Duration::from_secs(seconds));
    let sweep = |seconds| fixture.client.maintain(&FakeCall, after(seconds));
    let made = Arc::downgrade(&make(begin));
    for second in 1..=10 {
        sweep(second);
        let Some(kept) = made.upgrade() else { panic!("forgotten after {second} s") };
        assert!(Arc::ptr_eq(&kept, &make(after(second))));
    }
    let in_use = make(after(11));
    sweep(100_000);
    assert!(made.upgrade().is_some(), "it is in use");
    drop(in_use);
    sweep(200_000);
    assert!(made.upgrade().is_none(), "it was not used for a long time");
}

#[test]
fn virtual_hosts_are_kept_for_some_time() {
    let fixture = Fixture::new(1);
    let listed = fixture.client.endpoint_of(&fixture.host(1));
    is_kept_for_a_time(&fixture, |now| fixture.client.virtual_host(&listed, c"bucket", now).unwrap());
}

#[test]
fn hosts_outside_the_list_are_kept_for_some_time() {
    let fixture = Fixture::new(1);
    let stranger = authority(c"h.example", c"80");
    is_kept_for_a_time(&fixture, |now| fixture.client.endpoint_named(&fixture.hosts, &stranger, now));
}

#[test]
fn hosts_outside_the_list_are_told_apart_by_name_and_port() {
    let fixture = Fixture::new(1);
    let named =
        |name, port| fixture.client.endpoint_named(&fixture.hosts, &authority(name, port), Moment::now());
    let first = named(c"h.example", c"80");
    assert!(Arc::ptr_eq(&first, &named(c"H.Example.", c"080")));
    assert!(!Arc::ptr_eq(&first, &named(c"h.example", c"81")));
    assert!(!Arc::ptr_eq(&first, &named(c"i.example", c"80")));
    let listed = fixture.client.endpoint_of(&fixture.host(1));
    assert!(Arc::ptr_eq(&listed, &named(c"127.0.0.1", c"80")));
}

#[test]
fn made_up_names_do_not_pile_up() {
    let fixture = Fixture::new(1);
    let ends: Vec<Weak<Endpoint>> = (0..5000)
        .map(|number| {
            let name = std::ffi::CString::new(format!("h{number}.example")).unwrap();
            let stranger = authority(&name, c"80");
            Arc::downgrade(&fixture.client.endpoint_named(&fixture.hosts, &stranger, Moment::now()))
        })
        .collect();
    assert!(ends.iter().filter(|end| end.strong_count() > 0).count() <= 1024);
}

#[test]
fn a_virtual_host_leads_to_its_host() {
    let fixture = Fixture::new(2);
    let listed = fixture.client.endpoint_of(&fixture.host(2));
    let virtual_host = fixture.client.virtual_host(&listed, c"b", Moment::now()).unwrap();
    assert!(virtual_host.is_virtual());
    let host = |name, port| fixture.client.host_of_virtual(&authority(name, port)).map(|host| host.handle());
    assert_eq!(host(c"b.127.0.0.2", c"80"), Some(2));
    assert_eq!((host(c"b.127.0.0.2", c"81"), host(c"b.127.0.0.1", c"80")), (None, None));
    assert_eq!(host(c"c.127.0.0.2", c"80"), None, "this virtual host is not known");
}

#[test]
fn a_virtual_host_has_addresses_that_are_not_its_hosts() {
    let fixture = Fixture::new(2);
    let listed = fixture.client.endpoint_of(&fixture.host(2));
    let virtual_host = fixture.client.virtual_host(&listed, c"b", Moment::now()).unwrap();
    let [own, other] = ["127.0.0.2:80", "127.0.0.1:80"].map(|address| address.parse().unwrap());
    assert!(virtual_host.is_own(own) && !virtual_host.is_own(other));
    assert!(listed.is_own(other), "whatever its own name leads to is its own");
}

#[test]
fn idle_connections_to_addresses_that_a_name_has_left_are_closed() {
    let fixture = Fixture::new(1);
    let begin = Moment::now();
    let stranger = fixture.client.endpoint_named(&fixture.hosts, &authority(c"h.example", c"80"), begin);
    let learn = |address: &str| {
        let look_up = LookUp::idle(stranger.host_name());
        stranger.addresses().end(&look_up, Ok(vec![address.parse().unwrap()]));
    };
    learn("127.0.0.1:80");
    let connection = Fake {
        endpoint: Arc::clone(&stranger),
        shard: ShardNumber::own(),
        closed: Arc::clone(&fixture.closed),
        _permit: None,
        _stream: None,
    };
    fixture.client.release(&FakeCall, connection);
    learn("127.0.0.2:80");
    assert_eq!(fixture.closed(), 0, "it is idle");
    let is_at = |address: &str| stranger.is_at(|| Some(address.parse().unwrap()));
    assert!(is_at("127.0.0.2:80") && !is_at("127.0.0.1:80"));
    fixture.client.maintain(&FakeCall, begin.after(Duration::from_secs(2)));
    assert_eq!(fixture.closed(), 1, "the next call closes it");
}

#[test]
fn a_host_on_which_the_bucket_is_too_long_is_left_out() {
    let fixture = Fixture::new(1);
    let (bucket, long) = (CString::new("b".repeat(200)).unwrap(), "h".repeat(60));
    let host = Host::new(c"80".to_owned(), Addresses::of(&long, 80), 2);
    fixture.hosts.insert(0, host, Box::new(NoObserver));
    // Its probe is due.
    fixture.hosts.blacklist(&fixture.host(2), Moment::now(), Some(Duration::ZERO), Fault::Refused);
    let checkout = |turn| {
        fixture.client.checkout(&FakeCall, &fixture.hosts, &AtomicU32::new(turn), Some(&bucket)).map(|_| ())
    };
    for turn in 0..4 {
        let listed = fixture.client.endpoint_of(&fixture.host(1));
        let endpoint = fixture.client.virtual_host(&listed, &bucket, Moment::now()).unwrap();
        fixture.client.release(&FakeCall, fixture.connection_to(endpoint));
        assert_eq!(checkout(turn), Ok(()), "the other host was not used");
    }
    assert!(fixture.hosts.begin_probe(Moment::now(), |_| true).is_some(), "its probe was used up");
    fixture.hosts.remove(1);
    assert_eq!(checkout(0), Err(Error::NameTooLong), "no other host is left");
}
