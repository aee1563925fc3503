//! Memory that C sees, besides that of the connection subsystem: the structs of Droplet's other units, to the byte, and
//! what can be done with them. The functions of [`crate::exports`] stand above it.
//!
//! Every struct lies in a block from malloc(3), because C may free its parts. A struct points to its parts, and owns
//! them; [`owned::Owned`] is a struct that Rust still owns.

pub mod context_fields;
pub mod dict;
pub mod file;
pub mod layout;
pub mod owned;
mod sbuf;
mod value;
mod vector;
