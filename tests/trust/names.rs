//! Names of layers, classes and files that are made to hurt, through all pages, pictures, tables and the terminal.

use crate::npy::NpzReader;
use crate::place::{digits, megasim};
use ndarray::{Array1, Array3};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Markup, ends of attributes and of scripts, formulas, what acts on a terminal, line ends, long and foreign names.
const NAMES: [&str; 10] = [
    "<script>alert(1)</script>",
    "\" onload=\"alert(1)",
    "' onload='alert(1)",
    "</title></style></svg><img src=x onerror=alert(1)>&lt;&#60;",
    "=cmd|' /C calc'!A0",
    "@SUM(1),\"b\"",
    "+1+\u{1b}[31mred\u{7}\u{9b}2J",
    "two\nlines\r\tand \u{202e}a tabulator\u{2028}",
    "名前 Ünïcode \u{1f9e0} {0} %s $(id) `id` \\n",
    "-2+3]]>-->{{7*7}}",
];

/// A name that file systems take.
fn of_file(name: &str) -> String {
    name.replace('/', "\u{2215}")
}

/// The model of the example with other names of layers, the last one very long.
fn model(to: &Path) {
    let mut given = zip::ZipArchive::new(File::open(digits().join("digits_cnn.keras")).unwrap()).unwrap();
    let mut made = zip::ZipWriter::new(File::create(to).unwrap());
    let long = "x".repeat(300);
    let layers = ["conv_1", "norm_1", "relu_1", "pool_1", "conv_2", "norm_2", "relu_2", "pool_2", "flatten", "dense_1"];
    for number in 0..given.len() {
        let mut file = given.by_index(number).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        if file.name() == "config.json" {
            let mut text = String::from_utf8(bytes).unwrap();
            for (layer, name) in layers.iter().zip(NAMES).chain([(&"dense_2", &*long)]) {
                let quoted = serde_json::to_string(&name).unwrap();
                assert!(text.contains(&format!("\"{layer}\"")));
                text = text.replace(&format!("\"{layer}\""), &quoted);
            }
            bytes = text.into_bytes();
        } else if file.name() == "model.weights.h5" {
            // The names that Keras notes next to the weights are not read then.
            let noted: Vec<usize> = (0..bytes.len() - 5).filter(|&at| bytes[at..].starts_with(b"name\0")).collect();
            noted.into_iter().for_each(|at| bytes[at] = b'N');
        }
        made.start_file(file.name(), zip::write::SimpleFileOptions::default()).unwrap();
        made.write_all(&bytes).unwrap();
    }
    made.finish().unwrap();
}

/// Digits as pictures, in folders that are named after their classes.
fn pictures(to: &Path) {
    for (part, most) in [("train", 60), ("test", 12)] {
        let mut npz = NpzReader::new(File::open(digits().join(format!("{part}.npz"))).unwrap()).unwrap();
        let (x, y): (Array3<u8>, Array1<u8>) = (npz.by_name("x").unwrap(), npz.by_name("y").unwrap());
        for class in NAMES {
            fs::create_dir_all(to.join(part).join(of_file(class))).unwrap();
        }
        for (k, (picture, class)) in x.outer_iter().zip(&y).take(most).enumerate() {
            let pixels: Vec<u8> = picture.iter().map(|&value| value.saturating_mul(15)).collect();
            let path = to.join(part).join(of_file(NAMES[usize::from(*class)])).join(format!("{k}.png"));
            image::GrayImage::from_raw(8, 8, pixels).unwrap().save(path).unwrap();
        }
    }
}

fn acts(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}')
}

/// Cells of comma-separated text.
fn cells(text: &str) -> Vec<String> {
    let (mut all, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' | '\n' if !quoted => all.push(std::mem::take(&mut cell)),
            c => cell.push(c),
        }
    }
    all.push(cell);
    all
}

/// What is wrong with a file that was written.
fn fault(path: &Path) -> Option<String> {
    let ending = path.extension()?.to_str()?;
    let text = fs::read_to_string(path).ok()?;
    match ending {
        "html" | "svg" => {
            let scripts = usize::from(ending == "html");
            if text.matches("<script").count() != scripts || text.matches("</script").count() != scripts {
                return Some("a script".into());
            }
            let parts = ["<img", "\" onload", "' onload=", "</title></style>", "]]>"];
            let own = if ending == "html" { text.replace(" onload='alert(1)", "") } else { text.clone() };
            let found = parts.into_iter().find(|part| match *part {
                // An apostrophe ends no attribute that is in quotation marks, which all are.
                "' onload=" => own.contains("='' onload="),
                part => text.contains(part),
            });
            found.map(String::from).or_else(|| text.chars().find(|c| acts(*c)).map(|c| format!("{c:?}")))
        }
        "csv" => {
            let formula = |cell: &&String| cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
            let cells = cells(&text);
            let found = cells.iter().filter(formula).find(|cell| *cell != "-" && cell.parse::<f64>().is_err());
            found.map(|cell| format!("a formula: {cell}"))
        }
        _ => None,
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
#[cfg(unix)]
fn hostile_names_act_nowhere() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let net = of_file("net <script>alert(1)<\u{1b}[31m>\" onload=\"alert(1)\n=1 名");
    let data = of_file("=data </title></style></svg><img src=x onerror=alert(1)>' onload='");
    let machine = of_file("@machine<script>\u{7}.toml");
    let page = |name: &str| format!("{name}<img src=x>.html");
    model(&here.join("model.keras"));
    pictures(&here.join(&data));
    fs::write(here.join("history.csv"), "epoch,=1+1,<script>alert(1)</script>\n0,0.5,1.0\n1,0.75,0.5\n").unwrap();
    let text = "tick = \"1 us\"\n[all]\ndelay_to_process = \"1 us\"\nenergy_per_event = \"1 pJ\"\n\
        [layer.\"<script>alert(1)</script>*\"]\nfifo_depth = 4\n";
    fs::write(here.join(&machine), text).unwrap();
    let bars = "name = \"=1+<script>alert(1)</script>\\u001b[31m\"\n[input]\nheight = 8\nwidth = 8\n[encoding]\n\
        kernels = [{ dog = { window_size = 3, sigma1 = 0.5, sigma2 = 1.0 } }]\npadding = 1\nthresholds = 5.0\n\
        time_steps = 6\n[[layer]]\ntype = \"convolution\"\nmaps = 4\nkernel_size = 3\npadding = 1\nweight_std = 0.05\n\
        threshold = 2.0\n[layer.learning]\nrule = \"stdp\"\npasses = 2\nlearning_rate = [0.05, -0.04]\nkwta = 2\n\
        inhibition_radius = 1\n[readout]\ntype = \"linear\"\n";
    fs::write(here.join("bars.toml"), bars).unwrap();
    let sch = format!("{net}/megasim.sch");
    let [classify, compare, latency, sweep, machines, features, report] =
        ["classify", "compare", "latency", "sweep", "machines", "features", "report"].map(page);
    let runs: Vec<Vec<&str>> = vec![
        vec!["inspect", "model.keras", "--data", &data],
        vec!["eval", "model.keras", "--data", &data, "--per-class"],
        vec!["convert", "model.keras", "--data", &data, "--preset", "toolbox", "--out", &net],
        vec!["inspect", &net],
        vec!["check", &sch],
        vec!["hardware", "check", &machine, "--for", &net],
        vec![
            "classify",
            &net,
            "--data",
            &data,
            "--report",
            &classify,
            "--history",
            "history.csv",
            "--duration",
            "10",
            "--json",
            "results/classify.json",
        ],
        vec!["compare", &net, "--data", &data, "--report", &compare, "--duration", "10", "--json", "results/c.json"],
        vec![
            "latency",
            &net,
            "--data",
            &data,
            "--report",
            &latency,
            "--duration",
            "5",
            "--hardware",
            &machine,
            "--samples",
            "2",
            "--relief",
            "1",
            "--modules",
        ],
        vec![
            "sweep",
            &net,
            "--data",
            &data,
            "--report",
            &sweep,
            "--over",
            "duration=5,10",
            "--samples",
            "3",
            "--out",
            "=swept",
        ],
        vec![
            "sweep",
            &net,
            "--data",
            &data,
            "--report",
            &machines,
            "--over",
            "pace=1,10",
            "--over",
            "layer.\"0*\".fifo_depth=0,4",
            "--samples",
            "2",
            "--duration",
            "5",
            "--hardware",
            &machine,
            "--out",
            "s2",
        ],
        vec!["verify", &net, "--data", &data, "--samples", "1", "--orders", "1", "--duration", "5"],
        vec!["encode", &data, "--out", "=<script>.stim", "--samples", "1"],
        vec!["run", &sch, "--out", "=events<script>"],
        vec!["report", "=events<script>", "--out", &report],
        vec!["report", "results"],
        vec!["diff", "=events<script>", "=events<script>"],
        vec!["export", &net, "--to", "nir", "--out", "=<script>.nir"],
        vec!["train", "bars.toml", "--data", &data, "--out", "=bars.npz"],
        vec!["eval", "=bars.npz", "--data", &data],
        vec!["features", "=bars.npz", "--data", &data, "--out", "=f.npz", "--report", &features, "--picture", "p.svg"],
        // What is refused names what was given.
        vec!["inspect", &data],
        vec!["run", &machine, "--out", "new"],
        vec!["classify", "model.keras", "--data", &net],
        vec!["latency", &net, "--hardware", "<script>\u{1b}[31m"],
        vec!["\u{1b}[31m<script>"],
    ];
    fs::create_dir(here.join("results")).unwrap();
    for (number, words) in runs.iter().enumerate() {
        let (status, out, error) = megasim(here, words);
        assert!(status == 0 || number >= runs.len() - 5, "{words:?}: {status}: {error}");
        let text = out + &error;
        assert!(!text.contains(acts), "{words:?}: {text:?}");
    }
    fs::remove_file(here.join("history.csv")).unwrap();
    let written = files(here);
    for ending in ["html", "svg", "csv"] {
        assert!(written.iter().any(|path| path.extension().is_some_and(|it| it == ending)), "no {ending}");
    }
    let faults: Vec<_> = written.iter().filter_map(|path| Some((path, fault(path)?))).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    // The names are there, escaped.
    let page = fs::read_to_string(here.join(&compare)).unwrap();
    assert!(page.contains("net &lt;script&gt;alert(1)&lt;"), "{}", &page[..2000.min(page.len())]);
}
