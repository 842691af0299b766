//! Spiking networks in NIR, the neuromorphic intermediate representation: the file as it is, as a graph of primitives.
//!
//! J. E. Pedersen et al., "Neuromorphic intermediate representation: a unified instruction set for interoperable
//! brain-inspired computing", Nature Communications 15:8122 (2024). Subgraphs are dissolved: node `x` of subgraph `s`
//! is `s.x`, and the inputs and outputs of a subgraph pass on what they get.

mod data;
mod fields;

pub use data::{INPUT, Spike, SpikeTrains};

use crate::graph::MAX_LAYERS;
use crate::import::hdf5::{self, File};
use crate::import::{Error, ImportError, ReadLayer, Refusal, Source, sha256};
use fields::Fields;
use ndarray::{Array1, Array2, Array4, ArrayD};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// Subgraphs within subgraphs from which a file is taken to lead in circles.
const MOST_NESTED: usize = 16;

/// A file of NIR.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Nir {
    /// Nodes and edges.
    pub graph: NirGraph,
    /// What the file says of itself, as text.
    pub metadata: BTreeMap<String, String>,
    /// Where it comes from; its version is that of the format.
    pub source: Source,
}

/// A network without subgraphs.
#[derive(Debug, Clone, PartialEq)]
pub struct NirGraph {
    /// The nodes in the order of their names.
    pub nodes: Vec<NirNode>,
    /// Pairs of numbers of nodes, each once; several edges into a node add up.
    pub edges: Vec<(usize, usize)>,
}

/// A node.
#[derive(Debug, Clone, PartialEq)]
pub struct NirNode {
    /// Its name, behind those of the subgraphs that it is in.
    pub name: String,
    /// Its type in the file.
    pub kind: String,
    /// What it computes.
    pub primitive: Primitive,
}

/// What nodes compute. Shapes have no batch axis; arrays of parameters have the shape of the node's output or hold one
/// number for all.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Primitive {
    /// The input of the network, of this shape.
    Input(Vec<usize>),
    /// The output of the network, of this shape.
    Output(Vec<usize>),
    /// Input or output of a subgraph: the sum of what it gets.
    Pass,
    /// `Affine`, `Linear`: weights `(out, in)`.
    Linear {
        /// The weights.
        weight: Array2<f64>,
        /// One number per output.
        bias: Option<Array1<f64>>,
    },
    /// `Conv1d`, `Conv2d`: cross-correlation. Of `Conv1d`, the first of each pair is that of one row.
    Convolution(Convolution),
    /// `SumPool2d`, `AvgPool2d`; pairs are `(vertical, horizontal)`.
    Pool {
        /// Whether the sum is divided by the area of the window.
        average: bool,
        /// Rows and columns of a window.
        size: (usize, usize),
        /// Steps of the window.
        stride: (usize, usize),
        /// Zeros around the input.
        padding: (usize, usize),
    },
    /// `Flatten`: axes from `start` to `end`, counted from the end where negative.
    Flatten {
        /// The first.
        start: i64,
        /// The last.
        end: i64,
    },
    /// `IF`, `LIF`, `CubaLIF`, and `I`, `LI`, `CubaLI`, which do not spike.
    Neurons(Box<Neurons>),
    /// `Scale`: a product.
    Scale(ArrayD<f64>),
    /// `Threshold`: 1 where the input is above it, else 0.
    Threshold(ArrayD<f64>),
    /// `Delay`: in the unit of time of the file.
    Delay(ArrayD<f64>),
}

impl Primitive {
    /// Numbers that the node holds.
    pub fn parameters(&self) -> usize {
        match self {
            Self::Linear { weight, bias } => weight.len() + bias.as_ref().map_or(0, |bias| bias.len()),
            Self::Convolution(of) => of.weight.len() + of.bias.as_ref().map_or(0, |bias| bias.len()),
            Self::Neurons(of) => {
                let Neurons { r, leak, synapse, spikes, .. } = &**of;
                let pairs = [leak, synapse].into_iter().flatten().map(|(a, b)| a.len() + b.len()).sum::<usize>();
                let spikes = spikes
                    .as_ref()
                    .map_or(0, |(threshold, reset)| threshold.len() + reset.as_ref().map_or(0, |reset| reset.len()));
                r.len() + pairs + spikes
            }
            Self::Scale(of) | Self::Threshold(of) | Self::Delay(of) => of.len(),
            Self::Input(_) | Self::Output(_) | Self::Pass | Self::Pool { .. } | Self::Flatten { .. } => 0,
        }
    }
}

/// A convolution; pairs are `(vertical, horizontal)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Convolution {
    /// Axes in space: 1 or 2.
    pub axes: usize,
    /// Kernels `(out, in / groups, height, width)`; of one axis, the height is 1.
    pub weight: Array4<f64>,
    /// One number per output channel.
    pub bias: Option<Array1<f64>>,
    /// Steps of the kernel.
    pub stride: (usize, usize),
    /// Zeros around the input; none: as many as keep its size.
    pub padding: Option<(usize, usize)>,
    /// Distance between the taps.
    pub dilation: (usize, usize),
    /// Groups of channels.
    pub groups: usize,
    /// Sizes of the input without channels, where the file has them.
    pub input: Option<Vec<usize>>,
}

/// Neurons: `tau_syn dI/dt = -I + w_in S` (or `I = S` without a synapse), `tau dv/dt = v_leak - v + r I` (or
/// `dv/dt = r I` without a leak).
#[derive(Debug, Clone, PartialEq)]
pub struct Neurons {
    /// `r`.
    pub r: ArrayD<f64>,
    /// `tau` and `v_leak`.
    pub leak: Option<(ArrayD<f64>, ArrayD<f64>)>,
    /// `tau_syn` and `w_in`.
    pub synapse: Option<(ArrayD<f64>, ArrayD<f64>)>,
    /// `v_threshold`, and `v_reset`, which old files do not have.
    pub spikes: Option<(ArrayD<f64>, Option<ArrayD<f64>>)>,
}

/// Whether a file is of this kind: HDF5 with a group `node`, or named so.
pub fn is_nir(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("nir"))
}

impl Nir {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, or holds nodes of types that are not known: all of these at once.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let failed = |problem| Error { path: path.into(), problem };
        let bytes = std::fs::read(path).map_err(|source| failed(source.into()))?;
        let sha256 = sha256(&bytes);
        let (graph, metadata, version) = parse(bytes.into()).map_err(failed)?;
        let source = Source {
            path: path.into(),
            companions: Vec::new(),
            sha256,
            input_shape: None,
            library: "nir".into(),
            version,
        };
        Ok(Self { graph, metadata, source })
    }

    /// Reads a file that is in memory.
    ///
    /// # Errors
    /// As [`Nir::open`].
    pub fn parse(bytes: Arc<[u8]>) -> Result<NirGraph, ImportError> {
        parse(bytes).map(|(graph, ..)| graph)
    }
}

type Parsed = (NirGraph, BTreeMap<String, String>, Option<String>);

fn parse(bytes: Arc<[u8]>) -> Result<Parsed, ImportError> {
    if !hdf5::is_hdf5(&bytes) {
        let message = format!("expected an HDF5 file, found {} bytes of something else", bytes.len());
        return Err(ImportError::damaged("NIR", message));
    }
    let file = File::open(bytes, "")?;
    if !file.has_group("node/nodes") {
        return Err(ImportError::damaged("NIR", "expected a group 'node/nodes', found none"));
    }
    let version = Fields::open(&file, "")?.text("version")?;
    let mut reader =
        Reader { file: &file, graph: NirGraph { nodes: Vec::new(), edges: Vec::new() }, unknown: Vec::new() };
    reader.subgraph("node", "", 0)?;
    let Reader { mut graph, unknown, .. } = reader;
    if !unknown.is_empty() {
        let is_unknown = |node: &str| {
            unknown.iter().any(|problem| matches!(problem, ImportError::Unsupported { layer, .. } if layer == node))
        };
        let layers = graph.nodes.iter().map(|node| {
            let is_refused = is_unknown(&node.name);
            let parameters = (!is_refused).then(|| node.primitive.parameters());
            ReadLayer { name: node.name.clone(), kind: node.kind.clone(), shape: None, parameters, is_refused }
        });
        let layers = layers.collect();
        return Err(ImportError::Refused(Box::new(Refusal { obstacles: unknown, layers, others: None })));
    }
    graph.edges.sort_unstable();
    graph.edges.dedup();
    let metadata = Fields::open(&file, "node/metadata").map(|fields| fields.as_text()).unwrap_or_default();
    Ok((graph, metadata, version))
}

struct Reader<'f> {
    file: &'f File,
    graph: NirGraph,
    /// Nodes that are refused.
    unknown: Vec<ImportError>,
}

/// What edges of a graph may name: where edges to it go, and where edges from it start.
struct Ends {
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

impl Reader<'_> {
    /// Reads the nodes and edges of a graph; `prefix` is before the names of its nodes. Gives its own ends.
    fn subgraph(&mut self, path: &str, prefix: &str, depth: usize) -> Result<Ends, ImportError> {
        if depth > MOST_NESTED {
            let message = format!("expected at most {MOST_NESTED} graphs within each other, found more");
            return Err(ImportError::damaged(format!("HDF5 '{path}'"), message));
        }
        let mut names = self.file.groups(&format!("{path}/nodes"))?;
        names.sort();
        let mut ends: HashMap<String, Ends> = HashMap::new();
        let mut own = Ends { inputs: Vec::new(), outputs: Vec::new() };
        for name in names {
            let (of, full) = (format!("{path}/nodes/{name}"), format!("{prefix}{name}"));
            if self.graph.nodes.len() >= MAX_LAYERS {
                let message = format!("expected at most {MAX_LAYERS} nodes, found more");
                return Err(ImportError::damaged(format!("HDF5 '{of}'"), message));
            }
            let fields = Fields::open(self.file, &of)?;
            let kind = fields.text("type")?.ok_or_else(|| fields.missing("type"))?;
            if kind == "NIRGraph" {
                ends.insert(name, self.subgraph(&of, &format!("{full}."), depth + 1)?);
                continue;
            }
            let number = self.graph.nodes.len();
            let (is_input, is_output) = (kind == "Input", kind == "Output");
            if is_input {
                own.inputs.push(number);
            }
            if is_output {
                own.outputs.push(number);
            }
            let primitive = match fields.primitive(&kind) {
                Ok(_) if depth > 0 && (is_input || is_output) => Primitive::Pass,
                Ok(primitive) => primitive,
                Err(ImportError::Unsupported { message, .. }) => {
                    self.unknown.push(ImportError::Unsupported { layer: full.clone(), kind: kind.clone(), message });
                    Primitive::Pass
                }
                Err(problem) => return Err(problem),
            };
            self.graph.nodes.push(NirNode { name: full, kind, primitive });
            ends.insert(name, Ends { inputs: vec![number], outputs: vec![number] });
        }
        let edges = Fields::open(self.file, path)?.edges()?;
        for [from, to] in edges {
            let edge = format!("HDF5 '{path}/edges': edge '{from}' to '{to}'");
            let end = |name: &str| {
                ends.get(name).ok_or_else(|| {
                    ImportError::damaged(&edge, format!("expected names of nodes, found no node '{name}'"))
                })
            };
            let one = |of: &[usize], name: &str, what: &str| match of {
                [one] => Ok(*one),
                _ => Err(ImportError::damaged(&edge, format!("expected one {what} of '{name}', found {}", of.len()))),
            };
            let source = one(&end(&from)?.outputs, &from, "output")?;
            let target = one(&end(&to)?.inputs, &to, "input")?;
            self.graph.edges.push((source, target));
        }
        Ok(own)
    }
}
