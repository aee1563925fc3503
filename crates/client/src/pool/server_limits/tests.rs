use super::*;

/// An ending at this second of a connection that was opened at the origin of the clock.
fn ending(second: f64, idle: f64, uses: u32) -> Ending {
    let at = Moment::default().after(Duration::from_secs_f64(second));
    let idle = Duration::from_secs_f64(idle);
    Ending { at, opened: Moment::default(), idle, uses, round_trip: Duration::ZERO }
}

fn learned(endings: &[Ending]) -> ServerLimits {
    let mut limits = ServerLimits::UNKNOWN;
    endings.iter().for_each(|ending| limits.observe(*ending, false));
    limits
}

fn idle_after(endings: &[Ending]) -> Option<f64> {
    learned(endings).idle().map(|idle| idle.as_secs_f64())
}

#[test]
fn one_ending_teaches_nothing() {
    assert_eq!(idle_after(&[ending(10., 5., 1)]), None);
    assert_eq!(learned(&[ending(10., 0., 1)]).uses(), None);
}

#[test]
fn two_endings_that_agree_bound_the_idle_time_below_the_smaller() {
    assert_eq!(idle_after(&[ending(10., 5.2, 1), ending(20., 5., 7)]), Some(4.5));
    assert_eq!(idle_after(&[ending(10., 1., 1), ending(20., 1.01, 7)]), Some(0.9));
    assert_eq!(idle_after(&[ending(100., 75., 1), ending(200., 75., 7)]), Some(70.));
}

#[test]
fn the_margin_covers_the_round_trip() {
    let far = Ending { round_trip: Duration::from_millis(300), ..ending(10., 1., 1) };
    assert_eq!(idle_after(&[far, ending(20., 1., 1)]), Some(0.6));
}

#[test]
fn idle_times_that_differ_teach_nothing() {
    assert_eq!(idle_after(&[ending(10., 5., 1), ending(20., 6.1, 1)]), None);
    assert_eq!(idle_after(&[ending(10., 1., 1), ending(20., 1.3, 1)]), None);
    assert_eq!(idle_after(&[ending(10., 5., 1), ending(20., 60., 1), ending(30., 5., 1)]), None);
}

#[test]
fn endings_of_one_event_teach_nothing() {
    let same = [ending(10., 5., 1), ending(10.1, 5., 1)];
    assert_eq!(idle_after(&same), None, "they count as one");
    assert_eq!(idle_after(&[same[0], same[1], ending(20., 5., 1)]), Some(4.5), "so one more is enough");
    let restart = [ending(10., 5., 1), ending(10.1, 2., 1)];
    assert_eq!(idle_after(&[restart[0], restart[1], ending(20., 5., 1)]), None);
    assert_eq!(idle_after(&[restart[1], restart[0], ending(20., 5., 1)]), None, "in any order");
    let busy = [ending(10., 0., 5), ending(10.1, 5., 1), ending(10.1, 0., 7)];
    assert_eq!(learned(&[busy[0], busy[1], busy[2], ending(20., 0., 5)]).uses(), None);
    let later = [ending(5., 0., 5), ending(10., 5., 1), ending(10.1, 0., 5)];
    assert_eq!(learned(&later).uses(), None, "the second of a restart agrees with one from before");
}

#[test]
fn connections_that_follow_each_other_are_no_event() {
    let second = Ending { opened: ending(10.02, 0., 0).at, ..ending(10.1, 0., 3) };
    assert_eq!(learned(&[ending(10., 0., 3), second]).uses(), Some(3));
}

#[test]
fn two_prompt_endings_after_as_many_requests_bound_the_uses() {
    assert_eq!(learned(&[ending(10., 0., 3), ending(20., 0.05, 3)]).uses(), Some(3));
    assert_eq!(learned(&[ending(10., 0., 3), ending(20., 0., 4)]).uses(), None);
    assert_eq!(learned(&[ending(10., 2., 3), ending(20., 9., 3)]).uses(), None, "they were idle");
}

#[test]
fn a_connection_that_served_more_contradicts_for_ten_minutes() {
    let twice = |limits: &mut ServerLimits, second: f64| {
        limits.observe(ending(second, 0., 1), false);
        limits.observe(ending(second + 1., 0., 1), false);
        limits.uses()
    };
    let mut limits = ServerLimits::UNKNOWN;
    limits.note_served(500, ending(10., 0., 0).at);
    limits.note_served(3, ending(11., 0., 0).at);
    assert_eq!(twice(&mut limits, 20.), None);
    assert_eq!(twice(&mut limits, 620.), Some(1));
}

#[test]
fn endings_of_both_kinds_may_alternate() {
    let limits = learned(&[ending(10., 5., 1), ending(20., 0., 9), ending(30., 5., 4), ending(40., 0., 9)]);
    assert_eq!((limits.idle(), limits.uses()), (Some(Duration::from_millis(4500)), Some(9)));
}

#[test]
fn a_contradicted_ending_teaches_nothing() {
    let mut limits = ServerLimits::UNKNOWN;
    limits.observe(ending(10., 5., 1), true);
    limits.observe(ending(20., 5., 1), false);
    assert_eq!(limits.idle(), None);
    limits.observe(ending(30., 5., 1), false);
    assert!(limits.idle().is_some());
}

#[test]
fn an_older_connection_contradicts_if_it_lives_or_ended_with_the_other_at_another_age() {
    let (fresh, seconds) = (ending(10., 2., 1), Duration::from_secs);
    assert!(fresh.is_contradicted_by(None, seconds(4)), "it lives");
    assert!(!fresh.is_contradicted_by(None, seconds(2)), "it may end soon");
    assert!(fresh.is_contradicted_by(Some(ending(10., 9., 1)), seconds(9)), "a restart");
    assert!(!fresh.is_contradicted_by(Some(ending(3., 2., 1)), seconds(9)), "it ended earlier");
    assert!(!ending(10., 0., 3).is_contradicted_by(None, seconds(9)), "a limit on requests");
    assert!(ending(10., 0., 3).is_contradicted_by_uses(4) && !ending(10., 0., 3).is_contradicted_by_uses(3));
    assert!(!fresh.is_contradicted_by_uses(4), "no limit on requests");
}

#[test]
fn what_was_learned_is_forgotten_after_ten_minutes() {
    let mut limits = learned(&[ending(10., 5., 1), ending(20., 5., 1)]);
    limits.announce(Announced { idle: None, uses: Some(100) }, Duration::ZERO, ending(20., 0., 0).at);
    limits.forget(ending(619., 0., 0).at);
    assert_eq!((limits.idle().is_some(), limits.uses()), (true, Some(100)));
    limits.forget(ending(620., 0., 0).at);
    assert_eq!((limits.idle(), limits.uses()), (None, None));
    limits.observe(ending(700., 5., 1), false);
    assert!(limits.idle().is_some(), "one more that agrees is enough to know it again");
}

#[test]
fn the_smaller_of_an_announced_and_an_observed_limit_counts() {
    let mut limits = learned(&[ending(10., 5., 1), ending(20., 5., 1)]);
    let now = ending(20., 0., 0).at;
    let mut announce = |idle| {
        limits.announce(Announced { idle: Some(Duration::from_secs(idle)), uses: None }, Duration::ZERO, now);
        limits.idle()
    };
    assert_eq!(announce(60), Some(Duration::from_millis(4500)));
    assert_eq!(announce(2), Some(Duration::from_millis(1800)));
}

#[test]
fn lies_harm_nobody() {
    let now = Moment::default();
    let announced = |idle, uses| {
        let mut limits = ServerLimits::UNKNOWN;
        limits.announce(Announced { idle, uses }, Duration::ZERO, now);
        (limits.idle(), limits.uses())
    };
    assert_eq!(announced(Some(Duration::ZERO), Some(100)), (None, Some(1)), "each connection serves once");
    assert_eq!(announced(None, Some(0)), (None, Some(0)));
    assert!(announced(Some(Duration::MAX), Some(u32::MAX)).0 > Some(Duration::from_secs(1 << 60)));
}

#[test]
fn an_announcement_is_no_news_until_it_changes_or_grows_old() {
    let (mut limits, now) = (ServerLimits::UNKNOWN, ending(20., 0., 0).at);
    let announced = Announced { idle: Some(Duration::from_secs(5)), uses: Some(100) };
    assert!(limits.is_news(announced, now));
    limits.announce(announced, Duration::ZERO, now);
    assert!(!limits.is_news(announced, now));
    assert!(limits.is_news(Announced { uses: None, ..announced }, now));
    assert!(limits.is_news(announced, now.after(KEPT / 2)));
}
