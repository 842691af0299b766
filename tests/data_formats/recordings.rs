//! Event recordings in every format, written or read back by independent libraries
//! (`tests/data/recordings/make_recordings.py`); damaged ones.

use assert_cmd::Command;
use megasim::dataset::recording::{CameraEvent, Recording, Selection, Signs};
use megasim::netfile::parse_stimulus;
use megasim::network::{Polarity, Tick};
use predicates::str::contains;
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

const FILES: [&str; 9] = [
    "events.csv",
    "columns.csv",
    "none.aedat4",
    "lz4.aedat4",
    "zstd.aedat4",
    "polarity.aedat",
    "dvs128.aedat",
    "davis240.aedat",
    "digit.bin",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings").join(name)
}

/// The events that all files hold, from the CSV.
fn expected() -> Vec<CameraEvent> {
    let text = fs::read_to_string(fixture("events.csv")).unwrap();
    let event = |line: &str| {
        let numbers: Vec<i64> = line.split(',').map(|number| number.parse().unwrap()).collect();
        CameraEvent { t: numbers[0], x: numbers[1] as u16, y: numbers[2] as u16, on: numbers[3] == 1 }
    };
    text.lines().skip(1).map(event).collect()
}

/// Reads content under the ending of a fixture.
fn read(name: &str, content: &[u8]) -> Result<Recording, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, content).unwrap();
    Recording::read(&path).map_err(|error| error.to_string())
}

#[test]
fn every_format_holds_the_same_events() {
    for name in FILES {
        let recording = Recording::read(&fixture(name)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(recording.events, expected(), "{name}");
        let size = match name {
            "dvs128.aedat" => (128, 128),
            "davis240.aedat" => (240, 180),
            _ => (32, 30),
        };
        assert_eq!((recording.width, recording.height), size, "{name}");
    }
}

#[test]
fn truncated_files_are_refused() {
    // Of a text whose last column is a number of unknown meaning.
    for name in FILES.into_iter().filter(|name| *name != "columns.csv") {
        let content = fs::read(fixture(name)).unwrap();
        // Within the last event, packet or line, and within the first.
        let start = content.len() - if name == "none.aedat4" { 1200 } else { 430.min(content.len() / 2) };
        for cut in [content.len() - 3, start + 1] {
            if name == "digit.bin" && cut % 5 == 0 {
                continue;
            }
            let error = read(name, &content[..cut]);
            let whole_line = name.ends_with("csv") && error.as_ref().is_ok_and(|it| it.events.len() < 60);
            assert!(error.is_err() || whole_line, "{name}, {cut} of {} bytes", content.len());
        }
    }
    let error = read("digit.bin", &[1, 2, 3, 4, 5, 6]).unwrap_err();
    assert!(error.contains("byte 5: expected events of 5 bytes, found 1 at the end"), "{error}");
}

#[test]
fn lying_headers_are_refused() {
    let lie = |name: &str, at: usize, bytes: &[u8], expected: &str| {
        let mut content = fs::read(fixture(name)).unwrap();
        content[at..at + bytes.len()].copy_from_slice(bytes);
        let error = read(name, &content).unwrap_err();
        assert!(error.contains(expected), "{name}: {error}");
    };
    let header = fs::read(fixture("polarity.aedat")).unwrap();
    let packet = header.windows(14).position(|window| window == b"#!END-HEADER\r\n").unwrap() + 14;
    lie("polarity.aedat", packet + 4, &9u32.to_le_bytes(), "events of 8 bytes, found 9");
    lie("polarity.aedat", packet + 20, &41u32.to_le_bytes(), "events <= capacity");
    lie("polarity.aedat", packet + 16, &[255; 8], "events of 8 bytes in a packet, found");
    lie("polarity.aedat", packet + 24, &39u32.to_le_bytes(), "expected 39 valid events in a packet, found 40");
    lie("polarity.aedat", packet - 10, b"X", "the line '#!END-HEADER'");
    lie("dvs128.aedat", 9, b"9.9", "expected AEDAT 2.0, 3.1 or 4.0, found 9.9");
    let chip = fs::read(fixture("davis240.aedat")).unwrap();
    let chip = chip.windows(8).position(|window| window == b"DAVIS240").unwrap();
    lie("davis240.aedat", chip, b"CAMERA99", "expected a DVS128, DAVIS240 or DAVIS346");
    lie("none.aedat4", 14, &0x7fff_ffffu32.to_le_bytes(), "expected a header of 2147483647 bytes");
    let read_events = |content: &str| read("a.csv", content.as_bytes()).unwrap_err();
    assert!(read_events("t,x,y,p\n1,2,3\n").contains("expected 4 columns, found 3"));
    assert!(read_events("1,2,3,2\n").contains("a polarity of 1, 0 or -1"));
    assert!(read_events("1,-2,3,1\n").contains("a coordinate"));
    assert!(read_events("1.5,2,3,1\n").contains("a whole number"));
    assert!(read_events("t,x,p\n").contains("a column y"));
    assert!(read("a.dat", b"1,2,3,1").unwrap_err().contains("an AEDAT file"));
}

proptest! {
    #[test]
    fn damage_is_read_or_refused(
        file in 0..FILES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut content = fs::read(fixture(FILES[file])).unwrap();
        for (at, byte) in changes {
            let at = at.index(content.len());
            content[at] = byte;
        }
        let cut = cut.index(content.len()) + 1;
        let _ = read(FILES[file], &content);
        let _ = read(FILES[file], &content[..cut]);
    }
}

#[test]
fn a_recording_becomes_a_stimulus() {
    let directory = tempfile::tempdir().unwrap();
    let encode = |options: &str| {
        let mut command = Command::cargo_bin("megasim").unwrap();
        command
            .current_dir(directory.path())
            .arg("encode")
            .arg(fixture("zstd.aedat4"))
            .args(options.split_whitespace());
        command.assert()
    };
    let events = |name: &str| parse_stimulus(&fs::read(directory.path().join(name)).unwrap()).unwrap().0;
    encode("--out a.stim").success().stdout(contains("60 of 60 events, 32 x 30"));
    let on = expected().iter().filter(|event| event.on).count();
    assert_eq!((events("a_0.stim").len(), events("a_1.stim").len()), (60 - on, on));
    encode("--polarity signed --downsample 2 --crop 0,0,16,16 --out b.stim").success().stdout(contains("8 x 8"));
    let inside = expected().iter().filter(|event| event.x < 16 && event.y < 16).count();
    let found = events("b.stim");
    assert_eq!(found.len(), inside);
    assert!(found.x().iter().chain(found.y()).all(|at| (0..8).contains(at)));
    encode("--polarity alike --events 25 --window 1 --out c.stim").success();
    assert_eq!((events("c.stim").len(), events("c.stim").t_pre()[0]), (25, 0));
    encode("--polarity alike --from 2 --length 3 --ticks-per-ms 1000 --out d.stim").success();
    let first = expected()[0].t;
    let window = expected().iter().filter(|event| (2000..5000).contains(&(event.t - first))).count();
    assert_eq!(events("d.stim").len(), window);
    assert!(events("d.stim").t_pre().iter().all(|t| (0..3000).contains(t)));
    encode("--out a.stim").code(1);
    encode("--crop 0,0,0,4 --out e.stim").code(2).stderr(contains("LEFT,TOP,WIDTH,HEIGHT"));
    encode("--window 2 --out e.stim").code(2);
    assert!(fs::read_to_string(directory.path().join("run.json")).unwrap().contains("\"window\": 1"));
}

fn recording() -> Recording {
    let event = |t, x, y, on| CameraEvent { t, x, y, on };
    let events =
        vec![event(1000, 0, 0, true), event(1500, 3, 1, false), event(3000, 2, 3, true), event(9000, 3, 3, true)];
    Recording { width: 4, height: 4, events }
}

fn select(selection: Selection) -> Vec<Vec<(Tick, i32, i32, Polarity)>> {
    let stimuli = selection.stimuli(&recording());
    stimuli.iter().map(|it| it.iter().map(|it| (it.t_pre, it.x, it.y, it.polarity)).collect()).collect()
}

const ALL: Selection =
    Selection { crop: None, downsample: 1, signs: Signs::Signed, time: None, count: None, ticks_per_ms: 10 };

#[test]
fn times_become_ticks_from_the_first_event_on() {
    use Polarity::{Negative, Positive};
    let all = vec![(0, 0, 0, Positive), (5, 3, 1, Negative), (20, 2, 3, Positive), (80, 3, 3, Positive)];
    assert_eq!(select(ALL), [all]);
    let channels = select(Selection { signs: Signs::Channels, ..ALL });
    assert_eq!(channels[0], [(5, 3, 1, Positive)]);
    assert_eq!(channels[1].len(), 3);
}

#[test]
fn crop_downsample_and_windows() {
    use Polarity::Positive;
    let corner = Selection { crop: Some((2, 1, 2, 3)), downsample: 2, signs: Signs::Alike, ..ALL };
    assert_eq!(corner.size(&recording()), (1, 2));
    assert_eq!(select(corner), [vec![(5, 0, 0, Positive), (20, 0, 1, Positive), (80, 0, 1, Positive)]]);
    let window = Selection { time: Some((400, 5000)), signs: Signs::Alike, ..ALL };
    assert_eq!(select(window), [vec![(1, 3, 1, Positive), (16, 2, 3, Positive)]]);
    let second = Selection { count: Some((1, 2)), signs: Signs::Alike, ..ALL };
    assert_eq!(select(second), [vec![(0, 2, 3, Positive), (60, 3, 3, Positive)]]);
    assert_eq!(select(Selection { count: Some((9, 2)), ..ALL }), [vec![]]);
}

/// A converted network, and recordings (CSV) of what digits become in regular code at one tick a millisecond.
fn recorded_digits(directory: &Path) -> (PathBuf, Vec<String>) {
    let netdir = directory.join("net");
    let megasim = || Command::cargo_bin("megasim").unwrap();
    let mut convert = megasim();
    convert
        .args([
            "convert",
            "examples/digits/digits_cnn.keras",
            "--data",
            "examples/digits",
            "--preset",
            "toolbox",
            "--out",
        ])
        .arg(&netdir);
    convert.assert().success();
    let recording = |skip: usize| {
        let file = directory.join(format!("{skip}.stim"));
        let mut encode = megasim();
        encode.args([
            "encode",
            "examples/digits",
            "--ticks-per-ms",
            "1",
            "--duration",
            "50",
            "--skip",
            &skip.to_string(),
        ]);
        encode.arg("--netdir").arg(&netdir).arg("--out").arg(&file).assert().success();
        let stimulus = parse_stimulus(&fs::read(&file).unwrap()).unwrap().0;
        // The first event of a recording is its time 0.
        assert_eq!(stimulus.event(0).t_pre, 0);
        stimulus.iter().map(|event| format!("{},{},{},1\n", event.t_pre * 1000, event.x, event.y)).collect()
    };
    let recordings = (0..4).map(recording).collect();
    (netdir, recordings)
}

fn classified(netdir: &Path, data: &Path, options: &[&str]) -> serde_json::Value {
    let json = data.join("result.json");
    let mut command = Command::cargo_bin("megasim").unwrap();
    command.arg("classify").arg(netdir).arg("--data").arg(data).args(["--ticks-per-ms", "1", "--duration", "50"]);
    command.args(options).arg("--force").arg("--json").arg(&json).assert().success();
    serde_json::from_slice(&fs::read(&json).unwrap()).unwrap()
}

#[test]
fn recordings_are_classified_as_what_they_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let (netdir, recordings) = recorded_digits(directory.path());
    let listed = directory.path().join("listed/test");
    fs::create_dir_all(&listed).unwrap();
    let mut list = String::new();
    for (k, recording) in recordings.iter().enumerate() {
        fs::write(listed.join(format!("{k}.csv")), recording).unwrap();
        list += &format!("{k}.csv, {k}\n");
    }
    fs::write(listed.join("labels.csv"), &list).unwrap();
    let data = directory.path().join("listed");
    let digits = directory.path().join("digits");
    fs::create_dir(&digits).unwrap();
    fs::copy("examples/digits/test.npz", digits.join("test.npz")).unwrap();
    let expected = classified(&netdir, &digits, &["--samples", "4"]);
    let found = classified(&netdir, &data, &["--polarity", "alike"]);
    assert_eq!(found["samples"], 4);
    assert_eq!(found["per_sample"], expected["per_sample"]);

    // The same in folders; classes by name, taken in turns.
    let folders = directory.path().join("folders");
    for (k, recording) in recordings.iter().enumerate() {
        let class = folders.join(format!("test/class {}", k % 2));
        fs::create_dir_all(&class).unwrap();
        fs::write(class.join(format!("{}.txt", k / 2)), recording).unwrap();
    }
    let in_folders = classified(&netdir, &folders, &["--polarity", "alike"]);
    assert_eq!(in_folders["per_sample"], expected["per_sample"]);
    let second = classified(&netdir, &folders, &["--polarity", "alike", "--skip", "1", "--samples", "1"]);
    assert_eq!(second["per_sample"], classified(&netdir, &digits, &["--skip", "1", "--samples", "1"])["per_sample"]);

    let refused = |options: &[&str], status: i32, message: &str| {
        let mut command = Command::cargo_bin("megasim").unwrap();
        command
            .arg("classify")
            .arg(&netdir)
            .arg("--data")
            .arg(&data)
            .args(options)
            .assert()
            .code(status)
            .stderr(contains(message));
    };
    refused(&[], 1, "expected 1 maps, as the network takes, found 2");
    refused(&["--polarity", "alike", "--encode", "ttfs"], 2, "--encode: has no effect on event recordings");
    fs::write(listed.join("0.csv"), "0,9,0,1\n").unwrap();
    refused(&["--polarity", "alike"], 1, "found one at (9, 0)");
    fs::write(listed.join("labels.csv"), format!("{list}0.csv\n")).unwrap();
    refused(&["--polarity", "alike"], 1, "expected a line FILE,CLASS");
}

#[test]
fn conversions_and_studies_take_recordings_as_classify_does() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let (netdir, recordings) = recorded_digits(here);
    let listed = here.join("listed/test");
    fs::create_dir_all(&listed).unwrap();
    let list: String = (0..recordings.len()).map(|k| format!("{k}.csv, {k}\n")).collect();
    recordings.iter().enumerate().for_each(|(k, text)| fs::write(listed.join(format!("{k}.csv")), text).unwrap());
    fs::write(listed.join("labels.csv"), &list).unwrap();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits/digits_cnn.keras");
    let megasim = |words: &str| {
        let mut command = Command::cargo_bin("megasim").unwrap();
        command.current_dir(here).args(words.split_whitespace()).assert()
    };
    let shown = "--data listed --polarity alike --ticks-per-ms 1 --duration 50";
    let expected = classified(&netdir, &here.join("listed"), &["--polarity", "alike"]);
    let json =
        |name: &str| -> serde_json::Value { serde_json::from_slice(&fs::read(here.join(name)).unwrap()).unwrap() };

    megasim("sweep net --out sweep --over duration=20,50 --data listed --polarity alike --ticks-per-ms 1").success();
    let sweep = json("sweep/sweep.json");
    let whole = &sweep["points"][1];
    assert_eq!(whole["event"]["spikes"], expected["per_sample"]["spikes"]["event"], "{whole} {expected}");
    assert_eq!(whole["clocked"]["operations"], expected["per_sample"]["synaptic_operations"]["clocked"]);
    assert_ne!(sweep["points"][0]["event"]["spikes"], whole["event"]["spikes"]);
    megasim("sweep net --out other --over encode=regular;ttfs --data listed --polarity alike")
        .code(1)
        .stderr(contains("--over encode: recordings are spikes already"));

    megasim(&format!("compare net {shown} --json compared.json")).success();
    assert_eq!(json("compared.json")["samples"], 4);
    megasim(&format!("latency net {shown} --hardware ideal --json latency.json")).success();
    megasim(&format!("verify net {shown} --orders 1 --hardware ideal")).success();

    // Rates of recordings are numbers from 0 to 1 here, as the digits are.
    let convert = format!("convert {} --data listed --polarity alike", model.display());
    megasim(&format!("{convert} --out own --preset toolbox --duration 50")).success();
    assert_eq!(json("own/run.json")["parameters"]["recordings"]["polarity"], "alike");
    let own = classified(&here.join("own"), &here.join("listed"), &["--polarity", "alike"]);
    assert_eq!(own["samples"], 4);
    megasim(&format!("{convert} --out scaled --input-scale 50 --duration 50 --preset toolbox")).success();
    assert_eq!(json("scaled/megasim.json")["conversion"]["input_scale"], 50.0);
    megasim(&format!("{convert} --out scaled --input-range 0..1"))
        .code(2)
        .stderr(contains("--input-range: has no effect"));
}
