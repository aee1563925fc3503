//! Runs histories, each in a process of its own, and makes those that fail shorter.

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::thread;

use crate::c;
use crate::checks::{check_blame, check_leaks, check_recovery};
use crate::history::{Act, Config, Step, generate};
use crate::names::{Name, Names};
use crate::program::{self, Program};
use crate::real::{THREAD, really, simulated};
use crate::servers::{Condition, Server};
use crate::threads::{DRIVER, MILLISECOND, SECOND, State, Thread, What, wait_for};
use crate::world::{self, REPORT, World, violation, with};

/// The longest time in seconds that a history takes.
const LONGEST: u32 = 20;

/// The report on one that takes longer.
const ENDLESS: &str = "it does not come to an end";

/// Runs the chosen steps of a history in a process of its own. Returns what went wrong.
pub fn run(seed: u64, config: &Config, steps: &[Step], shows_trace: bool) -> Option<String> {
    let mut ends = [0; 2];
    // SAFETY: there is room for two descriptors.
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0, "no pipe");
    // SAFETY: pipe2(2) has just opened both.
    let (reader, writer) = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
    // SAFETY: this process has one thread.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "no process");
    if child == 0 {
        // SAFETY: both take numbers only.
        unsafe {
            assert_eq!(libc::dup2(writer.as_raw_fd(), REPORT), REPORT);
            libc::alarm(LONGEST);
        }
        live(seed, config, steps, shows_trace);
        // SAFETY: it ends the process.
        unsafe { libc::_exit(0) }
    }
    drop(writer);
    let mut report = String::new();
    File::from(reader).read_to_string(&mut report).expect("a report");
    let mut status = 0;
    // SAFETY: there is room for the status.
    unsafe { libc::waitpid(child, &mut status, 0) };
    let text = report.lines().next().unwrap_or_default().to_owned();
    match (status, text.is_empty()) {
        (0, true) => None,
        (_, false) => Some(text),
        (status, true) if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGALRM => {
            Some(ENDLESS.to_owned())
        }
        (status, true) => Some(format!("the process ends with status {status:#x}")),
    }
}

/// Lives through a history.
fn live(seed: u64, config: &Config, steps: &[Step], shows_trace: bool) {
    let (servers, names) = make_world(seed, config);
    world::create(seed, servers, names, Program::new(config.clone()), shows_trace);
    THREAD.set(Some(DRIVER));
    really(|| {
        // Before the library registers its own.
        // SAFETY: the handlers stay in memory.
        unsafe { libc::pthread_atfork(None, Some(program::await_child), Some(program::be_alone)) };
        for _ in 0..config.threads {
            with(|world| world.threads.push(Thread::new(true)));
        }
        program::open(config);
        for number in 1..=config.threads {
            thread::spawn(move || program::live(number));
        }
        for step in steps {
            wait_for(What::Time, Some(with(|world| world.now) + step.pause));
            issue(step);
            check_blame();
        }
        end();
    });
}

fn make_world(seed: u64, config: &Config) -> (Vec<Server>, Names) {
    let mut random = fastrand::Rng::with_seed(seed ^ 0xABCD);
    let mut server = |number: usize| {
        let address = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, number as u8 + 1), config.port());
        Server::new(address, random.u64(20_000..2 * MILLISECOND))
    };
    let servers = (0..config.servers).map(&mut server).collect();
    let named = (0..config.hosts.len()).filter(|host| config.hosts[*host].0);
    let name = |host: usize| {
        let servers = config.hosts[host].1.clone();
        Name {
            name: config.host_name(host),
            ever: servers.clone(),
            servers,
            delay: 0,
            error: 0,
            changed: None,
        }
    };
    (servers, Names { all: named.map(name).collect(), lent: Vec::new() })
}

/// Has a step happen: a thread of the program gets the job, or the world changes.
fn issue(step: &Step) {
    if with(|world| world.change_for(&step.act)) {
        return;
    }
    if let Act::Wait(milliseconds) = step.act {
        return program::set_wait(milliseconds);
    }
    wait_for(What::IdleThread, None);
    with(|world| {
        let threads = world.program.config.threads;
        let in_order = (0..threads).map(|place| 1 + (step.thread + place) % threads);
        let free = { in_order }.find(|number| !world.threads[*number].is_busy);
        if let Some(number) = free {
            world.program.jobs[number] = Some(step.act);
            world.threads[number].is_busy = true;
        }
    });
}

impl World {
    /// Makes a change of the world. False for an action of the program.
    fn change_for(&mut self, act: &Act) -> bool {
        self.happen();
        match *act {
            Act::Serve(server, condition) => self.change(server, condition),
            Act::Slow(server, milliseconds) => {
                self.servers[server].slowness = milliseconds * MILLISECOND;
                self.review_health(server);
            }
            Act::IdleLimit(server, milliseconds) => {
                let limit = (milliseconds > 0).then_some(milliseconds * MILLISECOND);
                self.servers[server].idle_limit = limit;
            }
            Act::MostRequests(server, most) => {
                self.servers[server].most_requests = (most > 0).then_some(most);
            }
            Act::Sessions(server, rejects) => self.servers[server].rejects_sessions = rejects,
            Act::Name(host, bits, delay, error) => self.change_name(host, bits, delay * MILLISECOND, error),
            Act::Fault(call, error, skip, count) => self.faults.plan(call, error, skip, count),
            Act::WallClock(seconds) => self.wall_clock += seconds,
            Act::Limit(limit) => self.set_limit(limit),
            _ => return false,
        }
        let act = *act;
        self.trace(|| format!("{act:?}"));
        true
    }

    fn change_name(&mut self, host: usize, bits: u32, delay: u64, error: i32) {
        let name = self.program.config.host_name(host);
        let now = self.now;
        let Some(name) = self.names.all.iter_mut().find(|known| known.name == name) else { return };
        if bits != 0 {
            name.servers = (0..self.servers.len()).filter(|server| bits >> server & 1 == 1).collect();
            name.ever.extend(&name.servers);
            name.ever.sort_unstable();
            name.ever.dedup();
        }
        (name.delay, name.error, name.changed) = (delay, error, Some(now));
    }
}

/// Ends a history: everything is repaired, and then everything must work.
fn end() {
    wait_for(What::AllIdle, None);
    with(|world| {
        world.faults.clear();
        for server in 0..world.servers.len() {
            world.servers[server].slowness = 0;
            world.servers[server].rejects_sessions = false;
            world.servers[server].idle_limit = None;
            world.servers[server].most_requests = None;
            world.change(server, Condition::Up);
        }
        for name in &mut world.names.all {
            (name.delay, name.error) = (0, 0);
        }
        world.set_limit(50);
    });
    // SAFETY: a context, and no bucket.
    let request =
        simulated(|| unsafe { c::dplx_req_new(with(|world| world.program.context), std::ptr::null()) });
    program::give_all_back();
    program::prove_recovery(request);
    check_recovery();
    // SAFETY: a request that nobody uses any more.
    simulated(|| unsafe { c::dplx_req_free(request) });
    program::close();
    // Look-ups that are under way have pipes.
    wait_for(What::Time, Some(with(|world| world.now) + 20 * SECOND));
    check_leaks();
    let alive = with(|world| {
        let helpers = world.threads.iter().skip(1).filter(|thread| !thread.is_program);
        helpers.filter(|thread| !matches!(thread.state, State::Ended)).count()
    });
    if alive > 0 {
        violation(&format!("{alive} threads of the library are left"));
    }
}

/// A history that fails.
pub struct Failure {
    /// The steps that are enough.
    pub steps: Vec<usize>,
    /// What goes wrong.
    pub text: String,
}

/// Runs a history, and makes it shorter if it fails.
pub fn check(seed: u64, most_runs: usize) -> (usize, Option<Failure>) {
    let (config, steps) = generate(seed);
    let Some(text) = run(seed, &config, &steps, false) else { return (steps.len(), None) };
    let kind = kind_of(&text);
    let mut left: Vec<usize> = (0..steps.len()).collect();
    let mut text = text;
    // To make an endless one shorter would take hours.
    let mut runs = if text == ENDLESS { most_runs } else { 0 };
    let mut size = left.len() / 2;
    while size > 0 && runs < most_runs {
        let mut at = 0;
        let before = left.len();
        while at < left.len() && runs < most_runs {
            let mut fewer = left.clone();
            fewer.drain(at..(at + size).min(left.len()));
            let chosen: Vec<Step> = fewer.iter().map(|place| steps[*place]).collect();
            runs += 1;
            match run(seed, &config, &chosen, false) {
                Some(other) if kind_of(&other) == kind => {
                    left = fewer;
                    text = other;
                }
                _ => at += size,
            }
        }
        if size == 1 && left.len() == before {
            break;
        }
        size = (size / 2).max(1);
    }
    (steps.len(), Some(Failure { steps: left, text }))
}

/// The words of a report without its numbers.
fn kind_of(text: &str) -> String {
    text.chars().take(40).filter(|letter| !letter.is_ascii_digit()).collect()
}
