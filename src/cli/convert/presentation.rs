//! Options of a conversion that is made for presentations of one duration.

use super::arguments::InputArgument;
use crate::cli::diagnostic::{self, report};
use crate::cli::numbers::from_one;
use crate::cli::progress::Progress;
use clap::{Args, ValueEnum};
use megasim::convert::calibrate::Correction;
use megasim::convert::conversion::Warning;
use megasim::convert::manifest::{CalibrationMode, Presentation, PresentationError};
pub use megasim::convert::presentation::Error;
use megasim::convert::presentation::SHORT;
use megasim::convert::{Conversion, ConvertOptions, Precision, PresentationOptions, ScaleBy, SpikeCode};
use megasim::encode::registry::Choice;
use megasim::encode::{SampleKind, SampleNumbers, SpikeEncoder};
use megasim::engine::{Limits, Mode};
use megasim::readout::is_signed;
use megasim::study::classification::{Outcome, Setup, outcomes};
use megasim::study::read_out::ReadOutChoice;
use miette::{Report, Result};
use ndarray::{ArrayView2, s};
use std::num::NonZeroUsize;

/// Share of decisions as the analog network's below which a conversion is called poor.
const GOOD_AGREEMENT: f64 = 0.98;

/// Samples that are run as spikes at least.
const FEW: usize = 20;

/// Operations in event mode that samples beyond those may take.
const OPERATIONS: u64 = 2_000_000_000;

/// What `convert` takes about the presentation.
#[derive(Debug, Args)]
pub struct PresentationArguments {
    /// Convert for presentations of MS milliseconds: potentials start at half a threshold, scales have the least
    /// squared error, and layers are calibrated on spikes. 'classify' and the studies take the duration from the
    /// netfiles [default: 50 with --preset short, else none]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    duration: Option<u32>,
    /// How the input is presented; 'classify' and the studies take it from the netfiles
    #[arg(long, value_name = "CODE", conflicts_with = "input")]
    encode: Option<Choice>,
    /// Spikes per millisecond of an input of full value, events:N, each of which counts 1/N; with --preset short and
    /// --duration the normalisation samples decide where it is not given
    #[arg(long, value_name = "events:N")]
    pub input: Option<InputArgument>,
    /// What is corrected by spikes of the normalisation set [default: bias with signed neurons, else potential]
    #[arg(long, value_enum)]
    calibrate: Option<CorrectionArgument>,
    /// The mode whose spikes correct [default: clocked with signed neurons, whose counts are equal in both, else event]
    #[arg(long, value_enum)]
    calibrate_for: Option<ModeArgument>,
    /// Samples of the normalisation set that calibration runs [default: 256]
    #[arg(long, value_name = "N", value_parser = from_one::<NonZeroUsize>)]
    calibration_samples: Option<NonZeroUsize>,
    /// How the scale of a layer is chosen: a percentile of its activations, or the least squared error of the counts of
    /// a presentation [default: mse with --preset short or --duration, else percentile]
    #[arg(long, value_enum, conflicts_with_all = ["scales", "weighting"])]
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
    /// As the library takes them; none where no duration is given and the preset has none.
    ///
    /// # Errors
    /// If there is none for what is given.
    pub fn options(&self, is_short: bool) -> Result<Option<PresentationOptions>> {
        let Some(duration) = self.duration.or(is_short.then_some(SHORT)) else {
            let given = [
                (self.encode.is_some(), "encode"),
                (self.calibrate.is_some(), "calibrate"),
                (self.calibrate_for.is_some(), "calibrate-for"),
                (self.calibration_samples.is_some(), "calibration-samples"),
                (self.scale_by.is_some(), "scale-by"),
            ];
            return match given.into_iter().find(|(is_given, _)| *is_given) {
                Some((_, name)) => Err(miette::miette!("--{name}: expected --duration or --preset short")),
                None => Ok(None),
            };
        };
        let mut options = PresentationOptions::new(duration);
        options.encode = self.encode.clone();
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
        Ok(Some(options))
    }
}

impl PresentationArguments {
    /// Puts what is given into the options of a spike code, which brings its presentation along.
    ///
    /// # Errors
    /// If the code has no such thing.
    pub fn coded(&self, code: SpikeCode, options: &mut ConvertOptions) -> Result<()> {
        let given = [
            (self.input.is_some(), "input"),
            (self.calibrate.is_some(), "calibrate"),
            (self.calibrate_for.is_some(), "calibrate-for"),
            (self.calibration_samples.is_some(), "calibration-samples"),
            (self.scale_by.is_some(), "scale-by"),
        ];
        if let Some((_, name)) = given.into_iter().find(|(is_given, _)| *is_given) {
            miette::bail!("--{name}: is about spikes that are counted, which those of {code} are not");
        }
        let Some(presentation) = &mut options.presentation else { return Ok(()) };
        if let Some(encode) = &self.encode
            && encode.to_string() != presentation.encode
        {
            miette::bail!("--encode: expected {}, which {code} reads, found {encode}", presentation.encode);
        }
        match (self.duration, code) {
            (Some(_), SpikeCode::TemporalPattern { .. }) => miette::bail!(
                "--duration: {code} takes --num-bits ms for each layer of neurons, which the network decides"
            ),
            (Some(duration), _) => presentation.duration = duration,
            (None, _) => {}
        }
        Ok(())
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
    let (network, output) = (converted.network(), converted.output());
    let signed = is_signed(network, output);
    let form = converted.manifest().output.form;
    let setup = Setup {
        network,
        layout: converted.layout(),
        output,
        classes: converted.classes(),
        code: code.as_ref(),
        clock: presentation.clock(),
        read_out: ReadOutChoice::default().rule(form, converted.output_threshold(), signed).map_err(report)?,
        kind: SampleKind::Still,
        limits: Limits::of_samples(),
        savings: false,
        online: None,
    };
    // Counts of signed neurons do not depend on the width of steps, and wide ones are faster.
    let dt = if signed { presentation.ticks_per_ms.into() } else { 1 };
    let mut found = Vec::new();
    let few = samples.slice(s![..FEW.min(samples.nrows()), ..]);
    let progress = Progress::to_the_end("as spikes", few.nrows());
    let run = |samples: ArrayView2<f32>, mode, progress: &Progress| {
        outcomes(&setup, samples, &SampleNumbers::default(), mode, progress).map_err(report)
    };
    found.extend(run(few, Mode::Event, &progress)?);
    drop(progress);
    let operations: u64 = found.iter().map(|outcome| outcome.synaptic_operations).sum();
    let affordable = OPERATIONS / (operations / found.len().max(1) as u64).max(1);
    let number = usize::try_from(affordable).unwrap_or(usize::MAX).clamp(few.nrows(), samples.nrows());
    let progress = Progress::to_the_end("as spikes", 2 * number - few.nrows());
    found.extend(run(samples.slice(s![few.nrows()..number, ..]), Mode::Event, &progress)?);
    let samples = samples.slice(s![..number, ..]);
    let clocked = run(samples, Mode::Clocked { dt }, &progress)?;
    drop(progress);
    let Some(analog) = converted.analog_classes(samples).map_err(report)? else { return Ok(String::new()) };
    let agreement = |found: &[Outcome]| {
        let alike = found.iter().zip(&analog).filter(|(outcome, class)| outcome.decision.class() == Some(**class));
        alike.count() as f64 / analog.len().max(1) as f64
    };
    let (event, clocked) = (agreement(&found), agreement(&clocked));
    let mut text = format!(
        "As spikes at {} ms, {number} normalisation samples: decides as the analog network on {:.1} % in event mode \
         and {:.1} % in clocked mode.\n",
        presentation.duration,
        100.0 * event,
        100.0 * clocked
    );
    let code = converted.manifest().conversion.rules.code;
    if event.min(clocked) < GOOD_AGREEMENT && !code.is_rate() {
        text += &match code {
            SpikeCode::TemporalPattern { .. } => "Try more --num-bits.\n".into(),
            _ => format!("The times of {code} are not exact: layers fire before all of their input is there.\n"),
        };
    } else if event.min(clocked) < GOOD_AGREEMENT {
        let finer = if presentation.encode == Choice::default().to_string() { "--input events:10, " } else { "" };
        let neurons = if signed { "" } else { "--neuron signed, " };
        // Rounded weights cost as much in the analog network, which a better presentation does not mend.
        let is_rounded = converted.manifest().conversion.weight_bits != Precision::Full;
        let is_lost = conversion.warnings.iter().any(|warning| matches!(warning, Warning::Loss { .. }));
        text += &match is_rounded && (is_lost || conversion.stages.samples == 0) {
            true => "Try more --weight-bits, or training with weights of this precision.\n".to_string(),
            false => format!("Try {neurons}{finer}a longer --duration or --encode current.\n"),
        };
    }
    Ok(text)
}
