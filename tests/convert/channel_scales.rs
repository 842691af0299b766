//! Scales of single maps: the network computes what it did, and its spikes are its activations.

use crate::npy::NpzReader;
use megasim::ann::forward::forward;
use megasim::ann::import::{self, Model};
use megasim::convert::conversion::again;
use megasim::convert::scales::Scales;
use megasim::convert::{Convert, ConvertOptions, Normalized, Weighting, convert};
use megasim::dataset::Dataset;
use ndarray::Array2;
use std::fs::File;
use std::path::{Path, PathBuf};

fn zoo() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/zoo/rates");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_model = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "keras" || ending == "onnx");
    files.filter(is_model).collect()
}

/// Outputs in activations.
fn outputs(normalized: &Normalized, x: &Array2<f32>) -> Array2<f32> {
    let (graph, _) = normalized.parsed.graph().unwrap();
    let outputs = forward(&graph, normalized.parsed.addressed(x.view()).view()).unwrap();
    let scale = *normalized.scales.last().unwrap() as f32;
    assert!(normalized.maps.last().unwrap().is_empty());
    outputs.mapv(|output| output * scale)
}

#[test]
fn networks_compute_what_they_did() {
    for path in zoo() {
        let model = import::read(&path).unwrap();
        let mut npz = NpzReader::new(File::open(path.with_extension("npz")).unwrap()).unwrap();
        let x: Array2<f32> = npz.by_name("x").unwrap();
        for weighting in [Weighting::Percentile, Weighting::LeastSquares { steps: 10 }] {
            let options = ConvertOptions::new().weighting(weighting);
            let one = convert(&model.graph, x.view(), &options).unwrap().normalized;
            let each = convert(&model.graph, x.view(), &options.channel_scales(true)).unwrap().normalized;
            let other = |factors: &&Vec<f64>| factors.iter().any(|&factor| (factor - 1.0).abs() > 0.05);
            assert!(each.maps.iter().filter(other).count() >= 2, "{}", path.display());
            assert_eq!(one.scales, each.scales);
            let (one, each) = (outputs(&one, &x), outputs(&each, &x));
            let largest = one.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            let worst = one.iter().zip(&each).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4 * largest, "{}: {worst} of {largest}", path.display());
        }
    }
}

/// Each map has the percentile of its activations, within the width of an interval.
#[test]
fn a_map_fires_once_per_ms_at_its_percentile() {
    let path = zoo().into_iter().find(|path| path.ends_with("resnet.keras")).unwrap();
    let model = import::read(&path).unwrap();
    let mut npz = NpzReader::new(File::open(path.with_extension("npz")).unwrap()).unwrap();
    let x: Array2<f32> = npz.by_name("x").unwrap();
    let options = ConvertOptions::new().percentile(100.0).channel_scales(true);
    let normalized = convert(&model.graph, x.view(), &options).unwrap().normalized;
    let (graph, ids) = normalized.parsed.graph().unwrap();
    let mut seen = 0;
    let addressed = normalized.parsed.addressed(x.view()).into_owned();
    megasim::ann::forward::visit_activations(&graph, addressed.view(), |first, id, activations| {
        let Some(layer) = ids.iter().position(|&own| own == id).filter(|&layer| first == 0 && layer < 3) else {
            return;
        };
        assert_eq!(activations.nrows(), x.nrows());
        let factors = &normalized.maps[layer];
        let cells = activations.ncols() / factors.len().max(1);
        for (map, &factor) in factors.iter().enumerate().filter(|(_, factor)| **factor > 1.0 / 15.0) {
            let of_map = activations.slice(ndarray::s![.., map * cells..(map + 1) * cells]);
            let largest = of_map.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            assert!((largest - 1.0).abs() < 1e-3 || (largest == 0.0 && factor == 1.0), "{layer} {map}: {largest}");
            seen += 1;
        }
    })
    .unwrap();
    assert!(seen > 8, "{seen}");
}

/// The scales of one conversion, taken by another, give the same network.
#[test]
fn scales_of_maps_are_kept_and_taken() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits");
    let model = Model::open(here.join("digits_cnn.keras")).unwrap();
    let data = Dataset::open(&here).unwrap();
    let first =
        model.convert_with(&data, &ConvertOptions::new().channel_scales(true), &Default::default(), &()).unwrap();
    let scales: Scales = serde_json::from_str(&first.scales.to_json()).unwrap();
    assert!(!scales.maps.is_empty());
    let again = again(&model, &data, &ConvertOptions::new().scales(scales), &()).unwrap();
    let pairs = first.converted.manifest().layers.iter().zip(&again.converted.manifest().layers);
    for (one, other) in pairs {
        assert_eq!(one.map_scales.len(), other.map_scales.len());
        // Scales are divided by those of their layers again.
        let close = |(a, b): (&f64, &f64)| (a / b - 1.0).abs() < 1e-12;
        assert!(one.map_scales.iter().zip(&other.map_scales).all(close), "{}", one.name);
    }
    let layer = &first.converted.manifest().layers[0];
    assert_eq!(layer.map_scales.len(), layer.shape[0]);
    assert_eq!(layer.scale_of(layer.shape[1] * layer.shape[2]), layer.map_scales[1]);
}
