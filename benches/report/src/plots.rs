//! The charts of the report, as SVG.

use std::fmt::Write;

use crate::axis::{Axis, Scale, label};
use crate::results::{Goal, Point, Row};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
const BAR_HEIGHT: f64 = 26.0;
const BAR_LABELS: f64 = 390.0;
/// Ratios above this are cut off.
const WORST_RATIO: f64 = 2.5;
const COLORS: [&str; 6] = ["#d00", "#00c", "#008c46", "#965a00", "#c0c", "#5a5a5a"];

/// Lines of one chart, each with its name.
pub type Series = Vec<(String, Vec<(f64, f64)>)>;

/// The series of a chart, in the order in which they first come; each name begins with `prefix`.
pub fn series(points: &[Point], figure: &str, prefix: &str) -> Series {
    let mut series: Series = Vec::new();
    for point in points.iter().filter(|point| point.figure == figure) {
        let name = format!("{prefix}{}", point.series);
        match series.iter_mut().find(|(other, _)| *other == name) {
            Some((_, line)) => line.push((point.x, point.y)),
            None => series.push((name, vec![(point.x, point.y)])),
        }
    }
    series
}

/// The ratio of each row to its floor, and its goal.
pub fn bars(rows: &[Row]) -> String {
    let bars: Vec<_> = rows.iter().filter_map(|row| Some((row, row.floor?.1))).collect();
    let most = bars.iter().map(|(_, ratio)| *ratio).fold(2.0, f64::max).min(WORST_RATIO);
    let bottom = 10.0 + BAR_HEIGHT * bars.len() as f64;
    let width = WIDTH + 240.0;
    let axis = Axis::new(Scale::Linear, (0.0, most), (BAR_LABELS, width - 20.0));
    let mut svg = String::new();
    for tick in axis.ticks() {
        line(&mut svg, (axis.place(tick), 10.0), (axis.place(tick), bottom), "#ddd", 1);
        text(&mut svg, (axis.place(tick), bottom + 16.0), "middle", &label(tick));
    }
    for (index, (row, ratio)) in bars.iter().enumerate() {
        let top = 10.0 + BAR_HEIGHT * index as f64;
        let color = if row.is_met() { "#008c46" } else { "#d00" };
        let length = axis.place(ratio.min(most)) - BAR_LABELS;
        text(&mut svg, (BAR_LABELS - 6.0, top + 17.0), "end", &row.what);
        rectangle(&mut svg, (BAR_LABELS, top + 4.0), (length, BAR_HEIGHT - 8.0), color);
        let (Goal::RatioAtMost(goal) | Goal::RatioAtLeast(goal)) = row.goal else { continue };
        if goal > 0.0 {
            let x = axis.place(goal.min(most));
            line(&mut svg, (x, top), (x, top + BAR_HEIGHT), "#000", 2);
        }
    }
    let middle = (BAR_LABELS + width) / 2.0;
    text(&mut svg, (middle, bottom + 34.0), "middle", "ours / floor; the black stroke is the goal");
    drawing((width, bottom + 44.0), &svg)
}

/// Lines over linear axes that begin at 0.
pub fn lines(series: &Series, x: &str, y: &str) -> String {
    let (most_x, most_y) = (most(series, |point| point.0), most(series, |point| point.1));
    let across = Axis::new(Scale::Linear, (0.0, most_x), ACROSS);
    chart(series, &across, &Axis::new(Scale::Linear, (0.0, most_y * 1.1), UP), x, y)
}

/// Lines over logarithmic axes.
pub fn log_lines(series: &Series, x: &str, y: &str) -> String {
    let across = Axis::new(Scale::Log, (least(series, |p| p.0), most(series, |p| p.0)), ACROSS);
    let range = (least(series, |p| p.1) * 0.8, most(series, |p| p.1) * 1.2);
    chart(series, &across, &Axis::new(Scale::Log, range, UP), x, y)
}

/// The share of calls that took at most a time. A point of the series is a share and a time.
pub fn distribution(series: &Series) -> String {
    let turned: Series = series
        .iter()
        .map(|(name, line)| (name.clone(), line.iter().map(|(share, ns)| (*ns, 100.0 * share)).collect()))
        .collect();
    let range = (least(&turned, |p| p.0), most(&turned, |p| p.0));
    let across = Axis::new(Scale::Log, range, ACROSS);
    chart(&turned, &across, &Axis::new(Scale::Linear, (0.0, 100.0), UP), "ns, at most", "% of calls")
}

/// Pixels from the left and right end of the x axis, and from the lower and upper end of the y axis.
const ACROSS: (f64, f64) = (70.0, WIDTH - 20.0);
const UP: (f64, f64) = (HEIGHT - 50.0, 15.0);

fn chart(series: &Series, across: &Axis, up: &Axis, x: &str, y: &str) -> String {
    let mut svg = String::new();
    for tick in across.ticks() {
        let place = across.place(tick);
        line(&mut svg, (place, UP.0), (place, UP.1), "#ddd", 1);
        text(&mut svg, (place, UP.0 + 16.0), "middle", &label(tick));
    }
    for tick in up.ticks() {
        let place = up.place(tick);
        line(&mut svg, (ACROSS.0, place), (ACROSS.1, place), "#ddd", 1);
        text(&mut svg, (ACROSS.0 - 6.0, place + 4.0), "end", &label(tick));
    }
    text(&mut svg, ((ACROSS.0 + ACROSS.1) / 2.0, HEIGHT - 12.0), "middle", x);
    let _ = write!(svg, "<g transform=\"translate(16,{}) rotate(-90)\">", (UP.0 + UP.1) / 2.0);
    text(&mut svg, (0.0, 0.0), "middle", y);
    svg.push_str("</g>\n");
    for (index, (name, points)) in series.iter().enumerate() {
        let color = COLORS[index % COLORS.len()];
        let places: Vec<_> = points.iter().map(|(x, y)| (across.place(*x), up.place(*y))).collect();
        let list: String = places.iter().map(|(x, y)| format!("{x:.1},{y:.1} ")).collect();
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{color}\" stroke-width=\"2\" points=\"{list}\"/>"
        );
        for (x, y) in places {
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{color}\"/>");
        }
        let top = UP.0 - 16.0 * (series.len() - index) as f64;
        line(&mut svg, (ACROSS.1 - 30.0, top), (ACROSS.1 - 8.0, top), color, 2);
        text(&mut svg, (ACROSS.1 - 36.0, top + 4.0), "end", name);
    }
    drawing((WIDTH, HEIGHT), &svg)
}

fn points(series: &Series) -> impl Iterator<Item = &(f64, f64)> {
    series.iter().flat_map(|(_, line)| line)
}

fn most(series: &Series, of: fn(&(f64, f64)) -> f64) -> f64 {
    points(series).map(of).fold(f64::MIN_POSITIVE, f64::max)
}

fn least(series: &Series, of: fn(&(f64, f64)) -> f64) -> f64 {
    points(series).map(of).fold(f64::MAX, f64::min)
}

fn drawing((width, height): (f64, f64), content: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n{content}</svg>\n"
    )
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), color: &str, width: u32) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(
        svg,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{color}\" \
         stroke-width=\"{width}\"/>"
    );
}

fn rectangle(svg: &mut String, (x, y): (f64, f64), (width, height): (f64, f64), color: &str) {
    let _ = writeln!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{color}\"/>"
    );
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, content: &str) {
    let content = content.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{content}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Costs that lie within one decade, as those of a checkout with 10 to 1000 hosts do.
    #[test]
    fn narrow_log_chart_has_numbers_on_its_y_axis() {
        let series = vec![("ours".to_owned(), vec![(10.0, 152.0), (100.0, 155.0), (1000.0, 171.0)])];
        let svg = log_lines(&series, "hosts", "ns");
        for number in ["140", "160", "180", "200"] {
            assert!(svg.contains(&format!("text-anchor=\"end\">{number}</text>")), "{number}: {svg}");
        }
    }

    #[test]
    fn names_are_escaped() {
        let series = vec![("a < b & c".to_owned(), vec![(1.0, 1.0)])];
        assert!(lines(&series, "x", "y").contains(">a &lt; b &amp; c<"));
    }
}
