//! Samples that are gone through piece by piece.

use super::arrays::{self, Location};
use super::entry::Set;
use super::npy::Rows;
use super::pictures::Pictures;
use super::standardise::Standardisation;
use super::{Error, Format};
use ndarray::{Array2, ArrayView2};
use std::sync::Arc;

/// Samples on disk that are gone through piece by piece.
#[derive(Debug, Clone)]
pub struct Pieces {
    pub(super) source: PieceSource,
    pub(super) format: Format,
    pub(super) count: usize,
    /// What is done to them in the end.
    pub(super) standardisation: Option<Arc<Standardisation>>,
}

#[derive(Debug, Clone)]
pub(super) enum PieceSource {
    Array(Location),
    Pictures(Box<Pictures>),
}

/// Numbers of a piece of samples, about.
const PIECE_NUMBERS: usize = 1 << 21;

impl Pieces {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Shows all samples in order: the number of the first of a piece, and the piece, `(samples, numbers)`. Arrays in
    /// Fortran order are one piece.
    ///
    /// # Errors
    /// As [`Dataset::test`](crate::Dataset::test); pieces before the fault have been shown.
    pub fn visit(&self, see: &mut dyn FnMut(usize, ArrayView2<f32>)) -> Result<(), Error> {
        // Whole blocks of the forward pass.
        self.visit_by(self.usual_piece(), see)
    }

    fn usual_piece(&self) -> usize {
        (PIECE_NUMBERS / self.format.shape.len().max(1)).clamp(64, 1 << 14) / 64 * 64
    }

    /// Shows all samples as they are before they are standardised.
    pub(super) fn visit_raw(&self, see: &mut dyn FnMut(Array2<f32>)) -> Result<(), Error> {
        self.pieces(self.usual_piece(), &mut |_, piece| see(piece))
    }

    pub(super) fn visit_by(&self, piece: usize, see: &mut dyn FnMut(usize, ArrayView2<f32>)) -> Result<(), Error> {
        self.pieces(piece, &mut |first, mut piece| {
            self.standardisation.iter().for_each(|how| how.apply(&mut piece, self.format.shape));
            see(first, piece.view());
        })
    }

    fn pieces(&self, piece: usize, see: &mut dyn FnMut(usize, Array2<f32>)) -> Result<(), Error> {
        match &self.source {
            PieceSource::Array(location) => {
                let rows = Rows { skip: 0, take: self.count };
                arrays::visit_images(location, self.format.shape, rows, piece, see)
            }
            PieceSource::Pictures(pictures) => {
                for first in (0..self.count).step_by(piece) {
                    let rows = Rows { skip: first, take: piece.min(self.count - first) };
                    see(first, pictures.samples(Set::Train, &self.format, rows)?.x);
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dataset, Shape, npy};

    /// First numbers and rows of the pieces of some samples.
    fn pieces(pieces: &Pieces, piece: usize) -> Vec<(usize, Vec<f32>)> {
        let mut seen = Vec::new();
        pieces.visit_by(piece, &mut |first, rows| seen.push((first, rows.iter().copied().collect()))).unwrap();
        seen
    }

    #[test]
    fn a_set_is_the_same_in_pieces_of_any_size() {
        let folder = tempfile::tempdir().unwrap();
        let numbers: Vec<f32> = (0..14).map(|n| n as f32).collect();
        let mut bytes = npy::header::<f32>(&[7, 2]);
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        std::fs::write(folder.path().join("x_norm.npy"), &bytes).unwrap();
        std::fs::write(folder.path().join("x_test.npy"), &bytes).unwrap();
        let format = Format { shape: Shape::Features(2), classes: 2 };
        let data = Dataset::open(folder.path()).unwrap();
        let set = data.normalization_pieces(&format).unwrap();
        assert_eq!(set.len(), 7);
        for piece in 1..9 {
            let seen = pieces(&set, piece);
            assert_eq!(seen.len(), 7usize.div_ceil(piece));
            assert_eq!(
                seen.iter().map(|(first, _)| *first).collect::<Vec<_>>(),
                (0..7).step_by(piece).collect::<Vec<_>>()
            );
            assert_eq!(seen.into_iter().flat_map(|(_, rows)| rows).collect::<Vec<_>>(), numbers);
        }
        assert_eq!(data.normalization(&format).unwrap().into_raw_vec_and_offset().0, numbers);
    }
}
