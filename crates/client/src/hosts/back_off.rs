//! The back-off of early probes: each failure doubles the time to the next one.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::os::clock::Moment;
use crate::os::random;

/// The time from the failure of a host to its first early probe.
const FIRST_DELAY: Duration = Duration::from_millis(50);

/// The early probes of a host that failed.
pub struct BackOff {
    delay: Duration,
    next: Moment,
}

impl BackOff {
    /// The back-off after a first failure.
    pub fn new(now: Moment) -> BackOff {
        BackOff { delay: FIRST_DELAY, next: now.after(with_jitter(FIRST_DELAY)) }
    }

    /// Doubles the delay after a failed probe, up to the `longest` one. `None` is no limit.
    pub fn double(&mut self, now: Moment, longest: Option<Duration>) {
        let longest = longest.unwrap_or(Duration::MAX);
        self.delay = self.delay.saturating_mul(2).min(longest);
        self.next = now.after(with_jitter(self.delay).min(longest));
    }

    /// The time from which the next early probe may begin, in a blacklisting that ends at `until`. `None` if the
    /// ordinary probe, which is due then, comes before the early probe after the next one would.
    pub fn next(&self, until: Moment) -> Option<Moment> {
        (self.next.after(self.delay.saturating_mul(2)) <= until).then_some(self.next)
    }
}

/// Adds up to a quarter, so that the clients of a host do not probe it all at once.
fn with_jitter(delay: Duration) -> Duration {
    delay.saturating_add(delay.mul_f64(random::generator().f64() / 4.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_delay_up_to_the_longest() {
        let begin = Moment::default().after(Duration::from_secs(1000));
        let mut back_off = BackOff::new(begin);
        let mut delay = FIRST_DELAY;
        for _ in 0..12 {
            let waited = back_off.next(Moment::NEVER).unwrap().since(begin);
            assert!(
                waited >= delay && waited <= delay.mul_f64(1.25).min(Duration::from_secs(10)),
                "{waited:?}"
            );
            back_off.double(begin, Some(Duration::from_secs(10)));
            delay = (2 * delay).min(Duration::from_secs(10));
        }
    }

    #[test]
    fn no_number_of_failures_overflows() {
        let mut back_off = BackOff::new(Moment::default());
        (0..200).for_each(|_| back_off.double(Moment::default(), None));
        assert!(back_off.next > Moment::default().after(Duration::from_secs(1 << 33)));
    }

    #[test]
    fn the_last_one_is_left_to_the_ordinary_probe() {
        let begin = Moment::default();
        let back_off = BackOff::new(begin);
        assert!(back_off.next(begin.after(Duration::from_millis(163))).is_some());
        assert!(back_off.next(begin.after(Duration::from_millis(149))).is_none());
    }
}
