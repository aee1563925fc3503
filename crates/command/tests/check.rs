//! What `droplet-conn check` says of programs and of Droplet in them.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{DROPLET, Folder, PROGRAM, assert_says, check, droplet_conn, native, outcome};

const GOOD: &str = "\npreloading works\n";

/// Describes contexts of a layout in debug information.
const CONTEXT: &str = "#include \"droplet.h\"\ndpl_ctx_t context;";

/// Returns the path of a file of the project.
fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

#[test]
fn program_with_a_shared_droplet() {
    let folder = Folder::new("shared");
    let (library, program) = (folder.conn(), folder.program("program", &[]));
    let found = check(&library, &[&program]);
    assert_says(&found, 0, GOOD);
    let droplet = folder.file("libdroplet.so.0");
    assert_says(
        &found,
        0,
        &format!("Droplet     {}, which {} needs\n", droplet.display(), program.display()),
    );
    assert_says(&found, 0, &format!("library     {}\n", library.display()));
    // A library needs no right to be run.
    common::set_mode(&droplet, 0o644);
    assert_says(
        &check(&library, &[&droplet]),
        0,
        "a shared library: what follows is for programs that load it",
    );
}

/// Preloading has no effect on calls that a linker has bound, or on a program's own functions.
#[test]
fn bound_droplets_are_recognised() {
    let folder = Folder::new("bound");
    let library = folder.conn();
    let hide = folder.write("hide", "{ global: dpl_put; dpl_dict_new; local: *; };");
    let hide = format!("-Wl,--version-script={}", hide.display());
    let protect = "-DCALLED=__attribute__((visibility(\"protected\")))";
    let all = "dpl_conn_pool_init, dpl_try_connect, dpl_conn_writev_all, dpl_conn_release were bound";
    for (flags, reason) in [
        (&["-Wl,-Bsymbolic"][..], "it was linked with -Bsymbolic:"),
        (&["-Wl,-Bsymbolic-functions"], all),
        (
            &["-flto", "-fno-semantic-interposition", "-O2"],
            "were bound when it was linked (-Bsymbolic-functions, or LTO)",
        ),
        (&[protect], "(protected visibility)"),
        (&[&hide], "it contains Droplet and hides its functions"),
        (&[&hide, "-s"], "it contains Droplet and hides its functions"),
    ] {
        let program = folder.program("program", flags);
        let found = check(&library, &[&program]);
        assert_says(&found, 1, reason);
        assert_says(&found, 1, "preloading does not work");
        // The plugin of a program is no other case.
        let other = folder.compile("other", "int main(void) { return 0; }", &[], &[]);
        assert_says(&check(&library, &[&other, &folder.file("libdroplet.so.0")]), 1, reason);
    }
    let droplet = folder.write("droplet.c", DROPLET).display().to_string();
    for flags in [&[][..], &["-rdynamic"], &["-no-pie"], &["-s"]] {
        let program = folder.compile("whole", PROGRAM, flags, &[&droplet]);
        assert_says(&check(&library, &[program]), 1, "a program's own functions come first");
    }
    // These leave the binding to the loader.
    for flags in [&["-fno-plt"][..], &["-Wl,-z,now", "-Wl,-O1"], &["-s"], &["-Wl,--hash-style=sysv"]] {
        assert_says(&check(&library, &[folder.program("program", flags)]), 0, GOOD);
    }
}

#[test]
fn programs_without_preloading_are_recognised() {
    let folder = Folder::new("kinds");
    let library = folder.conn();
    let droplet = folder.write("droplet.c", DROPLET).display().to_string();
    for flag in ["-static", "-static-pie"] {
        let program = folder.compile("static", PROGRAM, &[flag], &[&droplet]);
        assert_says(&check(&library, &[program]), 1, "it is linked statically: there is no loader");
    }
    let object = folder.compile("object.o", PROGRAM, &["-c"], &[]);
    assert_says(&check(&library, &[object]), 1, "it is an object file");
    folder.program("program", &[]);
    let musl = "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1";
    let musl = folder.compile("musl", PROGRAM, &[musl], &["libdroplet.so.0", "-Wl,-rpath,$ORIGIN"]);
    assert_says(&check(&library, &[musl]), 1, "its loader is /lib/ld-musl-x86_64.so.1");

    let bytes = fs::read(folder.file("program")).expect("readable");
    let own = u16::from(bytes[18]);
    let (own_name, other, other_name) = match own {
        62 => ("x86-64", 183, "AArch64"),
        _ => ("AArch64", 62, "x86-64"),
    };
    let (little, big) = (1, 2);
    for (class, order, machine, name) in [
        (1, little, 3, "32-bit x86".to_owned()),
        (1, little, own, format!("32-bit {own_name}")),
        (2, little, other, format!("64-bit {other_name}")),
        (2, big, own, format!("64-bit {own_name}, big-endian")),
    ] {
        let as_foreign = |file: &str| {
            let mut foreign = fs::read(folder.file(file)).expect("readable");
            (foreign[4], foreign[5]) = (class, order);
            let machine = if order == big { machine.to_be_bytes() } else { machine.to_le_bytes() };
            foreign[18..20].copy_from_slice(&machine);
            folder.write("foreign", foreign)
        };
        let says = format!("it is a {name} program, and the library is for 64-bit {own_name}\n");
        assert_says(&check(&library, &[as_foreign("program")]), 1, &says);
        let says = format!("foreign: it is for {name}, and this command for 64-bit {own_name}\n");
        let foreign = as_foreign("lib/libdroplet_conn.so.0");
        assert_says(&check(&foreign, &[folder.file("program")]), 1, &says);
    }
}

/// The first form refuses them.
#[test]
fn programs_that_cannot_be_run_are_told() {
    let folder = Folder::new("mode");
    let (library, program) = (folder.conn(), folder.program("program", &[]));
    let script = folder.script("script", &format!("#!{}\n", program.display()));
    for file in [script, program] {
        assert_says(&check(&library, &[&file]), 0, GOOD);
        common::set_mode(&file, 0o644);
        let says = format!("the program cannot be run: {}: Permission denied", file.display());
        assert_says(&check(&library, &[&file]), 1, &says);
    }
}

#[test]
fn scripts_are_their_interpreters() {
    let folder = Folder::new("scripts");
    let (library, program) = (folder.conn(), folder.program("program", &[]));
    let direct = folder.script("direct", &format!("#! {} -x\n", program.display()));
    let again = folder.script("again", &format!("#!{}", direct.display()));
    let by_env = folder.script("by_env", "#!/usr/bin/env -S A=1 program\n");
    let path = format!("{}:/usr/bin:/bin", folder.0.display());
    for script in [direct, again, by_env] {
        let mut command = droplet_conn();
        let found =
            outcome(command.env("PATH", &path).env("DPLX_LIBRARY", &library).arg("check").arg(&script));
        assert_says(&found, 0, &format!("a script that {} runs", program.display()));
        assert_says(&found, 0, GOOD);
    }
    let lost = folder.script("lost", "#!/usr/bin/env no-such-program-here\n");
    assert_says(&check(&library, &[lost]), 2, "its interpreter no-such-program-here: not found in PATH");
    let no_path = folder.script("no_path", "#!program\n");
    let with_return = folder.script("with_return", &format!("#!{}\r\n", program.display()));
    let env = |words: &str| format!("#!/usr/bin/env {words}\n");
    let option = folder.script("option", &env("-S -u A program"));
    let quotes = folder.script("quotes", &env("-S \"A=a b\" program"));
    let folders = folder.script("folders", &env("-S PATH=/none program"));
    let libraries = folder.script("libraries", &env("-S LD_LIBRARY_PATH=/none program"));
    let blank = folder.script("blank", &env("program -x"));
    for script in [no_path, with_return, option, quotes, folders, libraries, blank] {
        let mut command = droplet_conn();
        let found = outcome(command.env("PATH", &path).arg("check").arg(script));
        assert_says(&found, 2, "the program cannot be told: ");
    }
    let endless = folder.file("endless");
    folder.script("endless", &format!("#!{}\n", endless.display()));
    assert_says(&check(&library, &[endless]), 2, "too many interpreters");
}

#[test]
fn layouts_are_told_by_debug_information() {
    let folder = Folder::new("layouts");
    let library = folder.conn();
    let headers = format!("-I{}", project("tests-c/host").display());
    let droplet = |context: &str, flags: &[&str]| {
        let context = folder.write("context.c", context).display().to_string();
        let flags = [&["-g", "-D_GNU_SOURCE", &headers], flags].concat();
        folder.library("libdroplet.so.0", "libdroplet.so.0", DROPLET, &flags, &[&context])
    };
    let check = |library_of_droplet: PathBuf| check(&library, &[library_of_droplet]);
    for dwarf in ["-gdwarf-4", "-gdwarf-5"] {
        for (revision, name) in [
            ("NONE", "Droplet 3.0 of November 2015 and later"),
            ("2015_04", "Droplet 3.0 of April 2015"),
            ("2014_06", "Droplet 3.0 of June 2014"),
            ("BAREOS", "Bareos' variant of Droplet"),
        ] {
            let found = check(droplet(CONTEXT, &[dwarf, &format!("-DDROPLET_LAYOUT_{revision}")]));
            assert_says(&found, 0, &format!("that of {name}, by its debug information"));
        }
    }
    // A field more, and two fields in another order.
    let known = fs::read_to_string(project("tests-c/host/layout-3.0.h")).expect("readable");
    let (_, fields) = known.split_once("struct dpl_ctx {").expect("the struct");
    let (fields, _) = fields.split_once("};").expect("its end");
    let swapped = fields.replace("n_conn_max;", "x;").replace("n_conn_max_hits;", "n_conn_max;");
    let renamed = fields.replace("n_conn_buckets;", "x;");
    for other in [format!("{fields} long more;"), swapped.replace(" x;", " n_conn_max_hits;"), renamed] {
        let types = "#define dpl_ctx another\n#include \"droplet.h\"\n#undef dpl_ctx\n";
        let found = check(droplet(&format!("{types}struct dpl_ctx {{ {other} }} context;"), &[]));
        assert_says(&found, 1, "neither that of Droplet 3.0 since June 2014 nor of Bareos, by its debug");
        assert_says(&found, 1, "the library refuses contexts of this layout");
        assert!(!found.stdout.contains("works"), "{found:?}");
    }
    let found = check(droplet("struct dpl_ctx *declared;", &["-s"]));
    assert_says(&found, 0, "cannot be told before it runs");
}

#[test]
fn layouts_are_told_by_names() {
    let folder = Folder::new("names");
    let library = folder.conn();
    let all = fs::read_to_string(project("scripts/droplet-symbols.tsv")).expect("readable");
    let names = all.lines().skip(1).filter_map(|line| Some(line.split_once('\t')?.1));
    let names: Vec<_> = names
        .filter(|name| !DROPLET.contains(&format!(" {name}(")) && !DROPLET.contains(&format!("*{name}(")))
        .collect();
    assert!(names.len() > 400, "{names:?}");
    let with_all_but = |missing: &[&str]| {
        let others = names.iter().filter(|name| !missing.contains(name));
        let source: String = others.map(|name| format!("int {name};")).collect();
        folder.library("droplet.so", "libdroplet.so.0", &format!("{DROPLET}{source}"), &[], &[])
    };
    assert_says(
        &check(&library, &[with_all_but(&[])]),
        0,
        "that of Droplet 3.0, if it is not older than June 2014, by its names",
    );
    let bareos = with_all_but(&["dpl_read_http_reply_buffered"]);
    assert_says(&check(&library, &[bareos]), 0, "that of Bareos' variant of Droplet, by its names");
    let older = with_all_but(&["dpl_addrlist_count"]);
    assert_says(&check(&library, &[older]), 0, "cannot be told before it runs");
}

#[test]
fn another_openssl_is_told() {
    let folder = Folder::new("openssl");
    let ssl = "int SSL_CTX_new;";
    folder.library("libssl.so.3", "libssl.so.3", ssl, &[], &[]);
    folder.library("libssl.so.1.1", "libssl.so.1.1", ssl, &[], &[]);
    let needs =
        |soname: &str| ["-Wl,--no-as-needed".to_owned(), soname.to_owned(), "-Wl,-rpath,$ORIGIN".to_owned()];
    let build = |name: &str, soname: &str, source: &str, ssl: Option<&str>| {
        let more = ssl.map(needs).unwrap_or_default();
        let more: Vec<_> = more.iter().filter(|it| !it.is_empty()).map(String::as_str).collect();
        folder.library(name, soname, source, &[], &more)
    };
    let library = build("libdroplet_conn.so.0", "libdroplet_conn.so.0", "", Some("libssl.so.3"));
    let droplet = |ssl: Option<&str>, more: &str| {
        build("droplet.so", "libdroplet.so.0", &format!("{DROPLET}{more}"), ssl)
    };

    assert_says(
        &check(&library, &[droplet(Some("libssl.so.3"), "")]),
        0,
        "OpenSSL     libssl.so.3, as the library\n",
    );
    let old = droplet(Some("libssl.so.1.1"), "");
    assert_says(
        &check(&library, &[&old]),
        1,
        "uses libssl.so.1.1, and the library libssl.so.3: contexts with use_https are refused",
    );
    assert_says(&check(&library, &[droplet(None, ssl)]), 1, "contains an OpenSSL of its own");
    assert_says(&check(&library, &[droplet(None, "")]), 0, "no libssl is named");
    // One that the plugin's program brings along.
    let takes = "extern int SSL_CTX_new; int *ssl(void) { return &SSL_CTX_new; }";
    let takes = build("takes.so", "libdroplet.so.0", &format!("{DROPLET}{takes}"), None);
    let more = needs("libssl.so.1.1");
    let program =
        folder.compile("program", "int main(void) { return 0; }", &[], &more.each_ref().map(String::as_str));
    assert_says(&check(&library, &[&program, &takes]), 1, "uses libssl.so.1.1, and the library libssl.so.3");
    // Two in one process.
    let good = droplet(Some("libssl.so.3"), "");
    let found = check(&library, &[&program, &good]);
    assert_says(&found, 0, "libssl.so.1.1 (");
    assert_says(&found, 0, "is loaded as well, which neither Droplet nor the library uses");
}

#[test]
fn names_that_the_standalone_library_lacks_are_listed() {
    let folder = Folder::new("standalone");
    let (library, program) = (folder.conn(), folder.program("program", &[]));
    let lacks = "lacks 1 of the 2 names that are used: dpl_put\n";
    assert_says(&check(&library, &[program]), 0, lacks);
    let source = "int dpl_dict_new(void); int main(void) { return dpl_dict_new(); }";
    let small = folder.compile("small", source, &[], &["libdroplet.so.0", "-Wl,-rpath,$ORIGIN"]);
    assert_says(&check(&library, &[small]), 0, "has all 1 names that are used\n");
}

/// A program that is linked with the library first needs no preloading; with the library last it does.
#[test]
fn linked_programs_are_recognised() {
    let folder = Folder::new("linked");
    let library = folder.conn();
    folder.program("program", &[]);
    let link = |first: &str, second: &str| {
        let more = ["-Wl,--no-as-needed", first, second, "-Wl,-rpath,$ORIGIN:$ORIGIN/lib"];
        folder.compile("linked", PROGRAM, &[], &more)
    };
    let (ours, theirs) = ("lib/libdroplet_conn.so.0", "libdroplet.so.0");
    let found = check(&library, &[link(ours, theirs)]);
    assert_says(&found, 0, "it runs on droplet-conn already");
    assert_says(&check(&library, &[link(theirs, ours)]), 0, GOOD);
    let standalone = format!("{DROPLET}int dplx_version, dpl_ctx_new;");
    folder.library(theirs, theirs, &standalone, &[], &[]);
    assert_says(
        &check(&library, &[folder.file("program")]),
        0,
        "preload nothing: it runs on libdroplet.so.0 of droplet-conn",
    );
}

/// Only reading tells that nothing is run.
#[test]
fn nothing_of_the_program_is_run() {
    let folder = Folder::new("runs");
    let library = folder.conn();
    let trace = folder.file("trace");
    let leave = format!(
        "#include <stdio.h>\n__attribute__((constructor)) static void f(void) {{ fopen(\"{}\", \"w\"); }}\n",
        trace.display()
    );
    folder.library("libdroplet.so.0", "libdroplet.so.0", &format!("{leave}{DROPLET}"), &[], &[]);
    let more = ["libdroplet.so.0", "-Wl,-rpath,$ORIGIN"];
    let program = folder.compile("program", &format!("{leave}{PROGRAM}"), &[], &more);
    assert_says(&check(&library, &[&program]), 0, GOOD);
    assert!(!trace.exists());
    // The trap works.
    outcome(&mut native(program));
    assert!(trace.exists());
}

#[test]
fn wrong_use_is_told_from_a_program_that_does_not_work() {
    let folder = Folder::new("use");
    let library = folder.conn();
    let text = folder.write("text", "text");
    let nothing: [&str; 0] = [];
    assert_says(&check(&library, &nothing), 2, "no program is named");
    assert_says(&check(&library, &["no-such-program-here"]), 2, "not found in PATH");
    assert_says(&check(&library, &["/no/such/file"]), 2, "/no/such/file: No such file");
    assert_says(&check(&library, &[&text]), 2, "it is no ELF file");
    assert_says(&check(&library, &[&folder.0]), 2, "it is no regular file");
    let fifo = folder.file("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().is_ok_and(|status| status.success()));
    assert_says(&check(&library, &[fifo]), 2, "it is no regular file");
    let program = folder.program("program", &[]);
    assert_says(&check(&library, &[program.as_path(), &text]), 2, "text: it is no ELF file");
    assert_says(&check(&folder.file("none"), &[&program]), 1, "No such file");
    let bytes = fs::read(&program).expect("readable");
    for length in (0..bytes.len()).step_by(997) {
        let cut = folder.write("cut", &bytes[..length]);
        let found = check(&library, &[cut]);
        assert!(matches!(found.status, 0..=2), "{length}: {found:?}");
    }
    let without = folder.compile("without", "int main(void) { return 0; }", &[], &[]);
    assert_says(&check(&library, &[without]), 1, "no file that was read contains Droplet or calls it");
}

/// Options come before `check` or after it. What is wrong after it has the status of a check that was not made.
#[test]
fn options_of_check() {
    let folder = Folder::new("options");
    let (library, program) =
        (folder.conn().display().to_string(), folder.program("program", &[]).display().to_string());
    let run = |words: &[&str]| outcome(droplet_conn().args(words));
    assert_says(&run(&["check", "--library", &library, &program]), 0, GOOD);
    assert_says(&run(&["check", &program, "--library", &library]), 0, GOOD);
    assert_says(&run(&["check", "--library", &library, "--", &program]), 0, GOOD);
    assert_says(&run(&["check", "--help"]), 0, "usage: droplet-conn");
    assert_says(&run(&["check", "-V"]), 0, "droplet-conn ");
    assert_says(&run(&["check", "--", "--help"]), 2, "--help: not found in PATH");
    assert_says(&run(&["check", "check"]), 2, "check: not found in PATH");
    for wrong in [
        &["check", "--bogus", &program][..],
        &["check", &program, "--stats"],
        &["--stats", "check", &program],
        &["check", "--library=", &program],
    ] {
        assert_says(&run(wrong), 2, "; see droplet-conn --help");
    }
    assert_says(&run(&["--bogus", "check", &program]), 125, "--bogus");
}
