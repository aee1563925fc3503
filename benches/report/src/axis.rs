//! Axes: from a value to a place on the page, and the values that get a label.

/// Spacing of the values along an axis.
#[derive(Clone, Copy, PartialEq)]
pub enum Scale {
    Linear,
    Log,
}

/// A range of values along a stretch of the page.
pub struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    /// Place of `low`, and of `high`, in pixels.
    from: f64,
    to: f64,
}

impl Axis {
    pub fn new(scale: Scale, (low, high): (f64, f64), (from, to): (f64, f64)) -> Axis {
        let high = if high > low { high } else { low + 1.0 };
        Axis { scale, low, high, from, to }
    }

    /// Pixels of a value.
    pub fn place(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        self.from + share * (self.to - self.from)
    }

    /// Values to label, between 3 and about 10 of them.
    pub fn ticks(&self) -> Vec<f64> {
        if self.scale == Scale::Log {
            for steps in [&[1.0][..], &[1.0, 2.0, 5.0]] {
                let ticks = self.log_ticks(steps);
                if ticks.len() >= 4 {
                    return ticks;
                }
            }
        }
        self.linear_ticks()
    }

    fn log_ticks(&self, steps: &[f64]) -> Vec<f64> {
        let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let values = decades.flat_map(|decade| steps.iter().map(move |step| step * 10_f64.powi(decade)));
        values.filter(|value| (self.low..=self.high).contains(value)).collect()
    }

    /// Multiples of 1, 2 or 5 times a power of ten.
    fn linear_ticks(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / 8.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * power);
        let (first, last) = ((self.low / step).ceil() as i64, (self.high / step).floor() as i64);
        (first..=last).map(|index| index as f64 * step).collect()
    }
}

/// Text of a label.
pub fn label(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let (whole, fraction) = text.split_once('.').map_or((text, ""), |(whole, fraction)| (whole, fraction));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() { grouped } else { format!("{grouped}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(scale: Scale, low: f64, high: f64) -> Vec<f64> {
        Axis::new(scale, (low, high), (0.0, 100.0)).ticks()
    }

    #[test]
    fn each_range_has_labels() {
        for scale in [Scale::Linear, Scale::Log] {
            for low in [0.7, 1.0, 83.2, 1900.0] {
                for factor in [1.01, 1.2, 1.9, 4.0, 30.0, 1000.0, 1e6] {
                    let ticks = ticks(scale, low, low * factor);
                    assert!((3..=21).contains(&ticks.len()), "{low} x {factor}: {ticks:?}");
                    assert!(ticks.iter().all(|tick| (low..=low * factor).contains(tick)));
                }
            }
        }
    }

    #[test]
    fn labels_are_round_numbers() {
        assert_eq!(ticks(Scale::Linear, 0.0, 2.5), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
        assert_eq!(ticks(Scale::Log, 10.0, 1000.0), [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0]);
        assert_eq!(
            ticks(Scale::Log, 150.0, 190.0),
            [150.0, 155.0, 160.0, 165.0, 170.0, 175.0, 180.0, 185.0, 190.0]
        );
    }

    #[test]
    fn values_are_placed_in_proportion() {
        let axis = Axis::new(Scale::Linear, (0.0, 10.0), (100.0, 0.0));
        assert_eq!([0.0, 5.0, 10.0].map(|value| axis.place(value)), [100.0, 50.0, 0.0]);
        let axis = Axis::new(Scale::Log, (1.0, 100.0), (0.0, 200.0));
        assert_eq!([1.0, 10.0, 100.0].map(|value| axis.place(value)), [0.0, 100.0, 200.0]);
    }

    #[test]
    fn labels_are_short() {
        assert_eq!(
            [0.0, 0.5, 1.25, 20.0, 1000.0, 1_234_567.0].map(label),
            ["0", "0.5", "1.25", "20", "1,000", "1,234,567"]
        );
    }
}
