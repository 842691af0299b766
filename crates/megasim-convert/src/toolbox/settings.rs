//! Which settings of SNN toolbox act here, and why the others mean nothing.

use super::Ini;

/// A setting of SNN toolbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its section in configuration files of version 0.6; version 0.1 had others ([`SECTIONS`]).
    pub section: &'static str,
    /// Its name, in lower case.
    pub name: &'static str,
    /// What it does, or why it means nothing.
    pub meaning: Meaning,
}

/// What a setting means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// It acts, as this says.
    Acts(&'static str),
    /// It means nothing here, for this reason.
    Nothing(&'static str),
}

const fn acts(section: &'static str, name: &'static str, how: &'static str) -> Key {
    Key { section, name, meaning: Meaning::Acts(how) }
}

const fn nothing(section: &'static str, name: &'static str, why: &'static str) -> Key {
    Key { section, name, meaning: Meaning::Nothing(why) }
}

/// Sections of a configuration, those of version 0.1 last: their settings are looked for in the section of 0.6.
pub const SECTIONS: [&str; 16] = [
    "paths",
    "tools",
    "input",
    "normalization",
    "conversion",
    "simulation",
    "cell",
    "parameter_sweep",
    "output",
    "restrictions",
    "gui",
    "spinnaker",
    "loihi",
    "globalparams",
    "cellparams",
    "simparams",
];

/// Names of version 0.1 and of its Python interface, and those of today.
pub(super) const OLD_NAMES: [(&str, &str); 6] = [
    ("evaluateann", "evaluate_ann"),
    ("evaluate", "evaluate_ann"),
    ("path", "path_wd"),
    ("filename", "filename_ann"),
    ("dataset", "dataset_path"),
    ("params", "param_values"),
];

/// The name of today of a setting as it is written, in lower case.
pub(super) fn known_name(written: &str) -> String {
    let name = written.to_lowercase().replace(' ', "_");
    OLD_NAMES.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| (*new).into())
}

const NO_CONDUCTANCE: &str = "synapses add currents; there are no reversal potentials";
const FRESH: &str = "each sample starts from a fresh state, and samples run in parallel";
const CAMERA: &str = "events of a recording have their own times and addresses; `megasim classify` crops and \
    downsamples them";
const KERAS: &str = "a model file is read as it is, and tells its library";

/// All settings.
pub const KEYS: &[Key] = &[
    acts("paths", "path_wd", "folder of the model; relative to the configuration"),
    acts("paths", "dataset_path", "data: a directory or a file"),
    acts("paths", "filename_ann", "the model file, with or without its ending"),
    acts("paths", "filename_parsed_model", "the parsed model is kept in `path_wd` under this name (.npz)"),
    acts("paths", "log_dir_of_current_run", "where pictures, records and exports go; else `OUT-log`"),
    acts("paths", "runlabel", "a folder of this name in the one of the pictures"),
    nothing("paths", "filename_snn", "netfiles go where --out says"),
    nothing("paths", "filename_clamp_indices", "no neuron is held back at the start of a sample"),
    nothing("paths", "class_idx_path", "classes are numbered by the data"),
    nothing(
        "paths",
        "filepath_custom_objects",
        "a table [custom] in a TOML file next to the model says what custom layers are",
    ),
    nothing("paths", "architecture", KERAS),
    acts("tools", "evaluate_ann", "the trained network is evaluated, and each step of the conversion"),
    nothing("tools", "serialise_only", "no other machine is loaded; `convert` alone writes the netfiles"),
    nothing("tools", "parse", "a model is always parsed when it is converted"),
    acts("tools", "normalize", "weights are scaled by activations; alone, it writes the normalised model"),
    acts("tools", "convert", "netfiles are written; else those of --out are taken, if they fit the settings"),
    acts("tools", "simulate", "the netfiles run in event and clocked mode"),
    acts("input", "poisson_input", "pixels become Poisson spikes"),
    acts("input", "input_rate", "rate of a white pixel, in Hz"),
    nothing("input", "num_poisson_events_per_sample", "the duration ends a sample"),
    acts("input", "num_dvs_events_per_sample", "of a recording: its first events, this number of them"),
    nothing("input", "eventframe_width", CAMERA),
    acts("input", "chip_size", "of a recording: as many pixels become one that the chip fits the input"),
    acts(
        "input",
        "frame_gen_method",
        "of a recording: `signed_sum` keeps signs, `rectified_sum` none; others: two maps",
    ),
    nothing("input", "maxpool_subsampling", CAMERA),
    nothing("input", "is_x_first", CAMERA),
    nothing("input", "is_x_flipped", CAMERA),
    nothing("input", "is_y_flipped", CAMERA),
    nothing("input", "do_clip_three_sigma", CAMERA),
    nothing("input", "max_num_input_spikes", "the duration ends a sample"),
    nothing("input", "keras_dataset", "nothing is downloaded; `dataset_path` names the data (`mnist.npz` of Keras)"),
    nothing("input", "label_dict", "classes are numbered by the data"),
    nothing("input", "model_lib", KERAS),
    acts(
        "input",
        "dataset_format",
        "`frames`: samples are sequences of frames; one that the data do not have is named",
    ),
    acts("input", "datagen_kwargs", "keys of `preprocessing.toml`; others are named ([samples](#samples))"),
    acts("input", "dataflow_kwargs", "`target_size` and `color_mode`; others are named"),
    acts("normalization", "percentile", "the percentile of activations that becomes one spike per ms"),
    acts("normalization", "normalization_schedule", "the percentile falls by 0.02 from layer to layer"),
    nothing("normalization", "num_samples", "the normalisation set is x_norm, or the first 2,000 training samples"),
    acts(
        "normalization",
        "online_normalization",
        "thresholds follow the highest rate of their layer during a run ([rule](#online-normalisation))",
    ),
    acts(
        "normalization",
        "diff_to_max_rate",
        "only highest rates lower than the maximum by more than this do so, in Hz",
    ),
    acts("normalization", "diff_to_min_rate", "only highest rates above this do so, in Hz"),
    acts("normalization", "timestep_fraction", "steps (`dt`) from one change of thresholds to the next"),
    acts("conversion", "softmax_to_relu", "the output has rectifiers in place of a softmax"),
    acts("conversion", "max2avg_pool", "average pooling takes the place of maximum pooling"),
    acts(
        "conversion",
        "maxpool_type",
        "`fir_max`, the input that has fired most; `avg_max`, most in the last 50 ms; `exp_max`, with an average that \
         decays in 50 ms",
    ),
    acts(
        "conversion",
        "spike_code",
        "`temporal_mean_rate`, `temporal_pattern`, `ttfs`, `ttfs_dyn_thresh`, `ttfs_corrective` \
         ([codes](#spike-codes))",
    ),
    nothing("conversion", "append_softmax", "a softmax does not change which output is the largest"),
    acts("conversion", "num_bits", "bits of `temporal_pattern` (at most 16); of the weights, with `quantize_weights`"),
    nothing("conversion", "use_isi_code", "images are shown as rates; `megasim classify --encode` has other codes"),
    acts("simulation", "duration", "how long a sample is shown, in ms"),
    acts("simulation", "dt", "milliseconds of a tick"),
    acts("simulation", "num_to_test", "how many samples are evaluated and simulated"),
    acts("simulation", "sample_idxs_to_test", "which samples are simulated, in place of `num_to_test`"),
    acts("simulation", "top_k", "how often the right class is among the first k"),
    acts("simulation", "early_stopping", "a run stops when a class leads by one spike (`--confidence 1`)"),
    acts(
        "simulation",
        "simulator",
        "besides our own run, the network is written for `brian2`, for PyNN (`nest`, ...) or as a Keras file (`INI`)",
    ),
    nothing("simulation", "batch_size", FRESH),
    nothing("simulation", "reset_between_nth_sample", FRESH),
    nothing("simulation", "keras_backend", KERAS),
    acts("cell", "v_thresh", "threshold, in units of which 1 is one spike per ms"),
    acts("cell", "v_reset", "potential after a spike, with 'Reset to zero'"),
    acts("cell", "v_rest", "potential where neurons start and leak to"),
    acts("cell", "reset", "by subtraction, to zero or by modulo"),
    acts("cell", "tau_m", "time constant of an exponential leak, in ms"),
    acts("cell", "tau_refrac", "refractory time in ms"),
    acts("cell", "delay", "delay of each layer in ms"),
    acts("cell", "i_offset", "constant current, as a bias: `i_offset / cm` is added to potentials per ms"),
    acts("cell", "cm", "capacitance, by which `i_offset` is divided (0.09)"),
    acts("cell", "scaling_factor", "weights times this are the integers of netfiles"),
    acts("cell", "softmax_clockrate", "rate of the clock of a softmax output, a Poisson process, in Hz"),
    acts("cell", "binarize_weights", "weights have two values"),
    acts("cell", "quantize_weights", "weights have `num_bits` bits"),
    acts("cell", "tau_syn_e", "the current of positive weights decays so, in ms; below a tick it acts at once"),
    acts("cell", "tau_syn_i", "the current of negative weights decays so, in ms; below a tick it acts at once"),
    nothing("cell", "e_rev_e", NO_CONDUCTANCE),
    nothing("cell", "e_rev_i", NO_CONDUCTANCE),
    acts("cell", "payloads", "spikes carry residuals, with 'Reset by subtraction' (`--payload-bits 16`)"),
    nothing("cell", "bias_relaxation", "biases act from the start"),
    nothing("cell", "leak", "neurons leak where tau_m is given"),
    acts("parameter_sweep", "param_name", "the setting that is swept, any that acts ([sweeps](#sweeps))"),
    acts("parameter_sweep", "param_values", "its values: a list, or `get_range(START, STOP, NUM, METHOD)`"),
    acts("parameter_sweep", "param_logscale", "the axis of the parameter is logarithmic in the pictures"),
    acts("output", "log_vars", "spikes of all layers are recorded (`spikes.npz`), with `mem` potentials too"),
    acts("output", "plot_vars", "pages of pictures are drawn, `page.html` and `layers.html` ([pictures](#pictures))"),
    acts("output", "verbose", "from 2 on as all of `plot_vars` but `v_mem`, 3 with that too"),
    nothing("output", "overwrite", "--force replaces earlier results"),
    nothing("output", "use_simple_labels", "layers have one name"),
    nothing("output", "plotproperties", "pictures have one style"),
];

/// Moves settings of version 0.1, and those in another section than theirs, to where they belong, and says what is not
/// known or means nothing.
pub(super) fn arranged(ini: &mut Ini) -> Vec<String> {
    let mut remarks = Vec::new();
    let sections = std::mem::take(&mut ini.sections);
    for (section, keys) in &sections {
        for (written, value) in keys {
            let name = &known_name(written)[..];
            let said = |what: &str| format!("[{section}] {written} = {value}: {what}");
            let Some(key) = KEYS.iter().find(|key| key.name == name) else {
                remarks.push(match &section[..] {
                    "restrictions" => {
                        said("a list of what SNN toolbox takes; other values are refused here by themselves")
                    }
                    "gui" => said("there is no window"),
                    "spinnaker" | "loihi" => said("an option of other hardware; this engine runs the network"),
                    _ => said(&unknown(name)),
                });
                continue;
            };
            if !SECTIONS.contains(&&section[..]) {
                let near = nearest(section, SECTIONS);
                let near = near.map_or(String::new(), |near| format!("; did you mean [{near}]?"));
                remarks.push(said(&format!("taken as of [{}]{near}", key.section)));
            }
            let there = sections.get(key.section).is_some_and(|keys| keys.contains_key(name));
            if there && (section != key.section || name != written) {
                remarks.push(said(&format!("nothing is done, as [{}] {name} is given too", key.section)));
                continue;
            }
            ini.sections.entry(key.section.into()).or_default().insert(name.into(), value.clone());
            if let Meaning::Nothing(why) = key.meaning {
                remarks.push(said(why));
            }
        }
    }
    remarks
}

fn unknown(name: &str) -> String {
    let names = KEYS.iter().map(|key| key.name).chain(OLD_NAMES.iter().map(|(old, _)| *old));
    match nearest(name, names) {
        Some(near) => format!("{UNKNOWN}; did you mean '{near}'?"),
        None => UNKNOWN.into(),
    }
}

/// The name that differs least from what was written, if it differs little.
pub(super) fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = names.into_iter().map(|name| (strsim::damerau_levenshtein(written, name), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + written.len() / 5).then_some(name)
}

/// Said of a setting that SNN toolbox does not have.
pub(super) const UNKNOWN: &str = "not known; nothing is done";

#[cfg(test)]
mod tests {
    use super::super::Configuration;
    use super::*;

    /// Every setting of the default configuration of SNN toolbox 0.6, and those that only its manual names, with a
    /// value that is not the default.
    const SETTINGS: &[(&str, &str, &str)] = &[
        ("paths", "path_wd", "elsewhere"),
        ("paths", "dataset_path", "elsewhere"),
        ("paths", "log_dir_of_current_run", "elsewhere"),
        ("paths", "runlabel", "second"),
        ("paths", "filename_ann", "other"),
        ("paths", "filename_parsed_model", "parsed"),
        ("paths", "filename_snn", "snn"),
        ("paths", "filename_clamp_indices", "clamp"),
        ("paths", "class_idx_path", "classes"),
        ("paths", "filepath_custom_objects", "layers.py"),
        ("paths", "architecture", "cnn"),
        ("tools", "serialise_only", "True"),
        ("input", "do_clip_three_sigma", "False"),
        ("input", "max_num_input_spikes", "100"),
        ("input", "keras_dataset", "mnist"),
        ("normalization", "num_samples", "100"),
        ("conversion", "append_softmax", "True"),
        ("spinnaker", "number_of_neurons_per_core", "64"),
        ("loihi", "normalize_thresholds", "True"),
        ("input", "model_lib", "caffe"),
        ("input", "dataset_format", "frames"),
        ("input", "datagen_kwargs", "{'rescale': 0.5}"),
        ("input", "dataflow_kwargs", "{'shuffle': True}"),
        ("input", "poisson_input", "True"),
        ("input", "input_rate", "500"),
        ("input", "num_poisson_events_per_sample", "1000"),
        ("input", "num_dvs_events_per_sample", "1000"),
        ("input", "eventframe_width", "20"),
        ("input", "label_dict", "{'paper': 0}"),
        ("input", "chip_size", "(240, 180)"),
        ("tools", "evaluate_ann", "False"),
        ("tools", "parse", "False"),
        ("tools", "normalize", "False"),
        ("tools", "convert", "False"),
        ("tools", "simulate", "False"),
        ("normalization", "percentile", "99"),
        ("normalization", "normalization_schedule", "True"),
        ("normalization", "online_normalization", "True"),
        ("normalization", "diff_to_max_rate", "100\nonline_normalization = True"),
        ("normalization", "diff_to_min_rate", "50\nonline_normalization = True"),
        ("normalization", "timestep_fraction", "5\nonline_normalization = True"),
        ("conversion", "softmax_to_relu", "True"),
        ("conversion", "max2avg_pool", "True"),
        ("conversion", "maxpool_type", "avg_max"),
        ("input", "frame_gen_method", "signed_sum"),
        ("input", "is_x_first", "False"),
        ("input", "is_x_flipped", "True"),
        ("input", "is_y_flipped", "True"),
        ("input", "maxpool_subsampling", "True"),
        ("conversion", "use_isi_code", "True"),
        ("conversion", "spike_code", "ttfs"),
        ("conversion", "num_bits", "8\nquantize_weights = True"),
        ("simulation", "simulator", "brian2"),
        ("simulation", "duration", "100"),
        ("simulation", "dt", "0.5"),
        ("simulation", "delay", "2"),
        ("simulation", "batch_size", "10"),
        ("simulation", "num_to_test", "20"),
        ("simulation", "sample_idxs_to_test", "[1, 2]"),
        ("simulation", "reset_between_nth_sample", "2"),
        ("simulation", "top_k", "5"),
        ("simulation", "keras_backend", "theano"),
        ("simulation", "early_stopping", "True"),
        ("parameter_sweep", "param_name", "duration\nparam_values = [10]"),
        ("cell", "v_thresh", "2"),
        ("cell", "tau_refrac", "3"),
        ("cell", "v_reset", "0.1\nreset = 'Reset to zero'"),
        ("cell", "v_rest", "0.1"),
        ("cell", "e_rev_E", "9"),
        ("cell", "e_rev_I", "-9"),
        ("cell", "i_offset", "0.1"),
        ("cell", "cm", "0.1\ni_offset = 0.1"),
        ("cell", "tau_m", "20"),
        ("cell", "tau_syn_E", "5"),
        ("cell", "tau_syn_I", "5"),
        ("cell", "delay", "2"),
        ("cell", "binarize_weights", "True"),
        ("cell", "quantize_weights", "True\nnum_bits = 4"),
        ("cell", "scaling_factor", "1000"),
        ("cell", "payloads", "True"),
        ("cell", "reset", "Reset to zero"),
        ("cell", "leak", "True"),
        ("cell", "bias_relaxation", "True"),
        ("cell", "softmax_clockrate", "100"),
        ("parameter_sweep", "param_values", "[1, 2]"),
        ("parameter_sweep", "param_logscale", "True\nparam_values = [1]"),
        ("output", "log_vars", "{'all'}"),
        ("output", "plot_vars", "{'all'}"),
        ("output", "verbose", "3"),
        ("output", "overwrite", "False"),
        ("output", "use_simple_labels", "False"),
        ("output", "plotproperties", "{\n    'font.size': 13,\n    'savefig.format': 'png'}"),
        ("restrictions", "model_libs", "{'keras'}"),
    ];

    fn read(text: &str) -> Configuration {
        Configuration::of(Ini::parse("dir/config".as_ref(), text).unwrap()).unwrap()
    }

    /// Settings of version 0.1, by the sections of its manual, with a value that is not the default.
    const MANUAL: &[(&str, &str, &str)] = &[
        ("globalparams", "dataset_path", "elsewhere"),
        ("globalparams", "model_lib", "lasagne"),
        ("globalparams", "path_wd", "elsewhere"),
        ("globalparams", "log_dir_of_current_run", "elsewhere"),
        ("globalparams", "filename_parsed_model", "parsed"),
        ("globalparams", "filename_snn", "snn"),
        ("globalparams", "evaluateANN", "False"),
        ("globalparams", "normalize", "False"),
        ("globalparams", "percentile", "99"),
        ("globalparams", "convert", "False"),
        ("globalparams", "simulate", "False"),
        ("globalparams", "overwrite", "False"),
        ("globalparams", "batch_size", "10"),
        ("globalparams", "verbose", "3"),
        ("globalparams", "scaling_factor", "1000"),
        ("cellparams", "v thresh", "2"),
        ("cellparams", "v_reset", "0.1\nreset = 'Reset to zero'"),
        ("cellparams", "v_rest", "0.1"),
        ("cellparams", "e_rev_E", "9"),
        ("cellparams", "e_rev_I", "-9"),
        ("cellparams", "i_offset", "0.1"),
        ("cellparams", "cm", "0.1\ni_offset = 0.1"),
        ("cellparams", "tau_m", "20"),
        ("cellparams", "tau_refrac", "3"),
        ("cellparams", "tau_syn_E", "5"),
        ("cellparams", "tau_syn_I", "5"),
        ("cellparams", "softmax_clockrate", "100"),
        ("simparams", "simulator", "nest"),
        ("simparams", "duration", "100"),
        ("simparams", "dt", "0.5"),
        ("simparams", "delay", "2"),
        ("simparams", "poisson_input", "True"),
        ("simparams", "reset", "Reset to zero"),
        ("simparams", "input_rate", "700"),
        ("simparams", "normalization_schedule", "True"),
        ("simparams", "online_normalization", "True"),
        ("simparams", "diff_to_max_rate", "100\nonline_normalization = True"),
        ("simparams", "diff_to_min_rate", "50\nonline_normalization = True"),
        ("simparams", "timestep_fraction", "5\nonline_normalization = True"),
        ("simparams", "num_to_test", "20"),
        ("simparams", "maxpool_type", "avg_max"),
    ];

    const START: &str = "[paths]\nfilename_ann = net\n";

    /// Whether a setting changes what is done, and whether a remark names it.
    fn of(section: &str, key: &str, value: &str) -> (bool, Vec<String>) {
        let text = match section {
            "paths" if key == "filename_ann" => format!("[paths]\n{key} = {value}\n"),
            "paths" => format!("{START}{key} = {value}\n"),
            section => format!("{START}[{section}]\n{key} = {value}\n"),
        };
        let found = read(&text);
        let acts = Configuration { remarks: Vec::new(), ..found.clone() } != read(START);
        (acts, found.remarks)
    }

    #[test]
    fn every_setting_of_both_manuals_acts_or_is_named_with_the_reason() {
        for (section, key, value) in SETTINGS.iter().chain(MANUAL) {
            let (acts, remarks) = of(section, key, value);
            // Of what is looked at with its value, the section is that of today.
            let is_named = |remark: &&String| {
                remark.split_once("] ").is_some_and(|(_, rest)| rest.starts_with(&key.to_lowercase()))
            };
            let named = remarks.iter().find(is_named);
            assert!(acts != named.is_some(), "[{section}] {key}: acts {acts}, named {named:?}");
            assert!(named.is_none_or(|remark| !remark.contains(UNKNOWN)), "[{section}] {key}");
        }
    }

    #[test]
    fn every_key_is_tried_and_does_what_the_table_says() {
        for key in KEYS {
            let trials: Vec<_> = SETTINGS
                .iter()
                .filter(|(section, name, _)| *section == key.section && name.to_lowercase() == key.name)
                .collect();
            assert!(!trials.is_empty(), "[{}] {} is not tried", key.section, key.name);
            for (section, name, value) in trials {
                let (acts, remarks) = of(section, name, value);
                match key.meaning {
                    Meaning::Acts(how) => assert!(acts || how.contains("are named"), "[{section}] {name}: {how}"),
                    Meaning::Nothing(why) => {
                        assert!(
                            !acts && remarks.iter().any(|remark| remark.ends_with(why)),
                            "[{section}] {name}: {remarks:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn values_that_a_setting_cannot_have_are_refused_with_those_that_it_can() {
        for (section, key, wrong, choices, near) in [
            ("input", "dataset_format", "npy", "npz, jpg, aedat, frames", "npz"),
            (
                "input",
                "frame_gen_method",
                "signd_sum",
                "signed_sum, rectified_sum, rectified_polarity_channels",
                "signed_sum",
            ),
            ("input", "model_lib", "pytorh", "keras, lasagne, caffe, pytorch", "pytorch"),
            ("conversion", "maxpool_type", "fir_mx", "fir_max, avg_max, exp_max", "fir_max"),
            ("conversion", "spike_code", "tfs", "temporal_mean_rate, temporal_pattern, ttfs", "ttfs"),
            ("simulation", "simulator", "brain2", "INI, brian2, nest", "brian2"),
            ("simulation", "keras_backend", "tensorflw", "tensorflow, theano", "tensorflow"),
            (
                "output",
                "log_vars",
                "{'mem_n_b_l_t', 'spiketrans_n_b_l_t'}",
                "activations_n_b_l,",
                "spiketrains_n_b_l_t",
            ),
            ("output", "plot_vars", "{'spikerate'}", "activations, spiketrains", "spikerates"),
        ] {
            let text = format!("{START}[{section}]\n{key} = {wrong}\n");
            let error = Configuration::of(Ini::parse("config".as_ref(), &text).unwrap()).unwrap_err().to_string();
            assert!(error.contains(&format!("[{section}] {key}: expected {choices}")), "{error}");
            assert!(error.ends_with(&format!("; did you mean '{near}'?")), "{error}");
        }
        for (key, value) in [("log_vars", "{}"), ("plot_vars", "set()"), ("plot_vars", "{'all'}")] {
            let text = format!("{START}[output]\n{key} = {value}\n");
            assert!(Configuration::of(Ini::parse("config".as_ref(), &text).unwrap()).is_ok(), "{key} = {value}");
        }
        let text = format!("{START}[input]\nchip_size = None\n[simulation]\nsimulator = ini\n");
        assert_eq!(read(&text).taken, read(START).taken);
    }

    #[test]
    fn settings_of_the_old_sections_and_names_are_understood() {
        let text = "[globalparams]\nfilename_ann = net\nevaluateANN = False\n[simulation]\npoisson_input = True\n\
            [cellparams]\nv thresh = 2\n";
        let found = read(text);
        assert_eq!((found.evaluate_ann, found.poisson_input, found.v_thresh), (false, true, 2.0));
        assert_eq!(found.remarks, Vec::<String>::new());
        let twice = read(&format!("{START}[cell]\nv_thresh = 2\n[cellparams]\nv_thresh = 3\n"));
        assert_eq!(twice.v_thresh, 2.0);
        assert_eq!(twice.remarks, ["[cellparams] v_thresh = 3: nothing is done, as [cell] v_thresh is given too"]);
    }

    #[test]
    fn what_the_toolbox_does_not_have_is_named_with_what_is_near() {
        let remarks = |text: &str| read(&format!("{START}{text}")).remarks;
        assert_eq!(remarks("[cell]\nsecret = 1\n"), ["[cell] secret = 1: not known; nothing is done"]);
        assert_eq!(
            remarks("[cell]\nv_tresh = 1\n"),
            ["[cell] v_tresh = 1: not known; nothing is done; did you mean 'v_thresh'?"]
        );
        assert_eq!(
            remarks("[simulaton]\nduration = 1\n"),
            ["[simulaton] duration = 1: taken as of [simulation]; did you mean [simulation]?"]
        );
    }
}
