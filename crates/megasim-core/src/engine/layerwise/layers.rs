//! The layers of a network as runs layer by layer read them.

use super::lanes::LANES;
use super::notes::{Names, VECTOR_BITS};
use super::places::NOWHERE;
use super::weight_rows::WeightRows;
use crate::engine::aligned::Aligned;
use crate::engine::synapses::Tap;
use std::ops::Range;
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
            LayerKind::Merged(_) => self.nodes.len(),
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
    /// The population is run together with one before it.
    Together,
}

/// Neurons that every event reaches together are a cell: those of all maps at one position, or all of a dense layer.
#[derive(Debug)]
pub(super) struct CellLayer {
    pub inputs: Vec<CellInput>,
    /// Inputs share these.
    pub tables: Vec<CellTable>,
    pub touches: Vec<Touch>,
    /// From one line of cells that an event reaches to the next one.
    pub cell_step: usize,
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
    /// The number of its table; none for an input that only resets.
    pub table: Option<usize>,
    /// The first row of weights of its port.
    pub first_row: u32,
}

/// What the events of some inputs reach.
#[derive(Debug)]
pub(super) struct CellTable {
    /// By place, among the touches of the layer; behind them is one of what reaches nothing.
    pub places: Range<usize>,
    /// Neurons of a cell that are reached; the others have a weight of 0.
    pub lanes: usize,
    /// The most cells that one event reaches, or 1.
    pub most_cells: usize,
    /// Each place has a line, which is the row of its number.
    pub is_row_by_row: bool,
}

/// A node that a layer of cells reads; see [`CellInput`].
pub(super) struct CellRead {
    pub node: usize,
    pub reach: Option<CellReach>,
    pub first_row: u32,
}

/// What the events of an input reach.
#[derive(Debug, Clone)]
pub(super) struct CellReach {
    /// By place.
    pub touches: Touches,
    /// See [`CellTable`].
    pub lanes: usize,
    /// From one line of cells to the next one.
    pub cell_step: u32,
}

/// The cells that an event reaches: lines of cells next to each other. A dense layer cannot take an event without
/// lines.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Touch {
    pub cell: u32,
    pub row: u32,
    pub columns: u16,
    pub lines: u16,
    /// From one line of cells to the next one, in rows of weights.
    pub row_step: u32,
}

impl Touch {
    pub fn cells(self) -> usize {
        self.columns as usize * self.lines as usize
    }
}

/// A layer whose events reach few neurons each.
#[derive(Debug)]
pub(super) struct SingleLayer {
    pub inputs: Vec<SingleInput>,
    pub maps: usize,
    pub neurons: usize,
    /// The most neurons that an event reaches.
    pub most: usize,
    /// No weight is larger, nor its negative.
    pub largest: i64,
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
    Lines(Lines),
}

/// Lines of neurons next to each other.
#[derive(Debug)]
pub(super) struct Lines {
    /// By place.
    pub touches: Touches,
    pub weights: Arc<Aligned>,
    /// From one line that an event reaches to the next one.
    pub neuron_step: usize,
}

pub(super) type Touches = Arc<[Touch]>;

/// A layer whose maps read a node each.
#[derive(Debug)]
pub(super) struct PoolingLayer {
    /// By map.
    pub maps: Vec<PooledMap>,
    /// Further sources that maps read, from which no spike may come, as those of resets.
    pub silent: Vec<usize>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct PooledMap {
    /// The node that it reads, if there is one.
    pub node: Option<usize>,
    /// By place: the position of the neuron that an event reaches, or [`NOWHERE`], and the weight.
    pub taps: Arc<[Tap]>,
}

impl PoolingLayer {
    /// Whether the layer can be run in this form; `is_silent` by node.
    pub fn is_alone(&self, is_silent: &[bool]) -> bool {
        self.silent.iter().all(|&node| is_silent[node])
    }
}

impl CellLayer {
    /// Numbers of the vectors in a cell, as a power of two.
    pub(super) fn vectors(&self) -> usize {
        self.lanes.div_ceil(LANES).next_power_of_two()
    }

    /// Cells of some lanes, with rows of as many weights; none is larger than `largest`, nor -2^31, as networks with
    /// such weights are not run layer by layer.
    pub(super) fn new(
        (cells, lanes): (usize, usize),
        is_dense: bool,
        rows: &[i32],
        reads: Vec<CellRead>,
        largest: i64,
    ) -> Option<Self> {
        let shift = lanes.div_ceil(LANES).next_power_of_two().trailing_zeros();
        let weights = WeightRows::new(rows, lanes, largest)?;
        if cells << shift >= 1 << VECTOR_BITS {
            return None;
        }
        let (mut tables, mut touches) = (Vec::new(), Vec::new());
        let mut known: Vec<CellReach> = Vec::new();
        let mut inputs = Vec::new();
        for CellRead { node, reach, first_row } in reads {
            let table = reach.map(|reach| {
                let is_known = |it: &CellReach| Arc::ptr_eq(&it.touches, &reach.touches) && it.lanes == reach.lanes;
                known.iter().position(is_known).unwrap_or_else(|| {
                    let places = touches.len()..touches.len() + reach.touches.len();
                    let most_cells = reach.touches.iter().map(|touch| touch.cells()).max().unwrap_or(0).max(1);
                    let is_row = |(row, touch): (u32, &Touch)| touch.lines > 0 && touch.row == row;
                    let is_row_by_row = (0..).zip(reach.touches.iter()).all(is_row);
                    tables.push(CellTable { places, lanes: reach.lanes, most_cells, is_row_by_row });
                    touches.extend_from_slice(&reach.touches);
                    touches.push(Touch::default());
                    known.push(reach);
                    known.len() - 1
                })
            });
            inputs.push(CellInput { node, table, first_row });
        }
        // Cells next to each other are rows of the same array.
        let mut steps = known.iter().filter(|it| it.touches.iter().any(|it| it.lines > 1)).map(|it| it.cell_step);
        let cell_step = steps.next().unwrap_or(0);
        if steps.any(|step| step != cell_step) || touches.len() >= NOWHERE as usize {
            return None;
        }
        Some(Self {
            inputs,
            tables,
            touches,
            cell_step: cell_step as usize,
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
