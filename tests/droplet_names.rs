//! Our <droplet.h> has all constants, macros and types of Droplet's, with the same values. They are listed in
//! tests/data/droplet-names.tsv, which was made from Droplet 3.0. The list lacks internals of its headers: include guards,
//! the results of its configure script (HAVE_), and QMD_, TRACEBUF and TRASHIT of its queue.h.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{empty_folder, root, run, write};

/// An entry of the list.
struct Name {
    kind: String,
    name: String,
    value: String,
}

/// Reads the list.
fn listed() -> Vec<Name> {
    let list = fs::read_to_string(root().join("tests/data/droplet-names.tsv")).expect("the list is readable");
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let names: Vec<_> = lines
        .map(|line| {
            let columns: Vec<_> = line.split('\t').map(str::to_owned).collect();
            let [kind, name, value] = columns.try_into().expect("three columns");
            Name { kind, name, value }
        })
        .collect();
    assert!(names.len() > 600, "{}", names.len());
    names
}

/// Returns a compiler that finds our headers. Any warning is an error.
fn compiler(language: &str, standard: &str) -> Command {
    let mut compiler = Command::new(if language == "c" { "cc" } else { "c++" });
    compiler
        .args(["-x", language, &format!("-std={standard}")])
        .args(["-D_DEFAULT_SOURCE", "-Wall", "-Wextra", "-pedantic", "-Werror"])
        .arg("-I")
        .arg(root().join("include/droplet-3.0"))
        .arg("-I")
        .arg(root().join("include"));
    compiler
}

fn built(folder: &Path, language: &str, standard: &str, text: &str) -> PathBuf {
    let program = folder.join("program");
    let source = write(folder, "program.c", text);
    run(compiler(language, standard).arg(source).arg("-o").arg(&program));
    program
}

/// Returns a program that prints the values of the names, in the format of the list.
fn printer(includes: &str, names: &[Name]) -> String {
    let mut text = format!("{includes}#include <stddef.h>\n#include <stdio.h>\n\nint main(void) {{\n");
    for Name { kind, name, .. } in names {
        let number = |expression: &str| {
            format!("    printf(\"{kind}\\t{name}\\t%lld\\n\", (long long)({expression}));\n")
        };
        text += &match kind.as_str() {
            "type" => number(&format!("sizeof({name})")),
            "member" => {
                let (of, member) = name.split_once('.').expect("TYPE.MEMBER");
                number(&format!("offsetof({of}, {member})"))
            }
            "constant" => number(name),
            "string" => format!("    printf(\"{kind}\\t{name}\\t%s\\n\", {name});\n"),
            "macro" => continue,
            kind => panic!("{kind}"),
        };
    }
    text + "    return 0;\n}\n"
}

fn assert_same_values(language: &str, standard: &str, includes: &str) {
    let names = listed();
    let folder = empty_folder(&format!("droplet-names-{standard}"));
    let program = built(&folder, language, standard, &printer(includes, &names));
    let printed = run(&mut Command::new(program));
    let valued = names.iter().filter(|it| it.kind != "macro");
    let wanted: Vec<_> =
        valued.map(|Name { kind, name, value }| format!("{kind}\t{name}\t{value}")).collect();
    for (line, wanted) in printed.lines().zip(&wanted) {
        assert_eq!(line, wanted);
    }
    assert_eq!(printed.lines().count(), wanted.len());
}

#[test]
fn values_are_the_same_in_c() {
    assert_same_values("c", "c99", "#include <droplet.h>\n#include <droplet_conn.h>\n");
}

#[test]
fn values_are_the_same_in_cpp() {
    assert_same_values("c++", "c++17", "#include <droplet_conn.h>\n#include <droplet.h>\n");
}

/// tests/data/constants.tsv was read from the debug information of a build, the list from its headers.
#[test]
fn list_agrees_with_the_constants_of_the_binary_interface() {
    let table = fs::read_to_string(root().join("tests/data/constants.tsv")).expect("the table is readable");
    let names = listed();
    let mut compared = 0;
    for line in table.lines() {
        let [_, name, value, ..] = line.split('\t').collect::<Vec<_>>()[..] else { continue };
        let Some(it) = names.iter().find(|it| it.name == name && it.kind == "constant") else { continue };
        assert_eq!(it.value, value, "{name}");
        compared += 1;
    }
    assert_eq!(compared, 42, "status codes, bits of the trace, log levels, behaviors, limits");
}

/// Returns the macros of the header, with their number of parameters.
fn defined_macros() -> BTreeMap<String, String> {
    let source = write(&empty_folder("droplet-macros"), "use.c", "#include <droplet.h>\n");
    let definitions = run(compiler("c", "c99").args(["-dM", "-E"]).arg(source));
    let definitions = definitions.lines().filter_map(|line| line.strip_prefix("#define "));
    definitions
        .map(|definition| {
            let end = definition.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(definition.len());
            let (name, rest) = definition.split_at(end);
            let parameters = match rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
                Some((list, _)) if list.contains("...") => "...".to_owned(),
                Some((list, _)) => list.split(',').count().to_string(),
                None => "-".to_owned(),
            };
            (name.to_owned(), parameters)
        })
        .collect()
}

#[test]
fn macros_take_the_same_arguments() {
    let defined = defined_macros();
    for Name { name, value, .. } in listed().iter().filter(|it| it.kind == "macro") {
        assert_eq!(defined.get(name), Some(value), "{name}");
    }
}

/// A program that uses the macros. It exits with 0 if they do what is documented.
const USE: &str = r#"
#include <droplet.h>
#include <assert.h>
#include <stdlib.h>

struct entry {
    int value;
    SLIST_ENTRY(entry) single;
    STAILQ_ENTRY(entry) queued;
    LIST_ENTRY(entry) listed;
    TAILQ_ENTRY(entry) tailed;
};
SLIST_HEAD(singles, entry);
STAILQ_HEAD(queue, entry);
LIST_HEAD(list, entry);
TAILQ_HEAD(tails, entry);

static struct entry *entry(int value) {
    struct entry *made = (struct entry *)calloc(1, sizeof *made);

    assert(made);
    made->value = value;
    return made;
}

/* The macros evaluate an argument more than once. */
#define ADD(INSERT, head, value, field) \
    do { \
        struct entry *made = entry(value); \
        INSERT(head, made, field); \
    } while (0)

/* Each entry is freed in the loop, which must not matter to the loop. */
#define FREE_ALL(WALK, expected) \
    do { \
        struct entry *it, *next; \
        int sum = 0; \
        WALK { \
            sum = 10 * sum + it->value; \
            memset(it, 0xff, sizeof *it); \
            free(it); \
        } \
        assert(sum == (expected)); \
    } while (0)

static void singles(void) {
    struct singles a = SLIST_HEAD_INITIALIZER(a), b = SLIST_HEAD_INITIALIZER(b);
    struct entry *it, **leading, *taken = NULL;

    for (int i = 4; i; i--)
        ADD(SLIST_INSERT_HEAD, &a, i, single);
    SLIST_FOREACH_PREVPTR(it, leading, &a, single)
        if (it->value == 3) {
            *leading = SLIST_NEXT(it, single);
            taken = it;
            break;
        }
    free(taken);
    it = SLIST_FIRST(&a);
    taken = SLIST_NEXT(it, single);
    SLIST_REMOVE_AFTER(it, single);
    free(taken);
    SLIST_SWAP(&a, &b, entry);
    assert(SLIST_EMPTY(&a));
    FREE_ALL(SLIST_FOREACH_SAFE(it, &b, single, next), 14);
}

static void queues(void) {
    struct queue a = STAILQ_HEAD_INITIALIZER(a), b = STAILQ_HEAD_INITIALIZER(b);
    struct entry *taken;

    assert(STAILQ_LAST(&a, entry, queued) == NULL);
    STAILQ_SWAP(&a, &b, entry);
    for (int i = 1; i < 4; i++)
        ADD(STAILQ_INSERT_TAIL, &a, i, queued);
    assert(STAILQ_LAST(&a, entry, queued)->value == 3);
    taken = STAILQ_LAST(&a, entry, queued);
    STAILQ_REMOVE_AFTER(&a, STAILQ_NEXT(STAILQ_FIRST(&a), queued), queued);
    free(taken);
    ADD(STAILQ_INSERT_TAIL, &a, 4, queued);
    STAILQ_SWAP(&a, &b, entry);
    ADD(STAILQ_INSERT_TAIL, &a, 7, queued);
    ADD(STAILQ_INSERT_TAIL, &b, 5, queued);
    STAILQ_SWAP(&a, &b, entry);
    ADD(STAILQ_INSERT_TAIL, &a, 6, queued);
    FREE_ALL(STAILQ_FOREACH_SAFE(it, &a, queued, next), 12456);
    FREE_ALL(STAILQ_FOREACH_SAFE(it, &b, queued, next), 7);
}

static void lists(void) {
    struct list a = LIST_HEAD_INITIALIZER(a), b = LIST_HEAD_INITIALIZER(b);
    struct entry *first;

    for (int i = 3; i; i--)
        ADD(LIST_INSERT_HEAD, &a, i, listed);
    LIST_SWAP(&a, &b, entry, listed);
    ADD(LIST_INSERT_HEAD, &a, 9, listed);
    LIST_SWAP(&a, &b, entry, listed);
    first = LIST_FIRST(&a);
    LIST_REMOVE(first, listed);
    free(first);
    FREE_ALL(LIST_FOREACH_SAFE(it, &a, listed, next), 23);
    FREE_ALL(LIST_FOREACH_SAFE(it, &b, listed, next), 9);
}

static void tails(void) {
    struct tails a = TAILQ_HEAD_INITIALIZER(a), b = TAILQ_HEAD_INITIALIZER(b);
    struct entry *first, *before;
    int sum = 0;

    TAILQ_SWAP(&a, &b, entry, tailed);
    for (int i = 1; i < 4; i++)
        ADD(TAILQ_INSERT_TAIL, &a, i, tailed);
    TAILQ_SWAP(&a, &b, entry, tailed);
    ADD(TAILQ_INSERT_TAIL, &a, 8, tailed);
    ADD(TAILQ_INSERT_TAIL, &b, 4, tailed);
    TAILQ_SWAP(&a, &b, entry, tailed);
    first = TAILQ_FIRST(&a);
    TAILQ_REMOVE(&a, first, tailed);
    free(first);
    ADD(TAILQ_INSERT_TAIL, &b, 9, tailed);
    TAILQ_FOREACH_REVERSE_SAFE(first, &a, tails, tailed, before) {
        sum = 10 * sum + first->value;
        TAILQ_REMOVE(&a, first, tailed);
        memset(first, 0xff, sizeof *first);
        free(first);
    }
    assert(sum == 432 && TAILQ_EMPTY(&a));
    FREE_ALL(TAILQ_FOREACH_SAFE(it, &b, tailed, next), 89);
}

static dpl_status_t append(char *p, size_t len) {
    DPL_APPEND_STR("abc");
    DPL_APPEND_CHAR('-');
    DPL_APPEND_BUF("defg", 3);
    DPL_APPEND_CHAR('\0');
    return len == 0 ? DPL_SUCCESS : DPL_ELIMIT;
}

int main(void) {
    char buffer[8];
    dpl_option_t option;
    dpl_sysmd_t sysmd;

    singles();
    queues();
    lists();
    tails();
    assert(append(buffer, sizeof buffer) == DPL_SUCCESS && strcmp(buffer, "abc-def") == 0);
    for (size_t len = 0; len < sizeof buffer; len++)
        assert(append(buffer, len) == DPL_FAILURE);
    assert(ntohll(htonll(0x0102030405060708ULL)) == 0x0102030405060708ULL);
    assert(MAX(MIN(4, 3), 2) == 3);
    option.mask = DPL_OPTION_LAZY;
    option.mask |= DPL_OPTION_RAW;
    sysmd.mask = DPL_SYSMD_MASK_SIZE;
    return option.mask == 5 && sysmd.mask == 4 ? 0 : 1;
}
"#;

fn assert_usable(language: &str, standard: &str) {
    let folder = empty_folder(&format!("droplet-use-{standard}"));
    // A program may include other headers before ours, or after them.
    for before in ["", "#include <sys/param.h>\n#include <sys/queue.h>\n", "#include <droplet_conn.h>\n"] {
        let program = built(&folder, language, standard, &format!("{before}{USE}"));
        run(&mut Command::new(program));
    }
    for after in ["#include <sys/param.h>\n#include <sys/queue.h>\n", "#include <droplet/queue.h>\n"] {
        let text = USE.replace("#include <assert.h>\n", &format!("{after}#include <assert.h>\n"));
        built(&folder, language, standard, &text);
    }
}

#[test]
fn macros_do_what_is_documented_in_c() {
    assert_usable("c", "c99");
}

#[test]
fn macros_do_what_is_documented_in_cpp() {
    assert_usable("c++", "c++17");
}
