//! A configuration of SNN toolbox, its settings checked and in this program's words.

use super::settings::arranged;
use super::{Error, Ini, ParameterSweep, SampleSettings, is_whole, python, ticks};
use crate::currents::SynapticCurrents;
use crate::{MaxPooling, Precision, Preset, SpikeCode};
use megasim_core::encode::pattern::MOST_BITS;
use megasim_core::encode::{Arrivals, DEFAULT_INPUT_RATE, SoftmaxClock};
use megasim_core::network::Reset;
use megasim_data::SampleList;
use std::path::{Path, PathBuf};

/// Nanofarads, where none are given.
const DEFAULT_CAPACITANCE: f64 = 0.09;

const SPIKE_CODES: &[&str] = &["temporal_mean_rate", "temporal_pattern", "ttfs", "ttfs_dyn_thresh", "ttfs_corrective"];

/// Settings of neurons, input and read-out that spike codes other than rates bring along themselves.
const OF_RATES: &[(&str, &str)] = &[
    ("input", "poisson_input"),
    ("input", "input_rate"),
    ("normalization", "online_normalization"),
    ("conversion", "softmax_to_relu"),
    ("simulation", "dt"),
    ("simulation", "early_stopping"),
    ("cell", "reset"),
    ("cell", "v_reset"),
    ("cell", "v_rest"),
    ("cell", "tau_m"),
    ("cell", "tau_refrac"),
    ("cell", "delay"),
    ("cell", "tau_syn_e"),
    ("cell", "tau_syn_i"),
    ("cell", "softmax_clockrate"),
    ("cell", "payloads"),
];

const SIMULATORS: &[&str] = &["INI", "brian2", "nest", "neuron", "brian", "pcsim", "spiNNaker", "loihi", "MegaSim"];

const LOG_VARS: &[&str] = &[
    "activations_n_b_l",
    "spiketrains_n_b_l_t",
    "input_b_l_t",
    "mem_n_b_l_t",
    "operations_b_t",
    "synaptic_operations_b_t",
    "neuron_operations_b_t",
    "all",
];

/// What the page of layers draws.
const OF_LAYERS: &[&str] = &[
    "activations",
    "spikecounts",
    "spikerates",
    "correlation",
    "hist_spikerates_activations",
    "normalization_activations",
];

const PLOT_VARS: &[&str] = &[
    "activations",
    "spiketrains",
    "spikecounts",
    "spikerates",
    "input_image",
    "error_t",
    "confusion_matrix",
    "correlation",
    "hist_spikerates_activations",
    "normalization_activations",
    "operations",
    "v_mem",
    "all",
];

/// Settings that change nothing here, and the values that they may have.
const WITHOUT_EFFECT: &[(&str, &str, &[&str])] = &[
    ("input", "model_lib", &["keras", "lasagne", "caffe", "pytorch"]),
    ("simulation", "keras_backend", &["tensorflow", "theano", "cntk", "jax", "torch"]),
];

/// `simulator`, where it is another than this program: what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherSimulator {
    /// `brian2`: a script for Brian2.
    Brian2,
    /// `nest`, `neuron`, `brian`, `spinnaker`, ...: back ends of PyNN.
    PyNn,
    /// `INI`: the normalised network as a Keras file.
    Keras,
}

/// Pages of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pages {
    /// Decisions, error and operations over time, samples with their spikes, potentials that are recorded.
    pub samples: bool,
    /// Layer by layer: rates next to activations, correlations, histograms.
    pub layers: bool,
}

/// How thresholds change during a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnlineSettings {
    /// `diff_to_max_rate`, in hertz.
    pub diff_to_max_rate: u32,
    /// `diff_to_min_rate`, in hertz.
    pub diff_to_min_rate: u32,
    /// Milliseconds from one change to the next: `timestep_fraction` steps of `dt`.
    pub every_ms: u32,
}

/// A configuration in our words.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // the toolbox's own names
pub struct Configuration {
    pub path_wd: PathBuf,
    pub dataset_path: PathBuf,
    pub filename_ann: String,
    /// Where the parsed model is kept.
    pub parsed_model: Option<PathBuf>,
    /// `log_dir_of_current_run`.
    pub log_dir: Option<PathBuf>,
    /// `runlabel`, a folder in that.
    pub runlabel: Option<String>,
    pub evaluate_ann: bool,
    pub normalize: bool,
    /// `spike_code`, with `num_bits` of patterns.
    pub spike_code: SpikeCode,
    /// `maxpool_type`.
    pub max_pooling: MaxPooling,
    /// Whether `normalize = True` is in the file.
    pub normalize_is_given: bool,
    pub convert: bool,
    pub simulate: bool,
    pub percentile: f64,
    /// `normalization_schedule`.
    pub schedule: bool,
    /// `online_normalization`, where that is asked for.
    pub online: Option<OnlineSettings>,
    pub max2avg_pool: bool,
    pub softmax_to_relu: bool,
    /// `binarize_weights`, `quantize_weights` and `num_bits`.
    pub precision: Precision,
    /// A Poisson process of `softmax_clockrate` hertz.
    pub softmax_clock: SoftmaxClock,
    pub v_thresh: f64,
    /// Where neurons are after a reset to zero.
    pub v_reset: f64,
    /// Where neurons start and leak to.
    pub v_rest: f64,
    /// `Reset to zero`, `Reset by modulo` or `Reset by subtraction`.
    pub reset: Reset,
    /// Spikes carry residuals.
    pub payloads: bool,
    /// Milliseconds of an exponential leak.
    pub tau_m: Option<f64>,
    /// Milliseconds.
    pub tau_refrac: f64,
    /// Milliseconds.
    pub delay: f64,
    /// Added to potentials per millisecond: `i_offset / cm`.
    pub offset: f64,
    /// `tau_syn_E` and `tau_syn_I`, where they are a tick or longer.
    pub currents: SynapticCurrents,
    pub poisson_input: bool,
    /// Hertz.
    pub input_rate: f64,
    /// Milliseconds.
    pub duration: u32,
    /// Ticks per millisecond, from `dt`.
    pub ticks_per_ms: u32,
    pub num_to_test: usize,
    /// How samples are taken of the data.
    pub taken: SampleSettings,
    /// `sample_idxs_to_test`.
    pub samples: Option<SampleList>,
    pub early_stopping: bool,
    pub top_k: u32,
    pub scaling_factor: f64,
    /// The simulator that the network is written for besides.
    pub other_simulator: Option<OtherSimulator>,
    /// Which pages of pictures are drawn: `plot_vars`, or `verbose` from 2 on.
    pub draws: Pages,
    /// Whether spikes are recorded, and if so, potentials too: `log_vars`, `plot_vars` with `v_mem`, or `verbose` 3.
    pub records: Option<bool>,
    /// `[parameter_sweep]`.
    pub sweep: Option<ParameterSweep>,
    /// Settings that have no meaning here, with the reason.
    pub remarks: Vec<String>,
}

impl Configuration {
    /// Reads a configuration file, or a Python script with `settings = {...}` as in the manual of version 0.1.
    ///
    /// # Errors
    /// Where it is no such file, or where a value cannot be.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path);
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other));
        let text = text.map_err(|error| Error::Unreadable { path: path.into(), message: error.to_string() })?;
        if python::is_script(path, &text) {
            let (ini, mut remarks) = python::parse(path, &text)?;
            let mut found = Self::of(ini)?;
            remarks.append(&mut found.remarks);
            return Ok(Self { remarks, ..found });
        }
        Self::of(Ini::parse(path, &text)?)
    }

    pub(super) fn of(mut ini: Ini) -> Result<Self, Error> {
        let mut remarks = arranged(&mut ini);
        let ini = &ini;
        let folder = ini.path.parent().unwrap_or(Path::new("")).to_path_buf();
        let place = |key: &str| folder.join(ini.text("paths", key));
        let is_given = |section: &str, key: &str| ini.is_given(section, key);
        let path_wd = place("path_wd");
        let filename_ann = ini.text("paths", "filename_ann");
        if filename_ann.is_empty() {
            return Err(Error::Value {
                path: ini.path.clone(),
                section: "paths".into(),
                key: "filename_ann".into(),
                expected: "the name of the model file",
                found: String::new(),
            });
        }
        let reset =
            ini.value("cell", "reset", Reset::Subtract, "a reset by subtraction, to zero or by modulo", reset)?;
        let dt = ini.number("simulation", "dt", 1.0)?;
        if dt > 1.0 {
            remarks.push(format!("[simulation] dt: expected at most 1 ms, found {dt}; steps are 1 ms"));
        }
        let expected = "milliseconds, a whole number of which makes 1 ms, as 0.5 or 0.1";
        let ticks_per_ms = ini.value("simulation", "dt", 1, expected, ticks)?;
        let count = |text: &str| text.parse::<u32>().ok().filter(|&n| n > 0);
        let whole =
            |section: &str, key: &str, default: u32| ini.value(section, key, default, "a whole number above 0", count);
        let not_negative = |text: &str| text.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0);
        let steps = |text: &str| not_negative(text).filter(|ms| is_whole(ms * f64::from(ticks_per_ms)));
        let in_steps = |key: &str| ini.value("cell", key, 0.0, "a whole number of steps (dt), 0 or more", steps);
        let finite = |text: &str| text.parse().ok().filter(|n: &f64| n.is_finite());
        let potential = |key: &str| ini.value("cell", key, 0.0, "a number", finite);
        let percent = |text: &str| text.parse().ok().filter(|n: &f64| *n > 0.0 && *n <= 100.0);
        let v_reset = potential("v_reset")?;
        if v_reset != 0.0 && reset != Reset::ToRest {
            let why = "acts with 'Reset to zero' only; a reset by subtraction keeps what is above the threshold";
            remarks.push(format!("[cell] v_reset = {v_reset}: {why}"));
        }
        let cm = ini.number("cell", "cm", DEFAULT_CAPACITANCE)?;
        if is_given("cell", "cm") && !is_given("cell", "i_offset") {
            remarks.push(format!("[cell] cm = {cm}: divides i_offset, which is not given; weights are what they add"));
        }
        let tau_syn = |key: &str| {
            let tau = ini.number("cell", key, 0.01)?;
            Ok::<_, Error>(Some(tau).filter(|tau| tau * f64::from(ticks_per_ms) >= 1.0))
        };
        for (section, key, values) in WITHOUT_EFFECT {
            ini.choice(section, key, values)?;
        }
        let spike_code = spike_code(ini, &mut remarks)?;
        let pooling = ini.choice("conversion", "maxpool_type", &["fir_max", "avg_max", "exp_max"])?;
        let max_pooling: MaxPooling = pooling.and_then(|name| name.parse().ok()).unwrap_or_default();
        if !max_pooling.is_accumulated() && !spike_code.is_rate() {
            let why = format!("nothing is done, as spike_code = {spike_code} decides that");
            remarks.push(format!("[conversion] maxpool_type = {max_pooling}: {why}"));
        }
        let duration = ini.value("simulation", "duration", 200, "whole milliseconds above 0", |text| {
            text.parse::<f64>().ok().filter(|n| n.fract() == 0.0 && (1.0..1e6).contains(n)).map(|n| n as u32)
        })?;
        let samples =
            ini.value("simulation", "sample_idxs_to_test", None, "a list of samples, such as [1, 2]", |text| {
                let list = text.trim().trim_start_matches(['[', '{', '(']).trim_end_matches([']', '}', ')']);
                if list.trim().is_empty() { Some(None) } else { list.parse::<SampleList>().ok().map(Some) }
            })?;
        let simulator = ini.choice("simulation", "simulator", SIMULATORS)?;
        let other_simulator = simulator.and_then(written_for);
        if simulator == Some("loihi") {
            let how = "`megasim export --to sanafe` writes the network for a simulator of that chip";
            remarks.push(format!("[simulation] simulator = loihi: {how}"));
        }
        let verbose =
            ini.value("output", "verbose", 1, "0, 1, 2 or 3", |text| text.parse::<u32>().ok().filter(|n| *n <= 3))?;
        let logged = ini.choices("output", "log_vars", LOG_VARS)?;
        let plotted = ini.choices("output", "plot_vars", PLOT_VARS)?;
        let draws_potentials = plotted.iter().any(|it| ["v_mem", "all"].contains(it));
        let logs_potentials = logged.iter().any(|it| ["mem_n_b_l_t", "all"].contains(it));
        let keeps_potentials = verbose == 3 || logs_potentials || draws_potentials;
        let of_layers = |it: &&str| OF_LAYERS.contains(it);
        let named = |key: &str| Some(ini.text("paths", key)).filter(|name| !name.is_empty());
        let parsed_model = named("filename_parsed_model").map(|name| {
            let name = if name.ends_with(".npz") { name } else { format!("{name}.npz") };
            path_wd.join(name)
        });
        let normalize = ini.flag("tools", "normalize", true)?;
        let mut payloads = ini.flag("cell", "payloads", false)?;
        if payloads && reset != Reset::Subtract {
            remarks.push("[cell] payloads = True: spikes carry values with reset = 'Reset by subtraction' only".into());
            payloads = false;
        }
        let usual_factor = Preset::Coded(spike_code).parameters().1.scaling_factor;
        Ok(Self {
            dataset_path: place("dataset_path"),
            filename_ann,
            parsed_model,
            log_dir: named("log_dir_of_current_run").map(|name| folder.join(name)),
            runlabel: named("runlabel"),
            evaluate_ann: ini.flag("tools", "evaluate_ann", true)?,
            normalize,
            spike_code,
            max_pooling: if spike_code.is_rate() { max_pooling } else { MaxPooling::default() },
            normalize_is_given: normalize && is_given("tools", "normalize"),
            convert: ini.flag("tools", "convert", true)?,
            simulate: ini.flag("tools", "simulate", true)?,
            percentile: ini.value("normalization", "percentile", 99.9, "a number above 0, at most 100", percent)?,
            schedule: ini.flag("normalization", "normalization_schedule", false)?,
            online: online(ini, ticks_per_ms, &mut remarks)?,
            max2avg_pool: ini.flag("conversion", "max2avg_pool", false)?,
            softmax_to_relu: ini.flag("conversion", "softmax_to_relu", false)?,
            precision: precision(ini, spike_code, &mut remarks)?,
            softmax_clock: SoftmaxClock {
                rate: ini.number("cell", "softmax_clockrate", SoftmaxClock::default().rate)?,
                arrivals: Arrivals::Poisson { seed: 0 },
            },
            v_thresh: ini.number("cell", "v_thresh", 1.0)?,
            v_reset: if reset == Reset::ToRest { v_reset } else { 0.0 },
            v_rest: potential("v_rest")?,
            reset,
            payloads,
            tau_m: if is_given("cell", "tau_m") { Some(ini.number("cell", "tau_m", 1.0)?) } else { None },
            tau_refrac: in_steps("tau_refrac")?,
            delay: in_steps("delay")?,
            offset: potential("i_offset")? / cm,
            currents: SynapticCurrents { excitatory: tau_syn("tau_syn_e")?, inhibitory: tau_syn("tau_syn_i")? },
            poisson_input: ini.flag("input", "poisson_input", false)?,
            input_rate: ini.rate("input", "input_rate", DEFAULT_INPUT_RATE)?,
            duration,
            ticks_per_ms,
            num_to_test: whole("simulation", "num_to_test", 10)? as usize,
            taken: SampleSettings::of(ini, &mut remarks)?,
            samples,
            early_stopping: ini.flag("simulation", "early_stopping", false)?,
            top_k: whole("simulation", "top_k", 1)?,
            scaling_factor: ini.number("cell", "scaling_factor", usual_factor)?,
            other_simulator,
            draws: Pages {
                samples: verbose >= 2 || plotted.iter().any(|it| !of_layers(it)),
                layers: verbose >= 2 || plotted.iter().any(|it| of_layers(it) || *it == "all"),
            },
            records: (keeps_potentials || !logged.is_empty()).then_some(keeps_potentials),
            sweep: ParameterSweep::of(ini, &mut remarks)?,
            path_wd,
            remarks,
        })
    }
}

/// `online_normalization` with its parameters, which do nothing without it.
fn online(ini: &Ini, ticks_per_ms: u32, remarks: &mut Vec<String>) -> Result<Option<OnlineSettings>, Error> {
    const SECTION: &str = "normalization";
    let hertz = |key: &str, default| {
        let whole = |text: &str| text.parse().ok().filter(|n: &f64| n.fract() == 0.0 && (0.0..=1000.0).contains(n));
        let number = ini.value(SECTION, key, f64::from(default), "whole hertz from 0 to 1000", whole);
        number.map(|number| number as u32)
    };
    let (diff_to_max_rate, diff_to_min_rate) = (hertz("diff_to_max_rate", 200)?, hertz("diff_to_min_rate", 100)?);
    let whole_ms = |text: &str| {
        let steps = text.parse::<u32>().ok().filter(|&steps| steps > 0 && steps % ticks_per_ms == 0)?;
        Some(steps / ticks_per_ms)
    };
    let expected = "steps (dt) above 0 that make whole milliseconds";
    // Ten steps of the toolbox's 1 ms.
    let usual = 10u32.div_ceil(ticks_per_ms);
    let every_ms = ini.value(SECTION, "timestep_fraction", usual, expected, whole_ms)?;
    if ini.flag(SECTION, "online_normalization", false)? {
        return Ok(Some(OnlineSettings { diff_to_max_rate, diff_to_min_rate, every_ms }));
    }
    for key in ["diff_to_max_rate", "diff_to_min_rate", "timestep_fraction"] {
        if ini.is_given(SECTION, key) {
            let why = "nothing is done without online_normalization";
            remarks.push(format!("[{SECTION}] {key} = {}: {why}", ini.text(SECTION, key)));
        }
    }
    Ok(None)
}

fn reset(text: &str) -> Option<Reset> {
    let text = text.to_lowercase();
    match () {
        () if text.contains("subtraction") => Some(Reset::Subtract),
        () if text.contains("zero") => Some(Reset::ToRest),
        () if text.contains("modulo") => Some(Reset::Modulo),
        () => None,
    }
}

/// The spike code; settings that it leaves no room for are named.
fn spike_code(ini: &Ini, remarks: &mut Vec<String>) -> Result<SpikeCode, Error> {
    let code = match ini.choice("conversion", "spike_code", SPIKE_CODES)? {
        Some("temporal_pattern") => {
            let bits = bits(ini)?;
            if bits > MOST_BITS {
                let why = format!("patterns have at most {MOST_BITS} bits, which potentials of 32 bits tell apart");
                remarks.push(format!("[conversion] num_bits = {bits}: {why}; {MOST_BITS} are taken"));
            }
            SpikeCode::TemporalPattern { bits: bits.min(MOST_BITS) }
        }
        Some("ttfs") => SpikeCode::Ttfs,
        Some("ttfs_dyn_thresh") => SpikeCode::TtfsDynThresh,
        Some("ttfs_corrective") => SpikeCode::TtfsCorrective,
        _ => SpikeCode::TemporalMeanRate,
    };
    if code.is_rate() {
        return Ok(code);
    }
    let is_given = |section: &str, key: &str| ini.is_given(section, key);
    let of_duration = matches!(code, SpikeCode::TemporalPattern { .. }).then_some(("simulation", "duration"));
    for (section, key) in OF_RATES.iter().copied().chain(of_duration).filter(|(section, key)| is_given(section, key)) {
        let why = format!("nothing is done, as spike_code = {code} decides that");
        remarks.push(format!("[{section}] {key} = {}: {why}", ini.text(section, key)));
    }
    Ok(code)
}

/// `num_bits`.
fn bits(ini: &Ini) -> Result<u32, Error> {
    ini.value("conversion", "num_bits", 32, "a number of bits from 2 to 32", |text| {
        text.parse::<u32>().ok().filter(|bits| (2..=32).contains(bits))
    })
}

/// What the network of one of [`SIMULATORS`] is written as, besides our own run.
fn written_for(simulator: &str) -> Option<OtherSimulator> {
    match simulator {
        "INI" => Some(OtherSimulator::Keras),
        "brian2" => Some(OtherSimulator::Brian2),
        "nest" | "neuron" | "brian" | "pcsim" | "spiNNaker" => Some(OtherSimulator::PyNn),
        _ => None,
    }
}

/// The numbers that weights may be.
fn precision(ini: &Ini, code: SpikeCode, remarks: &mut Vec<String>) -> Result<Precision, Error> {
    let (binary, few) = (ini.flag("cell", "binarize_weights", false)?, ini.flag("cell", "quantize_weights", false)?);
    let bits = bits(ini)?;
    if binary {
        return Ok(Precision::Binary);
    }
    match (few, bits) {
        (true, 2..=24) => Ok(Precision::Bits(bits)),
        (true, _) => {
            remarks.push(
                "[cell] quantize_weights = True: num_bits of [conversion] says how many bits; none below 25".into(),
            );
            Ok(Precision::Full)
        }
        (false, _) => {
            let is_of_pattern = matches!(code, SpikeCode::TemporalPattern { .. });
            if ini.get("conversion", "num_bits").is_some() && !is_of_pattern {
                remarks.push(format!("[conversion] num_bits = {bits}: acts with quantize_weights = True in [cell]"));
            }
            Ok(Precision::Full)
        }
    }
}
