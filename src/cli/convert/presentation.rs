//! Options of a conversion that is made for presentations of one duration.

use crate::cli::diagnostic::{self, report};
use crate::cli::progress::Progress;
use clap::{Args, ValueEnum};
use megasim::convert::calibrate::Correction;
use megasim::convert::manifest::{Calibration, CalibrationMode, Presentation, PresentationError};
use megasim::convert::{Conversion, ConvertOptions, Weighting};
use megasim::encode::registry::Choice;
use megasim::encode::{SampleKind, SpikeEncoder};
use megasim::engine::Mode;
use megasim::readout::{ReadOut, is_signed};
use megasim::study::classification::{Setup, outcomes};
use miette::Result;
use std::num::NonZeroUsize;

/// The initial potential of such a conversion, in thresholds: it rounds counts instead of cutting them off.
const INITIAL_POTENTIAL: f64 = 0.5;
/// Samples of the normalisation set that calibration runs where nothing else is asked for.
const CALIBRATION_SAMPLES: usize = 256;
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
    /// Where potentials start, unless it is given.
    pub fn initial_potential(&self) -> f64 {
        if self.duration.is_some() { INITIAL_POTENTIAL } else { 0.0 }
    }

    /// The presentation, if a duration is given; changes the weighting of the options to suit it.
    ///
    /// # Errors
    /// Where options do not go together.
    pub fn presentation(&self, options: &mut ConvertOptions) -> Result<Option<Presentation>> {
        let Some(duration) = self.duration else { return Ok(None) };
        let encode = match &self.encode {
            Some(code) => code.clone(),
            None => "regular".parse().map_err(|fault| miette::miette!("{fault}"))?,
        };
        let ticks_per_ms = options.quantization.ticks_per_ms;
        let mut presentation = Presentation { duration, encode: encode.to_string(), ticks_per_ms, calibration: None };
        if options.scales.is_none() && options.rules.weighting == Weighting::Percentile {
            if self.scale_by != Some(ScaleArgument::Percentile) {
                let steps = f64::from(duration) / code(&presentation)?.bias_period(presentation.clock());
                options.rules.weighting = Weighting::LeastSquares { steps: steps.round().max(1.0) as u32 };
            }
        } else if self.scale_by.is_some() {
            miette::bail!("--scale-by goes with --preset toolbox and without --scales, which have scales of their own");
        }
        let signed = options.quantization.signed.is_some();
        let by_default = if signed { CorrectionArgument::Bias } else { CorrectionArgument::Potential };
        let correction = match self.calibrate.unwrap_or(by_default) {
            CorrectionArgument::None => Correction::None,
            CorrectionArgument::Bias => Correction::Bias,
            CorrectionArgument::Potential => Correction::Potential,
            CorrectionArgument::Both => Correction::Both,
        };
        if correction == Correction::None {
            if self.calibrate_for.is_some() || self.calibration_samples.is_some() {
                miette::bail!(
                    "--calibrate-for, --calibration-samples: expected --calibrate bias, potential or both, found none"
                );
            }
            return Ok(Some(presentation));
        }
        presentation.calibration = Some(Calibration {
            correction,
            mode: match self.calibrate_for {
                Some(ModeArgument::Clocked) => CalibrationMode::Clocked,
                Some(ModeArgument::Event) => CalibrationMode::Event,
                // The counts of signed neurons are those of both modes, and clocked mode is the faster one.
                None if signed => CalibrationMode::Clocked,
                None => CalibrationMode::Event,
            },
            samples: self.calibration_samples.map_or(CALIBRATION_SAMPLES, NonZeroUsize::get),
        });
        Ok(Some(presentation))
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
