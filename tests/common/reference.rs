//! Comparison of structs with the tables of the binary interface in tests/data.

use std::path::Path;

/// Reads the table of this architecture. tests/data is in a folder above the package that is tested.
fn reference(file: &str) -> String {
    let file =
        if cfg!(target_arch = "aarch64") { file.replace(".tsv", "-aarch64.tsv") } else { file.to_owned() };
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("tests/data"));
    let mut found = folders.filter_map(|folder| std::fs::read_to_string(folder.join(&file)).ok());
    found.next().unwrap_or_else(|| panic!("tests/data/{file} is missing"))
}

/// Returns the fields of a struct: name, offset and size. A union is one field, and bit fields share one.
fn rows(table: &str, name: &str) -> Vec<(String, usize, usize)> {
    let fields = table.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [of, member, offset, size] = columns[..] else { return None };
        (of == name).then_some((member, offset, size))
    });
    let mut rows = Vec::new();
    for (member, offset, size) in fields {
        let member = member.split(['[', ':']).next().unwrap_or_default();
        // A union without a name has the name `content` here.
        let field = member.rsplit([' ', '*']).next().unwrap_or_default().replace('}', "content");
        match offset.split_once(':') {
            _ if member == "(total size)" => rows.push((String::new(), 0, size.parse().unwrap())),
            Some(("0", "0")) => rows.push(("flags".to_owned(), 0, size.parse().unwrap())),
            Some(_) => {}
            None => rows.push((field, offset.parse().unwrap(), size.parse().unwrap())),
        }
    }
    rows
}

/// Compares a struct's name, size and fields (name, offset, size) with a table.
pub fn assert_agrees(file: &str, (name, size, fields): (&str, usize, &[(&str, usize, usize)])) {
    let table = reference(file);
    let mut expected = rows(&table, name);
    // The table has rows for members of unions and for ends of nested structs too.
    expected.retain(|(field, ..)| !matches!((name, field.as_str()), ("dpl_hash_info", "v4" | "v6")));
    expected.retain(|(field, ..)| (name, field.as_str()) != ("dpl_addr", "list"));
    expected.retain(|(field, _, size)| {
        name != "dpl_value"
            || !matches!((field.as_str(), size), ("string" | "subdict" | "vector", _) | ("", 8))
    });
    let mut own: Vec<_> =
        fields.iter().map(|(field, offset, size)| (field.replace("r#", ""), *offset, *size)).collect();
    own.push((String::new(), 0, size));
    assert_eq!(own, expected, "{name} in {file}");
}
