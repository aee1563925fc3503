//! Tests of docs/man: each function has a page, the pages are those of the header, their examples run, and man(1) reads
//! them. With UPDATE_HEADER=1 the pages of section 3 are written (`make header`).

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::declarations::{Declaration, declarations};
use common::loopback::{DeadHost, Server};
use common::man::{Manual, Page, words_between};
use common::{empty_folder, outcome, root, run, shared_library};

const fn page(
    name: &'static str,
    title: &'static str,
    functions: &'static [&'static str],
    types: &'static [&'static str],
) -> Page {
    Page { name, title, functions, types }
}

/// The pages of section 3.
const PAGES: [Page; 22] = [
    page(
        "dpl_addrlist_create",
        "make and free a list of hosts",
        &["dpl_addrlist_create", "dpl_addrlist_create_from_str", "dpl_addrlist_free"],
        &[],
    ),
    page(
        "dpl_addrlist_add",
        "change the hosts of a list",
        &[
            "dpl_addrlist_add",
            "dpl_addrlist_add_from_str",
            "dpl_addrlist_set_from_str",
            "dpl_addrlist_add_nolock",
            "dpl_addrlist_remove_nolock",
            "dpl_addrlist_clear_nolock",
        ],
        &[],
    ),
    page("dpl_addrlist_lock", "walk a list of hosts", &["dpl_addrlist_lock", "dpl_addrlist_unlock"], &[]),
    page(
        "dpl_addrlist_get",
        "count and find the hosts of a list",
        &[
            "dpl_addrlist_get",
            "dpl_addrlist_count",
            "dpl_addrlist_count_nolock",
            "dpl_addrlist_count_avail_nolock",
            "dpl_addrlist_get_nth",
            "dpl_addrlist_get_rand",
            "dpl_addrlist_get_byname_nolock",
            "dpl_addrlist_get_byip_nolock",
        ],
        &[],
    ),
    page("dpl_addr_get_ident", "write an address as text", &["dpl_addr_get_ident"], &[]),
    page(
        "dpl_addrlist_blacklist",
        "blacklist a host for a time",
        &[
            "dpl_addrlist_blacklist",
            "dpl_addrlist_unblacklist",
            "dpl_addrlist_refresh_blacklist_nolock",
            "dpl_blacklist_host",
        ],
        &[],
    ),
    page(
        "dpl_conn_pool_init",
        "make and free the connection pool of a context",
        &["dpl_conn_pool_init", "dpl_conn_pool_destroy"],
        &[],
    ),
    page("dpl_try_connect", "get a connection for a request", &["dpl_try_connect"], &[]),
    page(
        "dpl_conn_open_host",
        "get a connection to one host, or to a file",
        &["dpl_conn_open_host", "dpl_conn_open_file"],
        &[],
    ),
    page("dpl_conn_release", "give a connection back", &["dpl_conn_release", "dpl_conn_terminate"], &[]),
    page(
        "dplx_conn_write",
        "write to and read from a connection",
        &["dplx_conn_write", "dplx_conn_read", "dpl_conn_writev_all"],
        &[],
    ),
    page(
        "dpl_read_http_reply",
        "read a reply of HTTP as Droplet does",
        &[
            "dpl_read_http_reply",
            "dpl_read_http_reply_ext",
            "dpl_read_http_reply_buffered",
            "dpl_map_http_status",
            "dpl_connection_close",
            "dpl_location",
        ],
        &[],
    ),
    page("dplx_connect", "get a connection within a time", &["dplx_connect"], &[]),
    page(
        "dplx_cancel",
        "end a call or the use of a connection from another thread",
        &["dplx_cancel", "dplx_use_new", "dplx_connect_cancellable", "dplx_conn_use"],
        &[],
    ),
    page(
        "dplx_reply_status",
        "read a reply of HTTP",
        &["dplx_reply_status", "dplx_reply_field", "dplx_reply_read", "dplx_conn_reply_complete"],
        &[],
    ),
    page(
        "dplx_ctx_new",
        "make, set up and free a context",
        &["dplx_ctx_new", "dplx_ctx_set_wait", "dplx_ctx_free"],
        &[],
    ),
    page("dplx_req_new", "make and free a request for a connection", &["dplx_req_new", "dplx_req_free"], &[]),
    page(
        "dplx_conn_info",
        "facts about a connection",
        &["dplx_conn_info", "dplx_conn_host", "dplx_conn_port", "dplx_conn_address", "dplx_conn_fd"],
        &["dplx_conn_info_t"],
    ),
    page(
        "dplx_pool_stats",
        "statistics of connections and hosts",
        &[
            "dplx_pool_stats",
            "dplx_host_stats",
            "dplx_fault_text",
            "dplx_closing_text",
            "dplx_host_state_text",
        ],
        &["dplx_pool_stats_t", "dplx_host_stats_t", "dplx_closing_t", "dplx_fault_t", "dplx_host_state_t"],
    ),
    page("dplx_last_error", "why a call failed", &["dplx_last_error", "dplx_status_text"], &[]),
    page("dplx_set_log", "receive the library's messages", &["dplx_set_log", "dplx_set_log_owned"], &[]),
    page("dplx_version", "the version of the library", &["dplx_version"], &[]),
];

fn folder() -> PathBuf {
    root().join("docs/man")
}

fn example(page: &Page) -> PathBuf {
    root().join(format!("examples/c/man/{}.c", page.name))
}

/// Returns the pages of section 3 by their files: generated ones, and for all other functions a line that leads there.
fn generated() -> BTreeMap<String, String> {
    let header =
        fs::read_to_string(concat!(env!("GENERATED_HEADERS"), "/droplet_conn.h")).expect("build.rs wrote it");
    let declarations: Vec<Declaration> = declarations(&header);
    let by_name = declarations.iter().map(|declaration| (declaration.name.as_str(), declaration)).collect();
    let version = env!("CARGO_PKG_VERSION");
    let manual = Manual { version, declarations: by_name, header: &header, pages: &PAGES };
    let mut files = BTreeMap::new();
    for page in &PAGES {
        let example =
            fs::read_to_string(example(page)).unwrap_or_else(|error| panic!("{}: {error}", page.name));
        files.insert(format!("{}.3", page.name), manual.page(page, &example));
        for function in page.functions.iter().filter(|function| **function != page.name) {
            files.insert(format!("{function}.3"), format!(".so man3/{}.3\n", page.name));
        }
    }
    files
}

#[test]
fn pages_are_those_of_the_header() {
    let expected = generated();
    if env::var_os("UPDATE_HEADER").is_some() {
        expected.iter().for_each(|(name, text)| fs::write(folder().join(name), text).expect("writable"));
    }
    let entries = fs::read_dir(folder()).expect("docs/man");
    let names = entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned());
    let present: BTreeSet<_> = names.filter(|name| name.ends_with(".3")).collect();
    assert_eq!(present, expected.keys().cloned().collect(), "left: docs/man, right: what make header writes");
    for (name, text) in expected {
        // assert_eq would print both pages.
        let is_same = fs::read_to_string(folder().join(&name)).expect("readable") == text;
        assert!(is_same, "docs/man/{name} is not up to date: run `make header`");
    }
}

#[test]
fn each_function_is_on_one_page() {
    let header = fs::read_to_string(root().join("include/droplet_conn.h")).expect("readable");
    let is_function = |it: &Declaration| it.text.contains('(');
    let functions = declarations(&header).into_iter().filter(is_function).map(|it| it.name);
    let mut functions: Vec<_> = functions.collect();
    let mut described: Vec<_> =
        PAGES.iter().flat_map(|page| page.functions).map(|it| (*it).to_owned()).collect();
    functions.sort();
    described.sort();
    assert_eq!(described, functions, "left: pages, right: the header");
}

#[test]
fn rules_for_all_functions_are_those_of_the_header() {
    let header = fs::read_to_string(root().join("include/droplet_conn.h")).expect("readable");
    let page = fs::read_to_string(folder().join("droplet_conn.7")).expect("readable");
    let rules = words_between(&header, "These rules hold for all functions:", "The functions whose names");
    assert!(rules.len() > 50, "{rules:?}");
    let of_page = words_between(&page, ".SS Rules for all functions", ".SH");
    assert_eq!(of_page, rules, "left: droplet_conn(7), right: the header");
}

/// Each example runs with a dead host and a live one.
#[test]
fn examples_run() {
    let library = shared_library().parent().expect("a folder").to_owned();
    let folder = empty_folder("man-examples");
    let (server, dead) = (Server::plain(), DeadHost::new());
    let profile = format!("host = {}, {}", dead.address, server.address);
    let includes = root().join("include");
    for page in &PAGES {
        let program = folder.join(page.name);
        let mut build = Command::new("cc");
        build.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-I"]).arg(&includes).arg(example(page));
        run(build.arg("-L").arg(&library).args(["-ldroplet_conn", "-lpthread", "-o"]).arg(&program));
        let ended = outcome(Command::new(&program).arg(&profile).env("LD_LIBRARY_PATH", &library));
        let printed = String::from_utf8_lossy(&ended.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success() && complaint.is_empty(), "{}: {ended:?}", page.name);
        let expected = expected_of(page.name, &server);
        assert!(printed.contains(&expected), "{}: not {expected:?}: {printed}", page.name);
    }
}

/// Returns a part of what an example prints.
fn expected_of(example: &str, server: &Server) -> String {
    let fixed = match example {
        "dpl_addrlist_create" => "[::1]:8080",
        "dpl_addrlist_add" => "1 host\n",
        "dpl_addrlist_lock" => "2 of 2 hosts are available\n",
        "dpl_addrlist_get" => "2 hosts: ",
        "dpl_addr_get_ident" => "127.0.0.1:80\n",
        "dpl_addrlist_blacklist" => "1 available\n2 available\n",
        "dpl_conn_open_host" => "to a file\nconnect to 127.0.0.1:1: Connection refused\n",
        "dplx_conn_write" => "HTTP/1.1 200 OK\r\n",
        "dpl_read_http_reply" => "1\n2\n",
        "dplx_cancel" => "cancelled",
        "dplx_reply_status" => "length 2\n1\n",
        "dplx_ctx_new" => "no such variable",
        "dplx_pool_stats" => "1 idle, 1 opened\n",
        "dplx_last_error" => "invalid argument: ",
        "dplx_set_log" => "program: error: dpl_conn_release: ",
        "dplx_version" => {
            concat!("built with ", env!("CARGO_PKG_VERSION"), ", runs with ", env!("CARGO_PKG_VERSION"))
        }
        "dpl_try_connect" | "dplx_connect" => return format!("connected to {}\n", server.address),
        "dplx_conn_info" => return format!("127.0.0.1 port {} at {}", server.address.port(), server.address),
        "dpl_conn_pool_init" | "dpl_conn_release" | "dplx_req_new" => "",
        _ => panic!("{example} prints nothing that is known"),
    };
    fixed.to_owned()
}

#[test]
fn version_macros_agree_with_the_library() {
    const PROGRAM: &str = r#"
    #include <droplet_conn.h>
    #include <stdio.h>
    int main(void) {
        printf("%d.%d.%d %d %s %s\n", DPLX_VERSION_MAJOR, DPLX_VERSION_MINOR, DPLX_VERSION_PATCH, DPLX_VERSION_NUMBER,
               DPLX_VERSION, dplx_version());
        return 0;
    }
    "#;
    let library = shared_library().parent().expect("a folder").to_owned();
    let folder = empty_folder("version-macros");
    let source = common::write(&folder, "program.c", PROGRAM);
    let program = folder.join("program");
    let mut build = Command::new("cc");
    build.arg("-I").arg(root().join("include")).arg(source).arg("-L").arg(&library);
    run(build.args(["-ldroplet_conn", "-o"]).arg(&program));
    let number = |part: &str| part.parse::<u32>().expect("a number");
    let [major, minor, patch] =
        [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH")]
            .map(number);
    let version = env!("CARGO_PKG_VERSION");
    let combined = major * 1_000_000 + minor * 1000 + patch;
    let expected = format!("{major}.{minor}.{patch} {combined} {version} {version}\n");
    assert_eq!(run(Command::new(program).env("LD_LIBRARY_PATH", library)), expected);
}

/// All pages, of all sections.
fn pages() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).expect("docs/man");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| {
        path.extension().is_some_and(|end| ["1", "3", "7"].iter().any(|section| end == *section))
    });
    paths.sort();
    paths
}

/// Runs a formatter over all pages, which must not complain.
fn assert_clean(program: &str, arguments: &[&str]) {
    if !common::is_installed(program) {
        return;
    }
    let is_alias = |path: &&PathBuf| fs::read_to_string(path).expect("readable").starts_with(".so ");
    let pages = pages();
    let texts: Vec<&PathBuf> = pages.iter().filter(|path| !is_alias(path)).collect();
    assert!(texts.len() > 20, "{texts:?}");
    let said = outcome(Command::new(program).args(arguments).args(texts));
    let complaints =
        format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success() && complaints.trim().is_empty(), "{complaints}");
}

#[test]
fn mandoc_has_no_complaint() {
    assert_clean("mandoc", &["-T", "lint", "-W", "warning"]);
}

#[test]
fn groff_has_no_complaint() {
    assert_clean("groff", &["-man", "-ww", "-z", "-T", "utf8"]);
}

/// Returns what a page says, without its markup.
fn plain(page: &str) -> String {
    let text = fs::read_to_string(folder().join(page)).expect("readable");
    ["\\fB", "\\fI", "\\fR"].iter().fold(text, |text, font| text.replace(font, "")).replace("\\-", "-")
}

#[test]
fn variables_of_the_environment_are_on_the_page_of_the_library() {
    let profiles = fs::read_to_string(root().join("docs/profiles.md")).expect("readable");
    let table = profiles.split("## Environment").nth(1).expect("a table");
    let names = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let names: Vec<_> =
        names.flat_map(|cell| cell.split(", ")).filter(|name| name.starts_with("D")).collect();
    assert!(names.len() > 8, "{names:?}");
    let page = plain("droplet_conn.7");
    for name in names {
        // Its value may have another name there.
        let variable = name.find('=').map_or(name, |at| &name[..=at]);
        assert!(page.contains(variable), "droplet_conn.7 does not have {variable}");
    }
}

#[test]
fn options_are_on_the_page_of_the_command() {
    let source = fs::read_to_string(root().join("crates/command/src/main.rs")).expect("readable");
    let (_, help) = source.split_once("const HELP: &str = \"").expect("the help");
    let help = help.split("\";").next().expect("its end");
    let options: BTreeSet<_> = help
        .split(|c: char| !c.is_ascii_lowercase() && c != '-')
        .filter(|word| word.starts_with("--") && word.len() > 2)
        .collect();
    assert!(options.len() >= 3, "{options:?}");
    let page = plain("droplet-conn.1");
    for option in options {
        assert!(page.contains(option), "droplet-conn.1 does not have {option}");
    }
}

/// Pages that others refer to are there.
#[test]
fn references_lead_to_pages() {
    let pages = pages();
    let names: BTreeSet<_> = pages.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    let mut count = 0;
    for path in &pages {
        let text = plain(Path::new(path).file_name().and_then(|it| it.to_str()).expect("a name"));
        for section in ["1", "3", "7"] {
            let end = format!("({section})");
            for before in text.split(&end).filter(|part| !part.is_empty()) {
                let name = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').next();
                let name = name.unwrap_or_default();
                if name.starts_with("dpl_") || name.starts_with("dplx_") || name.starts_with("droplet") {
                    let page = format!("{name}.{section}");
                    let is_end = before.len() == text.len() || !text.contains(&format!("{name}{end}"));
                    assert!(
                        is_end || names.contains(page.as_str()),
                        "{}: there is no {page}",
                        path.display()
                    );
                    count += 1;
                }
            }
        }
    }
    assert!(count > 40, "{count} references");
}
