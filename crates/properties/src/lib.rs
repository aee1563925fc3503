//! Properties that hold for any input: each target takes bytes, uses the library as they say, and panics if something is
//! wrong. The fuzzer (`tests/fuzz`) searches for bytes that make a target panic. `tests/corpora.rs` runs the targets on
//! the bytes that are committed, so `cargo test` needs no fuzzer for that.
//!
//! | target | what is used | what is checked |
//! | --- | --- | --- |
//! | [`profiles`] | the text of a profile, in Rust and through C's functions that make a context | an independent parser reads the same; a dictionary with the same variables gives the same context |
//! | [`hosts`] | lists of hosts, in Rust and through C's `dpl_addrlist_*` | what is read can be written and read again; counts, order, state after blacklisting |
//! | [`replies`] | the reader of replies, in pieces of any size | the model of the reader, which reads the whole at once |
//! | [`exchanges`] | C's functions that read a reply, over a socket | the reader in Rust; who may use the connection afterwards; who is blamed |
//! | [`dictionaries`] | sequences of operations on dictionaries, values, vectors and string buffers | a model of maps and vectors |
//! | [`requests`] | the head of a request | a model of its text; httparse finds the fields that were set, and no others |
//! | [`tls_records`] | a TLS client against a server that sends any bytes | no handshake succeeds; the host is blamed, this machine is not |
//! | [`tls_server`] | a TLS client against a server whose records are cut, changed, repeated and swapped | no byte is read that the server did not send; the check of an idle connection tells the truth |
//! | [`written_requests`] | requests that are written in pieces of any size | a model that has the whole text knows the same end |
//!
//! The C functions are called by their names, as C calls them.

mod c;
pub mod dictionaries;
pub mod exchanges;
pub mod hosts;
mod loopback;
pub mod profiles;
pub mod replies;
pub mod requests;
mod tls;
pub mod tls_records;
pub mod tls_server;
pub mod written_requests;

/// A target of the fuzzer.
pub struct Target {
    /// Name of the target, and of its folders in `tests/fuzz`.
    pub name: &'static str,
    /// Function that panics if a property does not hold.
    pub check: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 9] = [
    Target { name: "dictionaries", check: dictionaries::check },
    Target { name: "exchanges", check: exchanges::check },
    Target { name: "hosts", check: hosts::check },
    Target { name: "profiles", check: profiles::check },
    Target { name: "replies", check: replies::check },
    Target { name: "requests", check: requests::check },
    Target { name: "tls_records", check: tls_records::check },
    Target { name: "tls_server", check: tls_server::check },
    Target { name: "written_requests", check: written_requests::check },
];
