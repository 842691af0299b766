//! Makes layers in tiles of maps with their own kernels, such as depthwise convolutions, where the events of a
//! position reach few tiles.

use super::compiler::{Compiler, MOST_WEIGHTS, Origin};
use super::lanes::LANES;
use super::merged::OneMap;
use super::notes::{KEY_BITS, VECTOR_BITS};
use super::places::NOWHERE;
use super::tile_layer::{Grid, NO_TILE, PlaceReach, Quad, TileInput, TileLayer, TileMap, TileReach};
use super::weight_rows::WeightRows;
use crate::engine::geometry::{Geometry, Span};
use crate::engine::synapses::{Kernel, Port, Synapses};
use crate::network::Array;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Neurons of a tile that an event has to reach, on the mean over its places, for tiles to be faster than one neuron
/// after the other.
const LEAST_NEURONS: f64 = 1.5;

/// What events reach, by origin of the addresses, kernel and array.
pub(super) type TileReaches = HashMap<(Origin, Geometry, Array), Option<Arc<TileReach>>>;

impl Compiler<'_> {
    /// The layer of tiles that starts with a population: as many of the next ones as are alike and do not read each
    /// other.
    pub(super) fn tiles(&self, first: usize, reaches: &mut TileReaches) -> Option<TileLayer> {
        let OneMap { neurons, ports, .. } = OneMap::of(&self.populations[first])?;
        let has_taps = |port: &Port| matches!(&port.synapses, Synapses::Kernel(kernel) if kernel.spans.is_some());
        if !ports.iter().any(has_taps) {
            return None;
        }
        let grid = Grid::new(neurons.array);
        let mut maps: Vec<TileMap> = Vec::new();
        let (mut rows, mut largest, mut stay_beyond) = (Vec::new(), 0, false);
        for population in &self.populations[first..] {
            let Some(OneMap { neurons: other, ports, stays_beyond }) = OneMap::of(population) else { break };
            let inputs = self.inputs(population);
            // Plain neurons may stay beyond the threshold, which is kept by population.
            let is_alone = neurons.neurons.signed().is_none() && !maps.is_empty();
            if is_alone || !self.is_like(first, other, &inputs) || (maps.len() + 1) * grid.tiles() >= 1 << VECTOR_BITS {
                break;
            }
            let before = rows.len();
            let map = self.tile_map(ports, &inputs, (neurons.array, &grid), &mut rows, reaches);
            let fits = 2 * rows.len() < 1 << (32 - KEY_BITS) && rows.len() * LANES <= MOST_WEIGHTS.0;
            let Some(map) = map.filter(|_| fits) else {
                rows.truncate(before);
                break;
            };
            largest = ports.iter().map(Port::largest).fold(largest, i64::max);
            stay_beyond |= stays_beyond;
            maps.push(map);
        }
        if maps.is_empty() {
            return None;
        }
        let (mut quads, mut known) = (Vec::new(), HashMap::new());
        for input in maps.iter_mut().flat_map(|map| &mut map.inputs) {
            input.first_quad = *known.entry(Arc::as_ptr(&input.reach)).or_insert_with(|| {
                quads.extend_from_slice(&input.reach.quads);
                (quads.len() - input.reach.quads.len()) as u32
            });
        }
        let width = quads.iter().map(Quad::width).max().unwrap_or(1);
        let weights: Vec<[i32; LANES]> = rows.iter().map(|row| row.map(|weight| weight.unwrap_or(0))).collect();
        let mut weights = WeightRows::new(weights.as_flattened(), LANES, largest)?;
        if stay_beyond {
            weights = weights.with_reached(LANES, |row, lane| rows[row][lane].is_some());
        }
        Some(TileLayer { maps, grid, quads, width, weights })
    }

    /// One map; its rows of weights come after the others, without those of neurons that are not reached.
    fn tile_map(
        &self,
        ports: &[Port],
        inputs: &[(usize, usize)],
        (array, grid): (Array, &Grid),
        rows: &mut Vec<[Option<i32>; LANES]>,
        reaches: &mut TileReaches,
    ) -> Option<TileMap> {
        let mut map = TileMap { inputs: Vec::new() };
        for &(node, port) in inputs {
            let Some(Synapses::Kernel(kernel)) = ports.get(port).map(|port| &port.synapses) else {
                // The input only resets.
                map.inputs.push(TileInput { node, first_row: 0, reach: Arc::default(), first_quad: 0 });
                continue;
            };
            let key = (self.tables[node], kernel.shape.geometry(), array);
            let made = || Some(Arc::new(self.tile_reach(node, kernel, (array, grid))?));
            let reach = reaches.entry(key).or_insert_with(made).clone()?;
            let first_row = rows.len() as u32;
            map.inputs.push(TileInput { node, first_row, reach: reach.clone(), first_quad: 0 });
            let weight = |&k: &u32| (k != NOWHERE).then(|| kernel.weights[k as usize]);
            rows.extend(reach.rows.iter().map(|row| row.each_ref().map(weight)));
        }
        let reached: Vec<f64> = map.inputs.iter().flat_map(|input| input.reach.neurons_by_tile()).collect();
        (reached.iter().sum::<f64>() >= LEAST_NEURONS * reached.len() as f64).then_some(map)
    }

    fn tile_reach(&self, node: usize, kernel: &Kernel, (array, grid): (Array, &Grid)) -> Option<TileReach> {
        let mut reach = TileReach::default();
        let mut known = HashMap::new();
        if grid.tiles() >= NO_TILE.into() {
            return None;
        }
        for (x, y) in self.addresses(node)? {
            let mut tiles = BTreeMap::new();
            let mut operations = 0;
            kernel.each_span(array, 1, x, y, |Span { neuron, weight, len }| {
                operations += len as u32;
                for k in 0..len {
                    let (tile, lane) = grid.lane(neuron + k);
                    tiles.entry(tile).or_insert([NOWHERE; LANES])[lane] = (weight + k) as u32;
                }
            });
            let mut entries = tiles.into_iter().map(|(tile, row)| {
                let new = known.len();
                (tile as u16, *known.entry(row).or_insert(new) as u16)
            });
            let first = reach.quads.len() as u32;
            while let Some(next) = entries.next() {
                let mut quad = Quad { tiles: [NO_TILE; 4], rows: [0; 4] };
                for (k, (tile, row)) in std::iter::once(next).chain(entries.by_ref().take(3)).enumerate() {
                    (quad.tiles[k], quad.rows[k]) = (tile, row);
                }
                reach.quads.push(quad);
            }
            reach.places.push(PlaceReach { quads: (first, reach.quads.len() as u32), operations });
            if known.len() > u16::MAX.into() || reach.quads.len() * 4 > MOST_WEIGHTS.0 {
                return None;
            }
        }
        reach.rows = vec![[NOWHERE; LANES]; known.len()];
        known.into_iter().for_each(|(row, number)| reach.rows[number] = row);
        Some(reach)
    }
}
