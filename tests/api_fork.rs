//! A fork while the first context of a Rust program is being made. It has a process of its own, in which no other context
//! was made before.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use droplet_client::Context;
use libc::addrinfo;

/// True from the first look-up of the name on.
static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
/// True once that look-up may end.
static MAY_END: AtomicBool = AtomicBool::new(false);

type Function =
    unsafe extern "C" fn(*const c_char, *const c_char, *const addrinfo, *mut *mut addrinfo) -> c_int;

/// Waits for a flag, up to 20 s. Returns whether it was set.
fn wait_for(flag: &AtomicBool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !flag.load(Ordering::SeqCst) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    flag.load(Ordering::SeqCst)
}

/// Stands in the place of libc's function. The first look-up of the name takes as long as the test likes.
///
/// # Safety
/// As for getaddrinfo(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn getaddrinfo(
    name: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    found: *mut *mut addrinfo,
) -> c_int {
    // SAFETY: the name is a string (contract of this function); the crate always passes one.
    let is_of_test = unsafe { CStr::from_ptr(name) } == c"localhost";
    // SAFETY: the hints are readable (contract of this function).
    let is_numeric = unsafe { (*hints).ai_flags } & libc::AI_NUMERICHOST != 0;
    if is_of_test && !is_numeric && !HAS_BEGUN.swap(true, Ordering::SeqCst) {
        wait_for(&MAY_END);
    }
    // SAFETY: libc has a function of this name and type, and the arguments are the caller's.
    unsafe {
        let original: *mut c_void = libc::dlsym(libc::RTLD_NEXT, c"getaddrinfo".as_ptr());
        mem::transmute::<*mut c_void, Function>(original)(name, service, hints, found)
    }
}

#[test]
fn a_child_of_the_first_look_up_makes_its_own() {
    let context = || Context::from_profile("host = localhost:9\nconnection_timeout = 2");
    let maker = thread::spawn(context);
    assert!(wait_for(&HAS_BEGUN), "no look-up has begun");
    // SAFETY: the child uses only what is safe after a fork: the library handles it, and _exit() ends the child.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let is_made = context().is_ok();
        // SAFETY: _exit() has no preconditions. It runs no exit handlers, which are the parent's.
        unsafe { libc::_exit(i32::from(!is_made)) };
    }
    let mut status = -1;
    // SAFETY: `status` is writable.
    unsafe { libc::waitpid(child, &mut status, 0) };
    MAY_END.store(true, Ordering::SeqCst);
    assert_eq!(status, 0, "the child waited for a look-up of its parent");
    assert!(maker.join().expect("no panic").is_ok(), "the parent's look-up ended");
}
