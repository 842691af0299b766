//! Neurons beyond the usual keys, from the command line: exponential leak, resting potential.

use assert_cmd::Command;
use std::fs;
use std::path::Path;

fn megasim() -> Command {
    Command::cargo_bin("megasim").unwrap()
}

fn convert(out: &Path, options: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = megasim();
    command.args(["convert", "examples/digits/digits_cnn.keras", "--data", "examples/digits", "--out"]).arg(out);
    command.args(options).assert()
}

fn spikes(netdir: &Path) -> serde_json::Value {
    let json = netdir.with_extension("json");
    let mut command = megasim();
    command.arg("classify").arg(netdir).args(["--data", "examples/digits", "--samples", "20", "--json"]).arg(&json);
    command.assert().success();
    let read: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    read["per_sample"]["spikes"].clone()
}

#[test]
fn time_constants_and_resting_potentials_of_all_layers() {
    let directory = tempfile::tempdir().unwrap();
    let (plain, leaky) = (directory.path().join("plain"), directory.path().join("leaky"));
    convert(&plain, &[]).success();
    convert(&leaky, &["--tau-mem", "20", "--resting-potential", "-0.1", "--set", "06*.leak_decay=0"]).success();
    let prm = |name: &str| fs::read_to_string(leaky.join(name)).unwrap();
    // 2^30 (1 - exp(-1 / 200))
    assert!(prm("05Dense_32.prm").contains("\nleak_decay 5355310\nresting_potential -1000000\n"));
    assert!(prm("06Dense_10.prm").contains("\nresting_potential -1000000\n"));
    assert!(!prm("06Dense_10.prm").contains("leak_decay"));
    let (plain, leaky) = (spikes(&plain), spikes(&leaky));
    for mode in ["event", "clocked"] {
        assert!(leaky[mode].as_f64().unwrap() < 0.9 * plain[mode].as_f64().unwrap(), "{plain} {leaky}");
    }
    convert(&directory.path().join("no"), &["--tau-mem", "20", "--plain-megasim"]).code(2);
    let fault = convert(&directory.path().join("no"), &["--resting-potential", "1"]).code(1);
    let text = String::from_utf8_lossy(&fault.get_output().stderr).into_owned();
    assert!(text.contains("resting_potential") && text.contains("less than THplus"), "{text}");
}
