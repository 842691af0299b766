//! Samples that are gone through piece by piece, as often as they are asked for, so that a set of any size takes
//! bounded memory.

use super::normalize::error::Error;
use super::parsed::ParsedModel;
use megasim_ann::forward::{WrongBatch, visit_activations};
use megasim_ann::graph::{Graph, LayerId};
use megasim_core::control::Control;
use megasim_data::Pieces;
use ndarray::ArrayView2;

/// Who sees samples: the number of the first of a piece, and the piece, `(samples, numbers)`.
pub type See<'a> = &'a mut dyn FnMut(usize, ArrayView2<f32>) -> Result<(), Error>;

/// A set of samples.
pub trait Samples {
    /// How many there are.
    fn count(&self) -> usize;

    /// Shows all of them in order, piece by piece.
    ///
    /// # Errors
    /// Where they cannot be had.
    fn visit(&self, see: See) -> Result<(), Error>;
}

impl Samples for ArrayView2<'_, f32> {
    fn count(&self) -> usize {
        self.nrows()
    }

    fn visit(&self, see: See) -> Result<(), Error> {
        see(0, self.view())
    }
}

impl Samples for Pieces {
    fn count(&self) -> usize {
        self.len()
    }

    fn visit(&self, see: See) -> Result<(), Error> {
        let mut outcome = Ok(());
        let all = self.visit(&mut |first, piece| {
            if outcome.is_ok() {
                outcome = see(first, piece);
            }
        });
        all.map_err(|error| Error::Data(error.to_string()))?;
        outcome
    }
}

impl<S: Samples + ?Sized> Samples for &S {
    fn count(&self) -> usize {
        (**self).count()
    }

    fn visit(&self, see: See) -> Result<(), Error> {
        (**self).visit(see)
    }
}

/// Samples that end where the work is cancelled.
pub(super) struct Watched<'s> {
    samples: &'s dyn Samples,
    control: &'s dyn Control,
}

impl<'s> Watched<'s> {
    pub(super) fn new(samples: &'s dyn Samples, control: &'s dyn Control) -> Self {
        Self { samples, control }
    }
}

impl Samples for Watched<'_> {
    fn count(&self) -> usize {
        self.samples.count()
    }

    fn visit(&self, see: See) -> Result<(), Error> {
        self.samples.visit(&mut |first, piece| {
            if self.control.is_cancelled() {
                return Err(Error::Cancelled);
            }
            see(first, piece)
        })
    }
}

/// Shows the activations of every layer of the graph of a parsed network, as [`visit_activations`] does; `progress`
/// hears how many samples are done.
///
/// # Errors
/// Where samples cannot be had, or do not fit.
pub fn activations(
    parsed: &ParsedModel,
    graph: &Graph,
    samples: &dyn Samples,
    progress: &mut dyn FnMut(usize),
    see: &mut dyn FnMut(LayerId, ArrayView2<f32>),
) -> Result<(), Error> {
    let expected = parsed.input;
    samples.visit(&mut |first, piece| {
        if piece.ncols() != expected.len() {
            return Err(WrongBatch { expected, found: piece.ncols() }.into());
        }
        visit_activations(graph, parsed.addressed(piece).view(), |done, layer, activations| {
            if layer == 0 {
                progress(first + done + activations.nrows());
            }
            see(layer, activations);
        })?;
        Ok(())
    })
}
