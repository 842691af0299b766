//! What can be said about a network before it runs: reach of the weights, samples between resets, addresses that do not
//! fit.

use crate::network::{
    Driver, Input, Module, ModuleId, ModuleKind, Network, NodeId, Polarity, ReadArray, SourceId, Stimulus,
    StimulusEvent, Tick,
};

/// How far the events of a module's inputs can move a potential, in scaled integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headroom {
    /// The most that one event adds to a neuron.
    pub up: i64,
    /// The most that one event takes from a neuron (not positive).
    pub down: i64,
    /// The most that one event at each input address together add to a neuron.
    pub all_up: i64,
    /// The most that they together take (not positive).
    pub all_down: i64,
    /// Events of `up` that fit between the threshold and the upper limit of 32 bits; none where nothing adds, or where
    /// `THplus` is a ceiling, so that the limit makes no difference.
    pub events_up: Option<u64>,
    /// Likewise down from `MembReset` or, where it fires, `THminus`.
    pub events_down: Option<u64>,
}

/// The headroom of each module, by [`ModuleId`]; none where a module has no neurons.
///
/// ```
/// use megasim_network::netfile::inspect::headroom;
/// # use megasim_network::network::*;
/// # let mut builder = NetworkBuilder::new();
/// # let input = builder.source("input")?;
/// # let array = Array { nx: 2, ny: 1, x_min: 0, y_min: 0 };
/// # let port = FullyConnectedPort { nx_pre: 2, ny_pre: 1, weights: [1_000, -7, 20, 30].into() };
/// # let (neurons, output) = (NeuronParameters::default(), Output::whole(array));
/// # let full = FullyConnected { array, neurons, ports: vec![port], output };
/// # let kind = ModuleKind::FullyConnected(full);
/// # let inputs = vec![Input::Node(input)];
/// # let module = Module { kind, inputs, timing: Timing::default(), not_programmable: false };
/// # builder.module(module, &["out"])?;
/// # let network = builder.build(10)?;
/// // Two neurons behind two inputs, weights 1000 and -7, 20 and 30.
/// let headroom = headroom(&network, &[Stimulus::new()])[0].unwrap();
/// assert_eq!((headroom.up, headroom.down), (1_000, -7));
/// assert_eq!((headroom.all_up, headroom.all_down), (1_020, -7));
/// # Ok::<(), NetworkError>(())
/// ```
pub fn headroom(network: &Network, stimuli: &[Stimulus]) -> Vec<Option<Headroom>> {
    let negative = negative_nodes(network, stimuli);
    network.modules().iter().map(|module| module_headroom(module, &negative)).collect()
}

fn module_headroom(module: &Module, negative: &[bool]) -> Option<Headroom> {
    let (_, neurons, _) = module.kind.neurons()?;
    let (mut up, mut down, mut all_up, mut all_down) = (0, 0, 0, 0);
    for (port, input) in (0..module.kind.ports()).zip(&module.inputs) {
        let weights = module.kind.weights();
        let extreme = |value: Option<&i32>| value.map_or(0, |&weight| i64::from(weight));
        let (max, min) = (extreme(weights[port].iter().max()).max(0), extreme(weights[port].iter().min()).min(0));
        let (sum_max, sum_min) = module.kind.kind().sums(port);
        let Input::Node(node) = input else { continue };
        // A negative spike subtracts the weights.
        let both = |plus: i64, minus: i64| if negative[node.index()] { plus.max(-minus) } else { plus };
        up = up.max(both(max, min));
        down = down.min(-both(-min, -max));
        all_up += both(sum_max, sum_min);
        all_down -= both(-sum_min, -sum_max);
    }
    let (reset, rest) = (i64::from(neurons.membrane_reset), i64::from(neurons.rest()));
    let events = |room: i64, step: i64| (step > 0).then(|| (room.max(0) / step) as u64);
    let top = rest.max(reset).max(neurons.threshold_plus.into());
    let bottom = if neurons.fires_minus { rest.min(neurons.threshold_minus.into()) } else { rest }.min(reset);
    let (ceiling, floor) = (!neurons.fires_plus, !neurons.fires_minus);
    Some(Headroom {
        up,
        down,
        all_up,
        all_down,
        events_up: if ceiling { None } else { events(i64::from(i32::MAX) - top, up) },
        events_down: if floor { None } else { events(bottom - i64::from(i32::MIN), -down) },
    })
}

fn is_control(event: &StimulusEvent) -> bool {
    event.polarity == Polarity::Negative && event.y == -1
}

fn is_spike(event: &StimulusEvent) -> bool {
    event.polarity.is_sign() && !is_control(event)
}

/// The nodes that can carry negative spikes.
fn negative_nodes(network: &Network, stimuli: &[Stimulus]) -> Vec<bool> {
    let mut negative = vec![false; network.nodes().len()];
    for (stimulus, node) in stimuli.iter().zip(network.sources()) {
        negative[node.index()] = stimulus.iter().any(|event| is_spike(&event) && event.polarity == Polarity::Negative);
    }
    loop {
        let before = negative.clone();
        for (k, module) in network.modules().iter().enumerate() {
            let any = || module.inputs.iter().any(|input| matches!(input, Input::Node(node) if negative[node.index()]));
            let sends = match &module.kind {
                ModuleKind::Softmax(_) => false,
                kind => kind.kind().sends_negative().unwrap_or_else(any),
            };
            for node in network.outputs(ModuleId::new(k)) {
                negative[node.index()] = sends;
            }
        }
        if negative == before {
            return negative;
        }
    }
}

/// What is between the resets of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Samples {
    /// The source.
    pub source: SourceId,
    /// Its resets up to `Tmax`, those of one tick counted once.
    pub resets: usize,
    /// Stretches between resets, before the first and after the last, in which some source sends a spike.
    pub samples: usize,
    /// Ticks of the shortest stretch that a reset ends.
    pub shortest: Tick,
    /// Ticks of the longest.
    pub longest: Tick,
    /// Whether spikes follow the last reset.
    pub open: bool,
}

/// The samples of each source that sends resets.
pub fn samples(network: &Network, stimuli: &[Stimulus]) -> Vec<Samples> {
    let until = network.t_max();
    let of_source = |source: usize| {
        let resets = stimuli[source].iter().filter(|event| event.polarity == Polarity::Reset && event.t_pre <= until);
        let mut resets: Vec<Tick> = resets.map(|event| event.t_pre).collect();
        resets.dedup();
        if resets.is_empty() {
            return None;
        }
        let mut busy = vec![false; resets.len() + 1];
        for stimulus in stimuli {
            let mut stretch = 0;
            for event in stimulus.iter().take_while(|event| event.t_pre <= until).filter(is_spike) {
                while stretch < resets.len() && event.t_pre > resets[stretch] {
                    stretch += 1;
                }
                busy[stretch] = true;
            }
        }
        // The first stretch starts with tick 0.
        let starts = std::iter::once(-1).chain(resets.iter().copied());
        let lengths = || starts.clone().zip(&resets).map(|(start, &end)| end - start);
        Some(Samples {
            source: SourceId::new(source),
            resets: resets.len(),
            samples: busy.iter().filter(|&&busy| busy).count(),
            shortest: lengths().min().unwrap_or(0),
            longest: lengths().max().unwrap_or(0),
            open: busy[resets.len()],
        })
    };
    (0..stimuli.len()).filter_map(of_source).collect()
}

/// Least and largest column and row of the spikes that a node carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// Columns.
    pub x: (i32, i32),
    /// Rows.
    pub y: (i32, i32),
}

/// The addresses of a node's spikes: those that a stimulus has (up to `Tmax`), those that a module can send; none where
/// there is no spike.
pub fn addresses(network: &Network, stimuli: &[Stimulus], node: NodeId) -> Option<Addresses> {
    let whole = |nx: u64, ny: u64| {
        let last = |n: u64| i32::try_from(n.checked_sub(1)?).ok();
        Some(Addresses { x: (0, last(nx)?), y: (0, last(ny)?) })
    };
    match network.nodes()[node.index()].driver {
        Driver::Source(source) => {
            let spikes = stimuli[source.index()].iter().take_while(|event| event.t_pre <= network.t_max());
            spikes.filter(is_spike).fold(None, |seen, event| {
                let Addresses { x, y } = seen.unwrap_or(Addresses { x: (event.x, event.x), y: (event.y, event.y) });
                let widen = |of: (i32, i32), with: i32| (of.0.min(with), of.1.max(with));
                Some(Addresses { x: widen(x, event.x), y: widen(y, event.y) })
            })
        }
        Driver::Module(module) => {
            let kind = &network.modules()[module.index()].kind;
            if let Some((nx, ny)) = kind.kind().sent_array() {
                return whole(nx, ny);
            }
            let (array, _, output) = kind.neurons()?;
            if array.is_empty() {
                return None;
            }
            // The network has made sure that coordinates fit 32 bits.
            let (x1, y1) = (array.x_min + (array.nx - 1) as i32, array.y_min + (array.ny - 1) as i32);
            let (x0, y0) = (array.x_min.max(output.crop_xmin), array.y_min.max(output.crop_ymin));
            let (x1, y1) = (x1.min(output.crop_xmax), y1.min(output.crop_ymax));
            // Dividing keeps the order, so the corners decide.
            let (first, last) = (output.address(x0, y0)?, output.address(x1, y1)?);
            (x0 <= x1 && y0 <= y1).then_some(Addresses { x: (first.0, last.0), y: (first.1, last.1) })
        }
    }
}

/// Spikes of a node that fall outside the array of a port that reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The reader.
    pub module: ModuleId,
    /// Its port.
    pub port: usize,
    /// What the port reads.
    pub node: NodeId,
    /// What the node carries.
    pub addresses: Addresses,
    /// Columns and rows of the port.
    pub array: (u32, u32),
    /// What becomes of such a spike.
    pub effect: Effect,
}

/// What becomes of a spike outside the array of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Flatten and max pool drop it.
    Dropped,
    /// A module could send it, and it would stop the run.
    MayStop,
    /// A stimulus has it, and it stops the run.
    Stops,
}

/// The ports of all modules that get, or could get, spikes from outside their arrays. Convolutions clip, and have no
/// array.
pub fn misfits(network: &Network, stimuli: &[Stimulus]) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    for (k, module) in network.modules().iter().enumerate() {
        for (port, input) in (0..module.kind.ports()).zip(&module.inputs) {
            let Input::Node(node) = *input else { continue };
            let Some(ReadArray { nx, ny, stops }) = module.kind.kind().read_array(port) else { continue };
            let array = (nx, ny);
            let Some(addresses) = addresses(network, stimuli, node) else { continue };
            let fits = |(least, most): (i32, i32), n: u32| least >= 0 && i64::from(most) < i64::from(n);
            if fits(addresses.x, array.0) && fits(addresses.y, array.1) {
                continue;
            }
            let effect = match network.nodes()[node.index()].driver {
                _ if !stops => Effect::Dropped,
                Driver::Source(_) => Effect::Stops,
                Driver::Module(_) => Effect::MayStop,
            };
            misfits.push(Misfit { module: ModuleId::new(k), port, node, addresses, array, effect });
        }
    }
    misfits
}

/// Nodes that no module reads.
pub fn unread(network: &Network) -> Vec<NodeId> {
    let mut read = vec![false; network.nodes().len()];
    for input in network.modules().iter().flat_map(|module| &module.inputs) {
        if let Input::Node(node) = input {
            read[node.index()] = true;
        }
    }
    (0..read.len()).filter(|&node| !read[node]).map(NodeId::new).collect()
}
