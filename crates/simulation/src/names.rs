//! The name server.

use std::net::Ipv4Addr;

use crate::threads::{SECOND, Time};
use crate::world::World;

/// The domain of all names.
pub const DOMAIN: &str = ".simulated.test";

/// The time after which an answer is no longer used without another look-up, and some more.
const MEMORY: Time = 12 * SECOND;

/// A name.
pub struct Name {
    /// The name.
    pub name: String,
    /// The servers that it leads to, by number.
    pub servers: Vec<usize>,
    /// The servers that it ever led to.
    pub ever: Vec<usize>,
    /// The time that an answer takes.
    pub delay: Time,
    /// The error of look-ups; 0 for none.
    pub error: i32,
    /// The time of its last change.
    pub changed: Option<Time>,
}

/// All names.
#[derive(Default)]
pub struct Names {
    /// The names.
    pub all: Vec<Name>,
    /// The addresses of the answers that the program has.
    pub lent: Vec<usize>,
}

impl World {
    /// Returns the addresses of a name, or an error of getaddrinfo(3).
    pub fn resolve(&self, name: &str) -> Result<Vec<Ipv4Addr>, i32> {
        let found = self.names.all.iter().find(|known| known.name == name).ok_or(libc::EAI_NONAME)?;
        if found.error != 0 {
            return Err(found.error);
        }
        Ok(found.servers.iter().map(|server| *self.servers[*server].address.ip()).collect())
    }

    /// True if a name can be looked up without trouble, and nothing about it has changed lately.
    pub fn is_name_sound(&self, name: &Name) -> bool {
        let is_quick = name.delay < SECOND / 10 && name.error == 0;
        is_quick && name.changed.is_none_or(|changed| changed + MEMORY < self.now)
    }
}
