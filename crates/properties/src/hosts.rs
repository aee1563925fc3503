//! Lists of hosts, in Rust and through C's `dpl_addrlist_*`. The first byte chooses the default port; the rest is a list.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::net::{IpAddr, SocketAddr};
use std::ptr;
use std::str;

use droplet_client::net::authority::{Authority, parse_list};
use droplet_conn::abi::layout::{Addr, AddrListHead};

use crate::c;

const PORTS: [&CStr; 4] = [c"80", c"443", c"1", c"65535"];

/// Checks the properties on these bytes.
pub fn check(bytes: &[u8]) {
    let Some((&choice, text)) = bytes.split_first() else { return };
    c::be_quiet();
    let default_port = PORTS[usize::from(choice) % PORTS.len()];
    let Ok(text) = str::from_utf8(text) else {
        is_refused(default_port, &c::c_string(text), text.contains(&0));
        return;
    };
    let authorities: Vec<_> = parse_list(text, default_port).map(|entry| entry.authority).collect();
    let entries = text.split([';', ',', ' ', '\t', '\n', '\x0c', '\r']).filter(|entry| !entry.is_empty());
    assert_eq!(entries.count(), authorities.len(), "the number of entries");
    let is_valid = authorities.iter().all(Result::is_ok);
    let authorities: Vec<Authority> = authorities.into_iter().filter_map(Result::ok).collect();
    authorities.iter().for_each(|authority| is_well_formed(authority, default_port));
    for one in &authorities {
        for other in &authorities {
            let are_same = one.host.is_same(&other.host);
            assert_eq!(are_same, one.host.key() == other.host.key());
            assert_eq!(are_same, other.host.is_same(&one.host));
        }
    }
    if text.contains('\0') {
        return;
    }
    let text = c::c_string(text.as_bytes());
    if !is_valid {
        is_refused(default_port, &text, false);
        return;
    }
    // A name would be looked up.
    let literal = |authority: &Authority| Some(SocketAddr::new(authority.host.literal()?, authority.number));
    if let Some(addresses) = authorities.iter().map(literal).collect::<Option<Vec<_>>>() {
        List::of(default_port, &text, &addresses).check(&authorities);
    }
}

/// Checks a host and its port.
fn is_well_formed(authority: &Authority, default_port: &CStr) {
    let (name, port) = (authority.host.written().to_bytes(), authority.port.to_str().expect("digits"));
    assert_eq!(port.parse(), Ok(authority.number));
    assert!(authority.number != 0 && port.bytes().all(|byte| byte.is_ascii_digit()));
    assert!(!name.is_empty() && !name.iter().any(|byte| byte.is_ascii_control() || b" []".contains(byte)));
    let for_peer = authority.host.peer_form().to_bytes();
    assert!(!for_peer.is_empty() && name.starts_with(for_peer), "{name:?}, {for_peer:?}");
    let std_address = str::from_utf8(name).ok().and_then(|name| name.parse::<IpAddr>().ok());
    if let Some(address) = std_address {
        assert_eq!(authority.host.literal(), Some(address.to_canonical()));
    }
    if let Some(address) = authority.host.address() {
        assert_eq!(address, address.to_canonical());
    }
    // What was read can be written and read again.
    let written = format!("[{}]:{port}", str::from_utf8(name).expect("of a text"));
    let mut again = parse_list(&written, default_port);
    let entry = again.next().expect("an entry");
    assert!(again.next().is_none() && entry.warning().is_none(), "{written}");
    let same = entry.authority.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((same.host.key(), same.number), (authority.host.key(), authority.number));
    assert_eq!(same.host.address(), authority.host.address());
    // The same through the constructor for C.
    let same = Authority::new(authority.host.written(), &authority.port).expect("the same");
    assert_eq!((same.host.key(), same.number), (authority.host.key(), authority.number));
    let bucket = authority.host.virtual_host(b"bucket");
    assert!(bucket.is_ok_and(|it| it.bucket_under(&authority.host) == Some(b"bucket")) || name.len() > 200);
}

/// Checks that C gets no list, and that an existing one stays as it is.
fn is_refused(default_port: &CStr, text: &CStr, is_cut: bool) {
    if is_cut {
        return;
    }
    // SAFETY: strings; the list is freed once.
    unsafe {
        assert!(c::dpl_addrlist_create_from_str(default_port.as_ptr(), text.as_ptr()).is_null());
        let list = c::dpl_addrlist_create(default_port.as_ptr());
        assert_eq!(c::dpl_addrlist_add_from_str(list, c"127.0.0.1:1".as_ptr()), c::SUCCESS);
        assert_ne!(c::dpl_addrlist_set_from_str(list, text.as_ptr()), c::SUCCESS);
        assert_ne!(c::dpl_addrlist_add_from_str(list, text.as_ptr()), c::SUCCESS);
        assert_eq!(c::dpl_addrlist_count(list), 1);
        c::dpl_addrlist_free(list);
    }
}

/// A list of C's.
struct List {
    list: *mut AddrListHead,
    addresses: BTreeSet<SocketAddr>,
}

impl List {
    /// Makes a list of a text.
    fn of(default_port: &CStr, text: &CStr, addresses: &[SocketAddr]) -> List {
        // SAFETY: strings.
        let list = unsafe { c::dpl_addrlist_create_from_str(default_port.as_ptr(), text.as_ptr()) };
        assert!(!list.is_null() || addresses.is_empty(), "no list");
        List { list, addresses: addresses.iter().copied().collect() }
    }

    fn check(self, authorities: &[Authority]) {
        if self.list.is_null() {
            return;
        }
        self.has_these(&self.addresses);
        for authority in authorities {
            self.can_be_taken_out(authority);
        }
        self.is_the_same_again();
        if !self.addresses.is_empty() {
            self.can_be_halved();
        }
    }

    /// Checks number, text, links and numbering.
    fn has_these(&self, addresses: &BTreeSet<SocketAddr>) {
        // SAFETY: the list is valid, and this thread's; texts are freed once.
        unsafe {
            assert_eq!(c::dpl_addrlist_count(self.list) as usize, addresses.len());
            assert_eq!(c::dpl_addrlist_count_avail_nolock(self.list) as usize, addresses.len());
            assert_eq!(&self.text().split_terminator(',').map(parsed).collect::<BTreeSet<_>>(), addresses);
            let linked: Vec<_> = self.nodes().into_iter().map(|node| address_of(node)).collect();
            assert_eq!(linked.len(), addresses.len());
            assert_eq!(&linked.into_iter().collect::<BTreeSet<_>>(), addresses);
            let nth = |n| {
                let mut node = ptr::null_mut();
                assert_eq!(c::dpl_addrlist_get_nth(self.list, n, &raw mut node), c::SUCCESS);
                address_of(node)
            };
            let count = addresses.len() as i32;
            if count > 0 {
                assert_eq!(&(0..count).map(nth).collect::<BTreeSet<_>>(), addresses);
                assert_eq!(nth(count), nth(0));
            } else {
                let mut node = ptr::null_mut();
                assert_eq!(c::dpl_addrlist_get_nth(self.list, 0, &raw mut node), c::ENOENT);
            }
        }
    }

    fn text(&self) -> String {
        // SAFETY: the list is valid; the text is freed once.
        unsafe {
            let text = c::dpl_addrlist_get(self.list);
            let copy = CStr::from_ptr(text).to_str().expect("a text").to_owned();
            libc::free(text.cast());
            copy
        }
    }

    /// Returns the nodes that are linked, in both directions.
    unsafe fn nodes(&self) -> Vec<*mut Addr> {
        let mut nodes = Vec::new();
        // SAFETY: links are NULL or lead to nodes; nobody changes the list meanwhile.
        unsafe {
            let mut link = &raw mut (*self.list).addr_list;
            while !(*link).is_null() {
                assert_eq!((**link).le_prev, link, "the link back");
                nodes.push(*link);
                link = &raw mut (**link).le_next;
            }
        }
        nodes
    }

    /// Checks that a host is found by name and port, leaves the available ones, and comes back.
    fn can_be_taken_out(&self, authority: &Authority) {
        let (host, port) = (authority.host.written().as_ptr(), authority.port.as_ptr());
        let count = self.addresses.len();
        // SAFETY: the list is valid; the others are strings.
        unsafe {
            let node = c::dpl_addrlist_get_byname_nolock(self.list, host, port);
            assert!(!node.is_null());
            assert_eq!(
                address_of(node),
                SocketAddr::new(authority.host.literal().expect("a literal"), authority.number)
            );
            assert_eq!(c::dpl_addrlist_blacklist(self.list, host, port, 1000), c::SUCCESS);
            assert_eq!(c::dpl_addrlist_count_avail_nolock(self.list) as usize, count - 1);
            assert_eq!(c::dpl_addrlist_count(self.list) as usize, count);
            assert_eq!(c::dpl_addrlist_unblacklist(self.list, host, port), c::SUCCESS);
            assert_eq!(c::dpl_addrlist_count_avail_nolock(self.list) as usize, count);
            has_its_ident(node);
        }
    }

    /// Checks that the text of the list makes the same list.
    fn is_the_same_again(&self) {
        let text = CString::new(self.text()).expect("no NUL");
        // SAFETY: strings.
        let list = unsafe { c::dpl_addrlist_create_from_str(ptr::null(), text.as_ptr()) };
        assert!(!list.is_null(), "{text:?}");
        List { list, addresses: BTreeSet::new() }.has_these(&self.addresses);
    }

    /// Checks that the list can be replaced by a part of it, and get the whole again.
    fn can_be_halved(&self) {
        let whole = self.text();
        let some: Vec<_> = whole.split(',').step_by(2).collect();
        let texts = [some.join(";"), whole.clone()].map(|text| CString::new(text).expect("no NUL"));
        // SAFETY: the list is valid; the others are strings.
        unsafe {
            assert_eq!(c::dpl_addrlist_set_from_str(self.list, texts[0].as_ptr()), c::SUCCESS);
            self.has_these(&some.iter().map(|text| parsed(text)).collect());
            assert_eq!(c::dpl_addrlist_add_from_str(self.list, texts[1].as_ptr()), c::SUCCESS);
            self.has_these(&self.addresses);
        }
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: NULL, or a list that nobody uses any more.
        unsafe { c::dpl_addrlist_free(self.list) };
    }
}

fn parsed(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Returns the address that C sees in a node.
unsafe fn address_of(node: *mut Addr) -> SocketAddr {
    let mut text = [0; 64];
    // SAFETY: a node of a list, and room for 64 bytes.
    let ident = unsafe { c::dpl_addr_get_ident((*node).h, (*node).port, text.as_mut_ptr(), text.len()) };
    assert_eq!(ident, text.as_mut_ptr());
    // SAFETY: a string now.
    parsed(unsafe { CStr::from_ptr(ident) }.to_str().expect("a text"))
}

/// Checks that the text of a node keeps within a buffer of any size.
unsafe fn has_its_ident(node: *mut Addr) {
    // SAFETY: a node of a list.
    let whole = unsafe { address_of(node) }.to_string();
    for size in 1..=whole.len() + 2 {
        // Exactly as many bytes as the function is told.
        let mut text = vec![-1_i8; size].into_boxed_slice();
        // SAFETY: a node of a list, and room for `size` bytes; then a string.
        let text = unsafe {
            c::dpl_addr_get_ident((*node).h, (*node).port, text.as_mut_ptr(), size);
            CStr::from_ptr(text.as_ptr())
        };
        assert_eq!(text.to_bytes(), &whole.as_bytes()[..whole.len().min(size - 1)]);
    }
}
