//! What a sample is, is stated: its numbers never make frames of themselves.

use megasim::encode::{self, Clock, Current, EncodeBuffers, InputMap, Regular, SampleKind, SampleNumbers};
use megasim::engine::{Limits, Mode};
use megasim::network::{
    Array, FullyConnected, FullyConnectedPort, Input, Module, ModuleKind, Network, NetworkBuilder, NeuronParameters,
    NodeId, Output,
};
use megasim::readout::ReadOut;
use megasim::study::classification::{self, Setup, outcomes};
use ndarray::Array2;
use std::num::NonZeroU32;

const CLOCK: Clock = Clock { duration: 20, ticks_per_ms: 1 };

/// Four inputs, two neurons.
fn network() -> (Network, NodeId) {
    let mut builder = NetworkBuilder::new();
    let input = builder.source("In").unwrap();
    let array = Array { nx: 2, ny: 1, x_min: 0, y_min: 0 };
    let kind = ModuleKind::FullyConnected(FullyConnected {
        array,
        neurons: NeuronParameters { threshold_plus: 10, ..Default::default() },
        ports: vec![FullyConnectedPort { nx_pre: 4, ny_pre: 1, weights: [10, 0, 10, 0, 0, 10, 0, 10].into() }],
        output: Output::whole(array),
    });
    let module = Module { kind, inputs: vec![Input::Node(input)], timing: Default::default(), not_programmable: false };
    let output = builder.module(module, &["Out"]).unwrap()[0];
    (builder.build(1000).unwrap(), output)
}

fn layout(network: &Network) -> InputMap {
    InputMap::new(network, &[4], &["In".to_string()], None, None).unwrap()
}

#[test]
fn five_and_eight_numbers_on_four_inputs_are_no_still_sample() {
    let (network, output) = network();
    let (layout, code) = (layout(&network), Regular { input_rate: 1000.0 });
    for (kind, numbers, fits) in [
        (SampleKind::Still, 4, true),
        (SampleKind::Still, 3, false),
        (SampleKind::Still, 5, false),
        (SampleKind::Still, 8, false),
        (SampleKind::Still, 0, false),
        (SampleKind::Frames, 4, true),
        (SampleKind::Frames, 8, true),
        (SampleKind::Frames, 5, false),
        (SampleKind::Frames, 0, false),
    ] {
        let values = vec![0.5; numbers];
        let expected = encode::Error::Numbers { kind, expected: 4, found: numbers };
        let stimuli = layout.stimuli(&code, kind, &values, 0, CLOCK);
        assert_eq!(stimuli.as_ref().err(), (!fits).then_some(&expected), "{kind:?}, {numbers}");
        let mut encoder = EncodeBuffers::default();
        assert_eq!(encoder.encode(&layout, &code, kind, &values, 0, CLOCK).is_ok(), fits, "{kind:?}, {numbers}");
        let setup = Setup {
            network: &network,
            layout: &layout,
            output,
            classes: 2,
            kind,
            code: &code,
            clock: CLOCK,
            read_out: ReadOut::default(),
            savings: false,
            online: None,
            limits: Limits::default(),
        };
        let samples = Array2::from_elem((2, numbers), 0.5f32);
        let found = outcomes(&setup, samples.view(), &SampleNumbers::default(), Mode::Event, &());
        assert_eq!(found.is_ok(), fits, "{kind:?}, {numbers}: {found:?}");
    }
    let eight = SampleKind::Still.check(4, 8).unwrap_err().to_string();
    assert!(eight.contains("expected 4 numbers") && eight.contains("found 8") && eight.contains("Frames"), "{eight}");
    let five = SampleKind::Still.check(4, 5).unwrap_err().to_string();
    assert!(!five.contains("Frames"), "{five}");
}

#[test]
fn frames_as_currents_are_refused() {
    let (network, output) = network();
    let layout = layout(&network);
    let setup = Setup {
        network: &network,
        layout: &layout,
        output,
        classes: 2,
        kind: SampleKind::Frames,
        code: &Current,
        clock: CLOCK,
        read_out: ReadOut::default(),
        savings: false,
        online: None,
        limits: Limits::default(),
    };
    let samples = Array2::from_elem((1, 8), 0.5f32);
    let found = outcomes(&setup, samples.view(), &SampleNumbers::default(), Mode::Event, &());
    assert!(matches!(found, Err(classification::Error::FramesAsCurrents)), "{found:?}");
}

#[test]
fn stopped_samples_are_run_again_only_for_savings() {
    let (network, output) = network();
    let (layout, code) = (layout(&network), Regular { input_rate: 1000.0 });
    let outcome = |savings: bool, read_out: ReadOut| {
        let setup = Setup {
            network: &network,
            layout: &layout,
            output,
            classes: 2,
            kind: SampleKind::Still,
            code: &code,
            clock: CLOCK,
            read_out,
            savings,
            online: None,
            limits: Limits::default(),
        };
        let samples = Array2::from_shape_vec((1, 4), vec![0.9f32, 0.1, 0.9, 0.1]).unwrap();
        outcomes(&setup, samples.view(), &SampleNumbers::default(), Mode::Event, &()).unwrap().remove(0)
    };
    let early = ReadOut::KSpikes(NonZeroU32::new(2).unwrap());
    let (plain, whole) = (outcome(false, early), outcome(true, early));
    assert!(plain.decision.stopped.is_some());
    assert_eq!(plain.whole_operations, None);
    // A whole run has the operations of one that does not stop.
    assert_eq!(whole.whole_operations, Some(outcome(false, ReadOut::default()).synaptic_operations));
    assert_eq!(plain.synaptic_operations, whole.synaptic_operations);
    assert_eq!(outcome(true, ReadOut::default()).whole_operations, None);
}
