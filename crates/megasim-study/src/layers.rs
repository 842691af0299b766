//! The nodes of a network as layers of neurons, so that figures can be given by layer and neuron.

use megasim_convert::Manifest;
use megasim_core::network::{Driver, ModuleKind, Network, NodeId, Output};

/// Addresses of one node, a rectangle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cells {
    /// The node.
    pub node: NodeId,
    /// Least column.
    pub x: i32,
    /// Least row.
    pub y: i32,
    /// Columns.
    pub nx: usize,
    /// Rows.
    pub ny: usize,
    /// Number of its first cell in the layer.
    pub first: usize,
}

/// A layer: nodes whose events belong together. Cells (neurons) are numbered node after node, then `y`, then `x`.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Its nodes.
    pub nodes: Vec<Cells>,
    /// How many cells there are.
    pub cells: usize,
    /// Whether its events are spikes of neurons, or of a maximum pooling; not where addresses only change.
    pub spikes: bool,
}

/// Where a neuron is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// Which node of the layer.
    pub map: usize,
    /// Column of the address.
    pub x: i32,
    /// Row of the address.
    pub y: i32,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { map, x, y } = self;
        write!(f, "map {map} ({x}, {y})")
    }
}

impl Cells {
    /// The cell of an address, if it is one of the node's.
    #[inline]
    pub fn cell(&self, x: i32, y: i32) -> Option<usize> {
        let column = usize::try_from(i64::from(x) - i64::from(self.x)).ok().filter(|&column| column < self.nx)?;
        let row = usize::try_from(i64::from(y) - i64::from(self.y)).ok().filter(|&row| row < self.ny)?;
        Some(self.first + row * self.nx + column)
    }
}

impl Layer {
    /// Where a cell is.
    ///
    /// # Panics
    /// If the layer has no such cell.
    pub fn place(&self, cell: usize) -> Place {
        let map = self.nodes.partition_point(|node| node.first <= cell) - 1;
        let node = &self.nodes[map];
        let k = cell - node.first;
        Place { map, x: node.x + (k % node.nx) as i32, y: node.y + (k / node.nx) as i32 }
    }

    fn new(name: String, network: &Network, ids: &[NodeId]) -> Self {
        let mut cells = 0;
        let nodes = ids.iter().map(|&node| {
            let (x, y, nx, ny) = extent(network, node);
            let first = cells;
            cells += nx * ny;
            Cells { node, x, y, nx, ny, first }
        });
        let nodes: Vec<_> = nodes.collect();
        let spikes = ids.iter().all(|&node| match network.nodes()[node.index()].driver {
            Driver::Source(_) => false,
            Driver::Module(module) => !matches!(network.modules()[module.index()].kind, ModuleKind::Flatten(_)),
        });
        Self { name, nodes, cells, spikes }
    }

    /// The layers of a converted network, in netlist order, those that only change addresses left out.
    pub fn of_manifest(network: &Network, manifest: &Manifest) -> Vec<(usize, Self)> {
        let layers = manifest.layers.iter().enumerate().map(|(k, layer)| {
            let ids: Vec<_> = layer.nodes.iter().filter_map(|name| network.node_named(name)).collect();
            (k, Self::new(layer.name.clone(), network, &ids))
        });
        layers.filter(|(_, layer)| layer.spikes && !layer.nodes.is_empty()).collect()
    }

    /// The layers of any network by the names of its nodes: nodes whose names differ only in a number after the last
    /// `_`, and whose drivers are of one kind and size, are maps of one layer, as SNN toolbox names them. Only a
    /// module's first output counts.
    ///
    /// ```
    /// use megasim_core::network::*;
    /// use megasim_study::layers::Layer;
    /// let mut builder = NetworkBuilder::new();
    /// let input = builder.source("in")?;
    /// let array = Array { nx: 3, ny: 2, x_min: 0, y_min: 0 };
    /// for name in ["conv_0", "conv_1"] {
    ///     let (neurons, output) = (NeuronParameters::default(), Output::whole(array));
    ///     let kind = ModuleKind::Conv(Conv { array, neurons, ports: vec![], output });
    ///     let inputs = vec![Input::Node(input)];
    ///     let module = Module { kind, inputs, timing: Timing::default(), not_programmable: false };
    ///     builder.module(module, &[name])?;
    /// }
    /// let layers = Layer::of_network(&builder.build(10)?);
    /// assert_eq!((layers.len(), layers[0].name.as_str(), layers[0].cells), (1, "conv", 12));
    /// assert_eq!(layers[0].place(7).to_string(), "map 1 (1, 0)");
    /// # Ok::<(), NetworkError>(())
    /// ```
    pub fn of_network(network: &Network) -> Vec<Self> {
        let mut groups: Vec<(String, Vec<NodeId>)> = Vec::new();
        let stem = |name: &str| match name.rsplit_once('_') {
            Some((stem, number)) if !stem.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
                stem.to_string()
            }
            _ => name.to_string(),
        };
        let alike = |a: NodeId, b: NodeId| {
            let kind = |node: NodeId| match network.nodes()[node.index()].driver {
                Driver::Source(_) => None,
                Driver::Module(module) => Some(network.modules()[module.index()].kind.name()),
            };
            kind(a) == kind(b) && extent(network, a) == extent(network, b)
        };
        for module in 0..network.modules().len() {
            let Some(&node) = network.outputs(megasim_core::network::ModuleId::new(module)).first() else { continue };
            let name = stem(&network.nodes()[node.index()].name);
            match groups.iter_mut().find(|(known, nodes)| *known == name && alike(nodes[0], node)) {
                Some((_, nodes)) => nodes.push(node),
                None => groups.push((name, vec![node])),
            }
        }
        let name = |name: String, nodes: &[NodeId]| match nodes {
            [only] => network.nodes()[only.index()].name.clone(),
            _ => name,
        };
        let layers = groups.into_iter().map(|(stem, nodes)| Self::new(name(stem, &nodes), network, &nodes));
        layers.filter(|layer| layer.spikes).collect()
    }
}

/// The addresses under which a node may carry spikes: least column and row, columns, rows.
pub(crate) fn extent(network: &Network, node: NodeId) -> (i32, i32, usize, usize) {
    let Driver::Module(module) = network.nodes()[node.index()].driver else { return (0, 0, 0, 0) };
    match &network.modules()[module.index()].kind {
        ModuleKind::Flatten(ports) => (0, 0, ports.iter().map(|port| port.nx as usize * port.ny as usize).sum(), 1),
        ModuleKind::MaxPool(pool) => {
            pool.ports.first().map_or((0, 0, 0, 0), |port| (0, 0, port.nx_out as usize, port.ny_out as usize))
        }
        kind => {
            let Some((array, _, output)) = kind.neurons() else { return (0, 0, 0, 0) };
            let Output { crop_xmin, crop_xmax, crop_ymin, crop_ymax, .. } = *output;
            let last = |min: i32, n: u32| min.saturating_add(n as i32).saturating_sub(1);
            let (x0, x1) = (crop_xmin.max(array.x_min), crop_xmax.min(last(array.x_min, array.nx)));
            let (y0, y1) = (crop_ymin.max(array.y_min), crop_ymax.min(last(array.y_min, array.ny)));
            match (output.address(x0, y0), output.address(x1, y1)) {
                (Some((left, top)), Some((right, bottom))) if x0 <= x1 && y0 <= y1 => {
                    (left, top, (right - left) as usize + 1, (bottom - top) as usize + 1)
                }
                _ => (0, 0, 0, 0),
            }
        }
    }
}

/// How many neurons an event touches, by node and address: what it costs.
#[derive(Debug, Clone)]
pub struct FanOut {
    /// For each node, what each of its receivers adds.
    nodes: Vec<Vec<Receiver>>,
}

#[derive(Debug, Clone)]
enum Receiver {
    /// Every event touches all neurons.
    All(u64),
    /// By column and by row; outside these, none.
    Window { columns: Vec<u64>, rows: Vec<u64> },
}

impl FanOut {
    /// Of every node of a network.
    pub fn new(network: &Network) -> Self {
        let mut nodes: Vec<Vec<Receiver>> = vec![Vec::new(); network.nodes().len()];
        for module in network.modules() {
            for (port, input) in module.inputs.iter().enumerate() {
                let megasim_core::network::Input::Node(node) = input else { continue };
                let receiver = match &module.kind {
                    ModuleKind::FullyConnected(full) | ModuleKind::Softmax(full) if port < full.ports.len() => {
                        Receiver::All(full.array.len() as u64)
                    }
                    ModuleKind::Conv(conv) => {
                        let Some(kernel) = conv.ports.get(port) else { continue };
                        let array = conv.array;
                        let (nx, ny) = source_extent(network, *node, kernel, array);
                        let columns = (0..nx as i32).map(|x| kernel.columns_reached(x, array));
                        let rows = (0..ny as i32).map(|y| kernel.rows_reached(y, array));
                        Receiver::Window { columns: columns.collect(), rows: rows.collect() }
                    }
                    _ => continue,
                };
                nodes[node.index()].push(receiver);
            }
        }
        Self { nodes }
    }

    /// Weights that a spike of a node adds to potentials.
    #[inline]
    pub fn operations(&self, node: NodeId, x: i32, y: i32) -> u64 {
        let of = |receiver: &Receiver| match receiver {
            Receiver::All(n) => *n,
            Receiver::Window { columns, rows } => {
                let get = |counts: &[u64], k: i32| usize::try_from(k).ok().and_then(|k| counts.get(k)).copied();
                get(columns, x).zip(get(rows, y)).map_or(0, |(columns, rows)| columns * rows)
            }
        };
        self.nodes[node.index()].iter().map(of).sum()
    }
}

/// Columns and rows of each map of the input: of features one row.
pub(crate) fn input_size(manifest: &Manifest) -> (usize, usize) {
    match manifest.input.shape[..] {
        [_, height, width] => (width, height),
        ref numbers => (numbers.iter().product(), 1),
    }
}

/// How many pairs of an address, in columns and rows from 0 on, and a neuron a port connects.
pub(crate) fn pairs(kind: &ModuleKind, port: usize, (nx, ny): (usize, usize)) -> u64 {
    match kind {
        ModuleKind::FullyConnected(full) | ModuleKind::Softmax(full) => {
            full.ports.get(port).map_or(0, |port| port.weights.len() as u64)
        }
        ModuleKind::Conv(conv) => conv.ports.get(port).map_or(0, |kernel| {
            let columns: u64 = (0..nx as i32).map(|x| kernel.columns_reached(x, conv.array)).sum();
            columns * (0..ny as i32).map(|y| kernel.rows_reached(y, conv.array)).sum::<u64>()
        }),
        _ => 0,
    }
}

/// Columns and rows of the addresses from 0 on that can touch a neuron.
fn source_extent(
    network: &Network,
    node: NodeId,
    kernel: &megasim_core::network::ConvPort,
    array: megasim_core::network::Array,
) -> (usize, usize) {
    let (x, y, nx, ny) = extent(network, node);
    let end = |least: i32, n: usize| usize::try_from(i64::from(least) + n as i64).unwrap_or(0);
    if nx > 0 {
        return (end(x, nx), end(y, ny));
    }
    // A stimulus may have any address: those from which the array can be reached.
    let reach = |min: i32, n: u32, stride: i32, d: i32, expand: i32| {
        let last = (i64::from(min) + i64::from(n)) * i64::from(stride) - i64::from(d);
        usize::try_from(last.div_euclid(i64::from(expand)) + 1).unwrap_or(0)
    };
    (
        reach(array.x_min, array.nx, kernel.x_stride, kernel.dx, kernel.x_expand),
        reach(array.y_min, array.ny, kernel.y_stride, kernel.dy, kernel.y_expand),
    )
}
