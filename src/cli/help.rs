//! How help is arranged: an example on top, options under headings, and in the short help (`-h`) those that most people
//! need.

use clap::Command;

/// An example of each command.
const EXAMPLES: &[(&str, &str)] = &[
    ("check", "megasim check netfiles/megasim.sch"),
    ("completions", "megasim completions bash > ~/.local/share/bash-completion/completions/megasim"),
    ("diff", "megasim diff events-before events-after"),
    ("convert", "megasim convert model.keras --data digits --out netfiles --duration 10"),
    ("classify", "megasim classify netfiles --data digits --report result.html"),
    ("compare", "megasim compare netfiles --data digits --samples 100"),
    ("encode", "megasim encode digits --samples 1 --out digit.stim"),
    ("eval", "megasim eval model.keras --data digits"),
    ("export", "megasim export netfiles --to nir --out network.nir"),
    ("features", "megasim features trained.npz --data digits --out features.npz"),
    ("hardware", "megasim hardware check machine.toml --for netfiles"),
    ("inspect", "megasim inspect model.onnx"),
    ("latency", "megasim latency netfiles --data digits --hardware loihi"),
    ("man", "megasim man ~/.local/share/man/man1"),
    ("merge", "megasim merge part-1 part-2 part-3 --json result.json"),
    ("report", "megasim report results --out page.html"),
    ("rerun", "megasim rerun results"),
    ("run", "megasim run netfiles/megasim.sch --out events"),
    ("run-settings", "megasim run-settings settings.toml"),
    ("serve", "megasim serve"),
    ("sweep", "megasim sweep netfiles --data digits --over duration=5,10,20 --out sweep"),
    ("toolbox", "megasim toolbox config --out results"),
    ("train", "megasim train network.toml --data digits --out trained.npz"),
    ("verify", "megasim verify netfiles --data digits --samples 20"),
];

/// A heading and the options under it, as clap names them. Options that are not here are under "Options".
const HEADINGS: &[(&str, &[&str])] = &[
    (
        "Data",
        &[
            "data",
            "labels",
            "architecture",
            "samples",
            "skip",
            "frames",
            "split",
            "split_seed",
            "input_scale",
            "input_range",
            "input_shape",
            "test_samples",
            "cache",
        ],
    ),
    ("Presentation", &["duration", "recalibrate", "encode", "input", "input_rate", "ticks_per_ms", "seed"]),
    ("Recordings", &["crop", "downsample", "polarity", "from", "length", "events", "window"]),
    ("Calibration", &["calibrate", "calibrate_for", "calibration_samples", "initial_potential"]),
    (
        "Scaling",
        &[
            "percentile",
            "percentile_step",
            "scales",
            "save_scales",
            "scale_by",
            "channel_scales",
            "weighting",
            "depth_scale",
            "scaling_factor",
            "weight_bits",
            "threshold_step",
        ],
    ),
    (
        "Neurons",
        &[
            "neuron",
            "num_bits",
            "hysteresis",
            "max_count",
            "reset",
            "v_thresh",
            "floor",
            "tau_mem",
            "resting_potential",
            "mask_tau",
            "payload_bits",
            "output",
            "softmax_clock",
            "max_to_average",
            "max_pool",
            "pool",
            "set",
            "settings",
        ],
    ),
    (
        "Intermediate results",
        &["save_parsed", "parsed", "save_activations", "activations", "save_normalised", "normalised"],
    ),
    ("Decision", &["readout", "k", "confidence", "top_k", "savings", "per_class"]),
    (
        "Online normalisation",
        &["online_normalization", "diff_to_max_rate", "diff_to_min_rate", "timestep_fraction", "save_thresholds"],
    ),
    (
        "Hardware",
        &["hardware", "strict", "pace", "tick", "relief", "relief_keys", "trace", "modules", "delay_to_arrive"],
    ),
    ("Comparison", &["against", "tie_order", "orders", "warm_up", "causes", "over"]),
    ("Limits", &["max_events", "max_memory", "threads"]),
    ("Parts", PARTS),
    (
        "Results",
        &[
            "out",
            "json",
            "full",
            "brief",
            "report",
            "history",
            "show",
            "sample",
            "summary",
            "picture",
            "export",
            "plain_megasim",
            "outputs",
            "predictions",
            "npz",
            "nir_data",
            "record",
            "potentials",
            "per_sample",
            "neurobench",
            "force",
        ],
    ),
];

/// Of work in parts, on more than one machine.
const PARTS: &[&str] = &["shard", "outcomes", "estimate"];

/// Options that the short help shows.
const COMMON: &[&str] = &[
    "data",
    "architecture",
    "samples",
    "mode",
    "duration",
    "encode",
    "neuron",
    "hardware",
    "over",
    "out",
    "json",
    "report",
    "export",
    "force",
    "clocked",
    "tolerance",
    "resume",
    "help",
];

/// The command line with its help arranged.
pub fn arranged(command: Command) -> Command {
    command.mut_subcommands(|command| {
        let example = EXAMPLES.iter().find(|(name, _)| *name == command.get_name()).map(|(_, example)| *example);
        let example = example.map(|example| format!("Example: {example}\n\n")).unwrap_or_default();
        let template =
            format!("{{before-help}}{{about-with-newline}}\n{example}{{usage-heading}} {{usage}}\n\n{{all-args}}");
        let many = command.get_arguments().count() > 16;
        command.help_template(template).max_term_width(100).mut_args(|argument| {
            let id = argument.get_id().as_str();
            let heading = HEADINGS.iter().find(|(_, ids)| ids.contains(&id)).map(|(heading, _)| *heading);
            let rare = (many || PARTS.contains(&id)) && !argument.is_positional() && !COMMON.contains(&id);
            match heading.filter(|_| !argument.is_positional()) {
                Some(heading) => argument.help_heading(heading).hide_short_help(rare),
                None => argument.hide_short_help(rare),
            }
        })
    })
}
