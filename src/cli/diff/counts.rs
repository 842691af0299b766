//! `megasim diff FILE.npz FILE.npz`: spike counts of layers, as scripts of other simulators (`megasim export --to
//! brian2`) and `megasim classify --record LAYER,... --npz FILE` write them.

use crate::cli::diagnostic::unreadable;
use crate::cli::tables::{boxed, counted};
use megasim::dataset::npy::NpzReader;
use miette::{Result, bail, miette};
use ndarray::{Array2, ArrayD, Axis};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Spike counts by layer, axes (sample, neuron): maps one after the other, then rows.
type Counts = BTreeMap<String, Array2<f32>>;

/// Whether it is a file of counts, by its name.
pub fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz"))
}

/// Prints what differs, layer by layer; whether nothing does. Layers of one file alone are named.
///
/// # Errors
/// If a file cannot be read or has no counts, if no layer is in both, or if samples or neurons are not as many.
pub fn run(first: &Path, second: &Path) -> Result<bool> {
    let (left, right) = (read(first)?, read(second)?);
    let mut rows = Vec::new();
    let (mut all_equal, mut layers) = (true, 0);
    let mut samples = 0;
    for (name, one) in &left {
        let Some(other) = right.get(name) else { continue };
        if one.dim() != other.dim() {
            let ((samples, neurons), (found_samples, found)) = (one.dim(), other.dim());
            bail!(
                "{}: layer '{name}': expected {samples} samples of {neurons} neurons as in {}, found {found_samples} \
                 of {found}",
                second.display(),
                first.display()
            );
        }
        let differences = one.iter().zip(other).map(|(one, other)| (one - other).abs());
        let largest = differences.clone().fold(0.0, f32::max);
        let differing = differences.filter(|&difference| difference > 0.0).count();
        samples = one.nrows();
        all_equal &= differing == 0;
        layers += 1;
        rows.push(vec![
            name.clone(),
            one.ncols().to_string(),
            total(one),
            total(other),
            format!("{differing} of {}", one.len()),
            largest.to_string(),
        ]);
    }
    if layers == 0 {
        let names = |counts: &Counts| counts.keys().cloned().collect::<Vec<_>>().join(", ");
        bail!(
            "expected a layer that is in both files, found {} in {} and {} in {}",
            names(&left),
            first.display(),
            names(&right),
            second.display()
        );
    }
    let header = ["layer", "neurons", "first", "second", "neurons that differ", "largest difference"];
    let mut text = format!("{}\n", boxed(&header, rows));
    for (counts, others, path) in [(&left, &right, second), (&right, &left, first)] {
        let missing: Vec<&str> = counts.keys().filter(|name| !others.contains_key(*name)).map(String::as_str).collect();
        if !missing.is_empty() {
            text += &format!("not in {}, and not compared: {}\n", path.display(), missing.join(", "));
        }
    }
    let verdict = if all_equal { "equal" } else { "different" };
    crate::cli::print(&text);
    let (layers, samples) = (counted(layers as u64, "layer"), counted(samples as u64, "sample"));
    crate::cli::answer(&format!("spike counts of {layers}, {samples}: {verdict}"));
    Ok(all_equal)
}

/// Spikes of all neurons in all samples.
fn total(counts: &Array2<f32>) -> String {
    counts.iter().map(|&count| f64::from(count)).sum::<f64>().to_string()
}

/// The arrays `LAYER` of a script, or `MODE/LAYER/count` of a recording.
fn read(path: &Path) -> Result<Counts> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut archive = NpzReader::new(BufReader::new(file)).map_err(|error| miette!("{}: {error}", path.display()))?;
    let names: Vec<String> = archive.names().filter(|name| archive.has(name)).map(String::from).collect();
    let recorded = |mode: &str| names.iter().any(|name| name.starts_with(mode) && name.ends_with("/count"));
    let modes: Vec<&str> = ["event/", "clocked/"].into_iter().filter(|mode| recorded(mode)).collect();
    if modes.len() > 1 {
        bail!(
            "{}: expected counts of one mode, found those of event and of clocked mode; write a file with --mode event \
             or --mode clocked",
            path.display()
        );
    }
    let layer_of = |name: &str| match modes.first() {
        Some(mode) => name.strip_prefix(mode).and_then(|name| name.strip_suffix("/count")).map(String::from),
        None => (!name.contains('/')).then(|| name.to_string()),
    };
    let mut counts = Counts::new();
    for name in &names {
        let Some(layer) = layer_of(name) else { continue };
        let refuse = |message: String| miette!("{}: array '{name}': {message}", path.display());
        let array = archive.array(name).map_err(|error| refuse(error.to_string()))?;
        counts.insert(layer, by_sample(array).map_err(refuse)?);
    }
    if counts.is_empty() {
        bail!(
            "{}: expected spike counts, arrays LAYER (samples, neurons) or MODE/LAYER/count, found none",
            path.display()
        );
    }
    Ok(counts)
}

/// Axes (sample, neuron).
fn by_sample(array: ArrayD<f32>) -> Result<Array2<f32>, String> {
    if array.ndim() < 2 {
        return Err(format!("expected axes (samples, neurons), found {} axes", array.ndim()));
    }
    if let Some(count) = array.iter().find(|count| count.fract() != 0.0 || !count.is_finite()) {
        return Err(format!("expected spike counts, found {count}"));
    }
    let samples = array.len_of(Axis(0));
    let neurons = array.len().checked_div(samples).unwrap_or(0);
    array.into_shape_with_order((samples, neurons)).map_err(|error| error.to_string())
}
