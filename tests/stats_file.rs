//! Test of the file of statistics for Prometheus, with the parser of Prometheus' client for Python.

mod common;

use std::process::Command;

use common::{empty_folder, outcome, root, run, shared_library};

/// Returns a Python that has the parser: the system's has it, another one that comes first in PATH may not.
fn python() -> &'static str {
    let has_parser = |python: &&str| {
        let mut command = Command::new(python);
        outcome(command.args(["-c", "import prometheus_client.parser"])).status.success()
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has_parser);
    found.expect("the package prometheus_client for Python; scripts/setup.sh test installs it")
}

#[test]
fn file_is_what_prometheus_reads() {
    let script = root().join("tests/data/stats_file.py");
    let mut command = Command::new(python());
    command.arg("-B").arg(script).arg(shared_library()).arg(empty_folder("stats-file"));
    let printed = run(command.env("VERSION", env!("CARGO_PKG_VERSION")));
    assert!(printed.lines().count() >= 9, "{printed}");
}
