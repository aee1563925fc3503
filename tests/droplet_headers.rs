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

/// A struct as `c_struct!` declares it: its name in C, its size, and the offsets of its fields.
struct CStruct {
    name: String,
    size: String,
    fields: Vec<(String, String)>,
}

/// Reads the declarations of all structs.
fn c_structs() -> Vec<CStruct> {
    let files = ["src/abi/layout/mod.rs", "src/abi/layout/request.rs", "crates/droplet/src/abi/layout.rs"];
    let read = |file| fs::read_to_string(root().join(file)).expect("text");
    let mut found = Vec::new();
    for line in files.map(read).concat().lines() {
        if let Some((_, head)) = line.split_once(" = \"").filter(|_| line.starts_with("    pub struct ")) {
            let (name, size) = head.split_once("\", ").expect("a size");
            let size = size.trim_end_matches(" {").to_owned();
            found.push(CStruct { name: name.to_owned(), size, fields: Vec::new() });
        } else if let Some((offset, field)) = c_field(line) {
            found.last_mut().expect("a struct").fields.push((field.to_owned(), offset.to_owned()));
        }
    }
    found
}

/// Reads a line `OFFSET FIELD: TYPE` within a struct.
fn c_field(line: &str) -> Option<(&str, &str)> {
    let (offset, field) = line.strip_prefix("        ")?.trim().split_once(' ')?;
    offset.parse::<usize>().ok()?;
    let (field, _) = field.split_once(':')?;
    Some((offset, field.trim_start_matches("r#")))
}

#[test]
fn structs_have_the_layout_of_the_library() {
    let mut asserts = "#include <droplet.h>\n".to_owned();
    // The context of 408 bytes belongs to Bareos' version of Droplet, which has other headers.
    for CStruct { name, size, fields } in c_structs().into_iter().filter(|it| it.size != "408") {
        let c_name = if name.ends_with("_t") { name.clone() } else { format!("struct {name}") };
        asserts += &format!("_Static_assert(sizeof({c_name}) == {size}, \"{name}\");\n");
        for (field, offset) in fields {
            let member = match (name.as_str(), field.as_str()) {
                ("dpl_condition_one_t", "content") => "time",
                ("dpl_addr", "le_next") => "list.le_next",
                ("dpl_addr", "le_prev") => "list.le_prev",
                (_, field) => field,
            };
            let what = format!("{name}.{field}");
            asserts += &format!("_Static_assert(offsetof({c_name}, {member}) == {offset}, \"{what}\");\n");
        }
    }
    assert_eq!(asserts.matches("sizeof").count(), 14, "all structs were seen");
    compile("layout", "c", "c11", &asserts);
}
