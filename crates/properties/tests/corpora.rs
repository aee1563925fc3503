//! The targets of the fuzzer on the inputs that are committed: seeds, and inputs that once made a target panic.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use properties::TARGETS;

/// Returns the folder of the fuzzer.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz")
}

/// Returns the files of a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files
}

/// Runs a target on all inputs in its folders.
fn run(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let inputs: Vec<_> =
        ["corpus", "regressions"].iter().flat_map(|kind| files(&folder().join(kind).join(name))).collect();
    assert!(inputs.len() > 5, "{name} has {} inputs", inputs.len());
    let failed = inputs.iter().filter(|path| {
        let bytes = fs::read(path).expect("readable");
        catch_unwind(AssertUnwindSafe(|| (target.check)(&bytes))).is_err()
    });
    let failed: Vec<_> = failed.map(|path| path.display().to_string()).collect();
    assert!(failed.is_empty(), "{name} fails on\n{}", failed.join("\n"));
}

/// Makes a test of each target.
macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        #[test]
        fn each_target_is_run() {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
            for kind in ["corpus", "regressions"] {
                for path in files(&folder().join(kind)) {
                    let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
                    assert!(names.contains(&name.as_str()), "{} belongs to no target", path.display());
                }
            }
            for name in names {
                let target = folder().join(format!("fuzz_targets/{name}.rs"));
                assert!(target.exists(), "{}", target.display());
            }
        }
    };
}

targets! { dictionaries exchanges hosts profiles replies requests tls_records tls_server written_requests }
