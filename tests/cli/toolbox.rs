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
        "[cell]\nreset = 'Reset by subtraction'\ntau_refrac = 1\nleak = True\n[conversion]\n\
         softmax_to_relu = True\n",
    );
    toolbox(&config, &out)
        .success()
        .stdout(contains("as integers").and(contains("40 samples")))
        .stderr(contains("warning: [cell] leak = True: neurons leak where tau_m is given"));
    let results: serde_json::Value = serde_json::from_slice(&fs::read(out.join("results.json")).unwrap()).unwrap();
    assert!(results["accuracy"]["event"].as_f64().unwrap() > 0.8, "{results}");
    assert!(fs::read_to_string(out.join("05Dense_32.prm")).unwrap().contains("\nT_Refract 1\n"));
    toolbox(&config, &out).failure().stderr(contains("exists already"));
}

/// Hidden neurons send residuals along, the output counts; it takes a reset by subtraction.
#[test]
fn payloads_make_spikes_carry_values() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let settings = |more: &str| format!("[cell]\npayloads = True\n[conversion]\nsoftmax_to_relu = True\n{more}");
    toolbox(&config(folder.path(), &settings("")), &out).success();
    let prm = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert!(prm("05Dense_32.prm").contains("\npayload_bits 16\n"));
    assert!(!prm("06Dense_10.prm").contains("payload_bits"));
    let results: serde_json::Value = serde_json::from_slice(&fs::read(out.join("results.json")).unwrap()).unwrap();
    assert!(results["accuracy"]["event"].as_f64().unwrap() > 0.8, "{results}");
    let other = folder.path().join("zero");
    let zero = config(folder.path(), "[cell]\npayloads = True\nreset = 'Reset to zero'\n");
    toolbox(&zero, &other).success().stderr(contains("[cell] payloads = True: spikes carry values with reset ="));
    assert!(!fs::read_to_string(other.join("05Dense_32.prm")).unwrap().contains("payload_bits"));
}

#[test]
fn a_softmax_has_the_clock_of_the_configuration_or_becomes_relu() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("softmax");
    let silent = || contains("softmax").not();
    toolbox(&config(folder.path(), "[cell]\nsoftmax_clockrate = 100\n"), &out).success().stderr(silent());
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(out.join("megasim.json")).unwrap()).unwrap();
    assert_eq!(
        manifest["softmax_clock"],
        serde_json::json!({ "node": "softmax_input", "rate": 100.0, "poisson_seed": 0 })
    );
    let out = folder.path().join("relu");
    toolbox(&config(folder.path(), "[conversion]\nsoftmax_to_relu = True\n"), &out).success().stderr(silent());
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(out.join("megasim.json")).unwrap()).unwrap();
    assert_eq!(manifest["softmax_clock"], serde_json::Value::Null);
}

#[test]
fn a_sweep_has_a_directory_for_each_value_and_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let out = here.join("run");
    let more = "[parameter_sweep]\nparam_name = 'tau_refrac'\nparam_values = [0, 2]\nparam_logscale = False\n\
        [conversion]\nsoftmax_to_relu = True\n";
    let path = config(here, more);
    toolbox(&path, &out).success().stdout(contains("tau_refrac = 2").and(contains("modes agree")));
    let table = fs::read_to_string(here.join("run-log/sweep.csv")).unwrap();
    assert!(table.starts_with("tau_refrac,samples,event_accuracy,"), "{table}");
    let figures = json(&here.join("run-log/sweep.json"));
    for (k, value) in ["0", "2"].into_iter().enumerate() {
        let alone = json(&here.join(format!("run-{value}/results.json")));
        let point = &figures["points"][k];
        assert_eq!(point["values"][0], value);
        assert_eq!(point["event"]["accuracy"]["share"], alone["accuracy"]["event"]);
        assert_eq!(point["clocked"]["spikes"], alone["per_sample"]["spikes"]["clocked"]);
    }
    // A spike at most every third step.
    let spikes = |k: usize| figures["points"][k]["event"]["spikes"].as_f64().unwrap();
    assert!(spikes(1) < spikes(0), "{figures:#}");
    let picture = fs::read_to_string(here.join("run-log/sweep-accuracy.svg")).unwrap();
    assert!(picture.contains("tau_refrac") && picture.contains("accuracy (%)"), "{picture}");
    toolbox(&path, &out).failure().stderr(contains("exists already"));
    // Netfiles that are there are those of all values of a parameter of the presentation.
    let shared = "[parameter_sweep]\nparam_name = input_rate\nparam_values = get_range(250, 1000, 3, method='log')\n\
        param_logscale = True\n[tools]\nconvert = False\n[cell]\ntau_refrac = 2\n[conversion]\n\
        softmax_to_relu = True\n";
    let before = json(&here.join("run-2/results.json"));
    toolbox(&config(here, shared), &here.join("run-2")).success();
    assert_eq!(json(&here.join("run-2/results.json")), before);
    let figures = json(&here.join("run-2-log/sweep.json"));
    let values: Vec<_> = (0..3).map(|k| figures["points"][k]["values"][0].as_str().unwrap()).collect();
    assert_eq!((values, &figures["parameters"][0]["logarithmic"]), (vec!["250", "500", "1000"], &true.into()));
    assert_eq!(figures["points"][2]["event"]["accuracy"]["share"], before["accuracy"]["event"]);
    let twice = config(here, "[parameter_sweep]\nparam_values = [1, 1]\n");
    toolbox(&twice, &out).failure().stderr(contains("param_values: expected each value once, found 1 again"));
}

#[test]
fn a_range_of_whole_numbers_is_rounded() {
    let folder = tempfile::tempdir().unwrap();
    let more = "[parameter_sweep]\nparam_name = 'num_to_test'\nparam_values = get_range(2, 5, 3)\n";
    toolbox(&config(folder.path(), more), &folder.path().join("run")).success();
    let figures = json(&folder.path().join("run-log/sweep.json"));
    let samples: Vec<_> = (0..3).map(|k| figures["points"][k]["samples"].as_u64().unwrap()).collect();
    assert_eq!(samples, [2, 4, 5]);
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
    for name in ["page.html", "predictions.npz", "spikes.npz", "page_files/potentials-05Dense_32.svg"] {
        assert!(log.join(name).is_file(), "{name}");
    }
    // Rates next to activations were not asked for.
    assert!(!log.join("layers.html").exists());
    // A neuron of the picture is one of the record: the last sample, in thresholds.
    let picture = fs::read_to_string(log.join("page_files/potentials-05Dense_32.csv")).unwrap();
    assert!(picture.lines().count() > 32, "{picture}");
    let maps = fs::read_to_string(log.join("page_files/potential-maps-00Conv2D_8x8x8.svg")).unwrap();
    assert!(maps.contains("50 ms"), "{maps}");
    let mut spikes = crate::npy::NpzReader::new(fs::File::open(log.join("spikes.npz")).unwrap()).unwrap();
    let potential: ndarray::Array3<i32> = spikes.by_name("event/05Dense_32/potential").unwrap();
    assert_eq!(potential.dim(), (3, 50, 32));
}

#[test]
fn the_network_is_written_for_the_simulator_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let net = folder.path().join("run");
    let log = folder.path().join("run-log");
    let more = |simulator: &str, convert: bool| {
        // Netfiles that are there are taken, and something has to be done with them.
        let flags = format!("[tools]\nevaluate_ann = False\nsimulate = {}\nconvert = {convert}\n", !convert);
        format!("simulator = {simulator}\n[conversion]\nsoftmax_to_relu = True\n{flags}")
    };
    toolbox(&config(folder.path(), &more("MegaSim", true)), &net).success().stderr("");
    assert!(!log.exists());
    // As `megasim export` does.
    for (simulator, form, name) in [
        ("INI", "keras", "normalised.keras"),
        ("brian2", "brian2", "brian2"),
        ("nest", "pynn", "pynn"),
        ("'spiNNaker'", "pynn", "pynn"),
    ] {
        let path = config(folder.path(), &more(simulator, false));
        let place = log.join(name);
        if simulator.starts_with('\'') {
            toolbox(&path, &net).failure().stderr(contains("exists already"));
            let mut command = Command::cargo_bin("megasim").unwrap();
            command.current_dir(env!("CARGO_MANIFEST_DIR")).arg("toolbox").arg(&path).arg("--out").arg(&net);
            command.arg("--force").assert().success();
        } else {
            let said = toolbox(&path, &net).success().stderr("");
            said.stdout(contains(format!("Written to {}.", place.display())));
        }
        let other = folder.path().join(format!("{}-{name}", simulator.trim_matches('\'')));
        let mut command = Command::cargo_bin("megasim").unwrap();
        command.arg("export").arg(&net).args(["--to", form, "--out"]).arg(&other).assert().success();
        let files: &[&str] = if form == "keras" { &[""] } else { &["network.py", "connections.npz"] };
        for file in files {
            let read = |at: &Path| fs::read(if file.is_empty() { at.into() } else { at.join(file) }).unwrap();
            assert!(read(&place) == read(&other), "{simulator} {file}");
        }
    }
    // What is not ours stays, also with --force.
    fs::write(log.join("brian2/notes"), "mine").unwrap();
    let mut command = Command::cargo_bin("megasim").unwrap();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).arg("toolbox").arg(config(folder.path(), &more("brian2", false)));
    command.arg("--out").arg(&net).arg("--force").assert().failure().stderr(contains("notes"));
    assert_eq!(fs::read_to_string(log.join("brian2/notes")).unwrap(), "mine");
    let path = config(folder.path(), &more("neurocube", false));
    let expected = "[simulation] simulator: expected INI, brian2, nest, neuron, brian, pcsim, spiNNaker, loihi, \
        MegaSim, found `neurocube`";
    toolbox(&path, &net).failure().stderr(contains(expected));
}

#[test]
fn our_own_run_goes_on_where_a_simulator_cannot_represent_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    // A softmax at the output.
    let path = config(folder.path(), "simulator = brian2\n[tools]\nevaluate_ann = False\n");
    toolbox(&path, &out)
        .success()
        .stderr(contains("[simulation] simulator: ").and(contains("run-log/brian2 is not written: ")));
    assert!(out.join("results.json").is_file() && !folder.path().join("run-log").exists());
}

#[test]
fn values_of_a_sweep_have_records_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let more = "simulator = INI\n[parameter_sweep]\nparam_name = 'duration'\nparam_values = [5, 20]\n";
    let path = config(folder.path(), more);
    let text = fs::read_to_string(&path).unwrap().replace("[paths]\n", "[paths]\nlog_dir_of_current_run = logs\n");
    fs::write(&path, text).unwrap();
    toolbox(&path, &folder.path().join("run")).success();
    for value in ["5", "20"] {
        let log = folder.path().join(format!("logs/run-{value}"));
        assert!(log.join("normalised.keras").is_file() && log.join("predictions.npz").is_file(), "{value}");
    }
}

/// A configuration with this data, 2 samples and 50 ms.
fn config_with(folder: &Path, data: &str, more: &str) -> std::path::PathBuf {
    let path = config(folder, &format!("[conversion]\nsoftmax_to_relu = True\n{more}"));
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("dataset_path = %(path_wd)s", &format!("dataset_path = {data}"));
    fs::write(&path, text.replace("num_to_test = 40", "num_to_test = 2")).unwrap();
    path
}

/// What `classify` says of the netfiles in `run`.
fn classified(folder: &Path, data: &str, more: &str) -> serde_json::Value {
    let mut command = Command::cargo_bin("megasim").unwrap();
    command.current_dir(folder).args(["classify", "run", "--data", data, "--samples", "2", "--duration", "50"]);
    command.args(["--ticks-per-ms", "1", "--force", "--json", "classified.json"]).args(more.split_whitespace());
    command.assert().success();
    json(&folder.join("classified.json"))
}

/// Two recordings of a camera of 8 x 8 pixels, each of 60 events in 42 ms, `scale` times as large.
fn record(folder: &Path, name: &str, scale: usize) {
    let test = folder.join(name).join("test");
    fs::create_dir_all(&test).unwrap();
    for k in 0..2usize {
        let event =
            |n: usize| format!("{},{},{},1\n", n * 700, scale * ((n * 3 + k) % 8), scale * ((n * 5 + n / 8) % 8));
        fs::write(test.join(format!("{k}.csv")), (0..60).map(event).collect::<String>()).unwrap();
    }
    fs::write(test.join("labels.csv"), "0.csv,0\n1.csv,1\n").unwrap();
}

#[test]
fn recordings_are_data() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    record(here, "recorded", 1);
    record(here, "large", 2);
    let input_spikes = |name: &str, data: &str, input: &str| {
        let out = here.join(name);
        let input = format!("[input]\nframe_gen_method = rectified_sum\n{input}");
        toolbox(&config_with(here, data, &input), &out).success().stdout(contains("2 samples"));
        json(&out.join("results.json"))
    };
    let found = input_spikes("run", "recorded", "");
    let expected = classified(here, "recorded", "--polarity alike");
    assert_eq!(found["per_sample"], expected["per_sample"]);
    assert_eq!(json(&here.join("run/run.json"))["parameters"]["recordings"]["polarity"], "alike");
    // The first 20 of 60 events.
    input_spikes("fewer", "recorded", "num_dvs_events_per_sample = 20\n");
    let recordings = &json(&here.join("fewer/run.json"))["parameters"]["recordings"];
    assert_eq!((&recordings["events"], &recordings["window"]), (&20.into(), &0.into()));
    // Two by two pixels become one.
    let large = input_spikes("large-run", "large", "chip_size = (16, 16)\n");
    assert_eq!(large["per_sample"], found["per_sample"]);
    let refused = |input: &str, message: &str| {
        let path = config_with(here, "recorded", &format!("[input]\n{input}"));
        toolbox(&path, &here.join("refused")).failure().stderr(contains(message));
    };
    refused("poisson_input = True\n", "poisson_input: recordings are spikes already");
    refused("dataset_format = frames\n", "expected arrays with sequences of frames, found recordings");
    refused("datagen_kwargs = {'rescale': 1}\n", "expected pictures or arrays, found recordings");
    refused("chip_size = 240\n", "[input] chip_size: expected two numbers of pixels");
    refused(
        "frame_gen_method = sum\n",
        "expected signed_sum, rectified_sum, rectified_polarity_channels, signed_polarity_channels, found `sum`",
    );
}

#[test]
fn sequences_of_frames_are_data() {
    use ndarray::{Array1, Array3, Array4, Axis, stack};
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits/test.npz");
    let mut digits = crate::npy::NpzReader::new(fs::File::open(digits).unwrap()).unwrap();
    let (x, y): (Array3<u8>, Array1<u8>) = (digits.by_name("x").unwrap(), digits.by_name("y").unwrap());
    let moving: Array4<u8> = stack(Axis(1), &[x.view(), x.mapv(|value| value / 2).view()]).unwrap();
    fs::create_dir(here.join("moving")).unwrap();
    for name in ["moving/test.npz", "moving/train.npz"] {
        crate::arrays::write_npz(&here.join(name), &moving, &y);
    }
    let path = config_with(here, "moving", "[input]\ndataset_format = frames\n");
    toolbox(&path, &here.join("run")).success().stdout(contains("2 samples"));
    let found = json(&here.join("run/results.json"));
    assert_eq!(found["per_sample"], classified(here, "moving", "--frames")["per_sample"]);
    assert_eq!(json(&here.join("run/run.json"))["parameters"]["frames"], true);
    // Without, they are samples of another shape.
    toolbox(&config_with(here, "moving", ""), &here.join("still")).failure().stderr(contains("expected samples of"));
}

#[test]
fn samples_are_changed_as_keras_says() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits");
    for name in ["plain", "other"] {
        fs::create_dir(here.join(name)).unwrap();
        for file in ["test.npz", "train.npz"] {
            fs::copy(examples.join(file), here.join(name).join(file)).unwrap();
        }
    }
    let keys = "featurewise_center = true\nfeaturewise_std_normalization = true\nrescale = 0.5\n";
    fs::write(here.join("other/preprocessing.toml"), keys).unwrap();
    let kwargs = "[input]\ndatagen_kwargs = {'featurewise_center': True, 'featurewise_std_normalization': True,\n  \
        'rescale': 1/2}\n";
    let run = |data: &str, more: &str, out: &str| {
        toolbox(&config_with(here, data, more), &here.join(out)).success();
        let mut figures = json(&here.join(out).join("results.json"));
        figures["seconds"].take();
        (fs::read(here.join(out).join("standardisation.npz")).unwrap(), figures)
    };
    assert_eq!(run("plain", kwargs, "run"), run("other", "", "expected"));
    let path = config_with(here, "other", kwargs);
    toolbox(&path, &here.join("both"))
        .failure()
        .stderr(contains("[input] datagen_kwargs: expected what is done to samples in one place"));
}

#[test]
fn synaptic_currents_decay() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, cell: &str| {
        let out = folder.path().join(name);
        let more = format!("[conversion]\nsoftmax_to_relu = True\n[cell]\n{cell}");
        toolbox(&config(folder.path(), &more), &out).success().stderr(contains("tau_syn").not());
        let results = json(&out.join("results.json"));
        (results["per_sample"]["spikes"]["event"].as_f64().unwrap(), results["accuracy"]["event"].as_f64().unwrap())
    };
    let (at_once, _) = run("at-once", "");
    let (short, _) = run("short", "tau_syn_e = 0.5\ntau_syn_i = 0.01\n");
    assert_eq!(at_once, short);
    let (decaying, accuracy) = run("decaying", "tau_syn_E = 4\ntau_syn_I = 4\n");
    // Less than what a spike adds has come in at the end, layer by layer.
    assert!(decaying < at_once && decaying > 0.7 * at_once, "{decaying} {at_once}");
    // Each of four layers is 4 ms late in 50 ms.
    assert!(accuracy > 0.7, "{accuracy}");
    // What is negative comes in late.
    let (late, _) = run("late", "tau_syn_i = 10\n");
    assert!(late > at_once, "{late} {at_once}");
    let file = fs::read_to_string(folder.path().join("late/neuron_1.toml")).unwrap();
    assert!(file.contains("inhibitory_decay") && !file.contains("excitatory"), "{file}");
    let cell = "[tools]\nconvert = False\n[conversion]\nsoftmax_to_relu = True\n[cell]\ntau_syn_i = 5\n";
    toolbox(&config(folder.path(), cell), &folder.path().join("late"))
        .failure()
        .stderr(contains("[cell] tau_syn_i (ms): expected 5, found 10"));
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

/// The script of the manual of version 0.1, on the digits.
const SCRIPT: &str = "\
import snntoolbox
# Parameters
settings = {'dataset': 'DIGITS',
            'architecture': 'cnn',
            'filename': 'digits_cnn',
            'path': 'DIGITS',
            'evaluateANN': True, # Test accuracy of input model
            'normalize': True, # Normalize weights to get better perf.
            'convert': True, # Convert analog net to spiking
            'simulate': True, # Simulate converted net
            'verbose': 3, # Show plots and temporary results
            'v_thresh': 1, # Threshold potential
            'simulator': 'INI', # Reset potential
            'num_to_test': 10,
            'duration': 100.0} # Simulation time
# Update defaults with parameters specified above:
snntoolbox.update_setup(settings)
do_param_sweep = False
if do_param_sweep:
   param_name = 'v_thresh'
   params = snntoolbox.get_range(0.5, 1.5, 3, method='linear')
   snntoolbox.test_full(params=params,
                         param_name=param_name,
                         param_logscale=False)
else:
    snntoolbox.test_full()
";

#[test]
fn the_use_cases_of_the_manual_run_from_its_script() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits");
    let script = |changes: &[(&str, &str)]| {
        let text = SCRIPT.replace("DIGITS", digits.to_str().unwrap());
        let text = changes.iter().fold(text, |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        fs::write(here.join("use_case.py"), text).unwrap();
        here.join("use_case.py")
    };
    let out = here.join("run");
    // A: conversion only.
    let only = script(&[("'simulate': True", "'simulate': False")]);
    toolbox(&only, &out)
        .success()
        .stdout(contains("as integers").and(contains("operations").not()))
        .stderr(contains("architecture = cnn: a model file is read as it is"));
    assert!(out.join("megasim.sch").is_file() && !out.join("results.json").exists());
    // B: simulation only.
    toolbox(&script(&[("'convert': True", "'convert': False")]), &out)
        .failure()
        .stderr(contains("normalised.keras: exists already"));
    fs::remove_dir_all(here.join("run-log")).unwrap();
    toolbox(&script(&[("'convert': True", "'convert': False")]), &out).success().stdout(contains("10 samples"));
    let alone = json(&out.join("results.json"));
    for name in ["spikes.npz", "page.html", "layers.html", "page_files/potentials-06Dense_10.svg"] {
        assert!(here.join("run-log").join(name).is_file(), "{name}");
    }
    // C: a sweep of the threshold.
    let sweep = script(&[("do_param_sweep = False", "do_param_sweep = True"), ("'verbose': 3", "'verbose': 1")]);
    toolbox(&sweep, &here.join("swept")).success().stdout(contains("v_thresh = 1.5"));
    let figures = json(&here.join("swept-log/sweep.json"));
    let points = figures["points"].as_array().unwrap();
    let values: Vec<_> = points.iter().map(|point| point["values"][0].as_str().unwrap()).collect();
    assert_eq!(values, ["0.5", "1", "1.5"]);
    assert_eq!(points[1]["event"]["spikes"], alone["per_sample"]["spikes"]["event"]);
    let accuracy = |k: usize| points[k]["event"]["accuracy"]["share"].as_f64().unwrap();
    assert!(accuracy(1) > accuracy(2), "{figures:#}");
    assert!(here.join("swept-log/sweep-accuracy.svg").is_file());
}
