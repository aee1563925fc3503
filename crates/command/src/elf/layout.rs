//! The layout of a context (`struct dpl_ctx`), as debug information describes it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use gimli::{AttributeValue, DebuggingInformationEntry, EndianSlice, RunTimeEndian};
use object::Endianness;
use object::read::ReadRef;
use object::read::elf::SectionHeader;

use super::Sections;

/// Where each field begins, in bits, and the size of the whole in bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Fields {
    /// The size in bytes.
    pub size: u64,
    /// The fields by name. `None` for a bit field whose place is not described in a way that this reads: before DWARF 5,
    /// it is counted from the other end.
    pub places: BTreeMap<String, Option<u64>>,
}

type Reader<'data> = EndianSlice<'data, RunTimeEndian>;

/// Returns the layout, if the file itself has debug information that is not compressed.
pub fn of_context<'data, R: ReadRef<'data>>(
    sections: &Sections<'data, R>,
    endian: Endianness,
    data: R,
) -> Option<Fields> {
    let bytes = |id: gimli::SectionId| -> Result<Cow<'data, [u8]>, gimli::Error> {
        let section = sections.section_by_name(endian, id.name().as_bytes()).map(|(_, section)| section);
        let plain = section.filter(|section| matches!(section.compression(endian, data), Ok(None)));
        Ok(Cow::Borrowed(plain.and_then(|section| section.data(endian, data).ok()).unwrap_or_default()))
    };
    let dwarf = gimli::DwarfSections::load(bytes).ok()?;
    let dwarf = dwarf.borrow(|section| EndianSlice::new(section, RunTimeEndian::Little));
    let mut units = dwarf.units();
    while let Some(header) = units.next().ok()? {
        let Some(found) = dwarf.unit(header).ok().and_then(|unit| in_unit(&dwarf, &unit)) else { continue };
        return Some(found);
    }
    None
}

/// Returns the layout from one unit, if the unit describes a context.
fn in_unit(dwarf: &gimli::Dwarf<Reader>, unit: &gimli::Unit<Reader>) -> Option<Fields> {
    let mut entries = unit.entries();
    while let Some((_, entry)) = entries.next_dfs().ok()? {
        let is_struct = entry.tag() == gimli::DW_TAG_structure_type;
        if !is_struct || name(dwarf, unit, entry).as_deref() != Some("dpl_ctx") {
            continue;
        }
        // Without a size it is only declared.
        let Some(size) = number(entry, gimli::DW_AT_byte_size) else { continue };
        let mut tree = unit.entries_tree(Some(entry.offset())).ok()?;
        let mut members = tree.root().ok()?.children();
        let mut places = BTreeMap::new();
        while let Some(member) = members.next().ok()? {
            let member = member.entry();
            let bytes = number(member, gimli::DW_AT_data_member_location);
            let place = number(member, gimli::DW_AT_data_bit_offset).or(bytes.map(|bytes| 8 * bytes));
            let is_old_bit_field =
                member.attr(gimli::DW_AT_bit_size).is_ok_and(|it| it.is_some()) && bytes.is_some();
            let place = place.filter(|_| !is_old_bit_field);
            let is_field = member.tag() == gimli::DW_TAG_member;
            if let Some(name) = name(dwarf, unit, member).filter(|_| is_field) {
                places.insert(name, place);
            }
        }
        return Some(Fields { size, places });
    }
    None
}

fn name(
    dwarf: &gimli::Dwarf<Reader>,
    unit: &gimli::Unit<Reader>,
    entry: &DebuggingInformationEntry<Reader>,
) -> Option<String> {
    let value = entry.attr_value(gimli::DW_AT_name).ok()??;
    let text = dwarf.attr_string(unit, value).ok()?;
    Some(text.to_string_lossy().into_owned())
}

fn number(entry: &DebuggingInformationEntry<Reader>, attribute: gimli::DwAt) -> Option<u64> {
    let value = entry.attr_value(attribute).ok()??;
    match value {
        AttributeValue::Sdata(value) => value.try_into().ok(),
        other => other.udata_value(),
    }
}
