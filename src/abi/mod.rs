//! The C side's data: structs that both sides share, and the gates that check a pointer once and give
//! something typed for it. No other code casts.

pub(crate) mod addrlist;
pub(crate) mod call;
pub mod connection;
pub mod context;
pub mod context_view;
pub(crate) mod droplet;
pub(crate) mod hostent;
pub(crate) mod last_error;
pub mod layout;
pub(crate) mod log_callback;
pub(crate) mod logging;
pub mod memory;
pub mod owned_context;
pub mod request;
pub(crate) mod sized;
pub(crate) mod slab;
