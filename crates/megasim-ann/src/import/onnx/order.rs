//! The order of ONNX nodes: no value may depend on itself.

use super::super::ImportError;
use super::{proto, unsupported};
use megasim_core::graph::cyclic_components;
use std::collections::HashMap;

/// Nodes of a cycle that a message names.
const MAX_NAMED: usize = 8;

/// Refuses a graph with a cycle, or with two makers of one value; the message names the nodes.
pub(super) fn check(graph: &proto::Graph) -> Result<(), ImportError> {
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (place, node) in graph.node.iter().enumerate() {
        // An output without a name is one that is left out.
        for output in node.output.iter().filter(|output| !output.is_empty()) {
            if makers.insert(output, place).is_some() {
                let message = format!("expected one node that gives '{output}', found two");
                return Err(unsupported(name(node), &node.op_type, message));
            }
        }
    }
    let mut readers = vec![Vec::new(); graph.node.len()];
    for (place, node) in graph.node.iter().enumerate() {
        for &maker in node.input.iter().filter_map(|input| makers.get(input.as_str())) {
            readers[maker].push(place);
        }
    }
    // The cycle whose first node comes first in the file.
    let Some(nodes) = cyclic_components(&readers).into_iter().min_by_key(|nodes| nodes[0]) else {
        return Ok(());
    };
    let quoted = |&node: &usize| format!("'{}'", name(&graph.node[node]));
    let mut names = nodes.iter().take(MAX_NAMED).map(quoted).collect::<Vec<_>>().join(", ");
    if nodes.len() > MAX_NAMED {
        names += &format!(" and {} more", nodes.len() - MAX_NAMED);
    }
    let first = &graph.node[nodes[0]];
    let message = format!("expected nodes that read earlier nodes only, found a cycle through {names}");
    Err(unsupported(name(first), &first.op_type, message))
}

/// Name of a node; where it has none, of what it gives.
fn name(node: &proto::Node) -> &str {
    if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name }
}
