//! Neurons of NIR in steps: what they lose, weigh and need, one number for all or one each.

use super::dialect::Units;
use super::signal::Signal;
use megasim_ann::nir::Neurons;
use megasim_core::network::Reset;
use ndarray::ArrayD;

/// How far a time constant may be from a whole number of steps.
const WHOLE: f64 = 1e-3;

/// One number for all neurons, or one each.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Numbers(Vec<f64>);

impl Numbers {
    pub fn one(number: f64) -> Self {
        Self(vec![number])
    }

    /// The numbers of an array for `n` neurons.
    pub fn new(name: &str, array: &ArrayD<f64>, n: usize) -> Result<Self, String> {
        if array.len() == 1 || array.len() == n {
            return Ok(Self(array.iter().copied().collect()));
        }
        Err(format!("{name}: expected one number or {n}, as there are neurons, found shape {:?}", array.shape()))
    }

    pub fn at(&self, k: usize) -> f64 {
        if self.0.len() == 1 { self.0[0] } else { self.0[k] }
    }

    fn with(&self, other: &Self, of: impl Fn(f64, f64) -> f64) -> Self {
        let n = self.0.len().max(other.0.len());
        Self((0..n).map(|k| of(self.at(k), other.at(k))).collect())
    }
}

/// What neurons do where their potential is above the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// They spike, and are reset.
    Spike(Reset),
    /// They spike in each step, and are not reset.
    Level,
    /// Nothing: they have no threshold.
    Gather,
}

/// Neurons behind a weighted sum of spikes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Population {
    /// Their input, in units of their potentials.
    pub input: Signal,
    pub behaviour: Behaviour,
    pub threshold: Numbers,
    pub reset_to: Numbers,
    pub rest: Numbers,
    /// What is lost of the distance to rest in a step.
    pub loss: Numbers,
    /// The time constant of a synaptic current in steps; 0 without one.
    pub mask_tau: Numbers,
}

impl Population {
    /// Neurons with this input.
    pub fn new(neurons: &Neurons, input: Signal, units: &Units, reset: Reset) -> Result<Self, String> {
        let n = input.shape.len();
        let new = |name, array| Numbers::new(name, array, n);
        let mut gain = new("r", &neurons.r)?;
        let (mut loss, mut rest) = (Numbers::one(0.0), Numbers::one(0.0));
        if let Some((tau, v_leak)) = &neurons.leak {
            let tau = new("tau", tau)?;
            rest = new("v_leak", v_leak)?;
            loss = tau.with(&gain, |tau, r| units.membrane(tau, r).loss);
            gain = tau.with(&gain, |tau, r| units.membrane(tau, r).gain);
            if let Some(loss) = loss.0.iter().find(|loss| **loss > 1.0) {
                return Err(shorter("tau", units, *loss));
            }
        }
        let mut mask_tau = Numbers::one(0.0);
        if let Some((tau, w_in)) = &neurons.synapse {
            let tau = new("tau_syn", tau)?;
            gain = gain.with(&new("w_in", w_in)?, |gain, w_in| gain * w_in);
            if let Some(loss) = tau.0.iter().map(|&tau| units.synapse(tau)).find(|loss| *loss > 1.0) {
                return Err(shorter("tau_syn", units, loss));
            }
            let mut steps = Vec::with_capacity(tau.0.len());
            for &tau in &tau.0 {
                let exact = 1.0 / units.synapse(tau);
                let whole = exact.round();
                if (exact - whole).abs() > WHOLE * exact || whole > f64::from(i32::MAX) {
                    return Err(format!(
                        "tau_syn: expected a current that loses one part in a whole number per step (mask_tau), found \
                         {exact:.4} (tau_syn {tau}, dt {})",
                        units.dt
                    ));
                }
                // A current that is gone after a step is the input itself.
                steps.push(if whole <= 1.0 { 0.0 } else { whole });
            }
            mask_tau = Numbers(steps);
        }
        let (mut threshold, mut reset_to) = (Numbers::one(f64::INFINITY), Numbers::one(0.0));
        let mut behaviour = Behaviour::Gather;
        if let Some((v_threshold, v_reset)) = &neurons.spikes {
            threshold = new("v_threshold", v_threshold)?;
            reset_to = v_reset.as_ref().map(|array| new("v_reset", array)).transpose()?.unwrap_or(reset_to);
            let highest = |k: usize| if reset == Reset::ToRest { reset_to.at(k) } else { 0.0 };
            if let Some(k) = (0..n).find(|&k| threshold.at(k) < highest(k)) {
                let (expected, found) = (highest(k), threshold.at(k));
                return Err(format!(
                    "v_threshold: expected at least {expected}, where a spike leaves the potential, found {found}"
                ));
            }
            behaviour = Behaviour::Spike(reset);
        }
        let input = input.scaled(|k| gain.at(k))?;
        Ok(Self { input, behaviour, threshold, reset_to, rest, loss, mask_tau })
    }

    /// A comparison of the input of each step.
    pub fn comparing(threshold: &ArrayD<f64>, input: Signal) -> Result<Self, String> {
        let threshold = Numbers::new("threshold", threshold, input.shape.len())?;
        let zero = Numbers::one(0.0);
        Ok(Self {
            input,
            behaviour: Behaviour::Spike(Reset::ToRest),
            threshold,
            reset_to: zero.clone(),
            rest: zero.clone(),
            loss: Numbers::one(1.0),
            mask_tau: zero,
        })
    }

    /// These neurons without a threshold, with one.
    pub fn compared(self, threshold: &ArrayD<f64>) -> Result<Self, String> {
        let threshold = Numbers::new("threshold", threshold, self.input.shape.len())?;
        Ok(Self { threshold, behaviour: Behaviour::Level, ..self })
    }
}

fn shorter(name: &str, units: &Units, loss: f64) -> String {
    format!(
        "{name}: expected a time constant of a step ({}) or more, found one of {:.3} steps; --dt and --nir-dialect say \
         how long a step is",
        units.dt,
        1.0 / loss
    )
}
