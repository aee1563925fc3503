//! The nodes of a list: a host as C reads it.

use std::net::SocketAddr;
use std::ptr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::abi::hostent::{self, OwnedHostent};
use crate::abi::layout::Addr;
use crate::abi::memory::{Block, duplicate};
use droplet_client::hosts::{Host, Observer, Resolved};
use droplet_client::net::authority::Authority;
use droplet_client::os::sys;
use droplet_client::status::Error;

/// How many addresses of a host C sees at least, if there are so many.
const MOST_SHOWN: usize = 16;

/// How many addresses a node has room for: a name may lead to more of them one day.
pub fn room_for(known: &[SocketAddr]) -> usize {
    known.len().max(MOST_SHOWN)
}

/// A node whose parts are blocks of their own: whoever takes it out of the list frees each.
pub fn new_node(resolved: &Resolved) -> Result<*mut Addr, Error> {
    let Authority { host, port, number } = &resolved.authority;
    let name = host.written();
    let OwnedHostent { entry, buffer } = OwnedHostent::new(name, &resolved.known, room_for(&resolved.known))?;
    let (host, portstr, memory) = (duplicate(name)?, duplicate(port)?, Block::<Addr>::new()?);
    let node = Addr {
        host: host.into_raw(),
        portstr: portstr.into_raw(),
        hbuf: buffer.into_raw(),
        h: entry.into_raw(),
        port: *number,
        blacklist_expire_timestamp: 0,
        le_next: ptr::null_mut(),
        le_prev: ptr::null_mut(),
    };
    // SAFETY: just allocated, of this size.
    unsafe { memory.as_ptr().write(node) };
    Ok(memory.into_raw())
}

/// The node of a host that is in a list.
pub fn node_of(host: &Host) -> *mut Addr {
    host.handle() as *mut Addr
}

/// What a public timestamp says: a host that is out has `Some`, of a time from now or of none, for good. Past
/// times, and 0, say that it is not.
pub fn wait_until(timestamp: libc::time_t) -> Option<Option<Duration>> {
    match timestamp {
        0 => None,
        -1 => Some(None),
        _ => {
            let seconds = timestamp.saturating_sub(sys::wall_clock_seconds());
            u64::try_from(seconds).ok().map(|left| Some(Duration::from_secs(left)))
        }
    }
}

/// Shows in the node what becomes of its host.
pub struct NodeMirror {
    node: *mut Addr,
    /// How many addresses fit into it; none if C made it.
    room: usize,
}

// SAFETY: the node outlives its observer, which `Hosts::remove` drops first. Its timestamp is written
// atomically, its addresses under the list's lock.
unsafe impl Send for NodeMirror {}

impl NodeMirror {
    /// For a node with room for so many addresses.
    pub fn new(node: *mut Addr, room: usize) -> NodeMirror {
        NodeMirror { node, room }
    }

    /// The wall-clock second at which a blacklisting ends, -1 for never, 0 for none.
    fn show(&self, timestamp: libc::time_t) {
        // SAFETY: as above.
        let field = unsafe { AtomicI64::from_ptr(&raw mut (*self.node).blacklist_expire_timestamp) };
        field.store(timestamp, Ordering::Relaxed);
    }
}

impl Observer for NodeMirror {
    fn show_blacklisted(&self, wait: Option<Duration>) {
        self.show(match wait {
            Some(wait) => sys::wall_clock_seconds().saturating_add_unsigned(wait.as_secs()),
            None => -1,
        });
    }

    fn show_available(&self) {
        self.show(0);
    }

    fn show_addresses(&self, addresses: &[SocketAddr]) {
        if self.room > 0 {
            // SAFETY: as above; a node with room has a `hostent` of ours.
            unsafe { hostent::show((*self.node).h, addresses, self.room) };
        }
    }
}
