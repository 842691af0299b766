//! Standardisation of samples, sample by sample and feature by feature, and whitening, as Keras's `ImageDataGenerator`
//! does them: by statistics of the samples to normalise with.

use super::inverse_root::inverse_root;
use super::npy::{NpzReader, NpzWriter};
use super::{Dataset, Error, Format, Layout, Pieces, Shape};
use ndarray::{Array1, Array2, ArrayD, Axis};
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// What is added to standard deviations before they divide, as Keras does.
const EPSILON: f32 = 1e-6;

/// Most numbers of a sample that is whitened: the time grows with their cube.
const MOST_WHITENED: usize = 4096;

/// What is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Wanted {
    /// The mean of each sample is subtracted.
    pub(super) sample_center: bool,
    /// Each sample is divided by its standard deviation.
    pub(super) sample_std: bool,
    /// The mean of each channel (or feature) of all samples is subtracted.
    pub(super) feature_center: bool,
    /// Each channel is divided by its standard deviation over all samples.
    pub(super) feature_std: bool,
    /// Numbers are whitened (ZCA), with this added to the variances.
    pub(super) whitening: Option<f64>,
}

impl Wanted {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// How samples are standardised, with the statistics that it takes. A converted network keeps it, so that other
/// samples are changed in one way.
#[derive(Debug, Clone, PartialEq)]
pub struct Standardisation {
    sample_center: bool,
    sample_std: bool,
    /// One for each channel or feature; empty: none is subtracted.
    mean: Vec<f32>,
    /// One for each channel or feature; empty: nothing divides.
    std: Vec<f32>,
    /// `(numbers, numbers)`; samples are multiplied by it.
    whitening: Option<Array2<f32>>,
}

/// How the samples of a data set come to be standardised.
#[derive(Debug, Clone)]
pub(super) enum Standardising {
    /// As the data say, by their statistics, once they were asked for.
    OfTheData(Arc<OnceLock<(Shape, Arc<Standardisation>)>>),
    /// In this way, whatever the data say.
    Given(Arc<Standardisation>),
    /// They are what a network takes: this was done to them.
    Done(Option<Arc<Standardisation>>),
}

impl Default for Standardising {
    fn default() -> Self {
        Self::OfTheData(Arc::default())
    }
}

impl PartialEq for Standardising {
    /// What was computed already is no difference.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::OfTheData(_), Self::OfTheData(_)) => true,
            (Self::Given(one), Self::Given(another)) => one == another,
            (Self::Done(one), Self::Done(another)) => one == another,
            _ => false,
        }
    }
}

impl Standardising {
    /// Whether nothing is left to do.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }

    /// Drops statistics of numbers that are read otherwise from now on.
    pub(super) fn forget(&mut self) {
        if let Self::OfTheData(_) = self {
            *self = Self::default();
        }
    }
}

impl Dataset {
    /// These data with samples standardised in this way, whatever they say themselves; none: as they say.
    pub fn standardised(mut self, standardisation: Option<Arc<Standardisation>>) -> Self {
        if !self.standardising.is_done() {
            self.standardising = standardisation.map_or_else(Standardising::default, Standardising::Given);
        }
        self
    }

    /// How samples are standardised: as was given, or as `preprocessing.toml` says, by statistics of the samples to
    /// normalise with; none where they are not.
    ///
    /// # Errors
    /// As [`Self::normalization`]; where it was made for samples of another shape.
    pub fn standardisation(&self, format: &Format) -> Result<Option<Arc<Standardisation>>, Error> {
        self.standardisation_by(format, || self.raw_pieces(format))
    }

    /// As [`Self::standardisation`], where `pieces` are the samples that give the statistics.
    pub(super) fn standardisation_by(
        &self,
        format: &Format,
        pieces: impl FnOnce() -> Result<Pieces, Error>,
    ) -> Result<Option<Arc<Standardisation>>, Error> {
        let shape = format.shape;
        let known = match &self.standardising {
            Standardising::Done(how) => return Ok(how.clone()),
            Standardising::Given(given) => {
                let unfit = |message| {
                    let (path, place) = (self.directory.clone(), "standardisation".into());
                    Error::Unusable { path, place, message }
                };
                return given.check(shape).map(|()| Some(given.clone())).map_err(unfit);
            }
            Standardising::OfTheData(known) => known,
        };
        let wanted = match &self.layout {
            Layout::Pictures(pictures) => pictures.standardisation(),
            _ => self.preprocessing.standardisation,
        };
        if wanted.is_none() {
            return Ok(None);
        }
        if let Some((_, fitted)) = known.get().filter(|(of, _)| *of == shape) {
            return Ok(Some(fitted.clone()));
        }
        let fitted = Arc::new(Standardisation::fit(wanted, &pieces()?, shape)?);
        // Another thread may have been faster, with equal statistics.
        _ = known.set((shape, fitted.clone()));
        Ok(Some(fitted))
    }

    /// What is still to be done to samples that were read.
    pub(super) fn still_to_do(&self, format: &Format) -> Result<Option<Arc<Standardisation>>, Error> {
        if self.standardising.is_done() { Ok(None) } else { self.standardisation(format) }
    }

    /// Samples in the order of the network's input, standardised.
    pub(super) fn finished(&self, mut x: Array2<f32>, format: &Format) -> Result<Array2<f32>, Error> {
        self.still_to_do(format)?.iter().for_each(|how| how.apply(&mut x, format.shape));
        Ok(x)
    }
}

impl Standardisation {
    /// Statistics of samples.
    pub(super) fn fit(wanted: Wanted, pieces: &Pieces, shape: Shape) -> Result<Self, Error> {
        let mut made = Self {
            sample_center: wanted.sample_center,
            sample_std: wanted.sample_std,
            mean: Vec::new(),
            std: Vec::new(),
            whitening: None,
        };
        let cells = shape.len() / shape.channels().max(1);
        // Keras whitens centred samples only.
        if wanted.feature_center || wanted.feature_std || wanted.whitening.is_some() {
            let count = (pieces.len() * cells).max(1) as f64;
            let mut sums = vec![0.0; shape.channels()];
            pieces.visit_raw(&mut |piece| {
                let mut piece = piece;
                made.apply(&mut piece, shape);
                piece.indexed_iter().for_each(|((_, number), &value)| sums[number / cells.max(1)] += f64::from(value));
            })?;
            let means: Vec<f64> = sums.iter().map(|sum| sum / count).collect();
            let mut squares = vec![0.0; shape.channels()];
            pieces.visit_raw(&mut |piece| {
                let mut piece = piece;
                made.apply(&mut piece, shape);
                for ((_, number), &value) in piece.indexed_iter() {
                    let channel = number / cells.max(1);
                    squares[channel] += (f64::from(value) - means[channel]).powi(2);
                }
            })?;
            if wanted.feature_center || wanted.whitening.is_some() {
                made.mean = means.iter().map(|&mean| mean as f32).collect();
            }
            if wanted.feature_std {
                made.std = squares.iter().map(|square| (square / count).sqrt() as f32).collect();
            }
        }
        if let Some(epsilon) = wanted.whitening {
            made.whitening = Some(made.whiten(pieces, shape, epsilon)?);
        }
        Ok(made)
    }

    /// `U diag(1 / sqrt(s + epsilon)) U'` of the covariance `U diag(s) U'` (ZCA, Krizhevsky 2009, appendix A).
    fn whiten(&self, pieces: &Pieces, shape: Shape, epsilon: f64) -> Result<Array2<f32>, Error> {
        let n = shape.len();
        if n > MOST_WHITENED {
            let message = format!("expected at most {MOST_WHITENED} numbers per sample to whiten, found {n}");
            let (path, place) = ("preprocessing.toml".into(), "zca_whitening".into());
            return Err(Error::Unusable { path, place, message });
        }
        let mut covariance = Array2::<f64>::zeros((n, n));
        pieces.visit_raw(&mut |piece| {
            let mut piece = piece;
            self.apply(&mut piece, shape);
            let piece = piece.mapv(f64::from);
            covariance += &piece.t().dot(&piece);
        })?;
        covariance /= pieces.len().max(1) as f64;
        covariance.diag_mut().mapv_inplace(|variance| variance + epsilon);
        Ok(inverse_root(&covariance).mapv(|value| value as f32))
    }

    /// Whether samples of this shape can be changed so.
    ///
    /// # Errors
    /// If it was made for another number of channels or numbers.
    pub fn check(&self, shape: Shape) -> Result<(), String> {
        let channels = [self.mean.len(), self.std.len()].into_iter().find(|&n| n != 0 && n != shape.channels());
        let whitened = self.whitening.as_ref().map(Array2::nrows).filter(|&n| n != shape.len());
        match channels.or(whitened) {
            None => Ok(()),
            Some(found) => Err(format!("expected statistics of samples of shape {shape}, found {found}")),
        }
    }

    /// Changes samples, `(samples, numbers)`, maps flattened in the order `(channels, height, width)`.
    pub(super) fn apply(&self, samples: &mut Array2<f32>, shape: Shape) {
        if self.sample_center || self.sample_std {
            for mut sample in samples.rows_mut() {
                let n = sample.len().max(1) as f64;
                let mean = sample.iter().map(|&value| f64::from(value)).sum::<f64>() / n;
                if self.sample_center {
                    sample.mapv_inplace(|value| (f64::from(value) - mean) as f32);
                }
                if self.sample_std {
                    let mean = if self.sample_center { 0.0 } else { mean };
                    let squares = sample.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>();
                    let std = (squares / n).sqrt() as f32 + EPSILON;
                    sample.mapv_inplace(|value| value / std);
                }
            }
        }
        let cells = (shape.len() / shape.channels().max(1)).max(1);
        for (number, mut column) in samples.axis_iter_mut(Axis(1)).enumerate() {
            let channel = number / cells;
            if let Some(&mean) = self.mean.get(channel) {
                column.mapv_inplace(|value| value - mean);
            }
            if let Some(&std) = self.std.get(channel) {
                column.mapv_inplace(|value| value / (std + EPSILON));
            }
        }
        if let Some(matrix) = &self.whitening {
            *samples = samples.dot(matrix);
        }
    }

    /// Writes the statistics as `.npz`: `samplewise` (center, std), `mean`, `std` and `whitening`.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn write(&self, writer: &mut dyn Write) -> io::Result<()> {
        let mut npz = NpzWriter::new(io::Cursor::new(Vec::new()));
        npz.add("samplewise", &Array1::from(vec![u8::from(self.sample_center), u8::from(self.sample_std)]))?;
        npz.add("mean", &Array1::from(self.mean.clone()))?;
        npz.add("std", &Array1::from(self.std.clone()))?;
        if let Some(matrix) = &self.whitening {
            npz.add("whitening", matrix)?;
        }
        writer.write_all(&npz.finish()?.into_inner())
    }

    /// Reads statistics.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Unreadable { path: path.into(), source };
        let unusable =
            |place: &str, message: String| Error::Unusable { path: path.into(), place: place.into(), message };
        let file = File::open(path).map_err(unreadable)?;
        let mut archive = NpzReader::new(BufReader::new(file)).map_err(|error| unusable("zip", error.to_string()))?;
        let has_whitening = archive.has("whitening");
        let mut array = |name: &str| -> Result<ArrayD<f32>, Error> {
            let damaged = |message: String| unusable(&format!("array '{name}'"), message);
            let array = archive.array(name).map_err(|error| damaged(error.to_string()))?;
            match array.iter().find(|value| !value.is_finite()) {
                Some(value) => Err(damaged(format!("expected finite numbers, found {value}"))),
                None => Ok(array),
            }
        };
        let flags: Vec<bool> = array("samplewise")?.iter().map(|&flag| flag != 0.0).collect();
        let (mean, std): (Vec<f32>, Vec<f32>) =
            (array("mean")?.into_iter().collect(), array("std")?.into_iter().collect());
        let whitening = if has_whitening { Some(array("whitening")?) } else { None };
        let whitening = whitening.map(|matrix| match *matrix.shape() {
            [rows, columns] if rows == columns => {
                matrix.into_dimensionality().map_err(|error| unusable("array 'whitening'", error.to_string()))
            }
            ref shape => Err(unusable("array 'whitening'", format!("expected a square matrix, found shape {shape:?}"))),
        });
        let [sample_center, sample_std] = flags[..] else {
            return Err(unusable("array 'samplewise'", format!("expected 2 numbers, found {}", flags.len())));
        };
        if let Some(std) = std.iter().find(|std| **std < 0.0) {
            return Err(unusable("array 'std'", format!("expected numbers from 0 on, found {std}")));
        }
        Ok(Self { sample_center, sample_std, mean, std, whitening: whitening.transpose()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy::Array;
    use crate::{Dataset, Format};
    use ndarray::array;

    fn pieces(x: &Array2<f32>) -> Pieces {
        let array = Array { shape: x.shape().to_vec(), values: x.iter().copied().collect(), is_bytes: false };
        let format = Format { shape: Shape::Features(x.ncols()), classes: 2 };
        Dataset::in_memory(None, Some(array)).normalization_pieces(&format).unwrap()
    }

    #[test]
    fn whitened_samples_have_variances_of_one_and_are_uncorrelated() {
        let x = array![[1.0, 2.0, 0.0], [3.0, 1.0, 4.0], [-2.0, 0.5, 1.0], [0.0, -3.0, 2.0], [5.0, 4.0, -1.0]];
        let shape = Shape::Features(3);
        let wanted = Wanted { whitening: Some(1e-9), ..Wanted::default() };
        let made = Standardisation::fit(wanted, &pieces(&x), shape).unwrap();
        let mut whitened = x.clone();
        made.apply(&mut whitened, shape);
        let covariance = whitened.t().dot(&whitened) / 5.0;
        for ((row, column), value) in covariance.indexed_iter() {
            let expected = if row == column { 1.0 } else { 0.0 };
            assert!((value - expected).abs() < 1e-4, "{covariance}");
        }
    }

    #[test]
    fn each_sample_or_each_feature_has_mean_zero_and_deviation_one() {
        let x = array![[1.0, 2.0, 6.0], [3.0, 1.0, 4.0], [-2.0, 0.5, 1.0]];
        let shape = Shape::Features(3);
        let by_feature = Wanted { feature_center: true, feature_std: true, ..Wanted::default() };
        let mut features = x.clone();
        Standardisation::fit(by_feature, &pieces(&x), shape).unwrap().apply(&mut features, shape);
        let by_sample = Wanted { sample_center: true, sample_std: true, ..Wanted::default() };
        let mut samples = x.clone();
        Standardisation::fit(by_sample, &pieces(&x), shape).unwrap().apply(&mut samples, shape);
        for k in 0..3 {
            for group in [features.column(k), samples.row(k)] {
                assert!(group.sum().abs() < 1e-5 && (group.mapv(|v| v * v).sum() / 3.0 - 1.0).abs() < 1e-4, "{group}");
            }
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.npz");
        let x = array![[1.0, 2.0], [3.0, 1.0], [-2.0, 0.5]];
        let wanted = Wanted { whitening: Some(1e-6), sample_center: true, ..Wanted::default() };
        let made = Standardisation::fit(wanted, &pieces(&x), Shape::Features(2)).unwrap();
        made.write(&mut File::create(&path).unwrap()).unwrap();
        assert_eq!(Standardisation::read(&path).unwrap(), made);
        assert!(made.check(Shape::Features(3)).is_err());
    }
}
