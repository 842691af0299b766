//! Other forms in which a converted network leaves the house, for other simulators: one file a form, one line each in
//! `TARGETS`.

#[cfg(feature = "nir")]
mod nir;

use super::normalize::Normalized;
use super::quantize::Quantization;
use std::path::Path;

/// A form for another simulator.
pub trait Target: Sync {
    /// Its name, for messages.
    fn name(&self) -> &'static str;

    /// The ending of its files.
    fn ending(&self) -> &'static str;

    /// The network in this form, real numbers: what goes into the file.
    ///
    /// # Errors
    /// The first layer that the form cannot say.
    fn build(&self, network: &Normalized, quantization: &Quantization) -> Result<Vec<u8>, Error>;
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
