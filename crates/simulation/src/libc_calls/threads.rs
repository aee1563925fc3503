//! Threads that the library starts, and locks of pthreads.

use std::ffi::{c_int, c_void};

use super::fault;
use crate::faults::Call;
use crate::real::{Replaced, as_libc, is_simulated, really, simulated};
use crate::threads::{self, MICROSECOND, Thread, What, may_be_interrupted, wait_for};
use crate::world::with;

type Work = extern "C" fn(*mut c_void) -> *mut c_void;
type CreateThread =
    unsafe extern "C" fn(*mut libc::pthread_t, *const libc::pthread_attr_t, Work, *mut c_void) -> c_int;

static PTHREAD_CREATE: Replaced = Replaced::new(c"pthread_create");

struct Start {
    number: usize,
    work: Work,
    argument: *mut c_void,
}

#[unsafe(no_mangle)]
extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    work: Work,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: the type is that of libc's function.
    let create: CreateThread = really(|| unsafe { PTHREAD_CREATE.get() });
    if !is_simulated() {
        // SAFETY: the caller's arguments.
        return unsafe { create(thread, attributes, work, argument) };
    }
    if let Some(error) = fault(Call::Thread) {
        return error;
    }
    let number = with(|world| {
        world.threads.push(Thread::new(false));
        world.threads.len() - 1
    });
    really(|| {
        let start = Box::into_raw(Box::new(Start { number, work, argument }));
        // SAFETY: the caller's attributes, and a function with its argument.
        let made = unsafe { create(thread, attributes, run, start.cast()) };
        assert_eq!(made, 0, "no thread can be had");
    });
    may_be_interrupted();
    0
}

/// The body of a thread that the library has started.
extern "C" fn run(start: *mut c_void) -> *mut c_void {
    // SAFETY: `pthread_create` passes a box of this type.
    let Start { number, work, argument } = *really(|| unsafe { Box::from_raw(start.cast::<Start>()) });
    threads::begin(number);
    let outcome = simulated(|| work(argument));
    threads::end();
    outcome
}

/// Waits for a lock of pthreads in the simulated time, since the thread that holds it is simulated, too.
fn lock(name: &'static Replaced, object: *mut c_void) -> c_int {
    type Function = unsafe extern "C" fn(*mut c_void) -> c_int;
    loop {
        // SAFETY: the function that tries to lock, for an object of the caller.
        let outcome = really(|| unsafe { name.get::<Function>()(object) });
        if outcome != libc::EBUSY {
            return outcome;
        }
        if is_simulated() {
            wait_for(What::Time, Some(with(|world| world.now) + MICROSECOND));
        } else {
            as_libc(libc::SYS_sched_yield, [0; 6]);
        }
    }
}

static TRY_MUTEX: Replaced = Replaced::new(c"pthread_mutex_trylock");
static TRY_READ: Replaced = Replaced::new(c"pthread_rwlock_tryrdlock");
static TRY_WRITE: Replaced = Replaced::new(c"pthread_rwlock_trywrlock");

#[unsafe(no_mangle)]
extern "C" fn pthread_mutex_lock(mutex: *mut c_void) -> c_int {
    lock(&TRY_MUTEX, mutex)
}

#[unsafe(no_mangle)]
extern "C" fn pthread_rwlock_rdlock(rwlock: *mut c_void) -> c_int {
    lock(&TRY_READ, rwlock)
}

#[unsafe(no_mangle)]
extern "C" fn pthread_rwlock_wrlock(rwlock: *mut c_void) -> c_int {
    lock(&TRY_WRITE, rwlock)
}
