//! `--shard`, `--outcomes`, `--estimate` and `megasim merge`: parts of a study give what one run gives.

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits/digits_cnn.keras");
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits");

fn megasim(here: &Path, words: &[&str]) -> Command {
    let mut command = Command::cargo_bin("megasim").unwrap();
    command.current_dir(here).args(words);
    command
}

fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    megasim(place.path(), &["convert", MODEL, "--data", DATA, "--preset", "toolbox", "--out", "net"])
        .assert()
        .success();
    place
}

/// A study, with its results in their own directory.
struct Study {
    words: &'static [&'static str],
    results: &'static [&'static str],
}

#[rustfmt::skip]
const STUDIES: &[Study] = &[
    Study {
        words: &["classify", "net", "--data", DATA, "--samples", "30", "--encode", "poisson", "--seed", "3",
            "--top-k", "2"],
        results: &["--json", "a.json", "--report", "a.html", "--predictions", "a.csv"],
    },
    Study {
        words: &["classify", "net", "--data", DATA, "--samples", "20", "--readout", "first_spike", "--savings"],
        results: &["--json", "a.json"],
    },
    Study {
        words: &["compare", "net", "--data", DATA, "--samples", "70", "--skip", "5", "--duration", "30",
            "--dt", "1,7", "--causes", "20"],
        results: &["--json", "a.json", "--report", "a.html"],
    },
    Study {
        words: &["compare", "net/megasim.sch", "--ticks-per-ms", "10"],
        results: &["--json", "a.json"],
    },
    Study {
        words: &["latency", "net", "--data", DATA, "--samples", "12", "--hardware", "loihi"],
        results: &["--json", "a.json", "--report", "a.html", "--trace", "a.csv"],
    },
    Study {
        words: &["sweep", "net", "--data", DATA, "--samples", "20", "--over", "duration=10,20",
            "--over", "weight-bits=4,8"],
        results: &["--out", "swept", "--report", "a.html"],
    },
    Study {
        words: &["sweep", "net", "--data", DATA, "--samples", "12", "--over", "confidence=1,3"],
        results: &["--out", "swept"],
    },
    Study {
        words: &["sweep", "net", "--data", DATA, "--samples", "6", "--hardware", "serial-aer",
            "--over", "pace=real,fastest", "--over", "duration=10,20"],
        results: &["--out", "swept"],
    },
    Study {
        words: &["verify", "net", "--data", DATA, "--samples", "4", "--orders", "2"],
        results: &["--json", "a.json"],
    },
    Study {
        words: &["eval", MODEL, "--data", DATA, "--top-k", "2"],
        results: &["--json", "a.json", "--outputs", "a.npy"],
    },
];

/// Standard output and all results, times and records of runs left out.
fn seen(here: &Path, out: &[u8]) -> (String, BTreeMap<PathBuf, Vec<u8>>) {
    let mut files = BTreeMap::new();
    collect(here, here, &mut files);
    // The last column of classify is processor time.
    let out = String::from_utf8_lossy(out).into_owned();
    let cells = |line: &str| match line.contains('%') {
        true => line.rsplit_once('┆').map_or(line.to_string(), |(line, _)| line.to_string()),
        false => line.to_string(),
    };
    (out.lines().map(cells).collect::<Vec<_>>().join("\n"), files)
}

fn collect(root: &Path, directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_left_out = name == "net" || name == "run.json" || name.starts_with("part");
        if is_left_out {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files);
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        if name.ends_with(".json") {
            let mut value: Value = serde_json::from_slice(&bytes).unwrap();
            value.as_object_mut().unwrap().remove("seconds");
            bytes = value.to_string().into_bytes();
        }
        files.insert(path.strip_prefix(root).unwrap().into(), bytes);
    }
}

fn link(net: &Path) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    copy(net, &place.path().join("net"));
    place
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(path, to).unwrap();
        }
    }
}

#[test]
fn parts_give_what_one_run_gives() {
    let net = place();
    for Study { words, results } in STUDIES {
        let alone = link(&net.path().join("net"));
        let all = [*words, *results].concat();
        let out = megasim(alone.path(), &all).assert().success().get_output().stdout.clone();
        let expected = seen(alone.path(), &out);
        for of in [1, 3] {
            let shared = link(&net.path().join("net"));
            let here = shared.path();
            let parts: Vec<String> = (1..=of).map(|k| format!("part-{k}")).collect();
            for (k, part) in parts.iter().enumerate() {
                let shard = format!("{}/{of}", k + 1);
                let more = ["--shard", &shard, "--outcomes", part];
                megasim(here, &[&all[..], &more].concat()).assert().success();
            }
            let mut merge = vec!["merge"];
            merge.extend(parts.iter().map(String::as_str));
            if of == 1 {
                // One part is the whole, and has the results already.
                assert_eq!(seen(here, &out), expected, "{words:?}");
                merge.push("--force");
            }
            let assert = megasim(here, &merge).assert().success().stderr(contains("warning: the shards").not());
            let merged = assert.get_output().stdout.clone();
            assert_eq!(seen(here, &merged), expected, "{words:?} in {of} parts");
        }
    }
}

const CLASSIFY: [&str; 6] = ["classify", "net", "--data", DATA, "--samples", "20"];

fn part(here: &Path, words: &[&str], shard: &str, directory: &str) {
    megasim(here, &[words, &["--shard", shard, "--outcomes", directory]].concat()).assert().success();
}

#[test]
fn what_does_not_belong_together_is_named() {
    let place = place();
    let here = place.path();
    for (shard, name) in [("1/3", "a"), ("2/3", "b"), ("3/3", "c"), ("3/3", "again"), ("1/2", "half")] {
        part(here, &CLASSIFY, shard, name);
    }
    part(here, &[&CLASSIFY[..], &["--duration", "50"]].concat(), "3/3", "other");
    let refused = |words: &[&str], expected: &str| {
        let output = megasim(here, &[&["merge"], words].concat()).assert().code(1).get_output().stderr.clone();
        let error = String::from_utf8(output).unwrap();
        assert!(error.contains(expected), "{words:?}: {error}");
    };
    refused(&["a", "c"], "missing of 3 parts: 2");
    refused(&["a", "b", "c", "again"], "part 3/3 is there twice, in c too");
    refused(&["a", "b", "half"], "expected one of 3 parts, as a, found one of 2");
    refused(&["a", "b", "other"], "other: is not of the same study as a: expected");
    refused(&["a", "b", "net"], "net: expected outcomes that --outcomes keeps");
    refused(&["a", "b", "c", "--outputs", "x.npy"], "--outputs");
    // A result that is there stays.
    fs::write(here.join("mine.json"), "mine").unwrap();
    refused(&["a", "b", "c", "--json", "mine.json"], "mine.json");
    assert_eq!(fs::read(here.join("mine.json")).unwrap(), b"mine");
    // Half-written: no record of its end.
    fs::rename(here.join("c/run.json"), here.join("kept.json")).unwrap();
    refused(&["a", "b", "c"], "c: part 3/3 is not complete; its command goes on");
    let table = contains("stopped").and(contains("complete"));
    megasim(here, &["merge", "--status", "a", "b", "c"]).assert().success().stdout(table);
    fs::rename(here.join("kept.json"), here.join("c/run.json")).unwrap();
    // Damaged.
    let whole = fs::read(here.join("c/outcomes.bin")).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(here.join("c/outcomes.bin"), damaged).unwrap();
    refused(&["a", "b", "c"], "changed since it was complete");
    fs::write(here.join("c/outcomes.bin"), whole).unwrap();
    // From another place.
    megasim(&here.join("a"), &["merge", ".", "../b", "../c"]).assert().code(1).stderr(contains("run 'megasim merge'"));
    megasim(here, &["merge", "a", "b", "c", "--json", "x.json"]).assert().success();
    let record: Value = serde_json::from_slice(&fs::read(here.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["command"][1], "merge");
    // Another network under the name.
    megasim(
        here,
        &["convert", MODEL, "--data", DATA, "--preset", "toolbox", "--out", "net", "--percentile", "95", "--force"],
    )
    .assert()
    .success();
    refused(&["a", "b", "c"], "a: changed since");
}

#[test]
fn a_directory_of_outcomes_takes_its_own_run_only() {
    let place = place();
    let here = place.path();
    part(here, &CLASSIFY, "1/3", "a");
    let refused = |words: &[&str], shard: &str, directory: &str, expected: &str| {
        let more = ["--shard", shard, "--outcomes", directory];
        megasim(here, &[words, &more].concat()).assert().code(1).stderr(contains(expected));
    };
    refused(&CLASSIFY, "2/3", "a", "expected part 2/3, found part 1/3");
    refused(&[&CLASSIFY[..], &["--top-k", "2"]].concat(), "1/3", "a", "holds outcomes of another run");
    fs::create_dir(here.join("mine")).unwrap();
    fs::write(here.join("mine/thesis"), "mine").unwrap();
    refused(&CLASSIFY, "1/3", "mine", "found other files");
    refused(&CLASSIFY, "1/3", "net/inside", "net");
    assert_eq!(fs::read_dir(here.join("mine")).unwrap().count(), 1);
    // Usage.
    for (words, expected) in [(&["--shard", "1/3"][..], "--outcomes"), (&["--shard", "4/3", "--outcomes", "b"], "4/3")]
    {
        megasim(here, &[&CLASSIFY[..], words].concat()).assert().code(2).stderr(contains(expected));
    }
}

#[test]
fn a_part_that_ended_anywhere_goes_on() {
    let place = place();
    let here = place.path();
    let words = [&CLASSIFY[..], &["--json", "a.json"]].concat();
    megasim(here, &words).assert().success();
    let json = |name: &str| -> Value {
        let mut value: Value = serde_json::from_slice(&fs::read(here.join(name)).unwrap()).unwrap();
        value.as_object_mut().unwrap().remove("seconds");
        value
    };
    part(here, &CLASSIFY, "1/2", "p1");
    part(here, &CLASSIFY, "2/2", "p2");
    let whole = fs::read(here.join("p2/outcomes.bin")).unwrap();
    for k in 0..4 {
        let cut = whole.len() * k / 4;
        fs::write(here.join("p2/outcomes.bin"), &whole[..cut]).unwrap();
        fs::remove_file(here.join("p2/run.json")).unwrap();
        part(here, &CLASSIFY, "2/2", "p2");
        megasim(here, &["merge", "p1", "p2", "--json", "b.json", "--force"]).assert().success();
        assert_eq!(json("a.json"), json("b.json"), "cut at {cut} of {}", whole.len());
    }
    // A whole run keeps its outcomes, too, and takes them the next time.
    let kept = ["--outcomes", "kept", "--force"];
    for _ in 0..2 {
        megasim(here, &[&words[..], &kept].concat()).assert().success();
        assert_eq!(json("a.json"), json("b.json"));
    }
}

#[test]
fn an_estimate_writes_nothing() {
    let place = place();
    let here = place.path();
    for words in [&CLASSIFY[..], &["sweep", "net", "--data", DATA, "--over", "duration=10,20", "--out", "swept"]] {
        let text = contains("node hours").and(contains("CPU hours")).and(contains("memory"));
        megasim(here, &[words, &["--estimate", "--threads", "1", "--brief"]].concat()).assert().success().stdout(text);
    }
    assert_eq!(fs::read_dir(here).unwrap().count(), 1);
}
