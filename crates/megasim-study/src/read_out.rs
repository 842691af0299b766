//! How a class is decided, as a person asks for it, before the output is known.

use megasim_convert::OutputForm;
use megasim_convert::numbers::positive;
use megasim_core::network::{Network, NodeId};
use megasim_core::readout::{ReadOut, is_signed};
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// What decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// Most spikes.
    #[default]
    SpikeCount,
    /// The first spike.
    FirstSpike,
    /// The first to have a number of spikes.
    KSpikes,
    /// Of signed neurons: the count, and of equal counts what is left in the potential.
    CountAndRest,
    /// The highest membrane potential of an output that does not spike.
    MembranePotential,
}

/// The kinds, with the names under which they can be asked for, the first of which is written.
const NAMES: [(Kind, &[&str]); 5] = [
    (Kind::SpikeCount, &["spike_count"]),
    (Kind::FirstSpike, &["first_spike", "time_to_first_spike"]),
    (Kind::KSpikes, &["k_spikes", "time_to_k_spikes"]),
    (Kind::CountAndRest, &["count_and_rest"]),
    (Kind::MembranePotential, &["membrane_potential"]),
];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = NAMES.iter().find(|(kind, _)| kind == self);
        f.write_str(known.map_or("", |(_, names)| names[0]))
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let asked = text.to_lowercase();
        let known = NAMES.iter().find(|(_, names)| names.contains(&asked.as_str()));
        known.map(|(kind, _)| *kind).ok_or_else(|| {
            let names: Vec<_> = NAMES.iter().map(|(_, names)| names[0]).collect();
            format!("expected one of {}", names.join(", "))
        })
    }
}

/// Why a class cannot be decided like that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Spikes of an output that has none.
    #[error(
        "--readout: expected membrane_potential, as the output was converted to gather potentials and never spikes, \
         found {0}"
    )]
    NoSpikes(Kind),
    /// No number of spikes.
    #[error("--readout k_spikes: expected --k K, the number of spikes that decide, found none")]
    NoK,
    /// A number of spikes that nothing uses.
    #[error("--k goes with --readout k_spikes")]
    UnusedK,
    /// A margin that nothing uses.
    #[error(
        "--confidence goes with --readout spike_count and membrane_potential; other read-outs decide at the first \
         spikes or at the end"
    )]
    UnusedMargin,
    /// Count and rest of neurons that are not signed.
    #[error("--readout count_and_rest: expected signed neurons ('megasim convert --neuron signed'), found others")]
    NotSigned,
}

/// How a class is decided, and when a run stops.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ReadOutChoice {
    /// What decides; what suits the output where nothing is asked for.
    pub kind: Option<Kind>,
    /// Spikes that decide, of [`Kind::KSpikes`].
    pub k: Option<NonZeroU32>,
    /// A run stops as soon as the first class leads the second by this: spikes, or thresholds of potentials.
    pub margin: Option<f64>,
}

impl ReadOutChoice {
    /// Whether anything is asked for.
    pub fn is_given(&self) -> bool {
        *self != Self::default()
    }

    /// This choice with another value for `readout`, `k` or `confidence`.
    ///
    /// # Errors
    /// What was expected.
    pub fn with(mut self, key: &str, value: &str) -> Result<Self, String> {
        match key {
            "readout" => self.kind = Some(value.parse()?),
            "k" => self.k = Some(value.parse().map_err(|_| "expected a whole number above 0".to_string())?),
            _ => self.margin = Some(positive(value)?),
        }
        Ok(self)
    }

    /// What decides on an output of some form: what is asked for, or what suits it.
    ///
    /// # Errors
    /// Where spikes are asked of an output that has none.
    pub fn kind_for(&self, form: OutputForm, signed: bool) -> Result<Kind, Error> {
        let suiting = match form.spikes() {
            // A tie of counts is decided by what is left, which no order changes, and not by time.
            true if signed && self.margin.is_none() => Kind::CountAndRest,
            true if form == OutputForm::FirstSpike && self.margin.is_none() => Kind::FirstSpike,
            true => Kind::SpikeCount,
            false => Kind::MembranePotential,
        };
        let kind = self.kind.unwrap_or(suiting);
        if !form.spikes() && kind != suiting {
            return Err(Error::NoSpikes(kind));
        }
        Ok(kind)
    }

    /// The rule; margins of potentials in parts of this threshold.
    ///
    /// # Errors
    /// Where spikes are asked of an output that has none.
    pub fn rule(&self, form: OutputForm, threshold: i32, signed: bool) -> Result<ReadOut, Error> {
        Ok(match self.kind_for(form, signed)? {
            Kind::SpikeCount => {
                // The next whole number of spikes.
                let margin = self.margin.map(|margin| margin.ceil().min(f64::from(u32::MAX)) as u32);
                ReadOut::SpikeCount { margin: margin.and_then(NonZeroU32::new) }
            }
            Kind::FirstSpike => ReadOut::FirstSpike,
            Kind::CountAndRest => ReadOut::CountAndRest,
            Kind::KSpikes => ReadOut::KSpikes(self.k.ok_or(Error::NoK)?),
            Kind::MembranePotential => {
                let margin = self.margin.map(|margin| ((margin * f64::from(threshold)) as i64).max(1));
                ReadOut::MembranePotential { margin }
            }
        })
    }

    /// Refuses a count and rest of neurons that are not signed.
    ///
    /// # Errors
    /// If they are not.
    pub fn check_signed(&self, network: &Network, output: NodeId) -> Result<(), Error> {
        match self.kind {
            Some(Kind::CountAndRest) if !is_signed(network, output) => Err(Error::NotSigned),
            _ => Ok(()),
        }
    }

    /// Refuses the first to have k spikes without k.
    ///
    /// # Errors
    /// What is missing.
    pub fn check_k(&self) -> Result<(), Error> {
        match (self.kind, self.k) {
            (Some(Kind::KSpikes), None) => Err(Error::NoK),
            _ => Ok(()),
        }
    }

    /// Refuses what does not go together.
    ///
    /// # Errors
    /// What that is.
    pub fn check(&self) -> Result<(), Error> {
        self.check_k()?;
        if self.k.is_some() && self.kind != Some(Kind::KSpikes) {
            return Err(Error::UnusedK);
        }
        let decides_otherwise = matches!(self.kind, Some(Kind::FirstSpike | Kind::KSpikes | Kind::CountAndRest));
        if self.margin.is_some() && decides_otherwise {
            return Err(Error::UnusedMargin);
        }
        Ok(())
    }
}
