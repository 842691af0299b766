//! The rows: each option of each command, once.

use super::{GivenOptions, Input};
use Input::{
    Data, Frames, Netfiles, NetworkAndFrames, NetworkAndRecordings, Nir, Only, Recording, Recordings, Schematic,
    SpikeTrains, SpikingModel, Stage, TrainedNetwork,
};

/// When an option has an effect.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The commands that the row is about.
    pub commands: &'static [&'static str],
    /// The option, as clap names it.
    pub option: &'static str,
    /// The kinds of input on which it has an effect; empty: on all that the command takes.
    pub inputs: &'static [Input],
    /// What else it needs.
    pub needs: &'static [Need],
}

/// What an option needs of others.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    /// Whether it is there.
    pub holds: fn(&GivenOptions) -> bool,
    /// What was expected.
    pub expected: &'static str,
}

const fn all(commands: &'static [&'static str], option: &'static str) -> Row {
    Row { commands, option, inputs: &[], needs: &[] }
}

const fn on(commands: &'static [&'static str], option: &'static str, inputs: &'static [Input]) -> Row {
    Row { commands, option, inputs, needs: &[] }
}

impl Row {
    const fn needs(self, needs: &'static [Need]) -> Self {
        Self { needs, ..self }
    }
}

const RATE_CODE: Need = Need {
    holds: |given| given.any_code(|code| code.uses_input_rate()),
    expected: "expected --encode regular or poisson; other codes have their own rates, as 'cpn:max_f=500'",
};
const RANDOM_CODE: Need = Need {
    holds: |given| given.any_code(|code| code.uses_seed()),
    expected: "expected a random code (--encode poisson, cpn, or equations that use `random`); nothing else is drawn",
};
const DRAWN_IN_COMPARE: Need = Need {
    holds: |given| {
        let is_random = given.any_code(|code| code.uses_seed()) && !given.has_schematic();
        is_random || given.text("tie_order").as_deref() == Some("seeded")
    },
    expected: "expected a random code (--encode poisson, cpn, or equations that use `random`) or --tie-order seeded; \
        nothing else is drawn",
};
const DRAWN_IN_SWEEP: Need = Need {
    holds: |given| {
        let is_random = given.any_code(|code| code.uses_seed()) && !given.has_schematic();
        is_random || given.has_over(|values| values.contains("random") || values.contains("seeded"))
    },
    expected: "expected a random code (--encode poisson, cpn, or equations that use `random`), random values of \
        --over, or --over tie-order=seeded; nothing else is drawn",
};
const DRAWN_IN_VERIFY: Need = Need {
    holds: |given| given.text("orders").as_deref() != Some("0") || given.any_code(|code| code.uses_seed()),
    expected: "expected --orders of at least 1, or a random code; nothing else is drawn",
};
const CLOCKED: Need = Need {
    holds: |given| given.text("mode").as_deref() != Some("event"),
    expected: "expected --mode clocked or both; event mode has no steps",
};
const CLOCKED_SIDE: Need = Need {
    holds: |given| !given.has("against"),
    expected: "expected no --against, which compares two networks in event mode; event mode has no steps",
};
const TWO_MODES: Need = Need {
    holds: |given| !given.has("against"),
    expected: "expected no --against, which compares two networks in event mode; causes are those of the differences \
        between event and clocked mode",
};
const STOPS_EARLY: Need = Need {
    holds: |given| {
        let decides = given.text("readout");
        given.has("confidence")
            || decides.is_some_and(|it| !["spike_count", "membrane_potential"].contains(&it.as_str()))
    },
    expected: "expected a read-out that stops runs early (--readout first_spike or k_spikes, or --confidence), found \
        none",
};
const DURATIONS: Need = Need {
    holds: |given| given.is_swept("duration"),
    expected: "expected --over duration=...; other points have one duration",
};
const ONE_MODE: Need = Need {
    holds: |given| given.text("mode").as_deref() != Some("both"),
    expected: "expected --mode event or --mode clocked; the file has the spikes of one run",
};
const ONE_END: Need = Need {
    holds: |given| given.text("mode").as_deref() != Some("both"),
    expected: "expected --mode event or --mode clocked; each mode ends at its own thresholds",
};
const FILE_OF_RESULTS: Need = Need {
    holds: |given| {
        let is_file = |id: &&str| given.has(id) && !(*id == "json" && given.text(id).as_deref() == Some("-"));
        ["json", "report", "trace", "outputs", "predictions", "npz", "nir_data", "save_thresholds"].iter().any(is_file)
    },
    expected: "expected a file that could be replaced (--json, --report), found none",
};
const DATA: Need =
    Need { holds: |given| given.has("data"), expected: "expected --data with pictures that are in no division" };
const COUNTED: Need = Need {
    holds: |given| given.text("samples").is_none_or(|samples| !samples.contains([',', '.'])),
    expected: "expected --samples with a number; a list of samples leaves out the others itself",
};
const PERCENTILES: Need = Need {
    holds: |given| {
        let preset = given.text("preset").unwrap_or_default();
        given.text("weighting").map_or(!preset.starts_with("annarchy"), |it| it == "percentile")
    },
    expected: "expected --weighting percentile; other weightings (those of --preset annarchy included) look at no \
        activations",
};
const NO_SCALES: Need = Need {
    holds: |given| !given.has("scales"),
    expected: "expected no --scales, which already has the scale of each layer",
};
const NOT_NORMALISED: Need = Need {
    holds: |given| !given.has("normalised"),
    expected: "expected no --normalised: a network that is normalised already shows no activations",
};
const EXPORTED: Need = Need {
    holds: |given| given.text("export").is_some_and(|file| file.to_lowercase().ends_with(".nir")),
    expected: "expected --export FILE.nir, which it is about",
};
const TO_NIR: Need = Need {
    holds: |given| given.text("to").as_deref() == Some("nir"),
    expected: "expected --to nir; other forms are read by one simulator",
};
const SOFTMAX: Need = Need {
    holds: |given| given.text("output").as_deref() == Some("softmax"),
    expected: "expected --output softmax; other outputs have no clock",
};
const PATTERN: Need = Need {
    holds: |given| given.text("preset").as_deref() == Some("temporal-pattern"),
    expected: "expected --preset temporal-pattern; other spikes have no bits",
};
const RECORDINGS_AND_NUMBERS: &[Input] = &[Netfiles, Frames, Recordings, SpikeTrains];
const PRINTED: &[&str] = &[
    "check", "classify", "compare", "convert", "diff", "eval", "inspect", "latency", "merge", "sweep", "toolbox",
    "train", "verify",
];
const STUDIES: &[&str] = &["classify", "compare", "latency", "sweep", "verify"];
const TAKING: &[&str] = &["classify", "compare", "convert", "latency", "sweep", "verify"];
const TRAINED: &[Input] = &[TrainedNetwork, NetworkAndFrames, NetworkAndRecordings];
const NUMBERS_OR_FRAMES: &[Input] = &[TrainedNetwork, NetworkAndFrames];

/// All options.
pub const OPTIONS: &[Row] = &[
    // diff, run
    all(&["diff"], "tolerance"),
    all(&["run"], "out"),
    #[cfg(feature = "serve")]
    all(&["serve"], "allow"),
    #[cfg(feature = "serve")]
    all(&["serve"], "port"),
    all(&["run"], "npz"),
    all(&["run"], "clocked"),
    // clap requires --clocked.
    all(&["run"], "dt"),
    all(&["run"], "tmax"),
    all(&["run"], "set"),
    all(&["run"], "summary"),
    all(&["run", "compare", "latency", "sweep", "verify"], "max_events"),
    all(&["run", "compare", "latency", "sweep", "verify"], "max_memory"),
    on(&["classify"], "max_events", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "max_memory", RECORDINGS_AND_NUMBERS),
    all(&["man", "run"], "force"),
    // convert
    on(&["convert"], "data", &[TrainedNetwork, NetworkAndFrames, NetworkAndRecordings, SpikingModel]),
    all(&["convert"], "out"),
    all(&["convert"], "force"),
    on(&["convert"], "samples", &[SpikingModel]),
    on(&["convert"], "architecture", TRAINED),
    on(&["convert"], "input_shape", TRAINED),
    on(&["convert"], "input_scale", TRAINED),
    on(&["convert"], "input_range", NUMBERS_OR_FRAMES),
    on(&["convert"], "percentile", TRAINED).needs(&[PERCENTILES]),
    on(&["convert"], "percentile_step", TRAINED).needs(&[PERCENTILES]),
    on(&["convert"], "scales", TRAINED),
    on(&["convert"], "save_scales", TRAINED),
    on(&["convert"], "save_parsed", TRAINED),
    on(&["convert"], "parsed", TRAINED),
    on(&["convert"], "save_activations", TRAINED).needs(&[NOT_NORMALISED]),
    on(&["convert"], "activations", TRAINED),
    on(&["convert"], "save_normalised", TRAINED),
    on(&["convert"], "normalised", TRAINED),
    on(&["convert"], "export", TRAINED),
    on(&["convert"], "nir_for", TRAINED).needs(&[EXPORTED]),
    on(&["convert"], "nir_pool", TRAINED).needs(&[EXPORTED]),
    // export
    all(&["export"], "to"),
    all(&["export"], "out"),
    all(&["export"], "force"),
    all(&["export"], "nir_for").needs(&[TO_NIR]),
    all(&["export"], "nir_pool").needs(&[TO_NIR]),
    on(&["convert"], "weight_bits", TRAINED),
    on(&["convert"], "set", TRAINED),
    on(&["convert"], "settings", TRAINED),
    on(&["convert"], "neuron", TRAINED),
    // That these go with --neuron signed is checked with the neurons.
    on(&["convert"], "hysteresis", TRAINED),
    on(&["convert"], "max_count", TRAINED),
    on(&["convert"], "preset", TRAINED),
    on(&["convert"], "num_bits", TRAINED).needs(&[PATTERN]),
    on(&["convert"], "scaling_factor", &[TrainedNetwork, NetworkAndFrames, NetworkAndRecordings, Nir]),
    on(&["convert"], "reset", &[TrainedNetwork, NetworkAndFrames, NetworkAndRecordings, Nir]),
    #[cfg(feature = "nir")]
    on(&["convert"], "nir_dialect", &[Nir]),
    #[cfg(feature = "nir")]
    on(&["convert"], "dt", &[Nir]),
    on(&["convert"], "weighting", TRAINED),
    // That it goes with --weighting model is checked with the presets.
    on(&["convert"], "depth_scale", TRAINED).needs(&[NO_SCALES]),
    on(&["convert"], "test_samples", TRAINED),
    on(&["convert"], "threshold_step", TRAINED),
    on(&["convert"], "floor", TRAINED),
    on(&["convert"], "delay_to_arrive", TRAINED),
    on(&["convert"], "mask_tau", TRAINED),
    on(&["convert"], "payload_bits", TRAINED),
    on(&["convert"], "output", TRAINED),
    on(&["convert"], "softmax_clock", TRAINED).needs(&[SOFTMAX]),
    on(&["convert"], "v_thresh", TRAINED),
    on(&["convert"], "initial_potential", TRAINED),
    on(&["convert"], "duration", TRAINED),
    on(&["convert"], "encode", NUMBERS_OR_FRAMES),
    on(&["convert"], "input", NUMBERS_OR_FRAMES),
    on(&["convert"], "calibrate", TRAINED),
    on(&["convert"], "calibrate_for", TRAINED),
    on(&["convert"], "calibration_samples", TRAINED),
    on(&["convert"], "scale_by", TRAINED),
    on(&["convert"], "channel_scales", TRAINED),
    on(&["convert"], "tau_mem", TRAINED),
    on(&["convert"], "resting_potential", TRAINED),
    on(&["convert"], "plain_megasim", TRAINED),
    on(&["convert"], "max_to_average", TRAINED),
    // That there is a maximum is checked with the network.
    on(&["convert"], "max_pool", TRAINED),
    // That there is an average is checked with the network.
    on(&["convert"], "pool", TRAINED),
    // Whether a layer depends on it is known with the network.
    on(&["convert"], "ticks_per_ms", TRAINED),
    // classify
    all(&["classify"], "data"),
    all(&["classify"], "json"),
    all(&["classify"], "samples"),
    all(&["classify"], "skip").needs(&[COUNTED]),
    all(&["classify"], "threads"),
    all(&["classify"], "force").needs(&[FILE_OF_RESULTS]),
    on(&["classify"], "mode", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "dt", RECORDINGS_AND_NUMBERS).needs(&[CLOCKED]),
    on(&["classify"], "report", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "predictions", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "record", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "potentials", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "npz", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "nir_data", RECORDINGS_AND_NUMBERS).needs(&[ONE_MODE]),
    on(&["classify"], "per_sample", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "sample", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "show", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "neurobench", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "history", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "duration", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "ticks_per_ms", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "readout", RECORDINGS_AND_NUMBERS),
    // That it goes with --readout k_spikes, and --confidence with others, is checked with the read-out.
    on(&["classify"], "k", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "confidence", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "top_k", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "savings", RECORDINGS_AND_NUMBERS).needs(&[STOPS_EARLY]),
    on(&["classify"], "online_normalization", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "diff_to_max_rate", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "diff_to_min_rate", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "timestep_fraction", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "save_thresholds", RECORDINGS_AND_NUMBERS).needs(&[ONE_END]),
    on(STUDIES, "frames", &[Frames]),
    on(&["convert"], "frames", &[NetworkAndFrames]),
    on(&["classify"], "encode", &[Netfiles, Frames]),
    on(&["classify"], "input_rate", &[Netfiles, Frames]).needs(&[RATE_CODE]),
    on(&["classify"], "seed", &[Netfiles, Frames]).needs(&[RANDOM_CODE]),
    on(TAKING, "crop", &[Recordings, NetworkAndRecordings]),
    on(TAKING, "downsample", &[Recordings, NetworkAndRecordings]),
    on(TAKING, "polarity", &[Recordings, NetworkAndRecordings]),
    on(TAKING, "from", &[Recordings, NetworkAndRecordings]),
    on(TAKING, "length", &[Recordings, NetworkAndRecordings]),
    on(TAKING, "events", &[Recordings, NetworkAndRecordings]),
    on(TAKING, "window", &[Recordings, NetworkAndRecordings]),
    // What compare, latency, sweep and verify share
    on(&["compare", "latency", "sweep", "verify"], "data", RECORDINGS_AND_NUMBERS),
    on(&["compare", "latency", "sweep"], "labels", &[Netfiles, Frames, SpikeTrains, Schematic]),
    on(&["compare", "latency", "sweep", "verify"], "split", &[Netfiles]),
    on(&["compare", "latency", "sweep", "verify"], "split_seed", &[Netfiles]),
    on(&["convert"], "labels", NUMBERS_OR_FRAMES),
    on(&["convert"], "split", &[TrainedNetwork]),
    on(&["convert"], "split_seed", &[TrainedNetwork]),
    on(&["eval"], "labels", &[TrainedNetwork, Stage]),
    on(&["eval"], "split", &[TrainedNetwork, Stage]),
    on(&["eval"], "split_seed", &[TrainedNetwork, Stage]),
    all(&["inspect"], "split").needs(&[DATA]),
    all(&["inspect"], "split_seed").needs(&[DATA]),
    on(&["classify"], "labels", &[Netfiles, Frames, SpikeTrains]),
    on(&["classify"], "split", &[Netfiles]),
    on(&["classify"], "split_seed", &[Netfiles]),
    all(&["compare", "latency", "sweep", "verify"], "samples"),
    all(&["compare", "latency", "sweep", "verify"], "skip").needs(&[COUNTED]),
    all(&["compare", "latency", "sweep", "verify"], "threads"),
    all(&["compare", "latency", "sweep"], "report"),
    on(&["compare", "latency", "sweep", "verify"], "duration", RECORDINGS_AND_NUMBERS),
    on(&["compare", "latency", "sweep", "verify"], "encode", &[Netfiles, Frames]),
    on(&["compare", "latency", "sweep", "verify"], "input_rate", &[Netfiles, Frames]).needs(&[RATE_CODE]),
    all(&["compare"], "ticks_per_ms"),
    on(&["latency", "sweep", "verify"], "ticks_per_ms", RECORDINGS_AND_NUMBERS),
    all(&["compare"], "seed").needs(&[DRAWN_IN_COMPARE]),
    on(&["latency"], "seed", &[Netfiles, Frames]).needs(&[RANDOM_CODE]),
    all(&["sweep"], "seed").needs(&[DRAWN_IN_SWEEP]),
    all(&["compare", "latency", "verify"], "json"),
    all(&["compare", "latency", "verify"], "force").needs(&[FILE_OF_RESULTS]),
    // compare
    all(&["compare"], "against"),
    all(&["compare"], "dt").needs(&[CLOCKED_SIDE]),
    all(&["compare"], "tie_order"),
    all(&["compare"], "warm_up"),
    all(&["compare"], "causes").needs(&[TWO_MODES]),
    all(&["compare"], "history"),
    all(&["compare"], "sample"),
    all(&["compare"], "show"),
    all(&["compare"], "readout"),
    all(&["compare"], "k"),
    // latency
    all(&["latency"], "hardware"),
    all(&["latency"], "strict"),
    all(&["sweep"], "strict"),
    all(&["latency"], "pace"),
    on(&["latency", "sweep"], "tick", &[Schematic]),
    all(&["latency"], "warm_up"),
    all(&["latency"], "relief"),
    all(&["latency"], "relief_keys"),
    all(&["latency"], "calibrate"),
    all(&["latency"], "trace"),
    all(&["latency"], "modules"),
    // verify
    all(&["verify"], "seed").needs(&[DRAWN_IN_VERIFY]),
    all(&["verify"], "orders"),
    all(&["verify"], "hardware"),
    all(&["verify"], "against"),
    // sweep
    all(&["sweep"], "over"),
    on(&["sweep"], "recalibrate", RECORDINGS_AND_NUMBERS).needs(&[DURATIONS]),
    all(&["sweep"], "out"),
    all(&["sweep"], "hardware"),
    all(&["sweep"], "pace"),
    all(&["sweep"], "dt"),
    all(&["sweep"], "force"),
    // That there is no --hardware is checked with the read-out.
    all(&["sweep"], "readout"),
    all(&["sweep"], "k"),
    all(&["sweep"], "confidence"),
    // encode
    all(&["encode"], "out"),
    all(&["encode"], "force"),
    all(&["encode"], "ticks_per_ms"),
    on(&["encode"], "encode", &[Data]),
    on(&["encode"], "netdir", &[Data]),
    on(&["encode"], "frames", &[Data]),
    on(&["encode"], "samples", &[Data]),
    on(&["encode"], "skip", &[Data]),
    on(&["encode"], "duration", &[Data]),
    on(&["encode"], "input_rate", &[Data]).needs(&[RATE_CODE]),
    on(&["encode"], "seed", &[Data]).needs(&[RANDOM_CODE]),
    on(&["encode"], "crop", &[Recording]),
    on(&["encode"], "downsample", &[Recording]),
    on(&["encode"], "polarity", &[Recording]),
    on(&["encode"], "from", &[Recording]),
    on(&["encode"], "length", &[Recording]),
    on(&["encode"], "events", &[Recording]),
    on(&["encode"], "window", &[Recording]),
    // eval, inspect
    all(&["eval"], "data"),
    on(&["inspect"], "data", &[TrainedNetwork, Netfiles]),
    all(&["eval", "inspect"], "json"),
    all(&["eval", "inspect"], "force").needs(&[FILE_OF_RESULTS]),
    on(&["eval", "inspect"], "architecture", &[TrainedNetwork]),
    on(&["eval", "inspect"], "input_shape", &[TrainedNetwork]),
    all(&["eval"], "samples"),
    on(&["eval"], "top_k", &[TrainedNetwork, Stage]),
    on(&["eval"], "per_class", &[TrainedNetwork, Stage]),
    on(&["eval"], "outputs", &[TrainedNetwork, Stage]),
    // features, train
    all(&["features", "train"], "data"),
    all(&["features", "train"], "out"),
    all(&["features", "train"], "samples"),
    all(&["features", "train"], "threads"),
    all(&["features", "train"], "cache"),
    all(&["features", "train"], "force"),
    all(&["features"], "set"),
    all(&["features"], "what"),
    all(&["features"], "skip"),
    all(&["features"], "picture"),
    all(&["features"], "report"),
    all(&["train"], "seed"),
    all(&["train"], "weights"),
    all(&["train"], "checkpoint"),
    all(&["train"], "resume"),
    // Parts of studies
    all(&["compare", "latency", "sweep", "verify"], "shard"),
    all(&["compare", "latency", "sweep", "verify"], "outcomes"),
    all(&["compare", "latency", "sweep", "verify"], "estimate"),
    on(&["classify"], "shard", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "outcomes", RECORDINGS_AND_NUMBERS),
    on(&["classify"], "estimate", RECORDINGS_AND_NUMBERS),
    on(&["eval"], "shard", &[TrainedNetwork, Stage]),
    on(&["eval"], "outcomes", &[TrainedNetwork, Stage]),
    on(&["eval"], "estimate", &[TrainedNetwork, Stage]),
    all(&["merge"], "status"),
    all(&["merge"], "out"),
    all(&["merge"], "json"),
    all(&["merge"], "report"),
    all(&["merge"], "predictions"),
    all(&["merge"], "outputs"),
    all(&["merge"], "force"),
    all(&["merge"], "threads"),
    // What is printed
    all(PRINTED, "full"),
    all(PRINTED, "brief"),
    // report, toolbox, rerun
    all(&["rerun"], "out"),
    all(&["report", "toolbox"], "out"),
    all(&["report", "toolbox"], "force"),
    // That there is a sweep to draw is known with the results.
    on(&["report"], "log_x", &[Only]),
];
