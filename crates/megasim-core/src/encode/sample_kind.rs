//! What samples are, and why they do not go into a network.

use crate::network::NetworkError;

/// What the numbers of a sample are. It is always stated, and never concluded from how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleKind {
    /// One number for each address of the input.
    Still,
    /// One or more frames, one after the other, each of one number for each address of the input.
    Frames,
}

impl SampleKind {
    /// Whether a sample of `found` numbers fits an input of `expected` addresses.
    ///
    /// ```
    /// use megasim_core::encode::SampleKind;
    /// assert!(SampleKind::Still.check(4, 4).is_ok());
    /// assert!(SampleKind::Still.check(4, 5).is_err());
    /// assert!(SampleKind::Still.check(4, 8).is_err());
    /// assert!(SampleKind::Frames.check(4, 8).is_ok());
    /// assert!(SampleKind::Frames.check(4, 5).is_err());
    /// ```
    ///
    /// # Errors
    /// [`Error::Numbers`].
    pub fn check(self, expected: usize, found: usize) -> Result<(), Error> {
        let fits = match self {
            Self::Still => found == expected,
            Self::Frames => expected > 0 && found > 0 && found.is_multiple_of(expected),
        };
        if fits { Ok(()) } else { Err(Error::Numbers { kind: self, expected, found }) }
    }
}

/// A layout that does not fit its network, or a sample that does not fit the layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A node that no source drives.
    #[error("expected a source that drives node {{{0}}}, found none")]
    NotASource(String),
    /// A node that nothing drives.
    #[error("expected a node {{{0}}}, found none")]
    Missing(String),
    /// A scale that samples cannot be divided by.
    #[error("expected a number above 0 as the scale of the input, found {0}")]
    InputScale(String),
    /// A current that cannot be put into the network.
    #[error("currents into {{{module}}}: {reason}")]
    Current {
        /// A node that the module drives.
        module: String,
        /// What was expected and found.
        reason: String,
    },
    /// A network that breaks a rule of the format.
    #[error(transparent)]
    Network(NetworkError),
    /// A sample of another size.
    #[error("expected {}{expected} numbers per sample, as the network has inputs, found {found}{}", match kind {
        SampleKind::Still => "",
        SampleKind::Frames => "whole frames of ",
    }, match kind {
        SampleKind::Still if *expected > 0 && found.is_multiple_of(*expected) =>
            "; sequences of frames are declared as such (SampleKind::Frames)",
        _ => "",
    })]
    Numbers {
        /// What the sample was declared to be.
        kind: SampleKind,
        /// Addresses of the input.
        expected: usize,
        /// Numbers of the sample.
        found: usize,
    },
    /// Sizes that do not go together.
    #[error("expected {nodes} input nodes for an input of shape {shape:?}")]
    Shape {
        /// Nodes given.
        nodes: usize,
        /// Shape given.
        shape: Vec<usize>,
    },
}
