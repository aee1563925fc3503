//! A host as the profile names it, and what C sees of it.
#![forbid(unsafe_code)]

use std::ffi::{CStr, CString};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Record;
use crate::net::resolve::Addresses;

/// Shows to C what becomes of a host. Called under the list's lock, so it must not wait.
pub trait Observer: Send {
    /// The host is out for so long; `None` is for good.
    fn show_out(&self, wait: Option<Duration>);
    /// The host may be used.
    fn show_available(&self);
    /// It has these addresses. Called by [`super::Hosts::show_addresses`] only.
    fn show_addresses(&self, addresses: &[SocketAddr]);
}

/// A host as the profile names it.
pub struct Host {
    port: CString,
    addresses: Arc<Addresses>,
    handle: usize,
    record: Record,
}

impl Host {
    /// A host; `handle` is what the owner of the list calls it.
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

    /// What the owner of the list calls this host.
    pub fn handle(&self) -> usize {
        self.handle
    }

    /// What became of the attempts on it.
    pub fn record(&self) -> &Record {
        &self.record
    }
}
