//! `dpl_addrlist`: the list of hosts that C may walk.
//!
//! Rust's list is [`Hosts`]. The nodes that C sees mirror it. They are plain C memory, and their links change only
//! under the list's pthread mutex, which checkouts never take.

mod node;

use std::cell::UnsafeCell;
use std::ffi::{CStr, CString};
use std::net::SocketAddr;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::hostent;
use super::layout::{Addr, AddrListHead};
use super::memory::{duplicate, string};
use super::slab::{InSlab, Slab};
use droplet_client::fault::Fault;
use droplet_client::hosts::{self, Host, Hosts, Resolved, Unresolved};
use droplet_client::net::authority::Authority;
use droplet_client::net::resolve::{self, Addresses};
use droplet_client::os::clock::Moment;
use droplet_client::os::{fork, random, reserve};
use droplet_client::status::Error;

pub use node::node_of;
use node::{NodeMirror, OwnedNode, blacklisted_for, room_for};

/// Longest time for the look-ups of a call on a list, which has no `conn_timeout`.
pub const LOOKUP_WAIT: Duration = Duration::from_secs(5);

/// One allocation, whose head C knows.
#[repr(C)]
pub struct AddrList {
    head: UnsafeCell<AddrListHead>,
    // ---- C sees no further ----
    hosts: Arc<Hosts>,
    default_port: CString,
    /// The thread that took the mutex last ([`fork::own_thread`]).
    holder: AtomicUsize,
    /// Number of times that thread has taken it.
    depth: AtomicU32,
    /// The number of [`resolve::changes`] when the nodes were updated last.
    shown: AtomicU64,
}

// SAFETY: the mutex in the head guards the links, and is used in place, by its address.
unsafe impl Sync for AddrList {}
// SAFETY: the pointers in the head lead to memory that the list owns, whichever thread has it.
unsafe impl Send for AddrList {}

static LISTS: Slab<AddrList> = Slab::new();

impl InSlab for AddrList {
    #[inline]
    fn slab() -> &'static Slab<AddrList> {
        &LISTS
    }
}

/// Reason why a host was not added.
pub enum AddError {
    /// The host has no address.
    Lookup(Unresolved),
    /// Out of memory.
    OutOfMemory,
}

/// A host with its node, before it is in the list.
struct NewHost {
    node: OwnedNode,
    /// Number of addresses that the node has room for.
    room: usize,
    host: Arc<Host>,
}

impl NewHost {
    fn new(resolved: Resolved) -> Result<NewHost, AddError> {
        if reserve::is_low() {
            return Err(AddError::OutOfMemory);
        }
        let node = OwnedNode::new(&resolved).map_err(|_| AddError::OutOfMemory)?;
        let room = room_for(&resolved.known);
        let host = Host::new(resolved.authority.port, resolved.addresses, node.as_ptr() as usize);
        Ok(NewHost { node, room, host })
    }
}

impl AddrList {
    /// Makes an empty list for C.
    pub fn create(default_port: &CStr) -> Result<*mut AddrListHead, Error> {
        let head = AddrListHead {
            addr_list: ptr::null_mut(),
            default_port: duplicate(default_port)?.into_raw(),
            // Recursive, so that a program that adds a host while it holds the lock does not hang.
            lock: libc::PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP,
        };
        let list = AddrList {
            head: UnsafeCell::new(head),
            hosts: Hosts::new(),
            default_port: default_port.to_owned(),
            holder: AtomicUsize::new(0),
            depth: AtomicU32::new(0),
            shown: AtomicU64::new(0),
        };
        fork::run_in_children(AddrList::forget_parent).map_err(|_| Error::OutOfMemory)?;
        Ok(LISTS.insert(list)?.into_raw().cast())
    }

    /// Returns the list at this address, if this library made it and C has not freed it.
    #[inline]
    pub fn of(list: *mut AddrListHead) -> Option<&'static AddrList> {
        LISTS.get(list.cast())
    }

    /// Frees a list and its nodes. Returns false if this library did not make it, or C has freed it.
    pub fn free(list: *mut AddrListHead) -> bool {
        let Some(held) = LISTS.take(list.cast()) else { return false };
        held.clear();
        true
    }

    /// Makes all lists forget, in a forked child, what belongs to the parent.
    pub fn forget_parent() {
        for list in LISTS.owned_by_c().filter_map(|list| LISTS.get(list)) {
            list.hosts.forget_parent();
            list.restore();
        }
    }

    /// Repairs a list in a forked child, if a thread of the parent held its mutex. The mutex is not taken before a
    /// fork, because C may hold it for any time, and wait meanwhile for the thread that forks.
    fn restore(&self) {
        // SAFETY: the child has one thread, so nobody else uses the mutex meanwhile.
        let is_free = unsafe { libc::pthread_mutex_trylock(&raw mut (*self.head.get()).lock) } == 0;
        if is_free {
            return self.unlock_mutex();
        }
        // A mutex that belongs to a thread of the parent cannot be unlocked in the child, whichever thread that was.
        // SAFETY: the child has one thread, as above.
        unsafe { (*self.head.get()).lock = libc::PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP };
        // Its holder may have been changing the links and the addresses of the nodes.
        self.relink();
        self.hosts.show_addresses();
        // If the thread that forked held the mutex, it holds it in the child.
        let depth = self.depth.swap(0, Ordering::Relaxed);
        if self.is_holder() {
            (0..depth).for_each(|_| self.lock());
        }
    }

    /// Links the nodes anew, in the order of the hosts.
    fn relink(&self) {
        // SAFETY: the nodes of a list's hosts are alive, and the child has no other thread that uses the links.
        unsafe {
            let mut field = &raw mut (*self.head.get()).addr_list;
            for host in self.hosts.all() {
                let node = node_of(&host);
                *field = node;
                (*node).le_prev = field;
                field = &raw mut (*node).le_next;
            }
            *field = ptr::null_mut();
        }
    }

    /// Returns its hosts.
    #[inline]
    pub fn hosts(&self) -> &Arc<Hosts> {
        &self.hosts
    }

    /// Returns the port of hosts that are given without one.
    pub fn default_port(&self) -> &CStr {
        &self.default_port
    }

    /// Takes the lock under which C may walk the list. The same thread may take it again. The nodes get the addresses
    /// of the last look-ups here, since checkouts make look-ups without this lock.
    pub fn lock(&self) {
        // SAFETY: the mutex was initialised in `create`, and is used in place.
        unsafe { libc::pthread_mutex_lock(&raw mut (*self.head.get()).lock) };
        let depth = if self.is_holder() { self.depth.load(Ordering::Relaxed) } else { 0 };
        self.holder.store(fork::own_thread(), Ordering::Relaxed);
        self.depth.store(depth + 1, Ordering::Relaxed);
        let changes = resolve::changes();
        if self.shown.swap(changes, Ordering::Relaxed) != changes {
            self.hosts.show_addresses();
        }
    }

    /// Releases the lock. It has no effect if the calling thread does not hold it.
    pub fn unlock(&self) {
        if self.is_holder() {
            // C may have taken the mutex by itself, which does not count.
            let depth = self.depth.load(Ordering::Relaxed);
            self.depth.store(depth.saturating_sub(1), Ordering::Relaxed);
        }
        self.unlock_mutex();
    }

    /// Returns whether the calling thread took the mutex last.
    fn is_holder(&self) -> bool {
        self.holder.load(Ordering::Relaxed) == fork::own_thread()
    }

    fn unlock_mutex(&self) {
        // SAFETY: the mutex was initialised in `create`. It is recursive, so this fails for a thread that does not
        // hold it (pthread_mutex_lock(3)).
        unsafe { libc::pthread_mutex_unlock(&raw mut (*self.head.get()).lock) };
    }

    fn locked<R>(&self, change: impl FnOnce() -> R) -> R {
        struct Unlock<'a>(&'a AddrList);
        impl Drop for Unlock<'_> {
            fn drop(&mut self) {
                self.0.unlock();
            }
        }
        self.lock();
        let _unlock = Unlock(self);
        change()
    }

    /// Adds hosts, each at a random place, so that clients with the same profile spread over the hosts. If the list has
    /// a host of the same name and port, or one with all of its addresses, that one becomes available instead. A failure
    /// ends it: the hosts before stay.
    pub fn add(&self, authorities: Vec<Authority>) -> Result<(), AddError> {
        let mut resolved = Resolved::all(&self.hosts, authorities, LOOKUP_WAIT);
        resolved.try_for_each(|resolved| {
            let resolved = resolved.map_err(AddError::Lookup)?;
            self.locked(|| self.insert(resolved))
        })
    }

    /// Adds the hosts of a profile; see [`Resolved::of_profile`].
    pub fn add_profile(
        &self,
        authorities: Vec<Authority>,
        timeout: Duration,
        warn: impl FnMut(&Unresolved),
    ) -> Result<(), AddError> {
        let hosts = Resolved::of_profile(authorities, timeout, warn).map_err(AddError::Lookup)?;
        self.locked(|| hosts.into_iter().try_for_each(|resolved| self.insert(resolved)))
    }

    /// Replaces the hosts of the list by these. Hosts that it has by the same name and port stay, and become available.
    /// If one of the others has no address, or memory runs out, nothing changes.
    pub fn set(&self, authorities: Vec<Authority>) -> Result<(), AddError> {
        let wanted: Result<Vec<_>, _> = Resolved::all(&self.hosts, authorities, LOOKUP_WAIT).collect();
        let wanted = wanted.map_err(AddError::Lookup)?;
        self.locked(|| {
            let old = self.hosts.all();
            let (mut new, mut kept): (Vec<NewHost>, Vec<Arc<Host>>) = (Vec::new(), Vec::new());
            for resolved in wanted {
                // The first of several names for the same addresses counts, as in Droplet.
                let is_there = kept.iter().any(|host| host.is_called(&resolved.authority));
                if is_there || hosts::host_with_all(&kept, &resolved.known).is_some() {
                    continue;
                }
                kept.push(match self.hosts.named(&resolved.authority) {
                    Some(host) => host,
                    None => {
                        let fresh = NewHost::new(resolved)?;
                        let host = Arc::clone(&fresh.host);
                        new.push(fresh);
                        host
                    }
                });
            }
            // Nothing can fail from here on. Checkouts and forks do not wait for the list's mutex: at no time is it
            // without hosts.
            new.into_iter().for_each(|fresh| self.link_new(fresh));
            for host in &old {
                if kept.iter().any(|other| Arc::ptr_eq(other, host)) {
                    self.hosts.unblacklist(host);
                } else {
                    self.free_node(node_of(host));
                }
            }
            Ok(())
        })
    }

    /// Adds a host under the lock, unless it is in the list.
    fn insert(&self, resolved: Resolved) -> Result<(), AddError> {
        let named = self.hosts.named(&resolved.authority);
        let there = named.or_else(|| hosts::host_with_all(&self.hosts.all(), &resolved.known).cloned());
        match there {
            Some(host) => _ = self.hosts.unblacklist(&host),
            None => self.link_new(NewHost::new(resolved)?),
        }
        Ok(())
    }

    /// Links a new host, under the lock.
    fn link_new(&self, NewHost { node, room, host }: NewHost) {
        // SAFETY: a new node, which is in no list.
        unsafe { self.link(node.into_raw(), room, &host) };
    }

    /// Puts a node that C made into the list. The caller holds the lock.
    ///
    /// # Safety
    /// `node` points to a `dpl_addr_t` with valid fields that is in no list. The list owns it if this succeeds.
    pub unsafe fn adopt(&self, node: *mut Addr) -> Result<(), Error> {
        // SAFETY: `node` has valid fields (contract of this function).
        let (name, port, addresses, expiry) = unsafe {
            let Addr { host, portstr, h, port, blacklist_expire_timestamp, .. } = *node;
            let addresses: Vec<_> =
                hostent::addresses(h).into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
            (string(host), string(portstr), addresses, blacklist_expire_timestamp)
        };
        let (Some(name), Some(port)) = (name, port) else { return Err(Error::Invalid) };
        let Authority { host: name, port, number } = Authority::new(name, port)?;
        let host = Host::new(port, Addresses::with_known(name, addresses, number), node as usize);
        // SAFETY: `node` is in no list (contract of this function). The room that C made for addresses is unknown.
        unsafe { self.link(node, 0, &host) };
        match blacklisted_for(expiry) {
            Some(wait) => _ = self.hosts.blacklist(&host, Moment::now(), wait, Fault::Ordered),
            None => _ = self.hosts.unblacklist(&host),
        }
        Ok(())
    }

    /// Links a node at a random place, under the lock.
    ///
    /// # Safety
    /// `node` points to a `dpl_addr_t` that is in no list and has `room` for addresses.
    unsafe fn link(&self, node: *mut Addr, room: usize, host: &Arc<Host>) {
        let place = random::generator().usize(0..=self.hosts.count());
        // SAFETY: the links are those of a BSD LIST (queue(7)), and change only under the lock, which is held.
        unsafe {
            let mut field = &raw mut (*self.head.get()).addr_list;
            for _ in 0..place {
                field = &raw mut (**field).le_next;
            }
            (*node).le_next = *field;
            (*node).le_prev = field;
            if let Some(next) = (*field).as_mut() {
                next.le_prev = &raw mut (*node).le_next;
            }
            *field = node;
        }
        self.hosts.insert(place, Arc::clone(host), Box::new(NodeMirror::new(node, room)));
    }

    /// Takes a node out of the list and gives it to the caller, who holds the lock. Returns false if the node is not in
    /// this list.
    pub fn unlink(&self, node: *mut Addr) -> bool {
        // This drops the observer, so nobody writes to the node any more.
        if self.hosts.remove(node as usize).is_none() {
            return false;
        }
        // SAFETY: the node is in this list, whose links change only under the lock, which is held.
        unsafe {
            let Addr { le_next, le_prev, .. } = *node;
            if let Some(next) = le_next.as_mut() {
                next.le_prev = le_prev;
            }
            *le_prev = le_next;
        }
        true
    }

    /// Empties the list. The caller holds the lock, or nobody else uses the list.
    pub fn clear(&self) {
        for host in self.hosts.all() {
            self.free_node(node_of(&host));
        }
    }

    fn free_node(&self, node: *mut Addr) {
        if !self.unlink(node) {
            return;
        }
        // SAFETY: it was in the list, so it and its parts are blocks from malloc(3) (contract of
        // dpl_addrlist_add_nolock where C made it). Now it is in no list.
        drop(unsafe { OwnedNode::from_raw(node) });
    }
}

impl Drop for AddrList {
    fn drop(&mut self) {
        // SAFETY: the string came from malloc(3), and C does not use a list that it has freed.
        unsafe { libc::free(self.head.get_mut().default_port.cast()) };
    }
}
