//! What libraries make of NIR, as their readers are written (snnTorch 1.0.0, sinabs 3.1.3, Norse 1.1.0).

use super::{Error, unsupported};
use crate::export::{ExportOptions, Importer, PoolAs};
use crate::parsed::{Weights, Windows};
use crate::quantize::Quantization;
use crate::spiking::Dialect;
use megasim_ann::graph::Shape;
use megasim_core::network::Reset;
use ndarray::Array1;

/// What one library reads.
pub(super) struct Reads {
    importer: Option<Importer>,
    /// How averages are written.
    pub pool: PoolAs,
}

fn name(importer: Importer) -> &'static str {
    match importer {
        Importer::SnnTorch => "snnTorch",
        Importer::Sinabs => "sinabs",
        Importer::Norse => "Norse",
        Importer::Lava => "Lava",
    }
}

impl Reads {
    /// Refuses what does not depend on layers.
    pub fn new(options: &ExportOptions, quantization: &Quantization) -> Result<Self, Error> {
        let ExportOptions { importer, pool } = *options;
        let (reset, own) = (quantization.reset, importer.map(usual_pool));
        let network = |reason: String| Err(unsupported("all", reason));
        match (importer, own, pool) {
            (Some(importer), Some(own), Some(pool)) if pool != own => {
                let word = if own == PoolAs::Sum { "sum" } else { "avg" };
                return network(format!("{} reads averages only with --nir-pool {word}", name(importer)));
            }
            _ => {}
        }
        match importer {
            Some(Importer::Sinabs) if reset != Reset::Subtract => {
                return network(
                    "sinabs resets by subtraction; 'megasim convert --reset subtract' does the same".into(),
                );
            }
            Some(importer @ (Importer::SnnTorch | Importer::Norse | Importer::Lava)) if reset != Reset::ToRest => {
                return network(format!(
                    "{} reads neurons that reset to 0; 'megasim convert --reset zero' does the same",
                    name(importer)
                ));
            }
            _ => {}
        }
        Ok(Self { importer, pool: pool.or(own).unwrap_or(PoolAs::Sum) })
    }

    /// What is not the same there.
    pub fn warnings(&self) -> Vec<String> {
        match self.importer {
            Some(Importer::Sinabs) => vec![
                "sinabs' neurons fire more than once in a step where their potential is beyond several thresholds; \
                 spike_fn=SingleSpike makes it once"
                    .into(),
            ],
            Some(importer @ (Importer::SnnTorch | Importer::Norse)) => vec![format!(
                "{} takes the first axis of a flattening for the batch; show samples without a batch axis",
                name(importer)
            )],
            _ => Vec::new(),
        }
    }

    /// The time constant and the resistance with which a leaky neuron is read as one without leak, by libraries that
    /// read `IF` as something else: snnTorch as a leak of 0.9, sinabs with a floor at the negative threshold.
    pub fn without_leak(&self) -> Option<(f64, f64)> {
        match self.importer {
            // beta = 1 - dt / tau is 1 in single precision, r dt / tau is 1.
            Some(Importer::SnnTorch) => Some((1e5, 1e9)),
            // exp(-1 / tau) is 1 in single precision.
            Some(Importer::Sinabs) => Some((1e9, 1.0)),
            _ => None,
        }
    }

    /// The library whose units the file has, where these are not seconds, and a step in them.
    pub fn units(&self) -> (Option<Dialect>, f64) {
        match self.importer {
            Some(Importer::SnnTorch) => (Some(Dialect::SnnTorch), Dialect::SnnTorch.step()),
            Some(Importer::Sinabs) => (Some(Dialect::Sinabs), Dialect::Sinabs.step()),
            _ => (None, Dialect::Auto.step()),
        }
    }

    /// The type of neurons without threshold.
    pub fn potentials(&self, layer: &str) -> Result<&'static str, Error> {
        match self.importer {
            None => Ok("I"),
            Some(importer) => {
                let reason =
                    format!("{} has no neurons that only integrate (I); --output relu has none", name(importer));
                Err(unsupported(layer, reason))
            }
        }
    }

    /// Refuses neurons of maps where neither form of them is read as it is meant.
    pub fn check_neurons(&self, layer: &str, shape: Shape) -> Result<(), Error> {
        match (self.importer, shape) {
            (Some(Importer::Sinabs), Shape::Maps { channels, height, width }) => {
                let reason = format!(
                    "sinabs 3.1.3 opens leaky neurons of vectors only, and reads IF neurons, their other form, with a \
                     floor at the negative threshold; found maps, {channels} x {height} x {width}"
                );
                Err(unsupported(layer, reason))
            }
            _ => Ok(()),
        }
    }

    /// Refuses weights that would be read as others, or not at all.
    pub fn check_weights(&self, layer: &str, weights: &Weights, bias: Option<&Array1<f32>>) -> Result<(), Error> {
        match (self.importer, weights) {
            (Some(Importer::Lava), Weights::Convolution { .. })
                if bias.is_some_and(|all| all.iter().any(|b| *b != 0.0)) =>
            {
                Err(unsupported(layer, "Lava's reader takes convolutions without bias only"))
            }
            (Some(importer), Weights::Convolution { groups, .. }) if *groups != 1 => {
                let reason = format!("{} misreads convolutions of groups, found {groups}", name(importer));
                Err(unsupported(layer, reason))
            }
            _ => Ok(()),
        }
    }

    /// Refuses windows that would be read as others.
    pub fn check_windows(&self, layer: &str, windows: &Windows) -> Result<(), Error> {
        match self.importer {
            Some(importer @ (Importer::Norse | Importer::Sinabs)) if windows.padding != Default::default() => {
                Err(unsupported(layer, format!("{} leaves out the padding of a pooling", name(importer))))
            }
            _ => Ok(()),
        }
    }
}

/// How a library reads averages.
fn usual_pool(importer: Importer) -> PoolAs {
    match importer {
        Importer::SnnTorch => PoolAs::Average,
        Importer::Sinabs | Importer::Norse | Importer::Lava => PoolAs::Sum,
    }
}
