//! A mesh of tiles: the tiles of modules, and which links a message takes.

use super::arbiter::Arbiter;
use super::error::MachineError;
use super::split::Split;
use super::tile::Tile;
use crate::network::{ModuleId, Network, NodeId, SourceId, Tick};
use std::collections::BTreeMap;

/// Modules and sources on tiles, and how long links take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mesh {
    /// Tiles from west to east.
    pub columns: u32,
    /// Tiles from north to south.
    pub rows: u32,
    /// How long a link to the next column carries a message, in ticks.
    pub time_east_west: Tick,
    /// How long a link to the next row carries one, in ticks.
    pub time_north_south: Tick,
    /// Who acknowledges.
    pub acknowledge: Acknowledge,
    /// Which message a link carries next of those that wait: its inputs are the links into its tile, from west, east,
    /// south and north, and the modules of the tile.
    pub arbiter: Arbiter,
    /// The tile of each module, by [`ModuleId`].
    pub modules: Vec<Tile>,
    /// The tile of each source, by [`SourceId`].
    pub sources: Vec<Tile>,
}

/// Who acknowledges an event on a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acknowledge {
    /// The module that accepted it.
    #[default]
    Receiver,
    /// The mesh, when the message has passed its first link: events are posted.
    Network,
}

/// Which way a link leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // the four directions
pub enum Direction {
    East,
    West,
    North,
    South,
}

/// The link from a tile to its neighbour, as a dense index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LinkIndex(pub u32);

impl LinkIndex {
    /// Whether it goes along a row.
    pub fn is_east_west(self) -> bool {
        Direction::ALL[self.0 as usize % 4].is_east_west()
    }
}

impl Direction {
    const ALL: [Self; 4] = [Self::East, Self::West, Self::North, Self::South];

    /// Whether it goes along a row.
    pub fn is_east_west(self) -> bool {
        matches!(self, Self::East | Self::West)
    }
}

impl Mesh {
    /// Modules in netlist order on the tiles row by row, every second row backwards, `per_tile` on each; none if they
    /// do not all fit. `taken` is the number of modules already on a tile, by `(x, y)`.
    pub fn snake(
        columns: u32,
        rows: u32,
        per_tile: u32,
        taken: impl Fn(Tile) -> u32,
        modules: usize,
    ) -> Option<Vec<Tile>> {
        let tiles = (0..rows)
            .flat_map(move |y| (0..columns).map(move |k| Tile { x: if y % 2 == 0 { k } else { columns - 1 - k }, y }));
        let places = tiles.flat_map(|tile| (0..per_tile.saturating_sub(taken(tile))).map(move |_| tile));
        let placed: Vec<Tile> = places.take(modules).collect();
        (placed.len() == modules).then_some(placed)
    }

    /// Links of the way from one tile to another: along x, then along y.
    pub(super) fn route(&self, from: Tile, to: Tile) -> Vec<LinkIndex> {
        let mut at = from;
        let mut links = Vec::new();
        while at != to {
            let direction = match (at.x.cmp(&to.x), at.y.cmp(&to.y)) {
                (std::cmp::Ordering::Less, _) => Direction::East,
                (std::cmp::Ordering::Greater, _) => Direction::West,
                (_, std::cmp::Ordering::Greater) => Direction::North,
                _ => Direction::South,
            };
            links.push(LinkIndex((at.y * self.columns + at.x) * 4 + direction as u32));
            match direction {
                Direction::East => at.x += 1,
                Direction::West => at.x -= 1,
                Direction::North => at.y -= 1,
                Direction::South => at.y += 1,
            }
        }
        links
    }

    /// How many link indices there are.
    pub fn links(&self) -> usize {
        self.columns as usize * self.rows as usize * 4
    }

    /// The tile a link starts from, and where it leads.
    pub fn link(&self, index: usize) -> (Tile, Direction) {
        let tile = (index / 4) as u32;
        (Tile { x: tile % self.columns, y: tile / self.columns }, Direction::ALL[index % 4])
    }

    /// Inputs of a link.
    pub(super) const INPUTS: u32 = 5;

    /// The input by which a message comes to its first link: its tile.
    pub(super) const TILE: u32 = Self::INPUTS - 1;

    /// The input by which a message comes to a link from the one before: the direction of that.
    pub(super) fn input(before: LinkIndex) -> u32 {
        before.0 % 4
    }

    /// How long a link carries one message, in ticks.
    pub(super) fn time(&self, link: LinkIndex) -> Tick {
        match link.is_east_west() {
            true => self.time_east_west,
            false => self.time_north_south,
        }
    }

    pub(super) fn check(&self, network: &Network, splits: &BTreeMap<ModuleId, Split>) -> Result<(), MachineError> {
        let named = |module: ModuleId| {
            let node = network.outputs(module).first();
            node.map_or_else(|| format!("module {}", module.index()), |&node| name(network, node))
        };
        let modules = (0..self.modules.len()).map(ModuleId::new).map(|module| (self.modules[module.index()], module));
        let parts = splits.iter().flat_map(|(&module, split)| split.tiles.iter().map(move |&tile| (tile, module)));
        let modules = modules.chain(parts).map(|(tile, module)| (tile, named(module)));
        let sources = (0..self.sources.len())
            .map(|k| (self.sources[k], name(network, network.sources()[SourceId::new(k).index()])));
        for (Tile { x, y }, who) in modules.chain(sources) {
            if x >= self.columns || y >= self.rows {
                return Err(MachineError::OutsideMesh { who, x, y, columns: self.columns, rows: self.rows });
            }
        }
        Ok(())
    }
}

fn name(network: &Network, node: NodeId) -> String {
    format!("{{{}}}", network.nodes()[node.index()].name)
}
