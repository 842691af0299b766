//! Modules on the cores of chips: what a core holds, which modules share one, and where cores are.
//!
//! A layer's modules share a core, in netlist order, until it is full; a module that is too large for a core has its
//! neurons on several. Cores are placed in that order, or so that the
//! spikes measured on some samples travel over few links: starting from the order, two places are exchanged as long as
//! that lessens the sum of hops times spikes.

use super::error::Error;
use super::file::{CoresRule, Located, MeshRule, Pack, Placement};
use super::patterns::Matcher;
use super::{Hardware, TargetNetwork, module_name};
use megasim_core::engine::machine::{Mesh, Split, Tile};
use megasim_core::network::{Array, Driver, Input, ModuleId, ModuleKind, Network, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The cores of a machine in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cores {
    /// Chips, next to each other from west to east.
    pub chips: u32,
    /// Cores of a chip.
    pub per_chip: u64,
    /// Those in use.
    pub used: Vec<CoreUse>,
    /// What a core holds, where that is limited, in the order of [`CoreUse::amounts`].
    pub limits: [Option<u64>; 3],
    /// Hops of messages, as measured on some samples: in the order of the network, and as they are placed; none where
    /// nothing was measured.
    pub hops: Option<(u64, u64)>,
}

/// What is on a core.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CoreUse {
    /// Its modules, in netlist order.
    pub modules: Vec<ModuleId>,
    /// Neurons.
    pub neurons: u64,
    /// Bits of weights; a kernel is stored once.
    pub synapse_bits: u64,
    /// Addresses of events that reach it, by node.
    axons: BTreeMap<NodeId, u64>,
    /// Where it has to be.
    given: Option<Tile>,
}

impl CoreUse {
    /// Neurons, synapse bits and axons.
    pub fn amounts(&self) -> [u64; 3] {
        [self.neurons, self.synapse_bits, self.axons.values().sum()]
    }

    /// Whether a core has room for it.
    fn fits(&self, limits: [Option<u64>; 3]) -> bool {
        self.amounts().iter().zip(limits).all(|(&amount, limit)| limit.is_none_or(|limit| amount <= limit))
    }

    fn with(&self, module: &Self) -> Self {
        let mut both = self.clone();
        both.modules.extend(&module.modules);
        both.neurons += module.neurons;
        both.synapse_bits += module.synapse_bits;
        for (&node, &lines) in &module.axons {
            let known = both.axons.entry(node).or_default();
            *known = lines.max(*known);
        }
        both
    }
}

impl Cores {
    /// The keys of what a core holds.
    pub const KEYS: [&'static str; 3] = ["neurons_per_core", "synapse_bits_per_core", "axons_per_core"];

    /// Of each limited amount: its key, the limit, the mean and the largest use of a core.
    pub fn capacities(&self) -> Vec<(&'static str, u64, f64, u64)> {
        let amounts: Vec<[u64; 3]> = self.used.iter().map(CoreUse::amounts).collect();
        let of = |k: usize| {
            let limit = self.limits[k]?;
            let sum: u64 = amounts.iter().map(|amount| amount[k]).sum();
            let most = amounts.iter().map(|amount| amount[k]).max().unwrap_or(0);
            Some((Self::KEYS[k], limit, sum as f64 / amounts.len().max(1) as f64, most))
        };
        (0..3).filter_map(of).collect()
    }

    /// How many modules are on several cores.
    pub fn split(&self) -> usize {
        let mut seen: BTreeMap<ModuleId, usize> = BTreeMap::new();
        self.used.iter().flat_map(|core| &core.modules).for_each(|&module| *seen.entry(module).or_default() += 1);
        seen.into_values().filter(|&cores| cores > 1).count()
    }
}

/// What a module, or this many of its neurons in a row, takes of a core.
fn demand(network: &Network, module: ModuleId, weight_bits: u32, part: Option<u64>) -> CoreUse {
    let described = &network.modules()[module.index()];
    let mut taken = CoreUse { modules: vec![module], ..CoreUse::default() };
    let mut weights = 0;
    // The lines of the port: the addresses of a row, or those that the kernel covers from a map of neurons.
    let mut lines: Vec<u64> = Vec::new();
    match &described.kind {
        ModuleKind::Conv(conv) => {
            let all = conv.array.len() as u64;
            taken.neurons = part.map_or(all, |part| part.min(all));
            let rows = rows(conv.array, taken.neurons);
            for port in &conv.ports {
                weights += port.weights.len() as u64;
                let along = |n: u64, kernel: u32, stride: i32, expand: i32| {
                    (n.max(1) - 1) * u64::from(stride.max(1).unsigned_abs()) / u64::from(expand.max(1).unsigned_abs())
                        + u64::from(kernel)
                };
                let x = along(conv.array.nx.into(), port.nx, port.x_stride, port.x_expand);
                lines.push(x * along(rows, port.ny, port.y_stride, port.y_expand));
            }
        }
        ModuleKind::FullyConnected(full) | ModuleKind::Softmax(full) => {
            let all = full.array.len() as u64;
            taken.neurons = part.map_or(all, |part| part.min(all));
            for port in &full.ports {
                // Each neuron has as many.
                weights += port.weights.len() as u64 / all.max(1) * taken.neurons;
                lines.push(u64::from(port.nx_pre) * u64::from(port.ny_pre));
            }
        }
        ModuleKind::Flatten(ports) => lines.extend(ports.iter().map(|port| u64::from(port.nx) * u64::from(port.ny))),
        kind => {
            taken.neurons = kind.neurons().map_or(0, |(array, ..)| array.len() as u64);
            weights = kind.weights().iter().map(|of| of.len() as u64).sum();
            lines.resize(kind.ports(), u64::MAX);
        }
    }
    taken.synapse_bits = weights * u64::from(weight_bits);
    for (input, lines) in described.inputs.iter().zip(lines) {
        let Input::Node(node) = *input else { continue };
        // No more than the driver has neurons.
        let made = match network.nodes()[node.index()].driver {
            Driver::Module(driver) => {
                network.modules()[driver.index()].kind.neurons().map(|(array, ..)| array.len() as u64)
            }
            Driver::Source(_) => None,
        };
        let lines = made.map_or(lines, |made| lines.min(made));
        let known = taken.axons.entry(node).or_default();
        // Where nothing is known, an event of the node is one line.
        *known = if lines == u64::MAX { 1 } else { lines }.max(*known);
    }
    taken
}

/// The rows of a map that this many neurons are in.
fn rows(array: Array, neurons: u64) -> u64 {
    let columns = u64::from(array.nx).max(1);
    // Fewer than a row may be on two.
    let touched = neurons.div_ceil(columns) + u64::from(!neurons.is_multiple_of(columns) && neurons > 1);
    touched.min(u64::from(array.ny))
}

/// Modules on cores and cores on tiles.
pub(super) struct Placed {
    pub mesh: Mesh,
    /// By module: its core, the first one of several.
    pub cores: Vec<u32>,
    pub splits: BTreeMap<ModuleId, Split>,
    pub report: Cores,
}

impl Hardware {
    /// Puts modules on cores, and cores on tiles.
    pub(super) fn place_cores(
        &self,
        subject: &TargetNetwork<'_>,
        (rule, cores): (&MeshRule, &CoresRule),
        matcher: &Matcher<'_>,
    ) -> Result<Placed, Error> {
        let network = subject.network;
        let per_chip = u64::from(rule.columns) * u64::from(rule.rows) * u64::from(rule.modules_per_tile);
        let limits = [cores.neurons, cores.synapse_bits, cores.axons].map(|limit| limit.map(u64::from));
        let mut report = Cores { chips: 1, per_chip, used: Vec::new(), limits, hops: None };
        let given = |nodes: &[NodeId]| {
            let matches = |(pattern, _): &&(Located<glob::Pattern>, Located<Tile>)| {
                nodes.iter().any(|&node| matcher.node(&pattern.value, node))
            };
            rule.place.iter().rev().find(matches).map(|(_, tile)| tile.value)
        };
        let modules: Vec<ModuleId> = (0..network.modules().len()).map(ModuleId::new).collect();
        let shares = match cores.pack {
            Pack::Always => true,
            Pack::Never => false,
            Pack::Auto => modules.len() as u64 > per_chip,
        };
        let mut layer = None;
        let mut core_of = vec![0_u32; modules.len()];
        let mut begins: BTreeMap<ModuleId, Vec<u32>> = BTreeMap::new();
        for &module in &modules {
            let given = given(network.outputs(module));
            let demand = CoreUse { given, ..demand(network, module, cores.weight_bits, None) };
            if !demand.fits(limits) {
                core_of[module.index()] = report.used.len() as u32;
                let part = self.largest_part(network, (cores, &report), (module, &demand))?;
                begins.insert(module, self.split(network, cores.weight_bits, (module, part), &mut report.used));
                layer = None;
                continue;
            }
            let of = matcher.layer_of(module);
            let last = report.used.last_mut().filter(|last| shares && layer == Some(of) && last.given == demand.given);
            let joined = last.as_ref().map(|last| last.with(&demand)).filter(|joined| joined.fits(limits));
            match (last, joined) {
                (Some(last), Some(joined)) => *last = joined,
                _ => report.used.push(demand),
            }
            core_of[module.index()] = report.used.len() as u32 - 1;
            layer = Some(of);
        }
        let chips = (report.used.len() as u64).div_ceil(per_chip).max(1);
        if let Some(most) = cores.chips.as_ref().filter(|most| u64::from(most.value) < chips) {
            let message = format!("{} cores do not fit on {} chips of {per_chip}", report.used.len(), most.value);
            return Err(self.source.fault(most.span.clone(), message, Some(format!("chips = {chips} would do"))));
        }
        report.chips = u32::try_from(chips).unwrap_or(u32::MAX);
        let columns = rule.columns.saturating_mul(report.chips);
        let sources: Vec<Tile> =
            network.sources().iter().map(|node| given(&[*node]).unwrap_or(rule.input.value)).collect();
        let mut tiles = self.in_order(rule, &report)?;
        if let (Placement::Traffic, Some(spikes)) = (cores.placement, subject.spikes) {
            let cores = |module: ModuleId| {
                let first = core_of[module.index()] as usize;
                first..first + begins.get(&module).map_or(1, Vec::len)
            };
            let traffic = Traffic::of(network, report.used.len(), &cores, &sources, spikes);
            let before = traffic.hops(&tiles);
            let fixed: Vec<bool> = report.used.iter().map(|core| core.given.is_some()).collect();
            traffic.exchange(&mut tiles, &fixed);
            report.hops = Some((before, traffic.hops(&tiles)));
        }
        let mesh = Mesh {
            columns,
            rows: rule.rows,
            time_east_west: self.ticks(rule.time_east_west.value),
            time_north_south: self.ticks(rule.time_north_south.value),
            acknowledge: rule.acknowledge,
            arbiter: rule.arbiter,
            modules: core_of.iter().map(|&core| tiles[core as usize]).collect(),
            sources,
        };
        let splits = begins.into_iter().map(|(module, begins)| {
            let first = core_of[module.index()] as usize;
            let tiles = tiles[first..first + begins.len()].to_vec();
            (module, Split { begins, tiles })
        });
        Ok(Placed { mesh, splits: splits.collect(), cores: core_of, report })
    }

    /// The most neurons of a module that a core holds.
    fn largest_part(
        &self,
        network: &Network,
        (cores, report): (&CoresRule, &Cores),
        (module, whole): (ModuleId, &CoreUse),
    ) -> Result<u64, Error> {
        let fits = |neurons: u64| demand(network, module, cores.weight_bits, Some(neurons)).fits(report.limits);
        if whole.neurons == 0 || whole.given.is_some() || !fits(1) {
            return Err(self.too_large(network, (cores, report), (module, whole)));
        }
        // More neurons take no less of anything.
        let (mut least, mut most) = (1, whole.neurons);
        while least + 1 < most {
            let middle = least + (most - least) / 2;
            if fits(middle) { least = middle } else { most = middle }
        }
        // As many cores as that takes, with as many neurons on each; whole rows where a core has room for one.
        let even = whole.neurons.div_ceil(whole.neurons.div_ceil(least));
        let columns = match &network.modules()[module.index()].kind {
            ModuleKind::Conv(conv) => u64::from(conv.array.nx).max(1),
            _ => 1,
        };
        let rounded = even.div_ceil(columns) * columns;
        Ok(if rounded <= least {
            rounded
        } else if least >= columns {
            least / columns * columns
        } else {
            even
        })
    }

    /// Puts a module on as many cores as it takes; the first neuron of each.
    fn split(
        &self,
        network: &Network,
        weight_bits: u32,
        (module, part): (ModuleId, u64),
        used: &mut Vec<CoreUse>,
    ) -> Vec<u32> {
        let all = demand(network, module, weight_bits, None).neurons;
        let begins = (0..all).step_by(usize::try_from(part).unwrap_or(usize::MAX).max(1));
        let begins: Vec<u64> = begins.collect();
        used.extend(begins.iter().map(|begin| demand(network, module, weight_bits, Some(part.min(all - begin)))));
        begins.into_iter().map(|begin| begin as u32).collect()
    }

    fn too_large(
        &self,
        network: &Network,
        (cores, report): (&CoresRule, &Cores),
        (module, whole): (ModuleId, &CoreUse),
    ) -> Error {
        // What does not get less with fewer neurons on a core.
        let of_one = if whole.neurons == 0 || whole.given.is_some() {
            whole.clone()
        } else {
            demand(network, module, cores.weight_bits, Some(1))
        };
        let over = of_one.amounts().into_iter().zip(report.limits).enumerate();
        let mut over =
            over.filter_map(|(k, (amount, limit))| limit.filter(|&limit| amount > limit).map(|it| (k, amount, it)));
        let (k, amount, limit) = over.next().unwrap_or((0, 0, 0));
        let name = module_name(network, module);
        let what = Cores::KEYS[k].trim_end_matches("_per_core").replace('_', " ");
        let why = match (whole.given.is_some(), whole.neurons) {
            (true, _) => "a module with a place in [mesh.place] is not split over cores",
            (_, 0) => "a module without neurons is not split over cores",
            _ => "that is of one neuron, so splitting the module over cores does not help",
        };
        let message = format!("{{{name}}} has {amount} {what}, but a core holds {limit}; {why}");
        let hint = format!("{} = {amount} would do", Cores::KEYS[k]);
        self.source.fault(cores.span.clone(), message, Some(hint))
    }

    /// Cores in their order: chip by chip, on each row by row, every second row backwards; given ones where they are.
    /// Free places follow.
    fn in_order(&self, rule: &MeshRule, report: &Cores) -> Result<Vec<Tile>, Error> {
        let mut taken: BTreeMap<Tile, u32> = BTreeMap::new();
        for tile in report.used.iter().filter_map(|core| core.given) {
            let count = taken.entry(tile).or_default();
            *count += 1;
            if *count > rule.modules_per_tile {
                let Tile { x, y } = tile;
                let message = format!("tile [{x}, {y}] has {} cores, and more are placed there", rule.modules_per_tile);
                return Err(self.source.fault(rule.span.clone(), message, None));
            }
        }
        let mut places = Vec::new();
        for chip in 0..report.chips {
            for y in 0..rule.rows {
                for k in 0..rule.columns {
                    let x = if y % 2 == 0 { k } else { rule.columns - 1 - k };
                    let tile = Tile { x: chip * rule.columns + x, y };
                    let free = rule.modules_per_tile.saturating_sub(taken.get(&tile).copied().unwrap_or(0));
                    places.extend((0..free).map(|_| tile));
                }
            }
        }
        let mut places = places.into_iter();
        let mut tiles = Vec::new();
        for core in &report.used {
            match core.given.or_else(|| places.next()) {
                Some(tile) => tiles.push(tile),
                None => {
                    let message = format!("{} cores do not fit next to those that are placed", report.used.len());
                    return Err(self.source.fault(rule.span.clone(), message, None));
                }
            }
        }
        tiles.extend(places);
        Ok(tiles)
    }
}

/// Spikes between cores.
struct Traffic {
    /// By core: other cores, with the messages between them, both ways.
    between: Vec<Vec<(usize, u64)>>,
    /// By core: tiles of sources, with messages from them.
    from_sources: Vec<Vec<(Tile, u64)>>,
}

fn distance(a: Tile, b: Tile) -> u64 {
    u64::from(a.x.abs_diff(b.x)) + u64::from(a.y.abs_diff(b.y))
}

impl Traffic {
    /// `cores_of`: the cores of a module. The spikes of one that is on several leave from each alike.
    fn of(
        network: &Network,
        cores: usize,
        cores_of: &dyn Fn(ModuleId) -> Range<usize>,
        sources: &[Tile],
        spikes: &[u64],
    ) -> Self {
        let mut readers: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); network.nodes().len()];
        for (module, described) in network.modules().iter().enumerate() {
            for input in &described.inputs {
                if let Input::Node(node) = input {
                    readers[node.index()].extend(cores_of(ModuleId::new(module)));
                }
            }
        }
        let mut between: Vec<BTreeMap<usize, u64>> = vec![BTreeMap::new(); cores];
        let mut from_sources = vec![Vec::new(); cores];
        for (node, readers) in readers.into_iter().enumerate() {
            let sent = spikes.get(node).copied().unwrap_or(0);
            match network.nodes()[node].driver {
                Driver::Source(source) => {
                    readers.into_iter().for_each(|to| from_sources[to].push((sources[source.index()], sent)));
                }
                Driver::Module(module) => {
                    let froms = cores_of(module);
                    let parts = froms.len() as u64;
                    for (part, from) in (0..).zip(froms) {
                        let sent = sent / parts + u64::from(part < sent % parts);
                        for &to in readers.iter().filter(|&&to| to != from) {
                            *between[from].entry(to).or_default() += sent;
                            *between[to].entry(from).or_default() += sent;
                        }
                    }
                }
            }
        }
        Self { between: between.into_iter().map(|of| of.into_iter().collect()).collect(), from_sources }
    }

    /// Hops of all messages.
    fn hops(&self, tiles: &[Tile]) -> u64 {
        let both_ways: u64 = (0..self.between.len())
            .map(|core| {
                self.between[core].iter().map(|&(to, sent)| sent * distance(tiles[core], tiles[to])).sum::<u64>()
            })
            .sum();
        let sources: u64 = (0..self.between.len()).map(|core| self.of_sources(core, tiles[core])).sum();
        both_ways / 2 + sources
    }

    fn of_sources(&self, core: usize, tile: Tile) -> u64 {
        self.from_sources.get(core).map_or(0, |from| from.iter().map(|&(at, sent)| sent * distance(at, tile)).sum())
    }

    /// Hops of the messages of a core if it were on a tile, those with another one left out.
    fn alone(&self, core: usize, tile: Tile, other: usize, tiles: &[Tile]) -> u64 {
        let Some(between) = self.between.get(core) else { return 0 };
        let others = between.iter().filter(|(to, _)| *to != other);
        others.map(|&(to, sent)| sent * distance(tile, tiles[to])).sum::<u64>() + self.of_sources(core, tile)
    }

    /// Exchanges places, free ones too, as long as hops get fewer.
    fn exchange(&self, tiles: &mut [Tile], fixed: &[bool]) {
        const MOST_ROUNDS: usize = 20;
        let is_fixed = |core: usize| fixed.get(core).copied().unwrap_or(false);
        for _ in 0..MOST_ROUNDS {
            let mut better = false;
            for a in (0..self.between.len()).filter(|&a| !is_fixed(a)) {
                for b in (a + 1..tiles.len()).filter(|&b| !is_fixed(b)) {
                    let (at_a, at_b) = (tiles[a], tiles[b]);
                    if at_a == at_b {
                        continue;
                    }
                    let now = self.alone(a, at_a, b, tiles) + self.alone(b, at_b, a, tiles);
                    let then = self.alone(a, at_b, b, tiles) + self.alone(b, at_a, a, tiles);
                    if then < now {
                        tiles.swap(a, b);
                        better = true;
                    }
                }
            }
            if !better {
                return;
            }
        }
    }
}
