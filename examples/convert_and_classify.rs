//! From a Keras file to an accuracy in event mode. Run it with
//! `cargo run --release --example convert_and_classify`.

use megasim::atomic_write::Overwrite;
use megasim::study::classification::{Modes, decisions, wilson_interval};
use megasim::{ClassifyOptions, Convert, ConvertOptions, Dataset, LabelledSamples, Model, classify};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = Model::open("examples/digits/digits_cnn.keras")?;
    let data = Dataset::open("examples/digits".as_ref())?;

    // Weights become integers; a rate of one spike per millisecond stands for a layer's largest activation.
    let converted = model.convert(&data, &ConvertOptions::new())?;
    let network = converted.network();
    println!("{} modules, {} nodes", network.modules().len(), network.nodes().len());

    // A netfile directory, as `megasim convert` writes it; ConvertedModel::open reads it.
    let directory = std::env::temp_dir().join(format!("megasim-example-{}", std::process::id()));
    converted.save(&directory, Overwrite::Refuse)?;
    println!("saved to {}", directory.display());

    // Pixels become evenly spaced spikes for 100 ms; the class whose neuron spikes most wins.
    let samples = LabelledSamples::test(&converted, &data, 0, None)?;
    let found = classify(&converted, &samples, &ClassifyOptions::new().duration(100).modes(Modes::Event), &())?;
    let right = found.right(&decisions(&found.event).unwrap_or_default()).unwrap_or(0);
    let (low, high) = wilson_interval(right, found.len());
    println!("{right} of {} right: {:.1} to {:.1} %", found.len(), 100.0 * low, 100.0 * high);
    std::fs::remove_dir_all(directory)?;
    Ok(())
}
