//! What studies look at: a netfile directory that `convert` wrote, with the trained network it came from and its test data.

use super::diagnostic::{self, report};
use megasim::ann::import::Model;
use megasim::ann::{forward, import};
use megasim::convert::{Manifest, manifest};
use megasim::dataset::{Dataset, Format, Samples};
use megasim::encode::{Clock, Code, Layout};
use megasim::netfile;
use megasim::network::{Driver, Network, NodeId};
use megasim::readout::ReadOut;
use megasim::study::classification::Setup;
use miette::Result;
use std::path::Path;

/// A converted network, ready to be shown samples.
#[derive(Debug)]
pub struct Subject {
    /// Where it came from.
    pub manifest: Manifest,
    /// The spiking network.
    pub network: Network,
    /// The network as it was trained.
    pub model: Model,
    /// Where the numbers of a sample go.
    pub layout: Layout,
    /// The node that decides.
    pub output: NodeId,
}

/// Test samples and what the trained network says of them.
#[derive(Debug)]
pub struct Trial {
    /// The samples.
    pub samples: Samples,
    /// The analog network's class of each.
    pub analog: Vec<usize>,
}

impl Subject {
    /// Reads a directory that `convert` wrote, checks that its copy of the trained network is the one that was converted, and says
    /// on stderr what the netfiles warn of.
    ///
    /// # Errors
    /// If a file cannot be read, or does not belong to the others.
    pub fn open(netdir: &Path) -> Result<Self> {
        let manifest = Manifest::read(netdir).map_err(report)?;
        let netfiles = netfile::read(&netdir.join("megasim.sch")).map_err(|error| diagnostic::netfile(&error))?;
        for warning in &netfiles.warnings {
            eprintln!("warning: {warning}");
        }
        let network = netfiles.network;
        let copy = netdir.join(&manifest.model.copy);
        let model = import::read(&copy).map_err(report)?;
        if model.source.sha256 != manifest.model.sha256 {
            miette::bail!(
                "{}: expected the model that was converted (SHA-256 {}), found another ({})",
                copy.display(),
                manifest.model.sha256,
                model.source.sha256
            );
        }
        if manifest.output.classes != model.classes() {
            miette::bail!(
                "{}: expected {} classes, as the model has, found {}",
                netdir.join(manifest::FILE_NAME).display(),
                model.classes(),
                manifest.output.classes
            );
        }
        let layout = manifest.layout(&network).map_err(report)?;
        let output = manifest.output(&network).map_err(report)?;
        Ok(Self { manifest, network, model, layout, output })
    }

    /// `THplus` of the output, in scaled integers.
    pub fn output_threshold(&self) -> i32 {
        let Driver::Module(module) = self.network.nodes()[self.output.index()].driver else { return 1 };
        self.network.modules()[module.index()].kind.neurons().map_or(1, |(_, neurons, _)| neurons.threshold_plus)
    }

    /// Test samples, and what the trained network says of them.
    ///
    /// # Errors
    /// If the data do not fit the network.
    pub fn trial(&self, data: &Dataset, skip: usize, samples: Option<usize>) -> Result<Trial> {
        let format = Format { shape: self.model.input_shape(), classes: self.model.classes() };
        let samples = data.test(&format, skip, samples).map_err(report)?;
        warn_of_values(&samples.x, "test samples");
        let outputs = forward::forward(&self.model.graph, samples.x.view()).map_err(report)?;
        let analog = forward::classes(outputs.view());
        Ok(Trial { samples, analog })
    }

    /// What a study of this network needs.
    pub fn setup<'a>(&'a self, code: &'a dyn Code, clock: Clock) -> Setup<'a> {
        Setup {
            network: &self.network,
            layout: &self.layout,
            output: self.output,
            classes: self.manifest.output.classes,
            code,
            clock,
            read_out: ReadOut::default(),
        }
    }
}

/// Says where values are beyond what an input can fire.
pub fn warn_of_values(values: &ndarray::Array2<f32>, what: &str) {
    let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    if largest > 1.0 {
        eprintln!(
            "warning: the {what} hold values up to {largest}; an input fires at most once a millisecond, so as spikes what is beyond 1 is cut off"
        );
    }
}
