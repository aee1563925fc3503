//! The nodes of a list: each is a host as C reads it.

use std::net::SocketAddr;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::abi::hostent::{self, OwnedHostent};
use crate::abi::layout::Addr;
use crate::abi::memory::{Block, duplicate};
use droplet_client::hosts::{Host, Observer, Resolved};
use droplet_client::net::authority::Authority;
use droplet_client::os::{clock, sys};
use droplet_client::status::Error;

/// Number of addresses that a new node has room for, at least: a later look-up may find more than the first.
const LEAST_ROOM: usize = 16;

/// Returns the number of addresses that a node has room for.
pub fn room_for(known: &[SocketAddr]) -> usize {
    known.len().max(LEAST_ROOM)
}

/// A node that is in no list. Dropped, it is freed with its parts.
pub struct OwnedNode(NonNull<Addr>);

impl OwnedNode {
    /// Makes a node, each part of which is a block of its own from malloc(3), as C expects.
    pub fn new(resolved: &Resolved) -> Result<OwnedNode, Error> {
        let Authority { host, port, number } = &resolved.authority;
        let name = host.written();
        let room = room_for(&resolved.known);
        let OwnedHostent { entry, buffer } = OwnedHostent::new(name, &resolved.known, room)?;
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
        let memory = memory.into_raw();
        // SAFETY: just allocated, of this size.
        unsafe { memory.write(node) };
        NonNull::new(memory).map(OwnedNode).ok_or(Error::OutOfMemory)
    }

    /// Takes a node over.
    ///
    /// # Safety
    /// `node` is NULL, or a node that is in no list and that nobody else frees. It and each of its parts are blocks
    /// from malloc(3).
    pub unsafe fn from_raw(node: *mut Addr) -> Option<OwnedNode> {
        NonNull::new(node).map(OwnedNode)
    }

    /// Returns the address of the node.
    pub fn as_ptr(&self) -> *mut Addr {
        self.0.as_ptr()
    }

    /// Gives the node up: the caller frees it.
    pub fn into_raw(self) -> *mut Addr {
        let node = self.as_ptr();
        std::mem::forget(self);
        node
    }
}

impl Drop for OwnedNode {
    fn drop(&mut self) {
        // SAFETY: the node and its parts are blocks from malloc(3) that nobody else has (`new`, `from_raw`).
        unsafe {
            let Addr { host, portstr, hbuf, h, .. } = *self.as_ptr();
            for part in [host, portstr, hbuf] {
                libc::free(part.cast());
            }
            libc::free(h.cast());
            libc::free(self.as_ptr().cast());
        }
    }
}

/// Returns the node of a host that is in a list.
pub fn node_of(host: &Host) -> *mut Addr {
    host.handle() as *mut Addr
}

/// Returns how long a host stays blacklisted by the `blacklist_expire_timestamp` field of its node: `None` if it is
/// not blacklisted, `Some(None)` if it is for ever. The field is a time(2); 0 and times in the past mean no
/// blacklisting, -1 means for ever.
pub fn blacklisted_for(timestamp: libc::time_t) -> Option<Option<Duration>> {
    match timestamp {
        0 => None,
        -1 => Some(None),
        _ => {
            let seconds = timestamp.saturating_sub(sys::wall_clock_seconds());
            u64::try_from(seconds).ok().map(|left| Some(Duration::from_secs(left)))
        }
    }
}

/// Keeps the fields of a node up to date with its host.
pub struct NodeMirror {
    node: *mut Addr,
    /// Number of addresses that fit into the node; 0 if C made it.
    room: usize,
}

// SAFETY: the node outlives its observer, which `Hosts::remove` drops before the node is freed. Threads write its
// timestamp atomically, and its addresses under the lock of the hosts.
unsafe impl Send for NodeMirror {}

impl NodeMirror {
    /// An observer that writes to `node`, which has `room` for addresses.
    pub fn new(node: *mut Addr, room: usize) -> NodeMirror {
        NodeMirror { node, room }
    }

    /// Sets the `blacklist_expire_timestamp` field; see [`blacklisted_for`].
    fn show(&self, timestamp: libc::time_t) {
        // SAFETY: the node outlives its observer, as above.
        let field = unsafe { AtomicI64::from_ptr(&raw mut (*self.node).blacklist_expire_timestamp) };
        field.store(timestamp, Ordering::Relaxed);
    }
}

impl Observer for NodeMirror {
    fn show_blacklisted(&self, wait: Option<Duration>) {
        self.show(match wait {
            Some(wait) => sys::wall_clock_seconds().saturating_add_unsigned(clock::whole_seconds(wait)),
            None => -1,
        });
    }

    fn show_available(&self) {
        self.show(0);
    }

    fn show_addresses(&self, addresses: &[SocketAddr]) {
        if self.room > 0 {
            // SAFETY: the node outlives its observer, as above; one with room has a `hostent` from `OwnedHostent::new`.
            unsafe { hostent::show((*self.node).h, addresses, self.room) };
        }
    }
}
