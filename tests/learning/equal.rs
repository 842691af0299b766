//! On random networks the event-driven form gives what the dense one gives: spikes, winners, weights.

use super::dense;
use megasim::learning::{
    Convolution, Fixed, Pooling, Rates, SpikeWave, Stdp, Weight, get_k_winners, pointwise_inhibition,
};
use ndarray::{Array3, Array4};
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Case {
    latencies: Array3<u32>,
    time_steps: u32,
    /// In 64ths, so that all sums are exact in every kind of number.
    weights: Array4<i32>,
    threshold: f64,
    kwta: usize,
    radius: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    (1_usize..4, 3_usize..8, 3_usize..8, 1_usize..6, 1_usize..4, 1_usize..4, 1_u32..6).prop_flat_map(
        |(inputs, height, width, maps, rows, columns, time_steps)| {
            let latencies = prop::collection::vec(0..=time_steps, inputs * height * width);
            let weights = prop::collection::vec(0..=64_i32, maps * inputs * rows.min(3) * columns.min(3));
            (latencies, weights, 0_u32..160, 1_usize..5, 0_usize..3).prop_map(
                move |(latencies, weights, threshold, kwta, radius)| Case {
                    latencies: Array3::from_shape_vec((inputs, height, width), latencies).unwrap(),
                    time_steps,
                    weights: Array4::from_shape_vec((maps, inputs, rows.min(3), columns.min(3)), weights).unwrap(),
                    threshold: f64::from(threshold) / 64.0,
                    kwta,
                    radius,
                },
            )
        },
    )
}

fn check<W: Weight>(case: &Case) {
    let real = case.weights.mapv(|weight| f64::from(weight) / 64.0);
    let mut layer = Convolution::from_weights(real.mapv(W::from_real).view()).unwrap();
    let input = SpikeWave::from_latencies(case.latencies.view(), case.time_steps).unwrap();
    let tensor = input.to_tensor().mapv(f64::from);

    let potentials = dense::convolution(&tensor, real.view());
    assert_eq!(layer.potentials(&input).unwrap().mapv(W::to_real), potentials);
    let thresholded = dense::threshold(&potentials, Some(case.threshold));
    let spikes = layer.fire(&input, Some(W::from_real(case.threshold))).unwrap();
    assert_eq!(spikes.to_tensor().mapv(f64::from), dense::sign(&thresholded));
    let last = layer.fire(&input, None).unwrap();
    assert_eq!(last.to_tensor().mapv(f64::from), dense::fire(&potentials, None));

    let inhibited = dense::pointwise_inhibition(&thresholded);
    let survivors = pointwise_inhibition(&spikes);
    assert_eq!(survivors.to_tensor().mapv(f64::from), dense::sign(&inhibited));
    for (wave, potentials) in [(&spikes, &thresholded), (&survivors, &inhibited)] {
        let winners: Vec<_> = get_k_winners(wave, case.kwta, case.radius)
            .iter()
            .map(|winner| (winner.map, winner.row, winner.column))
            .collect();
        assert_eq!(winners, dense::get_k_winners(potentials, &dense::sign(potentials), case.kwta, case.radius));
    }

    let (_, _, height, width) = potentials.dim();
    if height >= 2 && width >= 2 {
        let pooled = Pooling::new(2).stride(1).padding(1).forward(&spikes).unwrap();
        let dense = dense::pooling(&dense::sign(&thresholded), (2, 2), (1, 1), (1, 1));
        assert_eq!(pooled.to_tensor().mapv(f64::from), dense);
    }

    let winners = get_k_winners(&survivors, case.kwta, case.radius);
    let maps = real.dim().0;
    let mut learned = real.clone();
    dense::Stdp { rates: vec![(0.25, -0.125); maps], use_stabilizer: false, lower: 0.125, upper: 0.875 }.update(
        &mut learned,
        &tensor,
        &dense::sign(&inhibited),
        &winners.iter().map(|winner| (winner.map, winner.row, winner.column)).collect::<Vec<_>>(),
    );
    let rates = vec![Rates { ltp: 0.25, ltd: -0.125 }; maps];
    let stdp = Stdp::per_map(&rates).stabilizer(false).bounds(0.125, 0.875).unwrap();
    stdp.update(&mut layer, &input, &winners).unwrap();
    assert_eq!(layer.weights().mapv(W::to_real), learned);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn event_driven_is_dense(case in cases()) {
        check::<f32>(&case);
        check::<f64>(&case);
        check::<Fixed>(&case);
    }

    /// A wave survives the way through a `.npy` file, and damage to the file is reported, not suffered.
    #[test]
    fn waves_as_npy(case in cases(), at in 0_usize..10_000, flip in 1_u8..) {
        let wave = SpikeWave::from_latencies(case.latencies.view(), case.time_steps).unwrap();
        let mut bytes = wave.to_npy();
        prop_assert_eq!(&SpikeWave::from_npy(&bytes).unwrap(), &wave);
        let at = at % bytes.len();
        prop_assert!(SpikeWave::from_npy(&bytes[..at]).is_err());
        bytes[at] ^= flip;
        let _ = SpikeWave::from_npy(&bytes);
    }

    /// Padding and stride, options of ours: padding is that of the wave, stride leaves out places.
    #[test]
    fn padding_and_stride(case in cases(), padding in 0_usize..3, stride in 1_usize..4) {
        let weights = case.weights.mapv(|weight| weight as f32 / 64.0);
        let input = SpikeWave::from_latencies(case.latencies.view(), case.time_steps).unwrap();
        let padded = input.clone().pad((padding, padding, padding, padding).into()).unwrap();
        let plain = Convolution::from_weights(weights.view()).unwrap();
        let whole = plain.potentials(&padded).unwrap();
        let strided = plain.padding(padding).stride(stride).unwrap().potentials(&input).unwrap();
        assert_eq!(strided, whole.slice(ndarray::s![.., .., ..;stride, ..;stride]));
    }

    /// Negative weights: each neuron fires where its potential at the end of a bin is first above the threshold.
    #[test]
    fn first_crossing(case in cases()) {
        let weights = case.weights.mapv(|weight| f64::from(weight - 24) / 64.0);
        let layer = Convolution::from_weights(weights.view()).unwrap();
        let input = SpikeWave::from_latencies(case.latencies.view(), case.time_steps).unwrap();
        let potentials = dense::convolution(&input.to_tensor().mapv(f64::from), weights.view());
        let latencies = layer.fire(&input, Some(case.threshold)).unwrap().latencies();
        for (at, &latency) in latencies.indexed_iter() {
            let first = (0..case.time_steps as usize)
                .find(|&t| potentials[(t, at.0, at.1, at.2)] > case.threshold);
            prop_assert_eq!(first.map_or(case.time_steps, |t| t as u32), latency);
        }
    }
}
