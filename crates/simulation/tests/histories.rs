//! Some histories, as a part of the tests. `make simulate` runs many.

use std::process::{Command, Output};

fn simulation(arguments: &[&str]) -> Output {
    let outcome = Command::new(env!("CARGO_BIN_EXE_simulation")).args(arguments).output();
    outcome.expect("the program runs")
}

#[test]
fn nothing_goes_wrong_in_some_histories() {
    let outcome = simulation(&["--histories", "200"]);
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stdout));
}

#[test]
fn a_seed_repeats_its_history() {
    for seed in ["3", "8"] {
        let run = || {
            let Output { status, stdout, stderr } = simulation(&["--seed", seed, "--trace"]);
            assert!(status.success());
            (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned())
        };
        let ((out, trace), again) = (run(), run());
        assert!(trace.lines().count() > 20, "{trace}");
        assert!((&out, &trace) == (&again.0, &again.1), "seed {seed}:\n{trace}\n{}", again.1);
    }
}
