//! A custom neuron: integer equations in a TOML file.

use crate::equations::{LANES, Lanes, System, Vocabulary};
use crate::source_error::TextError;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use super::NeuronParameters;

/// What such a file may say.
const VOCABULARY: Vocabulary = Vocabulary {
    what: "neuron",
    inputs: &[
        "input",
        "elapsed",
        "THplus",
        "THminus",
        "MembReset",
        "resting_potential",
        "TLplus",
        "TLminus",
        "leak_decay",
    ],
    choices: &[],
    negative: true,
};

/// Slots of the inputs, after those of the variables.
const INPUT: usize = 0;
const ELAPSED: usize = 1;
const PARAMETERS: usize = 2;

/// The equations of neurons, and the text that they come from. The first variable is the membrane potential.
///
/// ```
/// use megasim_network::network::NeuronModel;
/// let text = r#"
/// [state]
/// v = 0
/// [update]
/// v = "v + input"
/// [spike]
/// when = "v >= THplus"
/// reset.v = "v - THplus"
/// "#;
/// assert_eq!(NeuronModel::parse("neuron_1.toml".as_ref(), text)?.system().states(), ["v"]);
/// # Ok::<(), Box<megasim_network::source_error::TextError>>(())
/// ```
#[derive(Debug, Clone)]
pub struct NeuronModel {
    path: PathBuf,
    text: String,
    system: System<i64>,
}

/// Of the same text.
impl PartialEq for NeuronModel {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl NeuronModel {
    /// Reads a text; `path` is its name in errors.
    ///
    /// # Errors
    /// The place of the error, what was expected there, and a hint.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Box<TextError>> {
        Ok(Self { path: path.into(), text: text.into(), system: System::parse(path, text, &VOCABULARY, &[])? })
    }

    /// The file of that number, in the directory of the schematic.
    pub fn file_name(number: NonZeroU32) -> String {
        format!("neuron_{number}.toml")
    }

    /// A line of the file, as messages name it.
    pub fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    /// What the file says.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its equations.
    pub fn system(&self) -> &System<i64> {
        &self.system
    }

    /// Room for the numbers of all names, those of a module's parameters filled in.
    pub fn slots(&self, parameters: &NeuronParameters) -> Vec<Lanes<i64>> {
        let mut slots = self.system.slots();
        let numbers = [
            parameters.threshold_plus,
            parameters.threshold_minus,
            parameters.membrane_reset,
            parameters.rest(),
            parameters.leak_plus,
            parameters.leak_minus,
            parameters.leak_decay,
        ];
        let first = self.system.states().len() + PARAMETERS;
        for (slot, number) in slots[first..].iter_mut().zip(numbers) {
            *slot = [number.into(); LANES];
        }
        slots
    }

    /// The slot of `input`: the weight of a touch, with its sign; clocked, the sum of the step.
    pub fn input(&self) -> usize {
        self.system.states().len() + INPUT
    }

    /// The slot of `elapsed`: ticks since the last update.
    pub fn elapsed(&self) -> usize {
        self.system.states().len() + ELAPSED
    }
}
