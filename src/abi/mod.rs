//! The C side's data: structs that both sides share, and the gates that check a pointer once and give
//! something typed for it. No other code casts.

pub mod addrlist;
pub mod call;
pub mod connection;
pub mod context;
pub mod hostent;
pub mod last_error;
pub mod layout;
pub mod log_callback;
pub mod logging;
pub mod memory;
pub mod owned_context;
pub mod request;
pub mod sized;
pub mod slab;
