//! Networks as scripts for other simulators: a directory with one script, the synapses as `.npz`, and nothing else that
//! it needs.

use super::connections::{Connections, Neurons, Population, Unsupported};
use megasim_data::npy::NpzWriter;
use ndarray::Array1;
use std::fmt::Write as _;
use std::io::{self, Cursor};
use std::iter::repeat_n;

/// The file with synapses and parameters of neurons.
pub const ARRAYS: &str = "connections.npz";
/// The script.
pub const SCRIPT: &str = "network.py";

/// A simulator that scripts are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Simulator {
    /// Brian2.
    Brian2,
    /// PyNN, for any of its back ends.
    PyNn,
    /// SANA-FE, with the energies and times of a chip.
    SanaFe,
}

/// What a simulator cannot represent, where [`Connections`] has it.
///
/// # Errors
/// The first population with it.
pub fn check(network: &Connections, simulator: Simulator) -> Result<(), Unsupported> {
    if simulator != Simulator::SanaFe {
        return Ok(());
    }
    for Population { label, neurons, .. } in &network.populations {
        let Some(of) = neurons else { continue };
        let reason = match of {
            of if of.tau_refrac > 0.0 => "SANA-FE's neurons here have no refractory time",
            of if of.leak > 0.0 && of.v_rest.iter().any(|&rest| rest != 0.0) => "SANA-FE's neurons leak to 0 only",
            _ => continue,
        };
        return Err(Unsupported { module: label.clone(), reason: reason.into() });
    }
    Ok(())
}

/// The files of such a directory, by name.
///
/// # Errors
/// If an archive cannot be made in memory.
pub fn files(network: &Connections, simulator: Simulator) -> io::Result<Vec<(&'static str, Vec<u8>)>> {
    let script = match simulator {
        Simulator::Brian2 => script(network, include_str!("script/brian2.py")),
        Simulator::PyNn => script(network, include_str!("script/pynn.py")),
        Simulator::SanaFe => script(network, include_str!("script/sanafe.py")),
    };
    Ok(vec![(SCRIPT, script.into_bytes()), (ARRAYS, arrays(network)?)])
}

/// Synapses and parameters: `FROM/TO/from`, `FROM/TO/to`, `FROM/TO/weight`, `LAYER/bias`, ...
fn arrays(network: &Connections) -> io::Result<Vec<u8>> {
    let mut npz = NpzWriter::compressed(Cursor::new(Vec::new()));
    let label = |number: usize| &network.populations[number].label;
    for of in &network.projections {
        let name = format!("{}/{}", label(of.from), label(of.to));
        let (from, to, weights) = &of.synapses;
        npz.add(&format!("{name}/from"), &Array1::from(from.clone()))?;
        npz.add(&format!("{name}/to"), &Array1::from(to.clone()))?;
        npz.add(&format!("{name}/weight"), &Array1::from(weights.clone()))?;
    }
    if let Some(order) = &network.input_order {
        let order = order.iter().map(|&number| number as u64);
        npz.add(&format!("{}/order", label(0)), &Array1::from_iter(order))?;
    }
    if let Some(features) = &network.input_features {
        let cells = network.populations[0].shape.iter().product::<usize>() / features.scales().len().max(1);
        let of_numbers =
            |values: &[f64]| values.iter().flat_map(|&value| repeat_n(value, cells)).collect::<Array1<_>>();
        npz.add(&format!("{}/scale", label(0)), &of_numbers(features.scales()))?;
        npz.add(&format!("{}/offset", label(0)), &of_numbers(features.offsets()))?;
    }
    for Population { label, neurons, .. } in &network.populations {
        let Some(neurons) = neurons else { continue };
        let Neurons { v_thresh, v_reset, v_rest, v_min, v_start, bias, .. } = neurons;
        let all = [
            ("v_thresh", v_thresh),
            ("v_reset", v_reset),
            ("v_rest", v_rest),
            ("v_min", v_min),
            ("v_start", v_start),
            ("bias", bias),
        ];
        for (name, numbers) in all {
            npz.add(&format!("{label}/{name}"), &Array1::from(numbers.clone()))?;
        }
    }
    Ok(npz.finish()?.into_inner())
}

/// The script with this network's layers in the place of `# LAYERS`.
fn script(network: &Connections, template: &str) -> String {
    let mut layers = String::from("LAYERS = [\n");
    for Population { label, shape, neurons } in &network.populations {
        let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
        let shape = shape.join(", ");
        let comma = if shape.contains(',') { "" } else { "," };
        _ = match neurons {
            None => {
                let scale = network.input_scale;
                writeln!(layers, "    dict(label=\"{label}\", shape=({shape}{comma}), scale={scale:?}),")
            }
            Some(of) => writeln!(
                layers,
                "    dict(label=\"{label}\", shape=({shape}{comma}), leak={:?}, tau_refrac={:?}, reset=\"{}\", \
                 spikes={}),",
                of.leak,
                of.tau_refrac,
                if of.subtracts { "subtract" } else { "zero" },
                if of.spikes { "True" } else { "False" },
            ),
        };
    }
    layers += "]\nPROJECTIONS = [\n";
    for of in &network.projections {
        let label = |number: usize| &network.populations[number].label;
        _ = writeln!(layers, "    (\"{}\", \"{}\"),", label(of.from), label(of.to));
    }
    layers += "]";
    template.replace("# LAYERS", &layers)
}
