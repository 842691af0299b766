//! The counts that a network should have: one pass over its modules in exact integers, without time, events or order.
//!
//! It reads the [`Network`] and nothing of the engine, so that an error of either shows as a difference.

use megasim_core::network::{
    Conv, FlattenPort, FullyConnected, Input, MaxPool, ModuleId, ModuleKind, Network, NeuronParameters, Output,
    Polarity, PoolRule, Stimulus,
};
use std::collections::BTreeMap;

/// Spikes of each address of a node, with their signs; of a module's node every address that it has.
pub type Counts = BTreeMap<(i32, i32), i64>;

/// Why a network has no such counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node {{{node}}}: {reason}, so that its counts have no order-free form")]
pub struct NoCounts {
    /// The first output of the module.
    pub node: String,
    /// What the module has.
    pub reason: &'static str,
}

/// The counts of all nodes, by number, after these stimuli, which start from a fresh state.
///
/// # Errors
/// The first module whose counts depend on time.
pub fn counts(network: &Network, stimuli: &[Stimulus]) -> Result<Vec<Counts>, NoCounts> {
    let mut of_nodes: Vec<Option<Counts>> = vec![None; network.nodes().len()];
    for (node, stimulus) in network.sources().iter().zip(stimuli) {
        of_nodes[node.index()] = Some(of_stimulus(stimulus));
    }
    for (index, module) in network.modules().iter().enumerate() {
        let outputs = network.outputs(ModuleId::new(index));
        let refuse = |reason| NoCounts {
            node: outputs.first().map_or(String::new(), |node| network.nodes()[node.index()].name.clone()),
            reason,
        };
        let nothing = Counts::new();
        let mut inputs = Vec::new();
        for input in &module.inputs[..module.kind.ports()] {
            inputs.push(match input {
                Input::Undriven(_) => &nothing,
                Input::Node(node) => {
                    of_nodes[node.index()].as_ref().ok_or_else(|| refuse("it reads a feedback edge"))?
                }
            });
        }
        let mut counts = match &module.kind {
            ModuleKind::Conv(conv) => convolution(conv, &inputs).map_err(refuse)?,
            ModuleKind::FullyConnected(full) => fully_connected(full, &inputs).map_err(refuse)?,
            ModuleKind::Softmax(_) => return Err(refuse("it is a softmax")),
            ModuleKind::Flatten(ports) => flatten(ports, &inputs),
            ModuleKind::MaxPool(pool) => max_pool(pool, &inputs).map_err(refuse)?,
        };
        counts.values_mut().for_each(|count| *count *= i64::from(module.timing.n_repeat));
        for node in outputs {
            of_nodes[node.index()] = Some(counts.clone());
        }
    }
    Ok(of_nodes.into_iter().map(Option::unwrap_or_default).collect())
}

fn of_stimulus(stimulus: &Stimulus) -> Counts {
    let mut counts = Counts::new();
    for event in stimulus.iter() {
        let sign = match event.polarity {
            Polarity::Positive => 1,
            Polarity::Negative if event.y != -1 => -1,
            Polarity::Negative | Polarity::Reset | Polarity::Settle => continue,
        };
        *counts.entry((event.x, event.y)).or_default() += sign;
    }
    counts
}

/// `clip(floor((V0 + sum) / threshold), least, most)` of signed neurons. Of others the spikes that the input is worth,
/// and no more than that.
fn spikes(neurons: &NeuronParameters, sum: i128) -> i64 {
    let total = i128::from(neurons.rest()) + sum;
    let (plus, minus) = (i128::from(neurons.threshold_plus), i128::from(neurons.threshold_minus));
    let n = match neurons.signed() {
        Some(signed) => total.div_euclid(plus).clamp(signed.min_count.into(), signed.max_count.into()),
        None if total >= 0 && neurons.fires_plus && plus > 0 => total / plus,
        None if total < 0 && neurons.fires_minus && minus < 0 => -(total / minus),
        None => 0,
    };
    n as i64
}

fn refuse_time(neurons: &NeuronParameters) -> Result<(), &'static str> {
    if neurons.model().is_some() {
        return Err("its neurons follow equations");
    }
    if neurons.payload_bits.is_some() {
        return Err("its spikes carry values (payload_bits)");
    }
    if neurons.mask_tau > 0 {
        return Err("its neurons have a mask_tau");
    }
    if neurons.leak_plus > 0 || neurons.leak_minus > 0 || neurons.leak_decay > 0 {
        return Err("its neurons leak");
    }
    Ok(())
}

/// What leaves neurons with these counts, `(x, y, count)`.
fn leaving(output: &Output, neurons: impl Iterator<Item = (i32, i32, i64)>) -> Result<Counts, &'static str> {
    let mut counts = Counts::new();
    for (x, y, count) in neurons {
        let Some(address) = output.address(x, y) else { continue };
        if address.1 == -1 {
            return Err("negative spikes of row -1 are control events");
        }
        *counts.entry(address).or_default() += if output.rectify { count.abs() } else { count };
    }
    Ok(counts)
}

fn convolution(conv: &Conv, inputs: &[&Counts]) -> Result<Counts, &'static str> {
    refuse_time(&conv.neurons)?;
    let (nx, ny) = (i64::from(conv.array.nx), i64::from(conv.array.ny));
    let (x_min, y_min) = (i64::from(conv.array.x_min), i64::from(conv.array.y_min));
    let mut sums = vec![0i128; conv.array.len()];
    for (port, input) in conv.ports.iter().zip(inputs) {
        for (&(x, y), &count) in input.iter().filter(|(_, count)| **count != 0) {
            for (k, &weight) in port.weights.iter().enumerate() {
                let (j, i) = (k as i64 / i64::from(port.nx), k as i64 % i64::from(port.nx));
                let column = i64::from(x) * i64::from(port.x_expand) + i64::from(port.dx) + i;
                let row = i64::from(y) * i64::from(port.y_expand) + i64::from(port.dy) + j;
                if column % i64::from(port.x_stride) != 0 || row % i64::from(port.y_stride) != 0 {
                    continue;
                }
                let (column, row) = (column / i64::from(port.x_stride) - x_min, row / i64::from(port.y_stride) - y_min);
                if (0..nx).contains(&column) && (0..ny).contains(&row) {
                    sums[(row * nx + column) as usize] += i128::from(count) * i128::from(weight);
                }
            }
        }
    }
    let of = |(k, &sum): (usize, &i128)| {
        let (x, y) = (x_min + k as i64 % nx, y_min + k as i64 / nx);
        (x as i32, y as i32, spikes(&conv.neurons, sum))
    };
    leaving(&conv.output, sums.iter().enumerate().map(of))
}

fn fully_connected(full: &FullyConnected, inputs: &[&Counts]) -> Result<Counts, &'static str> {
    refuse_time(&full.neurons)?;
    let n = full.array.len();
    let mut sums = vec![0i128; n];
    for (port, input) in full.ports.iter().zip(inputs) {
        for (&(x, y), &count) in input.iter().filter(|(_, count)| **count != 0) {
            if x < 0 || y < 0 || x as u32 >= port.nx_pre || y as u32 >= port.ny_pre {
                return Err("it reads an address outside its matrix");
            }
            let line = x as usize + y as usize * port.nx_pre as usize;
            for (sum, &weight) in sums.iter_mut().zip(&port.weights[line * n..]) {
                *sum += i128::from(count) * i128::from(weight);
            }
        }
    }
    let of = |(k, &sum): (usize, &i128)| (full.array.x_min + k as i32, full.array.y_min, spikes(&full.neurons, sum));
    leaving(&full.output, sums.iter().enumerate().map(of))
}

fn flatten(ports: &[FlattenPort], inputs: &[&Counts]) -> Counts {
    let mut counts = Counts::new();
    let mut before = 0i64;
    for (port, input) in ports.iter().zip(inputs) {
        let (nx, ny) = (i64::from(port.nx), i64::from(port.ny));
        for (&(x, y), &count) in *input {
            let (x, y) = (i64::from(x), i64::from(y));
            if (0..nx).contains(&x) && (0..ny).contains(&y) {
                *counts.entry(((before + y * nx + x) as i32, 0)).or_default() += count;
            }
        }
        before += nx * ny;
    }
    counts
}

fn max_pool(pool: &MaxPool, inputs: &[&Counts]) -> Result<Counts, &'static str> {
    if matches!(pool.rule, PoolRule::Mask(_)) {
        return Err("its windows have a mask_tau");
    }
    let mut counts = Counts::new();
    let (Some(port), Some(input)) = (pool.ports.first(), inputs.first()) else { return Ok(counts) };
    let inside = |at: i64, n: u32| (0..i64::from(n)).contains(&at);
    for row in 0..i64::from(port.ny_out) {
        for column in 0..i64::from(port.nx_out) {
            let (left, top) = (
                column * i64::from(port.x_stride) + i64::from(port.dx),
                row * i64::from(port.y_stride) + i64::from(port.dy),
            );
            let rows = (top..top + i64::from(port.ny_pool)).filter(|&y| inside(y, port.ny));
            let cells = rows.flat_map(|y| {
                (left..left + i64::from(port.nx_pool))
                    .filter(|&x| inside(x, port.nx))
                    .map(move |x| (x as i32, y as i32))
            });
            let largest = cells.map(|cell| input.get(&cell).copied().unwrap_or(0)).max().unwrap_or(0);
            counts.insert((column as i32, row as i32), largest);
        }
    }
    Ok(counts)
}
