//! `megasim inspect` of a file that holds a spiking network, and of the netfiles of one.

use super::{Arguments, refused};
use crate::cli::convert::nir::layers;
use crate::cli::tables::{boxed, counted};
use crate::cli::{answer, print};
use megasim::ann::nir::{Nir, NirNode};
use megasim::convert::ConvertedModel;
use megasim::convert::manifest::Layer;
use megasim::convert::nir::{self, NirOptions};
use miette::Result;
use serde_json::{Value, json};

/// The nodes of a file, and what they are as netfiles.
pub fn file(arguments: &Arguments) -> Result<()> {
    let file = Nir::open(&arguments.target).map_err(|error| refused(arguments, error))?;
    let rows = file.graph.nodes.iter().enumerate().map(|(number, node)| {
        let reads: Vec<&str> =
            file.graph.edges.iter().filter(|(_, to)| *to == number).map(|&(from, _)| name(&file, from)).collect();
        vec![node.name.clone(), node.kind.clone(), shown(&reads), node.primitive.parameters().to_string()]
    });
    print(&format!("{}\n", boxed(&["node", "type", "reads", "parameters"], rows.collect::<Vec<_>>())));
    let mut figures = json!({ "nodes": nodes(&file) });
    let nodes_are = format!("A spiking network of {}", counted(file.graph.nodes.len() as u64, "node"));
    let sentence;
    match nir::convert(&file, &NirOptions::default()) {
        Ok((converted, _)) => {
            print(&format!("As netfiles:\n{}\n", layers(&converted)));
            figures["layers"] = as_json(&converted);
            sentence =
                format!("{nodes_are}; as netfiles {}.", counted(converted.manifest().layers.len() as u64, "layer"));
        }
        Err(error) => {
            sentence = format!("cannot be netfiles: {error}");
            figures["refused"] = json!(error.to_string());
        }
    }
    arguments.results.write(&figures, &[], std::slice::from_ref(&arguments.target), None, json!({}))?;
    answer(&sentence);
    Ok(())
}

/// The layers of netfiles.
pub fn netfiles(arguments: &Arguments, converted: &ConvertedModel) -> Result<()> {
    print(&format!("{}\n", layers(converted)));
    let figures = json!({ "layers": as_json(converted) });
    arguments.results.write(&figures, &[], std::slice::from_ref(&arguments.target), None, json!({}))?;
    let layers = counted(converted.manifest().layers.len() as u64, "layer");
    answer(&format!("Netfiles of a spiking network of {layers}."));
    Ok(())
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
    let one =
        |node: &NirNode| json!({ "name": node.name, "type": node.kind, "parameters": node.primitive.parameters() });
    file.graph.nodes.iter().map(one).collect()
}

fn as_json(converted: &ConvertedModel) -> Value {
    let one = |layer: &Layer| {
        let Layer { name, source, kind, shape, .. } = layer;
        json!({ "name": name, "source": source, "kind": kind, "shape": shape })
    };
    converted.manifest().layers.iter().map(one).collect()
}
