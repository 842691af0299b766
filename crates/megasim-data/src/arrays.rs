//! Arrays as they are in files, `.npz`, `.npy` and IDX, brought into the order of a network's input.

use super::Error;
use super::npy::{self, Array, NpzError, NpzReader, Rows, Source};
use super::preprocessing::Preprocessing;
use crate::{DeclaredAxes, InputForm, Shape};
use ndarray::Array2;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How an array is stored.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Npy,
    Idx,
}

/// Where an array is: a file, and its name in there (none: it is the only one); or memory.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Location {
    /// The file; of an array in memory, what messages call it.
    pub(super) path: PathBuf,
    pub(super) name: Option<&'static str>,
    pub(super) memory: Option<Arc<Array>>,
    /// What the network says of its input.
    pub(super) form: InputForm,
    /// What is done to the numbers.
    pub(super) preprocessing: Arc<Preprocessing>,
}

/// Rows of an array in memory.
fn rows_of(array: &Array, rows: Rows) -> Array {
    let total = array.shape.first().copied().unwrap_or(0);
    let numbers = array.shape.iter().skip(1).product::<usize>();
    let first = rows.skip.min(total);
    let last = first.saturating_add(rows.take).min(total);
    let values = array.values.get(first * numbers..last * numbers).unwrap_or_default().to_vec();
    Array { shape: array.shape.clone(), values, is_bytes: array.is_bytes }
}

/// Names of the arrays of an archive, sorted.
///
/// # Errors
/// If it is no archive.
pub(super) fn names(path: &Path) -> Result<Vec<String>, Error> {
    let file = File::open(path).map_err(|source| Error::Unreadable { path: path.into(), source })?;
    let archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| Error::Unusable {
        path: path.into(),
        place: "zip".into(),
        message: NpzError::Archive(error).to_string(),
    })?;
    let mut names: Vec<String> =
        archive.file_names().map(|entry| entry.strip_suffix(".npy").unwrap_or(entry).to_string()).collect();
    names.sort();
    Ok(names)
}

/// Whether an archive holds an array of this name.
pub(super) fn holds(path: &Path, name: &str) -> bool {
    let archive = File::open(path).ok().and_then(|file| NpzReader::new(BufReader::new(file)).ok());
    archive.is_some_and(|archive| archive.names().any(|entry| entry == name))
}

impl Location {
    pub(super) fn file_name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Whether all of its samples normalise, not only the first.
    pub(super) fn is_made_to_normalise(&self) -> bool {
        self.path.file_stem().is_some_and(|stem| stem.to_string_lossy().to_lowercase().ends_with("x_norm"))
    }

    pub(super) fn unusable(&self, message: impl Into<String>) -> Error {
        let place = self.name.map_or("its array".into(), |name| format!("array '{name}'"));
        Error::Unusable { path: self.path.clone(), place, message: message.into() }
    }

    /// Reads some rows of the array.
    pub(super) fn read(&self, rows: Rows) -> Result<Array, Error> {
        if let Some(array) = &self.memory {
            return Ok(rows_of(array, rows));
        }
        self.open(|kind, mut source, most| match kind {
            Kind::Npy => npy::read(&mut source, rows, most),
            Kind::Idx => npy::read_idx(&mut source, rows, most),
        })
    }

    /// Shows some rows of the array, at most `piece` at a time; see [`npy::visit`].
    fn visit(
        &self,
        rows: Rows,
        piece: usize,
        see: &mut dyn FnMut(usize, Array) -> Result<(), String>,
    ) -> Result<(), Error> {
        if let Some(array) = &self.memory {
            let total = array.shape.first().copied().unwrap_or(0).saturating_sub(rows.skip).min(rows.take);
            return (0..total.max(1)).step_by(piece.max(1)).try_for_each(|first| {
                let take = piece.min(total - first.min(total));
                let some = rows_of(array, Rows { skip: rows.skip + first, take });
                see(first, some).map_err(|message| self.unusable(message))
            });
        }
        self.open(|kind, mut source, most| match kind {
            Kind::Npy => npy::visit(&mut source, rows, most, piece, see),
            Kind::Idx => npy::visit_idx(&mut source, rows, most, piece, see),
        })
    }

    /// Opens the array for reading; the last number is how many bytes it can have.
    fn open<T>(&self, read: impl FnOnce(Kind, &mut dyn Source, u64) -> Result<T, String>) -> Result<T, Error> {
        let unreadable = |source| Error::Unreadable { path: self.path.clone(), source };
        let damaged = |error: zip::result::ZipError| Error::Unusable {
            path: self.path.clone(),
            place: "zip".into(),
            message: NpzError::Archive(error).to_string(),
        };
        if self.path.is_dir() {
            return Err(unreadable(io::Error::new(io::ErrorKind::IsADirectory, "expected a file, found a directory")));
        }
        let file = File::open(&self.path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let plain = match &self.file_name()[..] {
            name if name.ends_with(".npy") => Some(Kind::Npy),
            name if name.ends_with("-ubyte") => Some(Kind::Idx),
            _ => None,
        };
        if self.file_name().ends_with("-ubyte.gz") {
            // Deflate shrinks at most 1,032 to 1.
            let mut content = flate2::bufread::GzDecoder::new(BufReader::new(file));
            let answer = read(Kind::Idx, &mut content, size.saturating_mul(1032));
            let answer = answer.map_err(|message| self.unusable(message))?;
            npy::check_rest(&mut content).map_err(|message| self.unusable(message))?;
            return Ok(answer);
        }
        if let Some(kind) = plain {
            return read(kind, &mut BufReader::new(file), size).map_err(|message| self.unusable(message));
        }
        let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
        let mut entries: Vec<String> = archive.file_names().map(String::from).collect();
        entries.sort();
        let array_name = |entry: &str| entry.strip_suffix(".npy").unwrap_or(entry).to_string();
        let entry = match (self.name, &entries[..]) {
            (Some(name), entries) => entries.iter().find(|entry| array_name(entry) == name),
            (None, [only]) => Some(only),
            (None, several) => several.iter().find(|entry| array_name(entry) == "arr_0"),
        };
        let Some(entry) = entry else {
            let expected = self.name.map_or("one array".into(), |name| format!("an array '{name}'"));
            let found = entries.iter().map(|entry| array_name(entry)).collect::<Vec<_>>().join(", ");
            let message = format!("expected {expected}, found [{found}]");
            return Err(Error::Unusable { path: self.path.clone(), place: "arrays".into(), message });
        };
        let mut content = archive.by_name(entry).map_err(damaged)?;
        // Deflate shrinks at most 1,032 to 1. Only the wanted samples are kept.
        let most = size.saturating_mul(1032);
        let answer = read(Kind::Npy, &mut content, most).map_err(|message| self.unusable(message))?;
        npy::check_rest(&mut content).map_err(|message| self.unusable(message))?;
        Ok(answer)
    }
}

/// Samples in the order of the network's input, and how many the array has in all.
pub(super) fn read_images(location: &Location, shape: Shape, rows: Rows) -> Result<(Array2<f32>, usize), Error> {
    let array = location.read(rows)?;
    let total = array.shape.first().copied().unwrap_or(0);
    Ok((images(array, shape, rows.skip, location).map_err(|message| location.unusable(message))?, total))
}

/// Sequences of frames, axes (sample, frame, ...): `(samples, frames * numbers)`, each frame in the order of the
/// network's input; how many frames a sample has, and how many samples there are in all.
pub(super) fn read_frames(location: &Location, shape: Shape, rows: Rows) -> Result<(Array2<f32>, usize, usize), Error> {
    let Array { shape: stored, values, is_bytes } = location.read(rows)?;
    let [total, frames, ref frame @ ..] = stored[..] else {
        return Err(location.unusable(format!("expected sequences, axes (sample, frame, ...), found shape {stored:?}")));
    };
    let numbers = shape.len();
    let samples = values.len() / (frames * numbers).max(1);
    if samples == 0 || frames == 0 {
        let skip = rows.skip;
        return Err(
            location.unusable(format!("expected {} or more sequences of frames, found shape {stored:?}", skip + 1))
        );
    }
    let each = [&[total.saturating_mul(frames)], frame].concat();
    let images = images(Array { shape: each, values, is_bytes }, shape, rows.skip * frames, location);
    let images =
        images.map_err(|message| location.unusable(format!("{message}, as frames of a sequence (--frames)")))?;
    let sequences = images.into_shape_with_order((samples, frames * numbers));
    Ok((sequences.map_err(|error| location.unusable(error.to_string()))?, frames, total))
}

/// Shows samples in the order of the network's input, at most `piece` at a time: the number of the first among the
/// wanted ones, and the samples.
pub(super) fn visit_images(
    location: &Location,
    shape: Shape,
    rows: Rows,
    piece: usize,
    see: &mut dyn FnMut(usize, Array2<f32>),
) -> Result<(), Error> {
    location.visit(rows, piece, &mut |first, array| {
        see(first, images(array, shape, rows.skip + first, location)?);
        Ok(())
    })
}

/// What is wrong where `skip` samples of `total` are left out and none is left.
pub(super) fn more_than(skip: usize, total: usize) -> String {
    format!("expected {} or more samples, found {total}", skip + 1)
}

/// Rows of an array from number `first` on, at least one, as samples in the order of the network's input.
fn images(array: Array, shape: Shape, first: usize, location: &Location) -> Result<Array2<f32>, String> {
    let Array { shape: stored, values, is_bytes } = array;
    let [total, dimensions @ ..] = &stored[..] else {
        return Err("expected an array of samples, found a single number".into());
    };
    let Location { form, preprocessing, .. } = location;
    let order = element_order(dimensions, shape, form.axes)?;
    preprocessing.check_channels(shape)?;
    if values.is_empty() {
        return Err(more_than(first, *total));
    }
    let scale = if is_bytes && !preprocessing.rescales() { form.scaling.divisor() } else { 1.0 };
    let samples = values.chunks_exact(shape.len());
    let mut images = Array2::zeros((samples.len(), shape.len()));
    for (i, (mut image, sample)) in images.rows_mut().into_iter().zip(samples).enumerate() {
        if let Some(pixel) = sample.iter().find(|pixel| !pixel.is_finite()) {
            return Err(format!("expected finite numbers, found {pixel} in sample {}", first + i));
        }
        match &order {
            None => image.iter_mut().zip(sample).for_each(|(to, from)| *to = from / scale),
            Some(order) => image.iter_mut().zip(order).for_each(|(to, &from)| *to = sample[from] / scale),
        }
    }
    preprocessing.apply(&mut images, shape);
    Ok(images)
}

/// Position of each number of `(channels, height, width)` in a stored sample; `None`: where it is.
fn element_order(dimensions: &[usize], shape: Shape, axes: DeclaredAxes) -> Result<Option<Vec<usize>>, String> {
    let stored = dimensions.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let Shape::Maps { channels, height, width } = shape else {
        // Pictures are flattened as they are stored.
        let len = dimensions.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
        return match len {
            Some(len) if len == shape.len() => Ok(None),
            _ => Err(format!("expected samples of shape {shape}, found ({stored})")),
        };
    };
    // Each way to store the axes, as strides of (channel, row, column).
    let mut ways = vec![
        (vec![channels, height, width], [height * width, width, 1]),
        (vec![height, width, channels], [1, width * channels, channels]),
    ];
    if channels == 1 {
        ways.extend([(vec![height, width], [0, width, 1]), (vec![height * width], [0, width, 1])]);
    }
    if height == 1 {
        ways.extend([(vec![channels, width], [width, 0, 1]), (vec![width, channels], [1, 0, channels])]);
    }
    // A sample of the declared shape is in the declared order.
    if let Some((_, strides)) = axes.strides(shape).filter(|(sizes, _)| sizes == dimensions) {
        return Ok(Some(order_of(strides, channels, height, width)));
    }
    let mut fitting: Vec<[usize; 3]> = Vec::new();
    for (_, mut strides) in ways.into_iter().filter(|(axes, _)| axes == dimensions) {
        // The stride along an axis of one cell says nothing.
        strides.iter_mut().zip([channels, height, width]).filter(|(_, n)| *n == 1).for_each(|(stride, _)| *stride = 0);
        if !fitting.contains(&strides) {
            fitting.push(strides);
        }
    }
    let strides = match fitting[..] {
        [strides] => strides,
        [] => {
            return Err(format!(
                "expected samples of shape {shape}, as (channels, height, width) or with the channels last, found \
                    ({stored})"
            ));
        }
        _ => {
            return Err(format!(
                "expected samples whose shape says where the channels are, found ({stored}) for an input of {shape}"
            ));
        }
    };
    Ok(Some(order_of(strides, channels, height, width)))
}

/// Where each number of `(channels, height, width)` is, by the distances along these axes.
fn order_of(strides: [usize; 3], channels: usize, height: usize, width: usize) -> Vec<usize> {
    let cells = (0..channels).flat_map(|c| (0..height).flat_map(move |y| (0..width).map(move |x| [c, y, x])));
    cells.map(|cell| cell.iter().zip(strides).map(|(&at, stride)| at * stride).sum()).collect()
}

/// The class numbers of rows of `samples` samples, each of which has to have one.
pub(super) fn read_labels_of(
    location: &Location,
    classes: usize,
    rows: Rows,
    samples: usize,
) -> Result<Vec<usize>, Error> {
    let (labels, total) = read_labels(location, classes, rows)?;
    if total != samples {
        return Err(location.unusable(format!("expected {samples} labels, one per sample, found {total}")));
    }
    Ok(labels)
}

/// Class numbers, and how many labels the array has in all.
pub(super) fn read_labels(location: &Location, classes: usize, rows: Rows) -> Result<(Vec<usize>, usize), Error> {
    let Array { shape, values, .. } = location.read(rows)?;
    let number = |(i, &value): (usize, &f32)| {
        if value.fract() == 0.0 && (0.0..classes as f32).contains(&value) {
            return Ok(value as usize);
        }
        let (last, sample) = (classes.saturating_sub(1), rows.skip + i);
        Err(location.unusable(format!("expected labels from 0 to {last}, found {value} for sample {sample}")))
    };
    let one_hot = |(i, row): (usize, &[f32])| {
        let class = row.iter().position(|&value| value == 1.0);
        let class = class.filter(|_| row.iter().filter(|&&value| value == 0.0).count() + 1 == row.len());
        class.ok_or_else(|| {
            let sample = rows.skip + i;
            location.unusable(format!("expected a single 1 among zeros as the label of sample {sample}, found {row:?}"))
        })
    };
    let labels: Result<Vec<usize>, Error> = match shape[..] {
        [_] | [_, 1] => values.iter().enumerate().map(number).collect(),
        [_, n] if n == classes => values.chunks_exact(n).enumerate().map(one_hot).collect(),
        _ => {
            let message = format!("expected class numbers or one-hot rows of {classes}, found shape {shape:?}");
            return Err(location.unusable(message));
        }
    };
    Ok((labels?, shape[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(dimensions: &[usize], shape: Shape) -> Result<Option<Vec<usize>>, String> {
        element_order(dimensions, shape, DeclaredAxes::default())
    }

    #[test]
    fn the_declared_order_is_not_guessed() {
        let declared =
            |axes: &[usize]| element_order(&[2, 2], maps(2, 1, 2), DeclaredAxes::new(axes)).unwrap().unwrap();
        assert_eq!(declared(&[0, 2]), [0, 1, 2, 3]);
        assert_eq!(declared(&[2, 0]), [0, 2, 1, 3]);
        let pictures = element_order(&[3, 3, 3], maps(3, 3, 3), DeclaredAxes::new(&[1, 2, 0])).unwrap().unwrap();
        assert_eq!(pictures[..4], [0, 3, 6, 9]);
    }

    fn maps(channels: usize, height: usize, width: usize) -> Shape {
        Shape::Maps { channels, height, width }
    }

    #[test]
    fn the_input_shape_tells_where_the_channels_stand() {
        let order =
            |dimensions: &[usize], shape| element_order(dimensions, shape, DeclaredAxes::default()).unwrap().unwrap();
        assert_eq!(order(&[2, 1, 3], maps(2, 1, 3)), [0, 1, 2, 3, 4, 5]);
        assert_eq!(order(&[1, 3, 2], maps(2, 1, 3)), [0, 2, 4, 1, 3, 5]);
        assert_eq!(order(&[3, 2], maps(2, 1, 3)), [0, 2, 4, 1, 3, 5]);
        assert_eq!(order(&[2, 2], maps(1, 2, 2)), [0, 1, 2, 3]);
        assert_eq!(order(&[4], maps(1, 2, 2)), [0, 1, 2, 3]);
        assert_eq!(guessed(&[2, 2], Shape::Features(4)).unwrap(), None);
    }

    #[test]
    fn what_can_be_read_two_ways_is_refused() {
        assert!(guessed(&[3, 3, 3], maps(3, 3, 3)).unwrap_err().contains("where the channels are"));
        assert!(guessed(&[2, 2], maps(2, 1, 2)).unwrap_err().contains("where the channels are"));
        // Two ways that mean the same.
        assert!(guessed(&[1, 1, 1], maps(1, 1, 1)).is_ok());
        assert!(guessed(&[1, 5, 1], maps(1, 1, 5)).is_ok());
    }

    #[test]
    fn other_shapes_are_refused() {
        assert!(guessed(&[28, 28], maps(3, 28, 28)).is_err());
        assert!(guessed(&[27, 28, 1], maps(1, 28, 28)).is_err());
        assert!(guessed(&[785], Shape::Features(784)).is_err());
        assert!(guessed(&[usize::MAX, 2], Shape::Features(784)).is_err());
    }
}
