//! How samples are shown, and by how many threads: the options that `classify` and all studies share.

use super::diagnostic;
use super::limits::{self, RunLimits};
use super::numbers::{count, input_rate};
use clap::Args;
use megasim::convert::{LabelledSamples, labelled_samples};
use megasim::dataset::SampleList;
use megasim::encode::registry::{self, Choice};
use megasim::encode::{Clock, DEFAULT_INPUT_RATE, DEFAULT_TICKS_PER_MS, SpikeEncoder};
use megasim::engine::Limits;
use megasim::parallel::Pool;
use megasim::study;
use miette::Result;
use serde_json::{Value, json};
use std::num::NonZeroU64;
use std::path::Path;
use std::str::FromStr;

/// Which samples, for how long, as what spikes.
#[derive(Debug, Clone, Args)]
pub struct Presentation {
    /// Take at most N test samples, or those of a list, as 5,17,100..200 (one alone: 7,); all where it is not given
    #[arg(long, value_name = "N|LIST", allow_negative_numbers = true)]
    pub samples: Option<TestSamples>,
    /// Leave out the first N test samples
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub skip: u64,
    /// Milliseconds per sample (default: the conversion's, else 100)
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub duration: u32,
    /// How pixels become spikes, as 'pso:max_f=100,k=8' (--help lists the codes; default: the conversion's, else
    /// regular)
    #[arg(long, value_name = "CODE", default_value = "regular",
        long_help = code_help() + "\nWhere it is not given: the code of the conversion, else regular")]
    pub encode: Choice,
    /// Spikes per second of a white pixel, in regular and poisson code; no pixel spikes more than once per millisecond.
    /// Biases act at the same rate
    #[arg(
        long,
        value_name = "HZ",
        default_value_t = DEFAULT_INPUT_RATE,
        value_parser = input_rate,
        allow_negative_numbers = true,
    )]
    pub input_rate: f64,
    /// Ticks per millisecond, over which the spikes of a millisecond are spread (default: the conversion's, else 10)
    #[arg(
        long,
        value_name = "N",
        default_value_t = DEFAULT_TICKS_PER_MS,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
    )]
    pub ticks_per_ms: u32,
    /// Seed of random spikes
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    #[command(flatten)]
    run_limits: RunLimits,
    #[command(flatten)]
    pub threads: Threads,
}

/// `--samples`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestSamples {
    /// At most this number.
    Most(NonZeroU64),
    /// These.
    Listed(SampleList),
}

impl FromStr for TestSamples {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains([',', '.']) {
            return text.parse().map(Self::Listed);
        }
        text.parse().map(Self::Most).map_err(|_| {
            format!("expected a number of samples above 0, or a list of samples as 5,17,100..200, found '{text}'")
        })
    }
}

/// Which samples of a set are shown.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// From a number on.
    From {
        /// How many are left out.
        skip: usize,
        /// At most this number.
        most: Option<usize>,
    },
    /// These.
    Listed(&'a SampleList),
}

impl Wanted<'_> {
    /// Reads them; `read` gives samples from a number on, at most a number of them.
    ///
    /// # Errors
    /// What `read` reports; a sample that is not there.
    pub fn read(
        self,
        mut read: impl FnMut(usize, Option<usize>) -> Result<LabelledSamples, labelled_samples::Error>,
    ) -> miette::Result<LabelledSamples> {
        match self {
            Self::From { skip, most } => read(skip, most),
            Self::Listed(list) => LabelledSamples::listed(list, |skip, most| read(skip, Some(most))),
        }
        .map_err(diagnostic::report)
    }
}

/// The number of threads.
#[derive(Debug, Clone, Args)]
pub struct Threads {
    /// Threads; as many as there are processors where it is not given. They change the time, not the results
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    threads: Option<u16>,
}

impl Threads {
    /// The number that was given.
    pub fn given(&self) -> Option<u16> {
        self.threads
    }

    /// The threads of the whole command.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn pool(&self) -> Result<Pool, rayon::ThreadPoolBuildError> {
        Pool::new(self.threads.map_or(0, usize::from))
    }
}

/// What `--encode` takes.
pub fn code_help() -> String {
    format!(
        "How pixels become spikes: a code, with parameters as in 'pso:max_f=100,k=8'. There are
{}",
        registry::help()
    )
}

impl Presentation {
    /// The code, with its rate and seed.
    ///
    /// # Errors
    /// If it is a file that makes no code.
    pub fn code(&self) -> Result<Box<dyn SpikeEncoder>> {
        self.presented().code().map_err(|error| diagnostic::code(&error))
    }

    /// As the library takes it.
    pub fn presented(&self) -> study::presentation::Presentation {
        study::presentation::Presentation {
            duration: self.duration,
            encode: self.encode.clone(),
            input_rate: self.input_rate,
            ticks_per_ms: self.ticks_per_ms,
            seed: self.seed,
            limits: self.limits(),
        }
    }

    /// The file of equations that holds the code, if it is not built in: an input of the run.
    pub fn code_file(&self) -> Option<&Path> {
        self.encode.file()
    }

    /// The code as it was asked for.
    pub fn code_name(&self) -> String {
        self.encode.to_string()
    }

    /// Where the run of a sample is stopped.
    pub fn limits(&self) -> Limits {
        self.run_limits.of_samples()
    }

    /// How long, and how fine.
    pub fn clock(&self) -> Clock {
        Clock { duration: self.duration, ticks_per_ms: self.ticks_per_ms }
    }

    /// Which samples are shown.
    pub fn wanted(&self) -> Wanted<'_> {
        let skip = count(self.skip);
        match &self.samples {
            Some(TestSamples::Listed(list)) => Wanted::Listed(list),
            Some(TestSamples::Most(most)) => Wanted::From { skip, most: Some(count(most.get())) },
            None => Wanted::From { skip, most: None },
        }
    }

    /// What the record of the run says: every parameter, but for the number of threads, which changes nothing, the
    /// seed, which has its own place, and the number of samples, which only the data tell.
    pub fn parameters(&self) -> Value {
        let mut parameters = json!({
            "skip": self.skip,
            "duration": self.duration,
            "encode": self.encode.to_string(),
            "input_rate": self.input_rate,
            "bias_period_ms": self.code().ok().map(|code| code.bias_period(self.clock())),
            "ticks_per_ms": self.ticks_per_ms,
        });
        if let Some(TestSamples::Listed(list)) = &self.samples {
            parameters["samples_listed"] = json!(list.to_string());
        }
        limits::record(self.limits(), &mut parameters);
        parameters
    }
}
