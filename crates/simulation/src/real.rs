//! The real system: system calls by the processor's instruction, and functions of libc behind those of this program.

use std::arch::asm;
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

thread_local! {
    /// The number of the simulated thread that this one is; `None` for threads that are not simulated.
    pub static THREAD: Cell<Option<usize>> = const { Cell::new(None) };
    /// True while the thread runs the simulation itself, whose calls are real.
    static IN_SIMULATION: Cell<bool> = const { Cell::new(false) };
}

/// True if calls of libc are simulated now.
pub fn is_simulated() -> bool {
    !IN_SIMULATION.get() && THREAD.get().is_some()
}

/// Runs code of the simulation, whose calls of libc are real.
pub fn really<T>(body: impl FnOnce() -> T) -> T {
    within(true, body)
}

/// Runs code of the program under test, whose calls of libc are simulated.
pub fn simulated<T>(body: impl FnOnce() -> T) -> T {
    within(false, body)
}

fn within<T>(is_in_simulation: bool, body: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            IN_SIMULATION.set(self.0);
        }
    }
    let _restore = Restore(IN_SIMULATION.replace(is_in_simulation));
    body()
}

/// Makes a system call. Returns its result, or the negative number of its error.
pub fn system_call(number: c_long, arguments: [c_long; 6]) -> c_long {
    let [a, b, c, d, e, f] = arguments;
    let result;
    // SAFETY: the kernel keeps all registers but rax, rcx and r11. The caller vouches for the pointers.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack)
        );
    }
    result
}

/// Makes a system call as `syscall(3)` does: -1 and `errno` on failure.
pub fn as_libc(number: c_long, arguments: [c_long; 6]) -> c_long {
    let result = system_call(number, arguments);
    if (-4095..0).contains(&result) { failed(-result as c_int) } else { result }
}

/// Sets `errno` and returns -1.
pub fn failed(error: c_int) -> c_long {
    // SAFETY: libc returns the address of the calling thread's errno.
    unsafe { *libc::__errno_location() = error };
    -1
}

/// Sleeps on a word while it has this value.
pub fn futex_wait(word: &AtomicU32, value: u32) {
    let address = ptr::from_ref(word) as c_long;
    system_call(libc::SYS_futex, [address, libc::FUTEX_WAIT.into(), value.into(), 0, 0, 0]);
}

/// Wakes the threads that sleep on a word.
pub fn futex_wake(word: &AtomicU32) {
    let address = ptr::from_ref(word) as c_long;
    system_call(libc::SYS_futex, [address, libc::FUTEX_WAKE.into(), c_int::MAX.into(), 0, 0, 0]);
}

/// A function of libc that this program replaces.
pub struct Replaced {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl Replaced {
    pub const fn new(name: &'static CStr) -> Replaced {
        Replaced { name, address: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Returns libc's function.
    ///
    /// # Safety
    /// `F` is the type of that function.
    pub unsafe fn get<F: Copy>(&self) -> F {
        assert_eq!(size_of::<F>(), size_of::<*mut c_void>());
        let mut address = self.address.load(Ordering::Relaxed);
        if address.is_null() {
            // SAFETY: the name is a string.
            address = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr().cast::<c_char>()) };
            assert!(!address.is_null(), "libc has no {:?}", self.name);
            self.address.store(address, Ordering::Relaxed);
        }
        // SAFETY: it is the address of a function of type `F` (contract of this function).
        unsafe { mem::transmute_copy(&address) }
    }
}
