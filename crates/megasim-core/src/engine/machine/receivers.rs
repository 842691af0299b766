//! Who receives the events of a node, and the ways there.

use super::mesh::LinkIndex;
use super::parameters::{Link, Machine};
use crate::engine::plan::Plan;
use crate::network::{Driver, ModuleId, Network, NodeId};

/// One port that reads a node, and the ways there.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub module: u32,
    pub port: u32,
    pub link: Link,
    /// Cores of the module; a message goes to each.
    pub copies: u32,
    /// Ways through the mesh: by core of the driver, then by core of the module.
    routes: Vec<Vec<LinkIndex>>,
    /// Receivers of the node on the same core, to which the message of this one goes too.
    pub with: Vec<u32>,
    /// Whether the message of another one goes to this one too.
    pub follows: bool,
}

impl Target {
    /// The ways from a core of the driver that have links.
    pub fn ways(&self, from: u32) -> impl Iterator<Item = u32> {
        let all = from * self.copies..(from + 1) * self.copies;
        all.filter(|&way| !self.route(way).is_empty())
    }

    /// Whether messages from a core of the driver go over links.
    pub fn travels(&self, from: u32) -> bool {
        self.ways(from).next().is_some()
    }

    /// The links of a way.
    pub fn route(&self, way: u32) -> &[LinkIndex] {
        &self.routes[way as usize]
    }
}

/// By node: its receivers in netlist order, then port order.
pub(super) fn receivers(network: &Network, plan: &Plan, machine: &Machine, cores: &[u32]) -> Vec<Vec<Target>> {
    let of_node = |node: usize| -> Vec<Target> {
        let id = NodeId::new(node);
        let froms = match network.nodes()[node].driver {
            Driver::Source(source) => machine.mesh.iter().map(|mesh| mesh.sources[source.index()]).collect(),
            Driver::Module(module) => machine.tiles(module),
        };
        let readers = plan.nodes[node].readers.iter().map(|reader| {
            let module = ModuleId::new(reader.population);
            let (tos, copies) = (machine.tiles(module), machine.cores_of(module) as u32);
            let ways = machine.mesh.iter().flat_map(|mesh| {
                froms.iter().flat_map(|&from| tos.iter().map(move |&to| (from, to))).map(|(a, b)| mesh.route(a, b))
            });
            let mut routes: Vec<Vec<LinkIndex>> = ways.collect();
            if machine.mesh.is_none() {
                let from = match network.nodes()[node].driver {
                    Driver::Source(_) => 1,
                    Driver::Module(module) => machine.cores_of(module),
                };
                routes = vec![Vec::new(); from * copies as usize];
            }
            Target {
                module: reader.population as u32,
                port: reader.port as u32,
                link: machine.link(id, module),
                copies,
                routes,
                with: Vec::new(),
                follows: false,
            }
        });
        let mut targets: Vec<Target> = readers.collect();
        if machine.cores.is_some() {
            share_messages(&mut targets, cores);
        }
        targets
    };
    (0..plan.nodes.len()).map(of_node).collect()
}

/// Messages of one event of a node.
pub(super) fn messages(targets: &[Target]) -> u64 {
    targets.iter().filter(|target| !target.follows).map(|target| u64::from(target.copies)).sum()
}

/// Lets receivers on one core, over wires that are alike, share a message.
fn share_messages(targets: &mut [Target], cores: &[u32]) {
    for k in 0..targets.len() {
        let is_alike = |a: &Target, b: &Target| {
            cores[a.module as usize] == cores[b.module as usize] && a.link == b.link && a.routes == b.routes
        };
        let first = (0..k).find(|&first| !targets[first].follows && is_alike(&targets[first], &targets[k]));
        if let Some(first) = first {
            targets[first].with.push(k as u32);
            targets[k].follows = true;
        }
    }
}
