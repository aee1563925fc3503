//! Processes that run histories side by side, one on each processor. A history hands over between threads all the time,
//! which takes ten times as long if they are on two processors.

use std::fs::File;
use std::io::{Read, Write};
use std::mem;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Arguments;
use crate::history::generate;
use crate::runner::{Failure, check};

/// The histories that are run unless the command line says otherwise.
const USUAL: u64 = 1000;

/// The most runs that make one failure shorter.
const MOST_RUNS: usize = 300;

/// The failures after which a worker stops: the first ones are enough to work on.
const MOST_FAILURES: u64 = 5;

/// The sums of a worker.
#[derive(Default)]
struct Sums {
    histories: u64,
    steps: u64,
    failures: u64,
}

/// Runs histories. Returns true if none failed.
pub fn run(arguments: &Arguments) -> bool {
    let Arguments { first, histories, minutes, ends_with_failure, .. } = *arguments;
    let is_over = shared_flag();
    let begin = Instant::now();
    let until = minutes.map(|minutes| begin + Duration::from_secs(60 * minutes));
    let most = histories.unwrap_or(if until.is_some() { u64::MAX } else { USUAL });
    let processors = processors();
    let count = processors.len() as u64;
    let start = |(worker, processor): (u64, &usize)| {
        start(*processor, move || {
            let mut sums = Sums::default();
            let seeds = (worker..most).step_by(count as usize).map(|place| first.saturating_add(place));
            for seed in seeds {
                let is_late =
                    is_over.load(Ordering::Relaxed) || until.is_some_and(|until| Instant::now() >= until);
                if sums.failures >= MOST_FAILURES || is_late {
                    break;
                }
                let (steps, failure) = check(seed, MOST_RUNS);
                sums.histories += 1;
                sums.steps += steps as u64;
                if let Some(failure) = failure {
                    sums.failures += 1;
                    print(seed, &failure);
                    is_over.store(ends_with_failure, Ordering::Relaxed);
                }
            }
            sums
        })
    };
    let workers: Vec<_> = (0..count).zip(&processors).map(start).collect();
    let mut all = Sums::default();
    for worker in workers {
        let mut text = String::new();
        File::from(worker).read_to_string(&mut text).expect("the sums of a worker");
        let numbers: Vec<u64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let [histories, steps, failures] = numbers[..] else { panic!("a worker has died") };
        all.histories += histories;
        all.steps += steps;
        all.failures += failures;
    }
    let Sums { histories, steps, failures } = all;
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{histories} histories of {steps} steps in {seconds:.1} s ({:.0} steps a minute): {failures} failed",
        steps as f64 * 60.0 / seconds
    );
    failures == 0
}

/// Returns a flag that all workers share.
fn shared_flag() -> &'static AtomicBool {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: it maps new memory.
    let page = unsafe { libc::mmap(ptr::null_mut(), 4096, access, kind, -1, 0) };
    assert_ne!(page, libc::MAP_FAILED, "no memory");
    // SAFETY: the memory is never unmapped; zeros are a false flag.
    unsafe { &*page.cast::<AtomicBool>() }
}

/// Returns the processors that this process may use.
fn processors() -> Vec<usize> {
    // SAFETY: a set of zeros is empty; the call fills it.
    let set = unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set);
        set
    };
    // SAFETY: each number is below the size of the set.
    let all: Vec<usize> = (0..1024).filter(|number| unsafe { libc::CPU_ISSET(*number, &set) }).collect();
    if all.is_empty() { vec![0] } else { all }
}

/// Starts a worker on a processor. Returns the end of a pipe from which its sums come.
fn start(processor: usize, work: impl FnOnce() -> Sums) -> OwnedFd {
    let mut ends = [0; 2];
    // SAFETY: there is room for two descriptors.
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0, "no pipe");
    // SAFETY: pipe2(2) has just opened both.
    let (reader, writer) = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
    // SAFETY: this process has one thread.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "no process");
    if child > 0 {
        return reader;
    }
    drop(reader);
    // SAFETY: a set of zeros is empty; the processor is one of those that there are. If it fails, the worker is slower.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        let mut set: libc::cpu_set_t = mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
    let Sums { histories, steps, failures } = work();
    write!(File::from(writer), "{histories} {steps} {failures}").expect("a pipe");
    // SAFETY: it ends the process.
    unsafe { libc::_exit(0) }
}

/// Prints a failure: what went wrong, the settings and steps that are enough, and how to repeat it.
fn print(seed: u64, failure: &Failure) {
    let (config, all) = generate(seed);
    let steps: Vec<String> = failure.steps.iter().map(|place| format!("    {}\n", all[*place])).collect();
    let places: Vec<String> = failure.steps.iter().map(usize::to_string).collect();
    let text = format!(
        "seed {seed}: {}\n    {config:?}\n{}    again: simulation --seed {seed} --steps {} --trace\n",
        failure.text,
        steps.concat(),
        places.join(",")
    );
    // By one call, since other workers print, too.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
