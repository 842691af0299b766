//! Other forms of a converted network, for other simulators: one file of code per form, one line each in `TARGETS`.

pub mod connections;
#[cfg(any(feature = "keras", feature = "nir"))]
mod hdf5;
#[cfg(feature = "keras")]
mod keras;
#[cfg(feature = "nir")]
mod nir;
pub mod script;
#[cfg(feature = "nir")]
mod spike_trains;

#[cfg(feature = "nir")]
pub use spike_trains::spike_trains;

use super::normalize::Normalized;
use super::quantize::Quantization;
use std::path::Path;

/// How a form is written where it leaves a choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExportOptions {
    /// Of NIR: the library that is to read the file, which then has what that library reads as it is meant.
    pub importer: Option<Importer>,
    /// Of NIR: how averages are written; none: as the library reads them, else as sums.
    pub pool: Option<PoolAs>,
}

/// A library that reads NIR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importer {
    /// snnTorch 1.0.
    SnnTorch,
    /// sinabs 3.1.
    Sinabs,
    /// Norse 1.1.
    Norse,
    /// Lava, by lava-dl's reader.
    Lava,
}

/// How an average is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolAs {
    /// A sum, before neurons whose threshold is the area of the window.
    Sum,
    /// An average.
    Average,
}

/// A file, and what it does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The content of the file.
    pub bytes: Vec<u8>,
    /// What is only close to the network.
    pub warnings: Vec<String>,
}

/// A form for another simulator.
pub trait Target: Sync {
    /// Its name, for messages.
    fn name(&self) -> &'static str;

    /// The ending of its files.
    fn ending(&self) -> &'static str;

    /// Whether the form has spiking neurons; else it is the analog network.
    fn has_neurons(&self) -> bool {
        true
    }

    /// The network in this form, real numbers: what goes into the file.
    ///
    /// # Errors
    /// The first layer that the form cannot say.
    fn build(
        &self,
        network: &Normalized,
        quantization: &Quantization,
        options: &ExportOptions,
    ) -> Result<Exported, Error>;
}

/// Why a network has no such form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A layer that it cannot say.
    #[error("{target}: layer '{layer}': {reason}")]
    Unsupported {
        /// Name of the form.
        target: &'static str,
        /// The layer in the netfiles.
        layer: String,
        /// What is missing.
        reason: String,
    },
    /// The file could not be made.
    #[error("{target}: {message}")]
    Failed {
        /// Name of the form.
        target: &'static str,
        /// What the writer said.
        message: String,
    },
}

/// All of them.
pub const TARGETS: &[&dyn Target] = &[
    #[cfg(feature = "nir")]
    &nir::Nir,
    #[cfg(feature = "keras")]
    &keras::Keras,
];

/// The one whose files end as this one does.
///
/// ```
/// use megasim_convert::export::target_of;
/// assert_eq!(target_of("net.nir".as_ref()).map(|target| target.name()), Some("NIR"));
/// assert!(target_of("net.txt".as_ref()).is_none());
/// ```
pub fn target_of(path: &Path) -> Option<&'static dyn Target> {
    let ending = path.extension()?;
    TARGETS.iter().copied().find(|target| ending.eq_ignore_ascii_case(target.ending()))
}
