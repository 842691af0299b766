//! Data in one file, without labels, in no division, packed, or pickled.

use crate::npy::{NpzReader, write_npy};
use assert_cmd::Command;
use flate2::Compression;
use flate2::write::GzEncoder;
use image::{DynamicImage, GrayImage, Luma};
use megasim::ann::graph::Shape;
use megasim::dataset::npy::NpzWriter;
use megasim::dataset::{DataOptions, Dataset, Format, Split};
use ndarray::{Array1, Array2, Array3, Array4, s};
use predicates::str::contains;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

const PAIR: Format = Format { shape: Shape::Features(2), classes: 3 };

fn npz(path: &Path, arrays: &[(&str, &Array2<f32>)], labels: &[(&str, &Array1<i64>)]) {
    let mut npz = NpzWriter::new(File::create(path).unwrap());
    arrays.iter().for_each(|(name, array)| npz.add(name, *array).unwrap());
    labels.iter().for_each(|(name, array)| npz.add(name, *array).unwrap());
    npz.finish().unwrap();
}

#[test]
fn one_file_is_a_data_set() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (test, train) = (ndarray::array![[0.1f32, 0.2], [0.3, 0.4]], ndarray::array![[0.5f32, 0.6]]);
    let (y, y_train) = (ndarray::array![2i64, 0], ndarray::array![1i64]);
    npz(&at("keras.npz"), &[("x_test", &test), ("x_train", &train)], &[("y_test", &y), ("y_train", &y_train)]);
    npz(&at("medical.npz"), &[("test_images", &test), ("train_images", &train)], &[("test_labels", &y)]);
    npz(&at("plain.npz"), &[("x", &test)], &[("y", &y)]);
    for (name, normalises) in [("keras.npz", &train), ("medical.npz", &train), ("plain.npz", &test)] {
        let data = Dataset::open(&at(name)).unwrap();
        let samples = data.test(&PAIR, 0, None).unwrap();
        assert_eq!((&samples.x, &samples.y[..]), (&test, &[2, 0][..]), "{name}");
        assert_eq!(data.normalization(&PAIR).unwrap(), normalises, "{name}");
        assert_eq!(data.test_files(), [at(name)]);
    }
    assert_eq!(Dataset::open(&at("keras.npz")).unwrap().train(&PAIR, 0, None).unwrap().y, [1]);

    write_npy(at("alone.npy"), &test).unwrap();
    write_npy(at("labels.npy"), &y).unwrap();
    let alone = Dataset::open(&at("alone.npy")).unwrap();
    assert!(!alone.has_labels());
    assert_eq!(alone.test_inputs(&PAIR, 1, None).unwrap(), test.slice(s![1.., ..]));
    assert!(alone.test(&PAIR, 0, None).unwrap_err().to_string().contains("--labels FILE"));
    let options = DataOptions { labels: Some(at("labels.npy")), ..DataOptions::default() };
    assert_eq!(Dataset::open_with(&at("alone.npy"), &options).unwrap().test(&PAIR, 0, None).unwrap().y, [2, 0]);
    let split = DataOptions { split: Some(Split { share: 0.5, seed: 0 }), ..DataOptions::default() };
    let error = Dataset::open_with(&at("alone.npy"), &split).unwrap_err().to_string();
    assert!(error.contains("--split: expected pictures in folders of classes"), "{error}");
    npz(&at("odd.npz"), &[("a", &test), ("b", &test)], &[]);
    let error = Dataset::open(&at("odd.npz")).unwrap_err().to_string();
    assert!(error.contains("'x_test' and 'y_test'") && error.contains("found [a, b]"), "{error}");
    fs::write(at("notes.pdf"), "no data").unwrap();
    let error = Dataset::open(&at("notes.pdf")).unwrap_err().to_string();
    assert!(error.contains("a list of pictures and labels (.csv, .txt), found another file"), "{error}");
}

#[test]
fn packed_files_of_mnist_are_those_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let images: Vec<u8> = [0, 0, 8, 2, 0, 0, 0, 3, 0, 0, 0, 2].into_iter().chain([0, 51, 102, 153, 204, 255]).collect();
    let labels: Vec<u8> = vec![0, 0, 8, 1, 0, 0, 0, 3, 2, 1, 0];
    for (name, bytes) in [("t10k-images-idx3-ubyte.gz", images), ("t10k-labels-idx1-ubyte.gz", labels)] {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(&bytes).unwrap();
        fs::write(folder.path().join(name), packed.finish().unwrap()).unwrap();
    }
    let samples = Dataset::open(folder.path()).unwrap().test(&PAIR, 1, None).unwrap();
    assert_eq!((samples.x, samples.y), (ndarray::array![[0.4, 0.6], [0.8, 1.0]], vec![1, 0]));
    // A file that is cut is no shorter set.
    let path = folder.path().join("t10k-images-idx3-ubyte.gz");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    let error = Dataset::open(folder.path()).unwrap().test(&PAIR, 0, None).unwrap_err().to_string();
    assert!(error.contains("idx3-ubyte.gz"), "{error}");
}

const GREY: Format = Format { shape: Shape::Maps { channels: 1, height: 1, width: 1 }, classes: 2 };

fn picture(path: &Path, value: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    DynamicImage::from(GrayImage::from_pixel(1, 1, Luma([value]))).save(path).unwrap();
}

#[test]
fn folders_without_a_division_are_split_by_class() {
    let folder = tempfile::tempdir().unwrap();
    // As Caltech-101 is unpacked.
    for (class, value) in [("Faces", 0), ("Motorbikes", 100)] {
        for k in 0..10 {
            let name = format!("101_ObjectCategories/{class}/image_{k:04}.png");
            picture(&folder.path().join(name), value + k);
        }
    }
    let open = |split: Option<Split>| {
        Dataset::open_with(folder.path(), &DataOptions { split, ..DataOptions::default() }).unwrap()
    };
    let bytes = |x: Array2<f32>| -> Vec<i64> { x.iter().map(|value| (value * 255.0).round() as i64).collect() };
    let whole = open(None);
    let samples = whole.test(&GREY, 0, None).unwrap();
    assert_eq!((samples.y.len(), &samples.y[..4]), (20, &[0, 1, 0, 1][..]));
    assert_eq!(bytes(samples.x), bytes(whole.normalization(&GREY).unwrap()));
    let split = open(Some(Split { share: 0.8, seed: 7 }));
    let (test, train) = (split.test(&GREY, 0, None).unwrap(), split.train(&GREY, 0, None).unwrap());
    assert_eq!([&test, &train].map(|set| set.y.iter().filter(|&&class| class == 1).count()), [2, 8]);
    let mut both = [bytes(test.x.clone()), bytes(train.x)].concat();
    both.sort();
    assert_eq!(both, (0..10).chain(100..110).collect::<Vec<_>>());
    let again = open(Some(Split { share: 0.8, seed: 7 })).test(&GREY, 0, None).unwrap();
    let other = open(Some(Split { share: 0.8, seed: 8 })).test(&GREY, 0, None).unwrap();
    assert!(again == test && other != test);
    // What is divided already is not split again.
    let divided = tempfile::tempdir().unwrap();
    picture(&divided.path().join("test/a/0.png"), 1);
    let options = DataOptions { split: Some(Split { share: 0.8, seed: 0 }), ..DataOptions::default() };
    let error = Dataset::open_with(divided.path(), &options).unwrap_err().to_string();
    assert!(error.contains("--split") && error.contains("apart"), "{error}");
}

#[test]
fn lists_name_pictures_and_their_classes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    (0..4).for_each(|k| picture(&at(&format!("faces/a {k}.png")), k));
    let labels = |text: &str| {
        fs::write(at("list.csv"), text).unwrap();
        Dataset::open(&at("list.csv")).and_then(|data| data.test(&GREY, 0, None)).map(|samples| samples.y)
    };
    let rows = ["faces/a 0.png,1", "faces/a 1.png,0", "faces/a 2.png,1"];
    assert_eq!(labels(&rows.join("\n")).unwrap(), [1, 0, 1]);
    assert_eq!(labels(&format!("name,label\n# faces\n{}\n", rows.join("\r\n"))).unwrap(), [1, 0, 1]);
    assert_eq!(labels("faces/a 0.png face\nfaces/a 1.png background\n").unwrap(), [1, 0]);
    assert_eq!(labels("faces/a 0.png\t0\n").unwrap(), [0]);
    for (text, message) in [
        ("faces/a 0.png,0\nfaces/b.png,1\n", "line 2: expected a picture, found no file"),
        ("faces\n", "line 1: expected a name and a label"),
        ("", "expected lines of a name and a label"),
        ("faces/a 0.png,5\n", "expected 2, as the network tells apart, found 6"),
        ("faces/a 0.png,99999999999\n", "expected class numbers below 65536"),
    ] {
        let error = labels(text).unwrap_err().to_string();
        assert!(error.contains(message), "{text:?}: {error}");
    }
}

/// A pickle as Python 2 wrote CIFAR's: `{'data': array, 'labels': list}`.
fn pickle(pixels: &[u8], labels: &[u8], key: &str) -> Vec<u8> {
    let mut out =
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nK\x00\x85U\
        \x01b\x87R(K\x01K\x02M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\
        \xff\xff\xff\xffK\x00tb\x89T"
            .to_vec();
    out.extend((pixels.len() as u32).to_le_bytes());
    out.extend(pixels);
    out.extend(b"tbU");
    out.push(key.len() as u8);
    out.extend(key.as_bytes());
    out.extend(b"]q\x05(");
    labels.iter().for_each(|&label| out.extend([b'K', label]));
    out.extend(b"eu.");
    out
}

#[test]
fn pickles_of_cifar_are_its_binary_files() {
    let (pickled, binary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let pixels: Vec<u8> = (0..2 * 3072).map(|k: u32| (k * 7 % 251) as u8).collect();
    fs::write(pickled.path().join("test_batch"), pickle(&pixels, &[3, 9], "labels")).unwrap();
    fs::write(pickled.path().join("data_batch_1"), pickle(&pixels, &[1, 2], "labels")).unwrap();
    let records = [&[3], &pixels[..3072], &[9], &pixels[3072..]].concat();
    fs::write(binary.path().join("test_batch.bin"), records).unwrap();
    let format = Format { shape: Shape::Maps { channels: 3, height: 32, width: 32 }, classes: 10 };
    let open = |folder: &tempfile::TempDir| Dataset::open(folder.path()).unwrap();
    assert_eq!(open(&pickled).test(&format, 0, None).unwrap(), open(&binary).test(&format, 0, None).unwrap());
    assert_eq!(open(&pickled).train(&format, 0, None).unwrap().y, [1, 2]);
    fs::write(pickled.path().join("test_batch"), b"cos\nsystem\n(U\x02lstR.").unwrap();
    let error = open(&pickled).test(&format, 0, None).unwrap_err().to_string();
    assert!(error.contains("found a 'os.system'"), "{error}");
    fs::write(pickled.path().join("test_batch"), pickle(&pixels[1..], &[3, 9], "labels")).unwrap();
    let error = open(&pickled).test(&format, 0, None).unwrap_err().to_string();
    assert!(error.contains("expected 3072 bytes for each of 2 labels, found 6143"), "{error}");

    let hundred = tempfile::tempdir().unwrap();
    fs::write(hundred.path().join("test"), pickle(&pixels, &[99, 4], "fine_labels")).unwrap();
    assert_eq!(open(&hundred).test(&Format { classes: 100, ..format }, 0, None).unwrap().y, [99, 4]);
}

#[test]
fn x_norm_beside_folders_normalises() {
    let folder = tempfile::tempdir().unwrap();
    picture(&folder.path().join("test/a/0.png"), 1);
    picture(&folder.path().join("train/b/0.png"), 2);
    let norm = Array4::from_elem((3, 1, 1, 1), 0.5f32);
    write_npy(folder.path().join("x_norm.npy"), &norm).unwrap();
    let data = Dataset::open(folder.path()).unwrap();
    assert_eq!(data.normalization(&GREY).unwrap(), Array2::from_elem((3, 1), 0.5));
    assert_eq!(data.normalization_files(), [folder.path().join("x_norm.npy")]);
}

fn megasim(arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("megasim").unwrap();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).assert()
}

#[test]
fn a_network_goes_through_with_files_and_without_labels() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let mut digits = NpzReader::new(File::open("examples/digits/test.npz").unwrap()).unwrap();
    let (x, y): (Array3<u8>, Array1<u8>) = (digits.by_name("x").unwrap(), digits.by_name("y").unwrap());
    write_npy(at("x.npy"), &x).unwrap();
    write_npy(at("y.npy"), &y).unwrap();
    let (model, x, y) = ("examples/digits/digits_cnn.keras", at("x.npy"), at("y.npy"));
    let read = |name: &str| -> Value { serde_json::from_slice(&fs::read(at(name)).unwrap()).unwrap() };
    megasim(&["convert", model, "--data", &x, "--preset", "toolbox", "--out", &at("net")]).success();
    let shown = ["--duration", "50", "--samples", "60", "--predictions"];
    let classify = |name: &str, more: &[&str]| {
        let file = at(&format!("{name}.csv"));
        let json = at(&format!("{name}.json"));
        let start = ["classify", &at("net"), "--data", &x, "--json", &json];
        megasim(&[&start[..], &shown, &[&file], more].concat()).success();
        let text = fs::read_to_string(&file).unwrap();
        let rows: Vec<Vec<String>> = text.lines().map(|row| row.split(',').map(String::from).collect()).collect();
        (read(&format!("{name}.json")), rows)
    };
    let (known, with) = classify("known", &["--labels", &y]);
    let (unknown, without) = classify("unknown", &[]);
    assert!(known["accuracy"]["event"].as_f64().unwrap() > 0.9, "{known:#}");
    assert!(unknown["accuracy"]["event"].is_null() && unknown["agreement"] == known["agreement"], "{unknown:#}");
    for (with, without) in with.iter().zip(&without).skip(1) {
        assert!(!with[1].is_empty() && without[1].is_empty() && with[2..] == without[2..]);
    }
    let net = at("net");
    let refused = |arguments: &[&str], message: &str| {
        megasim(arguments).failure().code(1).stderr(contains(message));
    };
    refused(&["classify", &net, "--data", &x, "--top-k", "2"], "--top-k: expected samples whose classes are known");
    refused(&["eval", model, "--data", &x], "--labels FILE gives them");
    megasim(&["eval", model, "--data", &x, "--outputs", &at("outputs.npz")]).success();
    megasim(&["eval", model, "--data", &x, "--labels", &y]).success().stdout(contains("98.44 %"));
    megasim(&["latency", &net, "--data", &x, "--samples", "2"]).success();
    megasim(&["compare", &net, "--data", &x, "--labels", &y, "--samples", "5"]).success();
}
