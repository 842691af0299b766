//! Options of a conversion that is made for presentations of one duration.

use crate::cli::diagnostic::{self, report};
use crate::cli::progress::Progress;
use clap::{Args, ValueEnum};
use megasim::convert::calibrate::Correction;
use megasim::convert::manifest::{CalibrationMode, Presentation, PresentationError};
pub use megasim::convert::presentation::Error;
use megasim::convert::{Conversion, PresentationOptions, ScaleBy};
use megasim::encode::registry::Choice;
use megasim::encode::{SampleKind, SpikeEncoder};
use megasim::engine::Mode;
use megasim::readout::{ReadOut, is_signed};
use megasim::study::classification::{Setup, outcomes};
use miette::{Report, Result};
use std::num::NonZeroUsize;

/// Share of decisions as the analog network's below which a conversion is called poor.
const GOOD_AGREEMENT: f64 = 0.97;

/// What `convert` takes about the presentation.
#[derive(Debug, Args)]
pub struct PresentationArguments {
    /// Convert for presentations of so many milliseconds: potentials start at half a threshold, scales have the least
    /// squared error, and layers are calibrated on spikes. 'classify' and the studies take the duration from the
    /// netfiles
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    duration: Option<u32>,
    /// How the input is presented; 'classify' and the studies take it from the netfiles
    #[arg(long, value_name = "CODE", requires = "duration")]
    encode: Option<Choice>,
    /// What is corrected by spikes of the normalisation set; initial potentials where not given, with --neuron signed
    /// biases
    #[arg(long, value_enum, requires = "duration")]
    calibrate: Option<CorrectionArgument>,
    /// The mode whose spikes correct; event where not given, with --neuron signed clocked, whose counts are equal
    #[arg(long, value_enum, requires = "duration")]
    calibrate_for: Option<ModeArgument>,
    /// Samples of the normalisation set that calibration runs; 256 where not given
    #[arg(long, value_name = "N", requires = "duration")]
    calibration_samples: Option<NonZeroUsize>,
    /// How the scale of a layer is chosen: a percentile of its activations, or the least squared error of the counts of
    /// a presentation; with --duration the latter where not given
    #[arg(long, value_enum, requires = "duration", conflicts_with_all = ["scales", "weighting"])]
    scale_by: Option<ScaleArgument>,
}

/// `--calibrate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CorrectionArgument {
    None,
    Bias,
    Potential,
    Both,
}

/// `--calibrate-for`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModeArgument {
    Event,
    Clocked,
}

/// `--scale-by`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScaleArgument {
    Percentile,
    Mse,
}

impl PresentationArguments {
    /// As the library takes them; none where no duration is given.
    pub fn options(&self) -> Option<PresentationOptions> {
        let mut options = PresentationOptions::new(self.duration?);
        if let Some(code) = &self.encode {
            options.encode = code.clone();
        }
        options.calibrate = self.calibrate.map(|correction| match correction {
            CorrectionArgument::None => Correction::None,
            CorrectionArgument::Bias => Correction::Bias,
            CorrectionArgument::Potential => Correction::Potential,
            CorrectionArgument::Both => Correction::Both,
        });
        options.calibrate_for = self.calibrate_for.map(|mode| match mode {
            ModeArgument::Event => CalibrationMode::Event,
            ModeArgument::Clocked => CalibrationMode::Clocked,
        });
        options.calibration_samples = self.calibration_samples;
        options.scale_by = self.scale_by.map(|scale| match scale {
            ScaleArgument::Percentile => ScaleBy::Percentile,
            ScaleArgument::Mse => ScaleBy::LeastSquares,
        });
        Some(options)
    }
}

/// Why a conversion cannot be made for a presentation, with the line of a file that is at fault.
pub fn reported(error: &Error) -> Report {
    match error {
        Error::Code(PresentationError::Code(error)) => diagnostic::code(error),
        _ => report(error),
    }
}

fn code(presentation: &Presentation) -> Result<Box<dyn SpikeEncoder>> {
    presentation.code().map_err(|error| match &error {
        PresentationError::Code(error) => diagnostic::code(error),
        _ => report(error),
    })
}

/// What the network decides as spikes, said in a sentence; empty where the conversion is made for no presentation.
///
/// # Errors
/// Where a run fails.
pub fn as_spikes(conversion: &Conversion) -> Result<String> {
    let converted = &conversion.converted;
    let (Some(presentation), Some(samples)) = (&converted.manifest().presentation, &conversion.first_samples) else {
        return Ok(String::new());
    };
    let code = code(presentation)?;
    let analog = converted.analog_classes(samples.view()).map_err(report)?;
    let signed = is_signed(converted.network(), converted.output());
    let setup = Setup {
        network: converted.network(),
        layout: converted.layout(),
        output: converted.output(),
        classes: converted.classes(),
        code: code.as_ref(),
        clock: presentation.clock(),
        read_out: if signed { ReadOut::CountAndRest } else { ReadOut::default() },
        kind: SampleKind::Still,
        limits: megasim::engine::Limits::of_samples(),
        savings: false,
    };
    let progress = Progress::to_the_end("as spikes", 2 * samples.nrows());
    let agreement = |mode| -> Result<f64> {
        let found = outcomes(&setup, samples.view(), 0, mode, &progress).map_err(report)?;
        let alike = found.iter().zip(&analog).filter(|(outcome, class)| outcome.decision.class() == Some(**class));
        Ok(alike.count() as f64 / analog.len().max(1) as f64)
    };
    let event = agreement(Mode::Event)?;
    let clocked = agreement(Mode::Clocked { dt: presentation.ticks_per_ms.into() })?;
    drop(progress);
    let duration = presentation.duration;
    let mut text = format!(
        "As spikes at {duration} ms, {} normalisation samples: decides as the analog network on {:.1} % in event mode \
         and {:.1} % in clocked mode.\n",
        analog.len(),
        100.0 * event,
        100.0 * clocked
    );
    if event.min(clocked) < GOOD_AGREEMENT {
        text += if signed {
            "A longer --duration or --encode current may help.\n"
        } else {
            "--neuron signed, a longer --duration or --encode current may help.\n"
        };
    }
    Ok(text)
}
