//! `megasim export`: a converted network for another simulator.

use super::conversion::exported_as;
use super::diagnostic::report;
use super::paths::Paths;
use super::{input, print, provenance};
use clap::{Args, ValueEnum};
use megasim::atomic_write::{self, AtomicDir, Overwrite};
use megasim::convert::export::connections::Connections;
use megasim::convert::export::script::{self, SCRIPT, Simulator};
use megasim::convert::export::{ExportOptions, Importer, PoolAs};
use megasim::convert::normalize::{self, Pooled};
use megasim::convert::parsed::LayerKind;
use megasim::convert::{self, ConvertedModel};
use miette::{Result, bail, miette};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Write a converted network for another simulator
#[derive(Debug, Args)]
pub struct Arguments {
    /// A netfile directory that 'megasim convert' wrote
    netdir: PathBuf,
    /// The simulator: a directory with a script and its synapses (pynn, brian2, sanafe), or a file (nir; keras: the
    /// parsed, normalised network)
    #[arg(long, value_enum, value_name = "FORM")]
    to: Form,
    /// Where it goes: a new directory, or for nir and keras a file FILE.nir, FILE.keras
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    #[command(flatten)]
    how: ExportArguments,
    /// Replace an earlier result
    #[arg(long)]
    force: bool,
}

/// `--to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    Pynn,
    Brian2,
    Sanafe,
    Nir,
    Keras,
}

/// How NIR is written.
#[derive(Debug, Clone, Copy, Args)]
pub struct ExportArguments {
    /// For NIR: the library that is to read the file; what it would misread is refused
    #[arg(long, value_enum, value_name = "LIBRARY")]
    nir_for: Option<ImporterArgument>,
    /// For NIR: averages as sums before higher thresholds (SumPool2d, which most libraries read), or as averages
    /// [default: sum, for snnTorch avg]
    #[arg(long, value_enum)]
    nir_pool: Option<PoolArgument>,
}

/// `--nir-for`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImporterArgument {
    Snntorch,
    Sinabs,
    Norse,
    Lava,
}

/// `--nir-pool`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PoolArgument {
    Sum,
    Avg,
}

impl ExportArguments {
    /// As the library takes them.
    pub fn options(self) -> ExportOptions {
        let importer = self.nir_for.map(|importer| match importer {
            ImporterArgument::Snntorch => Importer::SnnTorch,
            ImporterArgument::Sinabs => Importer::Sinabs,
            ImporterArgument::Norse => Importer::Norse,
            ImporterArgument::Lava => Importer::Lava,
        });
        let pool = self.nir_pool.map(|pool| match pool {
            PoolArgument::Sum => PoolAs::Sum,
            PoolArgument::Avg => PoolAs::Average,
        });
        ExportOptions { importer, pool }
    }
}

/// Reads, writes and prints.
pub fn run(arguments: &Arguments) -> Result<()> {
    let paths = Paths::default().inputs([&arguments.netdir]);
    match arguments.to {
        Form::Nir | Form::Keras => paths.files([&arguments.out]),
        Form::Pynn | Form::Brian2 | Form::Sanafe => paths.directories([&arguments.out]),
    }
    .check()?;
    let Arguments { netdir, to, out, how, force } = arguments;
    write(&Job { netdir, to: *to, out, how: how.options(), replace: Overwrite::from_flag(*force) })
}

/// One export.
#[derive(Debug)]
pub struct Job<'j> {
    /// The netfiles.
    pub netdir: &'j Path,
    /// What they become.
    pub to: Form,
    /// The new directory, or the file.
    pub out: &'j Path,
    /// How NIR is written.
    pub how: ExportOptions,
    /// Whether an earlier result may go.
    pub replace: Overwrite,
}

/// Refuses a place that holds something else.
///
/// # Errors
/// What is there.
pub fn check(to: Form, out: &Path, replace: Overwrite) -> Result<()> {
    match to {
        Form::Nir | Form::Keras => {
            let ending = if to == Form::Nir { "nir" } else { "keras" };
            if !out.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending)) {
                bail!("--out: expected a name that ends in .{ending}, found {}", out.display());
            }
            atomic_write::check_file(out, replace).map_err(report)
        }
        Form::Pynn | Form::Brian2 | Form::Sanafe => AtomicDir::check(out, replace).map_err(report),
    }
}

/// Writes, and prints where.
///
/// # Errors
/// If something else is there, if the form cannot say what the network is, or if it cannot be written.
pub fn write(job: &Job) -> Result<()> {
    let Job { netdir, to, out, replace, .. } = *job;
    check(to, out, replace)?;
    let converted = input::open(netdir)?;
    let simulator = match to {
        Form::Pynn => Simulator::PyNn,
        Form::Brian2 => Simulator::Brian2,
        Form::Sanafe => Simulator::SanaFe,
        Form::Nir | Form::Keras => {
            let bytes = file(&converted, job)?;
            atomic_write::write_file(out, replace, |file| file.write_all(&bytes)).map_err(report)?;
            super::answer(&format!("Written to {}.", out.display()));
            return Ok(());
        }
    };
    let connections = Connections::of(&converted).map_err(report)?;
    script::check(&connections, simulator).map_err(report)?;
    let files = script::files(&connections, simulator).map_err(report)?;
    let directory = AtomicDir::create(out, replace).map_err(report)?;
    for (name, bytes) in &files {
        std::fs::write(directory.path().join(name), bytes)
            .map_err(|error| miette!("{}: cannot be written: {error}", out.join(name).display()))?;
    }
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    let inputs: [&Path; 1] = [netdir];
    let parameters = json!({ "to": format!("{to:?}").to_lowercase() });
    let run = provenance::Run { results: &names, inputs: &inputs, seed: None, parameters };
    provenance::write(directory.path(), &run).map_err(report)?;
    directory.finish().map_err(report)?;
    let backend = if simulator == Simulator::PyNn { " brian2" } else { "" };
    let neurons: usize = connections.populations.iter().map(|of| of.shape.iter().product::<usize>()).sum();
    let synapses: usize = connections.projections.iter().map(|of| of.synapses.0.len()).sum();
    print(&format!(
        "{} populations, {neurons} cells, {synapses} synapses.\nWritten to {}. Next:\n  python {}{backend} --data \
         DATA/test.npz --samples 10 --out counts.npz\n",
        connections.populations.len(),
        out.display(),
        out.join(SCRIPT).display()
    ));
    Ok(())
}

/// The normalised network of the netfiles, as NIR or for Keras.
fn file(converted: &ConvertedModel, job: &Job) -> Result<Vec<u8>> {
    let manifest = converted.manifest();
    let Some(model) = converted.model() else {
        bail!(
            "{}: was read from NIR, and holds that file: {}",
            job.netdir.display(),
            job.netdir.join(&manifest.model.copy).display()
        );
    };
    let calibrated = manifest.presentation.as_ref().is_some_and(|presentation| presentation.calibration.is_some());
    // The trained network has neither.
    let of_neurons = [
        (
            !manifest.conversion.settings.is_empty(),
            "parameters of modules (--set, --settings, --neuron), which 'megasim export' does not take",
            "without them",
        ),
        (calibrated, "corrections by spikes, which NIR cannot represent", "with --preset toolbox"),
    ];
    if let Some((_, what, how)) = of_neurons.iter().find(|(is_there, ..)| *is_there && job.to == Form::Nir) {
        bail!("--to nir: the netfiles have {what}; convert {how}");
    }
    let options = manifest.options();
    let parsed = convert::parse(&model.graph, &options).map_err(report)?;
    let is_population = |k: usize| matches!(parsed.layers[k].operation, LayerKind::Population { .. });
    let layers = manifest.layers.iter().enumerate();
    let scales: Vec<_> = layers.map(|(k, layer)| Some(layer.scale).filter(|_| is_population(k))).collect();
    let pooled = if manifest.conversion.plain_megasim { Pooled::Sum } else { Pooled::Mean };
    let mut normalized = normalize::normalize(parsed, &scales, pooled).map_err(report)?;
    options.precision.round(&mut normalized.parsed);
    exported_as(job.out, &normalized, &options, &job.how)
}
