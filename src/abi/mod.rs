//! The memory that C sees, and how C pointers and Rust objects map to each other.
//!
//! # Objects
//!
//! | C type | Rust type | allocated by | C frees it with |
//! | --- | --- | --- | --- |
//! | `dpl_ctx_t` of Droplet | [`context_view::View`] | Droplet | Droplet's functions |
//! | `dpl_ctx_t` of this library | [`owned_context`] | `slab` | `dplx_ctx_free`, `dpl_ctx_free` |
//! | what `ctx->conn_buckets` points to | [`context::Context`] | `slab` | `dpl_conn_pool_destroy` |
//! | `dpl_conn_t` | [`connection::Connection`] | `slab` | `dpl_conn_release`, `dpl_conn_terminate` |
//! | `dpl_addrlist_t` | `addrlist::AddrList` | `slab` | `dpl_addrlist_free` |
//! | `dpl_addr_t` | `addrlist::node` | malloc(3) | the list, or C after `dpl_addrlist_remove_nolock` |
//! | `dpl_req_t` | [`request::Request`] | malloc(3) | `dplx_req_free`, `dpl_req_free` |
//! | `dpl_dict_t` | `dictionary::Dictionary` | Droplet's functions | `dpl_dict_free` |
//! | strings and buffers in fields | [`memory::Block`] | malloc(3) | the struct they belong to |
//!
//! Droplet's structs are public, so the first part of each allocation, the head, has Droplet's layout ([`layout`]).
//! What this library knows lies behind the head. C never sees that part.
//!
//! # Ownership
//!
//! A connection has one owner at a time:
//!
//! ```text
//!                 into_raw (the call returns it)
//!   Rust owns it ------------------------------> C owns it
//!   idle, or in    <------------------------------ a program uses it
//!   a call           from_raw (a call gets it)
//! ```
//!
//! `Handle::into_raw` gives the value to C, `Slab::take` (`Connection::from_raw`) takes it back. A call that only uses
//! a connection takes it, works, and gives it to C again before it returns. Contexts and lists are shared: C keeps them
//! while any number of calls borrow them (`Slab::get`), and frees them when no thread uses them any more.
//!
//! # Wrong pointers
//!
//! Memory of a `slab` is never returned to the system, and a byte beside each value says whether C owns it. So a
//! pointer can be checked before it is followed. A connection that is released twice, released while another thread
//! uses it, or that this library did not create, is logged and left alone. The same holds for lists and for contexts of
//! this library. A slot is reused: a stale pointer whose slot C owns again leads to the new value. Nodes and requests
//! are plain C memory and cannot be checked: wrong pointers to them are undefined behaviour, as in Droplet.
//!
//! # What C may touch, and when
//!
//! - Fields of `dpl_ctx_t`: at any time, from any thread. They are read as relaxed atomics, by address. No reference to
//!   a context is ever made. Each checkout reads the settings anew.
//! - Fields of `dpl_conn_t`: while C owns the connection. Rust looks at them when it takes the connection back: `fd`,
//!   `host`, `port`, `read_buf` may have been replaced, and Droplet's reader leaves its state in `cc`, `read_buf_pos`,
//!   `status` and `eof`.
//! - The links and nodes of a `dpl_addrlist_t`: under `dpl_addrlist_lock`. Rust changes them under the same mutex.
//!   Checkouts use the list's Rust side and never take it.
//! - `dpl_req_t`: one thread at a time.
//!
//! # Order of the files
//!
//! Each file imports only files that stand above it:
//!
//! ```text
//!   layout  memory  sized  last_error               structs, blocks of memory, the text of the last error
//!   slab  hostent  log_callback  droplet            handles; the program's log function; Droplet's functions
//!   dictionary                                      dpl_dict_t
//!   addrlist                                        dpl_addrlist_t, dpl_addr_t
//!   context_view                                    fields of dpl_ctx_t
//!   request                                         dpl_req_t
//!   uses                                            uses of connections that another thread may cancel
//!   connection                                      dpl_conn_t
//!   context                                         a context and its connections
//!   logging                                         the log of one call
//!   call                                            one call on a context
//!   bounded_call                                    one call that has a deadline, or may be cancelled
//!   owned_context                                   contexts made from profiles
//! ```

pub(crate) mod addrlist;
pub mod bounded_call;
pub(crate) mod call;
pub mod connection;
pub mod context;
pub mod context_view;
pub(crate) mod dictionary;
pub(crate) mod droplet;
pub(crate) mod hostent;
pub(crate) mod last_error;
pub mod layout;
pub(crate) mod log_callback;
pub(crate) mod logging;
pub mod memory;
#[cfg(all(test, model))]
mod models;
pub mod owned_context;
pub mod request;
pub(crate) mod sized;
pub(crate) mod slab;
pub(crate) mod uses;
