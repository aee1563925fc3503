//! A host of a list, and the observer that shows its state to C.
#![forbid(unsafe_code)]

use std::ffi::{CStr, CString};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Record;
use crate::net::resolve::Addresses;

/// Shows the state of a host to C. It is called under the list's lock, so it must not wait.
pub trait Observer: Send {
    /// Shows the host as blacklisted for this long from now on; `None` is for good.
    fn show_blacklisted(&self, wait: Option<Duration>);
    /// Shows the host as available.
    fn show_available(&self);
    /// Shows the addresses of the host. Only [`super::Hosts::show_addresses`] calls this.
    fn show_addresses(&self, addresses: &[SocketAddr]);
}

/// A host of a list.
pub struct Host {
    port: CString,
    addresses: Arc<Addresses>,
    handle: usize,
    record: Record,
}

/// `NAME:PORT`, as the profile wrote them.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name().to_string_lossy(), self.port().to_string_lossy())
    }
}

impl Host {
    /// A host. `handle` is the number by which the owner of the list knows it.
    pub fn new(port: CString, addresses: Arc<Addresses>, handle: usize) -> Arc<Host> {
        Arc::new(Host { port, addresses, handle, record: Record::default() })
    }

    /// The name, or the literal address without brackets, as the profile wrote it.
    pub fn name(&self) -> &CStr {
        self.addresses.name().written()
    }

    /// The port as the profile wrote it.
    pub fn port(&self) -> &CStr {
        &self.port
    }

    /// Its addresses.
    pub fn addresses(&self) -> &Arc<Addresses> {
        &self.addresses
    }

    /// The number by which the owner of the list knows it.
    pub fn handle(&self) -> usize {
        self.handle
    }

    /// The counts of the attempts on it.
    pub fn record(&self) -> &Record {
        &self.record
    }
}
