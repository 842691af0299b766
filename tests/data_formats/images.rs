//! Folders of pictures and CIFAR-10's files: what comes of them, that arrays of the same numbers give the same bytes
//! through the commands, and what is wrong with bad ones.

use crate::arrays::write_npz;
use crate::npy::NpzReader;
use assert_cmd::Command;
use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage};
use megasim::ann::graph::Shape;
use megasim::dataset::{ANY_CLASSES, Dataset, Format};
use ndarray::{Array1, Array2, Array3, Axis};
use predicates::str::contains;
use proptest::prelude::*;
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

const GREY: Format = Format { shape: Shape::Maps { channels: 1, height: 2, width: 3 }, classes: 2 };
const COLOUR: Format = Format { shape: Shape::Maps { channels: 3, height: 2, width: 3 }, classes: 2 };

/// A picture of 2 rows and 3 columns whose pixels count from `first` by 10.
fn grey(first: u8) -> DynamicImage {
    GrayImage::from_fn(3, 2, |x, y| Luma([first + 10 * (3 * y + x) as u8])).into()
}

/// As [`grey`], green by 1 and blue by 2 above red.
fn colour(first: u8) -> DynamicImage {
    RgbImage::from_fn(3, 2, |x, y| Rgb([0, 1, 2].map(|channel| first + 10 * (3 * y + x) as u8 + channel))).into()
}

fn save(picture: &DynamicImage, path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    picture.save(path).unwrap();
}

/// Two classes, `b` with one test picture and `a` with three.
fn folders() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, first) in [("b/0.png", 1), ("a/2.BMP", 4), ("a/0.png", 2), ("a/1.bmp", 3)] {
        save(&grey(first), &directory.path().join("test").join(name));
    }
    save(&grey(9), &directory.path().join("train/b/only.png"));
    fs::write(directory.path().join("test/a/notes.txt"), "not a picture").unwrap();
    directory
}

fn error(directory: &Path, format: &Format) -> String {
    match Dataset::open(directory).and_then(|data| data.test(format, 0, None)) {
        Ok(samples) => panic!("expected a refusal, found {} samples", samples.y.len()),
        Err(error) => error.to_string(),
    }
}

fn preprocess(directory: &Path, text: &str) {
    fs::write(directory.join("preprocessing.toml"), text).unwrap();
}

#[test]
fn folders_are_classes_and_their_pictures_come_in_turns() {
    let directory = folders();
    let data = Dataset::open(directory.path()).unwrap();
    let samples = data.test(&GREY, 0, None).unwrap();
    assert_eq!(samples.y, [0, 1, 0, 0]);
    assert_eq!(samples.x.column(0).to_vec(), [2.0, 1.0, 3.0, 4.0].map(|byte| byte / 255.0));
    assert_eq!(samples.x.row(0).to_vec(), [2.0, 12.0, 22.0, 32.0, 42.0, 52.0].map(|byte| byte / 255.0));
    let some = data.test(&GREY, 1, Some(2)).unwrap();
    assert_eq!((some.y, some.x.row(1)), (vec![1, 0], samples.x.row(2)));
    // Class 'b' has the same number where 'a' has no pictures.
    assert_eq!(data.train(&GREY, 0, None).unwrap().y, [1]);
    assert_eq!(data.normalization(&GREY).unwrap()[[0, 0]], 9.0 / 255.0);
    let test = directory.path().join("test");
    assert_eq!(data.test_files(), [test.join("a"), test.join("b")]);
    assert_eq!(data.train_files(), [directory.path().join("train/b")]);
    let any = Format { classes: ANY_CLASSES, ..GREY };
    assert_eq!(data.test(&any, 0, None).unwrap(), samples);
    let (shape, stored) = data.test_as_stored(0, None).unwrap();
    assert_eq!((shape, stored), (vec![2, 3], samples.x));

    fs::rename(&test, directory.path().join("val")).unwrap();
    assert_eq!(Dataset::open(directory.path()).unwrap().test(&GREY, 0, None).unwrap().y, samples.y);
}

#[test]
fn colour_comes_channels_first_and_grey_by_its_brightness() {
    let directory = folders();
    save(&colour(7), &directory.path().join("test/a/0.png"));
    let data = Dataset::open(directory.path()).unwrap();
    let samples = data.test(&COLOUR, 0, Some(2)).unwrap();
    let red = [7, 17, 27, 37, 47, 57];
    let expected: Vec<f32> =
        (0..3).flat_map(|channel| red.map(|byte| f32::from((byte + channel) as u8) / 255.0)).collect();
    assert_eq!(samples.x.row(0).to_vec(), expected);
    // A grey picture is the same in each channel.
    assert_eq!(samples.x[[1, 0]], samples.x[[1, 12]]);
    let (shape, stored) = data.test_as_stored(0, Some(1)).unwrap();
    assert_eq!((shape, stored[[0, 1]]), (vec![2, 3, 3], 8.0 / 255.0));

    let picture = RgbImage::from_pixel(3, 2, Rgb([200, 100, 50]));
    save(&picture.into(), &directory.path().join("test/a/0.png"));
    let samples = data.test(&GREY, 0, Some(1)).unwrap();
    // 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2
    assert_eq!(samples.x[[0, 0]], 124.0 / 255.0);

    // Networks of vectors take grey, unless they are told that there is colour.
    let flat = Format { shape: Shape::Features(6), classes: 2 };
    assert_eq!(data.test(&flat, 0, None).unwrap(), data.test(&GREY, 0, None).unwrap());
    preprocess(directory.path(), "channels = 3");
    let flat = Format { shape: Shape::Features(18), classes: 2 };
    let row = Dataset::open(directory.path()).unwrap().test(&flat, 0, Some(1)).unwrap().x.row(0).to_vec();
    assert_eq!(row[..4], [200.0, 100.0, 50.0, 200.0].map(|byte: f32| byte / 255.0));
}

#[test]
fn preprocessing_sets_size_and_values() {
    let directory = folders();
    let bars = GrayImage::from_fn(10, 8, |x, y| Luma([if y == 3 { 100 + x as u8 } else { 0 }]));
    save(&bars.into(), &directory.path().join("test/a/0.png"));
    let first = |format: &Format| {
        Dataset::open(directory.path()).and_then(|data| data.test(format, 0, Some(1))).map(|samples| samples.x)
    };
    let message = first(&GREY).unwrap_err().to_string();
    assert!(message.contains("0.png") && message.contains("found 8 x 10"), "{message}");
    assert!(message.contains("'resize = [2, 3]' in preprocessing.toml"), "{message}");
    preprocess(directory.path(), "crop = [2, 3]\nrescale = 1.0\nmean = [100.0]\nstd = [2.0]");
    // Rows 3 and 4, columns 3 to 5.
    assert_eq!(first(&GREY).unwrap().row(0).to_vec(), [1.5, 2.0, 2.5, -50.0, -50.0, -50.0]);
    preprocess(directory.path(), "resize = [2, 3]");
    assert_eq!(first(&GREY).unwrap().ncols(), 6);
    preprocess(directory.path(), "resize = [4, 6]\ncrop = [2, 3]\nmean = [0.1, 0.2, 0.3]");
    let picture = RgbImage::from_pixel(9, 9, Rgb([51, 102, 153]));
    save(&picture.into(), &directory.path().join("test/a/0.png"));
    let means: Vec<f32> =
        [51u8, 102, 153].iter().zip([0.1, 0.2, 0.3]).map(|(b, m)| f32::from(*b) / 255.0 - m).collect();
    let row = first(&COLOUR).unwrap();
    assert_eq!([row[[0, 0]], row[[0, 6]], row[[0, 17]]], means[..]);
    let inputs = Dataset::open(directory.path()).unwrap().test_files();
    assert!(inputs.contains(&directory.path().join("preprocessing.toml")));
}

#[test]
fn a_bad_preprocessing_file_is_refused_with_its_line() {
    let directory = folders();
    for (text, expected) in [
        ("# first\nrezise = [2, 3]", "line 2: unknown field `rezise`"),
        ("resize = [2]", "line 1: "),
        ("crop = [2, 3]\nrezise = [2, 3]", "line 2: unknown field `rezise`, expected one of `resize`, `crop`"),
        ("\nrescale = true", "line 2: invalid type: boolean `true`, expected f32 in `rescale`"),
        ("resize = [0, 3]", "line 1: expected 'resize' as [height, width] from 1 to 4096"),
        ("\ncrop = [2, 1000000]", "line 2: expected 'crop'"),
        ("channels = 2", "expected 'channels' as 1 or 3, found 2"),
        ("rescale = nan", "expected 'rescale'"),
        ("mean = [0.1, 0.2]", "expected 'mean' as 1 or 3 numbers"),
        ("channels = 1\nstd = [1.0, 1.0, 1.0]", "line 2: expected 'std' as 1 numbers above 0"),
        ("std = [0.0]", "numbers above 0"),
        ("resize = [2, 3", "line 1: "),
        ("crop = [4, 3]", "expected at least 4 x 3 pixels"),
        ("channels = 3", "'channels': expected 1"),
        ("mean = [0.1, 0.2, 0.3]", "'mean': expected 1"),
    ] {
        preprocess(directory.path(), text);
        let message = error(directory.path(), &GREY);
        assert!(message.contains(expected), "{text:?}: {message}");
    }
    fs::remove_dir_all(directory.path().join("test")).unwrap();
    fs::remove_dir_all(directory.path().join("train")).unwrap();
    write_npz(&directory.path().join("test.npz"), &Array3::<u8>::zeros((1, 2, 3)), &Array1::<u8>::zeros(1));
    assert!(error(directory.path(), &GREY).contains("expected 'mean' of preprocessing.toml with 1 number, found 3"));
}

#[test]
fn what_does_not_fit_is_refused() {
    let directory = folders();
    let three = Format { classes: 3, ..GREY };
    assert!(error(directory.path(), &three).contains("expected 3, as the network tells apart, found 2"));
    let channels = Format { shape: Shape::Maps { channels: 2, height: 2, width: 3 }, classes: 2 };
    assert!(error(directory.path(), &channels).contains("1 or 3 channels"));
    assert!(error(directory.path(), &Format { shape: Shape::Features(7), classes: 2 }).contains("expected 7 pixels"));
    let data = Dataset::open(directory.path()).unwrap();
    assert!(data.test(&GREY, 4, None).unwrap_err().to_string().contains("5 or more samples, found 4"));
    fs::remove_dir_all(directory.path().join("train")).unwrap();
    let data = Dataset::open(directory.path()).unwrap();
    assert!(data.normalization(&GREY).unwrap_err().to_string().contains("train/CLASS"));
    fs::remove_dir_all(directory.path().join("test/a")).unwrap();
    fs::remove_dir_all(directory.path().join("test/b")).unwrap();
    assert!(error(directory.path(), &Format { classes: ANY_CLASSES, ..GREY }).contains("test/CLASS"));
    fs::remove_dir_all(directory.path().join("test")).unwrap();
    assert!(error(directory.path(), &GREY).contains("folders of pictures"));
}

#[test]
fn cut_pictures_are_refused_by_name() {
    let noise = RgbImage::from_fn(40, 40, |x, y| Rgb([(x * y % 251) as u8, (x * 7 % 256) as u8, (y * 13 % 256) as u8]));
    for ending in ["png", "jpg", "bmp"] {
        let directory = folders();
        preprocess(directory.path(), "resize = [2, 3]");
        let path = directory.path().join("test/a/3").with_extension(ending);
        save(&noise.clone().into(), &path);
        assert_eq!(Dataset::open(directory.path()).unwrap().test(&COLOUR, 0, None).unwrap().y.len(), 5, "{ending}");
        let bytes = fs::read(&path).unwrap();
        for part in [0, 1, 5, 9] {
            fs::write(&path, &bytes[..bytes.len() * part / 10]).unwrap();
            let message = error(directory.path(), &COLOUR);
            assert!(message.contains(&format!("3.{ending}: picture: expected")), "{message}");
        }
    }
    // A header that announces more than anyone has.
    let directory = folders();
    let path = directory.path().join("test/b/0.bmp");
    save(&grey(1), &path);
    let mut bytes = fs::read(&path).unwrap();
    bytes[18..22].copy_from_slice(&60_000u32.to_le_bytes());
    bytes[22..26].copy_from_slice(&60_000u32.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    assert!(error(directory.path(), &GREY).contains("0.bmp: picture"));
}

proptest! {
    /// A PNG's check sums tell damage to its pixels. No panic.
    #[test]
    fn damaged_pictures_are_refused(flips in prop::collection::vec((0.0f64..1.0, 0u8..8), 1..4), cut in 0.1f64..1.2) {
        let directory = folders();
        let path = directory.path().join("test/a/0.png");
        let whole = Dataset::open(directory.path()).unwrap().test(&GREY, 0, None).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let len = bytes.len() as f64;
        for (at, bit) in flips {
            bytes[(at * len) as usize] ^= 1 << bit;
        }
        bytes.truncate((cut * len) as usize);
        fs::write(&path, &bytes).unwrap();
        match Dataset::open(directory.path()).unwrap().test(&GREY, 0, None) {
            Ok(samples) => prop_assert_eq!(samples, whole),
            Err(error) => prop_assert!(error.to_string().contains("0.png")),
        }
    }
}

/// A record of CIFAR-10 whose red, green and blue pixels all have these values.
fn record(label: u8, [red, green, blue]: [u8; 3]) -> Vec<u8> {
    let mut record = vec![label];
    for value in [red, green, blue] {
        record.extend([value; 1024]);
    }
    record
}

#[test]
fn the_files_of_cifar_10() {
    const CIFAR: Format = Format { shape: Shape::Maps { channels: 3, height: 32, width: 32 }, classes: 10 };
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let mut second = record(9, [10, 20, 30]);
    second[1 + 33] = 255; // Row 1, column 1 of red.
    fs::write(path("test_batch.bin"), [record(3, [0, 51, 255]), second.clone()].concat()).unwrap();
    fs::write(path("data_batch_1.bin"), record(1, [1; 3])).unwrap();
    fs::write(path("data_batch_2.bin"), [record(2, [2; 3]), record(4, [4; 3])].concat()).unwrap();
    let data = Dataset::open(directory.path()).unwrap();
    let samples = data.test(&CIFAR, 0, None).unwrap();
    assert_eq!(samples.y, [3, 9]);
    assert_eq!([samples.x[[0, 0]], samples.x[[0, 1024]], samples.x[[0, 3071]]], [0.0, 0.2, 1.0]);
    assert_eq!([samples.x[[1, 33]], samples.x[[1, 34]]], [1.0, 10.0 / 255.0]);
    assert_eq!(data.train(&CIFAR, 1, None).unwrap().y, [2, 4]);
    assert_eq!(data.normalization(&CIFAR).unwrap().nrows(), 3);
    assert_eq!(data.test_files(), [path("test_batch.bin")]);
    assert_eq!(data.train_files(), [path("data_batch_1.bin"), path("data_batch_2.bin")]);
    assert_eq!(data.test_as_stored(0, None).unwrap().0, [32, 32, 3]);
    assert!(error(directory.path(), &Format { classes: 2, ..CIFAR }).contains("expected 2"));

    fs::write(path("test_batch.bin"), [&second[..], &second[..3000]].concat()).unwrap();
    let message = error(directory.path(), &CIFAR);
    assert!(message.contains("test_batch.bin: record 1") && message.contains("3073"), "{message}");
    fs::write(path("test_batch.bin"), record(10, [0; 3])).unwrap();
    assert!(error(directory.path(), &CIFAR).contains("record 0: expected a label from 0 to 9, found 10"));
    fs::write(path("test_batch.bin"), "").unwrap();
    assert!(error(directory.path(), &CIFAR).contains("cut or damaged"));
    fs::remove_file(path("test_batch.bin")).unwrap();
    assert!(error(directory.path(), &CIFAR).contains("'test_batch.bin'"));
}

fn digits(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits").join(name)
}

/// Five digits of each class, as arrays in `arrays` and as folders in `folders`, in the same order.
fn digits_both_ways(directory: &Path) {
    fs::create_dir(directory.join("arrays")).unwrap();
    for set in ["train", "test"] {
        let mut npz = NpzReader::new(File::open(digits(&format!("{set}.npz"))).unwrap()).unwrap();
        let (x, y): (Array3<u8>, Array1<u8>) = (npz.by_name("x").unwrap(), npz.by_name("y").unwrap());
        let nth = |class: u8, turn: usize| (0..y.len()).filter(|&i| y[i] == class).nth(turn).unwrap();
        let order: Vec<usize> =
            (0..5).flat_map(|turn| (0..10).map(move |class| (class, turn))).map(|(c, t)| nth(c, t)).collect();
        let arrays = directory.join(format!("arrays/{set}.npz"));
        write_npz(&arrays, &x.select(Axis(0), &order), &y.select(Axis(0), &order));
        for &i in &order {
            let pixels: Array2<u8> = x.index_axis(Axis(0), i).to_owned();
            let picture = GrayImage::from_fn(8, 8, |column, row| Luma([pixels[(row as usize, column as usize)]]));
            save(&picture.into(), &directory.join(format!("folders/{set}/{}/{i:04}.png", y[i])));
        }
    }
}

fn megasim(directory: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    Command::cargo_bin("megasim").unwrap().args(arguments).current_dir(directory).assert()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn folders_give_what_arrays_give_from_eval_to_compare() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    digits_both_ways(place);
    let model = digits("digits_cnn.keras");
    let model = model.to_str().unwrap();
    for data in ["arrays", "folders"] {
        let name = |what: &str| format!("{what}-{data}");
        fs::create_dir_all(place.join(name("figures"))).unwrap();
        let file = |what: &str| format!("{}/{what}.json", name("figures"));
        megasim(place, &["eval", model, "--data", data, "--json", &file("eval")]).success();
        megasim(place, &["convert", model, "--data", data, "--preset", "toolbox", "--out", &name("net")]).success();
        let net = name("net");
        let some = ["--data", data, "--samples", "12", "--duration", "30"];
        megasim(place, &[&["classify", &net, "--json", &file("classify")], &some[..]].concat()).success();
        megasim(place, &[&["compare", &net, "--json", &file("compare")], &some[..]].concat()).success();
    }
    for figures in ["eval", "classify", "compare"] {
        let [arrays, folders] = ["arrays", "folders"].map(|data| {
            let mut figures = json(&place.join(format!("figures-{data}/{figures}.json")));
            // How long it took is no matter of the data.
            figures.as_object_mut().unwrap().remove("seconds");
            figures
        });
        assert_eq!(arrays, folders, "{figures}");
    }
    // 45 of these 50; chance is 0.1.
    assert_eq!(json(&place.join("figures-folders/eval.json"))["accuracy"], 0.9);
    for entry in fs::read_dir(place.join("net-arrays")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if name != "run.json" && entry.path().is_file() {
            let [arrays, folders] =
                ["net-arrays", "net-folders"].map(|net| fs::read(place.join(net).join(&name)).unwrap());
            assert_eq!(arrays, folders, "{name:?}");
        }
    }

    // The record tells every folder, so another picture is another input.
    let inputs = |record: &Value| -> Vec<Value> { record["inputs"].as_array().unwrap().clone() };
    let before = inputs(&json(&place.join("net-folders/run.json")));
    let path = |input: &Value| input["path"].as_str().unwrap().to_string();
    assert!(before.iter().any(|input| path(input).ends_with("test/7")));
    assert!(before.iter().any(|input| path(input).ends_with("train/0")));
    save(&GrayImage::new(8, 8).into(), &place.join("folders/test/7/zzz.png"));
    megasim(place, &["convert", model, "--data", "folders", "--preset", "toolbox", "--out", "net-folders", "--force"])
        .success();
    let after = inputs(&json(&place.join("net-folders/run.json")));
    let changed: Vec<String> = before.iter().zip(&after).filter(|(b, a)| b != a).map(|(b, _)| path(b)).collect();
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert!(changed[0].ends_with("test/7"));

    fs::write(place.join("folders/test/7/zzz.png"), "damaged").unwrap();
    megasim(place, &["eval", model, "--data", "folders"]).failure().code(1).stderr(contains("zzz.png"));
}

#[test]
fn cifar_10_is_evaluated_in_another_size() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    fs::write(place.join("test_batch.bin"), (0..10).flat_map(|label| record(label, [90, 9, 0])).collect::<Vec<_>>())
        .unwrap();
    let model = digits("digits_cnn.keras");
    let arguments = ["eval", model.to_str().unwrap(), "--data", ".", "--json", "figures.json"];
    megasim(place, &arguments).failure().code(1).stderr(contains("resize = [8, 8]"));
    preprocess(place, "resize = [8, 8]\n");
    megasim(place, &arguments).success();
    // All pictures are the same, so one of ten is right.
    assert_eq!(json(&place.join("figures.json"))["accuracy"], 0.1);
    let inputs = json(&place.join("run.json"))["inputs"].as_array().unwrap().len();
    assert_eq!(inputs, 3, "model, data, preprocessing");
}

const SINGLE_SPIKE: &str = r#"
name = "digits"
[input]
height = 8
width = 8
[encoding]
kernels = [
  { dog = { window_size = 3, sigma1 = 0.5, sigma2 = 1.0 } },
  { dog = { window_size = 3, sigma1 = 1.0, sigma2 = 0.5 } },
]
padding = 1
thresholds = 20.0
time_steps = 10
[[layer]]
type = "convolution"
maps = 6
kernel_size = 3
padding = 1
weight_std = 0.05
threshold = 3.0
[layer.learning]
rule = "stdp"
passes = 2
learning_rate = [0.05, -0.04]
kwta = 2
inhibition_radius = 2
schedule = { every = 100 }
[[layer]]
type = "pooling"
kernel_size = 4
[readout]
type = "linear"
c = 2.4
"#;

#[test]
fn folders_train_single_spike_networks_as_arrays_do() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    digits_both_ways(place);
    fs::write(place.join("net.toml"), SINGLE_SPIKE).unwrap();
    for data in ["arrays", "folders"] {
        let name = |what: &str| format!("{data}-{what}");
        megasim(place, &["train", "net.toml", "--data", data, "--out", &name("model.npz")]).success();
        megasim(place, &["features", &name("model.npz"), "--data", data, "--set", "train", "--out", &name("f.npz")])
            .success();
        megasim(place, &["eval", &name("model.npz"), "--data", data, "--json", &name("eval.json")]).success();
    }
    for what in ["model.npz", "f.npz", "eval.json"] {
        let [arrays, folders] =
            ["arrays", "folders"].map(|data| fs::read(place.join(format!("{data}-{what}"))).unwrap());
        assert_eq!(arrays, folders, "{what}");
    }
    let record = json(&place.join("run.json"));
    assert!(record.to_string().contains("folders/train/3"), "{record:#}");
}
