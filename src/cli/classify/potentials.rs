//! Membrane potentials of recorded layers on the page.

use super::Arguments;
use crate::cli::diagnostic::report;
use crate::cli::progress::Progress;
use megasim::convert::{ConvertedModel, LabelledSamples};
use megasim::encode::SampleNumbers;
use megasim::report::Section;
use megasim::report::layer_potentials;
use megasim::study::classification::{ClassifyOptions, Recording, network_for, setup};
use miette::Result;
use ndarray::s;

/// The potentials of a sample (a row; else the last one) in the first mode, where they are recorded.
///
/// # Errors
/// If the run fails, or a picture cannot be drawn.
pub fn section(
    arguments: &Arguments,
    recording: Option<&Recording>,
    (converted, samples, options): (&ConvertedModel, &LabelledSamples, &ClassifyOptions),
    sample: Option<usize>,
) -> Result<Option<Section>> {
    let Some(recording) = recording.filter(|_| arguments.record.has_potentials()) else { return Ok(None) };
    let Some(row) = sample.or_else(|| samples.len().checked_sub(1)) else { return Ok(None) };
    let Some((mode_name, mode)) = options.modes.each().next() else { return Ok(None) };
    let network = network_for(converted, options).map_err(report)?;
    let setup = setup(converted, &network, samples, options);
    let number = samples.numbers().number(row);
    let one = samples.values();
    let progress = Progress::to_the_end("potentials", 1);
    let layers = recording.run(&setup, one.slice(s![row..=row, ..]), &SampleNumbers::from(number), mode, &progress);
    let layers = layers.map_err(report)?;
    layer_potentials::section(&layers, &format!("Sample {number}, {mode_name} mode")).map(Some).map_err(report)
}
