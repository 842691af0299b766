//! SIGKILL at any moment: afterwards the old or the new result is there, complete, and nothing blocks the next run.
//!
//! `MEGASIM_KILLS=100` kills each command so often; a few times where it is not set. The one at each system call
//! that renames needs strace, and is left out without it.

use crate::common::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What writes, and the results: each of them is old or new as a whole.
type Case = (&'static [&'static str], &'static [&'static str]);

#[rustfmt::skip]
const COMMANDS: [Case; 28] = [
    (&["convert", MODEL, "--data", DATA, "--preset", "toolbox", "--out", "new", "--save-scales", "a.json"],
        &["new", "a.json"]),
    (&["convert", "model.npz", "--data", DATA, "--samples", "2", "--out", "new"], &["new"]),
    (&["convert", MODEL, "--data", DATA, "--preset", "toolbox", "--out", "new", "--save-activations", "kept"],
        &["new", "kept"]),
    (
        &["convert", MODEL, "--data", DATA, "--out", "new", "--save-parsed", "p.npz", "--save-normalised", "n.npz",
            "--export", "x.nir"],
        &["new", "p.npz", "n.npz", "x.nir"],
    ),
    (&["convert", NIR, "--out", "new"], &["new"]),
    (&["export", "net", "--to", "brian2", "--out", "new"], &["new"]),
    (&["export", "net", "--to", "nir", "--out", "x.nir"], &["x.nir"]),
    (&["run", "net/megasim.sch", "--out", "new"], &["new"]),
    (&["run", "net/megasim.sch", "--out", "new", "--summary", "a.json"], &["new", "a.json"]),
    (&["rerun", "one", "--out", "new"], &["new"]),
    (&["encode", DATA, "--out", "a.stim", "--samples", "30"], &["a.stim"]),
    (&["eval", MODEL, "--data", DATA, "--json", "a.json"], &["a.json"]),
    (&["eval", MODEL, "--data", DATA, "--json", "a.json", "--outputs", "o.npy"], &["a.json", "o.npy"]),
    (&["inspect", MODEL, "--data", DATA, "--json", "a.json"], &["a.json"]),
    (&["classify", "net", "--data", DATA, "--samples", "9", "--report", "p.html"], &["p_files", "p.html"]),
    (&["classify", "net", "--data", DATA, "--samples", "9", "--json", "a.json"], &["a.json"]),
    (&["classify", "net", "--data", DATA, "--samples", "9", "--predictions", "d.npz"], &["d.npz"]),
    (&["compare", "net", "--data", DATA, "--samples", "9", "--json", "a.json"], &["a.json"]),
    (
        &["latency", "net", "--data", DATA, "--samples", "3", "--hardware", "serial-aer", "--relief", "0",
            "--json", "a.json", "--trace", "t.csv"],
        &["a.json", "t.csv"],
    ),
    (&["verify", "net", "--data", DATA, "--samples", "3", "--json", "a.json"], &["a.json"]),
    (
        &["sweep", "net", "--data", DATA, "--samples", "9", "--over", "duration=5,10", "--out", "new"],
        &["new/sweep.csv"],
    ),
    (
        &["sweep", "net", "--data", DATA, "--samples", "3", "--over", "duration=5,10", "--hardware", "serial-aer",
            "--out", "new"],
        &["new/sweep.csv"],
    ),
    (&["merge", "part-1", "part-2", "--json", "a.json", "--report", "p.html"], &["a.json", "p_files", "p.html"]),
    (&["report", "swept", "--out", "p.html"], &["p_files", "p.html"]),
    (&["toolbox", "config", "--out", "new"], &["new"]),
    (&["train", "digits.toml", "--data", DATA, "--samples", "50", "--out", "new.npz"], &["new.npz"]),
    (&["features", "model.npz", "--data", DATA, "--samples", "50", "--out", "x.npz"], &["x.npz"]),
    (
        &["features", "model.npz", "--data", DATA, "--samples", "50", "--out", "x.npz", "--picture", "maps.svg",
            "--report", "p.html"],
        &["x.npz", "maps.svg", "p.html"],
    ),
];

/// What the settings of SNN toolbox are, but for the number of samples.
fn configuration(samples: u32) -> String {
    let model = Path::new(MODEL);
    format!(
        "[paths]\npath_wd = {}\ndataset_path = {DATA}\nfilename_ann = {}\n\
         [simulation]\nduration = 20\nnum_to_test = {samples}\n[conversion]\nsoftmax_to_relu = True\n",
        model.parent().unwrap().display(),
        model.file_stem().unwrap().display(),
    )
}

fn place() -> tempfile::TempDir {
    let place = with_net();
    description(place.path());
    let train = ["train", "digits.toml", "--data", DATA, "--samples", "50", "--out", "model.npz"];
    megasim(place.path(), &train).assert().success();
    for words in [
        &["run", "net/megasim.sch", "--out", "one"][..],
        &["sweep", "net", "--data", DATA, "--samples", "3", "--over", "duration=5,10", "--out", "swept"],
    ] {
        megasim(place.path(), words).assert().success();
    }
    for (samples, parts) in [("9", ["part-1", "part-2"]), ("8", ["older-1", "older-2"])] {
        for (shard, part) in ["1/2", "2/2"].into_iter().zip(parts) {
            let words = ["classify", "net", "--data", DATA, "--samples", samples, "--report", "p.html"];
            megasim(place.path(), &[&words[..], &["--shard", shard, "--outcomes", part]].concat()).assert().success();
        }
    }
    for (name, samples) in [("config", 9), ("older", 8)] {
        std::fs::write(place.path().join(name), configuration(samples)).unwrap();
    }
    place
}

/// Another result of the same command, so that old and new differ.
fn older(arguments: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let more: &[&str] = match arguments[0] {
        "convert" if arguments[1] == MODEL => &["--percentile", "95"],
        "convert" if arguments[1] == NIR => &["--scaling-factor", "1000000"],
        "run" => &["--clocked"],
        "report" => &["--log-x"],
        _ => &[],
    };
    words.extend(more.iter().map(ToString::to_string));
    if words[0] == "merge" {
        words[1..3].clone_from_slice(&["older-1".into(), "older-2".into()]);
    }
    if words[0] == "toolbox" {
        words[1] = "older".into();
    }
    let samples = match arguments[0] {
        "classify" | "compare" => "8",
        "latency" | "verify" => "2",
        "eval" => "40",
        "encode" | "train" | "features" => "20",
        "convert" if arguments[1] != MODEL && arguments[1] != NIR => "3",
        _ => return words,
    };
    match words.iter().position(|word| word == "--samples") {
        Some(k) => words[k + 1] = samples.into(),
        None => words.extend(["--samples".into(), samples.into()]),
    }
    words
}

/// The files of a result by their names in it; those that hold the command line are only looked at by name,
/// and processor times are left out.
fn state(here: &Path, result: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let path = here.join(result);
    let mut files = content(&path);
    if path.is_file() {
        files.insert(path.clone(), std::fs::read(&path).unwrap());
    }
    let looked_at = |file: &Path, bytes: Vec<u8>| {
        if file.ends_with("run.json") || file.extension().is_some_and(|it| it == "html") {
            return Vec::new();
        }
        let mut value: serde_json::Value = match file.extension() {
            Some(ending) if ending == "json" => serde_json::from_slice(&bytes).unwrap(),
            _ => return bytes,
        };
        value.as_object_mut().map(|fields| fields.remove("seconds"));
        value.to_string().into_bytes()
    };
    files.into_iter().map(|(file, bytes)| (file.clone(), looked_at(&file, bytes))).collect()
}

fn states(here: &Path, results: &[&str]) -> Vec<BTreeMap<PathBuf, Vec<u8>>> {
    results.iter().map(|result| state(here, result)).collect()
}

/// A command with an old result in its place, the new one, and how long it takes.
struct Prepared {
    place: tempfile::TempDir,
    arguments: Vec<&'static str>,
    results: &'static [&'static str],
    old: Vec<BTreeMap<PathBuf, Vec<u8>>>,
    new: Vec<BTreeMap<PathBuf, Vec<u8>>>,
    time: Duration,
}

impl Prepared {
    fn of((arguments, results): Case) -> Self {
        let place = place();
        let here = place.path();
        let force = (arguments[0] != "rerun").then_some("--force");
        let arguments: Vec<_> = arguments.iter().copied().chain(force).collect();
        let start = Instant::now();
        megasim(here, &arguments).assert().success();
        let time = start.elapsed();
        let new = states(here, results);
        let mut prepared = Self { place, arguments, results, old: Vec::new(), new, time };
        prepared.reset();
        prepared.old = states(prepared.place.path(), results);
        prepared
    }

    /// Makes the old result again, by the program: what a kill left must not be in its way.
    fn reset(&self) {
        let words = older(&self.arguments);
        if words[0] == "sweep" || (words[0] == "rerun" && states(self.place.path(), self.results) == self.new) {
            // An interrupted sweep goes on, so each starts afresh; a rerun replaces nothing.
            let _ = std::fs::remove_dir_all(self.place.path().join("new"));
            return;
        }
        if words[0] == "rerun" {
            return;
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        megasim(self.place.path(), &words).assert().success();
        assert_eq!(leftovers(self.place.path()), Vec::<PathBuf>::new(), "{words:?}");
    }

    /// Checks what a kill left; whether it is the new result.
    fn check(&self, what: &str) -> bool {
        let found = states(self.place.path(), self.results);
        for (k, found) in found.iter().enumerate() {
            let is_part_of_sweep = self.arguments[0] == "sweep";
            // The toolbox converts, then classifies.
            let mut converted = self.new[k].clone();
            converted.retain(|file, _| self.arguments[0] != "toolbox" || !file.ends_with("results.json"));
            let whole = [&self.old[k], &self.new[k], &converted];
            assert!(
                whole.contains(&found) || is_part_of_sweep,
                "{what} {}: neither old nor new: {:?}",
                self.results[k],
                found.keys().collect::<Vec<_>>()
            );
        }
        found == self.new
    }
}

#[test]
fn at_random_moments() {
    let kills: u32 = std::env::var("MEGASIM_KILLS").map_or(2, |n| n.parse().unwrap());
    let mut seed = 1_u64;
    for case in COMMANDS {
        let prepared = Prepared::of(case);
        let here = prepared.place.path();
        let (mut replaced, mut finished, mut left) = (0, 0, 0);
        for number in 0..kills {
            prepared.reset();
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let wait = prepared.time.mul_f64((seed >> 40) as f64 / f64::from(1 << 24));
            let mut command = Command::new(assert_cmd::cargo::cargo_bin("megasim"));
            command.current_dir(here).args(&prepared.arguments).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            std::thread::sleep(wait);
            let was_done = child.try_wait().unwrap().is_some();
            let _ = child.kill();
            child.wait().unwrap();
            finished += u32::from(was_done);
            left += u32::from(!leftovers(here).is_empty());
            replaced += u32::from(prepared.check(&format!("{:?} kill {number}", prepared.arguments)));
        }
        prepared.reset();
        megasim(here, &prepared.arguments).assert().success();
        assert!(prepared.check("afterwards") || prepared.arguments[0] == "sweep");
        assert_eq!(leftovers(here), Vec::<PathBuf>::new());
        let name = format!("{} {}", prepared.arguments[0], prepared.results.join(" "));
        println!("{name}: {kills} kills, {finished} after the end, new result {replaced}, temporaries left {left}");
    }
}

/// The system calls that rename, link or remove.
const CALLS: &str = "rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir";

#[test]
fn at_each_call_that_renames_or_removes() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        println!("left out: no strace here");
        return;
    }
    let is_thorough = std::env::var_os("MEGASIM_KILLS").is_some();
    for case in COMMANDS.into_iter().filter(|(arguments, _)| is_thorough || arguments[0] == "run") {
        let prepared = Prepared::of(case);
        let here = prepared.place.path();
        let mut calls = 0;
        loop {
            prepared.reset();
            let inject = format!("inject={CALLS}:signal=KILL:when={}", calls + 1);
            let mut command = Command::new("strace");
            command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={CALLS}"), "-e", &inject]);
            command.arg(assert_cmd::cargo::cargo_bin("megasim")).args(&prepared.arguments).current_dir(here);
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            prepared.check(&format!("{:?} call {}", prepared.arguments, calls + 1));
            if status.success() {
                break;
            }
            calls += 1;
            assert!(calls < 500, "{:?}", prepared.arguments);
        }
        assert!(calls > 0, "{:?}", prepared.arguments);
        println!("{} {}: killed at each of {calls} calls", prepared.arguments[0], prepared.results.join(" "));
    }
}
