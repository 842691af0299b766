//! `megasim inspect` of a file that holds a spiking network, and of the netfiles of one.

use super::Arguments;
use crate::cli::convert::nir::layers;
use crate::cli::diagnostic::report;
use crate::cli::print;
use crate::cli::tables::boxed;
use megasim::ann::nir::{Neurons, Nir, NirNode, Primitive};
use megasim::convert::ConvertedModel;
use megasim::convert::manifest::Layer;
use megasim::convert::nir::{self, NirOptions};
use miette::Result;
use serde_json::{Value, json};

/// The nodes of a file, and what they are as netfiles.
pub fn file(arguments: &Arguments) -> Result<()> {
    let file = Nir::open(&arguments.target).map_err(report)?;
    let rows = file.graph.nodes.iter().enumerate().map(|(number, node)| {
        let reads: Vec<&str> =
            file.graph.edges.iter().filter(|(_, to)| *to == number).map(|&(from, _)| name(&file, from)).collect();
        vec![node.name.clone(), node.kind.clone(), shown(&reads), parameters(node).to_string()]
    });
    print(&format!("{}\n", boxed(&["node", "type", "reads", "parameters"], rows.collect::<Vec<_>>())));
    let mut figures = json!({ "nodes": nodes(&file) });
    match nir::convert(&file, &NirOptions::default()) {
        Ok((converted, _)) => {
            print(&format!("As netfiles:\n{}\n", layers(&converted)));
            figures["layers"] = as_json(&converted);
        }
        Err(error) => {
            print(&format!("cannot be netfiles: {error}\n"));
            figures["refused"] = json!(error.to_string());
        }
    }
    arguments.results.write(&figures, &[], std::slice::from_ref(&arguments.target), None, json!({}))
}

/// The layers of netfiles.
pub fn netfiles(arguments: &Arguments, converted: &ConvertedModel) -> Result<()> {
    print(&format!("{}\n", layers(converted)));
    let figures = json!({ "layers": as_json(converted) });
    arguments.results.write(&figures, &[], std::slice::from_ref(&arguments.target), None, json!({}))
}

fn name(file: &Nir, node: usize) -> &str {
    &file.graph.nodes[node].name
}

/// A list that stays on its line.
fn shown(names: &[&str]) -> String {
    match names {
        [] => "-".into(),
        [first, .., last] if names.len() > 3 => format!("{first} to {last} ({})", names.len()),
        _ => names.join(", "),
    }
}

fn nodes(file: &Nir) -> Value {
    let one = |node: &NirNode| json!({ "name": node.name, "type": node.kind, "parameters": parameters(node) });
    file.graph.nodes.iter().map(one).collect()
}

fn as_json(converted: &ConvertedModel) -> Value {
    let one = |layer: &Layer| {
        let Layer { name, source, kind, shape, .. } = layer;
        json!({ "name": name, "source": source, "kind": kind, "shape": shape })
    };
    converted.manifest().layers.iter().map(one).collect()
}

/// Numbers that a node holds.
fn parameters(node: &NirNode) -> usize {
    match &node.primitive {
        Primitive::Linear { weight, bias } => weight.len() + bias.as_ref().map_or(0, |bias| bias.len()),
        Primitive::Convolution(of) => of.weight.len() + of.bias.as_ref().map_or(0, |bias| bias.len()),
        Primitive::Neurons(of) => {
            let Neurons { r, leak, synapse, spikes, .. } = &**of;
            let pairs = [leak, synapse].into_iter().flatten().map(|(a, b)| a.len() + b.len()).sum::<usize>();
            let spikes = spikes
                .as_ref()
                .map_or(0, |(threshold, reset)| threshold.len() + reset.as_ref().map_or(0, |reset| reset.len()));
            r.len() + pairs + spikes
        }
        Primitive::Scale(of) | Primitive::Threshold(of) | Primitive::Delay(of) => of.len(),
        _ => 0,
    }
}
