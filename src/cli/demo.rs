//! `megasim` alone: the main job, start to end, on a small network that comes with the program.

use super::classification::table;
use super::conversion::{self, Job};
use super::diagnostic::report;
use super::input;
use super::presentation::Wanted;
use super::progress::Progress;
use super::samples::ConversionData;
use super::samples::warn_of_ticks;
use super::{print, program, provenance};
use megasim::ann::import;
use megasim::atomic_write::{self, Overwrite};
use megasim::convert::{Checkpoints, ConvertOptions};
use megasim::dataset::Dataset;
use megasim::encode::{DEFAULT_INPUT_RATE, DEFAULT_TICKS_PER_MS};
use megasim::study::classification::{ClassifyOptions, classify};
use miette::{Result, bail};
use serde_json::json;
use std::fs;
use std::path::Path;
#[cfg(feature = "serve")]
use std::path::PathBuf;

/// Where everything goes, in the current directory.
const DIRECTORY: &str = "megasim-demo";

/// How long each digit is shown, in milliseconds.
const DURATION: u32 = 100;

/// The data and the network, inside the program.
const FILES: [(&str, &[u8]); 3] = [
    ("digits_cnn.keras", include_bytes!("../../examples/digits/digits_cnn.keras")),
    ("train.npz", include_bytes!("../../examples/digits/train.npz")),
    ("test.npz", include_bytes!("../../examples/digits/test.npz")),
];

/// Converts the bundled network, runs it and says what came out.
pub fn run() -> Result<()> {
    let directory = unpack()?;
    print(
        "This is megasim's demo: a small Keras network that reads handwritten digits of 8x8 pixels becomes a network\n\
         of spiking neurons, and classifies 450 digits it has not seen.\n\n",
    );
    let model = directory.join(FILES[0].0);
    let netfiles = directory.join("netfiles");
    let trained = import::read(&model).map_err(report)?;
    let dataset = Dataset::open(directory).map_err(report)?;
    conversion::run(&Job {
        model: &trained,
        data: &ConversionData::of(dataset.clone()),
        out: &netfiles,
        options: &ConvertOptions::default(),
        checkpoints: &Checkpoints::default(),
        export: None,
        replace: Overwrite::Allow,
    })?;
    let converted = input::open(&netfiles)?;
    let options = ClassifyOptions::new().duration(DURATION);
    warn_of_ticks(&converted, options.clock);
    let samples = input::test_samples(&converted, &dataset, Wanted::From { skip: 0, most: None })?;
    let found = classify(&converted, &samples, &options, &Progress::default()).map_err(report)?;
    let results = directory.join("results.json");
    let text = format!("{:#}\n", json!(found.figures()));
    atomic_write::write_file(&results, Overwrite::Allow, |file| file.write_all(text.as_bytes())).map_err(report)?;
    let (train, test) = (directory.join(FILES[1].0), directory.join(FILES[2].0));
    let parameters = json!({
        "duration": DURATION,
        "encode": "regular",
        "input_rate": DEFAULT_INPUT_RATE,
        "ticks_per_ms": DEFAULT_TICKS_PER_MS,
        "dt": 1,
    });
    provenance::write_beside(&[&results], &[&model, &train, &test], None, parameters).map_err(report)?;

    // As it was started, so that the lines below can be copied.
    let program = program::words().first().map_or("megasim".into(), |word| word.to_string_lossy());
    print(&format!("{}\n", table(&found)));
    print(&format!(
        "
analog   the Keras network as it was trained
event    the spiking network, spike by spike, each with request and acknowledge: how event-driven hardware works
clocked  the same spiking network with all spikes of a time step at once: the cross-check
Each digit is shown for {DURATION} ms; spikes and operations (weights added to neurons) are means per digit.

Everything is in ./{DIRECTORY}:
  netfiles/         the spiking network; megasim.sch lists its modules, megasim.json says where it came from
  digits_cnn.keras  the trained network; train.npz and test.npz are its data
  results.json      the figures above

What to try next:
  shorter, so fewer spikes and more mistakes:
    {program} classify {DIRECTORY}/netfiles --data {DIRECTORY} --duration 30
  random spikes instead of regular ones:
    {program} classify {DIRECTORY}/netfiles --data {DIRECTORY} --encode poisson
  the events of the first digit as text, one file per node:
    {program} run {DIRECTORY}/netfiles/megasim.sch --out {DIRECTORY}/events
  your own network:
    {program} convert YOUR_MODEL.keras --data YOUR_DATA --out YOUR_NETFILES
  all commands:
    {program} --help
"
    ));
    Ok(())
}

/// The trained network of the demo, in the current directory.
#[cfg(feature = "serve")]
pub fn model() -> PathBuf {
    Path::new(DIRECTORY).join(FILES[0].0)
}

/// Writes the bundled files into the current directory, unless they are there; the directory that they are in, which is
/// the directory of the data.
///
/// # Errors
/// If they cannot be written, or other files have their names.
pub fn unpack() -> Result<&'static Path> {
    let directory = Path::new(DIRECTORY);
    atomic_write::make_directory(directory).map_err(|error| {
        miette::miette!("./{DIRECTORY}: cannot be made: {error}; start the demo in a directory that can be written")
    })?;
    for (name, content) in FILES {
        let path = directory.join(name);
        match fs::read(&path) {
            Ok(found) if found == content => continue,
            Ok(_) => bail!("{}: expected the demo's own file, found another; move it away", path.display()),
            Err(_) => {
                atomic_write::write_file(&path, Overwrite::Refuse, |file| file.write_all(content)).map_err(report)?;
            }
        }
    }
    Ok(directory)
}
