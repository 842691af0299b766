//! One file of arrays as a data set: `.npz`, `.npy`, or MNIST's format.

use super::Error;
use super::arrays;
use std::path::{Path, PathBuf};

/// Names of arrays of test samples and their labels, in the order in which they are looked for.
const TEST: [[&str; 2]; 7] = [
    ["x_test", "y_test"],
    ["test_images", "test_labels"],
    ["X_test", "y_test"],
    ["X_test", "Y_test"],
    ["x", "y"],
    ["images", "labels"],
    ["data", "target"],
];

/// Names of arrays of samples to normalise with, and of the labels of training samples.
const TRAIN: [[&str; 2]; 5] = [
    ["x_norm", ""],
    ["x_train", "y_train"],
    ["train_images", "train_labels"],
    ["X_train", "y_train"],
    ["X_train", "Y_train"],
];

/// Where an array is: its file and its name in there, none where it is the only one.
pub(super) type Place = (PathBuf, Option<&'static str>);

/// A file of arrays.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ArrayFile {
    pub(super) x: Place,
    /// None: there are no labels.
    pub(super) y: Option<Place>,
    /// Samples to normalise with; those of `x` where there are no others.
    pub(super) norm: Place,
    /// Training samples with labels.
    pub(super) train: Option<[Place; 2]>,
}

impl ArrayFile {
    /// Whether a file may be one.
    pub(super) fn is_one(path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        ["npz", "npy", "-ubyte", "-ubyte.gz"].iter().any(|ending| name.ends_with(ending))
    }

    /// Looks what is in a file.
    ///
    /// # Errors
    /// If no array is known by its name, and there is more than one.
    pub(super) fn find(path: &Path) -> Result<Self, Error> {
        let here = |name| (path.to_path_buf(), name);
        let held = if path.extension().is_some_and(|ending| ending == "npz") { arrays::names(path)? } else { vec![] };
        if held.len() <= 1 {
            return Ok(Self { x: here(None), y: None, norm: here(None), train: None });
        }
        let holds = |name: &str| held.iter().any(|it| it == name);
        let Some([x, y]) = TEST.into_iter().find(|[x, _]| holds(x)) else {
            let known: Vec<_> = TEST.iter().map(|[x, y]| format!("'{x}' and '{y}'")).collect();
            let message = format!("expected {}, found [{}]", known.join(", or "), held.join(", "));
            return Err(Error::Unusable { path: path.into(), place: "arrays".into(), message });
        };
        let norm = TRAIN.into_iter().map(|[x, _]| x).find(|x| holds(x)).unwrap_or(x);
        let train = TRAIN.into_iter().find(|[x, y]| holds(x) && holds(y));
        Ok(Self {
            x: here(Some(x)),
            y: holds(y).then(|| here(Some(y))),
            norm: here(Some(norm)),
            train: train.map(|train| train.map(|name| here(Some(name)))),
        })
    }
}
