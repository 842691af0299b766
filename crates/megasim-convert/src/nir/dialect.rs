//! The units that libraries write into NIR, as their exporters have them (snnTorch 1.0, Norse 1.1, sinabs 3.1,
//! Rockpool 3.1).

use super::NirOptions;
use crate::spiking::Dialect;
use megasim_ann::nir::{Neurons, Nir, Primitive};
use megasim_core::network::Reset;

/// A step, and how potentials decay in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Units {
    /// The library.
    pub dialect: Dialect,
    /// A step in the unit of time of the file.
    pub dt: f64,
    /// Whether neither the file nor the caller said it.
    pub(super) guessed: bool,
}

/// What is lost of a distance in a step, and the weight of an input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// From 0 to 1.
    pub loss: f64,
    /// A factor.
    pub gain: f64,
}

impl Units {
    /// The units of a file.
    pub fn of(nir: &Nir, options: &NirOptions) -> Self {
        let said =
            nir.metadata.get("dt").and_then(|dt| dt.parse::<f64>().ok()).filter(|dt| dt.is_finite() && *dt > 0.0);
        // Files that megasim wrote for one library.
        let units = nir.metadata.get("units");
        let written_for =
            [Dialect::SnnTorch, Dialect::Sinabs].into_iter().find(|it| units.is_some_and(|units| units == it.name()));
        let dialect = match (options.dialect, written_for) {
            (Dialect::Auto, Some(library)) => library,
            (Dialect::Auto, None) if said.is_some() || options.dt.is_some() => Dialect::Norse,
            (Dialect::Auto, None) => looks_like(nir),
            (given, _) => given,
        };
        // The readers of these libraries have one step, whatever a file says of seconds.
        let said = said.filter(|_| !matches!(dialect, Dialect::SnnTorch | Dialect::Sinabs));
        let guessed =
            options.dialect == Dialect::Auto && options.dt.is_none() && said.is_none() && written_for.is_none();
        Self { dialect, dt: options.dt.or(said).unwrap_or(dialect.step()), guessed }
    }

    /// A step of a membrane with time constant `tau` and resistance `r`.
    pub(super) fn membrane(&self, tau: f64, r: f64) -> Step {
        let part = self.dt / tau;
        // What is nothing in the single precision of these libraries: neurons without leak are written so.
        let single = |loss: f64| if (1.0 - loss) as f32 == 1.0 { 0.0 } else { loss };
        match self.dialect {
            Dialect::SnnTorch => Step { loss: single(part), gain: r * part },
            Dialect::Sinabs => Step { loss: single(-(-part).exp_m1()), gain: r },
            Dialect::Rockpool => Step { loss: -(-part).exp_m1(), gain: r * part },
            Dialect::Auto | Dialect::Norse => Step { loss: part, gain: r * part },
        }
    }

    /// What a synaptic current loses in a step.
    pub(super) fn synapse(&self, tau: f64) -> f64 {
        let part = self.dt / tau;
        match self.dialect {
            Dialect::Sinabs | Dialect::Rockpool => -(-part).exp_m1(),
            Dialect::Auto | Dialect::SnnTorch | Dialect::Norse => part,
        }
    }
}

/// What the time constants of a file look like.
fn looks_like(nir: &Nir) -> Dialect {
    let leaky = nir.graph.nodes.iter().filter_map(|node| match &node.primitive {
        Primitive::Neurons(neurons) => neurons.leak.as_ref().map(|(tau, _)| (&**neurons, tau)),
        _ => None,
    });
    let leaky: Vec<_> = leaky.collect();
    let all = |holds: &dyn Fn(f64, f64) -> bool| {
        !leaky.is_empty()
            && leaky.iter().all(|(Neurons { r, .. }, tau)| {
                tau.iter().enumerate().all(|(k, &tau)| {
                    let r = if r.len() == 1 { r.first() } else { r.iter().nth(k) };
                    r.is_some_and(|&r| holds(tau, r))
                })
            })
    };
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-3 * b.abs();
    if all(&|tau, r| near(r, tau / 1e-4)) {
        Dialect::SnnTorch
    } else if all(&|tau, r| near(r, tau * (-1e-3 / tau).exp() / 1e-3)) {
        Dialect::Rockpool
    } else if all(&|tau, r| tau >= 1.0 && near(r, 1.0)) {
        Dialect::Sinabs
    } else {
        Dialect::Norse
    }
}

/// What a spike does, and why, where it is a choice.
pub(super) fn reset(nir: &Nir, options: &NirOptions, dialect: Dialect) -> (Reset, Option<&'static str>) {
    if let Some(reset) = options.reset {
        return (reset, None);
    }
    match (nir.metadata.get("reset").map(String::as_str), dialect) {
        (Some("subtract"), _) => (Reset::Subtract, None),
        (Some("zero"), _) => (Reset::ToRest, None),
        (_, Dialect::Sinabs) => (Reset::Subtract, Some("as sinabs does")),
        _ => (Reset::ToRest, Some("as NIR defines it")),
    }
}
