//! Descriptions with rates of each map, custom kernels, and free lateral inhibition.

use megasim::learning::{
    Convolution, Description, Encoder, FilterKernel, LateralIntensityInhibition, SpikingNetwork, Stimuli, Trainer,
};
use ndarray::{Array2, Array3};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use std::ops::ControlFlow;

proptest! {
    /// `x (1 + sum of the factors of the neighbours below x)`, with a kernel that need be neither square nor symmetric.
    #[test]
    fn free_kernels_inhibit_by_the_rule(
        cells in prop::collection::vec(0_u8..4, 20),
        factors in prop::collection::vec(-2_i8..3, 15),
    ) {
        let input = Array3::from_shape_fn((1, 4, 5), |(_, y, x)| f32::from(cells[5 * y + x]));
        let kernel = Array2::from_shape_fn((3, 5), |(y, x)| f32::from(factors[5 * y + x]) / 4.0);
        let found = LateralIntensityInhibition::from_kernel(kernel.clone()).unwrap().apply(input.view());
        for ((_, y, x), &value) in input.indexed_iter() {
            let mut gain = 1.0;
            for ((i, j), factor) in kernel.indexed_iter() {
                let at = (y as i32 + i as i32 - 1, x as i32 + j as i32 - 2);
                let inside = (0..4).contains(&at.0) && (0..5).contains(&at.1);
                let neighbour = if inside { input[(0, at.0 as usize, at.1 as usize)] } else { 0.0 };
                if neighbour < value {
                    gain += factor;
                }
            }
            prop_assert_eq!(found[(0, y, x)], value * gain);
        }
    }
}

#[test]
fn kernels_without_a_centre_are_refused() {
    let even = LateralIntensityInhibition::from_kernel(Array2::zeros((2, 3))).unwrap_err().to_string();
    assert!(even.contains("odd number of rows") && even.contains("2x3"), "{even}");
}

fn text(encoding: &str, learning: &str) -> String {
    format!(
        "name = 'own'\n[input]\nheight = 8\nwidth = 8\nscale = 1.0\n[encoding]\n{encoding}time_steps = 4\n[[layer]]\n\
         type = 'convolution'\nmaps = 2\nkernel_size = 3\nthreshold = 1.5\n[layer.learning]\nrule = 'stdp'\n{learning}"
    )
}

/// A picture with some structure.
fn picture(number: usize) -> Array2<f32> {
    Array2::from_shape_fn((8, 8), |(y, x)| ((y * 3 + x * 5 + number * 7) % 11) as f32 / 11.0)
}

#[test]
fn kernels_of_a_description_filter() {
    let own = "kernels = [{ values = [[0, 0, 0], [0, 2, 0], [0, 0, 0]] }]\npadding = 1\n";
    let lateral = "lateral_inhibition = [[0.1, 0.1, 0.1], [0.1, 0, 0.1], [0.1, 0.1, 0.1]]\n";
    let encode = |encoding: &str| {
        let description = Description::from_toml(&text(encoding, "")).unwrap();
        Encoder::new(&description).unwrap().encode(picture(0).view()).unwrap()
    };
    // Twice each pixel has the order of the pixels.
    assert_eq!(encode(own).latencies(), encode("").latencies());
    // A kernel that says what factors by distance say.
    assert_eq!(encode(lateral).latencies(), encode("lateral_inhibition = [0.1]\n").latencies());
    let values = FilterKernel::Values(vec![vec![1.0, 2.0], vec![3.0, 4.0]]).values();
    assert_eq!(values, ndarray::array![[1.0, 2.0], [3.0, 4.0]]);
    for (wrong, message) in [
        (
            "kernels = [{ values = [[1, 2], [3]] }]\n",
            "line 7: [encoding]: kernels: expected values as rows of a square",
        ),
        ("lateral_inhibition = [[1, 2], [3, 4]]\n", "lateral inhibition: expected a kernel with an odd number of rows"),
    ] {
        let error = Description::from_toml(&text(wrong, "")).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn maps_learn_at_rates_of_their_own() {
    let images = Array3::from_shape_fn((6, 8, 8), |(k, y, x)| picture(k)[(y, x)]);
    let train = |rates: &str| {
        let learning = format!("learning_rate = {rates}\nkwta = 2\npasses = 3\npointwise_inhibition = false\n");
        let description = Description::from_toml(&text("", &learning)).unwrap();
        let stimuli = Stimuli::encode(&Encoder::new(&description).unwrap(), images.view(), &[0; 6]).unwrap();
        let mut trainer = Trainer::new(SpikingNetwork::<f32>::new(&description, 5).unwrap(), 5);
        trainer.run(&stimuli, 1000, |_| ControlFlow::Continue(())).unwrap();
        let weights = trainer.network().convolution(0).unwrap().weights();
        [0, 1].map(|map| weights.index_axis(ndarray::Axis(0), map).iter().copied().collect::<Vec<f32>>())
    };
    let start = train("[0.0, 0.0]");
    let all = train("[0.1, -0.1]");
    assert_eq!(train("[[0.1, -0.1], [0.1, -0.1]]"), all);
    assert!(all[0] != start[0] && all[1] != start[1]);
    // A map without rates stays as it was.
    let one = train("[[0.1, -0.1], [0.0, 0.0]]");
    assert!(one[0] != start[0] && one[1] == start[1]);
}

#[test]
fn weights_are_drawn_anew() {
    let random = || ChaCha8Rng::seed_from_u64(9);
    let mut layer = Convolution::<f32>::new(2, 3, 3, 0.8, 0.02, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
    layer.reset_weight(0.5, 0.1, &mut random()).unwrap();
    let expected = Convolution::<f32>::new(2, 3, 3, 0.5, 0.1, &mut random()).unwrap();
    assert_eq!(layer.weights(), expected.weights());
    assert!(layer.reset_weight(f64::NAN, 0.1, &mut random()).is_err());
    assert_eq!(layer.weights(), expected.weights());
}
