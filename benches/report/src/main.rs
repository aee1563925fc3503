//! `report OUT.html RESULTS [ORIGINAL PRELOADED]`: prints the table of a run as Markdown, and writes it with
//! its figures as a web page.
//!
//! ORIGINAL and PRELOADED are results of the same program on the original library, alone and with ours preloaded.

mod axis;
mod plots;
mod results;

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use results::{Results, Row};

const MISSING: &str = "";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().collect();
    let (out, ours, others) = match &arguments[..] {
        [_, out, ours, others @ ..] if others.is_empty() || others.len() == 2 => (out, ours, others),
        _ => return Err("report OUT.html RESULTS [ORIGINAL PRELOADED]".into()),
    };
    let ours = Results::read(Path::new(ours))?;
    let others = others.iter().map(|path| Results::read(Path::new(path))).collect::<Result<Vec<_>, _>>()?;
    let table = table(&ours, &others);
    print!("{}", markdown(&table));
    println!("\n{}", machine());
    fs::write(out, page(&ours, &others, &table)?)?;
    Ok(())
}

/// Rows of cells, the heading first.
fn table(ours: &Results, others: &[Results]) -> Vec<Vec<String>> {
    let mut heading = vec!["what", "ours", "floor", "ratio", "goal", "met"];
    if !others.is_empty() {
        heading.extend(["original", "original, ours preloaded"]);
    }
    let mut table = vec![heading.into_iter().map(str::to_owned).collect()];
    for row in &ours.rows {
        let mut cells = cells(row);
        cells.extend(others.iter().map(|other| {
            other.value(&row.id).map_or_else(|| MISSING.to_owned(), |value| quantity(value, &row.unit))
        }));
        table.push(cells);
    }
    table
}

fn cells(row: &Row) -> Vec<String> {
    let (floor, ratio) = row.floor.map_or((MISSING.to_owned(), MISSING.to_owned()), |(floor, ratio)| {
        (quantity(floor, &row.unit), format!("{ratio:.2}"))
    });
    let goal = row.goal_text();
    let verdict = match (goal.is_empty(), row.is_met()) {
        (true, _) => MISSING,
        (false, true) => "yes",
        (false, false) => "**no**",
    };
    vec![row.what.clone(), quantity(row.ours, &row.unit), floor, ratio, goal, verdict.to_owned()]
}

fn quantity(value: f64, unit: &str) -> String {
    let digits = if value >= 100.0 || value.fract() == 0.0 { 0 } else { 2 };
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

fn markdown(table: &[Vec<String>]) -> String {
    let columns = table[0].len();
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (index, row) in table.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let _ = write!(text, "| {cell:<width$} ", width = width(column));
        }
        text.push_str("|\n");
        if index == 0 {
            text.push_str(&"| --- ".repeat(columns));
            text.push_str("|\n");
        }
    }
    text
}

/// The kind of machine this is.
fn machine() -> String {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = file("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let virtual_machine = if info.contains(" hypervisor") { ", virtual machine" } else { "" };
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = file("/proc/sys/kernel/osrelease");
    let release: Vec<_> = kernel.trim().split(['.', '-']).take(2).collect();
    format!(
        "{processors} x {}{virtual_machine}, Linux {}",
        model.unwrap_or("unknown processor"),
        release.join(".")
    )
}

fn page(ours: &Results, others: &[Results], table: &[Vec<String>]) -> Result<String, Box<dyn Error>> {
    let figure = |name: &str| {
        let mut series = plots::series(&ours.points, name, "");
        for (other, prefix) in others.iter().zip(["original: ", "preloaded: "]) {
            series.extend(plots::series(&other.points, name, prefix));
        }
        series.retain(|(name, _)| !name.ends_with(": poll"));
        series
    };
    let figures = [
        ("Against the floor", plots::bars(&ours.rows)),
        ("Rate against threads", plots::lines(&figure("threads"), "threads", "millions a second")),
        ("Latency of a warm checkout and release", plots::distribution(&figure("latency"))),
        (
            "Cost against hosts, all but one of them blacklisted",
            plots::log_lines(&figure("hosts"), "hosts", "ns"),
        ),
    ];
    let mut page = String::from(
        "<!doctype html><html lang=en><meta charset=utf-8><title>droplet-conn: speed</title><style>\
         body{font:15px sans-serif;margin:2em auto;max-width:70em;padding:0 1em}table{border-collapse:collapse}\
         td,th{border:1px solid #ccc;padding:.25em .6em;text-align:left}svg{max-width:100%}</style>\n\
         <h1>droplet-conn: speed against the floor</h1>\n",
    );
    writeln!(page, "<p>{}</p>\n<table>", machine())?;
    for (index, row) in table.iter().enumerate() {
        let tag = if index == 0 { "th" } else { "td" };
        let cells: String = row.iter().map(|cell| format!("<{tag}>{}", cell.replace("**", ""))).collect();
        writeln!(page, "<tr>{cells}")?;
    }
    writeln!(page, "</table>")?;
    for (title, svg) in figures {
        writeln!(page, "<h2>{title}</h2>\n{svg}")?;
    }
    Ok(page)
}
