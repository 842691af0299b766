//! `--readout`, `--k`, `--confidence`: how a class is decided.

use crate::cli::numbers::positive;
use clap::{Args, ValueEnum};
use megasim::convert::OutputForm;
use megasim::network::{Network, NodeId};
use megasim::readout::{ReadOut, is_signed};
use miette::Result;
use serde_json::{Value, json};
use std::num::NonZeroU32;

/// The names of the read-out that has a number of spikes.
const NEEDS_K: [(&str, &str); 2] = [("readout", "k_spikes"), ("readout", "time_to_k_spikes")];

/// What a read-out by the first to have k spikes says without k.
const NO_K: &str = "--readout k_spikes: expected --k K, the number of spikes that decide, found none";

/// What count and rest says of neurons that have none.
const NOT_SIGNED: &str =
    "--readout count_and_rest: expected signed neurons ('megasim convert --neuron signed'), found others";

/// How a class is decided, and when a run stops.
#[derive(Debug, Clone, Default, Args)]
pub struct ReadOutArguments {
    /// What decides: most spikes, the first spike, the first to have --k spikes, or the highest membrane potential of
    /// an output that does not spike; where it is not given most spikes, or the potentials of a network of
    /// 'convert --output potential'
    #[arg(long, value_enum)]
    pub(super) readout: Option<ReadOutArgument>,
    /// Spikes that decide, with --readout k_spikes
    #[arg(long, value_name = "K", required_if_eq_any(NEEDS_K))]
    pub(super) k: Option<NonZeroU32>,
    /// Stop as soon as the first class leads the second by so much: spikes with spike_count, thresholds with
    /// membrane_potential
    #[arg(long, value_name = "MARGIN", value_parser = positive)]
    pub(super) confidence: Option<f64>,
}

/// How spikes decide, where runs do not stop.
#[derive(Debug, Clone, Default, Args)]
pub struct SpikeReadOut {
    /// What decides: most spikes, the first spike, or the first to have --k spikes; where it is not given most spikes,
    /// of signed neurons count and rest. Runs go on to their end
    #[arg(long, value_enum)]
    readout: Option<ReadOutArgument>,
    /// Spikes that decide, with --readout k_spikes
    #[arg(long, value_name = "K", required_if_eq_any(NEEDS_K))]
    k: Option<NonZeroU32>,
}

impl SpikeReadOut {
    /// Whether a rule was asked for.
    pub fn is_given(&self) -> bool {
        self.readout.is_some() || self.k.is_some()
    }

    /// The rule, `signed` where it is about counts of signed neurons.
    ///
    /// # Errors
    /// If something else than spikes decides, or what does not go together.
    pub fn rule(&self, signed: bool) -> Result<ReadOut> {
        match (self.readout(signed), self.k) {
            (ReadOutArgument::MembranePotential, _) => miette::bail!(
                "--readout: expected spike_count, first_spike, k_spikes or count_and_rest, found membrane_potential, \
                    which silences the output; 'megasim classify' reads it"
            ),
            (ReadOutArgument::KSpikes, Some(k)) => Ok(ReadOut::KSpikes(k)),
            (_, Some(_)) => miette::bail!("--k goes with --readout k_spikes"),
            (ReadOutArgument::KSpikes, None) => miette::bail!(NO_K),
            (ReadOutArgument::CountAndRest, None) if !signed => miette::bail!(NOT_SIGNED),
            (ReadOutArgument::CountAndRest, None) => Ok(ReadOut::CountAndRest),
            (ReadOutArgument::FirstSpike, None) => Ok(ReadOut::FirstSpike),
            (ReadOutArgument::SpikeCount, None) => Ok(ReadOut::default()),
        }
    }

    fn readout(&self, signed: bool) -> ReadOutArgument {
        let suiting = if signed { ReadOutArgument::CountAndRest } else { ReadOutArgument::SpikeCount };
        self.readout.unwrap_or(suiting)
    }

    /// The rule, for the record of a run.
    pub fn parameter(&self, signed: bool) -> String {
        match self.k {
            Some(k) => format!("{} {k}", self.readout(signed)),
            None => self.readout(signed).to_string(),
        }
    }
}

/// `--readout`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum ReadOutArgument {
    #[default]
    SpikeCount,
    #[value(alias = "time_to_first_spike")]
    FirstSpike,
    #[value(alias = "time_to_k_spikes")]
    KSpikes,
    /// Of signed neurons: the count, and of equal counts what is left in the potential
    CountAndRest,
    MembranePotential,
}

impl std::fmt::Display for ReadOutArgument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

impl ReadOutArguments {
    /// Whether anything was asked for.
    pub fn is_given(&self) -> bool {
        self.readout.is_some() || self.k.is_some() || self.confidence.is_some()
    }

    /// The same with another value for `readout`, `k` or `confidence`.
    ///
    /// # Errors
    /// What was expected.
    pub fn with(&self, key: &str, value: &str) -> std::result::Result<Self, String> {
        let mut changed = self.clone();
        match key {
            "readout" => changed.readout = Some(ReadOutArgument::from_str(value, true)?),
            "k" => changed.k = Some(value.parse().map_err(|_| "expected a whole number above 0".to_string())?),
            _ => changed.confidence = Some(positive(value)?),
        }
        Ok(changed)
    }

    /// What was asked for, for the record of a run.
    pub fn parameters(&self) -> Value {
        json!({ "readout": self.readout.map(|it| it.to_string()), "k": self.k, "confidence": self.confidence })
    }

    /// What decides on an output of some form: what was asked for, or what suits it.
    ///
    /// # Errors
    /// Where spikes are asked of an output that has none.
    pub(super) fn readout(&self, form: OutputForm, signed: bool) -> Result<ReadOutArgument> {
        let suiting = match form.spikes() {
            // A tie of counts is decided by what is left, which no order changes, and not by time.
            true if signed && self.confidence.is_none() => ReadOutArgument::CountAndRest,
            true => ReadOutArgument::SpikeCount,
            false => ReadOutArgument::MembranePotential,
        };
        let readout = self.readout.unwrap_or(suiting);
        if !form.spikes() && readout != suiting {
            miette::bail!(
                "--readout: expected membrane_potential, as the output was converted to gather potentials and never \
                    spikes, found {readout}"
            );
        }
        Ok(readout)
    }

    /// The rule; margins of potentials in parts of this threshold.
    ///
    /// # Errors
    /// Where spikes are asked of an output that has none.
    pub fn rule(&self, form: OutputForm, threshold: i32, signed: bool) -> Result<ReadOut> {
        Ok(match self.readout(form, signed)? {
            ReadOutArgument::SpikeCount => {
                // The next whole number of spikes.
                let margin = self.confidence.map(|margin| margin.ceil().min(f64::from(u32::MAX)) as u32);
                ReadOut::SpikeCount { margin: margin.and_then(NonZeroU32::new) }
            }
            ReadOutArgument::FirstSpike => ReadOut::FirstSpike,
            ReadOutArgument::CountAndRest => ReadOut::CountAndRest,
            ReadOutArgument::KSpikes => match self.k {
                Some(k) => ReadOut::KSpikes(k),
                None => miette::bail!(NO_K),
            },
            ReadOutArgument::MembranePotential => {
                let margin = self.confidence.map(|margin| ((margin * f64::from(threshold)) as i64).max(1));
                ReadOut::MembranePotential { margin }
            }
        })
    }

    /// Refuses a count and rest of neurons that are not signed.
    ///
    /// # Errors
    /// If they are not.
    pub fn check_signed(&self, network: &Network, output: NodeId) -> Result<()> {
        if self.readout == Some(ReadOutArgument::CountAndRest) && !is_signed(network, output) {
            miette::bail!(NOT_SIGNED);
        }
        Ok(())
    }

    /// Refuses the first to have k spikes without k.
    ///
    /// # Errors
    /// What is missing.
    pub fn check_k(&self) -> Result<()> {
        match (self.readout, self.k) {
            (Some(ReadOutArgument::KSpikes), None) => miette::bail!(NO_K),
            _ => Ok(()),
        }
    }

    /// Refuses what does not go together.
    ///
    /// # Errors
    /// What that is.
    pub fn check(&self) -> Result<()> {
        self.check_k()?;
        if self.k.is_some() && self.readout != Some(ReadOutArgument::KSpikes) {
            miette::bail!("--k goes with --readout k_spikes");
        }
        if self.confidence.is_some()
            && matches!(
                self.readout,
                Some(ReadOutArgument::FirstSpike | ReadOutArgument::KSpikes | ReadOutArgument::CountAndRest)
            )
        {
            miette::bail!(
                "--confidence goes with --readout spike_count and membrane_potential; other read-outs decide at the \
                    first spikes or at the end"
            );
        }
        Ok(())
    }
}
