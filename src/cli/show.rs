//! `--show` and `--sample`: which layers, neurons and sample a page shows in full.

use clap::Args;
use megasim::network::Network;
use megasim::study::layers::Layer;
use megasim::study::showing::{NeuronSelection, shown};
use miette::Result;
use serde_json::{Value, json};

/// What a page shows in full.
#[derive(Debug, Clone, Default, Args)]
pub struct ShowArguments {
    /// Layer whose spikes and potentials the page shows, in place of all layers; with MAP,Y,X (addresses) the potential
    /// of that neuron; may be given several times
    #[arg(long, value_name = "LAYER[:MAP,Y,X]", requires = "report")]
    show: Vec<String>,
    /// The sample, by its number, whose input, spikes and potentials the page shows first; where it is not given, the
    /// first one on which the modes disagree, or the first one
    #[arg(long, value_name = "I", requires = "report")]
    sample: Option<u64>,
}

impl ShowArguments {
    /// The layers and neurons.
    ///
    /// # Errors
    /// If there is no such layer or neuron.
    pub fn neurons(&self, layers: &[Layer], network: &Network) -> Result<Vec<NeuronSelection>> {
        shown(self.show.iter().map(String::as_str), layers, network).map_err(|error| miette::miette!("--show: {error}"))
    }

    /// Which of `n` samples it is; `number` gives the numbers of all of them.
    ///
    /// # Errors
    /// If it is none of these.
    pub fn place(&self, n: usize, number: impl Fn(usize) -> u64) -> Result<Option<usize>> {
        let Some(asked) = self.sample else { return Ok(None) };
        let found = (0..n).find(|&k| number(k) == asked).ok_or_else(|| {
            let range = match n {
                0 => "none is".to_string(),
                1 => format!("number {}", number(0)),
                n => format!("{n} from {} to {}", number(0), number(n - 1)),
            };
            miette::miette!("--sample: expected the number of a sample that is run ({range}), found {asked}")
        })?;
        Ok(Some(found))
    }

    /// Adds what the record of a run says.
    pub fn parameters(&self, parameters: &mut Value) {
        parameters["sample"] = json!(self.sample);
        parameters["show"] = json!(self.show);
    }
}
