//! The structs of Droplet's units that C sees, with their layout and their methods. (Those of the connection subsystem
//! are in [`droplet_conn::abi`].)
//!
//! Each struct is a block from malloc(3), because C may free it or one of its parts. A struct owns what it points to.
//! [`owned::Owned`] is a struct that was not handed to C yet.

pub mod context_fields;
pub mod dict;
pub mod file;
pub mod layout;
pub mod owned;
mod sbuf;
mod value;
mod vector;
