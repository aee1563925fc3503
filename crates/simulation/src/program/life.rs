//! The beginning and the end of the program and its threads.

use std::ffi::CString;
use std::ptr;

use super::actor::Actor;
use super::replies::last_error;
use super::{Held, context, set_wait};
use crate::c;
use crate::history::{Config, Door, Reader, Wish};
use crate::http::Kind;
use crate::real::{self, really, simulated};
use crate::threads::{MILLISECOND, SECOND, What, wait_for};
use crate::tls::identity;
use crate::world::{World, violation, with};

/// Makes the context. It is ready before the history begins.
pub fn open(config: &Config) {
    let mut profile = String::new();
    if config.is_secure {
        profile += "use_https = true\n";
        profile += &format!("ssl_ca_pem = \"{}\"\n", identity().pem);
    }
    profile += &format!("host = {}\n", config.list(u32::MAX).to_string_lossy());
    profile += &format!("connection_timeout = {}\n", config.connect_timeout);
    profile += &format!("read_timeout = {}\nwrite_timeout = 2\n", config.read_timeout);
    profile += &format!("blacklist_expiretime = {}\n", config.expiry);
    let profile = CString::new(profile).expect("no NUL in a profile");
    // SAFETY: the profile is a string.
    let context = simulated(|| unsafe { c::dplx_ctx_new(profile.as_ptr()) });
    if context.is_null() {
        violation(&format!("no context is made: {}", last_error()));
    }
    with(|world| world.program.context = context);
    with(|world| world.set_limit(config.limit));
    set_wait(config.wait);
}

/// The life of a thread of the program.
pub fn live(number: usize) {
    crate::threads::begin(number);
    really(|| {
        let mut request: *mut c::Request = ptr::null_mut();
        loop {
            wait_for(What::Job, None);
            while request.is_null() {
                // Memory may be short.
                // SAFETY: a context, and no bucket.
                request = simulated(|| unsafe { c::dplx_req_new(context(), ptr::null()) });
            }
            let act = with(|world| world.program.jobs[number].take());
            let Some(act) = act else { continue };
            with(|world| world.trace(|| format!("{act:?}")));
            let actor = Actor { number, request };
            actor.perform(act);
            with(|world| world.threads[number].is_busy = false);
        }
    });
}

/// Gives all connections back.
pub fn give_all_back() {
    let held = with(|world| world.program.held.clone());
    for held in held {
        let actor = Actor { number: held.thread, request: ptr::null_mut() };
        actor.give_back(held.conn, false);
    }
}

/// Frees the context.
pub fn close() {
    let context = context();
    // SAFETY: a context that nobody uses any more.
    simulated(|| unsafe { c::dplx_ctx_free(context) });
}

impl Actor {
    /// Forks. The child makes requests, gives its parent's connections back, and ends.
    pub fn fork(self) {
        let is_another_in_child = with(|world| world.is_child);
        if is_another_in_child {
            return;
        }
        // SAFETY: the child calls the library, which supports that, and ends.
        match simulated(|| unsafe { libc::fork() }) {
            0 => self.be_child(),
            child => {
                let mut status = 0;
                let arguments = [child.into(), (&raw mut status) as i64, 0, 0, 0, 0];
                real::system_call(libc::SYS_wait4, arguments);
                if status != 0 {
                    violation(&format!("a child ends with status {status:#x}"));
                }
            }
        }
    }

    fn be_child(self) -> ! {
        let parents = with(|world| {
            let own: Vec<Held> =
                world.program.held.drain(..).filter(|held| held.thread == self.number).collect();
            world.program.held = own.clone();
            own
        });
        let wish = Wish { kind: Kind::Plain, size: 50, delay: 0, upload: 0, reader: Reader::Stepped };
        self.exchange(Door::TryConnect, wish, false);
        for held in parents {
            self.give_back(held.conn, false);
        }
        self.exchange(Door::TryConnect, wish, false);
        self.exchange(Door::TryConnect, wish, false);
        // SAFETY: it ends the process.
        unsafe { libc::_exit(0) }
    }
}

/// The first handler of a fork in the parent. It waits until the child has ended: otherwise both would write their
/// traces at once, in an order that no seed repeats.
pub extern "C" fn await_child() {
    // Fork is what collects the child.
    let arguments = [libc::P_ALL.into(), 0, 0, (libc::WEXITED | libc::WNOWAIT).into(), 0, 0];
    real::system_call(libc::SYS_waitid, arguments);
}

/// The first handler of a fork in the child: no other thread is there any more.
pub extern "C" fn be_alone() {
    // SAFETY: it takes a number.
    unsafe { libc::alarm(30) };
    let number = real::THREAD.get().unwrap_or(crate::threads::DRIVER);
    with(|world| world.become_child(number));
}

impl World {
    fn become_child(&mut self, number: usize) {
        self.is_child = true;
        self.forget_events();
        for (place, thread) in self.threads.iter_mut().enumerate() {
            if place != number {
                thread.state = crate::threads::State::Ended;
                thread.is_busy = false;
            }
        }
        for socket in &mut self.sockets {
            socket.is_inherited = true;
        }
        (self.program.connecting, self.program.giving_back) = (0, 0);
        self.faults.clear();
    }
}

/// Makes requests that must succeed, now that nothing is wrong any more.
pub fn prove_recovery(request: *mut c::Request) {
    let actor = Actor { number: crate::threads::DRIVER, request };
    let (rounds, expiry) = with(|world| (3 * world.program.config.hosts.len(), world.program.config.expiry));
    let wish = Wish { kind: Kind::Plain, size: 20, delay: 0, upload: 0, reader: Reader::Buffered };
    for _ in 0..2 {
        // In the first round the library finds out which attempts have failed.
        wait_for(What::Time, Some(with(|world| world.now) + (expiry + 10) * SECOND));
        for _ in 0..rounds {
            actor.exchange(Door::TryConnect, wish, false);
            wait_for(What::Time, Some(with(|world| world.now) + 300 * MILLISECOND));
        }
    }
}
