//! Why a sweep cannot be made.

use super::modes;
use super::parameters::MOST_POINTS;
use crate::classification;
use crate::hardware;
use crate::latency::{self, InputError};
use crate::read_out;
use megasim_convert::{conversion, settings};
use megasim_core::encode::registry;
use megasim_core::network::NetworkError;

/// Why a sweep cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// Another number of parameters than one or two.
    #[error("--over: expected one or two parameters, found {0}")]
    Parameters(usize),
    /// One parameter twice.
    #[error("--over: expected two different parameters, found {0} twice")]
    Twice(String),
    /// A value that a parameter cannot have.
    #[error("--over: {0}")]
    Value(String),
    /// More than 100,000 points.
    #[error("--over: expected at most {MOST_POINTS} points, found more")]
    Points,
    /// A parameter of a machine, and no machine.
    #[error("--over {0}: expected --hardware FILE|NAME with the machine, found none")]
    NoMachine(String),
    /// A parameter that machines do not have.
    #[error("--over {0}: clocked steps, orders of ties and read-outs are not the machine's; leave out --hardware")]
    NotOfMachine(String),
    /// A parameter that schematics do not have.
    #[error("--over {0}: expected a converted network; a schematic has its own weights and stimuli")]
    NotOfSchematic(String),
    /// A parameter of conversions, and a network that was read as a spiking one.
    #[error("--over {0}: expected a network that was trained and converted; this one was read as a spiking network")]
    NotTrained(String),
    /// A seed that nothing uses.
    #[error(
        "--over {0}: expected a random code (--encode poisson, cpn, ...) or --over tie-order=seeded; nothing else is \
         drawn"
    )]
    Seed(String),
    /// A rate that nothing uses.
    #[error("--over {0}: expected --encode regular or poisson; other codes have their own rates")]
    InputRate(String),
    /// A read-out on a machine.
    #[error("--readout, --k and --confidence: on a machine most spikes decide; leave them out, or --hardware")]
    ReadOutOnMachine,
    /// Orders of ties with what does not have them.
    #[error("--over tie-order: expected most spikes at the end to decide and a code that makes spikes, found others")]
    TieOrder,
    /// Ticks of unknown length.
    #[error("expected to know how long a tick is; --tick TIME says it of a schematic")]
    NoTick,
    /// A schedule of other weights.
    #[error("--over: depth-scale goes with netfiles of 'convert --weighting model'")]
    NoSchedule,
    /// Percentiles that change nothing.
    #[error(
        "--over: percentiles change nothing here: the netfiles have given scales, or were scaled without looking at \
         activations"
    )]
    NoPercentiles,
    /// Weightings that change nothing.
    #[error("--over: weighting changes nothing here: the netfiles were converted with --scales")]
    GivenScales,
    /// A conversion that is made for no presentation.
    #[error(
        "--recalibrate: expected netfiles that were converted for a presentation ('convert --duration' or --preset \
         short), found others"
    )]
    NoPresentation,
    /// A conversion for each duration where none is swept.
    #[error("--recalibrate: expected --over duration=..., found no durations")]
    NoDurations,
    /// What the neurons of a spike code cannot read.
    #[error("--over: {0}")]
    Coded(String),
    /// A key that the original MegaSim does not read.
    #[error("--over: the netfiles were converted with --plain-megasim, whose files have no {0}")]
    OriginalFormat(String),
    /// A clock of an output that has none.
    #[error(
        "--over softmax-clock: expected an output that is a softmax ('convert --output softmax', or --over \
             output=softmax)"
    )]
    NoSoftmax,
    /// A softmax of signed neurons.
    #[error("--over output: a softmax has no form with signed neurons ('convert --preset toolbox' has others)")]
    SignedSoftmax,
    /// Potentials that a machine does not report.
    #[error("--over output: expected relu, softmax or signed with --hardware, as no machine reports potentials")]
    PotentialOnMachine,
    /// Two places where potentials start.
    #[error("--over resting-potential: the netfiles were converted with an initial potential, which is one already")]
    RestingPotential,
    /// An initial potential that each spike would go back to.
    #[error(
        "--over reset: neurons that start with an initial potential (convert --initial-potential, which the presets \
         for short presentations set) have to be reset by subtraction, as a reset to zero would go back to it"
    )]
    InitialPotential,
    /// A parameter of modules in the manifest that cannot be read.
    #[error("--over {name}: {setting}: {message}; of neurons with equations of a file no conversion can be swept")]
    ManifestSetting {
        /// What is swept.
        name: String,
        /// The text.
        setting: String,
        /// What is wrong with it.
        message: String,
    },
    /// A read-out that does not go with the output.
    #[error(transparent)]
    ReadOut(#[from] read_out::Error),
    /// A code that cannot be made.
    #[error(transparent)]
    Code(#[from] registry::Error),
    /// A machine that is wrong.
    #[error(transparent)]
    Hardware(#[from] hardware::Error),
    /// A network with its samples that cannot be put on a machine.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Data that cannot be read.
    #[error(transparent)]
    Data(#[from] megasim_data::Error),
    /// A network that cannot be converted anew.
    #[error(transparent)]
    Convert(#[from] conversion::Error),
    /// A parameter that modules cannot have.
    #[error(transparent)]
    Setting(#[from] settings::Error),
    /// An output that cannot gather potentials.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Samples that cannot be classified.
    #[error(transparent)]
    Classification(#[from] classification::Error),
    /// A point could not be measured.
    #[error(transparent)]
    Measure(#[from] modes::Error),
    /// A point could not be measured on the machine.
    #[error(transparent)]
    Latency(#[from] latency::Error),
    /// The results so far could not be kept.
    #[error("{0}")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The work was cancelled before the first point was done.
    #[error("stopped before the first point was done")]
    Cancelled,
}
