//! Samples that are sequences of frames.

use super::arrays::{Location, read_frames, read_labels_of};
use super::npy::{Array, Rows};
use super::{Dataset, Error, Format, Layout, NORMALIZATION_SAMPLES, Samples, Shape};
use ndarray::{Array2, Axis};

impl Dataset {
    /// Test samples that are sequences of frames, axes (sample, frame, ...): as [`Self::test`], but for `x`, which is
    /// `(samples, frames * numbers)`; and how many frames a sample has.
    ///
    /// # Errors
    /// As [`Self::test`]; pictures in folders, which are no sequences.
    pub fn test_frames(&self, format: &Format, skip: usize, samples: Option<usize>) -> Result<(Samples, usize), Error> {
        self.expect_arrays()?;
        let rows = self.test_rows(skip, samples);
        let y = self.test_location("y")?;
        let (sequences, frames, total) = self.sequences(&self.test_location("x")?, format, rows)?;
        let labels = read_labels_of(&y, format.classes, rows, total)?;
        Ok((Samples { x: sequences, y: labels }, frames))
    }

    /// These data with the mean of the frames in place of each sequence, in memory: what a trained network is shown.
    ///
    /// # Errors
    /// As [`Self::test_frames`].
    pub fn means_of_frames(&self, format: &Format) -> Result<Self, Error> {
        self.expect_arrays()?;
        let location = self.normalization_location()?;
        let rows =
            Rows { skip: 0, take: if location.is_made_to_normalise() { usize::MAX } else { NORMALIZATION_SAMPLES } };
        let (sequences, frames, _) = self.sequences(&location, format, rows)?;
        let normalization = array(&means(&sequences, frames, format.shape), format.shape);
        let (Samples { x, y }, frames) = self.test_frames(format, 0, None)?;
        let labels = y.iter().map(|&class| class as f32).collect();
        let labels = Array { shape: vec![y.len()], values: labels, is_bytes: false };
        let test = array(&means(&x, frames, format.shape), format.shape);
        Ok(Self { most: self.most, ..Self::in_memory(Some((test, labels)), Some(normalization)) })
    }

    fn expect_arrays(&self) -> Result<(), Error> {
        match &self.layout {
            Layout::Pictures(_) => {
                let expected = "arrays 'x' and 'y', with sequences of frames as samples,";
                Err(Error::Missing { directory: self.directory.clone(), expected })
            }
            _ => Ok(()),
        }
    }

    fn sequences(
        &self,
        location: &Location,
        format: &Format,
        rows: Rows,
    ) -> Result<(Array2<f32>, usize, usize), Error> {
        let (sequences, frames, total) = read_frames(location, format.shape, rows)?;
        let (samples, numbers) = sequences.dim();
        let unusable = |error: ndarray::ShapeError| location.unusable(error.to_string());
        let each = sequences.into_shape_with_order((samples * frames, format.shape.len())).map_err(unusable)?;
        let each = self.finished(each, format)?.as_standard_layout().into_owned();
        Ok((each.into_shape_with_order((samples, numbers)).map_err(unusable)?, frames, total))
    }
}

/// The mean of the frames of each sequence, `(samples, numbers)`; `sequences` are `(samples, frames * numbers)`.
///
/// ```
/// use megasim_data::{Shape, means_of_frames};
/// let means = means_of_frames(&ndarray::array![[1.0, 2.0, 3.0, 6.0]], 2, Shape::Features(2));
/// assert_eq!(means, ndarray::array![[2.0, 4.0]]);
/// ```
pub fn means(sequences: &Array2<f32>, frames: usize, shape: Shape) -> Array2<f32> {
    let mut means = Array2::zeros((sequences.nrows(), shape.len()));
    for frame in sequences.axis_chunks_iter(Axis(1), shape.len()) {
        means += &frame;
    }
    means / frames.max(1) as f32
}

fn array(samples: &Array2<f32>, shape: Shape) -> Array {
    let sizes = match shape {
        Shape::Features(n) => vec![n],
        Shape::Maps { channels, height, width } => vec![channels, height, width],
    };
    let shape = [&[samples.nrows()][..], &sizes].concat();
    Array { shape, values: samples.iter().copied().collect(), is_bytes: false }
}
