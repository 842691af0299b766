//! `megasim toolbox`: configuration files of SNN toolbox.

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use std::fs;
use std::path::Path;

fn toolbox(config: &Path, out: &Path) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("megasim").unwrap();
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.arg("toolbox").arg(config).arg("--out").arg(out).assert()
}

fn config(folder: &Path, more: &str) -> std::path::PathBuf {
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits");
    let path = folder.join("config");
    let text = format!(
        "[paths]\npath_wd = {}\ndataset_path = %(path_wd)s\nfilename_ann = digits_cnn\n\n[simulation]\nduration = 50\n\
            num_to_test = 40\n{more}",
        digits.display()
    );
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn an_experiment_is_converted_and_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let config = config(
        folder.path(),
        "[cell]\nreset = 'Reset by subtraction'\ntau_refrac = 1\npayloads = True\n[conversion]\n\
         softmax_to_relu = True\n",
    );
    toolbox(&config, &out)
        .success()
        .stdout(contains("as integers").and(contains("40 samples")))
        .stderr(contains("warning: [cell] payloads = True: spikes carry nothing"));
    let results: serde_json::Value = serde_json::from_slice(&fs::read(out.join("results.json")).unwrap()).unwrap();
    assert!(results["accuracy"]["event"].as_f64().unwrap() > 0.8, "{results}");
    assert!(fs::read_to_string(out.join("05Dense_32.prm")).unwrap().contains("\nT_Refract 1\n"));
    toolbox(&config, &out).failure().stderr(contains("exists already"));
}

#[test]
fn a_softmax_has_the_clock_of_the_configuration_or_becomes_relu() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("softmax");
    let silent = || contains("softmax").not();
    toolbox(&config(folder.path(), "[cell]\nsoftmax_clockrate = 100\n"), &out).success().stderr(silent());
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(out.join("megasim.json")).unwrap()).unwrap();
    assert_eq!(manifest["softmax_clock"], serde_json::json!({ "node": "softmax_input", "rate": 100.0 }));
    let out = folder.path().join("relu");
    toolbox(&config(folder.path(), "[conversion]\nsoftmax_to_relu = True\n"), &out).success().stderr(silent());
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(out.join("megasim.json")).unwrap()).unwrap();
    assert_eq!(manifest["softmax_clock"], serde_json::Value::Null);
}

#[test]
fn a_sweep_has_a_directory_for_each_value() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let config = config(folder.path(), "[parameter_sweep]\nparam_name = 'duration'\nparam_values = [5, 20]\n");
    toolbox(&config, &out).success();
    for value in ["5", "20"] {
        assert!(folder.path().join(format!("run-{value}/results.json")).is_file());
    }
}

#[test]
fn faults_are_told_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    toolbox(&config(folder.path(), "nonsense\n"), &out).failure().stderr(contains("config:9: expected `name = value`"));
    let path = config(folder.path(), "[tools]\nconvert = perhaps\n");
    toolbox(&path, &out).failure().stderr(contains("[tools] convert: expected True or False, found `perhaps`"));
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn neurons_have_what_the_cell_says() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let cell = "dt = 0.5\n[cell]\nreset = 'Reset to zero'\nv_reset = 0.1\nv_rest = 0.2\ntau_m = 20\ndelay = 1\n\
        tau_refrac = 1.5\nquantize_weights = True\n[conversion]\nnum_bits = 6\nsoftmax_to_relu = True\n";
    toolbox(&config(folder.path(), cell), &out).success().stderr(contains("[cell]").not());
    let parameters = fs::read_to_string(out.join("05Dense_32.prm")).unwrap();
    for line in ["MembReset 1000000", "resting_potential 2000000", "delay_to_arrive 2", "T_Refract 3", "leak_decay "] {
        assert!(parameters.lines().any(|found| found.starts_with(line)), "{line}: {parameters}");
    }
    let bits = json(&out.join("megasim.json"))["conversion"]["weight_bits"].to_string();
    assert_eq!(bits.trim_matches('"'), "6");
}

#[test]
fn a_constant_current_is_a_bias() {
    let folder = tempfile::tempdir().unwrap();
    let spikes = |name: &str, more: &str| {
        let out = folder.path().join(name);
        let more = format!("[conversion]\nsoftmax_to_relu = True\n[cell]\n{more}");
        toolbox(&config(folder.path(), &more), &out).success();
        json(&out.join("results.json"))["per_sample"]["spikes"]["event"].as_f64().unwrap()
    };
    let (without, with) = (spikes("without", ""), spikes("with", "i_offset = 0.09\ncm = 0.9\n"));
    // A tenth of a threshold per millisecond: 5 spikes in 50 ms of each neuron that would have none.
    assert!(with > 1.2 * without, "{with} {without}");
    let manifest = json(&folder.path().join("with/megasim.json"));
    assert!((manifest["conversion"]["rules"]["offset"].as_f64().unwrap() - 0.1).abs() < 1e-12, "{manifest}");
}

#[test]
fn chosen_samples_are_shown_and_runs_stop_early() {
    let folder = tempfile::tempdir().unwrap();
    let relu =
        "[conversion]\nsoftmax_to_relu = True\n[simulation]\nearly_stopping = True\nsample_idxs_to_test = [3, 40, 7]\n";
    let path = config(folder.path(), "");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}{}", relu.replace("[simulation]\n", ""))).unwrap();
    let out = folder.path().join("run");
    toolbox(&path, &out).success().stdout(contains("3 samples").and(contains("40 samples").not()));
    let results = json(&out.join("results.json"));
    assert!(results["decision_ms"]["event"].as_f64().unwrap() < 50.0, "{results:#}");
}

#[test]
fn normalisation_alone_writes_the_normalised_model() {
    let folder = tempfile::tempdir().unwrap();
    let tools = "[tools]\nevaluate_ann = False\nnormalize = True\nconvert = False\nsimulate = False\n";
    let out = folder.path().join("run");
    toolbox(&config(folder.path(), tools), &out).success().stdout(contains("normalised.npz"));
    assert!(!out.join("megasim.sch").exists());
    // Another conversion goes on from it.
    let (stage, net) = (out.join("normalised.npz"), folder.path().join("net"));
    let mut command = Command::cargo_bin("megasim").unwrap();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["eval", stage.to_str().unwrap()]);
    command.args(["--data", "examples/digits", "--samples", "50"]).assert().success();
    assert!(!net.exists());
}

#[test]
fn pictures_and_spikes_go_into_the_log_folder() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let more = "[output]\nplot_vars = {'spiketrains'}\nlog_vars = {'spiketrains_n_b_l_t', 'mem_n_b_l_t'}\n\
        [conversion]\nsoftmax_to_relu = True\n[tools]\nevaluate_ann = False\n[input]\npoisson_input = True\n";
    let path = config(folder.path(), more);
    let text = fs::read_to_string(&path).unwrap().replace("[paths]\n", "[paths]\nrunlabel = first\n");
    fs::write(&path, text.replace("num_to_test = 40", "num_to_test = 3")).unwrap();
    toolbox(&path, &out).success();
    let log = folder.path().join("run-log/first");
    for name in ["page.html", "predictions.npz", "spikes.npz"] {
        assert!(log.join(name).is_file(), "{name}");
    }
    let mut spikes = ndarray_npy::NpzReader::new(fs::File::open(log.join("spikes.npz")).unwrap()).unwrap();
    let potential: ndarray::Array3<i32> = spikes.by_name("event/05Dense_32/potential").unwrap();
    assert_eq!(potential.dim(), (3, 50, 32));
}

#[test]
fn the_table_of_settings_is_that_of_the_program() {
    use megasim::toolbox::{KEYS, Meaning};
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/how-to/snn-toolbox.md");
    let page = fs::read_to_string(page).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    for key in KEYS {
        let (acts, text) = match key.meaning {
            Meaning::Acts(how) => ("yes", how),
            Meaning::Nothing(why) => ("no", why),
        };
        let row = format!("| `{}` | `{}` | {acts} | {text} |", key.section, key.name);
        assert!(rows.contains(&&row[..]), "expected in docs/how-to/snn-toolbox.md: {row}");
    }
    assert_eq!(rows.len(), KEYS.len() + 1, "rows of settings that do not exist");
}
