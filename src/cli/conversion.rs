//! Conversions into netfile directories, for all commands that convert.

use super::diagnostic::{self, report};
use super::progress::Progress;
use super::refusal::Refusal;
use super::samples::ConversionData;
use super::tables::{Boxed, boxed, counted, percent};
use super::{output, provenance};
use megasim::ann::import::Model;
use megasim::atomic_write::{self, AtomicDir, Overwrite};
use megasim::convert::conversion::{self, Stages};
use megasim::convert::export::{ExportOptions, Importer, PoolAs};
use megasim::convert::manifest::PresentationError;
use megasim::convert::{
    self, Checkpoints, Conversion, Convert, ConvertOptions, Format, Normalized, Rules, export, settings,
};
use megasim::network::{Network, Reset};
use miette::{Report, Result};
use serde_json::json;
use std::path::{Path, PathBuf};

/// One conversion.
#[derive(Debug)]
pub struct Job<'j> {
    /// The trained network.
    pub model: &'j Model,
    /// The data.
    pub data: &'j ConversionData,
    /// Where the netfiles go.
    pub out: &'j Path,
    /// How it is converted.
    pub options: &'j ConvertOptions,
    /// Steps that are kept or gone on from.
    pub checkpoints: &'j Checkpoints,
    /// A file for another simulator, and how it is written.
    pub export: Option<(&'j Path, ExportOptions)>,
    /// Whether an earlier result may go.
    pub replace: Overwrite,
}

/// Converts a trained network into a new netfile directory.
pub fn run(job: &Job) -> Result<Conversion> {
    let Job { model, options, checkpoints, replace, .. } = *job;
    AtomicDir::check(job.out, replace).map_err(report)?;
    let progress = Progress::default();
    let conversion = model.convert_with(&job.data.dataset, options, checkpoints, &progress);
    let conversion = conversion.map_err(|error| reported(model, error))?;
    drop(progress);
    conversion.warnings.iter().for_each(output::warn);
    // Before anything is written, so that what cannot be exported leaves nothing behind.
    let exported =
        job.export.map(|(path, how)| exported_as(path, &conversion.normalized, options, &how)).transpose()?;
    // Only now, so that a conversion that is interrupted leaves nothing behind.
    let directory = AtomicDir::create(job.out, replace).map_err(report)?;
    conversion.converted.write(directory.path()).map_err(|error| match &error {
        convert::save::Error::Netfile(error) => diagnostic::netfile(error),
        _ => report(error),
    })?;
    let inputs = conversion.inputs.iter().chain(&job.data.inputs);
    let mut inputs: Vec<&Path> = inputs.map(PathBuf::as_path).collect();
    inputs.dedup();
    let manifest = conversion.converted.manifest();
    let mut parameters = json!(manifest.conversion);
    parameters["output"] = json!(manifest.output.form);
    parameters["test_samples"] = json!(options.test_samples);
    if let Some(known) = parameters.as_object_mut() {
        known.extend(job.data.parameters.clone());
    }
    if let Some(split) = job.data.dataset.split() {
        (parameters["split"], parameters["split_seed"]) = (json!(split.share), json!(split.seed));
    }
    parameters["softmax_clock"] = json!(manifest.softmax_clock.as_ref().map(|of| of.clock().to_string()));
    parameters["presentation"] = json!(manifest.presentation);
    if let Some((_, how)) = &job.export {
        add_export_parameters(how, &mut parameters);
    }
    let run = provenance::Run { results: &["megasim.sch", "megasim.json"], inputs: &inputs, seed: None, parameters };
    provenance::write(directory.path(), &run).map_err(report)?;
    directory.finish().map_err(report)?;
    if let (Some((path, _)), Some(bytes)) = (job.export, exported) {
        atomic_write::write_file(path, replace, |file| file.write_all(&bytes)).map_err(report)?;
    }
    Ok(conversion)
}

/// A fault of a conversion, with the line of a file of equations at fault, or the table of the layers.
fn reported(model: &Model, error: conversion::Error) -> Report {
    match &error {
        conversion::Error::Convert(convert::Error::Unsupported(refused)) => {
            Refusal::of_network(&model.graph, refused).report()
        }
        conversion::Error::Setting(settings::Error::Equations(fault)) => diagnostic::located(fault),
        conversion::Error::Presentation(PresentationError::Code(fault)) => diagnostic::code(fault),
        _ => report(error),
    }
}

/// Adds what was chosen, in the words of the options.
fn add_export_parameters(how: &ExportOptions, parameters: &mut serde_json::Value) {
    parameters["nir_for"] = json!(how.importer.map(|importer| match importer {
        Importer::SnnTorch => "snntorch",
        Importer::Sinabs => "sinabs",
        Importer::Norse => "norse",
        Importer::Lava => "lava",
    }));
    parameters["nir_pool"] = json!(how.pool.map(|pool| match pool {
        PoolAs::Sum => "sum",
        PoolAs::Average => "avg",
    }));
}

/// The network for another simulator.
pub fn exported_as(
    path: &Path,
    normalized: &Normalized,
    options: &ConvertOptions,
    how: &ExportOptions,
) -> Result<Vec<u8>> {
    let Some(target) = export::target_of(path) else {
        miette::bail!("{}: expected an ending of a known form", path.display());
    };
    // What the file would say otherwise than the netfiles.
    let as_usual = Rules { weighting: options.rules.weighting.clone(), ..Rules::default() };
    let beyond = [
        (!options.rules.code.is_rate(), "neurons of a spike code other than rates"),
        (options.rules != as_usual, "thresholds, floors, delays and masks of --preset annarchy"),
        (!options.settings.is_empty(), "parameters of modules (--set, --settings, --tau-mem, --resting-potential)"),
        (!options.neurons.is_empty(), "neurons of your own"),
        (options.quantization.initial_potential != 0.0, "an initial potential (--initial-potential)"),
        (options.format == Format::Original, "averages of --plain-megasim"),
    ];
    if let Some((_, what)) = beyond.iter().find(|(is_there, _)| *is_there && target.has_neurons()) {
        miette::bail!(
            "--export: {} cannot represent {what}; convert without it, as --preset toolbox does",
            target.name()
        );
    }
    let resets = target.has_neurons() && how.importer != Some(Importer::Sinabs);
    if options.quantization.reset != Reset::ToRest && resets {
        output::warn(format_args!(
            "{}: neurons reset to 0 in {}, which has no reset by subtraction (the metadata say it, and 'megasim \
             convert' reads them); --reset zero makes the netfiles do the same",
            path.display(),
            target.name()
        ));
    }
    let exported = target.build(normalized, &options.quantization, how).map_err(report)?;
    for warning in exported.warnings {
        output::warn(format_args!("{}: {warning}", path.display()));
    }
    Ok(exported.bytes)
}

/// Accuracy of the analog network after each step, for a person.
pub fn stages(stages: &Stages) -> Boxed {
    let header = format!("analog, {} test samples", stages.samples);
    let mut before = None;
    let rows = stages.steps.iter().map(|&(name, accuracy)| {
        let change =
            before.replace(accuracy).map_or("-".into(), |before| format!("{:+.2}", 100.0 * (accuracy - before)));
        vec![name.to_string(), percent(accuracy), change]
    });
    boxed(&[&header, "accuracy", "change"], rows.collect::<Vec<_>>())
}

/// What a conversion came to: its size, and what it costs the analog network.
pub fn in_words(conversion: &Conversion, out: &Path) -> String {
    let layers = &conversion.converted.manifest().layers;
    let neurons: u64 = neurons(conversion.converted.network());
    let mut text =
        format!("{} with {} in {}.", counted(layers.len() as u64, "layer"), counted(neurons, "neuron"), out.display());
    let Stages { samples, steps, .. } = &conversion.stages;
    if let [(_, first), .., (_, last)] = steps[..] {
        let (first, last) = (percent(first), percent(last));
        let test = counted(*samples as u64, "test sample");
        text += &if first == last {
            format!(" The analog network is right on {last} of {test} before and after the conversion.")
        } else {
            format!(" The analog network is right on {last} of {test} after the conversion, {first} before.")
        };
    }
    text
}

fn neurons(network: &Network) -> u64 {
    let arrays = network.modules().iter().filter_map(|module| module.kind.neurons());
    arrays.map(|(array, ..)| u64::from(array.nx) * u64::from(array.ny)).sum()
}
