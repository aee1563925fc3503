//! What `droplet-conn` prints reaches its reader, or it fails.

mod common;

use std::fs::File;
use std::process::{Child, Command, Stdio};

use common::{Folder, droplet_conn, outcome};

fn full() -> File {
    File::options().write(true).open("/dev/full").expect("there")
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let folder = Folder::new("full");
    let (library, program) = (folder.conn(), folder.program("program", &[]));
    let program = program.to_str().expect("text");
    for (words, status) in
        [(&["--help"][..], 125), (&["--version"], 125), (&["check", "--help"], 2), (&["check", program], 2)]
    {
        // The other can be read only.
        for stdout in [full(), File::open("/dev/null").expect("there")] {
            let mut command = droplet_conn();
            let mut child = command.env("DPLX_LIBRARY", &library).args(words);
            child = child.stdout(stdout).stderr(Stdio::piped());
            let output = child.spawn().and_then(Child::wait_with_output).expect("it ends");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(status), "{words:?}: {said}");
            assert!(said.starts_with("droplet-conn: its output cannot be written: "), "{words:?}: {said}");
        }
    }
}

/// As of `droplet-conn --help | head -n 1`.
#[test]
fn reader_may_go_away() {
    let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().expect("it runs");
    let pipe = reader.stdin.take().expect("piped");
    reader.wait().expect("it ends");
    let mut command = droplet_conn();
    let status = command.arg("--help").stdout(pipe).status().expect("it runs");
    assert!(status.success(), "{status}");
    assert!(!outcome(droplet_conn().arg("--help")).stdout.is_empty());
}
