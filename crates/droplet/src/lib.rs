//! `libdroplet.so.0`: Droplet for programs without another Droplet. It exports the connection subsystem
//! ([`droplet_conn`], `exports.txt`) and the units of Droplet around it (`exports-standalone.txt`).
//!
//! | unit of Droplet | functions | in |
//! | --- | --- | --- |
//! | context | contexts from profiles and dictionaries, their lock, names of status codes | `exports/context/` |
//! | log | log, trace, dumps of IO vectors | `exports/log/` |
//! | request | what a program asks for: method, resource, range, conditions, metadata | `exports/request/` |
//! | httprequest | a request as text | `exports/httprequest.rs` |
//! | dict, value, vec, sbuf | dictionaries, their values, vectors, string buffers | `exports/dict/`, `exports/*.rs` |
//!
//! There are three layers. Each uses only the layers below it:
//!
//! 1. `exports`: the functions. They check pointers from C, and call what is below.
//! 2. `abi`: the structs that C sees, and their methods.
//! 3. `http` and `dump`: text. They have no C types, no sockets and no unsafe code (`#![forbid(unsafe_code)]`).
//!
//! Below them stand the packages droplet-conn (contexts, connections, hosts as C sees them) and droplet-client.

mod abi;
mod dump;
mod exports;
mod http;
