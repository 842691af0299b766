//! Layers of maps with kernels of their own, such as depthwise convolutions, in tiles: four by four neurons next to
//! each other are a vector, and the events of a position reach few of them.

use super::lanes::LANES;
use super::merged::one_map;
use super::notes::{KEY_BITS, VECTOR_BITS};
use super::places::NOWHERE;
use super::plan::{Compiler, MOST_WEIGHTS, Origin, SEGMENT_REACH};
use crate::engine::aligned::Aligned;
use crate::engine::geometry::{Geometry, Span};
use crate::engine::synapses::{Kernel, Port, Synapses};
use crate::network::Array;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Rows and columns of a tile.
const SIDE: usize = 4;

const _: () = assert!(SIDE * SIDE == LANES);

/// Neurons of a tile that an event has to reach, on the mean over its places, for tiles to be faster than one neuron
/// after the other.
const LEAST_NEURONS: f64 = 1.5;

/// Some populations of one map each, of the same size and with the same neurons.
#[derive(Debug)]
pub(super) struct TileLayer {
    pub maps: Vec<TileMap>,
    pub grid: Grid,
    /// The most tiles of a quad that an event reaches.
    pub width: usize,
    /// Rows of a weight per lane, then the same rows negated.
    pub weights: Aligned,
    pub rows: usize,
    /// So many events change a potential by less than `segment_reach`.
    pub segment: usize,
    pub segment_reach: i64,
}

#[derive(Debug)]
pub(super) struct TileMap {
    pub inputs: Vec<TileInput>,
}

#[derive(Debug)]
pub(super) struct TileInput {
    pub node: usize,
    /// The first row of weights of its port.
    pub first_row: u32,
    pub reach: Arc<TileReach>,
}

/// What the events of a node reach.
#[derive(Debug, Default)]
pub(super) struct TileReach {
    /// By place.
    pub places: Vec<PlaceReach>,
    pub quads: Vec<Quad>,
    /// By row, from the first one of a port: for each lane the number of its weight in the kernel, or [`NOWHERE`].
    rows: Vec<[u32; LANES]>,
}

impl TileReach {
    /// By place with neurons that it reaches: how many of them in each tile.
    fn neurons_by_tile(&self) -> impl Iterator<Item = f64> {
        let reached = self.places.iter().filter(|place| place.operations > 0);
        reached.map(|place| {
            let quads = &self.quads[place.quads.0 as usize..place.quads.1 as usize];
            f64::from(place.operations) / quads.iter().map(Quad::width).sum::<usize>() as f64
        })
    }
}

/// What the events of a place reach: some of the quads.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlaceReach {
    pub quads: (u32, u32),
    /// Neurons that an event reaches.
    pub operations: u32,
}

/// Four tiles that an event reaches, and the rows of weights that it adds there: with a fixed number, no loop has to
/// guess how many there are. Those that are too many come last and are [`NO_TILE`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Quad {
    pub tiles: [u16; 4],
    pub rows: [u16; 4],
}

impl Quad {
    /// The tiles that an event reaches.
    fn width(&self) -> usize {
        self.tiles.iter().filter(|&&tile| tile != NO_TILE).count()
    }
}

/// The tile of an event that reaches fewer.
pub(super) const NO_TILE: u16 = u16::MAX;

/// What events reach, by origin of the addresses, kernel and array.
pub(super) type TileReaches = HashMap<(Origin, Geometry, Array), Option<Arc<TileReach>>>;

/// An array in tiles, row by row.
#[derive(Debug)]
pub(super) struct Grid {
    nx: usize,
    ny: usize,
}

impl Grid {
    fn new(array: Array) -> Self {
        Self { nx: array.nx as usize, ny: array.ny as usize }
    }

    pub fn neurons(&self) -> usize {
        self.nx * self.ny
    }

    fn columns(&self) -> usize {
        self.nx.div_ceil(SIDE)
    }

    pub fn tiles(&self) -> usize {
        self.columns() * self.ny.div_ceil(SIDE)
    }

    /// The tile and the lane of a position.
    fn lane(&self, position: usize) -> (u32, usize) {
        let (x, y) = (position % self.nx, position / self.nx);
        ((y / SIDE * self.columns() + x / SIDE) as u32, y % SIDE * SIDE + x % SIDE)
    }

    /// By tile: the position of its first lane.
    pub fn corners(&self) -> impl Iterator<Item = u32> {
        let columns = self.columns();
        (0..self.tiles()).map(move |tile| (tile / columns * SIDE * self.nx + tile % columns * SIDE) as u32)
    }

    /// How far the position of a lane is from that of the first one.
    pub fn offsets(&self) -> [u32; LANES] {
        std::array::from_fn(|lane| (lane / SIDE * self.nx + lane % SIDE) as u32)
    }

    /// Each stretch of neurons in one row of a tile: its first position, its first lane over all tiles, its length.
    #[inline(always)]
    pub fn each_stretch(&self, mut stretch: impl FnMut(usize, usize, usize)) {
        let columns = self.columns();
        for y in 0..self.ny {
            for column in 0..columns {
                let lane = ((y / SIDE) * columns + column) * LANES + y % SIDE * SIDE;
                let x = column * SIDE;
                stretch(y * self.nx + x, lane, SIDE.min(self.nx - x));
            }
        }
    }
}

impl Compiler<'_> {
    /// The layer of tiles that starts with a population: as many of the next ones as are alike and do not read each
    /// other.
    pub(super) fn tiles(&self, first: usize, reaches: &mut TileReaches) -> Option<TileLayer> {
        let (neurons, ports) = one_map(&self.populations[first])?;
        let has_taps = |port: &Port| matches!(&port.synapses, Synapses::Kernel(kernel) if kernel.spans.is_some());
        if !ports.iter().any(has_taps) {
            return None;
        }
        let grid = Grid::new(neurons.array);
        let mut layer = TileLayer {
            maps: Vec::new(),
            grid,
            width: 1,
            weights: Aligned::default(),
            rows: 0,
            segment: 0,
            segment_reach: 0,
        };
        let (mut rows, mut largest) = (Vec::new(), 1);
        for population in &self.populations[first..] {
            let Some((other, ports)) = one_map(population) else { break };
            let inputs = self.inputs(population);
            // Plain neurons may stay beyond the threshold, which is kept by population.
            let is_alone = neurons.neurons.signed().is_none() && !layer.maps.is_empty();
            if is_alone
                || !self.is_like(first, other, &inputs)
                || (layer.maps.len() + 1) * layer.grid.tiles() >= 1 << VECTOR_BITS
            {
                break;
            }
            let before = rows.len();
            let map = self.tile_map(ports, &inputs, (neurons.array, &layer.grid), &mut rows, reaches);
            let fits = 2 * rows.len() < 1 << (32 - KEY_BITS) && rows.len() * LANES <= MOST_WEIGHTS.0;
            let Some(map) = map.filter(|_| fits) else {
                rows.truncate(before);
                break;
            };
            largest = ports.iter().map(Port::largest).fold(largest, i64::max);
            layer.maps.push(map);
        }
        if layer.maps.is_empty() {
            return None;
        }
        let quads = layer.maps.iter().flat_map(|map| &map.inputs).flat_map(|input| &input.reach.quads);
        layer.width = quads.map(Quad::width).max().unwrap_or(1);
        layer.rows = rows.len();
        layer.weights = Aligned::new(2 * rows.len() * LANES);
        let (positive, negative) = layer.weights.split_at_mut(rows.len() * LANES);
        positive.copy_from_slice(rows.as_flattened());
        // None is -2^31, as for other layers.
        negative.iter_mut().zip(rows.as_flattened()).for_each(|(negated, weight)| *negated = -weight);
        layer.segment = (SEGMENT_REACH / largest).min(1 << 20) as usize;
        layer.segment_reach = layer.segment as i64 * largest;
        Some(layer)
    }

    /// One map; its rows of weights come after the others.
    fn tile_map(
        &self,
        ports: &[Port],
        inputs: &[(usize, usize)],
        (array, grid): (Array, &Grid),
        rows: &mut Vec<[i32; LANES]>,
        reaches: &mut TileReaches,
    ) -> Option<TileMap> {
        let mut map = TileMap { inputs: Vec::new() };
        for &(node, port) in inputs {
            let Some(Synapses::Kernel(kernel)) = ports.get(port).map(|port| &port.synapses) else {
                // The input only resets.
                map.inputs.push(TileInput { node, first_row: 0, reach: Arc::default() });
                continue;
            };
            let key = (self.tables[node], kernel.shape.geometry(), array);
            let made = || Some(Arc::new(self.tile_reach(node, kernel, (array, grid))?));
            let reach = reaches.entry(key).or_insert_with(made).clone()?;
            map.inputs.push(TileInput { node, first_row: rows.len() as u32, reach: reach.clone() });
            let weight = |&k: &u32| if k == NOWHERE { 0 } else { kernel.weights[k as usize] };
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tiles_have_each_neuron_once(nx in 1u32..14, ny in 1u32..14) {
            let grid = Grid::new(Array { nx, ny, x_min: 0, y_min: 0 });
            let corners: Vec<u32> = grid.corners().collect();
            let mut lanes = vec![usize::MAX; (nx * ny) as usize];
            grid.each_stretch(|position, lane, n| (0..n).for_each(|k| lanes[position + k] = lane + k));
            for (position, &lane) in lanes.iter().enumerate() {
                let (tile, within) = grid.lane(position);
                prop_assert_eq!(lane, tile as usize * LANES + within);
                prop_assert_eq!(corners[tile as usize] + grid.offsets()[within], position as u32);
            }
        }
    }
}
