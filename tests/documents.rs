//! The README's table of faults names tests; each of them is there.

mod common;

use std::fs;

use common::root;

/// The tests in the last column, as program and case.
fn named_tests(readme: &str) -> Vec<(String, String)> {
    let rows = readme.lines().filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
    let quoted = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let pairs = quoted.filter_map(|text| text.split_once(' ')).filter(|(program, _)| *program != "make");
    pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

#[test]
fn each_fault_has_a_test_that_is_there() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let faults = readme.split("\n## ").find(|section| section.starts_with("What is better")).unwrap();
    let tests = named_tests(faults);
    let rows = faults.lines().filter(|line| line.starts_with("| ") && line.contains('`')).count();
    assert!(tests.len() >= rows && rows > 20, "{} tests in {rows} rows", tests.len());
    for (program, case) in tests {
        let path = root().join(format!("tests-c/{program}.c"));
        let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let is_there = [format!("RUN({case})"), format!("\"{case}\"")].iter().any(|it| source.contains(it));
        assert!(is_there, "{program} has no case {case}");
    }
}
