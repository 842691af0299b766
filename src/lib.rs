//! Trained neural networks as spikes: convert them, write and read their netfiles, run them event by event or clocked,
//! compare the two, and study how hardware delays change the answers.
//!
//! This page is a guide for Rust users. The program `megasim` does the same from the command line; its reference is in
//! `docs/` of the repository.
//!
//! # What it is
//!
//! A classifier that was trained with Keras, PyTorch, Caffe, Lasagne or exported to ONNX becomes a network of spiking
//! neurons with integer weights. The network is a set of *modules* (layers of neurons, pooling, flattening), which
//! exchange *events* over *nodes*. Two engines run it:
//!
//! - *Event mode* takes one event at a time, in order of time, with request and acknowledge between modules. This is
//!   what asynchronous, event-driven hardware does.
//! - *Clocked mode* takes all events of a time step together. It is the usual way to simulate such networks, and the
//!   cross-check.
//!
//! Both work with integers, so a run gives the same bytes on every computer and with any number of threads.
//!
//! # The path of the data
//!
//! ```text
//! model file ──► ann ──► convert ──► Network ──► engine ──► Record ──► readout / study ──► report
//! netfiles ─────────────────────────►   ▲            ▲
//! samples ─► encode ──► stimulus ────────────────────┘
//! ```
//!
//! Data goes from left to right, and no crate depends on one to its right. [`network::Network`] is where the netfile
//! reader and the converter end and where both modes of the engine start.
//!
//! | module | crate | what it holds |
//! |---|---|---|
//! | [`network`], [`engine`], [`netfile`], [`encode`], [`readout`] | `megasim-core` | networks, runs, files, codes |
//! | [`dataset`] | `megasim-data` | arrays, pictures, event recordings, preprocessing |
//! | [`ann`] | `megasim-ann` | readers of model files, and the trained network itself |
//! | [`convert`] | `megasim-convert` | conversion, netfile directories of conversions, exports |
//! | [`learning`] | `megasim-stdp` | single-spike networks that learn by STDP |
//! | [`study`], [`hardware`], [`report`] | `megasim-study` | studies over many samples, machines, pages of pictures |
//!
//! # The main job, step by step
//!
//! ## 1. Open the model and the data
//!
//! [`Model::open`] reads a model file; the kind of file is found by its content. Bare parameters (a PyTorch state
//! dictionary, a `.caffemodel`) need a description of the layers: [`Model::open_with`].
//! [`Dataset`] is a directory with test samples and with samples to normalise the network with.
//!
//! ```
//! use megasim::{Dataset, Model};
//!
//! let model = Model::open("examples/digits/digits_cnn.keras")?;
//! let data = Dataset::open("examples/digits".as_ref())?;
//! assert_eq!((model.input_shape().len(), model.classes()), (64, 10));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## 2. Convert
//!
//! A conversion scales the weights of each layer, so that the largest activations become one spike per millisecond, and
//! rounds them to integers. [`ConvertOptions`] sets the percentile that counts as largest, the threshold, the reset,
//! the form of the output and the rest; its defaults are those of SNN toolbox.
//!
//! ```
//! use megasim::convert::OutputForm;
//! use megasim::{Convert, ConvertOptions, Dataset, Model};
//!
//! let model = Model::open("examples/digits/digits_cnn.keras")?;
//! let data = Dataset::open("examples/digits".as_ref())?;
//! let options = ConvertOptions::new().percentile(99.9).initial_potential(0.5).output(OutputForm::Relu);
//! let converted = model.convert(&data, &options)?;
//! let nodes: usize = converted.manifest().layers.iter().map(|layer| layer.nodes.len()).sum();
//! assert_eq!(converted.network().modules().len(), nodes);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Convert::convert_with`] gives more: the accuracy of the network after each step, the scales, and warnings about
//! layers that will not do well as spikes, each with what helps. It keeps steps in files and goes on from them
//! ([`convert::Checkpoints`]).
//!
//! ## 3. Save and open
//!
//! A [`ConvertedModel`] is a netfile directory: the netfiles, a manifest `megasim.json`, a copy of the trained network,
//! and `run.json`, which lists the files. [`ConvertedModel::save`] writes it whole or not at all.
//! [`ConvertedModel::open`] makes sure that all parts belong together.
//!
//! ```
//! use megasim::atomic_write::Overwrite;
//! use megasim::{Convert, ConvertOptions, ConvertedModel, Dataset, Model};
//!
//! let data = Dataset::open("examples/digits".as_ref())?;
//! let converted = Model::open("examples/digits/digits_cnn.keras")?.convert(&data, &ConvertOptions::new())?;
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path().join("netfiles");
//! converted.save(&directory, Overwrite::Refuse)?;
//! assert!(directory.join("megasim.sch").is_file());
//! let again = ConvertedModel::open(&directory)?;
//! assert_eq!(again.manifest(), converted.manifest());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## 4. Show samples, and decide
//!
//! [`LabelledSamples`] are samples that fit a network, with their classes and the classes that the trained network
//! gives to them: the test set of a [`Dataset`], sequences of frames, event recordings, or arrays of the caller.
//! [`classify`] shows each to the network, from a fresh state, for the time that [`ClassifyOptions`] sets.
//!
//! ```
//! use megasim::encode::Poisson;
//! use megasim::study::classification::Modes;
//! use megasim::{ClassifyOptions, Convert, ConvertOptions, Dataset, LabelledSamples, Model, classify};
//!
//! let data = Dataset::open("examples/digits".as_ref())?;
//! let converted = Model::open("examples/digits/digits_cnn.keras")?.convert(&data, &ConvertOptions::new())?;
//! let samples = LabelledSamples::test(&converted, &data, 0, Some(50))?;
//!
//! // Pixels become evenly spaced spikes, and the class with most spikes after 100 ms is the answer.
//! let regular = classify(&converted, &samples, &ClassifyOptions::new(), &())?.figures();
//! assert!(regular.accuracy.event > Some(0.9) && regular.agreement.event_clocked > Some(0.9));
//!
//! // Random spikes, in event mode only.
//! let options = ClassifyOptions::new().code(Poisson { input_rate: 1000.0, seed: 1 }).modes(Modes::Event);
//! let random = classify(&converted, &samples, &options, &())?.figures();
//! assert!(random.accuracy.event > Some(0.8) && random.accuracy.clocked.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The result has every decision, and figures that serialise to what `megasim classify --json` writes.
//!
//! # Inside a run
//!
//! A study is many runs. One run takes a plan, a mode, and probes that say which nodes are recorded. It needs no
//! trained network: any netfile directory will do, and [`network::NetworkBuilder`] makes networks from nothing.
//!
//! ```
//! use megasim::engine::{Mode, Plan, Probes, Simulation};
//! use megasim::netfile;
//!
//! let files = netfile::read("netfiles/two-neurons/megasim.sch".as_ref())?;
//! let plan = Plan::new(&files.network)?;
//! let mut simulation = Simulation::new(&plan, Mode::Event, &Probes::all(&files.network));
//! let record = simulation.run(&files.stimuli)?;
//!
//! let node = files.network.node_named("excitatory").ok_or("no such node")?;
//! let events = record.nodes[node.index()].as_ref().ok_or("not recorded")?;
//! assert_eq!(events.t_rqst, [4, 8, 10, 14]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Studies
//!
//! - [`study::classification`]: accuracy, spikes, operations and time to a decision, in both modes.
//!
//! Each study is one function of a network, samples, options and a [`Control`]: [`classify`], [`compare`], [`latency`],
//! [`sweep`], [`verify`].
//!
//! ```
//! use megasim::engine::machine::Pace;
//! use megasim::{Convert, ConvertOptions, Dataset, Hardware, LabelledSamples, LatencyOptions, Model, Presentation};
//!
//! let data = Dataset::open("examples/digits".as_ref())?;
//! let options = ConvertOptions::new().signed(Default::default())?.duration(10)?;
//! let converted = Model::open("examples/digits/digits_cnn.keras")?.convert(&data, &options)?;
//! let samples = LabelledSamples::test(&converted, &data, 0, Some(5))?;
//! let options = LatencyOptions::new(Hardware::open("loihi".as_ref())?)
//!     .presentation(Presentation::of(&converted)?)
//!     .pace(Pace::Fastest);
//! let found = megasim::latency(&converted, &samples, &options, &())?;
//! assert!(found.results.latency(|decisions| decisions.settled).is_some() && found.busiest.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`study::compare`]: event mode against clocked mode and the trained network, layer by layer; where the two first
//!   differ, and by which rules spikes are lost or added.
//! - [`study::latency`]: a network on a described machine ([`hardware::Hardware`]): latency, utilisation, queues,
//!   energy, bottlenecks, and what the delays do to the answers.
//! - [`study::sweep`]: points of a sweep, with the work shared where the result is provably the same.
//! - [`study::verify`]: whether spike counts depend on the order of events.
//!
//! # Progress, cancellation, threads
//!
//! Long functions take a [`Control`]. It hears how much is done, and may end the work early: what is complete until
//! then is the result. `&()` ignores progress and never cancels. All studies share one runner, which uses the threads
//! of the current rayon pool; results do not depend on their number.
//!
//! ```
//! use megasim::study::classification::Modes;
//! use megasim::{ClassifyOptions, Control, Convert, ConvertOptions, Dataset, LabelledSamples, Model, classify};
//! use std::time::{Duration, Instant};
//!
//! /// Cancels after a time.
//! struct Deadline(Instant);
//!
//! impl Control for Deadline {
//!     fn is_cancelled(&self) -> bool {
//!         Instant::now() > self.0
//!     }
//! }
//!
//! let data = Dataset::open("examples/digits".as_ref())?;
//! let converted = Model::open("examples/digits/digits_cnn.keras")?.convert(&data, &ConvertOptions::new())?;
//! let samples = LabelledSamples::test(&converted, &data, 0, None)?;
//! let deadline = Deadline(Instant::now() + Duration::from_secs(600));
//! let found = classify(&converted, &samples, &ClassifyOptions::new().modes(Modes::Event), &deadline)?;
//! assert!(found.len() <= samples.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Errors and files
//!
//! Every function that reads input returns an error that names the file, the place in it, what was expected and what
//! was found. Nothing panics on input. Results are written under a temporary name and take their name at the end
//! ([`atomic_write`]); nothing is replaced or deleted that this library did not write.
//!
//! # Where to go on
//!
//! - `examples/convert_and_classify.rs` is the main job in one file; `examples/single_spike_digits.rs` trains a
//!   single-spike network.
//! - `docs/conversion.md` says what happens to each layer, `docs/engine.md` what an event does, `docs/timing.md` how a
//!   machine is described.
//! - `docs/extending.md` shows how to add a module kind, an importer, a spike code, a read-out.
#[cfg(feature = "cli")]
extern crate self as megasim;

/// The program. No part of the library's interface.
// Whatever is printed goes through `cli::escape`.
#[cfg(feature = "cli")]
#[deny(clippy::print_stdout, clippy::print_stderr)]
#[doc(hidden)]
pub mod cli;

pub use megasim_ann as ann;
pub use megasim_ann::import::Model;
pub use megasim_convert as convert;
pub use megasim_convert::{Convert, ConvertOptions, ConvertedModel, LabelledSamples, toolbox};
pub use megasim_core::{
    Control, atomic_write, control, encode, engine, equations, netfile, network, parallel, readout, source_error,
};
pub use megasim_data as dataset;
pub use megasim_data::Dataset;
pub use megasim_stdp as learning;
#[doc(hidden)]
pub use megasim_stdp::with_spiking_network;
pub use megasim_study as study;
pub use megasim_study::classification::{Classification, ClassifyOptions, classify};
pub use megasim_study::compare::{CompareOptions, compare};
pub use megasim_study::hardware::Hardware;
pub use megasim_study::latency::{LatencyOptions, latency};
pub use megasim_study::presentation::Presentation;
#[cfg(feature = "report")]
pub use megasim_study::report;
pub use megasim_study::sweep::{SweepOptions, sweep};
pub use megasim_study::verify::{VerifyOptions, verify};
pub use megasim_study::{csv, hardware};

/// The programs of the README are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
