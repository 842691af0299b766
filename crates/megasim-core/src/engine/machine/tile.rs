//! Places on a mesh.

/// A tile of a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    /// Column, from west to east.
    pub x: u32,
    /// Row, from north to south.
    pub y: u32,
}
