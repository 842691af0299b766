//! Parameter files (`*.prm`): what one module computes, with its weights.
//!
//! Blocks are in the order head, neurons, ports, output. Within a block the keys may come in any order; the block
//! ends when all of them have been read. `network/parameters.rs` has the keys.

use super::block::{Block, Fields, Value};
use super::error::{ParseError, TextError};
use super::text::{Scanner, TextWriter};
use crate::network::KindName as Kind;
use crate::network::parameters::{
    ARRAY, CONV_PORT, FLATTEN_PORT, FULLY_CONNECTED_PORT, NEURON_MODEL, NEURONS, OUTPUT, POOL_PORT, POOL_RULE,
    POPULATION, PORT_COUNTS, Parameter, PortCounts, TIMING,
};
use crate::network::{
    Array, Conv, ConvPort, FlattenPort, FullyConnected, FullyConnectedPort, Input, MAX_NEURONS, MaxPool, Module,
    ModuleKind, NetworkError, NeuronParameters, Output, PoolPort, PoolRule, Timing,
};
use std::io::{self, Write};

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
/// use megasim_network::netfile::{Kind, parse_parameters};
/// let text = b".integers
/// n_in_ports 1\nn_out_ports 1\ndelay_to_process 0\ndelay_to_ack 0\nfifo_depth 0\nn_repeat 1\ndelay_to_repeat 15
/// Nx_array 5\nNy_array 2
/// .floats\n";
/// assert_eq!(parse_parameters(text, Kind::Flatten)?.kind.ports(), 1);
/// # Ok::<(), megasim_network::netfile::TextError>(())
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
    let (mut counts, mut timing) = (PortCounts::default(), Timing::default());
    let first = block.read(
        "the head",
        &mut [&mut Fields { table: PORT_COUNTS, of: &mut counts }, &mut Fields { table: TIMING, of: &mut timing }],
    )?;
    let ports = block.value(first, PORT_COUNTS[0].key);
    let kind = match kind {
        Kind::Conv => {
            let (array, _, neurons) = read_neurons(block, kind)?;
            let ports = read_ports(block, ports, CONV_PORT, conv_port)?;
            ModuleKind::Conv(Conv { array, neurons, ports, output: read_output(block)? })
        }
        Kind::FullyConnected | Kind::Softmax => {
            let (array, population, neurons) = read_neurons(block, kind)?;
            let read = |block: &mut Block, name: &str| fully_connected_port(block, name, &population);
            let ports = read_ports(block, ports, FULLY_CONNECTED_PORT, read)?;
            let full = FullyConnected { array, neurons, ports, output: read_output(block)? };
            if kind == Kind::Softmax { ModuleKind::Softmax(full) } else { ModuleKind::FullyConnected(full) }
        }
        Kind::Flatten => ModuleKind::Flatten(read_ports(block, ports, FLATTEN_PORT, flatten_port)?),
        Kind::MaxPool => {
            let mut rule = PoolRule::Busiest;
            let ports = read_ports(block, ports, POOL_PORT, |block, name| pool_port(block, name, &mut rule))?;
            ModuleKind::MaxPool(MaxPool { ports, rule })
        }
    };
    block.tail()?;
    let inputs = vec![Input::Undriven(String::new()); kind.ports()];
    let module = Module { kind, inputs, timing, not_programmable: false };
    module.check().map_err(|fault| locate(block, fault))?;
    Ok(Parameters { kind: module.kind, timing, n_out_ports: counts.outputs })
}

/// The line of a fault that the network found.
fn locate(block: &Block, fault: NetworkError) -> ParseError {
    let refuse = |key: &str, expected: &str, found: String| match block.value_at_fault(key, &found) {
        Some(value) => ParseError { found, ..value.refuse(expected) },
        None => ParseError { at: 0, end: 0, expected: format!("{expected} for {key}"), found },
    };
    match fault {
        NetworkError::Range { key, expected, found } => {
            let is_population = key == ARRAY[0].key && block.value_at_fault(key, &found).is_none();
            refuse(if is_population { POPULATION[0].key } else { key }, &expected, found)
        }
        NetworkError::TooLarge { found } => refuse(ARRAY[0].key, &too_large(), found.to_string()),
        other => ParseError { at: 0, end: 0, expected: "a valid module".into(), found: other.to_string() },
    }
}

fn too_large() -> String {
    format!("at most {MAX_NEURONS} neurons (the limit of one module)")
}

/// Where the size of the module's array is given, as a table.
fn array_keys(kind: Kind) -> &'static [Parameter<Array>] {
    if kind == Kind::Conv { ARRAY } else { POPULATION }
}

fn read_neurons(block: &mut Block, kind: Kind) -> Result<(Array, Value, NeuronParameters), ParseError> {
    let mut array = Array { nx: 0, ny: 0, x_min: 0, y_min: 0 };
    let mut neurons = NeuronParameters::default();
    let table = array_keys(kind);
    let first = block.read(
        "the neurons",
        &mut [&mut Fields { table, of: &mut array }, &mut Fields { table: NEURONS, of: &mut neurons }],
    )?;
    let nx = block.value(first, table[0].key);
    let count = u64::from(array.nx) * u64::from(array.ny);
    if count > MAX_NEURONS {
        return Err(ParseError { found: count.to_string(), ..nx.refuse(&too_large()) });
    }
    let given = |key: &str| block.given(first, key);
    if neurons.signed().is_some() {
        if let Some(model) = given(NEURON_MODEL).filter(|model| model.number != 0) {
            return Err(model.refuse("0, as neurons are signed,"));
        }
    } else if let Some(value) = ["hysteresis", "min_count", "max_count"].into_iter().find_map(given) {
        return Err(value.refuse("signed 1 in the block, or no such key,"));
    }
    Ok((array, nx, neurons))
}

/// As many port blocks as the head announces, and not one more.
fn read_ports<P, T>(
    block: &mut Block,
    announced: Value,
    table: &'static [Parameter<T>],
    mut read: impl FnMut(&mut Block, &str) -> Result<P, ParseError>,
) -> Result<Vec<P>, ParseError> {
    let n = announced.size()?;
    // Grows with what is read, as the announced number may be anything.
    let mut ports = Vec::new();
    for k in 1..=n {
        ports.push(read(block, &format!("port block {k} of {n}"))?);
    }
    let keys: Vec<_> = table.iter().map(|parameter| parameter.key).collect();
    block.no_more(&keys, &announced)?;
    Ok(ports)
}

fn conv_port(block: &mut Block, name: &str) -> Result<ConvPort, ParseError> {
    let mut port = ConvPort::kernel(0, 0, 0, 0, [].into());
    let first = block.read(name, &mut [&mut Fields { table: CONV_PORT, of: &mut port }])?;
    let [nx, ny] = [0, 1].map(|k| block.value(first, CONV_PORT[k].key));
    port.weights = block.matrix(&nx, port.ny.into(), &ny, name)?;
    Ok(port)
}

fn fully_connected_port(block: &mut Block, name: &str, population: &Value) -> Result<FullyConnectedPort, ParseError> {
    let mut port = FullyConnectedPort { nx_pre: 0, ny_pre: 0, weights: std::iter::empty().collect() };
    let first = block.read(name, &mut [&mut Fields { table: FULLY_CONNECTED_PORT, of: &mut port }])?;
    let nx = block.value(first, FULLY_CONNECTED_PORT[0].key);
    port.weights = block.matrix(population, u64::from(port.nx_pre) * u64::from(port.ny_pre), &nx, name)?;
    Ok(port)
}

fn flatten_port(block: &mut Block, name: &str) -> Result<FlattenPort, ParseError> {
    let mut port = FlattenPort { nx: 0, ny: 0 };
    block.read(name, &mut [&mut Fields { table: FLATTEN_PORT, of: &mut port }])?;
    Ok(port)
}

fn pool_port(block: &mut Block, name: &str, rule: &mut PoolRule) -> Result<PoolPort, ParseError> {
    let (mut port, mut own) = (PoolPort::RESET, PoolRule::Busiest);
    let first = block.read(
        name,
        &mut [&mut Fields { table: POOL_PORT, of: &mut port }, &mut Fields { table: POOL_RULE, of: &mut own }],
    )?;
    let is_data = name.starts_with("port block 1 ");
    let (masks, others) = POOL_RULE.split_at(3);
    let masks = masks.iter().filter(|mask| block.given(first, mask.key).is_some()).count();
    if masks > 0 && (masks < 3 || !is_data) {
        let last = block.value(first, POOL_PORT[POOL_PORT.len() - 1].key);
        return Err(last.refuse("all of mask_tau, mask_weight and THplus in the data port, or none of them"));
    }
    let mut known = masks > 0;
    for other in others.iter().filter_map(|other| block.given(first, other.key)).filter(|other| other.number != 0) {
        if known || !is_data {
            return Err(other.refuse(
                "0; or, in the data port, one of mask_tau (with mask_weight and THplus), signed, average_over and \
                 leak_decay,",
            ));
        }
        known = true;
    }
    if is_data {
        *rule = own;
    }
    Ok(port)
}

fn read_output(block: &mut Block) -> Result<Output, ParseError> {
    let mut output = Output::whole(Array { nx: 1, ny: 1, x_min: 0, y_min: 0 });
    block.read("the output", &mut [&mut Fields { table: OUTPUT, of: &mut output }])?;
    Ok(output)
}

/// Writes a parameter file.
///
/// # Errors
/// What the writer says.
pub fn write_parameters(parameters: &Parameters, out: &mut dyn Write) -> io::Result<()> {
    let mut text = TextWriter::new(out);
    text.line(".integers")?;
    let counts = PortCounts { inputs: parameters.kind.ports() as u32, outputs: parameters.n_out_ports };
    write_fields(&mut text, PORT_COUNTS, &counts)?;
    write_fields(&mut text, TIMING, &parameters.timing)?;
    match &parameters.kind {
        ModuleKind::Conv(conv) => {
            write_fields(&mut text, ARRAY, &conv.array)?;
            write_fields(&mut text, NEURONS, &conv.neurons)?;
            for port in &conv.ports {
                write_fields(&mut text, CONV_PORT, port)?;
                rows(&mut text, port.nx, &port.weights)?;
            }
            write_fields(&mut text, OUTPUT, &conv.output)?;
        }
        ModuleKind::FullyConnected(full) | ModuleKind::Softmax(full) => {
            write_fields(&mut text, POPULATION, &full.array)?;
            write_fields(&mut text, NEURONS, &full.neurons)?;
            for port in &full.ports {
                write_fields(&mut text, FULLY_CONNECTED_PORT, port)?;
                rows(&mut text, full.array.nx, &port.weights)?;
            }
            write_fields(&mut text, OUTPUT, &full.output)?;
        }
        ModuleKind::Flatten(ports) => {
            for port in ports {
                write_fields(&mut text, FLATTEN_PORT, port)?;
            }
        }
        ModuleKind::MaxPool(pool) => {
            for (k, port) in pool.ports.iter().enumerate() {
                let rule = if k == 0 { pool.rule } else { PoolRule::Busiest };
                write_fields(&mut text, POOL_PORT, port)?;
                write_fields(&mut text, POOL_RULE, &rule)?;
            }
        }
    }
    text.line(".floats")?;
    text.flush()
}

fn write_fields<T>(text: &mut TextWriter, table: &'static [Parameter<T>], of: &T) -> io::Result<()> {
    let written = table.iter().filter_map(|parameter| Some((parameter.key, parameter.written(of)?)));
    written.into_iter().try_for_each(|(key, value)| text.value(key, value))
}

fn rows(text: &mut TextWriter, columns: u32, weights: &[i32]) -> io::Result<()> {
    // A matrix without columns has no line to write.
    weights.chunks(columns.max(1) as usize).try_for_each(|row| text.row(row))
}
