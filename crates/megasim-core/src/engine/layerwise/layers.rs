//! The layers of a network as runs layer by layer read them.

use super::lanes::LANES;
use super::notes::{Names, VECTOR_BITS};
use super::pooling::PoolingLayer;
use super::tile_layer::TileLayer;
use super::weight_rows::WeightRows;
use crate::engine::aligned::Aligned;
use crate::engine::synapses::Tap;
use std::sync::Arc;

/// A population and what it reads.
#[derive(Debug)]
pub(super) struct Layer {
    /// Its output nodes, by map.
    pub nodes: Vec<usize>,
    /// The nodes that it reads.
    pub reads: Vec<usize>,
    pub kind: LayerKind,
}

impl Layer {
    /// How many populations are run as this one, from its own on.
    pub fn populations(&self) -> usize {
        match self.kind {
            LayerKind::Together => 0,
            LayerKind::Merged(_) | LayerKind::Tiles(_) => self.nodes.len(),
            LayerKind::Flatten(_) | LayerKind::Cells(_) | LayerKind::Single(_) => 1,
        }
    }
}

#[derive(Debug)]
pub(super) enum LayerKind {
    /// By input: its node, and by place where the event leaves.
    Flatten(Vec<(usize, Arc<[u32]>)>),
    /// Events reach cells.
    Cells(CellLayer),
    /// Events reach neurons one by one.
    Single(SingleLayer),
    /// Events reach cells of this population and the next ones, which are a map each.
    Merged(MergedLayer),
    /// Events reach tiles of this population and the next ones, which are a map each.
    Tiles(TileLayer),
    /// The population is run together with one before it.
    Together,
}

/// Neurons that every event reaches together are a cell: those of all maps at one position, or all of a dense layer.
#[derive(Debug)]
pub(super) struct CellLayer {
    pub inputs: Vec<CellInput>,
    pub cells: usize,
    /// Neurons of a cell.
    pub lanes: usize,
    pub is_dense: bool,
    pub names: Names,
    pub weights: WeightRows,
}

#[derive(Debug)]
pub(super) struct CellInput {
    pub node: usize,
    /// By place; empty for an input that only resets.
    pub touches: Touches,
    /// Neurons of a cell that it reaches; the others have a weight of 0.
    pub lanes: usize,
    /// The first row of weights of its port.
    pub first_row: u32,
    /// From one line of cells to the next one, in cells and in rows of weights.
    pub cell_step: u32,
    pub row_step: u32,
}

/// The cells that an event reaches: lines of cells next to each other. A dense layer cannot take an event without
/// lines.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Touch {
    pub cell: u32,
    pub row: u32,
    pub columns: u32,
    pub lines: u32,
}

/// A layer whose events reach few neurons each.
#[derive(Debug)]
pub(super) struct SingleLayer {
    pub inputs: Vec<SingleInput>,
    pub maps: usize,
    pub neurons: usize,
    /// As it is run where some sources have no spikes.
    pub pooling: Option<PoolingLayer>,
}

#[derive(Debug)]
pub(super) struct SingleInput {
    pub node: usize,
    pub reach: SingleReach,
}

#[derive(Debug)]
pub(super) enum SingleReach {
    /// The input only resets.
    Nothing,
    /// By place.
    Taps(Vec<Tap>),
    /// By place: lines of neurons next to each other, and their weights.
    Lines { touches: Touches, weights: Arc<Aligned>, neuron_step: usize, weight_step: usize },
}

pub(super) type Touches = Arc<[Touch]>;

impl CellLayer {
    /// Numbers of the vectors in a cell, as a power of two.
    pub(super) fn vectors(&self) -> usize {
        self.lanes.div_ceil(LANES).next_power_of_two()
    }

    /// Cells of some lanes, with rows of as many weights; none is larger than `largest`. There are none of -2^31, see
    /// [`keeps_no_time`].
    pub(super) fn new(
        (cells, lanes): (usize, usize),
        is_dense: bool,
        rows: &[i32],
        inputs: Vec<CellInput>,
        largest: i64,
    ) -> Option<Self> {
        let shift = lanes.div_ceil(LANES).next_power_of_two().trailing_zeros();
        let weights = WeightRows::new(rows, lanes, largest)?;
        if cells << shift >= 1 << VECTOR_BITS {
            return None;
        }
        Some(Self {
            inputs,
            cells,
            lanes,
            is_dense,
            names: if is_dense { Names::Row } else { Names::Positions { shift } },
            weights,
        })
    }
}

/// Some populations of one map each, of the same size and with the same neurons, as cells.
#[derive(Debug)]
pub(super) struct MergedLayer {
    pub cells: CellLayer,
    /// The nodes that all maps read.
    pub common: Vec<usize>,
    /// By map: the other nodes that it reads.
    pub own: Vec<Vec<usize>>,
}
