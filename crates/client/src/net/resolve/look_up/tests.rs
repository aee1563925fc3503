use std::panic::{self, AssertUnwindSafe};

use super::*;

/// A name, and somebody who asks for it.
fn asker(number: usize) -> Arc<Addresses> {
    Addresses::of(&format!("n{number}.example"), 80)
}

fn ask(under_way: &mut UnderWay, asker: &Arc<Addresses>) -> Result<Asked, LookupError> {
    under_way.ask(asker.name(), Arc::downgrade(asker))
}

/// Asks for this many names that need a thread each.
fn ask_all(under_way: &mut UnderWay, askers: &[Arc<Addresses>]) -> Vec<Asked> {
    let asked = askers.iter().map(|asker| ask(under_way, asker));
    asked.map(|asked| asked.unwrap_or_else(|error| panic!("{error}"))).collect()
}

#[test]
fn mapped_addresses_become_ipv4_addresses() {
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    assert_eq!(canonical(address("[::ffff:127.0.0.1]:80")), address("127.0.0.1:80"));
    for text in ["[::1]:80", "[fe80::1%3]:80"] {
        assert_eq!(canonical(address(text)), address(text));
    }
}

#[test]
fn names_that_nobody_wants_any_more_are_forgotten() {
    let mut under_way = UnderWay::in_process(fork::generation());
    let mut askers: Vec<_> = (0..3).map(asker).collect();
    let asked = ask_all(&mut under_way, &askers);
    assert!(Arc::ptr_eq(&under_way.next().unwrap(), &asked[0].look_up), "the oldest first");
    askers.drain(..2);
    assert!(Arc::ptr_eq(&under_way.next().unwrap(), &asked[2].look_up), "the second is not wanted");
    assert!(under_way.next().is_none());
    assert_eq!(under_way.shared.len(), 2, "those that have begun go on");
}

#[test]
fn a_name_too_many_is_refused() {
    let mut under_way = UnderWay::in_process(fork::generation());
    let askers: Vec<_> = (0..=MOST_THREADS + MOST_WAITING).map(asker).collect();
    let (last, others) = askers.split_last().unwrap();
    let asked = ask_all(&mut under_way, others);
    assert!(asked[..MOST_THREADS].iter().all(|asked| asked.needs_thread));
    assert!(asked[MOST_THREADS..].iter().all(|asked| !asked.needs_thread), "they wait");
    assert_eq!(under_way.threads, MOST_THREADS);
    assert!(matches!(ask(&mut under_way, last), Err(LookupError::Crowded)));
    assert!(ask(&mut under_way, &others[0]).is_ok(), "a name that is there already can be joined");
}

#[test]
fn callers_make_their_look_ups_themselves_if_told_to() {
    for number in 0..50 {
        let asker = Addresses::of(&format!("127.0.1.{number}"), 80);
        let asked =
            super::ask(asker.name(), Arc::downgrade(&asker)).unwrap_or_else(|error| panic!("{error}"));
        let look_up = Arc::clone(&asked.look_up);
        asked.go_on_in(true);
        assert!(look_up.is_over(), "it was made before the call returned");
    }
}

#[test]
fn those_who_join_a_look_up_start_no_thread_of_their_own() {
    let mut under_way = UnderWay::in_process(fork::generation());
    let name = asker(1);
    let asked = [(); 8].map(|()| ask(&mut under_way, &name).is_ok_and(|asked| asked.needs_thread));
    assert_eq!(asked.map(usize::from).iter().sum::<usize>(), 1);
    assert_eq!(under_way.threads, 1);
}

#[test]
fn a_name_that_waits_for_a_thread_gets_another_one_if_that_does_not_start() {
    let mut under_way = UnderWay::in_process(fork::generation());
    let askers: Vec<_> = (0..=MOST_THREADS).map(asker).collect();
    let asked = ask_all(&mut under_way, &askers);
    let (last, others) = asked.split_last().unwrap();
    assert!(!last.needs_thread, "it waits for one of the others");
    for asked in others {
        under_way.has_no_thread();
        // Its caller makes the look-up.
        assert!(asked.look_up.begin());
    }
    let joined = [(); 2].map(|()| ask(&mut under_way, &askers[MOST_THREADS]).unwrap_or_else(|_| panic!()));
    assert!(joined.iter().all(|asked| Arc::ptr_eq(&asked.look_up, &last.look_up)));
    assert!(joined[0].needs_thread, "nobody else makes this look-up");
    assert!(!joined[1].needs_thread, "now somebody does");
}

#[test]
fn a_panic_ends_a_look_up_and_its_thread() {
    let host = asker(0);
    let asked = {
        let mut under_way = UnderWay::lock();
        let asked = ask(&mut under_way, &host).unwrap_or_else(|error| panic!("{error}"));
        // At once, so that no thread of another test takes it.
        assert!(asked.look_up.begin());
        if asked.needs_thread {
            under_way.thread_has_started();
        } else {
            under_way.threads += 1;
        }
        asked
    };
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        let _thread = CountedThread;
        let _running = Running::begin(&asked.look_up);
        panic::resume_unwind(Box::new(()));
    }));
    assert!(outcome.is_err() && asked.look_up.is_over());
    assert!(matches!(host.answer(), Err(LookupError::Local(Error::System))), "the asker has the error");
    assert!(UnderWay::lock().shared.iter().all(|shared| !Arc::ptr_eq(&shared.look_up, &asked.look_up)));
    let patience = Instant::now() + std::time::Duration::from_secs(20);
    while UnderWay::lock().threads > 0 {
        assert!(Instant::now() < patience, "a thread is counted that has ended");
        thread::yield_now();
    }
}
