//! Which settings of SNN toolbox mean something here, and what is done instead of the others.

use super::Ini;

/// Said of a setting that SNN toolbox does not have.
pub(super) const UNKNOWN: &str = "not known here; nothing is done";

/// Settings that are there in the toolbox and mean nothing here, and what is done instead.
pub(super) const INSTEAD: &[(&str, &str, &str)] = &[
    ("cell", "v_reset", "potentials are reset to 0; --set 'GLOB.MembReset=...' on netfiles changes that"),
    ("cell", "v_rest", "potentials rest where they are reset to; `convert --resting-potential` sets another"),
    ("cell", "e_rev_e", "synapses add currents; there are no reversal potentials"),
    ("cell", "e_rev_i", "synapses add currents; there are no reversal potentials"),
    ("cell", "i_offset", "biases act by a clock; there are no offset currents"),
    ("cell", "cm", "membranes have no capacitance: a weight is what it adds to the potential"),
    (
        "cell",
        "tau_m",
        "neurons do not leak; `convert --tau-mem` gives an exponential leak, `--set 'GLOB.TLplus=...'` a linear one",
    ),
    ("cell", "tau_syn_e", "synapses act at once; there are no time constants"),
    ("cell", "tau_syn_i", "synapses act at once; there are no time constants"),
    (
        "cell",
        "delay",
        "spikes arrive in the tick in which they are made; `convert --set 'GLOB.delay_to_arrive=...'` delays them",
    ),
    (
        "simulation",
        "delay",
        "spikes arrive in the tick in which they are made; `convert --set 'GLOB.delay_to_arrive=...'` delays them",
    ),
    ("cell", "payloads", "spikes carry nothing"),
    ("cell", "bias_relaxation", "biases act from the start"),
    ("cell", "leak", "neurons do not leak; `convert --set 'GLOB.TLplus=...'` gives a linear leak"),
    ("conversion", "maxpool_type", "maximum pooling passes the spikes of the input that has fired most (fir_max)"),
    (
        "conversion",
        "spike_code",
        "images are shown as rates (temporal_mean_rate); `megasim classify --encode` has other codes",
    ),
    ("conversion", "use_isi_code", "images are shown as rates; `megasim classify --encode` has other codes"),
    ("conversion", "num_bits", "weights keep their precision; `megasim convert --weight-bits` rounds them"),
    ("normalization", "online_normalization", "scales are set before the run"),
    ("normalization", "diff_to_max_rate", "scales are set before the run"),
    ("normalization", "diff_to_min_rate", "scales are set before the run"),
    ("normalization", "timestep_fraction", "scales are set before the run"),
    ("simulation", "simulator", "our own engine runs the network, event by event and clocked"),
    ("simulation", "batch_size", "each sample starts from a fresh state"),
    ("simulation", "keras_backend", "models are read without Keras"),
    ("simulation", "early_stopping", "samples are shown to the end; `megasim classify --confidence` stops earlier"),
    ("cell", "quantize_weights", "weights keep their precision; `megasim convert --weight-bits` rounds them"),
    ("simulation", "sample_idxs_to_test", "the first num_to_test samples are tested"),
    ("simulation", "reset_between_nth_sample", "each sample starts from a fresh state"),
    ("input", "num_dvs_events_per_sample", "data are images; `megasim encode` reads event recordings"),
    ("input", "eventframe_width", "data are images; `megasim encode` reads event recordings"),
    ("input", "chip_size", "data are images; `megasim encode` reads event recordings"),
    ("input", "frame_gen_method", "data are images; `megasim encode` reads event recordings"),
    ("input", "maxpool_subsampling", "data are images; `megasim encode` reads event recordings"),
    ("input", "is_x_first", "data are images; `megasim encode` reads event recordings"),
    ("input", "is_x_flipped", "data are images; `megasim encode` reads event recordings"),
    ("input", "is_y_flipped", "data are images; `megasim encode` reads event recordings"),
    ("input", "label_dict", "classes are numbered by the data"),
    ("input", "model_lib", "the model file tells its library"),
    ("input", "dataset_format", "the data directory tells its format"),
    ("input", "num_poisson_events_per_sample", "the duration ends a sample"),
    ("input", "datagen_kwargs", "samples are taken as they are stored"),
    ("input", "dataflow_kwargs", "samples are taken as they are stored"),
    ("paths", "log_dir_of_current_run", "results go where --out says"),
    ("paths", "filename_parsed_model", "no parsed model is kept; `megasim convert --save-parsed` keeps one"),
    ("paths", "filename_snn", "netfiles go where --out says"),
    ("paths", "filename_clamp_indices", "no neuron is held back at the start of a sample"),
    ("paths", "class_idx_path", "classes are numbered by the data"),
    ("paths", "runlabel", "results go where --out says"),
    ("output", "log_vars", "`megasim compare` and `megasim run` record what happened"),
    ("output", "plot_vars", "`megasim compare` draws"),
    ("output", "verbose", "everything is printed once"),
    ("output", "overwrite", "--force replaces earlier results"),
    ("output", "use_simple_labels", "nothing is plotted"),
    ("output", "plotproperties", "nothing is plotted"),
    ("parameter_sweep", "param_logscale", "param_values are taken as they are"),
    ("tools", "parse", "a model is always parsed when it is converted"),
];

/// Settings that mean something here.
pub(super) const KNOWN: &[(&str, &[&str])] = &[
    ("paths", &["path_wd", "dataset_path", "filename_ann"]),
    ("tools", &["evaluate_ann", "normalize", "convert", "simulate"]),
    ("input", &["poisson_input", "input_rate"]),
    ("conversion", &["max2avg_pool", "softmax_to_relu"]),
    ("normalization", &["percentile", "normalization_schedule"]),
    ("cell", &["v_thresh", "reset", "tau_refrac", "scaling_factor", "softmax_clockrate", "binarize_weights"]),
    ("simulation", &["duration", "dt", "num_to_test", "top_k", "scaling_factor", "reset"]),
    ("parameter_sweep", &["param_name", "param_values"]),
];

/// What to say of the settings of a file that mean nothing here.
pub(super) fn remarks(ini: &Ini) -> Vec<String> {
    let mut remarks = Vec::new();
    for (section, keys) in &ini.sections {
        for (key, value) in keys {
            let is_known = |&(known, names): &(&str, &[&str])| known == section && names.contains(&key.as_str());
            if KNOWN.iter().any(is_known) {
                continue;
            }
            let instead = INSTEAD.iter().find(|(known, name, _)| known == section && name == key);
            let instead = match instead {
                Some((.., instead)) => instead,
                None if section == "restrictions" => {
                    "a list of what SNN toolbox takes; other values are refused here by themselves"
                }
                None => UNKNOWN,
            };
            remarks.push(format!("[{section}] {key} = {value}: {instead}"));
        }
    }
    remarks
}

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
        ("input", "model_lib", "caffe"),
        ("input", "dataset_format", "jpg"),
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
        ("normalization", "diff_to_max_rate", "100"),
        ("normalization", "diff_to_min_rate", "50"),
        ("normalization", "timestep_fraction", "5"),
        ("conversion", "softmax_to_relu", "True"),
        ("conversion", "max2avg_pool", "True"),
        ("conversion", "maxpool_type", "avg_max"),
        ("conversion", "use_isi_code", "True"),
        ("conversion", "spike_code", "ttfs"),
        ("conversion", "num_bits", "8"),
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
        ("cell", "v_thresh", "2"),
        ("cell", "tau_refrac", "3"),
        ("cell", "v_reset", "0.1"),
        ("cell", "v_rest", "0.1"),
        ("cell", "e_rev_E", "9"),
        ("cell", "e_rev_I", "-9"),
        ("cell", "i_offset", "0.1"),
        ("cell", "cm", "0.1"),
        ("cell", "tau_m", "20"),
        ("cell", "tau_syn_E", "0.1"),
        ("cell", "tau_syn_I", "0.1"),
        ("cell", "delay", "2"),
        ("cell", "binarize_weights", "True"),
        ("cell", "quantize_weights", "True"),
        ("cell", "scaling_factor", "1000"),
        ("cell", "payloads", "True"),
        ("cell", "reset", "Reset to zero"),
        ("cell", "leak", "True"),
        ("cell", "bias_relaxation", "True"),
        ("cell", "softmax_clockrate", "100"),
        ("parameter_sweep", "param_values", "[1, 2]"),
        ("parameter_sweep", "param_logscale", "True"),
        ("output", "log_vars", "{'all'}"),
        ("output", "plot_vars", "{'all'}"),
        ("output", "verbose", "3"),
        ("output", "overwrite", "False"),
        ("output", "use_simple_labels", "False"),
        ("output", "plotproperties", "{\n    'font.size': 13,\n    'savefig.format': 'png'}"),
        ("restrictions", "model_libs", "{'keras'}"),
    ];

    fn read(text: &str) -> Configuration {
        Configuration::of(&Ini::parse("dir/config".as_ref(), text).unwrap()).unwrap()
    }

    #[test]
    fn every_setting_of_the_toolbox_acts_or_is_named_with_what_is_done_instead() {
        let start = "[paths]\nfilename_ann = net\n";
        let usual = read(start);
        for (section, key, value) in SETTINGS {
            let text = match *section {
                "paths" if *key == "filename_ann" => format!("[paths]\n{key} = {value}\n"),
                "paths" => format!("{start}{key} = {value}\n"),
                section => format!("{start}[{section}]\n{key} = {value}\n"),
            };
            let found = read(&text);
            let acts = Configuration { remarks: Vec::new(), ..found.clone() } != usual;
            let begins = format!("[{section}] {} = ", key.to_lowercase());
            let told = found.remarks.iter().find(|remark| remark.starts_with(&begins));
            assert!(acts != told.is_some(), "[{section}] {key}: acts {acts}, told {told:?}");
            assert!(told.is_none_or(|remark| !remark.ends_with(UNKNOWN)), "[{section}] {key}");
        }
        // What a sweep changes is told with its values.
        let swept = format!("{start}[parameter_sweep]\nparam_name = duration\nparam_values = [10]\n");
        assert_ne!(read(&swept).sweep, read(&swept.replace("duration", "v_thresh")).sweep);
    }

    #[test]
    fn no_setting_both_acts_and_is_told_of() {
        for (section, names) in KNOWN {
            for name in *names {
                assert!(!INSTEAD.iter().any(|(other, key, _)| other == section && key == name), "[{section}] {name}");
            }
        }
    }

    #[test]
    fn what_the_toolbox_does_not_have_is_named_as_unknown() {
        let remarks = read("[paths]\nfilename_ann = net\n[cell]\nsecret = 1\n").remarks;
        assert_eq!(remarks, [format!("[cell] secret = 1: {UNKNOWN}")]);
    }
}
