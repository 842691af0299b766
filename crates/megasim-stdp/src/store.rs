//! A trained network, or one half-way through training, as an `.npz` archive that Python can open.
//!
//! Arrays: `description` (the TOML text, bytes), `progress` (JSON, bytes), `kind` (the kind of weights, bytes),
//! `layer_N` for each layer with weights (map, input map, row, column; N counts from 1), and with a linear read-out
//! `coefficients` (class, feature) and `intercepts`. The same network gives the same bytes.

use super::{Description, Error, Fixed, LinearClassifier, Progress, SpikingNetwork, Weight};
use megasim_data::npy::{NpzError, NpzReader, NpzWriter};
use ndarray::{Array1, Array2, Array4, ArrayD};
use std::io::{self, Cursor, Read, Seek, Write};

/// A network with weights of either kind.
#[derive(Debug, Clone)]
pub enum AnyNetwork {
    /// Floating point, SpykeTorch's kind.
    Float(SpikingNetwork<f32>),
    /// Fixed point.
    Fixed(SpikingNetwork<Fixed>),
}

/// What a file of a single-spike network holds.
#[derive(Debug, Clone)]
pub struct Model {
    /// The network.
    pub network: AnyNetwork,
    /// How it was trained, and how far.
    pub progress: Progress,
    /// The linear read-out, once it is trained.
    pub classifier: Option<LinearClassifier>,
}

impl AnyNetwork {
    /// What the network was made from.
    pub fn description(&self) -> &Description {
        match self {
            Self::Float(network) => network.description(),
            Self::Fixed(network) => network.description(),
        }
    }
}

/// Runs a body with the network of whichever kind.
#[macro_export]
#[doc(hidden)]
macro_rules! with_spiking_network {
    ($any:expr, $network:ident => $body:expr) => {
        match $any {
            $crate::AnyNetwork::Float($network) => $body,
            $crate::AnyNetwork::Fixed($network) => $body,
        }
    };
}

impl Model {
    /// Writes the archive.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn write(&self, writer: &mut dyn Write) -> io::Result<()> {
        let classifier = self.classifier.as_ref();
        with_spiking_network!(&self.network, network => write(writer, network, &self.progress, classifier))
    }

    /// Reads an archive whole and checks it against its own description.
    ///
    /// # Errors
    /// [`Error::Model`] for a damaged archive, missing or wrong arrays; what the description's making reports.
    pub fn read(source: impl Read + Seek) -> Result<Self, Error> {
        let mut entries = Entries::open(source)?;
        let text = |entries: &mut Entries<_>, name: &str| {
            let bytes: Vec<u8> = entries.array(name, 1)?.iter().map(|&byte| byte as u8).collect();
            String::from_utf8(bytes).map_err(|_| wrong(name, "expected text, found other bytes"))
        };
        let description = Description::from_toml(&text(&mut entries, "description")?)?;
        let progress: Progress = serde_json::from_str(&text(&mut entries, "progress")?)
            .map_err(|error| wrong("progress", error.to_string()))?;
        let kind = text(&mut entries, "kind")?;
        let network = if kind == f32::NAME {
            AnyNetwork::Float(read_weights(&mut entries, &description)?)
        } else if kind == Fixed::NAME {
            AnyNetwork::Fixed(read_weights(&mut entries, &description)?)
        } else {
            return Err(wrong("kind", format!("expected {} or {}, found {kind:?}", f32::NAME, Fixed::NAME)));
        };
        let classifier = if entries.0.has("coefficients") {
            let shape = |error: ndarray::ShapeError| wrong("coefficients", error.to_string());
            let coefficients: Array2<f32> = entries.array("coefficients", 2)?.into_dimensionality().map_err(shape)?;
            let intercepts: Array1<f32> = entries.array("intercepts", 1)?.into_dimensionality().map_err(shape)?;
            let features = description.shapes()?.last().map_or(0, |shape| shape.len());
            if coefficients.ncols() != features {
                let found = coefficients.ncols();
                return Err(wrong("coefficients", format!("expected {features} features, found {found}")));
            }
            Some(LinearClassifier::new(coefficients, intercepts)?)
        } else {
            None
        };
        progress.check(&description).map_err(|message| wrong("progress", message))?;
        entries.expect_known(&description)?;
        Ok(Self { network, progress, classifier })
    }
}

/// Writes a network on its way, without copying it.
pub(super) fn write<W: Weight>(
    writer: &mut dyn Write,
    network: &SpikingNetwork<W>,
    progress: &Progress,
    classifier: Option<&LinearClassifier>,
) -> io::Result<()> {
    // By way of a table: `toml::to_string` is compiled six times for each type.
    let description = toml::Table::try_from(network.description()).map_err(io::Error::other)?.to_string();
    let progress = serde_json::to_string(progress).map_err(io::Error::other)?;
    let mut bytes = Cursor::new(Vec::new());
    let mut npz = NpzWriter::new(&mut bytes);
    let mut add = |name: &str, array: ArrayD<f32>| npz.add(name, &array);
    for number in 0..network.len() {
        if let Some(layer) = network.convolution(number) {
            add(&format!("layer_{}", number + 1), layer.weights().mapv(|weight| weight.to_real() as f32).into_dyn())?;
        }
    }
    if let Some(classifier) = classifier {
        add("coefficients", classifier.coefficients().clone().into_dyn())?;
        add("intercepts", classifier.intercepts().clone().into_dyn())?;
    }
    for (name, text) in [("description", description.as_str()), ("progress", &progress), ("kind", W::NAME)] {
        npz.add(name, &Array1::from(text.as_bytes().to_vec()))?;
    }
    npz.finish()?;
    writer.write_all(&bytes.into_inner())
}

fn wrong(what: &str, message: impl Into<String>) -> Error {
    Error::Model { what: what.into(), message: message.into() }
}

fn read_weights<W: Weight>(
    entries: &mut Entries<impl Read + Seek>,
    description: &Description,
) -> Result<SpikingNetwork<W>, Error> {
    let mut network = SpikingNetwork::new(description, 0)?;
    for number in 0..network.len() {
        if network.convolution(number).is_some() {
            let name = format!("layer_{}", number + 1);
            let weights: Array4<f32> =
                entries.array(&name, 4)?.into_dimensionality().map_err(|error| wrong(&name, error.to_string()))?;
            let weights = weights.mapv(|weight| W::from_real(weight.into()));
            network.set_weights(number, weights.view()).map_err(|error| wrong(&name, error.to_string()))?;
        }
    }
    Ok(network)
}

struct Entries<R>(NpzReader<R>);

impl<R: Read + Seek> Entries<R> {
    fn open(source: R) -> Result<Self, Error> {
        Ok(Self(NpzReader::new(source).map_err(|error| wrong("single-spike model", error.to_string()))?))
    }
    /// Refuses arrays that no model has.
    fn expect_known(&self, description: &Description) -> Result<(), Error> {
        let is_layer = |name: &str| {
            let number = name.strip_prefix("layer_").and_then(|number| number.parse::<usize>().ok());
            number.is_some_and(|number| (1..=description.layers.len()).contains(&number))
        };
        let known = ["description", "progress", "kind", "coefficients", "intercepts"];
        let is_known = |name: &str| self.0.has(name) && (known.contains(&name) || is_layer(name));
        match self.0.names().find(|name| !is_known(name)) {
            Some(name) => Err(wrong(name, "expected arrays of a single-spike model only, found this one too")),
            None => Ok(()),
        }
    }
    /// An array of any kind of number, with this many axes.
    fn array(&mut self, name: &str, axes: usize) -> Result<ArrayD<f32>, Error> {
        let array = self.0.array(name).map_err(|error| match error {
            NpzError::Missing(error) => {
                wrong(name, format!("expected an array of a single-spike model, found: {error}"))
            }
            error => wrong(name, error.to_string()),
        })?;
        if array.ndim() != axes {
            return Err(wrong(name, format!("expected {axes} axes, found shape {:?}", array.shape())));
        }
        Ok(array)
    }
}
