//! Where a spiking network comes from.

use megasim_ann::import::{Model, Source};

/// What a spiking network was made of.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Origin {
    /// A trained network, which was converted.
    Trained(Box<Model>),
    /// A file that holds a spiking network already; there is no analog network to compare it with.
    Spiking(Source),
}

impl Origin {
    /// The file.
    pub fn source(&self) -> &Source {
        match self {
            Self::Trained(model) => &model.source,
            Self::Spiking(source) => source,
        }
    }
}
