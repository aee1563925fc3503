//! Tests of include/droplet_conn.h: it is up to date with the source, documented, and compiles before and after
//! Droplet's header. With UPDATE_HEADER=1 it is updated (`make header`).

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::declarations::{Declaration, declarations};
use common::{empty_folder, exported_names, root, run, write};

fn header() -> String {
    fs::read_to_string(root().join("include/droplet_conn.h")).unwrap_or_default()
}

#[test]
fn header_is_up_to_date() {
    let generated =
        fs::read_to_string(concat!(env!("GENERATED_HEADERS"), "/droplet_conn.h")).expect("build.rs wrote it");
    // An unchanged file is not written, because other tests read it at the same time.
    if std::env::var_os("UPDATE_HEADER").is_some() && header() != generated {
        fs::create_dir_all(root().join("include")).expect("include/ can be made");
        fs::write(root().join("include/droplet_conn.h"), &generated).expect("it is writable");
    }
    // assert_eq would print both headers.
    assert!(header() == generated, "include/droplet_conn.h is not up to date: run `make header`");
}

#[test]
fn all_exports_and_nothing_else_are_declared() {
    let declared: BTreeSet<_> = declarations(&header()).into_iter().map(|it| it.name).collect();
    assert_eq!(declared, exported_names(), "left: the header, right: the shared library");
}

#[test]
fn every_declaration_is_documented() {
    for declaration in declarations(&header()) {
        let Declaration { name, comment, .. } = &declaration;
        assert!(comment.len() > 10, "{name} has no documentation");
        for parameter in declaration.parameters() {
            let documented = comment.contains(&format!("@param {parameter} "));
            assert!(documented, "{name}: parameter {parameter} has no documentation");
        }
    }
}

/// A program that uses the header. It must compile with any includes before and after it.
const USE: &str = "
dpl_status_t use(dpl_ctx_t *ctx, dpl_req_t *req, dpl_addrlist_t *hosts);
dpl_status_t use(dpl_ctx_t *ctx, dpl_req_t *req, dpl_addrlist_t *hosts) {
    dpl_conn_t *conn;
    dpl_addr_t *addr;
    dpl_status_t status = dpl_try_connect(ctx, req, &conn);

    if (status != DPL_SUCCESS || dpl_addrlist_get_nth(hosts, 0, &addr) == DPL_ENOENT)
        return DPL_FAILURE;
    dpl_conn_release(conn);
    return dpl_default_conn_ctx ? status : DPL_ELIMIT;
}
";

/// Makes a stand-in for Droplet's header, to be found by `#include <droplet.h>`.
fn droplets_header(folder: &Path) {
    let stand_in = root().join("tests-c/host/droplet.h");
    let text = format!(
        "#ifndef __DROPLET_H__\n#define __DROPLET_H__\n#include \"{}\"\n#endif\n",
        stand_in.display()
    );
    write(folder, "droplet.h", &text);
}

fn compile(standard: &str, language: &str, includes: &str, droplet: Option<&Path>) {
    let source = write(
        &empty_folder(&format!("header-{standard}")),
        &format!("use.{}", if language == "c" { "c" } else { "cc" }),
        &format!("{includes}{USE}"),
    );
    let mut compiler = Command::new(if language == "c" { "cc" } else { "c++" });
    compiler.args([
        &format!("-std={standard}"),
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pedantic",
        "-Wredundant-decls",
    ]);
    if let Some(folder) = droplet {
        // As a system header it is compiled without the warnings above. It needs u_int and similar types.
        compiler.arg("-isystem").arg(folder).args(["-D_DEFAULT_SOURCE", "-Wno-redundant-decls"]);
    }
    run(compiler.arg("-fsyntax-only").arg("-I").arg(root().join("include")).arg(source));
}

const OURS: &str = "#include <droplet_conn.h>\n";

fn compiles_everywhere(standard: &str, language: &str) {
    const DROPLETS: &str = "#include <droplet.h>\n";
    let droplet = empty_folder(&format!("droplet-{standard}"));
    droplets_header(&droplet);
    compile(standard, language, OURS, None);
    compile(standard, language, &[OURS, OURS].concat(), None);
    compile(standard, language, &[OURS, DROPLETS].concat(), Some(&droplet));
    compile(standard, language, &[DROPLETS, OURS].concat(), Some(&droplet));
}

#[test]
fn header_compiles_as_c89() {
    compile("c89", "c", OURS, None);
}

#[test]
fn header_compiles_as_c99() {
    compiles_everywhere("c99", "c");
}

#[test]
fn header_compiles_as_cpp98() {
    compile("c++98", "c++", OURS, None);
}

#[test]
fn header_compiles_as_cpp17() {
    compiles_everywhere("c++17", "c++");
}
