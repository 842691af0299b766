//! Sizes: of a stack of feature maps, and of windows given as one number or a pair.

use super::Error;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Size of a stack of maps, axis order (maps, height, width). Every size is at least 1 and at most 65,535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    maps: u16,
    height: u16,
    width: u16,
}

impl Shape {
    /// # Errors
    /// [`Error::Size`] if a size is 0 or above 65,535, or all three together exceed 2^31 neurons.
    pub fn new(maps: usize, height: usize, width: usize) -> Result<Self, Error> {
        let size = |name, value: usize| {
            u16::try_from(value).ok().filter(|&value| value > 0).ok_or(Error::Size { what: name, found: value })
        };
        let shape = Self { maps: size("maps", maps)?, height: size("height", height)?, width: size("width", width)? };
        if maps * height * width > 1 << 31 {
            return Err(Error::Size { what: "neurons", found: maps * height * width });
        }
        Ok(shape)
    }
    /// Number of maps (channels).
    pub fn maps(self) -> usize {
        self.maps.into()
    }
    /// Rows.
    pub fn height(self) -> usize {
        self.height.into()
    }
    /// Columns.
    pub fn width(self) -> usize {
        self.width.into()
    }
    /// Number of neurons.
    pub fn len(self) -> usize {
        self.maps() * self.height() * self.width()
    }
    /// Never: a shape has at least one neuron.
    pub fn is_empty(self) -> bool {
        false
    }
    /// Number of positions (y, x).
    pub fn positions(self) -> usize {
        self.height() * self.width()
    }
    /// The axes (maps, height, width).
    pub fn dim(self) -> (usize, usize, usize) {
        (self.maps(), self.height(), self.width())
    }
    /// Flat index with maps innermost: `(y * width + x) * maps + map`.
    pub(crate) fn index(self, map: usize, y: usize, x: usize) -> usize {
        (y * self.width() + x) * self.maps() + map
    }
    pub(crate) fn position(self, y: usize, x: usize) -> usize {
        y * self.width() + x
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}x{}x{}", self.maps, self.height, self.width)
    }
}

/// A size per axis (rows, columns), given as one number for both or as two: SpykeTorch's `to_pair`.
///
/// ```
/// use megasim_stdp::Pair;
/// assert_eq!(Pair::from(5), Pair::from((5, 5)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "OneOrTwo", into = "OneOrTwo")]
pub struct Pair {
    /// Along the rows (y).
    pub rows: usize,
    /// Along the columns (x).
    pub columns: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrTwo {
    One(usize),
    Two([usize; 2]),
}

impl From<OneOrTwo> for Pair {
    fn from(value: OneOrTwo) -> Self {
        match value {
            OneOrTwo::One(both) => both.into(),
            OneOrTwo::Two([rows, columns]) => (rows, columns).into(),
        }
    }
}

impl From<Pair> for OneOrTwo {
    fn from(pair: Pair) -> Self {
        if pair.rows == pair.columns { Self::One(pair.rows) } else { Self::Two([pair.rows, pair.columns]) }
    }
}

impl From<usize> for Pair {
    fn from(both: usize) -> Self {
        Self { rows: both, columns: both }
    }
}

impl From<(usize, usize)> for Pair {
    fn from((rows, columns): (usize, usize)) -> Self {
        Self { rows, columns }
    }
}

impl std::fmt::Display for Pair {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}x{}", self.rows, self.columns)
    }
}

/// How a window slides: number of its places along one axis.
pub(crate) fn places(size: usize, window: usize, stride: usize, padding: usize) -> Option<usize> {
    (size.checked_add(padding.checked_mul(2)?)?).checked_sub(window).map(|room| room / stride + 1)
}

/// The places of a window along one axis that cover (padded) coordinate `at`.
pub(super) fn reached(at: usize, kernel: usize, stride: usize, places: usize) -> Range<usize> {
    let first = (at + 1).saturating_sub(kernel).div_ceil(stride);
    let end = (at / stride + 1).min(places);
    first.min(end)..end
}
