//! Where the arrays of a data set are.

use super::arrays::{self, Location};
use super::file::Place;
use super::npy::Array;
use super::{Dataset, Error, Layout};
use std::path::PathBuf;
use std::sync::Arc;

impl Dataset {
    pub(super) fn location(&self, path: PathBuf, name: Option<&'static str>) -> Location {
        Location { path, name, memory: None, form: self.form, preprocessing: self.preprocessing.clone() }
    }

    /// An array in memory, by the name that messages use.
    pub(super) fn location_in_memory(&self, name: &str, array: &Arc<Array>) -> Location {
        let (memory, preprocessing) = (Some(array.clone()), self.preprocessing.clone());
        Location { path: name.into(), name: None, memory, form: self.form, preprocessing }
    }

    pub(super) fn at(&self, (path, name): Place) -> Location {
        self.location(path, name)
    }

    pub(super) fn no_labels(&self) -> Error {
        let expected =
            "labels of the samples: 'y_test.npz' or 'y' next to 'x', folders named after classes, or --labels FILE";
        Error::Missing { directory: self.directory.clone(), expected }
    }

    /// Samples that are made to normalise with.
    pub(super) fn x_norm(&self) -> Option<PathBuf> {
        self.file_of_array("x_norm")
    }

    /// The file of one array, `x_test`, `y_test` or `x_norm`. SNN toolbox's helpers call it `X_test` or, with the name
    /// of the data set, `mnist_X_test`; of several such names it is unknown which is meant.
    fn file_of_array(&self, name: &str) -> Option<PathBuf> {
        let paths = ["npz", "npy"].map(|ending| self.directory.join(format!("{name}.{ending}")));
        if let Some(path) = paths.into_iter().find(|path| path.exists()) {
            return Some(path);
        }
        if self.directory.join("test.npz").exists() {
            return None;
        }
        let entries = std::fs::read_dir(&self.directory).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        let arrays = entries.filter(|path| path.extension().is_some_and(|it| it == "npz" || it == "npy"));
        let stem = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        let end = format!("_{name}");
        let mut named: Vec<PathBuf> = arrays.filter(|path| stem(path) == name || stem(path).ends_with(&end)).collect();
        if let Some(at) = named.iter().position(|path| stem(path) == name) {
            return Some(named.swap_remove(at));
        }
        named.pop().filter(|_| named.is_empty())
    }

    pub(super) fn test_location(&self, name: &'static str) -> Result<Location, Error> {
        if let Some(labels) = self.labels.as_ref().filter(|_| name == "y") {
            return Ok(self.location(labels.clone(), None));
        }
        if let Layout::File(file) = &self.layout {
            let place = if name == "x" { Some(file.x.clone()) } else { file.y.clone() };
            return place.map(|place| self.at(place)).ok_or_else(|| self.no_labels());
        }
        if let Layout::Memory { test, .. } = &self.layout {
            let missing = || Error::Missing { directory: self.directory.clone(), expected: "test samples" };
            let [x, y] = test.as_ref().ok_or_else(missing)?;
            return Ok(self.location_in_memory(name, if name == "x" { x } else { y }));
        }
        if let Some(path) = self.file_of_array(&format!("{name}_test")) {
            return Ok(self.location(path, None));
        }
        let path = self.directory.join("test.npz");
        if name == "y" && self.file_of_array("x_test").is_some() {
            return Err(self.no_labels());
        }
        if path.exists() {
            return Ok(self.location(path, Some(name)));
        }
        if let Some(path) = self.of_keras() {
            return Ok(self.location(path, Some(if name == "x" { "x_test" } else { "y_test" })));
        }
        self.idx_location("t10k", name).ok_or_else(|| Error::Missing {
            directory: self.directory.clone(),
            expected: "'x_test.npz' and 'y_test.npz' (or .npy, or as NAME_X_test of one data set), 'test.npz' \
                with arrays 'x' and 'y', one .npz with 'x_test' and 'y_test' as Keras stores data sets, MNIST's \
                't10k-images-idx3-ubyte', folders of pictures \
                'test/CLASS', or CIFAR-10's 'test_batch.bin'",
        })
    }

    /// The one archive that holds `x_train`, `y_train`, `x_test` and `y_test`, as Keras stores its data sets.
    pub(super) fn of_keras(&self) -> Option<PathBuf> {
        let entries = std::fs::read_dir(&self.directory).ok()?;
        let mut archives = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let is_one = |path: &PathBuf| {
            path.extension().is_some_and(|ending| ending == "npz")
                && ["x_test", "y_test"].iter().all(|name| arrays::holds(path, name))
        };
        let first = archives.by_ref().find(&is_one)?;
        // With two it is unknown which is meant.
        archives.all(|path| !is_one(&path)).then_some(first)
    }

    /// The unpacked files of MNIST.
    pub(super) fn idx_location(&self, set: &str, name: &str) -> Option<Location> {
        let kind = if name == "x" { ["images", "idx3"] } else { ["labels", "idx1"] };
        let ways = ["-", "."].into_iter().flat_map(|dot| ["", ".gz"].map(|packed| (dot, packed)));
        let mut paths =
            ways.map(|(dot, packed)| self.directory.join(format!("{set}-{}{dot}{}-ubyte{packed}", kind[0], kind[1])));
        paths.find(|path| path.exists()).map(|path| self.location(path, None))
    }

    pub(super) fn normalization_location(&self) -> Result<Location, Error> {
        if let Layout::Memory { normalization, .. } = &self.layout {
            let missing =
                || Error::Missing { directory: self.directory.clone(), expected: "samples to normalise with" };
            return Ok(self.location_in_memory("x_norm", normalization.as_ref().ok_or_else(missing)?));
        }
        if let Layout::File(file) = &self.layout {
            return Ok(self.at(file.norm.clone()));
        }
        if let Some(path) = self.x_norm() {
            return Ok(self.location(path, None));
        }
        let path = self.directory.join("train.npz");
        if path.exists() {
            return Ok(self.location(path, Some("x")));
        }
        if let Some(path) = self.of_keras() {
            return Ok(self.location(path, Some("x_train")));
        }
        self.idx_location("train", "x").ok_or_else(|| Error::Missing {
            directory: self.directory.clone(),
            expected: "'x_norm.npz' (or .npy), 'train.npz' with an array 'x', an .npz with 'x_train', or \
                'train-images-idx3-ubyte', to normalise with",
        })
    }
}
