//! How fast netfiles are read and written, in megabytes of text a second on one core:
//! `cargo bench --bench netfile [-- MEGABYTES]`.
//!
//! Makes a parameter file of a fully connected module and a stimulus in a temporary directory, reads each once so that
//! it is in the page cache, and prints the best of five runs, in time on the processor where the system tells it. Two
//! comparisons explain choices of the reader: a mapped file against one read into memory, and integers by
//! `lexical-core` against the reader's own loop.

use megasim::netfile::{self, FileNames, Kind};
use megasim::network::*;
use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};
use std::fs::{self, File};
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

const RUNS: usize = 5;
const MEGA: f64 = 1e6;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let megabytes = std::env::args().filter_map(|word| word.parse::<usize>().ok()).next().unwrap_or(100);
    let directory = tempfile::tempdir()?;
    let (network, stimulus) = example(megabytes * 1_000_000);
    let files = FileNames::of(&network);
    let write = || netfile::write(directory.path(), &network, std::slice::from_ref(&stimulus), &files);
    write()?;
    let parameters = directory.path().join(&files.modules[0].parameters);
    let events = directory.path().join(&files.stimuli[0]);
    let (prm, stim) = (fs::read(&parameters)?, fs::read(&events)?);
    println!(
        "parameters {:.0} MB, stimulus {:.0} MB, best of {RUNS}",
        prm.len() as f64 / MEGA,
        stim.len() as f64 / MEGA
    );

    rate("write a directory", prm.len() + stim.len(), || write().map(|()| 0))?;
    rate("write parameters into memory", prm.len(), || {
        let mut out = Vec::with_capacity(prm.len());
        let kind = network.modules()[0].kind.clone();
        let parameters = netfile::Parameters { kind, timing: Timing::default(), n_out_ports: 1 };
        netfile::write_parameters(&parameters, &mut out).map(|()| out.len())
    })?;
    rate("write a stimulus into memory", stim.len(), || {
        let mut out = Vec::with_capacity(stim.len());
        netfile::write_stimulus(&stimulus, &mut out).map(|()| out.len())
    })?;
    rate("read a directory", prm.len() + stim.len(), || {
        netfile::read(&directory.path().join(&files.schematic)).map(|netfiles| netfiles.stimuli[0].len())
    })?;
    rate("parse parameters in memory", prm.len(), || {
        netfile::parse_parameters(&prm, Kind::FullyConnected).map(|parameters| parameters.kind.ports())
    })?;
    rate("parse a stimulus in memory", stim.len(), || {
        netfile::parse_stimulus(&stim).map(|(stimulus, _)| stimulus.len())
    })?;

    let log = netfile::events::read(&as_recorded(&stim))?;
    let mut recorded = Vec::new();
    netfile::events::write(&log, &mut recorded)?;
    rate("parse an event file in memory", recorded.len(), || netfile::events::read(&recorded).map(|log| log.len()))?;

    println!("choices:");
    rate("file read, then summed", prm.len(), || fs::read(&parameters).map(|bytes| sum(&bytes)))?;
    rate("file mapped, then summed", prm.len(), || mapped(&parameters).map(|bytes| sum(&bytes)))?;
    rate("integers by lexical-core", prm.len(), || Ok::<_, std::io::Error>(lexical(&prm)))?;
    Ok(())
}

/// Prints the best rate of a few runs.
fn rate<E>(what: &str, bytes: usize, mut run: impl FnMut() -> Result<usize, E>) -> Result<(), E> {
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let (start, busy) = (Instant::now(), processor_time());
        black_box(run()?);
        let busy = processor_time().zip(busy).map(|(now, before)| now - before);
        best = best.min(busy.unwrap_or(start.elapsed().as_secs_f64()));
    }
    println!("{what:32} {:7.0} MB/s", bytes as f64 / MEGA / best);
    Ok(())
}

/// Seconds that this thread has had on a processor, which other programs do not lengthen.
fn processor_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split(' ').next()?.parse::<f64>().ok()? * 1e-9)
}

/// A layer of 1,000 neurons with weights as the converter makes them, and a stimulus of 28 x 28 pixels, about `bytes`
/// of text each.
fn example(bytes: usize) -> (Network, Stimulus) {
    const NEURONS: usize = 1_000;
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let lines = (bytes / 9 / NEURONS).max(1);
    let mut weight = || {
        let uniform = |random: &mut ChaCha8Rng| f64::from(random.next_u32()) / f64::from(u32::MAX) - 0.5;
        ((uniform(&mut random) + uniform(&mut random) + uniform(&mut random)) * 5e6) as i32
    };
    let weights = (0..lines * NEURONS).map(|_| weight()).collect();
    let array = Array { nx: NEURONS as u32, ny: 1, x_min: 0, y_min: 0 };
    let port = FullyConnectedPort { nx_pre: lines as u32, ny_pre: 1, weights };
    let full =
        FullyConnected { array, neurons: NeuronParameters::default(), ports: vec![port], output: Output::whole(array) };
    let mut builder = NetworkBuilder::new();
    let input = builder.source("input").expect("a valid name");
    let module = Module {
        kind: ModuleKind::FullyConnected(full),
        inputs: vec![Input::Node(input)],
        timing: Timing::default(),
        not_programmable: false,
    };
    builder.module(module, &["layer"]).expect("a valid module");
    let events = bytes / 21;
    let stimulus = Stimulus::from_events((0..events).map(|k| StimulusEvent {
        t_pre: (k / 50) as Tick,
        x: random.random_range(0..28),
        y: random.random_range(0..28),
        polarity: Polarity::Positive,
    }));
    (builder.build(DEFAULT_T_MAX).expect("a valid network"), stimulus)
}

/// The stimulus as if each event had been requested and acknowledged at once.
fn as_recorded(stimulus: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(stimulus.len() * 2);
    for line in stimulus.split_inclusive(|&byte| byte == b'\n') {
        let time = &line[..line.iter().position(|&byte| byte == b' ').unwrap_or(0)];
        out.extend([time, b" ", time, b" ", time, &line[(time.len() + 6).min(line.len())..]].concat());
    }
    out
}

fn sum(bytes: &[u8]) -> usize {
    bytes.iter().map(|&byte| usize::from(byte)).sum()
}

fn mapped(path: &Path) -> std::io::Result<memmap2::Mmap> {
    let file = File::open(path)?;
    // SAFETY: nothing else uses the file, which is in a temporary directory.
    unsafe { memmap2::Mmap::map(&file) }
}

/// All integers of a text, as the reader would find them with `lexical-core`.
fn lexical(text: &[u8]) -> usize {
    let (mut at, mut found) = (0, Vec::<i32>::with_capacity(text.len() / 2));
    while at < text.len() {
        match lexical_core::parse_partial::<i32>(&text[at..]) {
            Ok((value, length)) if length > 0 => {
                found.push(value);
                at += length;
            }
            _ => at += 1,
        }
    }
    found.len()
}
