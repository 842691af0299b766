//! `--readout`, `--k`, `--confidence`: how a class is decided.

use crate::cli::diagnostic::report;
use crate::cli::numbers::{from_one, positive};
use clap::{Args, ValueEnum};
use megasim::readout::ReadOut;
use megasim::study::read_out::{self, Kind, ReadOutChoice};
use miette::Result;
use serde_json::{Value, json};
use std::num::NonZeroU32;

/// The names of the read-out that has a number of spikes.
const NEEDS_K: [(&str, &str); 2] = [("readout", "k_spikes"), ("readout", "time_to_k_spikes")];

/// How a class is decided, and when a run stops.
#[derive(Debug, Clone, Default, Args)]
pub struct ReadOutArguments {
    /// What decides: most spikes, the first spike, the first to have --k spikes, or the highest membrane potential of
    /// an output that does not spike; where it is not given most spikes, or the potentials of a network of
    /// 'convert --output potential'
    #[arg(long, value_enum)]
    pub(super) readout: Option<ReadOutArgument>,
    /// Spikes that decide, with --readout k_spikes
    #[arg(long, value_name = "K", required_if_eq_any(NEEDS_K), value_parser = from_one::<NonZeroU32>)]
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
    #[arg(long, value_name = "K", required_if_eq_any(NEEDS_K), value_parser = from_one::<NonZeroU32>)]
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
            (ReadOutArgument::KSpikes, None) => Err(report(read_out::Error::NoK)),
            (ReadOutArgument::CountAndRest, None) if !signed => Err(report(read_out::Error::NotSigned)),
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

impl From<ReadOutArgument> for Kind {
    fn from(argument: ReadOutArgument) -> Self {
        match argument {
            ReadOutArgument::SpikeCount => Self::SpikeCount,
            ReadOutArgument::FirstSpike => Self::FirstSpike,
            ReadOutArgument::KSpikes => Self::KSpikes,
            ReadOutArgument::CountAndRest => Self::CountAndRest,
            ReadOutArgument::MembranePotential => Self::MembranePotential,
        }
    }
}

impl ReadOutArguments {
    /// As the library takes it.
    pub fn choice(&self) -> ReadOutChoice {
        ReadOutChoice { kind: self.readout.map(Kind::from), k: self.k, margin: self.confidence }
    }

    /// What was asked for, for the record of a run.
    pub fn parameters(&self) -> Value {
        json!({ "readout": self.readout.map(|it| it.to_string()), "k": self.k, "confidence": self.confidence })
    }
}
