//! Random histories of the library on a simulated network and clock.
//!
//! The library under test is the one that ships: this program replaces functions of libc (`libc_calls`), which the linker
//! prefers to libc's. So sockets, name server, clocks, futexes, forks and memory are the simulation's, and time passes only
//! when every thread waits. A history is made from a seed (`history`): what threads of a program do by the C functions
//! (`program`), and what happens to servers (`servers`), names and the local system. A model checks each step (`checks`).
//! One thread runs at a time, and hands over at system calls and allocations, as the random numbers say: the seed repeats
//! a history exactly. Each history runs in a process of its own (`runner`). One that fails is made shorter.

mod c;
mod checks;
mod faults;
mod files;
mod history;
mod http;
mod libc_calls;
mod names;
mod network;
mod program;
mod real;
mod runner;
mod servers;
mod threads;
mod tls;
mod workers;
mod world;

use std::process::ExitCode;

const USAGE: &str = "usage: simulation [--first SEED] [--histories N] [--minutes N] [--until-failure]
       simulation --seed SEED [--steps N,N,...] [--trace]

Runs random histories, by default 1000 from seed 0, and prints those that fail, made shorter.
  --minutes   runs histories for this time
  --until-failure   ends with the first one that fails
  --seed      runs one history, or some steps of it, as a failure was printed
  --trace     prints what happens in it";

/// The arguments.
#[derive(Default)]
pub struct Arguments {
    /// The first seed.
    pub first: u64,
    /// The number of histories.
    pub histories: Option<u64>,
    /// The time to run for.
    pub minutes: Option<u64>,
    /// True if the first failure ends all.
    pub ends_with_failure: bool,
    seed: Option<u64>,
    steps: Option<Vec<usize>>,
    shows_trace: bool,
}

fn parse() -> Option<Arguments> {
    let mut parsed = Arguments::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next()?.parse().ok();
        match &argument[..] {
            "--first" => parsed.first = number()?,
            "--histories" => parsed.histories = Some(number()?),
            "--minutes" => parsed.minutes = Some(number()?),
            "--seed" => parsed.seed = Some(number()?),
            "--steps" => {
                let places =
                    arguments.next()?.split(',').map(|place| place.parse().ok()).collect::<Option<_>>();
                parsed.steps = Some(places?);
            }
            "--until-failure" => parsed.ends_with_failure = true,
            "--trace" => parsed.shows_trace = true,
            _ => return None,
        }
    }
    Some(parsed)
}

fn main() -> ExitCode {
    let Some(arguments) = parse() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    // Made once, and not in every process.
    tls::identity();
    let is_good = match arguments.seed {
        Some(seed) => repeat(seed, arguments.steps, arguments.shows_trace),
        None => workers::run(&arguments),
    };
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one history, or some steps of it.
fn repeat(seed: u64, steps: Option<Vec<usize>>, shows_trace: bool) -> bool {
    let (config, all) = history::generate(seed);
    let places = steps.unwrap_or_else(|| (0..all.len()).collect());
    let chosen: Vec<_> = places.iter().filter_map(|place| all.get(*place).copied()).collect();
    println!("{config:?}");
    for step in &chosen {
        println!("{step}");
    }
    let failure = runner::run(seed, &config, &chosen, shows_trace);
    println!("{}", failure.as_deref().unwrap_or("nothing went wrong"));
    failure.is_none()
}
