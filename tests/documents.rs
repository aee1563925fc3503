//! The documents say what is there: files that they link, tests that they name, variables that they list.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::root;

/// The folders that documents lie in, besides those of examples: the top, and these.
const FOLDERS: [&str; 5] = [".", "docs", "tests-c", "benches", "examples"];

/// Folders whose files are named in documents by their path from the top.
const NAMED_FOLDERS: [&str; 10] = [
    "benches/",
    "crates/",
    "docs/",
    "examples/",
    "include/",
    "packaging/",
    "scripts/",
    "src/",
    "tests/",
    "tests-c/",
];

struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    fn read(path: &Path) -> Document {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        Document { path: path.to_owned(), text }
    }

    fn named(name: &str) -> Document {
        Document::read(&root().join(name))
    }

    /// Its text without blocks of code.
    fn prose(&self) -> String {
        let outside = self.text.split("\n```").step_by(2);
        outside.collect::<Vec<_>>().join("\n")
    }

    /// What stands between backticks, one a piece of code.
    fn quoted(&self) -> Vec<String> {
        let prose = self.prose();
        prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
    }

    /// The targets of its links.
    fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        targets.map(|(target, _)| target.to_owned()).collect()
    }

    /// The anchors of its headings, as GitHub makes them.
    fn anchors(&self) -> BTreeSet<String> {
        let prose = self.prose();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        let anchor = |heading: &str| -> String {
            let kept = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = kept.chars().filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'));
            kept.map(|it| if it == ' ' { '-' } else { it }).collect()
        };
        headings.map(anchor).collect()
    }

    fn says(&self) -> String {
        self.path.strip_prefix(root()).unwrap_or(&self.path).display().to_string()
    }
}

/// All documents of the project.
fn documents() -> Vec<Document> {
    let files = FOLDERS.into_iter().flat_map(|folder| {
        let folder = root().join(folder);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        entries.map(|entry| entry.expect("readable").path())
    });
    let documents: Vec<_> = files.filter(|path| path.extension().is_some_and(|it| it == "md")).collect();
    assert!(documents.len() > 10, "{documents:?}");
    documents.iter().map(|path| Document::read(path)).collect()
}

/// The source of a C program, if there is one of this name.
fn c_program(name: &str) -> Option<String> {
    let folders = ["tests-c", "tests-c/alone"].into_iter();
    folders
        .map(|folder| root().join(format!("{folder}/{name}.c")))
        .find_map(|path| fs::read_to_string(path).ok())
}

/// Panics unless this C program has this case.
fn assert_case(document: &Document, program: &str, case: &str) {
    let place = document.says();
    let source = c_program(program).unwrap_or_else(|| panic!("{place}: there is no program {program}"));
    let is_there = [format!("RUN({case})"), format!("\"{case}\"")].iter().any(|it| source.contains(it));
    assert!(is_there, "{place}: {program} has no case {case}");
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[test]
fn readme_is_short() {
    let lines = Document::named("README.md").text.lines().count();
    assert!(lines <= 150, "README.md has {lines} lines");
}

#[test]
fn links_lead_to_files_and_headings() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for document in documents() {
        let folder = document.path.parent().expect("a folder").to_owned();
        for link in document.links() {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let path = if file.is_empty() { document.path.clone() } else { folder.join(file) };
            let is_good = match anchor {
                "" => path.exists(),
                _ => path.is_file() && Document::read(&path).anchors().contains(anchor),
            };
            if !is_good {
                wrong.push(format!("{}: {link}", document.says()));
            }
            count += 1;
        }
    }
    assert!(count > 50, "{count} links");
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn named_files_are_there() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for document in documents() {
        for text in document.quoted() {
            let is_path = NAMED_FOLDERS.iter().any(|folder| text.starts_with(folder));
            let is_plain = !text.contains([' ', '*', '{', '<']);
            if is_path && is_plain {
                count += 1;
                if !root().join(&text).exists() {
                    wrong.push(format!("{}: {text}", document.says()));
                }
            }
        }
    }
    assert!(count > 20, "{count} files");
    assert!(wrong.is_empty(), "files that are not there:\n{}", wrong.join("\n"));
}

/// Two words in backticks, of which the second has an underscore, name a C program and a case of it.
#[test]
fn named_cases_are_there() {
    let mut count = 0;
    for document in documents() {
        for text in document.quoted() {
            let Some((program, case)) = text.split_once(' ') else { continue };
            let is_case =
                is_word(program) && is_word(case) && (case.contains('_') || c_program(program).is_some());
            if is_case {
                assert_case(&document, program, case);
                count += 1;
            }
        }
    }
    assert!(count > 80, "{count} cases are named");
}

#[test]
fn each_fault_names_a_test() {
    let faults = Document::named("docs/faults.md");
    let is_heading =
        |row: &str| row.starts_with("| fault |") || row.starts_with("| --- |") || row.starts_with("| **");
    let rows = faults.text.lines().filter(|line| line.starts_with("| ") && !is_heading(line));
    let mut count = 0;
    for row in rows {
        let tests = row.trim_end_matches('|').rsplit('|').next().expect("a last column");
        let pairs: Vec<_> =
            tests.split('`').skip(1).step_by(2).filter_map(|text| text.split_once(' ')).collect();
        assert!(pairs.iter().any(|(program, _)| c_program(program).is_some()), "without a test: {row}");
        count += 1;
    }
    assert!(count > 40, "{count} rows");
}

/// The Rust sources of all packages, in order of their paths.
fn sources() -> Vec<PathBuf> {
    fn add_to(found: &mut Vec<PathBuf>, folder: &Path) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for path in entries.map(|entry| entry.expect("readable").path()) {
            if path.is_dir() {
                add_to(found, &path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    ["src", "crates"].iter().for_each(|folder| add_to(&mut found, &root().join(folder)));
    found.sort();
    found
}

/// What stands in the log table for a part of a message that differs from one to the next.
const PLACEHOLDERS: [&str; 10] =
    ["ADDRESS", "REASON", "NAME:PORT", "NAME", "FILE:LINE", "VARIABLE", "…", "(N)", ": N", " N "];

/// The messages of the log table, each as its fixed parts; the first is empty if the message begins with another part.
fn documented_messages() -> Vec<Vec<String>> {
    let document = Document::named("docs/observability.md");
    let rows =
        document.text.lines().filter(|line| line.starts_with("| error |") || line.starts_with("| warning |"));
    let cells: Vec<_> = rows.map(|row| row.split(" | ").nth(1).expect("a message").to_owned()).collect();
    let messages = cells.iter().flat_map(|cell| cell.split('`').skip(1).step_by(2));
    messages
        .map(|message| {
            let mut message = message.to_owned();
            for placeholder in PLACEHOLDERS {
                message = message.replace(placeholder, "\n");
            }
            message.split('\n').map(str::trim).map(str::to_owned).collect()
        })
        .collect()
}

#[test]
fn documented_log_messages_are_in_the_source() {
    let source: String = sources().iter().map(|path| fs::read_to_string(path).expect("readable")).collect();
    let mut count = 0;
    for message in documented_messages() {
        for part in message.iter().filter(|part| part.len() > 3) {
            assert!(source.contains(part.as_str()), "no message says {part:?}: {message:?}");
            count += 1;
        }
    }
    assert!(count >= 30, "{count} parts of messages");
}

/// The string literals among the arguments of a call, whose text begins behind its opening parenthesis.
fn literals_of_call(text: &str) -> Vec<String> {
    let (mut found, mut depth, mut characters) = (Vec::new(), 1, text.chars());
    while let Some(character) = characters.next() {
        match character {
            '(' => depth += 1,
            ')' if depth == 1 => break,
            ')' => depth -= 1,
            '"' => {
                let is_end = |it: &char, escaped: &mut bool| {
                    let ends = *it == '"' && !*escaped;
                    *escaped = *it == '\\' && !*escaped;
                    ends
                };
                let mut escaped = false;
                found.push(characters.by_ref().take_while(|it| !is_end(it, &mut escaped)).collect());
            }
            _ => {}
        }
    }
    found
}

/// A format string with a NUL in place of each argument.
fn without_arguments(format: &str) -> String {
    let mut pieces = format.split('{');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + "\0" + piece.split_once('}').map_or("", |(_, rest)| rest))
}

/// Whether a text begins with the first of the parts, and has the others in this order.
fn has_in_order(mut text: &str, parts: &[String]) -> bool {
    text.starts_with(parts[0].as_str())
        && parts.iter().all(|part| {
            let rest = text.split_once(part.as_str()).map(|(_, rest)| rest);
            text = rest.unwrap_or_default();
            rest.is_some()
        })
}

/// The log table has a row for each message. A message that is made elsewhere than in the call that logs it is not found
/// here.
#[test]
fn log_messages_are_documented() {
    let documented = documented_messages();
    let (mut missing, mut count) = (Vec::new(), 0);
    for path in sources() {
        let is_of_library = ["src", "crates/client/src"].iter().any(|it| path.starts_with(root().join(it)));
        let source = fs::read_to_string(&path).expect("readable");
        let shipped = source.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code: Vec<_> = shipped.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code = code.join("\n");
        let calls = ["log!(", "refuse(", "refuse_beside("].iter().flat_map(|call| code.split(call).skip(1));
        for message in calls.filter(|_| is_of_library).flat_map(literals_of_call) {
            let message = without_arguments(&message);
            // A name that is an argument, or a message of which nothing is fixed.
            if !message.trim_matches(['\0', ':']).contains(' ')
                || message.trim_matches(['\0', ' ', ':']).is_empty()
            {
                continue;
            }
            count += 1;
            if !documented.iter().any(|parts| has_in_order(&message, parts)) {
                missing.push(format!("{}: {message:?}", path.display()));
            }
        }
    }
    assert!(count >= 40, "{count} messages");
    assert!(missing.is_empty(), "docs/observability.md lacks\n{}", missing.join("\n"));
}

/// A table needs a header and a separator, or it is shown as text (GitHub Flavored Markdown, section 4.10).
#[test]
fn tables_have_a_header() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for document in documents() {
        let prose = document.prose();
        let mut before = "";
        let mut lines = prose.lines().peekable();
        while let Some(line) = lines.next() {
            if line.starts_with('|') && !before.starts_with('|') {
                let cells = |line: &str| line.trim().trim_matches('|').split('|').count();
                let separator = lines.peek().copied().unwrap_or_default();
                let is_separator =
                    separator.contains("---") && separator.chars().all(|it| "|-: ".contains(it));
                if !is_separator || cells(separator) != cells(line) {
                    wrong.push(format!("{}: {line}", document.says()));
                }
                count += 1;
            }
            before = line;
        }
    }
    assert!(count > 20, "{count} tables");
    assert!(wrong.is_empty(), "tables without a header:\n{}", wrong.join("\n"));
}

/// The source whose path ends so.
fn source(end: &str) -> String {
    let path = sources().into_iter().find(|path| path.ends_with(end));
    fs::read_to_string(path.unwrap_or_else(|| panic!("there is no {end}"))).expect("readable")
}

#[test]
fn profiles_document_lists_each_variable() {
    let source = source("profile/variables.rs");
    // An entry of the table, `NAME => FIELD: TYPE = DEFAULT, ...`, or of those without a field, `name: "NAME"`.
    let entries: Vec<_> = source.lines().filter_map(|line| line.trim().split_once(" => ")).collect();
    let others = source.lines().filter_map(|line| line.split_once("name: \"")?.1.split('"').next());
    let names = entries.iter().map(|(name, _)| *name).filter(|name| is_word(name)).chain(others);
    let known: BTreeSet<String> = names.map(str::to_owned).collect();
    assert!(known.len() > 30, "{known:?}");
    let profiles = Document::named("docs/profiles.md");
    let table = profiles.text.split("\n## ").find(|section| section.starts_with("Variables\n"));
    let rows = table.expect("Variables").lines();
    let rows = rows.filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let rows: Vec<_> = rows.collect();
    let listed: BTreeSet<String> = rows.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed, known, "left: docs/profiles.md, right: the source");
    for (name, rest) in rows {
        let cells: Vec<_> = rest.split('|').map(str::trim).collect();
        let [_type, _unit, default, _meaning, ""] = cells[..] else { panic!("{name}: {cells:?}") };
        if default.bytes().all(|byte| byte.is_ascii_digit()) || matches!(default, "true" | "false") {
            let entry = entries.iter().find(|(variable, _)| *variable == name);
            let (_, entry) = entry.unwrap_or_else(|| panic!("{name} has no field"));
            assert!(entry.contains(&format!(" = {default}, ")), "{name}: {default}");
        }
    }
}
