//! Parameter files (`*.prm`): what one module computes, with its weights.
//!
//! Blocks are in the order head, neurons, ports, output. Within a block the keys may come in any order; the block
//! ends when all of them have been read. The arrays below are the order in which they are written.

use super::block::{Block, Value};
use super::error::{ParseError, TextError};
use super::schematic::Kind;
use super::text::{Scanner, TextWriter};
use crate::network::{
    Array, Conv, ConvPort, Dynamics, FlattenPort, FullyConnected, FullyConnectedPort, Input, MAX_NEURONS, MaxPool,
    Module, ModuleKind, NetworkError, NeuronParameters, Output, PoolMask, PoolPort, PoolRule, Reset, Signed, Timing,
};
use std::io::{self, Write};
use std::num::NonZeroU32;

/// The last one is an extension key, 0 where absent.
const HEAD: [&str; 8] = [
    "n_in_ports",
    "n_out_ports",
    "delay_to_process",
    "delay_to_ack",
    "fifo_depth",
    "n_repeat",
    "delay_to_repeat",
    "delay_to_arrive",
];
const HEAD_REQUIRED: usize = 7;

/// The first key is `population_size` where not conv. Those from `mask_tau` on are extension keys; `resting_potential`
/// is `MembReset` where absent, `max_count` is no bound, the others 0.
const NEURONS: [&str; 22] = [
    "Nx_array",
    "Ny_array",
    "Xmin",
    "Ymin",
    "THplus",
    "THplusInfo",
    "THminus",
    "THminusInfo",
    "Reset_to_reminder",
    "MembReset",
    "TLplus",
    "TLminus",
    "Tmin",
    "T_Refract",
    "mask_tau",
    "leak_decay",
    "neuron_model",
    "signed",
    "hysteresis",
    "min_count",
    "max_count",
    "resting_potential",
];
const NEURONS_REQUIRED: usize = 14;

/// The last four are the extension keys, 1 where absent.
const CONV_PORT: [&str; 8] = ["Nx_kernel", "Ny_kernel", "Dx", "Dy", "x_stride", "y_stride", "x_expand", "y_expand"];
const CONV_PORT_REQUIRED: usize = 4;

const FULLY_CONNECTED_PORT: [&str; 2] = ["Nx_array_pre", "Ny_array_pre"];

const FLATTEN_PORT: [&str; 2] = ["Nx_array", "Ny_array"];

/// The last four are extension keys of the data port: either `signed`, or all others, or none.
const POOL_PORT: [&str; 14] = [
    "Nx_array",
    "Ny_array",
    "Nx_pool",
    "Ny_pool",
    "Dx",
    "Dy",
    "x_stride",
    "y_stride",
    "Nx_out",
    "Ny_out",
    "mask_tau",
    "mask_weight",
    "THplus",
    "signed",
];
const POOL_PORT_REQUIRED: usize = 10;

const OUTPUT: [&str; 11] = [
    "crop_xmin",
    "crop_xmax",
    "crop_ymin",
    "crop_ymax",
    "xshift_pre",
    "yshift_pre",
    "x_subsmp",
    "y_subsmp",
    "xshift_pos",
    "yshift_pos",
    "rectify",
];

fn neuron_keys(kind: Kind) -> [&'static str; 22] {
    let mut keys = NEURONS;
    if kind != Kind::Conv {
        keys[0] = "population_size";
    }
    keys
}

/// What a parameter file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// What the module does with events.
    pub kind: ModuleKind,
    /// When it does; `time_busy_initial` is in the state file and is 0 here.
    pub timing: Timing,
    /// How many output names the file thinks the module has; the schematic decides.
    pub n_out_ports: u32,
}

/// Reads a parameter file of a module of that kind, and checks it with [`Module::check`].
///
/// ```
/// use megasim_core::netfile::{Kind, parse_parameters};
/// let text = b".integers
/// n_in_ports 1\nn_out_ports 1\ndelay_to_process 0\ndelay_to_ack 0\nfifo_depth 0\nn_repeat 1\ndelay_to_repeat 15
/// Nx_array 5\nNy_array 2
/// .floats\n";
/// assert_eq!(parse_parameters(text, Kind::Flatten)?.kind.ports(), 1);
/// # Ok::<(), megasim_core::netfile::TextError>(())
/// ```
///
/// # Errors
/// The line at fault.
pub fn parse_parameters(text: &[u8], kind: Kind) -> Result<Parameters, TextError> {
    parse_and_tell(text, kind, &|_| {})
}

/// Parses a text of which the part up to the position given to `passed` may be released meanwhile.
pub(super) fn parse_and_tell(text: &[u8], kind: Kind, passed: &dyn Fn(usize)) -> Result<Parameters, TextError> {
    parse(&mut Block::new(Scanner::new(text), passed), kind).map_err(|flaw| flaw.locate(text))
}

fn parse(block: &mut Block, kind: Kind) -> Result<Parameters, ParseError> {
    block.head()?;
    let [ports, n_out_ports, delay_to_process, delay_to_ack, fifo_depth, n_repeat, delay_to_repeat, delay_to_arrive] =
        block.keys("the head", HEAD, HEAD_REQUIRED, 0)?;
    ports.size()?;
    let timing = Timing {
        delay_to_process: delay_to_process.tick(),
        delay_to_ack: delay_to_ack.tick(),
        fifo_depth: fifo_depth.size()?,
        n_repeat: n_repeat.size()?,
        delay_to_repeat: delay_to_repeat.tick(),
        delay_to_arrive: delay_to_arrive.tick(),
        time_busy_initial: 0,
    };
    let kind = match kind {
        Kind::Conv => {
            let (array, _, neurons) = read_neurons(block, kind)?;
            let ports = read_ports(block, ports, &CONV_PORT, conv_port)?;
            ModuleKind::Conv(Conv { array, neurons, ports, output: read_output(block)? })
        }
        Kind::FullyConnected | Kind::Softmax => {
            let (array, population, neurons) = read_neurons(block, kind)?;
            let read = |block: &mut Block, name: &str| fully_connected_port(block, name, &population);
            let ports = read_ports(block, ports, &FULLY_CONNECTED_PORT, read)?;
            let full = FullyConnected { array, neurons, ports, output: read_output(block)? };
            if kind == Kind::Softmax { ModuleKind::Softmax(full) } else { ModuleKind::FullyConnected(full) }
        }
        Kind::Flatten => ModuleKind::Flatten(read_ports(block, ports, &FLATTEN_PORT, flatten_port)?),
        Kind::MaxPool => {
            let mut rule = PoolRule::Busiest;
            let ports = read_ports(block, ports, &POOL_PORT, |block, name| pool_port(block, name, &mut rule))?;
            ModuleKind::MaxPool(MaxPool { ports, rule })
        }
    };
    block.tail()?;
    let inputs = vec![Input::Undriven(String::new()); kind.ports()];
    let module = Module { kind, inputs, timing, not_programmable: false };
    module.check().map_err(|fault| locate(block, fault))?;
    Ok(Parameters { kind: module.kind, timing, n_out_ports: n_out_ports.size()? })
}

/// The line of a fault that the network found.
fn locate(block: &Block, fault: NetworkError) -> ParseError {
    let refuse = |key: &str, expected: &str, found: String| match block.value_at_fault(key, &found) {
        Some(value) => ParseError { found, ..value.refuse(expected) },
        None => ParseError { at: 0, end: 0, expected: format!("{expected} for {key}"), found },
    };
    match fault {
        NetworkError::Range { key, expected, found } => {
            let key =
                if block.value_at_fault(key, &found).is_none() && key == NEURONS[0] { "population_size" } else { key };
            refuse(key, &expected, found)
        }
        NetworkError::TooLarge { found } => refuse(NEURONS[0], &too_large(), found.to_string()),
        other => ParseError { at: 0, end: 0, expected: "a valid module".into(), found: other.to_string() },
    }
}

fn too_large() -> String {
    format!("at most {MAX_NEURONS} neurons (the limit of one module)")
}

fn read_neurons(block: &mut Block, kind: Kind) -> Result<(Array, Value, NeuronParameters), ParseError> {
    let values = block.keys("the neurons", neuron_keys(kind), NEURONS_REQUIRED, 0)?;
    let [
        nx,
        ny,
        x_min,
        y_min,
        th_plus,
        th_plus_info,
        th_minus,
        th_minus_info,
        reset,
        rest,
        tl_plus,
        tl_minus,
        t_min,
        t_refract,
        mask_tau,
        leak_decay,
        neuron_model,
        signed,
        hysteresis,
        min_count,
        max_count,
        resting_potential,
    ] = values;
    let array = Array { nx: nx.size()?, ny: ny.size()?, x_min: x_min.signed()?, y_min: y_min.signed()? };
    let count = u64::from(array.nx) * u64::from(array.ny);
    if count > MAX_NEURONS {
        return Err(ParseError { found: count.to_string(), ..nx.refuse(&too_large()) });
    }
    let neurons = NeuronParameters {
        threshold_plus: th_plus.signed()?,
        fires_plus: th_plus_info.flag()?,
        threshold_minus: th_minus.signed()?,
        fires_minus: th_minus_info.flag()?,
        reset: match reset.number {
            0 => Reset::ToRest,
            1 => Reset::Subtract,
            2 => Reset::Modulo,
            _ => return Err(reset.refuse("0, 1 or 2")),
        },
        membrane_reset: rest.signed()?,
        leak_plus: tl_plus.signed()?,
        leak_minus: tl_minus.signed()?,
        t_min: t_min.tick(),
        refractory: t_refract.tick(),
        mask_tau: mask_tau.signed()?,
        leak_decay: leak_decay.signed()?,
        dynamics: match (signed.flag()?, NonZeroU32::new(neuron_model.size()?)) {
            (true, Some(_)) => return Err(neuron_model.refuse("0, as neurons are signed,")),
            (true, None) => {
                let absent = Signed::default();
                Dynamics::Signed(Signed {
                    hysteresis: hysteresis.signed()?,
                    min_count: min_count.signed()?,
                    max_count: if max_count.is_given() { max_count.signed()? } else { absent.max_count },
                })
            }
            (false, model) => {
                if let Some(value) = [hysteresis, min_count, max_count].iter().find(|value| value.is_given()) {
                    return Err(value.refuse("signed 1 in the block, or no such key,"));
                }
                model.map_or(Dynamics::IntegrateAndFire, Dynamics::Model)
            }
        },
        resting_potential: resting_potential.is_given().then(|| resting_potential.signed()).transpose()?,
    };
    Ok((array, nx, neurons))
}

/// As many port blocks as the head announces, and not one more.
fn read_ports<P>(
    block: &mut Block,
    announced: Value,
    keys: &[&str],
    mut read: impl FnMut(&mut Block, &str) -> Result<P, ParseError>,
) -> Result<Vec<P>, ParseError> {
    let n = announced.size()?;
    // Grows with what is read, as the announced number may be anything.
    let mut ports = Vec::new();
    for k in 1..=n {
        ports.push(read(block, &format!("port block {k} of {n}"))?);
    }
    block.no_more(keys, &announced)?;
    Ok(ports)
}

fn conv_port(block: &mut Block, name: &str) -> Result<ConvPort, ParseError> {
    let [nx, ny, dx, dy, x_stride, y_stride, x_expand, y_expand] =
        block.keys(name, CONV_PORT, CONV_PORT_REQUIRED, 1)?;
    let weights = block.matrix(&nx, ny.size()?.into(), &ny, name)?;
    Ok(ConvPort {
        nx: nx.size()?,
        ny: ny.size()?,
        dx: dx.signed()?,
        dy: dy.signed()?,
        x_stride: x_stride.signed()?,
        y_stride: y_stride.signed()?,
        x_expand: x_expand.signed()?,
        y_expand: y_expand.signed()?,
        weights,
    })
}

fn fully_connected_port(block: &mut Block, name: &str, population: &Value) -> Result<FullyConnectedPort, ParseError> {
    let [nx, ny] = block.keys(name, FULLY_CONNECTED_PORT, FULLY_CONNECTED_PORT.len(), 0)?;
    let (nx_pre, ny_pre) = (nx.size()?, ny.size()?);
    let weights = block.matrix(population, u64::from(nx_pre) * u64::from(ny_pre), &nx, name)?;
    Ok(FullyConnectedPort { nx_pre, ny_pre, weights })
}

fn flatten_port(block: &mut Block, name: &str) -> Result<FlattenPort, ParseError> {
    let [nx, ny] = block.keys(name, FLATTEN_PORT, FLATTEN_PORT.len(), 0)?;
    Ok(FlattenPort { nx: nx.size()?, ny: ny.size()? })
}

fn pool_port(block: &mut Block, name: &str, rule: &mut PoolRule) -> Result<PoolPort, ParseError> {
    let [
        nx,
        ny,
        nx_pool,
        ny_pool,
        dx,
        dy,
        x_stride,
        y_stride,
        nx_out,
        ny_out,
        mask_tau,
        mask_weight,
        threshold,
        signed,
    ] = block.keys(name, POOL_PORT, POOL_PORT_REQUIRED, 0)?;
    let masked = [mask_tau, mask_weight, threshold].map(|value| value.is_given());
    if masked != [false; 3] {
        if masked != [true; 3] || !name.starts_with("port block 1 ") {
            return Err(nx_out.refuse("all of mask_tau, mask_weight and THplus in the data port, or none of them"));
        }
        *rule = PoolRule::Mask(PoolMask {
            tau: mask_tau.signed()?,
            weight: mask_weight.signed()?,
            threshold: threshold.signed()?,
        });
    }
    if signed.flag()? {
        if *rule != PoolRule::Busiest || !name.starts_with("port block 1 ") {
            return Err(signed.refuse("0, or 1 in a data port without mask_tau,"));
        }
        *rule = PoolRule::Signed;
    }
    Ok(PoolPort {
        nx: nx.size()?,
        ny: ny.size()?,
        nx_pool: nx_pool.size()?,
        ny_pool: ny_pool.size()?,
        dx: dx.signed()?,
        dy: dy.signed()?,
        x_stride: x_stride.signed()?,
        y_stride: y_stride.signed()?,
        nx_out: nx_out.size()?,
        ny_out: ny_out.size()?,
    })
}

fn read_output(block: &mut Block) -> Result<Output, ParseError> {
    let [x_min, x_max, y_min, y_max, x_pre, y_pre, x_subsmp, y_subsmp, x_pos, y_pos, rectify] =
        block.keys("the output", OUTPUT, OUTPUT.len(), 0)?;
    Ok(Output {
        crop_xmin: x_min.signed()?,
        crop_xmax: x_max.signed()?,
        crop_ymin: y_min.signed()?,
        crop_ymax: y_max.signed()?,
        xshift_pre: x_pre.signed()?,
        yshift_pre: y_pre.signed()?,
        x_subsmp: x_subsmp.signed()?,
        y_subsmp: y_subsmp.signed()?,
        xshift_pos: x_pos.signed()?,
        yshift_pos: y_pos.signed()?,
        rectify: rectify.flag()?,
    })
}

/// Writes a parameter file.
///
/// # Errors
/// What the writer says.
pub fn write_parameters(parameters: &Parameters, out: &mut dyn Write) -> io::Result<()> {
    let mut text = TextWriter::new(out);
    let timing = &parameters.timing;
    text.line(".integers")?;
    extended(
        &mut text,
        HEAD,
        [
            parameters.kind.ports() as i64,
            parameters.n_out_ports.into(),
            timing.delay_to_process,
            timing.delay_to_ack,
            timing.fifo_depth.into(),
            timing.n_repeat.into(),
            timing.delay_to_repeat,
            timing.delay_to_arrive,
        ],
        HEAD_REQUIRED,
    )?;
    match &parameters.kind {
        ModuleKind::Conv(conv) => {
            write_neurons(&mut text, Kind::Conv, conv.array, &conv.neurons)?;
            conv.ports.iter().try_for_each(|port| write_conv_port(&mut text, port))?;
            write_output(&mut text, &conv.output)?;
        }
        ModuleKind::FullyConnected(full) | ModuleKind::Softmax(full) => {
            write_neurons(&mut text, Kind::FullyConnected, full.array, &full.neurons)?;
            for port in &full.ports {
                values(&mut text, FULLY_CONNECTED_PORT, [port.nx_pre.into(), port.ny_pre.into()])?;
                rows(&mut text, full.array.nx, &port.weights)?;
            }
            write_output(&mut text, &full.output)?;
        }
        ModuleKind::Flatten(ports) => {
            for port in ports {
                values(&mut text, FLATTEN_PORT, [port.nx.into(), port.ny.into()])?;
            }
        }
        ModuleKind::MaxPool(pool) => {
            for (k, port) in pool.ports.iter().enumerate() {
                let rule = if k == 0 { pool.rule } else { PoolRule::Busiest };
                write_pool_port(&mut text, port, rule)?;
            }
        }
    }
    text.line(".floats")?;
    text.flush()
}

fn values<const N: usize>(text: &mut TextWriter, keys: [&str; N], numbers: [i64; N]) -> io::Result<()> {
    keys.iter().zip(numbers).try_for_each(|(key, number)| text.value(key, number))
}

/// Writes keys with their values, without those from `required` on that are 0.
fn extended<const N: usize>(
    text: &mut TextWriter,
    keys: [&str; N],
    numbers: [i64; N],
    required: usize,
) -> io::Result<()> {
    let written = keys.iter().zip(numbers).enumerate().filter(|(k, (_, number))| *k < required || *number != 0);
    written.into_iter().try_for_each(|(_, (key, number))| text.value(key, number))
}

fn rows(text: &mut TextWriter, columns: u32, weights: &[i32]) -> io::Result<()> {
    // A matrix without columns has no line to write.
    weights.chunks(columns.max(1) as usize).try_for_each(|row| text.row(row))
}

fn write_neurons(text: &mut TextWriter, kind: Kind, array: Array, neurons: &NeuronParameters) -> io::Result<()> {
    let reset = match neurons.reset {
        Reset::ToRest => 0,
        Reset::Subtract => 1,
        Reset::Modulo => 2,
    };
    let [keys @ .., max_count, resting_potential] = neuron_keys(kind);
    let signed = neurons.signed();
    extended(
        text,
        keys,
        [
            array.nx.into(),
            array.ny.into(),
            array.x_min.into(),
            array.y_min.into(),
            neurons.threshold_plus.into(),
            neurons.fires_plus.into(),
            neurons.threshold_minus.into(),
            neurons.fires_minus.into(),
            reset,
            neurons.membrane_reset.into(),
            neurons.leak_plus.into(),
            neurons.leak_minus.into(),
            neurons.t_min,
            neurons.refractory,
            neurons.mask_tau.into(),
            neurons.leak_decay.into(),
            neurons.model().map_or(0, |number| number.get().into()),
            signed.is_some().into(),
            signed.map_or(0, |signed| signed.hysteresis.into()),
            signed.map_or(0, |signed| signed.min_count.into()),
        ],
        NEURONS_REQUIRED,
    )?;
    if let Some(most) = signed.map(|signed| signed.max_count).filter(|&most| most != i32::MAX) {
        text.value(max_count, i64::from(most))?;
    }
    neurons.resting_potential.map_or(Ok(()), |rest| text.value(resting_potential, i64::from(rest)))
}

fn write_conv_port(text: &mut TextWriter, port: &ConvPort) -> io::Result<()> {
    let numbers: [i64; 8] = [
        port.nx.into(),
        port.ny.into(),
        port.dx.into(),
        port.dy.into(),
        port.x_stride.into(),
        port.y_stride.into(),
        port.x_expand.into(),
        port.y_expand.into(),
    ];
    for (k, (key, number)) in CONV_PORT.iter().zip(numbers).enumerate() {
        if k < CONV_PORT_REQUIRED || number != 1 {
            text.value(key, number)?;
        }
    }
    rows(text, port.nx, &port.weights)
}

fn write_pool_port(text: &mut TextWriter, port: &PoolPort, rule: PoolRule) -> io::Result<()> {
    let PoolPort { nx, ny, nx_pool, ny_pool, dx, dy, x_stride, y_stride, nx_out, ny_out } = *port;
    let [numbers @ .., tau, weight, threshold, signed] = &POOL_PORT;
    values(
        text,
        *numbers,
        [
            nx.into(),
            ny.into(),
            nx_pool.into(),
            ny_pool.into(),
            dx.into(),
            dy.into(),
            x_stride.into(),
            y_stride.into(),
            nx_out.into(),
            ny_out.into(),
        ],
    )?;
    match rule {
        PoolRule::Busiest => Ok(()),
        PoolRule::Mask(mask) => {
            values(text, [*tau, *weight, *threshold], [mask.tau.into(), mask.weight.into(), mask.threshold.into()])
        }
        PoolRule::Signed => text.value(signed, 1),
    }
}

fn write_output(text: &mut TextWriter, output: &Output) -> io::Result<()> {
    values(
        text,
        OUTPUT,
        [
            output.crop_xmin.into(),
            output.crop_xmax.into(),
            output.crop_ymin.into(),
            output.crop_ymax.into(),
            output.xshift_pre.into(),
            output.yshift_pre.into(),
            output.x_subsmp.into(),
            output.y_subsmp.into(),
            output.xshift_pos.into(),
            output.yshift_pos.into(),
            output.rectify.into(),
        ],
    )
}
