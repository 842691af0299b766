//! Help: an example of each command, options under headings, a short help that fits a screen; completions and manual
//! pages.

use assert_cmd::Command;
use std::fs;

fn megasim(arguments: &[&str]) -> String {
    let output = Command::cargo_bin("megasim").unwrap().args(arguments).assert().success().get_output().clone();
    String::from_utf8(output.stdout).unwrap()
}

fn commands() -> Vec<String> {
    let help = megasim(&["--help"]);
    let (_, commands) = help.split_once("Commands:").unwrap();
    // Further lines of a description are indented more.
    let named = commands.lines().skip(1).take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    let names = named.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(String::from).collect()
}

#[test]
fn the_short_help_of_each_command_fits_a_screen_and_has_an_example() {
    let commands = commands();
    assert!(commands.len() >= 19, "{commands:?}");
    for command in commands {
        let help = megasim(&[&command, "-h"]);
        assert!(help.lines().count() <= 40, "{command}: {} lines\n{help}", help.lines().count());
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{command}\n{help}");
        let example = help.lines().find_map(|line| line.strip_prefix("Example: megasim ")).unwrap();
        assert!(example.starts_with(&command), "{command}: {example}");
    }
}

/// An example is a command line that is understood: it fails only since its files are not there.
#[test]
fn examples_are_command_lines() {
    let here = tempfile::tempdir().unwrap();
    for command in commands().iter().filter(|command| !["completions", "man", "serve"].contains(&command.as_str())) {
        let help = megasim(&[command, "-h"]);
        let example = help.lines().find_map(|line| line.strip_prefix("Example: megasim ")).unwrap();
        let run = Command::cargo_bin("megasim").unwrap().args(example.split(' ')).current_dir(&here).assert().code(1);
        let message = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        assert!(!message.contains("panicked"), "{example}\n{message}");
    }
}

#[test]
fn options_that_the_short_help_leaves_out_are_in_the_long_one() {
    let (short, long) = (megasim(&["classify", "-h"]), megasim(&["classify", "--help"]));
    assert!(!short.contains("--downsample") && long.contains("--downsample"));
    let heading = long.find("\nRecordings:").unwrap();
    assert!(long.find("--downsample").unwrap() > heading);
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    let here = tempfile::tempdir().unwrap();
    let directory = here.path().to_str().unwrap();
    megasim(&["man", directory]);
    let script = megasim(&["completions", "bash"]);
    for command in commands() {
        assert!(script.contains(&command), "{command}");
        let page = fs::read_to_string(here.path().join(format!("megasim-{command}.1"))).unwrap();
        assert!(page.starts_with(".ie") && page.contains(".SH SYNOPSIS"), "{page}");
    }
    // Nothing is replaced unasked.
    Command::cargo_bin("megasim").unwrap().args(["man", directory]).assert().code(1);
    megasim(&["man", directory, "--force"]);
}
