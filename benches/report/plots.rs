//! The figures of the report, as SVG.

use std::error::Error;

use plotters::coord::Shift;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;

use crate::results::{Goal, Point, Row};

const SIZE: (u32, u32) = (760, 380);
const COLORS: [RGBColor; 6] =
    [RED, BLUE, RGBColor(0, 140, 70), RGBColor(150, 90, 0), MAGENTA, RGBColor(90, 90, 90)];

type Drawn = Result<String, Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Lines of one figure, each with its name.
pub type Series = Vec<(String, Vec<(f64, f64)>)>;

/// The series of a figure, in the order in which they first come; `prefix` tells whose they are.
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

/// How each row compares with its floor, and where its goal is.
pub fn bars(rows: &[Row]) -> Drawn {
    let bars: Vec<_> = rows.iter().filter_map(|row| Some((row, row.floor?.1))).collect();
    let height = 60 + 26 * bars.len() as u32;
    let most = bars.iter().map(|(_, ratio)| *ratio).fold(2.0, f64::max).min(2.5);
    draw((SIZE.0 + 240, height), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(34)
            .y_label_area_size(390)
            .build_cartesian_2d(0.0..most, (0..bars.len() as i32).into_segmented())?;
        let name = |place: &SegmentValue<i32>| match place {
            SegmentValue::CenterOf(index) => {
                bars.get(*index as usize).map_or_else(String::new, |(row, _)| row.what.clone())
            }
            _ => String::new(),
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(bars.len())
            .y_label_formatter(&name)
            .x_desc("ours / floor; the black stroke is the goal")
            .draw()?;
        for (index, (row, ratio)) in bars.iter().enumerate() {
            let index = index as i32;
            let color = if row.is_met() { RGBColor(0, 140, 70) } else { RED };
            let (low, high) = (SegmentValue::Exact(index), SegmentValue::Exact(index + 1));
            let mut bar =
                Rectangle::new([(0.0, low.clone()), (ratio.min(most), high.clone())], color.filled());
            bar.set_margin(4, 4, 0, 0);
            chart.draw_series([bar])?;
            if let Goal::RatioAtMost(goal) | Goal::RatioAtLeast(goal) = row.goal
                && goal > 0.0
            {
                chart.draw_series([PathElement::new([(goal, low), (goal, high)], BLACK.stroke_width(2))])?;
            }
        }
        Ok(())
    })
}

/// Lines over linear axes.
pub fn lines(series: &Series, x: &str, y: &str) -> Drawn {
    let (most_x, most_y) = most(series);
    draw(SIZE, |area| {
        let mut chart = frame(area).build_cartesian_2d(0.0..most_x, 0.0..most_y * 1.1)?;
        chart.configure_mesh().x_desc(x).y_desc(y).draw()?;
        with_lines(&mut chart, series)
    })
}

/// Lines over logarithmic axes.
pub fn log_lines(series: &Series, x: &str, y: &str) -> Drawn {
    let (most_x, most_y) = most(series);
    let least = |of: fn(&(f64, f64)) -> f64| {
        series.iter().flat_map(|(_, line)| line).map(of).fold(f64::MAX, f64::min)
    };
    let (x_range, y_range) = (least(|p| p.0)..most_x, least(|p| p.1) * 0.8..most_y * 1.2);
    draw(SIZE, |area| {
        let mut chart = frame(area).build_cartesian_2d(x_range.log_scale(), y_range.log_scale())?;
        chart.configure_mesh().x_desc(x).y_desc(y).draw()?;
        with_lines(&mut chart, series)
    })
}

/// How many calls took how long: the share of calls, over time.
pub fn distribution(series: &Series) -> Drawn {
    let turned: Series = series
        .iter()
        .map(|(name, line)| (name.clone(), line.iter().map(|(share, ns)| (*ns, 100.0 * share)).collect()))
        .collect();
    let times = || turned.iter().flat_map(|(_, line)| line).map(|(ns, _)| *ns);
    let range = times().fold(f64::MAX, f64::min)..times().fold(0.0, f64::max);
    draw(SIZE, |area| {
        let mut chart = frame(area).build_cartesian_2d(range.log_scale(), 0.0..100.0)?;
        chart.configure_mesh().x_desc("ns, at most").y_desc("% of calls").draw()?;
        with_lines(&mut chart, &turned)
    })
}

fn most(series: &Series) -> (f64, f64) {
    let points = series.iter().flat_map(|(_, line)| line);
    points.fold((1.0, 0.0), |(x, y), point| (f64::max(x, point.0), f64::max(y, point.1)))
}

fn draw(size: (u32, u32), with: impl FnOnce(&Area) -> Result<(), Box<dyn Error>>) -> Drawn {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        with(&area)?;
        area.present()?;
    }
    Ok(svg)
}

fn frame<'a, 'b>(area: &'a Area<'b>) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut builder = ChartBuilder::on(area);
    builder.margin(12).x_label_area_size(40).y_label_area_size(60);
    builder
}

fn with_lines<'a, X, Y>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>,
    series: &Series,
) -> Result<(), Box<dyn Error>>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    for ((name, line), color) in series.iter().zip(COLORS.iter().cycle()) {
        chart
            .draw_series(LineSeries::new(line.iter().copied(), color.stroke_width(2)).point_size(3))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    Ok(())
}
