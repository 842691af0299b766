//! Data directories of both layouts, and what is wrong with bad ones.

use crate::arrays::write_npz;
use megasim::ann::graph::Shape;
use megasim::dataset::npy::{Element, NpzWriter};
use megasim::dataset::{Dataset, Format};
use ndarray::{Array, Array1, Array2, Array3, Array4, ArrayD, Dimension};
use proptest::prelude::*;
use std::fs::File;
use std::path::Path;

const FORMAT: Format = Format { shape: Shape::Maps { channels: 2, height: 2, width: 3 }, classes: 4 };
const FLAT: Format = Format { shape: Shape::Features(12), classes: 4 };

fn save<T: Element, D: Dimension>(path: &Path, arrays: &[(&str, &Array<T, D>)]) {
    let mut npz = NpzWriter::compressed(File::create(path).unwrap());
    for (name, array) in arrays {
        npz.add(name, *array).unwrap();
    }
    npz.finish().unwrap();
}

/// Five samples in which number `i` of sample `s`, counted as `(channels, height, width)`, is `100 s + i`.
fn channels_first() -> Array4<f32> {
    Array4::from_shape_fn((5, 2, 2, 3), |(s, c, y, x)| (100 * s + 6 * c + 3 * y + x) as f32)
}

fn one_hot(labels: &[usize], classes: usize) -> Array2<f64> {
    Array2::from_shape_fn((labels.len(), classes), |(i, class)| f64::from(u8::from(labels[i] == class)))
}

fn error(directory: &Path, format: &Format) -> String {
    match Dataset::open(directory).and_then(|data| data.test(format, 0, None)) {
        Ok(samples) => panic!("expected a refusal, found {} samples", samples.y.len()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_layout_of_snn_toolbox() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let last = channels_first().permuted_axes([0, 2, 3, 1]).as_standard_layout().into_owned();
    save(&path("x_test.npz"), &[("arr_0", &last)]);
    save(&path("y_test.npz"), &[("labels", &one_hot(&[3, 1, 0, 2, 1], 4))]);
    save(&path("x_norm.npz"), &[("arr_0", &(channels_first() / 1000.0))]);
    let data = Dataset::open(directory.path()).unwrap();
    let samples = data.test(&FORMAT, 1, Some(3)).unwrap();
    assert_eq!(samples.y, [1, 0, 2]);
    assert_eq!(samples.x, Array2::from_shape_fn((3, 12), |(s, i)| (100 * (s + 1) + i) as f32));
    assert_eq!(data.test(&FORMAT, 4, Some(3)).unwrap().y, [1]);
    assert_eq!(data.normalization(&FORMAT).unwrap().dim(), (5, 12));
    assert_eq!(data.test_files(), [path("x_test.npz"), path("y_test.npz")]);
}

/// `path/filename_X_norm.npz` and others, as the manual of version 0.1 has them, or without a file name.
#[test]
fn names_of_the_helpers_of_snn_toolbox() {
    for prefix in ["", "mnist_", "cifar10_flat_"] {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(format!("{prefix}{name}.npz"));
        save(&path("X_test"), &[("arr_0", &channels_first())]);
        save(&path("Y_test"), &[("arr_0", &one_hot(&[3, 1, 0, 2, 1], 4))]);
        // More than the 2,000 that are taken of a training set: all of them normalise.
        let many = Array4::<f32>::ones((2001, 2, 2, 3));
        save(&path("X_norm"), &[("arr_0", &many)]);
        let data = Dataset::open(directory.path()).unwrap();
        assert_eq!(data.test(&FORMAT, 0, None).unwrap().y, [3, 1, 0, 2, 1]);
        assert_eq!(data.normalization(&FORMAT).unwrap().dim(), (2001, 12));
        assert_eq!(data.test_files(), [path("X_test"), path("Y_test")]);
        // Of two data sets it is unknown which is meant.
        save(&directory.path().join("other_X_test.npz"), &[("arr_0", &channels_first())]);
        match prefix {
            "" => assert_eq!(data.test(&FORMAT, 0, None).unwrap().y.len(), 5),
            _ => assert!(error(directory.path(), &FORMAT).contains("as NAME_X_test of one data set")),
        }
    }
    let directory = tempfile::tempdir().unwrap();
    save(&directory.path().join("mnist_X_test.npz"), &[("arr_0", &channels_first())]);
    assert!(error(directory.path(), &FORMAT).contains("labels of the samples"));
}

/// What fuzzing found: a number without axes is no array of samples, whoever reads it.
#[test]
fn a_number_without_axes_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let one = ArrayD::<f32>::from_elem(vec![], 1.0);
    for name in ["x_test.npy", "y_test.npy", "x_norm.npy"] {
        crate::npy::write_npy(directory.path().join(name), &one).unwrap();
    }
    let data = Dataset::open(directory.path()).unwrap();
    let stored = data.test_as_stored(0, None).unwrap_err().to_string();
    assert!(stored.contains("x_test.npy") && stored.contains("found a number without axes"), "{stored}");
    assert!(data.test(&FORMAT, 0, None).is_err());
    assert!(data.test_frames(&FORMAT, 0, None).is_err());
    assert!(data.normalization(&FORMAT).is_err());
    assert!(megasim::dataset::labels(&directory.path().join("y_test.npy"), 4, 0, None).is_err());
}

#[test]
fn pairs_of_bytes_and_class_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let x = Array3::from_shape_fn((2100, 2, 3), |(s, y, x)| ((s + 3 * y + x) % 256) as u8);
    let write = |name: &str| {
        write_npz(&path(name), &x, &Array1::from_shape_fn(2100, |s| (s % 4) as i64));
    };
    write("test.npz");
    write("train.npz");
    let data = Dataset::open(directory.path()).unwrap();
    let format = Format { shape: Shape::Maps { channels: 1, height: 2, width: 3 }, classes: 4 };
    let samples = data.test(&format, 250, Some(10)).unwrap();
    assert_eq!(samples.x[[0, 5]], 255.0 / 255.0);
    assert_eq!(samples.x[[0, 0]], 250.0 / 255.0);
    assert_eq!(samples.y[..3], [2, 3, 0]);
    assert_eq!(data.normalization(&format).unwrap().nrows(), 2000);
    // The same pictures for a network of vectors.
    let flat = Format { shape: Shape::Features(6), classes: 4 };
    assert_eq!(data.test(&flat, 250, Some(10)).unwrap(), samples);
}

#[test]
fn plain_arrays_and_the_files_of_mnist() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    crate::npy::write_npy(path("x_test.npy"), &channels_first()).unwrap();
    crate::npy::write_npy(path("y_test.npy"), &Array1::from(vec![3u8, 1, 0, 2, 1])).unwrap();
    let samples = Dataset::open(directory.path()).unwrap().test(&FORMAT, 1, Some(2)).unwrap();
    assert_eq!((samples.y, samples.x[[0, 1]]), (vec![1, 0], 101.0));

    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let images: Vec<u8> =
        [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3][..], &[0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6]]
            .concat();
    std::fs::write(path("t10k-images-idx3-ubyte"), &images).unwrap();
    std::fs::write(path("train-images.idx3-ubyte"), &images).unwrap();
    std::fs::write(path("t10k-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 2, 3, 0]).unwrap();
    let format = Format { shape: Shape::Maps { channels: 1, height: 2, width: 3 }, classes: 4 };
    let data = Dataset::open(directory.path()).unwrap();
    let samples = data.test(&format, 0, None).unwrap();
    assert_eq!(samples.y, [3, 0]);
    assert_eq!(samples.x.row(0).to_vec(), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
    assert_eq!(data.normalization(&format).unwrap().nrows(), 2);
    std::fs::write(path("t10k-images-idx3-ubyte"), &images[..20]).unwrap();
    assert!(error(directory.path(), &format).contains("the end or damage"));
    std::fs::write(path("t10k-images-idx3-ubyte"), [0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255]).unwrap();
    assert!(error(directory.path(), &format).contains("can hold"));
}

#[test]
fn what_does_not_fit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    assert!(error(directory.path(), &FORMAT).contains("'x_test.npz' and 'y_test.npz'"));
    let x = channels_first();
    save(&path("x_test.npz"), &[("arr_0", &x)]);
    assert!(error(directory.path(), &FORMAT).contains("y_test.npz"));

    save(&path("y_test.npz"), &[("arr_0", &one_hot(&[0, 1, 2, 3], 4))]);
    assert!(error(directory.path(), &FORMAT).contains("expected 5 labels, one per sample, found 4"));
    save(&path("y_test.npz"), &[("arr_0", &one_hot(&[0, 1, 2, 3, 0], 5))]);
    assert!(error(directory.path(), &FORMAT).contains("one-hot rows of 4"));
    save(&path("y_test.npz"), &[("arr_0", &(one_hot(&[0, 1, 2, 3, 0], 4) * 0.5))]);
    assert!(error(directory.path(), &FORMAT).contains("label of sample 0"));
    save(&path("y_test.npz"), &[("arr_0", &Array1::from(vec![0i32, 1, 2, 4, 0]))]);
    assert!(error(directory.path(), &FORMAT).contains("labels from 0 to 3, found 4 for sample 3"));
    save(&path("y_test.npz"), &[("arr_0", &Array1::from(vec![0i32, 1, 2, -1, 0]))]);
    assert!(error(directory.path(), &FORMAT).contains("found -1 for sample 3"));

    save(&path("y_test.npz"), &[("arr_0", &one_hot(&[0, 1, 2, 3, 0], 4))]);
    assert_eq!(Dataset::open(directory.path()).unwrap().test(&FLAT, 0, None).unwrap().y.len(), 5);
    let wrong = Format { shape: Shape::Maps { channels: 3, height: 2, width: 3 }, classes: 4 };
    assert!(error(directory.path(), &wrong).contains("found (2, 2, 3)"));
    let data = Dataset::open(directory.path()).unwrap();
    assert!(data.test(&FORMAT, 5, None).unwrap_err().to_string().contains("6 or more samples"));
    assert!(data.normalization(&FORMAT).unwrap_err().to_string().contains("to normalise with"));

    let mut with_nan = x.clone();
    with_nan[[2, 0, 1, 1]] = f32::NAN;
    save(&path("x_test.npz"), &[("arr_0", &with_nan)]);
    assert!(error(directory.path(), &FORMAT).contains("NaN in sample 2"));
    save(&path("x_test.npz"), &[("a", &x), ("b", &x)]);
    assert!(error(directory.path(), &FORMAT).contains("expected one array, found [a, b]"));
    let cubes = ArrayD::<f32>::zeros(vec![5, 3, 3, 3]);
    save(&path("x_test.npz"), &[("arr_0", &cubes)]);
    let format = Format { shape: Shape::Maps { channels: 3, height: 3, width: 3 }, classes: 4 };
    assert!(error(directory.path(), &format).contains("where the channels are"));

    std::fs::remove_file(path("x_test.npz")).unwrap();
    std::fs::create_dir(path("x_test.npz")).unwrap();
    assert!(error(directory.path(), &FORMAT).contains("expected a file, found a directory"));
    assert!(error(&path("missing"), &FORMAT).contains("missing"));
}

proptest! {
    /// Damage to the picture data is noticed by the archive's check sum; anything else is refused or harmless. No
    /// panic.
    #[test]
    fn damaged_archives_are_refused(flips in prop::collection::vec((0.0f64..1.0, 0u8..8), 0..4), cut in 0.0f64..1.2) {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        save(&path("x_test.npz"), &[("arr_0", &channels_first())]);
        save(&path("y_test.npz"), &[("arr_0", &one_hot(&[0, 1, 2, 3, 0], 4))]);
        let whole = Dataset::open(directory.path()).unwrap().test(&FORMAT, 0, Some(2)).unwrap();
        let mut bytes = std::fs::read(path("x_test.npz")).unwrap();
        let len = bytes.len() as f64;
        for (at, bit) in flips {
            bytes[(at * len) as usize] ^= 1 << bit;
        }
        bytes.truncate((cut * len) as usize);
        std::fs::write(path("x_test.npz"), &bytes).unwrap();
        if let Ok(samples) = Dataset::open(directory.path()).unwrap().test(&FORMAT, 0, Some(2)) {
            prop_assert_eq!(samples, whole);
        }
    }
}
