//! Tests of what stale connections say about the limits of a server.

use super::*;

/// The idle time that is known after connections that ended after 5 s were found at 10 s, 20 s, ...; older ones were
/// released two seconds before them.
fn known_after(endings: u64, older_ended_after: Option<u64>) -> Option<Duration> {
    let fixture = Fixture::new();
    for round in 1..=endings {
        let begin = round * 10;
        let ended = |seconds| Some(Duration::from_secs(seconds));
        if let Some(seconds) = older_ended_after {
            fixture.release(Fake { ended_after: ended(seconds), ..fixture.good(1) }, begin - 2);
        }
        fixture.release(Fake { good: false, ended_after: ended(5), ..fixture.good(2) }, begin);
        assert_eq!(fixture.any(begin + 7), None);
    }
    fixture.set.known().idle
}

#[test]
fn stale_connections_show_the_idle_time_of_the_server() {
    assert_eq!(known_after(1, None), None);
    assert_eq!(known_after(2, None), Some(Duration::from_millis(4500)));
    for seconds in [5, 2] {
        let known = known_after(2, Some(seconds));
        assert_eq!(known, Some(Duration::from_millis(4500)), "the older one ended before, after {seconds} s");
    }
}

#[test]
fn older_connections_show_that_the_server_was_restarted() {
    assert_eq!(known_after(3, Some(7)), None, "both ended at once");
    assert_eq!(known_after(3, Some(1000)), None, "the older one lives");
}

#[test]
fn changed_limits_are_reported_once() {
    let fixture = Fixture::new();
    assert_eq!(fixture.set.review(at(0)), None);
    fixture.set.announce(Announced { idle: None, uses: Some(3) }, || Duration::ZERO, at(0));
    assert_eq!(fixture.set.review(at(1)), Some(Known { idle: None, uses: Some(3) }));
    assert_eq!(fixture.set.review(at(2)), None);
    assert_eq!(fixture.set.review(at(601)), Some(Known::default()));
}
