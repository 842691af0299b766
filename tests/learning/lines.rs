//! Errors of descriptions have the line of what is wrong.

use megasim::learning::Description;

const TEXT: &str = r#"name = "edges"
[input]
height = 28
width = 28
[encoding]
kernels = [{ dog = { window_size = 7, sigma1 = 1.0, sigma2 = 2.0 } }]
padding = 3
time_steps = 15
[[layer]]
type = "pooling"
kernel_size = 2
[[layer]]
type = "convolution"
maps = 2
kernel_size = 5
threshold = 10.0
[layer.learning]
rule = "stdp"
kwta = 3
"#;

#[test]
fn what_is_wrong_has_its_own_line() {
    assert!(Description::from_toml(TEXT).is_ok());
    for (from, to, expected) in [
        ("threshold = 10.0", "threshold = -1.0", "line 16: layer 2: threshold: expected at least 0"),
        ("kwta = 3", "kwta = 0", "line 19: layer 2: kwta: expected at least 1"),
        ("kwta = 3", "learning_rate = [[0.1, -0.1]]", "line 19: layer 2: learning_rate: expected 2 pairs"),
        ("sigma1 = 1.0", "sigma1 = -1.0", "line 6: [encoding]: kernels: expected window_size"),
        ("kernel_size = 5", "kernel_size = 50", "line 12: layer 2: convolution: a window of"),
        ("width = 28", "width = 28\nscale = 0", "line 5: [input]: scale: expected a positive number"),
        ("height = 28", "hight = 28", "line 3: [input]: unknown field `hight`, expected one of `height`"),
        (
            "height = 28",
            "height = 'a'",
            "line 3: [input]: invalid type: string \"a\", expected usize in `input.height`",
        ),
        (
            "sigma2 = 2.0",
            "sigma2 = 'x'",
            "line 6: [encoding]: invalid type: string \"x\", expected f64 in `encoding.kernels.sigma2`",
        ),
        ("maps = 2", "map = 2", "line 14: layer 2: unknown field `map`, expected one of `maps`"),
        ("kwta = 3", "kwtas = 3", "line 19: layer 2: unknown field `kwtas`"),
        ("threshold = 10.0", "threshold = true", "line 12: layer 2: invalid type: boolean `true`, expected f64"),
        ("kwta = 3", "kwta = 3\n[readout]\ntype = \"svm\"", "line 21: [readout]: unknown variant `svm`, expected"),
        ("[input]", "version = 1\n[input]", "line 2: the description: unknown field `version`, expected one of"),
        ("name = \"edges\"", "", "the description: missing field `name`"),
        ("width = 28", "width = ", "TOML parse error at line 4, column 9"),
        ("kwta = 3", "kwta = 3\n[readout]\ntype = \"linear\"\nc = 0.0", "line 22: [readout]: c: expected"),
    ] {
        let error = Description::from_toml(&TEXT.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(expected), "expected {expected}, found {error}");
    }
}
