//! What a comparison gives: decisions, figures of layers, where the sides part.

use super::Course;
use crate::classification::wilson_interval;
use crate::layers::Place;
use crate::statistics::Agreement;
use megasim_core::network::Tick;
use serde::{Deserialize, Serialize};

/// What came out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Comparison {
    /// Names of the two sides.
    pub names: [String; 2],
    /// How many samples were shown.
    pub samples: usize,
    /// How long each, in milliseconds.
    pub duration_ms: f64,
    /// Decisions, where there is an output.
    pub decisions: Option<Decisions>,
    /// Rates of the left side over those of the right one, of all layers together.
    pub all_layers: Agreement,
    /// The layers, in netlist order.
    pub layers: Vec<LayerFigures>,
    /// Both sides over time, means per sample.
    pub course: Course,
    /// The samples on which the two sides disagree, and where they part.
    pub disagreements: Vec<Disagreement>,
    /// Counts of each cell over all samples, for pictures; not written.
    #[serde(skip)]
    pub cells: Vec<CellSums>,
}

/// Who was right.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Decisions {
    /// The classes.
    pub classes: usize,
    /// Right answers and matrices of confusion, where labels are known.
    pub right: Option<Right>,
    /// Share of samples on which both sides decide alike.
    pub agreement: f64,
    /// Share on which each side decides as the analog network.
    pub agreement_analog: Option<[f64; 2]>,
    /// Samples on which each side does not decide.
    pub undecided: [usize; 2],
    /// Number of each sample with its decisions: left, right, analog.
    #[serde(skip)]
    pub each: Vec<[Option<usize>; 3]>,
}

/// Answers against labels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Right {
    /// The two sides.
    pub sides: [Accuracy; 2],
    /// The analog network.
    pub analog: Option<Accuracy>,
    /// Samples on which only the left side is right, and only the right side.
    pub only: [usize; 2],
    /// Probability of so unequal a pair if there were no difference (McNemar's test, exact).
    pub mcnemar: f64,
    /// Samples by label (row) and decision (column; the last one is "none"), of the two sides.
    pub confusion: [Vec<Vec<usize>>; 2],
}

/// A share of right answers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Right answers.
    pub right: usize,
    /// Their share.
    pub share: f64,
    /// Wilson's interval at 95 %.
    pub interval: (f64, f64),
}

impl Accuracy {
    /// Right answers, and the samples they are among.
    pub fn new(right: usize, samples: usize) -> Self {
        Self { right, share: right as f64 / samples.max(1) as f64, interval: wilson_interval(right, samples) }
    }
}

/// What one layer did. Pairs are the two sides.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LayerFigures {
    /// Its name.
    pub name: String,
    /// Its neurons (or addresses).
    pub neurons: usize,
    /// Spikes per sample.
    pub spikes: [f64; 2],
    /// Spikes that the left side has less than the right, and more, neuron by neuron and sample by sample; a sample.
    pub lost: f64,
    /// See `lost`.
    pub extra: f64,
    /// Rates of the left side over those of the right one.
    pub sides: Agreement,
    /// Rates of each side over the analog activations, in spikes per millisecond.
    pub analog: Option<[Agreement; 2]>,
    /// Time of a neuron's first spike on the left minus that on the right, where it spikes on both: mean, in
    /// milliseconds.
    pub first_spike_difference_ms: Option<f64>,
    /// Its magnitude.
    pub first_spike_distance_ms: Option<f64>,
    /// Share of neurons that no sample made spike.
    pub silent: [f64; 2],
    /// Share of neurons and samples with at least one spike per millisecond from the first spike, in the first half, to
    /// the end.
    pub saturated: [f64; 2],
    /// Samples in which the sides part in this layer.
    pub parted: usize,
    /// Samples in which they part here and in no layer before.
    pub parted_first: usize,
    /// The earliest place of all samples at which they part.
    pub first: Option<FirstDivergence>,
}

/// The earliest place at which two sides part in a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FirstDivergence {
    /// Number of the sample.
    pub sample: u64,
    /// When, in ticks.
    pub tick: Tick,
    /// When, in milliseconds.
    pub ms: f64,
    /// Where in the layer.
    pub place: Place,
    /// Name of the side that has the spike.
    pub only: String,
}

/// A sample on which the sides decide differently.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Disagreement {
    /// Its number.
    pub sample: u64,
    /// Its label.
    pub label: Option<usize>,
    /// What the sides decide.
    pub decisions: [Option<usize>; 2],
    /// What the analog network decides.
    pub analog: Option<usize>,
    /// Layer by layer in which the sides part: name, spikes of each side, neurons with another count, first place.
    pub layers: Vec<LayerDivergence>,
}

/// How the sides part in one layer on one sample.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LayerDivergence {
    /// Name of the layer.
    pub name: String,
    /// Spikes of each side.
    pub spikes: [u64; 2],
    /// Neurons with another count.
    pub neurons: usize,
    /// Where and when first.
    pub first: Option<FirstDivergence>,
}

/// Sums over all samples for each cell of a layer.
#[derive(Debug, Clone, Default)]
pub struct CellSums {
    /// Spikes of the two sides.
    pub spikes: [Vec<u64>; 2],
    /// Activations of the analog network, in spikes per millisecond.
    pub analog: Option<Vec<f64>>,
}
