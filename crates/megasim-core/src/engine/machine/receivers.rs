//! Who receives the events of a node, and the ways there.

use super::mesh::LinkIndex;
use super::parameters::{Link, Machine};
use super::statistics::NodeStatistics;
use crate::engine::plan::Plan;
use crate::network::{Driver, ModuleId, Network, NodeId};

/// One port that reads a node, and the ways there.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub module: u32,
    /// The core of the module, or its first one.
    pub core: u32,
    pub port: u32,
    pub link: Link,
    /// Cores of the module; a message goes to each.
    pub copies: u32,
    /// The index of the ways from the first core of the driver.
    from: u32,
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

/// The messages of one event of a node.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Messages {
    pub count: u64,
    /// Links to the east or west that they take, and to the north or south.
    pub hops_east_west: u64,
    pub hops_north_south: u64,
}

impl Messages {
    /// Counts them as sent. All of them get there: a run goes on until nothing is under way.
    pub fn count_in(self, statistics: &mut NodeStatistics) {
        statistics.messages += self.count;
        statistics.hops_east_west += self.hops_east_west;
        statistics.hops_north_south += self.hops_north_south;
    }
}

/// The receivers of all nodes.
#[derive(Debug, Clone)]
pub(super) struct Receivers {
    /// Node by node, of each in netlist order, then port order.
    targets: Vec<Target>,
    /// By node: the number of its first one; one more at the end.
    first: Vec<u32>,
    ways: Ways,
    /// By node, then by core of its driver.
    messages: Vec<Vec<Messages>>,
}

/// The ways to all receivers.
#[derive(Debug, Clone, Default)]
struct Ways {
    /// By receiver, then by core of the driver, then by core of the module: those that have links.
    ways: Vec<Way>,
    /// By receiver, then by core of the driver: where these end.
    ends: Vec<u32>,
    /// The links of all of them.
    links: Vec<LinkIndex>,
}

impl Ways {
    /// The ways from a core of the driver that have links.
    #[inline]
    fn of(&self, target: &Target, from: u32) -> &[Way] {
        let at = (target.from + from) as usize;
        let begin = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.ways[begin as usize..self.ends[at] as usize]
    }

    fn links(&self, way: Way) -> &[LinkIndex] {
        &self.links[way.begin as usize..way.end as usize]
    }
}

impl Receivers {
    pub fn new(network: &Network, plan: &Plan, machine: &Machine, cores: &[u32]) -> Self {
        let (mut targets, mut first, mut ways, mut messages) = (Vec::new(), vec![0], Ways::default(), Vec::new());
        for node in 0..plan.nodes.len() {
            let begin = targets.len();
            of_node(network, plan, (machine, cores), node, (&mut targets, &mut ways));
            let of_node = &mut targets[begin..];
            let froms = driver_cores(network, machine, node);
            if machine.cores.is_some() {
                share_messages(of_node, begin, froms, &ways);
            }
            messages.push((0..froms).map(|from| sent(of_node, from, &ways)).collect());
            first.push(targets.len() as u32);
        }
        Self { targets, first, ways, messages }
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
        self.ways.links[place as usize]
    }

    /// The ways to a receiver from a core of the driver that have links.
    #[inline]
    pub fn ways(&self, target: &Target, from: u32) -> &[Way] {
        self.ways.of(target, from)
    }

    /// Cores from which events of a node leave.
    pub fn froms(&self, node: usize) -> u32 {
        self.messages[node].len() as u32
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
    (machine, cores): (&Machine, &[u32]),
    node: usize,
    (targets, ways): (&mut Vec<Target>, &mut Ways),
) {
    let id = NodeId::new(node);
    let froms = match network.nodes()[node].driver {
        Driver::Source(source) => machine.mesh.iter().map(|mesh| mesh.sources[source.index()]).collect(),
        Driver::Module(module) => machine.tiles(module),
    };
    for reader in &plan.nodes[node].readers {
        let module = ModuleId::new(reader.population);
        let tos = machine.tiles(module);
        let begin = ways.ends.len() as u32;
        for from in 0..driver_cores(network, machine, node) {
            if let (Some(mesh), Some(&from)) = (&machine.mesh, froms.get(from as usize)) {
                for &to in &tos {
                    let begin = ways.links.len() as u32;
                    ways.links.extend(mesh.route(from, to));
                    let way = Way { begin, end: ways.links.len() as u32 };
                    if way.begin < way.end {
                        ways.ways.push(way);
                    }
                }
            }
            ways.ends.push(ways.ways.len() as u32);
        }
        targets.push(Target {
            module: reader.population as u32,
            core: cores[reader.population],
            port: reader.port as u32,
            link: machine.link(id, module),
            copies: machine.cores_of(module) as u32,
            from: begin,
            with: Vec::new(),
            follows: false,
        });
    }
}

/// What an event of a node with these receivers sends from a core.
fn sent(targets: &[Target], from: u32, ways: &Ways) -> Messages {
    let mut sent = Messages::default();
    for target in targets.iter().filter(|target| !target.follows) {
        sent.count += u64::from(target.copies);
        for &way in ways.of(target, from) {
            let links = ways.links(way);
            let east_west = links.iter().filter(|link| link.is_east_west()).count();
            sent.hops_east_west += east_west as u64;
            sent.hops_north_south += (links.len() - east_west) as u64;
        }
    }
    sent
}

/// Lets receivers on one core, over wires that are alike, share a message. `begin`: the number of the first one;
/// `froms`: cores of the driver.
fn share_messages(targets: &mut [Target], begin: usize, froms: u32, ways: &Ways) {
    let are_same =
        |a: &[Way], b: &[Way]| a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| ways.links(a) == ways.links(b));
    for k in 0..targets.len() {
        let is_alike = |a: &Target, b: &Target| {
            a.core == b.core && a.link == b.link && (0..froms).all(|from| are_same(ways.of(a, from), ways.of(b, from)))
        };
        let first = (0..k).find(|&first| !targets[first].follows && is_alike(&targets[first], &targets[k]));
        if let Some(first) = first {
            targets[first].with.push((begin + k) as u32);
            targets[k].follows = true;
        }
    }
}
