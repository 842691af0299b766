//! A trained network as a netlist for the event-driven engine, one module a map.
//!
//! Nothing new is needed in the format. A neuron that spikes once per stimulus is one whose refractory time is longer
//! than the run. Pooling that passes the first spike of a window is `module_max_pool`: of inputs that spike once, the
//! first becomes the winner and no other ever has more spikes. Bins are ticks; with no delays all of a bin happens in
//! its tick. With weights that are not negative a neuron crosses its threshold in a bin's tick exactly if its potential
//! at the end of the bin is above it, in whatever order the spikes of the bin come, so that first-spike bins are those
//! of the library. What needs the end of a bin, namely inhibition between maps, firing without a threshold, and
//! negative weights, is refused.

use super::network::Stage;
use super::{Convolution, Error, Shape, SpikeWave, SpikingNetwork, Weight};
use megasim_core::network::{
    Array, Conv, ConvPort, DEFAULT_T_MAX, Input, MaxPool, Module, ModuleKind, Network, NetworkBuilder,
    NeuronParameters, NodeId, Output, Polarity, PoolPort, PoolRule, Reset, Stimulus, StimulusEvent, Tick, Timing,
};

/// The node whose reset events put all neurons back, so that one run can show several stimuli.
pub const RESET_NODE: &str = "reset_event";

fn refuse(network: &SpikingNetwork<impl Weight>, layer: usize, message: impl Into<String>) -> Error {
    Error::Description { line: None, place: network.description().place(layer), message: message.into() }
}

/// The netlist: a source for each input map and one for resets, then a module for each map of each layer.
///
/// Weights and thresholds of a layer are scaled by the largest power of two up to 2^26 that keeps a potential in 32
/// bits. Fixed-point weights stay exact; others are rounded, which can move a spike whose potential misses the
/// threshold by less.
///
/// # Errors
/// [`Error::Description`] with the layer for what the netlist cannot say: inhibition between maps when features are
/// taken, a layer without a threshold, negative weights, a threshold too large for 32 bits.
pub fn to_netlist<W: Weight>(network: &SpikingNetwork<W>) -> Result<Network, Error> {
    let fault =
        |layer: usize| move |fault: megasim_core::network::NetworkError| refuse(network, layer, fault.to_string());
    let mut builder = NetworkBuilder::new();
    let mut inputs = (0..network.shape(0).maps())
        .map(|map| builder.source(&format!("InputLayer_{map}")))
        .collect::<Result<Vec<NodeId>, _>>()
        .map_err(fault(0))?;
    let reset = builder.source(RESET_NODE).map_err(fault(0))?;
    for (number, stage) in network.stages.iter().enumerate() {
        let (before, shape) = (network.shape(number), network.shape(number + 1));
        let name = |kind: &str, map: usize| {
            let (maps, height, width) = shape.dim();
            format!("{number:02}{kind}_{maps}x{height}x{width}_{map}")
        };
        let mut outputs = Vec::with_capacity(shape.maps());
        let mut add = |kind, sources: &mut dyn Iterator<Item = NodeId>, name: String| {
            let module = Module {
                kind,
                inputs: sources.chain([reset]).map(Input::Node).collect(),
                timing: Timing::default(),
                not_programmable: true,
            };
            outputs.extend(builder.module(module, &[name]).map_err(fault(number))?);
            Ok::<_, Error>(())
        };
        match stage {
            Stage::Pointwise { training_only: true } => continue,
            Stage::Pointwise { training_only: false } => {
                return Err(refuse(
                    network,
                    number,
                    "inhibition between maps acts at the end of a bin, which netfiles cannot say",
                ));
            }
            Stage::Pooling(pooling) => {
                let (kernel, stride, padding) = (pooling.kernel_size, pooling.stride_size(), pooling.padding);
                let port = PoolPort {
                    nx: before.width() as u32,
                    ny: before.height() as u32,
                    nx_pool: kernel.columns as u32,
                    ny_pool: kernel.rows as u32,
                    dx: -(padding.columns as i32),
                    dy: -(padding.rows as i32),
                    x_stride: stride.columns as i32,
                    y_stride: stride.rows as i32,
                    nx_out: shape.width() as u32,
                    ny_out: shape.height() as u32,
                };
                for (map, &source) in inputs.iter().enumerate() {
                    let kind =
                        ModuleKind::MaxPool(MaxPool { ports: vec![port, PoolPort::RESET], rule: PoolRule::Busiest });
                    add(kind, &mut [source].into_iter(), name("MaxPooling2D", map))?;
                }
            }
            Stage::Convolution { layer, threshold } => {
                let Some(threshold) = threshold else {
                    return Err(refuse(
                        network,
                        number,
                        "firing in the last bin, without a threshold, is not yet written as netfiles",
                    ));
                };
                if layer.least_weight() < 0.0 {
                    return Err(refuse(
                        network,
                        number,
                        "negative weights: within a bin the order of events would count",
                    ));
                }
                let neurons = neurons(layer, *threshold).map_err(|message| refuse(network, number, message))?;
                for map in 0..shape.maps() {
                    let kind = ModuleKind::Conv(conv(layer, map, shape, neurons));
                    add(kind, &mut inputs.iter().copied(), name("Conv2D", map))?;
                }
            }
        }
        inputs = outputs;
    }
    builder.build(DEFAULT_T_MAX).map_err(fault(0))
}

/// Thresholds in scaled integers, and neurons that spike once.
fn neurons<W: Weight>(layer: &Convolution<W>, threshold: W) -> Result<(NeuronParameters, f64), String> {
    // A potential may pass the threshold by one weight before the neuron spikes.
    let largest = threshold.to_real() + layer.largest_weight();
    let mut scale = f64::from(1 << 26);
    while largest * scale >= f64::from(i32::MAX) {
        scale /= 2.0;
    }
    if scale < 1024.0 {
        return Err(format!(
            "threshold: expected one that leaves weights 10 bits of 32, found {}",
            threshold.to_real()
        ));
    }
    // Above the threshold, not at it.
    let threshold_plus = (threshold.to_real() * scale).floor() as i32 + 1;
    let neurons = NeuronParameters {
        threshold_plus,
        reset: Reset::ToRest,
        refractory: DEFAULT_T_MAX + 1,
        ..NeuronParameters::default()
    };
    Ok((neurons, scale))
}

fn conv<W: Weight>(
    layer: &Convolution<W>,
    map: usize,
    shape: Shape,
    (neurons, scale): (NeuronParameters, f64),
) -> Conv {
    let (kernel, stride, padding) = (layer.kernel_size(), layer.stride_size(), layer.padding_size());
    let array = Array { nx: shape.width() as u32, ny: shape.height() as u32, x_min: 0, y_min: 0 };
    // The neuron at (y, x) reads row y stride + ky - padding: an event at row r touches those with
    // y stride = r + padding - ky, which is the kernel flipped on both axes.
    let data = (0..layer.in_channels()).map(|input| ConvPort {
        nx: kernel.columns as u32,
        ny: kernel.rows as u32,
        dx: padding.columns as i32 - (kernel.columns as i32 - 1),
        dy: padding.rows as i32 - (kernel.rows as i32 - 1),
        x_stride: stride.columns as i32,
        y_stride: stride.rows as i32,
        x_expand: 1,
        y_expand: 1,
        weights: (0..kernel.rows)
            .flat_map(|row| (0..kernel.columns).map(move |column| (row, column)))
            .map(|(row, column)| {
                let weight = layer.weight(map, input, kernel.rows - 1 - row, kernel.columns - 1 - column);
                (weight.to_real() * scale).round() as i32
            })
            .collect(),
    });
    let reset = ConvPort::kernel(1, 1, 0, 0, [0].into());
    Conv { array, neurons, ports: data.chain([reset]).collect(), output: Output::whole(array) }
}

/// A stimulus for each source of [`to_netlist`] and when it is over: sample after sample, an empty bin between two, in
/// the middle of which all neurons are put back. Bin `b` of a wave is tick `b * ticks_per_bin` after its first.
pub fn to_stimuli(waves: &[SpikeWave], ticks_per_bin: Tick) -> (Vec<Stimulus>, Tick) {
    let maps = waves.first().map_or(0, |wave| wave.shape().maps());
    let mut events = vec![Vec::new(); maps];
    let mut resets = Vec::new();
    let mut start = 0;
    for (number, wave) in waves.iter().enumerate() {
        if number > 0 {
            let t_pre = start - (ticks_per_bin + 1) / 2;
            resets.push(StimulusEvent { t_pre, x: 0, y: 0, polarity: Polarity::Reset });
        }
        for (bin, spike) in wave.spikes() {
            events[spike.map as usize].push(StimulusEvent {
                t_pre: start + Tick::from(bin) * ticks_per_bin,
                x: spike.x.into(),
                y: spike.y.into(),
                polarity: if spike.potential < 0.0 { Polarity::Negative } else { Polarity::Positive },
            });
        }
        start += (Tick::from(wave.time_steps()) + 1) * ticks_per_bin;
    }
    let end = (start - ticks_per_bin).max(0);
    (events.into_iter().chain([resets]).map(Stimulus::from_events).collect(), end)
}
