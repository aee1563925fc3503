//! Which names of Droplet a program takes that the library in Droplet's place does not have.

use std::collections::BTreeSet;

use super::droplet::Droplets;
use super::{Report, lines};
use crate::elf::Kind;

/// The names that `libdroplet.so.0` has.
const STANDALONE: [&str; 2] =
    [include_str!("../../../../exports.txt"), include_str!("../../../../exports-standalone.txt")];

/// Names that are shown of a long list.
const SHOWN: usize = 8;

/// Says which names are missing, if Droplet is a library that could be replaced.
pub fn compare(droplets: &Droplets, report: &mut Report) {
    let Some(droplet) = droplets.theirs.iter().find(|it| it.kind == Kind::Library) else { return };
    let taken: BTreeSet<_> = droplets
        .users
        .iter()
        .flat_map(|user| &user.undefined)
        .map(String::as_str)
        .filter(|name| droplet.exports(name))
        .collect();
    let has: BTreeSet<_> = STANDALONE.into_iter().flat_map(lines).collect();
    let missing: Vec<_> = taken.difference(&has).copied().collect();
    let what = "libdroplet.so.0 of droplet-conn, in Droplet's place,";
    let text = match missing.len() {
        _ if taken.is_empty() => return,
        0 => format!("{what} has all {} names that are used", taken.len()),
        count => {
            let more = if count > SHOWN { format!(" and {} more", count - SHOWN) } else { String::new() };
            let shown = missing[..count.min(SHOWN)].join(", ");
            format!("{what} lacks {count} of the {} names that are used: {shown}{more}", taken.len())
        }
    };
    report.say("standalone", text);
}
