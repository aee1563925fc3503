//! The results of one run: what `bench` and `run.sh` have written.

use std::fs;
use std::io;
use std::path::Path;

/// What a row has to reach.
#[derive(Clone, Copy)]
pub enum Goal {
    RatioAtMost(f64),
    RatioAtLeast(f64),
    ValueAtMost(f64),
}

/// A row of the table.
pub struct Row {
    pub id: String,
    pub what: String,
    pub unit: String,
    pub ours: f64,
    /// What it is compared with, in the same unit, and the median of the ratios.
    pub floor: Option<(f64, f64)>,
    pub goal: Goal,
}

/// A point of a figure.
pub struct Point {
    pub figure: String,
    pub series: String,
    pub x: f64,
    pub y: f64,
}

/// All of one run.
#[derive(Default)]
pub struct Results {
    pub rows: Vec<Row>,
    pub points: Vec<Point>,
}

impl Row {
    /// Whether the goal is reached.
    pub fn is_met(&self) -> bool {
        let ratio = self.floor.map_or(f64::NAN, |(_, ratio)| ratio);
        match self.goal {
            Goal::RatioAtMost(bound) => ratio <= bound,
            Goal::RatioAtLeast(bound) => ratio >= bound,
            Goal::ValueAtMost(bound) => self.ours <= bound,
        }
    }

    /// The goal in words.
    pub fn goal_text(&self) -> String {
        match self.goal {
            Goal::RatioAtLeast(0.0) => String::new(),
            Goal::RatioAtMost(bound) => format!("at most {bound} x"),
            Goal::RatioAtLeast(bound) => format!("at least {bound} x"),
            Goal::ValueAtMost(bound) => format!("at most {bound} {}", self.unit).trim_end().to_owned(),
        }
    }
}

impl Results {
    /// Reads a file of tab-separated values.
    pub fn read(path: &Path) -> io::Result<Results> {
        let mut results = Results::default();
        for line in fs::read_to_string(path)?.lines() {
            let fields: Vec<_> = line.split('\t').collect();
            let known = match fields[..] {
                ["row", ..] => row(&fields).map(|row| results.rows.push(row)),
                ["point", ..] => point(&fields).map(|point| results.points.push(point)),
                _ => None,
            };
            known.ok_or_else(|| io::Error::other(format!("not a result: {line}")))?;
        }
        Ok(results)
    }

    /// What was measured for a row.
    pub fn value(&self, id: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.id == id).map(|row| row.ours)
    }
}

fn row(fields: &[&str]) -> Option<Row> {
    let [_, id, what, unit, ours, floor, ratio, kind, bound] = fields else { return None };
    let bound = bound.parse().ok()?;
    Some(Row {
        id: (*id).to_owned(),
        what: (*what).to_owned(),
        unit: (*unit).to_owned(),
        ours: ours.parse().ok()?,
        floor: floor.parse().ok().zip(ratio.parse().ok()),
        goal: match *kind {
            "ratio<=" => Goal::RatioAtMost(bound),
            "ratio>=" => Goal::RatioAtLeast(bound),
            "value<=" => Goal::ValueAtMost(bound),
            _ => return None,
        },
    })
}

fn point(fields: &[&str]) -> Option<Point> {
    let [_, figure, series, x, y] = fields else { return None };
    Some(Point {
        figure: (*figure).to_owned(),
        series: (*series).to_owned(),
        x: x.parse().ok()?,
        y: y.parse().ok()?,
    })
}
