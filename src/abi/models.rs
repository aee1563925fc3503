//! Models of the slab, and of the uses of connections that another thread may cancel.

use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering;

use droplet_client::os::sync::model::{Exclusive, explore, spawn};

use super::slab::{InSlab, Slab};

/// The slab of the run of a model.
static SLAB: AtomicPtr<Slab<Exclusive>> = AtomicPtr::new(std::ptr::null_mut());

impl InSlab for Exclusive {
    fn slab() -> &'static Slab<Exclusive> {
        // SAFETY: `begin` has set it, and a slab is never freed.
        unsafe { &*SLAB.load(Ordering::Relaxed) }
    }
}

/// Makes a slab for this run. It stays in memory, as slabs do.
fn begin() -> &'static Slab<Exclusive> {
    SLAB.store(Box::leak(Box::new(Slab::new())), Ordering::Relaxed);
    Exclusive::slab()
}

/// C gives back one connection from two threads at a time: one of them gets it, and sees what was done to it before.
#[test]
fn a_value_is_taken_back_once() {
    explore("slab, taken twice", || {
        let slab = begin();
        let held = slab.insert(Exclusive::new()).ok().expect("memory");
        held.use_it();
        let pointer = held.into_raw().addr();
        let take = move || {
            let held = slab.take(std::ptr::without_provenance(pointer));
            held.is_some_and(|held| held.use_it() == 2)
        };
        let other = spawn(take);
        let own = take();
        assert!(own != other.join().unwrap(), "both or none got it");
    });
}

/// A thread uses a value and lends it to C; another takes it back as soon as it can.
#[test]
fn a_value_that_is_taken_back_is_as_it_was_lent() {
    explore("slab, lent and taken", || {
        let slab = begin();
        let held = slab.insert(Exclusive::new()).ok().expect("memory");
        let pointer = std::ptr::from_ref(&*held).addr();
        let other = spawn(move || slab.take(std::ptr::without_provenance(pointer)).map(|held| held.use_it()));
        held.use_it();
        held.into_raw();
        let taken = other.join().unwrap();
        assert!(taken.is_none_or(|uses| uses == 2));
    });
}

/// Two threads get and give back slots: no slot is anybody else's meanwhile.
#[test]
fn a_slot_has_one_owner() {
    explore("slab, slots", || {
        let slab = begin();
        // For loom, a variable must exist before the threads that share it: it does from its first use.
        drop(slab.insert(Exclusive::new()));
        let use_one = move || {
            let held = slab.insert(Exclusive::new()).ok().expect("memory");
            assert_eq!(held.use_it(), 1);
            let pointer = held.into_raw();
            let again = slab.take(pointer).expect("its own");
            assert_eq!(again.use_it(), 2);
        };
        let other = spawn(use_one);
        use_one();
        other.join().unwrap();
        use_one();
    });
}

/// A thread ends a use while others cancel it. Afterwards nobody shuts the socket down, which may be somebody else's.
#[cfg(model = "shuttle")]
#[test]
fn no_use_is_cancelled_after_its_end() {
    use std::os::fd::AsRawFd;

    use super::uses;
    use droplet_client::os::sync::atomic::AtomicBool;
    use droplet_client::os::sync::model::Arc;
    use droplet_client::os::sys::OpenFile;

    explore("cancelled use", || {
        let file = std::fs::File::open("/dev/null").expect("there");
        let number = uses::begin().expect("memory");
        uses::set_socket(number, file.as_raw_fd(), OpenFile::behind(file.as_raw_fd()).expect("open"));
        let is_over = Arc::new(AtomicBool::new(false));
        let cancels: Vec<_> = (0..2)
            .map(|_| {
                let is_over = Arc::clone(&is_over);
                spawn(move || {
                    uses::cancel_by(number, |_| {
                        assert!(!is_over.load(Ordering::SeqCst), "the socket may be another's by now");
                    })
                })
            })
            .collect();
        let was_cancelled = uses::end(number);
        is_over.store(true, Ordering::SeqCst);
        let found: Vec<bool> = cancels.into_iter().map(|cancel| cancel.join().unwrap()).collect();
        assert_eq!(was_cancelled, found.contains(&true), "a call has cancelled it, or has not");
        assert!(!uses::cancel_by(number, |_| panic!("it is over")));
    });
}

/// The same for a socket that is taken out of a use that goes on, because its connection is closed.
#[cfg(model = "shuttle")]
#[test]
fn no_socket_is_shut_down_after_it_was_taken_out() {
    use std::os::fd::AsRawFd;

    use super::uses;
    use droplet_client::os::sync::atomic::AtomicBool;
    use droplet_client::os::sync::model::Arc;
    use droplet_client::os::sys::OpenFile;

    explore("socket taken out", || {
        let file = std::fs::File::open("/dev/null").expect("there");
        let number = uses::begin().expect("memory");
        uses::set_socket(number, file.as_raw_fd(), OpenFile::behind(file.as_raw_fd()).expect("open"));
        let is_closed = Arc::new(AtomicBool::new(false));
        let cancel = {
            let is_closed = Arc::clone(&is_closed);
            spawn(move || {
                uses::cancel_by(number, |_| {
                    assert!(!is_closed.load(Ordering::SeqCst), "the socket may be another's by now");
                })
            })
        };
        uses::take_socket(number);
        is_closed.store(true, Ordering::SeqCst);
        assert!(cancel.join().unwrap(), "the use goes on");
        assert!(uses::end(number));
    });
}
