//! What commands print is as wide as `COLUMNS` says, as far as words and the first two columns of tables allow.

use crate::place::Place;
use assert_cmd::Command;
use std::time::Duration;

#[rustfmt::skip]
const COMMANDS: &[&[&str]] = &[
    &["inspect", "model.keras", "--data", "data"],
    &["eval", "model.keras", "--data", "data", "--per-class", "--top-k", "3"],
    &["convert", "model.keras", "--data", "data", "--out", "new"],
    &["check", "net/megasim.sch"],
    &["classify", "net", "--data", "data", "--duration", "10", "--report", "page.html"],
    &["compare", "net", "--data", "data", "--duration", "10"],
    &["compare", "net", "--data", "data", "--duration", "10", "--dt", "1,10"],
    &["latency", "net", "--data", "data", "--duration", "5", "--samples", "2", "--hardware", "loihi"],
    &["latency", "cut.sch", "--hardware", "machine.toml", "--tick", "1 us"],
    &["sweep", "net", "--data", "data", "--over", "duration=5,10", "--over", "input-rate=500,1000", "--out", "swept"],
    &["sweep", "net", "--data", "data", "--over", "pace=1,10", "--hardware", "loihi", "--samples", "1",
        "--duration", "5", "--out", "machines"],
    &["verify", "net", "--data", "data", "--samples", "1", "--orders", "1", "--duration", "5"],
    &["run", "cut.sch", "--out", "events"],
    &["diff", "one", "two"],
    &["encode", "data", "--out", "new.stim"],
    &["export", "net", "--to", "nir", "--out", "new.nir"],
    &["hardware"],
    &["hardware", "check", "machine.toml", "--for", "net"],
    &["report", "results", "--out", "results.html"],
    &["merge", "part-1", "part-2"],
    &["train", "bars.toml", "--data", "bars", "--out", "new.npz"],
    &["eval", "spiking.npz", "--data", "bars"],
    &["features", "spiking.npz", "--data", "bars", "--out", "features.npz"],
    &["toolbox", "config", "--out", "toolbox"],
    &["rerun", "one"],
];

/// Whether a line has to fit: it is no command to copy and no single word, and a table has more than two columns.
fn fits(line: &str, columns: usize) -> bool {
    let width = line.chars().count();
    let sentence = line.trim_start();
    let table = line.starts_with(['┌', '│', '╞', '└']);
    let few = table && line.matches(['│', '┆', '╪', '┬', '┴']).count() < 3;
    width <= columns || sentence.starts_with("megasim ") || few || (!table && !sentence.contains(' '))
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let place = Place::new();
    let mut wide = Vec::new();
    for columns in [60usize, 80, 200] {
        let here = place.linked();
        for words in COMMANDS {
            let mut command = Command::cargo_bin("megasim").unwrap();
            command.current_dir(here.path()).args(*words).env("COLUMNS", columns.to_string());
            let output = command.timeout(Duration::from_secs(120)).output().unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let (out, error) = (text(&output.stdout), text(&output.stderr));
            // `diff` has found differences.
            assert!(output.status.success() || words[0] == "diff", "{words:?}: {error}");
            assert!(!out.is_empty(), "{words:?}");
            let lines = out.lines().chain(error.lines()).filter(|line| !fits(line, columns));
            wide.extend(lines.map(|line| format!("{columns}: {}: {line}", words.join(" "))));
        }
    }
    assert!(wide.is_empty(), "{}", wide.join("\n"));
}

#[test]
fn what_is_not_a_terminal_gets_whole_sentences() {
    let place = Place::new();
    let run = |columns: Option<&str>| {
        let mut command = Command::cargo_bin("megasim").unwrap();
        command.current_dir(place.path()).env_remove("COLUMNS").envs(columns.map(|columns| ("COLUMNS", columns)));
        command.args(["classify", "net", "--data", "data", "--duration", "10", "--brief"]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let (whole, folded) = (run(None), run(Some("60")));
    assert_eq!(whole.lines().count(), 1);
    assert!(whole.len() > 61 && folded.lines().count() > 1);
    assert_eq!(folded.replace('\n', " "), whole.replace('\n', " "));
}
