//! What single-spike networks can refuse.

use super::{Pair, Shape};

fn at_line(line: Option<usize>) -> String {
    line.map_or(String::new(), |line| format!("line {line}: "))
}

/// Why a filter, a layer, a description or a stimulus was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A size out of its range.
    #[error("{what}: expected 1 to 65535 (2^31 neurons in all), found {found}")]
    Size {
        /// Which size.
        what: &'static str,
        /// Its value.
        found: usize,
    },
    /// Something had the wrong shape.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// What it was.
        what: &'static str,
        /// The shape wanted.
        expected: String,
        /// The shape given.
        found: String,
    },
    /// A window is larger than what it slides over.
    #[error("{what}: a window of {window} does not fit into maps of {height}x{width} with padding {padding}")]
    Window {
        /// Which operation.
        what: &'static str,
        /// The window.
        window: Pair,
        /// Rows of the input.
        height: usize,
        /// Columns of the input.
        width: usize,
        /// Padding on every side.
        padding: Pair,
    },
    /// Kernels of one filter cannot be centred on each other.
    #[error("filter: windows must be all odd or all even to share a centre, found {0} and {1}")]
    MixedWindows(usize, usize),
    /// A number that makes no sense in its place.
    #[error("{what}: expected {expected}, found {found}")]
    Value {
        /// The parameter.
        what: String,
        /// What it may be.
        expected: &'static str,
        /// What it was.
        found: String,
    },
    /// An intensity that is not a number.
    #[error("intensity of map {map}, row {row}, column {column}: expected a finite number, found {found}")]
    NotFinite {
        /// Map.
        map: usize,
        /// Row.
        row: usize,
        /// Column.
        column: usize,
        /// NaN or an infinity.
        found: f32,
    },
    /// Too few intensities to fill every bin.
    #[error("intensity to latency: expected at least one non-zero intensity for each of {bins} bins, found {nonzero}")]
    TooFewIntensities {
        /// Number of time bins.
        bins: u32,
        /// Number of non-zero intensities.
        nonzero: usize,
    },
    /// A tensor in which a neuron falls silent again.
    #[error("spike wave: map {map}, row {row}, column {column} is active in a bin but not in the next one")]
    NotCumulative {
        /// Map.
        map: usize,
        /// Row.
        row: usize,
        /// Column.
        column: usize,
    },
    /// An image of a set that cannot be encoded.
    #[error("image {number}: {source}")]
    Image {
        /// Its number, from 0.
        number: usize,
        /// Why.
        source: Box<Error>,
    },
    /// A winner outside the layer.
    #[error("winner (map {map}, row {row}, column {column}) is outside a layer of {shape}")]
    Winner {
        /// Map.
        map: usize,
        /// Row.
        row: usize,
        /// Column.
        column: usize,
        /// The layer.
        shape: Shape,
    },
    /// A description that is no TOML: the message names line and column.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A description that reads but makes no network.
    #[error("{}{place}: {message}", at_line(*line))]
    Description {
        /// Its line in the text, from 1, where there is a text.
        line: Option<usize>,
        /// Which table.
        place: String,
        /// What is wrong with it.
        message: String,
    },
    /// A trained model or checkpoint that does not hold what it should.
    #[error("{what}: {message}")]
    Model {
        /// Which entry.
        what: String,
        /// What is wrong with it.
        message: String,
    },
}
