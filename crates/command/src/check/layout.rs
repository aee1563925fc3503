//! In which layout a Droplet makes its contexts. The library finds that out at run time, from values in the context;
//! a file shows it by its debug information or by the names that it exports.

use std::collections::BTreeMap;
use std::fmt;

use super::lines;
use crate::elf::Object;
use crate::elf::layout::Fields;
use crate::target::TARGET;

/// The layouts that the library knows.
const KNOWN: [(&str, &str); 4] = [
    ("Droplet 3.0 of November 2015 and later", TARGET.contexts.november_2015),
    ("Droplet 3.0 of April 2015", TARGET.contexts.april_2015),
    ("Droplet 3.0 of June 2014", TARGET.contexts.june_2014),
    (BAREOS, TARGET.contexts.bareos),
];

/// Its names do not tell its revisions apart, which all call themselves 3.0.0.
const DROPLET: &str = "Droplet 3.0, if it is not older than June 2014";
const BAREOS: &str = "Bareos' variant of Droplet";

/// All names of Droplet 3.0, with the unit before each.
const NAMES: &str = include_str!("../../../../scripts/droplet-symbols.tsv");

/// The one of them that Bareos' variant keeps to itself.
const NOT_IN_BAREOS: &str = "dpl_read_http_reply_buffered";

/// What is known of a layout.
pub enum Layout {
    /// It is one of those that the library knows: its name, and what shows it.
    Known(&'static str, &'static str),
    /// It is none of them.
    Other,
    /// Neither debug information nor names tell.
    Unknown,
}

impl Layout {
    /// Returns whether the library certainly makes no pool for such contexts.
    pub fn is_refused(&self) -> bool {
        matches!(self, Layout::Other)
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Layout::Known(name, shown_by) => write!(f, "that of {name}, by {shown_by}"),
            Layout::Other => f.write_str("neither that of Droplet 3.0 since June 2014 nor of Bareos, by its debug information"),
            Layout::Unknown => f.write_str(
                "cannot be told before it runs: the file has no debug information, and not all of Droplet's names. \
                 The library looks at each context, and refuses one that it does not know",
            ),
        }
    }
}

/// Returns the layout of a Droplet's contexts.
pub fn of(droplet: &Object) -> Layout {
    if let Some(fields) = &droplet.context {
        let known = KNOWN.into_iter().find(|(_, table)| agrees(fields, table));
        return known.map_or(Layout::Other, |(name, _)| Layout::Known(name, "its debug information"));
    }
    let names = lines(NAMES).into_iter().filter_map(|line| Some(line.split_once('\t')?.1));
    let missing: Vec<_> = names.filter(|name| !droplet.exports(name)).collect();
    match missing[..] {
        [] => Layout::Known(DROPLET, "its names"),
        [NOT_IN_BAREOS] => Layout::Known(BAREOS, "its names"),
        _ => Layout::Unknown,
    }
}

/// The place of a field in a table.
struct Place {
    in_bits: u64,
    is_bit_field: bool,
}

/// Returns whether a context has all fields of a table, and each lies where the table says. Of a bit field the place may
/// be unknown.
fn agrees(fields: &Fields, table: &str) -> bool {
    let (size, places) = places_of(table);
    let is_there = |(name, place): (&&str, &Place)| match fields.places.get(*name) {
        Some(Some(found)) => *found == place.in_bits,
        Some(None) => place.is_bit_field,
        None => false,
    };
    fields.size == size && places.iter().all(is_there)
}

/// Returns the size of a context in a table, and the fields with their places.
fn places_of(table: &str) -> (u64, BTreeMap<&str, Place>) {
    let (mut size, mut places) = (0, BTreeMap::new());
    for line in table.lines() {
        let columns: Vec<_> = line.split('\t').collect();
        let ["dpl_ctx", member, place, bytes] = columns[..] else { continue };
        if member == "(total size)" {
            size = bytes.parse().unwrap_or_default();
            continue;
        }
        let member = member.split(['[', ':']).next().unwrap_or_default();
        let name = member.rsplit([' ', '*']).next().unwrap_or_default();
        let (bytes, bits) = place.split_once(':').map_or((place, None), |(bytes, bits)| (bytes, Some(bits)));
        let number = |text: &str| text.parse::<u64>().unwrap_or_default();
        let in_bits = 8 * number(bytes) + bits.map_or(0, number);
        places.insert(name, Place { in_bits, is_bit_field: bits.is_some() });
    }
    (size, places)
}
