//! Pictures of results and the page that holds them: one HTML file that needs nothing else, each picture also as SVG
//! and its numbers as CSV.
//!
//! Pictures tell their parts by dashes, marks and lightness as well as by colour, so that they can be read in black and
//! white and with any colour vision. Large networks are binned, so that the page opens.

pub mod chart;
pub mod classification;
pub mod comparison;
pub mod history;
pub mod latency;
pub mod layer_potentials;
pub mod learning;
mod page;
mod picture;
pub mod samples;
pub mod sweep;

pub use page::{Choice, Page, Section};
pub use picture::{Picture, Table};
pub use samples::class_name;

/// Why a picture could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The drawing failed.
    #[error("picture '{picture}': {message}")]
    Drawing {
        /// Its title.
        picture: String,
        /// What happened.
        message: String,
    },
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] megasim_core::atomic_write::Error),
}
