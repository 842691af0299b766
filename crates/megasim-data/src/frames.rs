//! Samples that are sequences of frames.

use super::arrays::{read_frames, read_labels_of};
use super::npy::Rows;
use super::{Dataset, Error, Format, Layout, NORMALIZATION_SAMPLES, Samples, Shape, Standardisation};
use ndarray::{Array2, Axis};
use std::sync::Arc;

impl Dataset {
    /// Test samples that are sequences of frames, axes (sample, frame, ...): as [`Self::test`], but for `x`, which is
    /// `(samples, frames * numbers)`; and how many frames a sample has.
    ///
    /// # Errors
    /// As [`Self::test`]; pictures in folders, which are no sequences.
    pub fn test_frames(&self, format: &Format, skip: usize, samples: Option<usize>) -> Result<(Samples, usize), Error> {
        let y = self.test_location("y")?;
        let (x, frames, total) = self.test_sequences(format, skip, samples)?;
        let y = read_labels_of(&y, format.classes, self.test_rows(skip, samples), total)?;
        Ok((Samples { x, y }, frames))
    }

    /// As [`Self::test_frames`] without the classes, which data need not have.
    ///
    /// # Errors
    /// As there.
    pub fn test_frame_inputs(
        &self,
        format: &Format,
        skip: usize,
        samples: Option<usize>,
    ) -> Result<(Array2<f32>, usize), Error> {
        let (x, frames, _) = self.test_sequences(format, skip, samples)?;
        Ok((x, frames))
    }

    /// Sequences, how many frames each has, and how many sequences there are in all.
    fn test_sequences(
        &self,
        format: &Format,
        skip: usize,
        samples: Option<usize>,
    ) -> Result<(Array2<f32>, usize, usize), Error> {
        self.expect_arrays()?;
        let rows = self.test_rows(skip, samples);
        let (sequences, frames, total) = read_frames(&self.test_location("x")?, format.shape, rows)?;
        Ok((self.standardised_frames(sequences, frames, format)?, frames, total))
    }

    /// These data with the mean of the frames in place of each sequence, in memory: what a trained network is shown.
    ///
    /// # Errors
    /// As [`Self::test_frames`].
    pub fn means_of_frames(&self, format: &Format) -> Result<Self, Error> {
        self.expect_arrays()?;
        let (normalization, frames) = self.sequences_to_normalise(format)?;
        let normalization = self.standardised_frames(normalization, frames, format)?;
        let normalization = means(&normalization, frames, format.shape);
        let test = self.has_labels().then(|| self.test_frames(format, 0, None)).transpose()?;
        let test = test.map(|(Samples { x, y }, frames)| Samples { x: means(&x, frames, format.shape), y });
        let how = self.standardisation_of_frames(format)?;
        Ok(Self { most: self.most, ..Self::of_inputs(format.shape, test, normalization, how) })
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

    /// Sequences to normalise with, as they are before they are standardised, and how many frames each has.
    fn sequences_to_normalise(&self, format: &Format) -> Result<(Array2<f32>, usize), Error> {
        let location = self.normalization_location()?;
        let take = if location.is_made_to_normalise() { usize::MAX } else { NORMALIZATION_SAMPLES };
        let (sequences, frames, _) = read_frames(&location, format.shape, Rows { skip: 0, take })?;
        Ok((sequences, frames))
    }

    /// As [`Self::standardisation`], by statistics of frames.
    fn standardisation_of_frames(&self, format: &Format) -> Result<Option<Arc<Standardisation>>, Error> {
        self.standardisation_by(format, || {
            let (sequences, frames) = self.sequences_to_normalise(format)?;
            let none = Samples { x: Array2::zeros((0, format.shape.len())), y: Vec::new() };
            Self::of_inputs(format.shape, none, single(sequences, frames, format.shape)?, None).raw_pieces(format)
        })
    }

    fn standardised_frames(
        &self,
        sequences: Array2<f32>,
        frames: usize,
        format: &Format,
    ) -> Result<Array2<f32>, Error> {
        let Some(how) = self.standardisation_of_frames(format)? else { return Ok(sequences) };
        let (samples, numbers) = sequences.dim();
        let mut each = single(sequences, frames, format.shape)?;
        how.apply(&mut each, format.shape);
        reshaped(each, (samples, numbers))
    }
}

/// The frames of all sequences, `(samples * frames, numbers)`.
fn single(sequences: Array2<f32>, frames: usize, shape: Shape) -> Result<Array2<f32>, Error> {
    let samples = sequences.nrows();
    reshaped(sequences, (samples * frames, shape.len()))
}

fn reshaped(array: Array2<f32>, to: (usize, usize)) -> Result<Array2<f32>, Error> {
    // A product of matrices may be in any order.
    array.as_standard_layout().into_owned().into_shape_with_order(to).map_err(|error| Error::Unusable {
        path: "memory".into(),
        place: "frames".into(),
        message: error.to_string(),
    })
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
