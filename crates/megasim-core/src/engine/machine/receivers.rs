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
    /// By core of the driver: the ways from it that have links, in the order of the cores of the module.
    ways: Vec<Vec<Way>>,
    /// Receivers of the node on the same core, to which the message of this one goes too, by their numbers.
    pub with: Vec<u32>,
    /// Whether the message of another one goes to this one too.
    pub follows: bool,
}

/// A way through the mesh: a stretch of the links of all ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Way {
    pub begin: u32,
    pub end: u32,
}

impl Target {
    /// The ways from a core of the driver that have links.
    #[inline]
    pub fn ways(&self, from: u32) -> &[Way] {
        &self.ways[from as usize]
    }

    /// Whether messages from a core of the driver go over links.
    pub fn travels(&self, from: u32) -> bool {
        !self.ways(from).is_empty()
    }
}

/// The messages of one event of a node.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Messages {
    pub count: u64,
    /// Links to the east or west that they take, and to the north or south.
    pub hops_east_west: u64,
    pub hops_north_south: u64,
}

/// The receivers of all nodes.
#[derive(Debug, Clone)]
pub(super) struct Receivers {
    /// Node by node, of each in netlist order, then port order.
    targets: Vec<Target>,
    /// By node: the number of its first one; one more at the end.
    first: Vec<u32>,
    /// The links of all ways.
    links: Vec<LinkIndex>,
    /// By node, then by core of its driver.
    messages: Vec<Vec<Messages>>,
}

impl Receivers {
    pub fn new(network: &Network, plan: &Plan, machine: &Machine, cores: &[u32]) -> Self {
        let (mut targets, mut first, mut links, mut messages) = (Vec::new(), vec![0], Vec::new(), Vec::new());
        for node in 0..plan.nodes.len() {
            let begin = targets.len();
            of_node(network, plan, machine, node, (&mut targets, &mut links));
            let of_node = &mut targets[begin..];
            if machine.cores.is_some() {
                share_messages(of_node, begin, cores, &links);
            }
            messages.push((0..driver_cores(network, machine, node)).map(|from| sent(of_node, from, &links)).collect());
            first.push(targets.len() as u32);
        }
        Self { targets, first, links, messages }
    }

    /// The nodes.
    pub fn nodes(&self) -> usize {
        self.messages.len()
    }

    /// The numbers of the receivers of a node.
    #[inline]
    pub fn of(&self, node: usize) -> std::ops::Range<u32> {
        self.first[node]..self.first[node + 1]
    }

    /// The receiver of a number.
    #[inline]
    pub fn target(&self, number: u32) -> &Target {
        &self.targets[number as usize]
    }

    /// A link, by its place in a way.
    #[inline]
    pub fn link(&self, place: u32) -> LinkIndex {
        self.links[place as usize]
    }

    /// Messages of one event of a node that leaves from a core of its driver.
    pub fn messages(&self, node: usize, from: u32) -> Messages {
        self.messages[node][from as usize]
    }
}

/// Cores of the module that drives a node.
fn driver_cores(network: &Network, machine: &Machine, node: usize) -> u32 {
    match network.nodes()[node].driver {
        Driver::Source(_) => 1,
        Driver::Module(module) => machine.cores_of(module) as u32,
    }
}

fn of_node(
    network: &Network,
    plan: &Plan,
    machine: &Machine,
    node: usize,
    (targets, links): (&mut Vec<Target>, &mut Vec<LinkIndex>),
) {
    let id = NodeId::new(node);
    let froms = match network.nodes()[node].driver {
        Driver::Source(source) => machine.mesh.iter().map(|mesh| mesh.sources[source.index()]).collect(),
        Driver::Module(module) => machine.tiles(module),
    };
    for reader in &plan.nodes[node].readers {
        let module = ModuleId::new(reader.population);
        let tos = machine.tiles(module);
        let mut ways = vec![Vec::new(); driver_cores(network, machine, node) as usize];
        if let Some(mesh) = &machine.mesh {
            for (ways, &from) in ways.iter_mut().zip(&froms) {
                for &to in &tos {
                    let begin = links.len() as u32;
                    links.extend(mesh.route(from, to));
                    let way = Way { begin, end: links.len() as u32 };
                    if way.begin < way.end {
                        ways.push(way);
                    }
                }
            }
        }
        targets.push(Target {
            module: reader.population as u32,
            port: reader.port as u32,
            link: machine.link(id, module),
            copies: machine.cores_of(module) as u32,
            ways,
            with: Vec::new(),
            follows: false,
        });
    }
}

/// What an event of a node with these receivers sends from a core.
fn sent(targets: &[Target], from: u32, links: &[LinkIndex]) -> Messages {
    let mut sent = Messages::default();
    for target in targets.iter().filter(|target| !target.follows) {
        sent.count += u64::from(target.copies);
        for way in target.ways(from) {
            let links = &links[way.begin as usize..way.end as usize];
            let east_west = links.iter().filter(|link| link.is_east_west()).count();
            sent.hops_east_west += east_west as u64;
            sent.hops_north_south += (links.len() - east_west) as u64;
        }
    }
    sent
}

/// Lets receivers on one core, over wires that are alike, share a message. `begin`: the number of the first one.
fn share_messages(targets: &mut [Target], begin: usize, cores: &[u32], links: &[LinkIndex]) {
    let way = |way: &Way| &links[way.begin as usize..way.end as usize];
    let are_same = |a: &[Vec<Way>], b: &[Vec<Way>]| {
        a.iter().zip(b).all(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| way(a) == way(b)))
    };
    for k in 0..targets.len() {
        let is_alike = |a: &Target, b: &Target| {
            cores[a.module as usize] == cores[b.module as usize] && a.link == b.link && are_same(&a.ways, &b.ways)
        };
        let first = (0..k).find(|&first| !targets[first].follows && is_alike(&targets[first], &targets[k]));
        if let Some(first) = first {
            targets[first].with.push((begin + k) as u32);
            targets[k].follows = true;
        }
    }
}
