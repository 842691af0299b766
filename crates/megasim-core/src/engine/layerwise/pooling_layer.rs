//! Makes layers such as pooling of layers whose events reach neurons one by one.

use super::layers::{PooledMap, PoolingLayer, SingleInput, SingleReach};
use super::places::NOWHERE;
use crate::engine::synapses::Tap;
use std::sync::Arc;

/// A layer of `maps` maps in this form, if it can be had.
pub(super) fn pooling_layer(
    inputs: &[SingleInput],
    maps: usize,
    is_source: impl Fn(usize) -> bool,
) -> Option<PoolingLayer> {
    let mut layer = PoolingLayer { maps: vec![PooledMap::default(); maps], silent: Vec::new() };
    let mut tables: Vec<Arc<[Tap]>> = Vec::new();
    for SingleInput { node, reach } in inputs {
        let taps = match reach {
            SingleReach::Nothing => continue,
            SingleReach::Taps(taps) if !is_source(*node) => taps,
            _ if is_source(*node) => {
                layer.silent.push(*node);
                continue;
            }
            _ => return None,
        };
        let Some(first) = taps.iter().find(|tap| tap.neuron != NOWHERE) else { continue };
        let map = first.neuron as usize % maps;
        let at = |tap: &Tap| match tap.neuron {
            NOWHERE => Some(*tap),
            n if n as usize % maps == map => Some(Tap { neuron: n / maps as u32, ..*tap }),
            _ => None,
        };
        let taps: Vec<Tap> = taps.iter().map(at).collect::<Option<_>>()?;
        let known = tables.iter().find(|table| table[..] == taps[..]).cloned();
        let taps = known.unwrap_or_else(|| taps.into());
        tables.push(taps.clone());
        if layer.maps[map].node.is_some() {
            return None;
        }
        layer.maps[map] = PooledMap { node: Some(*node), taps };
    }
    layer.maps.iter().any(|map| map.node.is_some()).then_some(layer)
}
