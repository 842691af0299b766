//! `--force`: exactly the files of the list go, everything else is refused by name.

use crate::common::*;
use predicates::prelude::*;
use predicates::str::contains;
use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;

const RUN: [&str; 5] = ["run", "net/megasim.sch", "--out", "out", "--force"];

fn force(command: &[&'static str]) -> Vec<&'static str> {
    command.iter().copied().chain(["--force"]).collect()
}

/// Each command that makes a directory, with the directory.
const DIRECTORIES: [(&[&str], &str); 6] = [
    (&["convert", MODEL, "--data", DATA, "--preset", "toolbox", "--out", "new"], "new"),
    (&["convert", MODEL, "--data", DATA, "--preset", "toolbox", "--out", "own", "--neuron", "own.toml"], "own"),
    (&["convert", MODEL, "--data", DATA, "--preset", "toolbox", "--out", "more", "--save-activations", "kept"], "kept"),
    (&["run", "net/megasim.sch", "--out", "out"], "out"),
    (&["classify", "net", "--data", DATA, "--samples", "3", "--report", "page.html"], "page_files"),
    (&["convert", "model.npz", "--data", DATA, "--samples", "2", "--out", "learnt"], "learnt"),
];

fn place() -> tempfile::TempDir {
    let place = with_net();
    let here = place.path();
    description(here);
    let neuron = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/neurons/iaf.toml");
    fs::copy(neuron, here.join("own.toml")).unwrap();
    megasim(here, &["train", "digits.toml", "--data", DATA, "--samples", "50", "--out", "model.npz"])
        .assert()
        .success();
    place
}

#[test]
fn results_of_every_command_are_replaced_and_nothing_else() {
    let place = place();
    let here = place.path();
    for (command, directory) in DIRECTORIES {
        megasim(here, command).assert().success();
        megasim(here, command).assert().code(1).stderr(contains("exists already"));
        megasim(here, &force(command)).assert().success();
        let directory = here.join(directory);
        // A file of a common ending, one in a directory of ours, an empty directory, a link, a changed result.
        for foreign in ["history.json", "figure1.svg", "source/thesis.c", "notes/a.csv"] {
            let file = directory.join(foreign);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "mine").unwrap();
            let before = content(&directory);
            let name = if foreign == "notes/a.csv" { "notes" } else { foreign };
            megasim(here, &force(command)).assert().code(1).stderr(contains(name).and(contains("Move it away")));
            assert_eq!(content(&directory), before, "{command:?} {foreign}");
            fs::remove_file(&file).unwrap();
            // Only where it was made for this.
            let _ = fs::remove_dir(file.parent().unwrap());
        }
        fs::create_dir(directory.join("empty")).unwrap();
        megasim(here, &force(command)).assert().code(1).stderr(contains("empty"));
        fs::remove_dir(directory.join("empty")).unwrap();
        symlink(here.join("own.toml"), directory.join("link.prm")).unwrap();
        megasim(here, &force(command)).assert().code(1).stderr(contains("link.prm"));
        fs::remove_file(directory.join("link.prm")).unwrap();
        let own = content(&directory).into_keys().find(|path| !path.ends_with("run.json")).unwrap();
        let text = fs::read(&own).unwrap();
        fs::write(&own, [&text[..], b"mine"].concat()).unwrap();
        megasim(here, &force(command)).assert().code(1).stderr(contains("was changed"));
        fs::write(&own, &text).unwrap();
        megasim(here, &force(command)).assert().success();
        assert_eq!(leftovers(here), Vec::<std::path::PathBuf>::new(), "{command:?}");
    }
}

#[test]
fn an_empty_directory_is_taken_and_one_of_another_program_is_called_so() {
    let place = with_net();
    let here = place.path();
    let run = ["run", "net/megasim.sch", "--out", "out"];
    fs::create_dir(here.join("out")).unwrap();
    megasim(here, &run).assert().success();
    assert!(here.join("out/run.json").is_file());
    megasim(here, &run).assert().code(1).stderr(contains("exists already; --force replaces it"));
    fs::remove_dir_all(here.join("out")).unwrap();
    fs::create_dir(here.join("out")).unwrap();
    fs::write(here.join("out/thesis.tex"), "mine").unwrap();
    for command in [&run[..], &RUN] {
        megasim(here, command).assert().code(1).stderr(contains("thesis.tex").and(contains("Move it away")));
    }
    assert_eq!(fs::read_dir(here.join("out")).unwrap().count(), 1);
}

#[test]
fn an_older_record_and_a_directory_of_another_program_are_refused() {
    let place = with_net();
    let here = place.path();
    fs::create_dir(here.join("out")).unwrap();
    fs::write(here.join("out/node_a.evs"), "").unwrap();
    megasim(here, &RUN).assert().code(1).stderr(contains("node_a.evs").and(contains("no run.json")));
    fs::write(here.join("out/run.json"), r#"{"megasim": "0.1.0", "results": ["node_*.evs"]}"#).unwrap();
    megasim(here, &RUN)
        .assert()
        .code(1)
        .stderr(contains("no list of files").and(contains("remove the directory yourself")));
    assert_eq!(content(&here.join("out")).len(), 2);
}

#[test]
fn a_changed_record_is_not_removed() {
    let place = with_net();
    let here = place.path();
    megasim(here, &RUN).assert().success();
    let path = here.join("out/run.json");
    let text = fs::read_to_string(&path).unwrap().replacen('{', "{\n  \"note\": \"the one for the thesis\",", 1);
    fs::write(&path, &text).unwrap();
    megasim(here, &RUN).assert().code(1).stderr(contains("run.json").and(contains("was changed")));
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_list_that_leads_out_of_the_directory_removes_nothing_there() {
    let place = with_net();
    let here = place.path();
    megasim(here, &RUN).assert().success();
    fs::write(here.join("precious"), "").unwrap();
    let path = here.join("out/run.json");
    let text = fs::read_to_string(&path).unwrap().replacen(
        "\"files\": [",
        "\"files\": [{\"path\": \"../precious\", \
        \"bytes\": 0, \"sha256\": \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"},",
        1,
    );
    fs::write(&path, text).unwrap();
    megasim(here, &RUN).assert().success();
    assert!(here.join("precious").exists());
}

#[test]
fn inputs_stay() {
    let place = place();
    let here = place.path();
    fs::copy(MODEL, here.join("model.keras")).unwrap();
    copy(Path::new(DATA), &here.join("data"));
    symlink(here.join("net"), here.join("alias")).unwrap();
    let before = content(here);
    for command in [
        &["run", "net/megasim.sch", "--out", "net", "--force"][..],
        &["run", "alias/megasim.sch", "--out", "net/../net", "--force"],
        &["run", "net/megasim.sch", "--out", "alias", "--force"],
        &["run", "net/megasim.sch", "--out", ".", "--force"],
        &["run", "net/megasim.sch", "--out", "new", "--summary", "net/megasim.sch", "--force"],
        &["convert", "model.keras", "--data", "data", "--preset", "toolbox", "--out", "data", "--force"],
        &[
            "convert",
            "model.keras",
            "--data",
            "data",
            "--preset",
            "toolbox",
            "--out",
            "new",
            "--save-scales",
            "model.keras",
            "--force",
        ],
        &[
            "convert",
            "model.keras",
            "--data",
            "data",
            "--preset",
            "toolbox",
            "--out",
            "new",
            "--export",
            "new/a.nir",
            "--force",
        ],
        &["classify", "net", "--data", "data", "--json", "net/figures.json"],
        &["classify", "net", "--data", "data", "--json", "alias/megasim.json", "--force"],
        &["classify", "net", "--data", "data", "--json", "run.json", "--force"],
        &["classify", "net", "--data", "data", "--json", "a.html", "--report", "a.html", "--force"],
        &["compare", "net", "--data", "data", "--json", "net/megasim.json", "--force"],
        &["latency", "net", "--data", "data", "--json", "net/megasim.json", "--force"],
        &["sweep", "net", "--data", "data", "--over", "duration=5", "--out", "net", "--force"],
        &["eval", "model.keras", "--data", "data", "--json", "model.keras", "--force"],
        &["inspect", "model.keras", "--json", "model.keras", "--force"],
        &["train", "digits.toml", "--data", "data", "--out", "data/test.npz", "--force"],
        &["classify", "net", "--data", "data", "--predictions", "data/test.npz", "--force"],
        &["features", "model.npz", "--data", "data", "--out", "model.npz", "--force"],
        &["encode", "data", "--netdir", "net", "--out", "net/InputLayer.stim", "--force"],
    ] {
        megasim(here, command).assert().code(1).stderr(contains("expected "));
        assert_eq!(content(here), before, "{command:?}");
    }
}

#[test]
fn what_is_no_regular_file_is_written_to_or_refused() {
    let place = with_net();
    let here = place.path();
    let eval =
        |json: &str| megasim(here, &["eval", MODEL, "--data", DATA, "--samples", "9", "--json", json, "--force"]);
    let kind = |path: &str| fs::symlink_metadata(here.join(path)).unwrap().file_type();

    eval("/dev/null").assert().success();
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    assert!(!Path::new("/dev/run.json").exists());
    eval("/dev/stdout").assert().success().stdout(contains("\"accuracy\""));
    eval("/dev/full").assert().code(1).stderr(contains("/dev/full: cannot be written"));
    assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device());

    let fifo = here.join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || fs::read_to_string(fifo).unwrap()
    });
    eval("fifo").assert().success();
    assert!(reader.join().unwrap().contains("\"accuracy\""));
    assert!(kind("fifo").is_fifo());

    let _socket = std::os::unix::net::UnixListener::bind(here.join("socket")).unwrap();
    eval("socket").assert().code(1).stderr(contains("found a socket"));
    assert!(kind("socket").is_socket());

    fs::write(here.join("mine"), "mine").unwrap();
    symlink("mine", here.join("link")).unwrap();
    symlink("nowhere", here.join("dangling")).unwrap();
    for link in ["link", "dangling"] {
        eval(link).assert().code(1).stderr(contains("symbolic link"));
        megasim(here, &["run", "net/megasim.sch", "--out", link, "--force"])
            .assert()
            .code(1)
            .stderr(contains("symbolic link"));
        assert!(kind(link).is_symlink());
    }
    assert_eq!(fs::read_to_string(here.join("mine")).unwrap(), "mine");
    for special in ["fifo", "socket", "mine"] {
        megasim(here, &["run", "net/megasim.sch", "--out", special, "--force"])
            .assert()
            .code(1)
            .stderr(contains("no directory"));
    }
    assert!(kind("fifo").is_fifo() && kind("socket").is_socket());
}

#[test]
fn a_second_run_into_one_place_is_refused_while_the_first_lives() {
    let place = with_net();
    let here = place.path();
    // A lock as a living process holds it.
    let (directory, file) = (here.join(".out.megasim-new"), here.join(".a.json.megasim-new"));
    fs::create_dir(&directory).unwrap();
    fs::write(&file, "").unwrap();
    let locks = [&directory, &file].map(|path| fs::File::open(path).unwrap());
    locks.iter().for_each(|lock| lock.lock().unwrap());
    let sweep = ["sweep", "net", "--data", DATA, "--samples", "3", "--over", "duration=5", "--out", "out"];
    let eval = ["eval", MODEL, "--data", DATA, "--json", "a.json"];
    for command in [&RUN[..], &sweep, &eval] {
        megasim(here, command).assert().code(1).stderr(contains("another megasim process"));
    }
    assert!(!here.join("out").exists() && !here.join("a.json").exists());
    // Its process ended without a word: what it left neither blocks nor stays.
    drop(locks);
    fs::write(directory.join("node_half.evs"), "half").unwrap();
    fs::write(here.join(".other.html.megasim-new"), "half").unwrap();
    megasim(here, &RUN).assert().success();
    megasim(here, &eval).assert().success();
    assert_eq!(leftovers(here), Vec::<std::path::PathBuf>::new());
    assert!(!here.join("out/node_half.evs").exists());
}

#[test]
fn a_replacement_that_was_killed_between_two_names_is_undone() {
    // File systems that cannot exchange names have a moment with the old result under a hidden name.
    let place = with_net();
    let here = place.path();
    megasim(here, &RUN).assert().success();
    let before = content(&here.join("out")).into_values().collect::<Vec<_>>();
    fs::rename(here.join("out"), here.join(".out.megasim-old")).unwrap();
    megasim(here, &["run", "net/megasim.sch", "--out", "out"]).assert().code(1).stderr(contains("exists already"));
    assert_eq!(content(&here.join("out")).into_values().collect::<Vec<_>>(), before);
    assert_eq!(leftovers(here), Vec::<std::path::PathBuf>::new());
}
