//! What a fork does to this library: nothing that parent or child would notice.
//!
//! Every lock is taken before the fork, in the order in which they nest, and let go of on both sides. The
//! child then counts itself as another process, for which its parent's connections are not its own.

use std::sync::{Once, OnceLock};

use super::addrlist::AddrList;
use super::context::Context;
use super::{connection, listener, owned_context};
use crate::lock::{Fork, Lock};
use crate::sys;
use crate::tls_ffi;

/// Held while a context or a list comes or goes, and through every fork: what is visited before one is there
/// after it.
pub static LIFETIMES: Lock<()> = Lock::new(());

/// Prepares for forks; to be called before there is anything to protect.
pub fn watch() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| sys::at_every_fork(prepare, parent, child));
}

/// What stands beside the C side, and has locks over the client's.
static ALSO: OnceLock<fn(Fork)> = OnceLock::new();

/// Prepares for forks, and has `visit` called in each phase.
pub fn watch_also(visit: fn(Fork)) {
    watch();
    let _lifetimes = LIFETIMES.lock();
    ALSO.get_or_init(|| visit);
}

extern "C" fn prepare() {
    at_fork(Fork::Prepare);
}

extern "C" fn parent() {
    at_fork(Fork::Parent);
}

extern "C" fn child() {
    sys::count_fork();
    at_fork(Fork::Child);
}

fn at_fork(phase: Fork) {
    // Outermost: whoever is in OpenSSL may take locks of ours, but nobody goes there with one.
    tls_ffi::at_fork(phase);
    LIFETIMES.at_fork(phase, |()| {
        // A context's table nests outside the hosts of its list.
        Context::all_at_fork(phase);
        AddrList::all_at_fork(phase);
        if let Some(visit) = ALSO.get() {
            visit(phase);
        }
        owned_context::arena_at_fork(phase);
        connection::arena_at_fork(phase);
        listener::at_fork(phase);
    });
}
