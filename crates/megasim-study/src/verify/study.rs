//! The study of one network, from samples to counts.

use super::{Error, OnMachine, Results, Setup};
use crate::hardware::{Hardware, SHIPPED};
use crate::latency::{InputError, MachineInput};
use crate::presentation::Presentation;
use megasim_convert::{ConvertedModel, LabelledSamples};
use megasim_core::control::Control;
use megasim_core::network::Network;
use std::path::Path;

/// Why a study has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The network with its samples cannot be put on a machine.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Counts cannot be compared, or a run failed.
    #[error(transparent)]
    Run(#[from] Error),
}

/// In how many ways a network runs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// How samples are presented; its seed is that of the orders, too.
    pub presentation: Presentation,
    /// Random orders of the events of a tick, each with random delays of all modules; 20 where nothing else is asked
    /// for.
    pub orders: u32,
    /// Machines to run on; those that come with the program where nothing else is asked for.
    pub hardware: Vec<Hardware>,
    /// Whether machines that do not take the network are left out, with a warning.
    pub only_fitting: bool,
    /// The network whose counts are expected, with the same nodes; the network itself where it is none.
    pub reference: Option<Network>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        // Machines that come with the program can be read; a test opens each.
        let hardware = SHIPPED.iter().filter_map(|(name, _)| Hardware::open(Path::new(name)).ok()).collect();
        Self { presentation: Presentation::default(), orders: 20, hardware, only_fitting: true, reference: None }
    }
}

impl VerifyOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How samples are presented.
    pub fn presentation(self, presentation: Presentation) -> Self {
        Self { presentation, ..self }
    }

    /// Random orders of the events of a tick.
    pub fn orders(self, orders: u32) -> Self {
        Self { orders, ..self }
    }

    /// Machines to run on, all of them.
    pub fn hardware(self, hardware: Vec<Hardware>) -> Self {
        Self { hardware, only_fitting: false, ..self }
    }

    /// The network whose counts are expected, with the same nodes.
    pub fn reference(self, reference: Network) -> Self {
        Self { reference: Some(reference), ..self }
    }
}

/// Runs samples in many orders, with many delays and on machines, and compares every spike count with an integer pass
/// without time. Where `control` cancels, the answer is about the samples up to the first one that did not run.
///
/// ```
/// use megasim_ann::import::Model;
/// use megasim_convert::{Convert, ConvertOptions, LabelledSamples};
/// use megasim_data::Dataset;
/// use megasim_study::presentation::Presentation;
/// use megasim_study::verify::{VerifyOptions, verify};
/// # std::env::set_current_dir("../..")?;
///
/// let data = Dataset::open("examples/digits".as_ref())?;
/// let options = ConvertOptions::new().signed(Default::default())?.duration(10)?;
/// let converted = Model::open("examples/digits/digits_cnn.keras")?.convert(&data, &options)?;
/// let samples = LabelledSamples::test(&converted, &data, 0, Some(2))?;
/// let options = VerifyOptions::new().presentation(Presentation::of(&converted)?).orders(2);
/// let answer = verify(&converted, &samples, &options, &())?;
/// assert!(answer.signed && answer.totals().1 == 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If samples, network and machines do not go together, if a network has no counts without time, or if a run fails.
pub fn verify(
    converted: &ConvertedModel,
    samples: &LabelledSamples,
    options: &VerifyOptions,
    control: &dyn Control,
) -> Result<Results, VerifyError> {
    verify_of(&MachineInput::new(converted, samples, &options.presentation)?, options, control)
}

/// As [`verify`], of a network with its samples, however they were made.
///
/// # Errors
/// As there.
pub fn verify_of(input: &MachineInput, options: &VerifyOptions, control: &dyn Control) -> Result<Results, VerifyError> {
    let mut machines = Vec::with_capacity(options.hardware.len());
    for hardware in &options.hardware {
        let mapped = match input.on(hardware) {
            Err(error) if options.only_fitting => {
                control.warn(&format!("left out: {error}"));
                continue;
            }
            mapped => mapped?,
        };
        let (network, machine, factor) = (mapped.network, mapped.resolved.machine, mapped.factor);
        machines.push(OnMachine { name: hardware.name().into(), network, machine, factor });
    }
    let setup = Setup {
        network: &input.network,
        trained: input.trained().filter(|_| options.reference.is_none()),
        reference: options.reference.as_ref().unwrap_or(&input.network),
        stimuli: &|sample, factor| input.stimuli(sample, factor),
        samples: input.samples(),
        orders: options.orders,
        seed: options.presentation.seed,
        machines: &machines,
        limits: options.presentation.limits,
    };
    control.start("verify", setup.samples);
    Ok(setup.run(control)?)
}
