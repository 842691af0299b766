//! Pictures that are not divided into training and test samples: folders of classes, or a list of names and labels.

use super::entry::{Entry, Set};
use super::folders::{is_picture, names};
use super::{ANY_CLASSES, Error, GivenPreprocessing};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// How a set without a division is parted: at random, the same share of each class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Split {
    /// Share of the samples that train and normalise; above 0, below 1. The others are test samples.
    pub share: f64,
    /// Seed of the choice.
    pub seed: u64,
}

/// What a data set itself does not say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DataOptions {
    /// A file with the labels of the test samples.
    pub labels: Option<PathBuf>,
    /// How pictures that are in no division are parted.
    pub split: Option<Split>,
    /// What is done to samples, in place of `preprocessing.toml`.
    pub preprocessing: Option<GivenPreprocessing>,
}

/// Pictures in no division.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Undivided {
    /// Files and folders that decide what there is.
    pub(super) sources: Vec<PathBuf>,
    /// Names of the classes, sorted; of a list of numbers none.
    pub(super) classes: Vec<OsString>,
    entries: Vec<(usize, PathBuf)>,
    pub(super) split: Option<Split>,
    /// Whether the classes are known.
    pub(super) is_labelled: bool,
}

/// Endings of lists.
const LISTS: [&str; 3] = ["csv", "tsv", "txt"];

impl Undivided {
    /// Looks for folders of pictures, which are classes, or, one level further down, for the only folder that has some
    /// (Caltech-101's `101_ObjectCategories`); then for pictures in the directory itself, whose classes are unknown.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub(super) fn find(directory: &Path, split: Option<Split>) -> Result<Option<Self>, Error> {
        if let Some(found) = Self::of_classes(directory, split)? {
            return Ok(Some(found));
        }
        let mut further = Vec::new();
        for name in names(directory, Path::is_dir)? {
            further.extend(Self::of_classes(&directory.join(name), split)?);
        }
        if let [_] = further[..] {
            return Ok(further.pop());
        }
        let pictures = names(directory, is_picture)?;
        if pictures.is_empty() {
            return Ok(None);
        }
        let entries = pictures.into_iter().map(|name| (0, directory.join(name))).collect();
        let sources = vec![directory.into()];
        Ok(Some(Self { sources, classes: Vec::new(), entries, split, is_labelled: false }))
    }

    fn of_classes(directory: &Path, split: Option<Split>) -> Result<Option<Self>, Error> {
        let (mut classes, mut turns, mut sources) = (Vec::new(), Vec::new(), Vec::new());
        for name in names(directory, Path::is_dir)? {
            let folder = directory.join(&name);
            let pictures = names(&folder, is_picture)?;
            if pictures.is_empty() {
                continue;
            }
            let class = classes.len();
            turns.extend(pictures.into_iter().enumerate().map(|(turn, name)| (turn, class, folder.join(name))));
            classes.push(name);
            sources.push(folder);
        }
        // Class by class it was; the sort is stable.
        turns.sort_by_key(|&(turn, ..)| turn);
        let entries: Vec<_> = turns.into_iter().map(|(_, class, path)| (class, path)).collect();
        Ok((!entries.is_empty()).then_some(Self { sources, classes, entries, split, is_labelled: true }))
    }

    /// Whether a file may be a list.
    pub(super) fn is_list(path: &Path) -> bool {
        path.extension().is_some_and(|ending| LISTS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
    }

    /// Reads a list: lines of a name and a label, separated by a comma, a tab or a space. Names are those of pictures,
    /// in the folder of the list or below it; labels are class numbers, or names, which are numbered in their order.
    /// Empty lines and those that start with `#` are passed over.
    ///
    /// # Errors
    /// If it cannot be read, or a line is none.
    pub(super) fn listed(list: &Path, split: Option<Split>) -> Result<Self, Error> {
        let text = fs::read_to_string(list).map_err(|source| Error::Unreadable { path: list.into(), source })?;
        let folder = list.parent().unwrap_or(Path::new(""));
        let fault = |line: usize, message: String| {
            let place = format!("line {}", line + 1);
            Error::Unusable { path: list.into(), place, message }
        };
        let mut lines: Vec<(PathBuf, String)> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let separators: [&[char]; 3] = [&[','], &['\t'], &[' ']];
            let parts = separators.into_iter().find_map(|separator| line.rsplit_once(separator));
            let Some((name, label)) = parts else {
                return Err(fault(number, format!("expected a name and a label, as 'face1.png,1', found '{line}'")));
            };
            let path = folder.join(name.trim().trim_matches('"'));
            if !path.is_file() {
                // A heading has a name of a column there.
                if lines.is_empty() && Path::new(name.trim()).extension().is_none() {
                    continue;
                }
                return Err(fault(number, format!("expected a picture, found no file {}", path.display())));
            }
            lines.push((path, label.trim().trim_matches('"').to_string()));
        }
        if lines.is_empty() {
            return Err(fault(0, "expected lines of a name and a label, as 'face1.png,1', found none".into()));
        }
        let numbers: Option<Vec<usize>> = lines.iter().map(|(_, label)| label.parse().ok()).collect();
        let mut classes: Vec<&str> = lines.iter().map(|(_, label)| &label[..]).collect();
        classes.sort_unstable();
        classes.dedup();
        if let Some(number) = numbers.iter().flatten().find(|&&number| number >= ANY_CLASSES) {
            return Err(fault(0, format!("expected class numbers below {ANY_CLASSES}, found {number}")));
        }
        let number = |label: &str| classes.binary_search(&label).unwrap_or_default();
        let labels = numbers.clone().unwrap_or_else(|| lines.iter().map(|(_, label)| number(label)).collect());
        let names = if numbers.is_some() { Vec::new() } else { classes.iter().map(OsString::from).collect() };
        let entries = labels.into_iter().zip(lines).map(|(class, (path, _))| (class, path)).collect();
        Ok(Self { sources: vec![list.into()], classes: names, entries, split, is_labelled: true })
    }

    /// The most classes that its labels tell apart.
    pub(super) fn class_count(&self) -> usize {
        self.entries.iter().map(|(class, _)| class + 1).max().unwrap_or(0).max(self.classes.len())
    }

    /// The pictures of a set; all of them, where there is no split.
    pub(super) fn entries(&self, set: Set) -> Vec<Entry> {
        let trains = self.split.map(|split| self.trains(split));
        let is_wanted = |k: &usize| trains.as_ref().is_none_or(|trains| trains[*k] == (set == Set::Train));
        let wanted = (0..self.entries.len()).filter(is_wanted);
        wanted.map(|k| Entry::File { class: self.entries[k].0, path: self.entries[k].1.clone() }).collect()
    }

    /// Which pictures train: of each class a share, rounded, chosen at random.
    fn trains(&self, split: Split) -> Vec<bool> {
        let mut trains = vec![false; self.entries.len()];
        let mut of_class: Vec<Vec<usize>> = vec![Vec::new(); self.class_count()];
        self.entries.iter().enumerate().for_each(|(k, (class, _))| of_class[*class].push(k));
        for (class, mut members) in of_class.into_iter().enumerate() {
            let mut random = ChaCha8Rng::seed_from_u64(split.seed);
            random.set_stream(class as u64);
            members.shuffle(&mut random);
            let count = (split.share * members.len() as f64).round() as usize;
            members.iter().take(count).for_each(|&k| trains[k] = true);
        }
        trains
    }
}
