//! Answers, the width of tables, and figures on standard output.

use assert_cmd::Command;
use std::path::Path;

fn digits(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits").join(name).to_str().unwrap().into()
}

/// Standard output and standard error.
fn megasim(here: &Path, line: &str) -> (String, String) {
    let line = line.replace("DIGITS", &digits(""));
    let output = Command::cargo_bin("megasim").unwrap().args(line.split(' ')).current_dir(here).output().unwrap();
    let [out, error] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{line}: {error}");
    (out, error)
}

fn converted() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let model = digits("digits_cnn.keras");
    megasim(directory.path(), &format!("convert {model} --data DIGITS --out net --duration 10"));
    directory
}

/// Commands with tables, but for where they write.
const COMMANDS: [&str; 8] = [
    "check net/megasim.sch",
    "classify net --data DIGITS --samples 4",
    "compare net --data DIGITS --samples 4",
    "eval DIGITSdigits_cnn.keras --data DIGITS --per-class",
    "inspect net --data DIGITS",
    "latency net --data DIGITS --samples 2 --hardware loihi --relief 0",
    "sweep net --data DIGITS --samples 4 --over dt=1,2 --out OUT",
    "verify net --data DIGITS --samples 2 --orders 2 --hardware ideal",
];

#[test]
fn tables_fit_80_columns_and_full_ones_have_more() {
    let directory = converted();
    for (k, command) in COMMANDS.iter().enumerate() {
        let (narrow, _) = megasim(directory.path(), &command.replace("OUT", &format!("a{k}")));
        let of_tables = |text: &str| {
            let lines = text.lines().filter(|line| line.starts_with(['│', '┌', '╞', '└', '├']));
            lines.map(|line| line.chars().count()).max().unwrap_or(0)
        };
        assert!((20..=80).contains(&of_tables(&narrow)), "{command}: {}\n{narrow}", of_tables(&narrow));
        let named = narrow.lines().filter_map(|line| line.strip_prefix("--full shows more: "));
        let left_out: Vec<&str> = named.flat_map(|names| names.split(", ")).collect();
        let (full, _) = megasim(directory.path(), &format!("{command} --full").replace("OUT", &format!("b{k}")));
        assert!(!full.contains("--full shows more"), "{command}: {full}");
        assert!(left_out.is_empty() || of_tables(&full) > 80, "{command}: {full}");
        for name in left_out {
            assert!(full.contains(name.split(' ').next().unwrap()), "{command}: {name}\n{full}");
        }
    }
}

#[test]
fn the_answer_ends_what_is_printed_and_is_all_of_it_where_only_it_is_asked_for() {
    let directory = converted();
    for (k, command) in COMMANDS.iter().enumerate() {
        let (all, _) = megasim(directory.path(), &command.replace("OUT", &format!("a{k}")));
        let (answer, _) = megasim(directory.path(), &format!("{command} --brief").replace("OUT", &format!("b{k}")));
        assert!(all.ends_with(&answer) && all.len() > answer.len(), "{command}: {answer}\n{all}");
        assert!((1..=3).contains(&answer.lines().count()), "{command}: {answer}");
    }
}

#[test]
fn figures_go_to_standard_output_and_the_rest_to_standard_error() {
    let directory = converted();
    let here = directory.path();
    let command = "classify net --data DIGITS --samples 4";
    megasim(here, &format!("{command} --json figures.json"));
    let (out, error) = megasim(here, &format!("{command} --json -"));
    let read = |text: &str| {
        let mut figures: serde_json::Value = serde_json::from_str(text).unwrap();
        figures["seconds"].take();
        figures
    };
    assert_eq!(read(&out), read(&std::fs::read_to_string(here.join("figures.json")).unwrap()));
    assert!(error.contains("4 samples") && error.contains("Event and clocked mode"), "{error}");
    assert!(!here.join("-").exists());
    let (_, brief) = megasim(here, &format!("{command} --json - --brief"));
    assert!(brief.contains("Event and clocked mode") && !brief.contains('┆'), "{brief}");
}
