//! What several codes need: trains that depend on the value alone.

use super::{Raster, Train};
use ordered_float::OrderedFloat;
use std::collections::HashMap;

/// Writes a train for each address, where a train depends on the magnitude of the value alone: `write` is asked once
/// for each magnitude, and the sign of a value is that of its spikes.
pub(super) fn by_magnitude(values: &[f32], raster: &mut Raster, mut write: impl FnMut(f64, &mut Train<'_>)) {
    let mut known: HashMap<OrderedFloat<f32>, Vec<u64>> = HashMap::new();
    for (address, &value) in values.iter().enumerate() {
        let magnitude = value.abs();
        let words = known.entry(OrderedFloat(magnitude)).or_insert_with(|| {
            let mut scratch = raster.like();
            let mut train = scratch.train(0, false);
            write(f64::from(magnitude), &mut train);
            train.words().to_vec()
        });
        if words.iter().any(|&word| word != 0) {
            raster.train(address as u32, value < 0.0).words().copy_from_slice(words);
        }
    }
}
