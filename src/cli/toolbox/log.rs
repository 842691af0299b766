//! Pictures, records and exports of an experiment.

use super::presented;
use crate::cli::diagnostic::report;
use crate::cli::export::{self, Form};
use crate::cli::samples::SampleArguments;
use crate::cli::{command_line_with, compare as compare_command, input, output};
use clap::FromArgMatches;
use megasim::atomic_write::{self, Overwrite};
use megasim::convert::export::ExportOptions;
use megasim::study::classification::Recording;
use megasim::study::layers::Layer;
use megasim::toolbox::{Configuration, OtherSimulator, Pages};
use miette::{Result, miette};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The options of `megasim classify` that draw and record what the settings ask for; the folder of the logs is made.
pub fn options(it: &Configuration, out: &Path, replace: Overwrite) -> Result<Vec<OsString>> {
    let is_asked =
        it.draws != Pages::default() || it.records.is_some() || it.log_dir.is_some() || it.runlabel.is_some();
    if !is_asked {
        return Ok(Vec::new());
    }
    let folder = log_folder(it, out);
    atomic_write::make_directory(&folder).map_err(|error| miette!("{}: cannot be made: {error}", folder.display()))?;
    let mut words: Vec<OsString> = vec!["--predictions".into(), folder.join("predictions.npz").into()];
    if it.draws.samples {
        words.extend(["--report".into(), folder.join("page.html").into()]);
    }
    if let Some(potentials) = it.records {
        let converted = input::open(out)?;
        let layers = Layer::of_manifest(converted.network(), converted.manifest()).into_iter();
        let of_neurons =
            |layer: &Layer| !potentials || Recording::new(&converted, std::slice::from_ref(&layer.name), true).is_ok();
        let names: Vec<String> = layers.map(|(_, layer)| layer).filter(of_neurons).map(|layer| layer.name).collect();
        words.extend(["--record".into(), names.join(",").into()]);
        words.extend(["--npz".into(), folder.join("spikes.npz").into()]);
        words.extend(potentials.then(|| "--potentials".into()));
    }
    words.extend((replace == Overwrite::Allow).then(|| "--force".into()));
    Ok(words)
}

/// Draws layer by layer, as `megasim compare` does. Not all networks can be: an output that gathers potentials has no
/// spikes to compare; a warning says so.
pub fn layers(it: &Configuration, taken: &SampleArguments, out: &Path, replace: Overwrite) {
    let page = log_folder(it, out).join("layers.html");
    if let Err(error) = compare(it, taken, out, &page, replace) {
        output::warn(format_args!("[output] plot_vars: {} is not drawn: {error}", page.display()));
    }
}

fn compare(it: &Configuration, taken: &SampleArguments, out: &Path, page: &Path, replace: Overwrite) -> Result<()> {
    let mut words: Vec<OsString> = vec!["--causes".into(), "0".into(), "--report".into(), page.into()];
    words.extend((replace == Overwrite::Allow).then(|| "--force".into()));
    let words = presented(it, out, "compare", words)?;
    let matches = command_line_with("compare".as_ref()).try_get_matches_from(words).map_err(report)?;
    let matches = matches.subcommand_matches("compare").ok_or_else(|| miette!("expected the command compare"))?;
    let mut asked = compare_command::Arguments::from_arg_matches(matches).map_err(report)?;
    asked.given.taken = taken.clone();
    compare_command::run(&asked)
}

/// The network for the simulator of the settings.
pub struct Other {
    to: Form,
    place: PathBuf,
    replace: Overwrite,
}

/// Where it goes; refused before the work where something else is there.
pub fn for_another(simulator: OtherSimulator, it: &Configuration, out: &Path, replace: Overwrite) -> Result<Other> {
    let (to, name) = match simulator {
        OtherSimulator::Brian2 => (Form::Brian2, "brian2"),
        OtherSimulator::PyNn => (Form::Pynn, "pynn"),
        OtherSimulator::Keras => (Form::Keras, "normalised.keras"),
    };
    let place = log_folder(it, out).join(name);
    // The folder is made with the results; where it is not there yet, nothing is in the way.
    if atomic_write::parent(&place).exists() {
        export::check(to, &place, replace)?;
    }
    Ok(Other { to, place, replace })
}

/// Writes it in addition to our own run, which goes on where the form cannot say what the network is.
pub fn written_for_another(other: &Other, netdir: &Path) -> Result<()> {
    let Other { to, place: out, replace } = other;
    let folder = atomic_write::parent(out);
    let is_new = !folder.exists();
    atomic_write::make_directory(folder).map_err(|error| miette!("{}: cannot be made: {error}", folder.display()))?;
    let how = ExportOptions::default();
    let written = export::write(&export::Job { netdir, to: *to, out, how, replace: *replace });
    if let Err(error) = written {
        output::warn(format_args!("[simulation] simulator: {} is not written: {error}", out.display()));
        if is_new {
            // Only what is empty goes.
            std::fs::remove_dir(folder).ok();
        }
    }
    Ok(())
}

/// Where pictures and records go: as the settings say, or next to the netfiles.
pub fn log_folder(it: &Configuration, out: &Path) -> PathBuf {
    let folder = it.log_dir.clone().unwrap_or_else(|| {
        let mut name = out.as_os_str().to_os_string();
        name.push("-log");
        name.into()
    });
    it.runlabel.iter().fold(folder, |folder, label| folder.join(label))
}
