//! `megasim toolbox` does what its configuration asks for, or says what it does not.

use crate::place::{digits, megasim};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn config(folder: &Path, more: &str) {
    let digits = digits();
    let text = format!(
        "[paths]\npath_wd = {}\ndataset_path = %(path_wd)s\nfilename_ann = digits_cnn\n[conversion]\nsoftmax_to_relu \
            = True\n{more}",
        digits.display()
    );
    fs::write(folder.join("config"), text).unwrap();
}

fn toolbox(folder: &Path, more: &str, out: &str) -> (i32, String, String) {
    config(folder, more);
    megasim(folder, &["toolbox", "config", "--out", out])
}

const SHORT: &str = "duration = 20\nnum_to_test = 10\n";

#[test]
fn evaluation_alone_evaluates() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let tools = "[tools]\nconvert = False\nsimulate = False\n";
    let more = format!("{tools}[simulation]\nnum_to_test = 60\ntop_k = 3\n");
    let (status, out, error) = toolbox(here, &more, "out");
    assert_eq!(status, 0, "{error}");
    assert!(out.contains("of 60 samples right") && out.contains("right among the first 3"), "{out}");
    let results: Value = serde_json::from_slice(&fs::read(here.join("out/results.json")).unwrap()).unwrap();
    // What eval says of the same samples.
    let (model, data) = (digits().join("digits_cnn.keras"), digits());
    let eval = ["eval", model.to_str().unwrap(), "--data", data.to_str().unwrap(), "--samples", "60", "--top-k", "3"];
    let (status, _, error) = megasim(here, &[&eval[..], &["--json", "eval.json"]].concat());
    assert_eq!(status, 0, "{error}");
    let expected: Value = serde_json::from_slice(&fs::read(here.join("eval.json")).unwrap()).unwrap();
    assert_eq!(results["accuracy"]["ann"], expected["accuracy"]);
    assert_eq!(results["top_k"]["ann"], expected["top_k"]["accuracy"]);
    assert_eq!(results["samples"], 60);
    let (status, _, error) = toolbox(here, &more, "out");
    assert!(status == 1 && error.contains("exists already"), "{error}");
    let (status, _, error) = toolbox(here, &format!("{tools}evaluate_ann = False\n"), "none");
    assert!(status == 1 && error.contains("expected something to do"), "{error}");
}

#[test]
fn netfiles_of_an_earlier_conversion_are_held_against_the_settings() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let first = format!("[cell]\ntau_refrac = 1\n[simulation]\ndt = 0.5\n{SHORT}");
    let (status, _, error) = toolbox(here, &first, "out");
    assert_eq!(status, 0, "{error}");
    let again = |more: &str| toolbox(here, &format!("[tools]\nconvert = False\n{more}"), "out");
    let (status, out, error) = again(&first);
    assert!(status == 0 && out.contains("10 samples"), "{error}");
    for (more, named) in [
        (format!("[cell]\ntau_refrac = 1\n[simulation]\ndt = 0.1\n{SHORT}"), "dt (ticks per ms): expected 10, found 2"),
        (
            format!("[simulation]\ndt = 0.5\n{SHORT}"),
            "tau_refrac, tau_m, delay, v_reset, v_rest: expected none, found *.T_Refract=2",
        ),
        (format!("[cell]\nv_thresh = 2\n[simulation]\ndt = 0.5\n{SHORT}"), "v_thresh: expected 2, found 1"),
        (
            format!("[cell]\nreset = 'Reset to zero'\n[simulation]\ndt = 0.5\n{SHORT}"),
            "reset: expected zero, found subtract",
        ),
        (
            format!("[cell]\nscaling_factor = 1000\n[simulation]\ndt = 0.5\n{SHORT}"),
            "scaling_factor: expected 1000, found",
        ),
        (
            format!("[normalization]\npercentile = 90\n[simulation]\ndt = 0.5\n{SHORT}"),
            "percentile: expected 90, found 99.9",
        ),
    ] {
        let (status, _, error) = again(&more);
        assert_eq!(status, 1, "{more}: {error}");
        assert!(error.contains("was converted otherwise") && error.contains(named), "{more}: {error}");
    }
}

#[test]
fn times_that_are_no_whole_steps_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for (more, named) in [
        ("[simulation]\ndt = 0.3\n", "[simulation] dt: expected milliseconds, a whole number of which makes 1 ms"),
        ("[simulation]\ndt = 0\n", "[simulation] dt: expected"),
        ("[cell]\ntau_refrac = 0.3\n", "[cell] tau_refrac: expected a whole number of steps (dt)"),
        ("[cell]\ntau_refrac = 0.25\n[simulation]\ndt = 0.1\n", "tau_refrac: expected a whole number of steps"),
        ("[input]\ninput_rate = 5000\n", "[input] input_rate: expected a rate above 0, at most 1000 Hz"),
        (
            "[parameter_sweep]\nparam_name = duration\nparam_values = [2.5]\n",
            "param_values: expected whole milliseconds",
        ),
        (
            "[parameter_sweep]\nparam_name = percentile\nparam_values = [99, 200]\n",
            "param_values: expected a number above 0, at most 100, found `200`",
        ),
        (
            "[parameter_sweep]\nparam_name = input_rate\nparam_values = [500, 2000]\n",
            "param_values: expected a rate above 0, at most 1000 Hz",
        ),
    ] {
        let (status, _, error) = toolbox(here, more, "out");
        assert_eq!(status, 1, "{more}: {error}");
        assert!(error.contains(named), "{more}: {error}");
        assert!(!here.join("out").exists(), "{more}");
    }
}
