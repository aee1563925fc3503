//! Tests of Droplet's own headers, include/droplet-3.0: they are up to date with the source, each can be included alone,
//! and their structs have the layout of the library's. With UPDATE_HEADER=1 they are updated (`make header`).

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{droplets_names, empty_folder, names_in, root, run, write};

const GENERATED: &str = concat!(env!("GENERATED_HEADERS"), "/droplet-3.0");

fn committed() -> PathBuf {
    root().join("include/droplet-3.0")
}

/// Returns the headers in a folder by their names in an #include.
fn headers_in(folder: &Path) -> BTreeMap<String, String> {
    let listed = run(Command::new("find").arg(folder).args(["-type", "f", "-printf", "%P\\n"]));
    listed
        .lines()
        .map(|name| (name.to_owned(), fs::read_to_string(folder.join(name)).expect("text")))
        .collect()
}

#[test]
fn headers_are_up_to_date() {
    if std::env::var_os("UPDATE_HEADER").is_some() {
        run(Command::new("cp").args(["-rT", GENERATED]).arg(committed()));
    }
    let (generated, committed) = (headers_in(Path::new(GENERATED)), headers_in(&committed()));
    assert!(generated.keys().eq(committed.keys()), "{:?} {:?}", generated.keys(), committed.keys());
    for (name, text) in &generated {
        assert!(committed[name] == *text, "include/droplet-3.0/{name} is not up to date: run `make header`");
    }
}

#[test]
fn every_export_is_declared() {
    let text: String = headers_in(&committed()).into_values().collect();
    let mut exports = names_in("exports-standalone.txt");
    exports.extend(droplets_names());
    for name in exports {
        let is_declared =
            [format!(" {name}("), format!("*{name}("), format!(" {name};"), format!("*{name};")]
                .iter()
                .any(|declaration| text.contains(declaration));
        assert!(is_declared, "{name}");
    }
}

/// Compiles a text that includes our headers. Any warning is an error.
fn compile(name: &str, language: &str, standard: &str, text: &str) {
    let source = write(&empty_folder(&format!("droplet-headers-{name}-{standard}")), "use", text);
    run(Command::new("cc")
        .args(["-x", language, &format!("-std={standard}"), "-fsyntax-only"])
        // Droplet's interface uses u_int and similar types.
        .args(["-D_DEFAULT_SOURCE", "-Wall", "-Wextra", "-pedantic", "-Werror"])
        .arg("-I")
        .arg(committed())
        .arg("-I")
        .arg(root().join("include"))
        .arg(source));
}

#[test]
fn every_header_can_be_included_alone() {
    for name in headers_in(&committed()).keys() {
        let text =
            format!("#include <{name}>\n#include <droplet_conn.h>\n#include <droplet.h>\nextern int none;\n");
        compile("alone", "c", "c99", &text);
        compile("alone", "c++", "c++17", &text);
    }
}

const USE: &str = r#"
#include <droplet.h>

static dpl_status_t print(dpl_dict_var_t *var, void *arg) {
    (void)arg;
    return printf("%s: %s\n", var->key, dpl_sbuf_get_str(var->val->string)) < 0 ? DPL_EIO : DPL_SUCCESS;
}

static void log_line(dpl_ctx_t *ctx, dpl_log_level_t level, const char *message) {
    if (level == DPL_ERROR)
        fprintf(stderr, "%p %s\n", (void *)ctx, message);
}

int main(void) {
    dpl_ctx_t *ctx;
    dpl_addr_t *addr;
    dpl_dict_t *dict = dpl_dict_new(13);
    dpl_condition_t condition;

    dpl_set_log_func(log_line);
    ctx = dpl_ctx_new_from_dict(dict);
    condition.conds[0].type = DPL_CONDITION_IF_MATCH;
    condition.conds[0].etag[0] = '\0';
    ctx->n_conn_max = DPL_DEFAULT_N_CONN_MAX;
    LIST_FOREACH(addr, &ctx->addrlist->addr_list, list)
        printf("%s %u %d\n", addr->host, addr->port, condition.n_conds);
    DPL_LOG(ctx, DPL_WARNING, "no argument");
    DPL_TRACE(ctx, DPL_TRACE_CONN, "%d", 1);
    return dpl_dict_iterate(dict, print, NULL) == DPL_SUCCESS && ctx->conn_timeout ? 0 : dpl_header_size;
}
"#;

#[test]
fn a_program_needs_no_other_header() {
    compile("program", "c", "c99", USE);
    compile("program", "c++", "c++17", USE);
}

/// Returns an assertion in C for each row of the table that the library's structs agree with.
fn assertions(table: &str) -> String {
    let mut asserts = String::new();
    // The members of a union or a struct within another stand before its own row.
    let mut nested = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, member, offset, size] = columns[..] else { panic!("no row: {line}") };
        let c_name = if name.ends_with("_t") { name.to_owned() } else { format!("struct {name}") };
        let mut assert_at = |field: &str, offset: &str| {
            let what = format!("{name}.{field}");
            asserts += &format!("_Static_assert(offsetof({c_name}, {field}) == {offset}, \"{what}\");\n");
        };
        let field = member.split('[').next().and_then(|it| it.rsplit([' ', '*']).next()).expect("a name");
        match (member.strip_prefix("(end) "), member) {
            (_, "(total size)") => {
                asserts += &format!("_Static_assert(sizeof({c_name}) == {size}, \"{name}\");\n");
            }
            (_, "union { ... }") => assert_at("time", offset),
            (Some(outer), _) => {
                let dot = if outer.is_empty() { "" } else { "." };
                nested.drain(..).for_each(|(field, at)| assert_at(&format!("{outer}{dot}{field}"), at));
            }
            _ if member.starts_with("  ") => nested.push((field, offset)),
            _ => assert_at(field, offset),
        }
    }
    asserts
}

#[test]
fn structs_have_the_layout_of_the_library() {
    let table = fs::read_to_string(root().join("tests/data/layout-3.0.tsv")).expect("a table");
    let asserts = assertions(&table);
    assert_eq!(asserts.matches("sizeof").count(), 14, "all structs were seen");
    assert_eq!(asserts.matches("offsetof").count(), table.matches('\n').count() - 3 - 14 - 3, "all fields");
    compile("layout", "c", "c11", &format!("#include <droplet.h>\n{asserts}"));
}
