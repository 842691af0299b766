//! What networks put out, sample by sample, as files for other programs: `eval --outputs`, `classify --predictions`.

use super::diagnostic::report;
use megasim::atomic_write::{self, Overwrite};
use megasim::dataset::npy::{self, NpzWriter};
use megasim::study::classification::{Classification, Outcome};
use miette::Result;
use ndarray::{Array1, Array2, ArrayView2};
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};

/// `--outputs`: the ending says what is written.
///
/// # Errors
/// Another ending.
pub fn outputs_file(text: &str) -> Result<PathBuf, String> {
    with_ending(text, &["npy", "npz"])
}

/// `--predictions`, likewise.
///
/// # Errors
/// Another ending.
pub fn predictions_file(text: &str) -> Result<PathBuf, String> {
    with_ending(text, &["npz", "csv"])
}

/// `--report`, likewise: a page.
///
/// # Errors
/// Another ending.
pub fn page_file(text: &str) -> Result<PathBuf, String> {
    with_ending(text, &["html"])
}

/// A path that ends in one of these.
///
/// # Errors
/// Another ending.
pub fn with_ending(text: &str, known: &[&str]) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if known.iter().any(|ending| has_ending(&path, ending)) {
        return Ok(path);
    }
    Err(format!("expected a name that ends in .{}", known.join(" or .")))
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|own| own == ending)
}

/// Writes the outputs of a trained network, `(samples, classes)`; as `.npz` with the labels, where
/// they are known.
///
/// # Errors
/// If the file cannot be written.
pub fn write_outputs(
    path: &Path,
    outputs: ArrayView2<f32>,
    labels: Option<&[usize]>,
    replace: Overwrite,
) -> Result<()> {
    let write = |file: &mut dyn Write| {
        if has_ending(path, "npy") {
            return npy::write(file, &outputs);
        }
        let mut npz = NpzWriter::new(Cursor::new(Vec::new()));
        npz.add("outputs", &outputs)?;
        if let Some(labels) = labels {
            npz.add("labels", &numbers(labels.iter().map(|&label| Some(label))))?;
        }
        file.write_all(&npz.finish()?.into_inner())
    };
    atomic_write::write_file(path, replace, write).map_err(report)
}

/// Writes what was decided on each sample, and by what.
///
/// # Errors
/// If the file cannot be written.
pub fn write_predictions(path: &Path, found: &Classification, replace: Overwrite) -> Result<()> {
    let write = |file: &mut dyn Write| if has_ending(path, "csv") { table(found, file) } else { arrays(found, file) };
    atomic_write::write_file(path, replace, write).map_err(report)
}

/// The modes that ran.
fn modes(found: &Classification) -> impl Iterator<Item = (&'static str, &[Outcome])> {
    let both = [("event", &found.event), ("clocked", &found.clocked)];
    both.into_iter().filter_map(|(name, outcomes)| Some((name, outcomes.as_deref()?)))
}

fn arrays(found: &Classification, file: &mut dyn Write) -> io::Result<()> {
    let mut npz = NpzWriter::new(Cursor::new(Vec::new()));
    let samples = Array1::from_iter((0..found.len()).map(|k| found.numbers.number(k) as i64));
    npz.add("sample", &samples)?;
    let label = |k: usize| found.labels.as_ref().map(|labels| labels[k]);
    npz.add("label", &numbers((0..found.len()).map(label)))?;
    if let Some(analog) = found.analog_decisions() {
        npz.add("analog", &numbers(analog.into_iter()))?;
    }
    for (mode, outcomes) in modes(found) {
        let classes = outcomes.first().map_or(0, |outcome| outcome.decision.scores.len());
        let scores: Vec<i64> = outcomes.iter().flat_map(|outcome| outcome.decision.scores.iter().copied()).collect();
        let scores = Array2::from_shape_vec((outcomes.len(), classes), scores).map_err(io::Error::other)?;
        let ms = Array1::from_iter(outcomes.iter().map(|outcome| outcome.decision_ms(found.clock)));
        let count = |of: fn(&Outcome) -> u64| Array1::from_iter(outcomes.iter().map(|outcome| of(outcome) as i64));
        npz.add(mode, &numbers(outcomes.iter().map(|outcome| outcome.decision.class())))?;
        npz.add(&format!("{mode}_scores"), &scores)?;
        npz.add(&format!("{mode}_decision_ms"), &ms)?;
        npz.add(&format!("{mode}_spikes"), &count(|outcome| outcome.spikes))?;
        npz.add(&format!("{mode}_operations"), &count(|outcome| outcome.synaptic_operations))?;
    }
    file.write_all(&npz.finish()?.into_inner())
}

fn table(found: &Classification, file: &mut dyn Write) -> io::Result<()> {
    write!(file, "sample,label,analog")?;
    for (mode, outcomes) in modes(found) {
        write!(file, ",{mode},{mode}_decision_ms,{mode}_spikes,{mode}_operations")?;
        let classes = outcomes.first().map_or(0, |outcome| outcome.decision.scores.len());
        (0..classes).try_for_each(|class| write!(file, ",{mode}_score_{class}"))?;
    }
    writeln!(file)?;
    for k in 0..found.len() {
        let label = found.labels.as_ref().map_or(String::new(), |labels| labels[k].to_string());
        let analog = found.analog.as_ref().map_or(String::new(), |analog| analog[k].to_string());
        write!(file, "{},{label},{analog}", found.numbers.number(k))?;
        for (_, outcomes) in modes(found) {
            let outcome = &outcomes[k];
            let class = outcome.decision.class().map_or(String::new(), |class| class.to_string());
            let ms = outcome.decision_ms(found.clock);
            write!(file, ",{class},{ms},{},{}", outcome.spikes, outcome.synaptic_operations)?;
            outcome.decision.scores.iter().try_for_each(|score| write!(file, ",{score}"))?;
        }
        writeln!(file)?;
    }
    Ok(())
}

/// Class numbers; -1: none.
fn numbers(classes: impl Iterator<Item = Option<usize>>) -> Array1<i64> {
    classes.map(|class| class.map_or(-1, |class| class as i64)).collect()
}
