//! Pictures of recorded spikes and potentials: what `classify --npz` and `run --npz` write.

use crate::cli::diagnostic::{report, unreadable};
use crate::cli::tables::counted;
use megasim::dataset::npy::NpzReader;
use megasim::network::{EventLog, Polarity};
use megasim::report::samples::{self, OfSamples, ShownSample};
use megasim::report::{Section, Table, layer_potentials};
use megasim::study::classification::LayerRecording;
use megasim::study::layers::Layer;
use miette::{Result, miette};
use ndarray::{ArrayD, Axis};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

/// Samples whose spikes are drawn.
const MOST_SAMPLES: usize = 4;

/// One file of arrays.
struct Arrays<'p> {
    path: &'p Path,
    archive: NpzReader<File>,
}

impl Arrays<'_> {
    fn array(&mut self, name: &str) -> Result<ArrayD<f32>> {
        let path = self.path;
        self.archive.array(name).map_err(|error| miette!("{}: array '{name}': {error}", path.display()))
    }

    /// A column of a table, as long as its other ones.
    fn column<T>(&mut self, name: &str, rows: Option<usize>, number: impl Fn(f32) -> T) -> Result<Vec<T>> {
        let array = self.array(name)?;
        let expected = rows.unwrap_or(array.len());
        if array.ndim() != 1 || array.len() != expected {
            return Err(miette!(
                "{}: array '{name}': expected one axis of {expected} numbers, found axes {:?}",
                self.path.display(),
                array.shape()
            ));
        }
        Ok(array.into_raw_vec_and_offset().0.into_iter().map(number).collect())
    }

    /// The parts before the last `/` of names, in the order of the file.
    fn groups(&self, last: &str) -> Vec<String> {
        let names = self.archive.names().filter_map(|name| name.strip_suffix(last)?.strip_suffix('/'));
        names.map(String::from).collect()
    }
}

/// What a file of arrays has recorded.
pub enum Recorded {
    /// Layers in one or both modes, by `classify --npz`.
    Layers { answer: String, sections: Vec<Section> },
    /// Events of nodes, by `run --npz`.
    Events(Vec<(String, EventLog)>),
}

/// The recording in a file; none where it is another kind of file.
///
/// # Errors
/// If a recording is damaged, or a picture cannot be drawn.
pub fn read(path: &Path) -> Result<Option<Recorded>> {
    if path.extension().is_none_or(|extension| extension != "npz") {
        return Ok(None);
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let Ok(archive) = NpzReader::new(file) else { return Ok(None) };
    let mut arrays = Arrays { path, archive };
    let nodes = arrays.groups("t_rqst");
    if !nodes.is_empty() {
        let logs = nodes.into_iter().map(|node| Ok((node.clone(), log(&mut arrays, &node)?)));
        return logs.collect::<Result<_>>().map(|logs| Some(Recorded::Events(logs)));
    }
    if !arrays.archive.has("ticks_per_ms") || arrays.groups("count").is_empty() {
        return Ok(None);
    }
    layers(&mut arrays).map(Some)
}

fn log(arrays: &mut Arrays, node: &str) -> Result<EventLog> {
    let name = |column: &str| format!("{node}/{column}");
    let t_rqst = arrays.column(&name("t_rqst"), None, |t| t as i64)?;
    let rows = Some(t_rqst.len());
    Ok(EventLog {
        t_pre: arrays.column(&name("t_pre"), rows, |t| t as i64)?,
        t_ack: arrays.column(&name("t_ack"), rows, |t| t as i64)?,
        x: arrays.column(&name("x"), rows, |x| x as i32)?,
        y: arrays.column(&name("y"), rows, |y| y as i32)?,
        polarity: arrays
            .column(&name("polarity"), rows, |sign| if sign < 0.0 { Polarity::Negative } else { Polarity::Positive })?,
        t_rqst,
        // Not drawn.
        value: Vec::new(),
    })
}

/// A layer in one mode. `shape` of a row is `(1, 1, neurons)`.
fn layer(arrays: &mut Arrays, group: &str, name: &str, samples: usize) -> Result<LayerRecording> {
    let at = |column: &str| format!("{group}/{column}");
    let count = arrays.array(&at("count"))?;
    let shape = match *count.shape() {
        [of, neurons] if of == samples => [1, 1, neurons],
        [of, maps, ny, nx] if of == samples => [maps, ny, nx],
        ref found => {
            let (path, name) = (arrays.path.display(), at("count"));
            return Err(miette!(
                "{path}: array '{name}': expected axes ({samples} samples, neurons) or ({samples} samples, map, y, x), \
                 found {found:?}"
            ));
        }
    };
    let sample = arrays.column(&at("sample"), None, |number| number as i64)?;
    let rows = Some(sample.len());
    let (map, y, x) = if arrays.archive.has(&at("neuron")) {
        let zeros = vec![0; sample.len()];
        (zeros.clone(), zeros, arrays.column(&at("neuron"), rows, |x| x as i32)?)
    } else {
        let mut address = |column| arrays.column(&at(column), rows, |number| number as i32);
        (address("map")?, address("y")?, address("x")?)
    };
    let neurons: usize = shape.iter().product();
    let (mut potentials, mut threshold) = (None, None);
    if arrays.archive.has(&at("potential")) {
        let all = arrays.array(&at("potential"))?;
        let milliseconds = all.shape().get(1).copied().unwrap_or(0);
        let found = format!("{:?}", all.shape());
        let shaped = all.into_shape_with_order((samples, milliseconds, neurons)).map_err(|_| {
            let (path, name) = (arrays.path.display(), at("potential"));
            miette!("{path}: array '{name}': expected {neurons} neurons of {samples} samples, found axes {found}")
        })?;
        potentials = Some(shaped.mapv(|potential| potential as i32));
        threshold = arrays.column(&at("threshold"), None, |threshold| threshold as i32)?.first().copied();
    }
    Ok(LayerRecording {
        name: name.into(),
        shape,
        t: arrays.column(&at("t"), rows, |t| t as i64)?,
        polarity: arrays.column(&at("polarity"), rows, |sign| if sign < 0.0 { -1 } else { 1 })?,
        sample,
        map,
        y,
        x,
        threshold,
        potentials,
    })
}

fn layers(arrays: &mut Arrays) -> Result<Recorded> {
    let file = arrays.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let numbers = arrays.column("sample", None, |number| number as i64)?;
    let ticks_per_ms = arrays.column("ticks_per_ms", None, f64::from)?.first().copied().unwrap_or(1.0).max(1.0);
    let groups = arrays.groups("count");
    let split = |group: &str| group.split_once('/').map(|(mode, layer)| (mode.to_string(), layer.to_string()));
    let groups: Vec<(String, String)> = groups.iter().filter_map(|group| split(group)).collect();
    let mut modes: Vec<String> = groups.iter().map(|(mode, _)| mode.clone()).collect();
    modes.dedup();
    let mut recorded: Vec<Vec<LayerRecording>> = Vec::new();
    for mode in &modes {
        let of_mode = groups.iter().filter(|(of, _)| of == mode);
        let read = of_mode.map(|(_, name)| layer(arrays, &format!("{mode}/{name}"), name, numbers.len()));
        recorded.push(read.collect::<Result<_>>()?);
    }
    let of_first: Vec<(&str, [usize; 3])> = recorded[0].iter().map(|layer| (&layer.name[..], layer.shape)).collect();
    let unlike = recorded.iter().find(|of| !of.iter().map(|layer| (&layer.name[..], layer.shape)).eq(of_first.clone()));
    if unlike.is_some() || numbers.is_empty() {
        return Err(miette!(
            "{}: expected samples, and the same layers in each mode, as 'megasim classify --npz' writes them",
            arrays.path.display()
        ));
    }
    let (sections, spikes) = sections(&file, &numbers, ticks_per_ms, (&modes, &recorded))?;
    let of = |n: usize, what: &str| counted(n as u64, what);
    let answer = format!(
        "{file}: {} of {} and {} ({} mode).",
        of(spikes, "spike"),
        of(recorded[0].len(), "layer"),
        of(numbers.len(), "sample"),
        modes.join(" and ")
    );
    Ok(Recorded::Layers { answer, sections })
}

/// A table, rasters of the first samples, potentials of the first one; and how many spikes there are in all.
fn sections(
    file: &str,
    numbers: &[i64],
    ticks_per_ms: f64,
    (modes, recorded): (&[String], &[Vec<LayerRecording>]),
) -> Result<(Vec<Section>, usize)> {
    let mut header = vec!["layer".to_string(), "neurons".into()];
    header.extend(modes.iter().map(|mode| format!("spikes per sample, {mode}")));
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = Table::new(&header);
    for (k, layer) in recorded[0].iter().enumerate() {
        let neurons: usize = layer.shape.iter().product();
        let spikes = recorded.iter().map(|of| format!("{:.1}", of[k].t.len() as f64 / numbers.len() as f64));
        table.rows.push([layer.name.clone(), neurons.to_string()].into_iter().chain(spikes).collect());
    }
    let layers: Vec<Layer> = recorded[0]
        .iter()
        .map(|layer| Layer {
            name: layer.name.clone(),
            nodes: Vec::new(),
            cells: layer.shape.iter().product(),
            spikes: true,
        })
        .collect();
    let parts = |layer: &LayerRecording, number: i64| {
        let [maps, ny, nx] = layer.shape;
        let mut parts = Vec::new();
        for k in (0..layer.sample.len()).filter(|&k| layer.sample[k] == number) {
            let [map, y, x] =
                [layer.map[k], layer.y[k], layer.x[k]].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
            if map < maps && y < ny && x < nx {
                parts.push((layer.t[k], ((map * ny + y) * nx + x) as u32));
            }
        }
        parts
    };
    let distinct: BTreeSet<i64> = numbers.iter().copied().collect();
    let shown: Vec<ShownSample> = distinct
        .iter()
        .take(MOST_SAMPLES)
        .map(|&number| ShownSample {
            number: number.unsigned_abs(),
            text: String::new(),
            input: None,
            spikes: recorded.iter().map(|of| of.iter().map(|layer| parts(layer, number)).collect()).collect(),
            traces: Vec::new(),
        })
        .collect();
    let all = || recorded.iter().flatten();
    let last = all().flat_map(|layer| &layer.t).max().map_or(0.0, |&t| ((t + 1) as f64 / ticks_per_ms).ceil());
    let milliseconds = all().filter_map(|layer| Some(layer.potentials.as_ref()?.len_of(Axis(1)))).max().unwrap_or(0);
    let of = OfSamples {
        names: modes,
        layers: &layers,
        shown: &[],
        classes: &[],
        tick_ms: 1.0 / ticks_per_ms,
        ms: last.max(milliseconds as f64),
    };
    let title = format!("Sample {}, {} mode", numbers[0], modes[0]);
    let mut sections = vec![
        Section { title: "Spikes".into(), tables: vec![table], ..Section::default() },
        samples::section(&of, &shown).map_err(report)?,
        layer_potentials::section(&recorded[0], &title).map_err(report)?,
    ];
    sections.retain(|section| !section.is_empty());
    sections.iter_mut().for_each(|section| section.title = format!("{file}: {}", section.title));
    Ok((sections, all().map(|layer| layer.t.len()).sum()))
}
