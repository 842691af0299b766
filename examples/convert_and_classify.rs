//! From a Keras file to an accuracy in event mode. Run it with
//! `cargo run --release --example convert_and_classify`.

use megasim::ann::import;
use megasim::convert::{Options, convert};
use megasim::dataset::{Dataset, Format};
use megasim::encode::{Clock, Regular, SampleKind};
use megasim::engine::{Limits, Mode};
use megasim::readout::ReadOut;
use megasim::study::classification::{Setup, classify, wilson_interval};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = import::read("examples/digits/digits_cnn.keras".as_ref())?;
    let data = Dataset::open("examples/digits".as_ref())?;
    let format = Format { shape: model.input_shape(), classes: model.classes() };

    // Weights become integers; a rate of one spike a millisecond stands for a layer's largest activation.
    let converted = convert(&model.graph, data.normalization(&format)?.view(), &Options::default())?;
    let network = &converted.emitted.network;
    println!("{} modules, {} nodes", network.modules().len(), network.nodes().len());

    // Pixels become evenly spaced spikes for 100 ms; the class whose neuron spikes most wins.
    let setup = Setup {
        network,
        layout: &converted.layout()?,
        output: converted.output(),
        classes: model.classes(),
        kind: SampleKind::Still,
        code: &Regular { input_rate: 1000.0 },
        clock: Clock { duration: 100, ticks_per_ms: 10 },
        read_out: ReadOut::default(),
        limits: Limits::default(),
        savings: false,
    };
    let test = data.test(&format, 0, None)?;
    let outcomes = classify(&setup, test.x.view(), 0, Mode::Event, &())?;
    let right =
        outcomes.iter().zip(&test.y).filter(|(outcome, label)| outcome.decision.class() == Some(**label)).count();
    let (low, high) = wilson_interval(right, outcomes.len());
    println!("{right} of {} right: {:.1} to {:.1} %", outcomes.len(), 100.0 * low, 100.0 * high);
    Ok(())
}
