//! Layers in tiles: four by four neurons next to each other are a vector.

use super::lanes::LANES;
use super::weight_rows::WeightRows;
use crate::network::Array;
use std::sync::Arc;

/// Rows and columns of a tile.
const SIDE: usize = 4;

const _: () = assert!(SIDE * SIDE == LANES);

/// Some populations of one map each, of the same size and with the same neurons.
#[derive(Debug)]
pub(super) struct TileLayer {
    pub maps: Vec<TileMap>,
    pub grid: Grid,
    /// What the events of inputs reach; inputs share these.
    pub quads: Vec<Quad>,
    /// The most tiles of a quad that an event reaches.
    pub width: usize,
    pub weights: WeightRows,
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
    /// The first quad of the reach, among those of the layer.
    pub first_quad: u32,
}

/// What the events of a node reach.
#[derive(Debug, Default)]
pub(super) struct TileReach {
    /// By place.
    pub places: Vec<PlaceReach>,
    pub quads: Vec<Quad>,
    /// By row, from the first one of a port: for each lane the number of its weight in the kernel, or
    /// [`NOWHERE`](super::places::NOWHERE).
    pub rows: Vec<[u32; LANES]>,
}

impl TileReach {
    /// By place with neurons that it reaches: how many of them in each tile.
    pub fn neurons_by_tile(&self) -> impl Iterator<Item = f64> {
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
    pub fn width(&self) -> usize {
        self.tiles.iter().filter(|&&tile| tile != NO_TILE).count()
    }
}

/// The tile of an event that reaches fewer.
pub(super) const NO_TILE: u16 = u16::MAX;

/// An array in tiles, row by row.
#[derive(Debug)]
pub(super) struct Grid {
    nx: usize,
    ny: usize,
}

impl Grid {
    pub fn new(array: Array) -> Self {
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
    pub fn lane(&self, position: usize) -> (u32, usize) {
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
