//! A hardware file applied to a network: every value of every module, with where it came from.
//!
//! For each key the most particular setting counts: of a module before its layer, its kind, all modules, the `.prm`
//! file, and 0 (of depths: none). Of several patterns of one level that match, the last in the file counts.

use super::calibrate::Fit;
use super::error::Error;
use super::file::{ARBITER, Handshake, LinkRule, Located, MeshRule, Rule, Selector, Setting};
use super::patterns::Matcher;
use super::{Cores, Duration, Hardware, ModuleLayer, module_name};
use megasim_core::engine::machine::{Arbiter, Barrier, Link, Machine, Mesh, Soma, Station, Tile};
use megasim_core::network::{Input, ModuleId, ModuleKind, Network, NodeId, Tick};
use std::collections::HashMap;
use std::num::NonZeroU32;

/// A machine for one network, with energies.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What the timed engine needs.
    pub machine: Machine,
    /// How long a tick is, if anybody said.
    pub tick: Option<Duration>,
    /// By module.
    pub energies: Vec<Energies>,
    /// Joules of a message on a link east or west.
    pub energy_east_west: f64,
    /// Joules of a message on a link north or south.
    pub energy_north_south: f64,
    /// Watts.
    pub static_power: f64,
    /// Joules of a multiply-accumulate besides its bits; 0 where it is not given.
    pub energy_per_mac: f64,
    /// Joules of a multiply-accumulate for each bit of the activation.
    pub energy_per_mac_bit: f64,
    /// The values of every module, by module.
    pub rows: Vec<Row>,
    /// The cores in use, where the file says what they hold.
    pub cores: Option<Cores>,
    /// Patterns of the file that match nothing in the network, each with its line and a hint.
    pub warnings: Vec<String>,
}

/// A network that a machine file is applied to.
#[derive(Debug, Clone, Copy)]
pub struct TargetNetwork<'a> {
    /// The network, in ticks of the machine.
    pub network: &'a Network,
    /// Its modules by layer.
    pub layers: &'a [ModuleLayer],
    /// By source: whether it is input, and no clock; empty where all are input.
    pub input: &'a [bool],
    /// By node: events of some samples, by which cores are placed.
    pub spikes: Option<&'a [u64]>,
}

/// Energies of a module, in joules.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Energies {
    /// Of an event worked on.
    pub per_event: f64,
    /// Of a synaptic operation.
    pub per_operation: f64,
    /// Of looking at a neuron, once per step.
    pub per_neuron: f64,
    /// Of bringing a neuron up to date.
    pub per_update: f64,
    /// Of an output event.
    pub per_spike: f64,
    /// Of a message to one receiver.
    pub per_message: f64,
}

/// The values of a module.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Key, value, where it came from; in a fixed order.
    pub values: Vec<(&'static str, Value, Origin)>,
}

/// A value as it took effect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Ticks.
    Time(Tick),
    /// Events; none where there is no limit.
    Depth(Option<u32>),
    /// Joules.
    Energy(f64),
    /// Which port is taken next.
    Arbiter(Arbiter),
}

/// Where a value came from, the least particular first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// None was given.
    Absent,
    /// The `.prm` file.
    Prm,
    /// `[all]`.
    All,
    /// `[kind.*]`.
    Kind,
    /// `[layer.*]`.
    Layer,
    /// `[module.*]`.
    Module,
    /// A measured log.
    Fitted,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Absent => "-",
            Self::Prm => "prm",
            Self::All => "all",
            Self::Kind => "kind",
            Self::Layer => "layer",
            Self::Module => "module",
            Self::Fitted => "fitted",
        })
    }
}

impl Resolved {
    /// Puts what a measured log says of a module in the place of what the file said.
    pub fn fit(&mut self, fit: &Fit) {
        let station = self.machine.module_mut(fit.module);
        let mut fitted: Vec<(&'static str, Tick)> = Vec::new();
        if let Some(work) = &fit.work {
            station.delay_to_process = work.delay_to_process;
            station.time_per_operation = work.time_per_operation;
            station.time_per_output = work.time_per_output;
            // Every output of a module has as many receivers, so no log can tell it from the outputs' time; it is part
            // of that.
            station.time_per_message = 0;
            fitted.extend([
                ("delay_to_process", work.delay_to_process),
                ("time_per_operation", work.time_per_operation),
                ("time_per_output", work.time_per_output),
                ("time_per_message", 0),
            ]);
        }
        if let Some(delay) = fit.delay_to_ack {
            station.delay_to_ack = delay;
            fitted.push(("delay_to_ack", delay));
        }
        for (key, ticks) in fitted {
            for (name, value, origin) in &mut self.rows[fit.module.index()].values {
                if *name == key {
                    (*value, *origin) = (Value::Time(ticks), Origin::Fitted);
                }
            }
        }
        for &(node, delay) in &fit.links {
            let link = Link { delay, ..self.machine.link(node, fit.module) };
            self.machine.set_link(node, fit.module, link);
        }
    }
}

impl Hardware {
    /// The tick on which network and machine agree, and how many of them one of the network's is. `network` is how long
    /// that is, if anybody said.
    ///
    /// # Errors
    /// If the network's tick is no whole multiple of the machine's.
    pub fn agree(&self, network: Option<Duration>) -> Result<(Option<Duration>, Tick), Error> {
        match (self.tick, network) {
            (None, network) => Ok((network, 1)),
            (machine, None) => Ok((machine, 1)),
            (Some(machine), Some(network)) => match network.in_ticks(machine) {
                Some(factor) if factor > 0 => Ok((Some(machine), factor)),
                _ => Err(Error::Misfit {
                    name: self.name.clone(),
                    message: format!(
                        "expected a tick that divides the network's, {network}, found {machine}; tick = \"{}\" would \
                            do",
                        network.common_tick(machine)
                    ),
                }),
            },
        }
    }

    /// Applies the file to a network whose ticks are already the machine's, and whose sources are all input.
    ///
    /// # Errors
    /// As [`Hardware::resolve_with`].
    pub fn resolve(
        &self,
        network: &Network,
        layers: &[ModuleLayer],
        tick: Option<Duration>,
    ) -> Result<Resolved, Error> {
        self.resolve_with(&TargetNetwork { network, layers, input: &[], spikes: None }, tick)
    }

    /// Applies the file to a network whose ticks are already the machine's.
    ///
    /// # Errors
    /// If modules do not fit on the mesh, or, where that is asked for, if a pattern matches nothing.
    pub fn resolve_with(&self, subject: &TargetNetwork<'_>, tick: Option<Duration>) -> Result<Resolved, Error> {
        let &TargetNetwork { network, layers, input, .. } = subject;
        let matcher = Matcher::new(network, layers, input);
        let warnings = self.check_patterns(&matcher)?;
        let mut machine = Machine::of(network);
        let mut energies = Vec::new();
        let mut rows = Vec::new();
        for k in 0..network.modules().len() {
            let id = ModuleId::new(k);
            let found = self.settings(network, id, &matcher);
            let station = machine.module_mut(id);
            let mut row = Row { values: Vec::new() };
            let energy = apply(station, &found, |time| self.ticks(time), &mut row);
            energies.push(energy);
            rows.push(row);
        }
        self.resolve_links(network, &mut machine, &matcher);
        let (mut hops, mut used) = ((0.0, 0.0), None);
        if let Some(rule) = &self.mesh {
            machine.mesh = Some(match &self.cores {
                Some(cores) => {
                    let placed = self.place_cores(subject, (rule, cores), &matcher)?;
                    machine.cores = Some(placed.cores);
                    machine.splits = placed.splits;
                    used = Some(placed.report);
                    placed.mesh
                }
                None => self.place(network, rule, &matcher)?,
            });
            hops = (rule.energy_east_west, rule.energy_north_south);
        }
        if let Some(rule) = &self.barrier {
            let (least, most) = (self.ticks(rule.least.value), self.ticks(rule.most.value));
            let time = match &machine.mesh {
                Some(mesh) => {
                    let others = i128::from(mesh.columns) * i128::from(mesh.rows) - 1;
                    let used = (machine.used_tiles() as i128 - 1).max(0);
                    let share = i128::from(most - least) * used / others.max(1);
                    least + Tick::try_from(share).unwrap_or(0)
                }
                None => most,
            };
            machine.barrier = Some(Barrier { step: self.ticks(rule.step.value), time });
        }
        Ok(Resolved {
            machine,
            tick,
            energies,
            energy_east_west: hops.0,
            energy_north_south: hops.1,
            static_power: self.static_power,
            energy_per_mac: self.energy_per_mac,
            energy_per_mac_bit: self.energy_per_mac_bit,
            rows,
            warnings,
            cores: used,
        })
    }

    /// A time in ticks; parsing made sure that it is a whole number of them.
    pub(super) fn ticks(&self, time: Duration) -> Tick {
        self.tick.and_then(|tick| time.in_ticks(tick)).unwrap_or(0)
    }

    /// Finds patterns that match nothing: warnings, or errors where that is asked for, or where the pattern is part of
    /// a change, which then would change nothing.
    fn check_patterns(&self, matcher: &Matcher<'_>) -> Result<Vec<String>, Error> {
        let last_line = self.source.text[..self.length].lines().count();
        let mut warnings = Vec::new();
        for (found, error) in self.located_patterns(matcher) {
            match error {
                Some(error) if self.strict || found.line > last_line => return Err(error),
                _ => warnings.extend(found.warning),
            }
        }
        Ok(warnings)
    }

    /// The settings of a module that count, each with where it came from.
    fn settings(
        &self,
        network: &Network,
        module: ModuleId,
        matcher: &Matcher<'_>,
    ) -> HashMap<&'static str, (Setting, Origin)> {
        let kind = kind(&network.modules()[module.index()].kind);
        let mut found: HashMap<&'static str, (Setting, Origin)> = HashMap::new();
        for Rule { selector, settings } in &self.rules {
            let (applies, origin) = match selector {
                Selector::All => (true, Origin::All),
                Selector::Kind(of) => (of == kind, Origin::Kind),
                Selector::Layer(pattern) => (matcher.layer(&pattern.value, matcher.layer_of(module)), Origin::Layer),
                Selector::Module(pattern) => (matcher.module(&pattern.value, module), Origin::Module),
            };
            if applies {
                // Rules are in the order of their levels, and within one in that of the file.
                found.extend(settings.iter().map(|(key, setting)| (*key, (setting.value, origin))));
            }
        }
        found
    }

    fn resolve_links(&self, network: &Network, machine: &mut Machine, matcher: &Matcher<'_>) {
        for (k, module) in network.modules().iter().enumerate() {
            let id = ModuleId::new(k);
            for node in module.inputs.iter().filter_map(|input| match input {
                Input::Node(node) => Some(*node),
                Input::Undriven(_) => None,
            }) {
                let mut link = Link::default();
                let mut phases = Handshake::TwoPhase;
                for LinkRule { from, to, delay, acknowledge_delay, handshake } in &self.links {
                    let from = from.as_ref().is_none_or(|from| matcher.node(&from.value, node));
                    let to = to.as_ref().is_none_or(|to| matcher.module(&to.value, id));
                    if from && to {
                        link.delay = delay.as_ref().map_or(link.delay, |delay| self.ticks(delay.value));
                        let acknowledge = acknowledge_delay.as_ref().map(|delay| self.ticks(delay.value));
                        link.acknowledge_delay = acknowledge.unwrap_or(link.acknowledge_delay);
                        phases = handshake.unwrap_or(phases);
                    }
                }
                if phases == Handshake::FourPhase {
                    // The request goes back, then the acknowledge, before the next event.
                    let back = link.delay.saturating_add(link.acknowledge_delay);
                    link.acknowledge_delay = link.acknowledge_delay.saturating_add(back);
                }
                machine.set_link(node, id, link);
            }
        }
    }

    fn place(&self, network: &Network, rule: &MeshRule, matcher: &Matcher<'_>) -> Result<Mesh, Error> {
        let given = |nodes: &[NodeId]| {
            let matches = |(pattern, _): &&(Located<glob::Pattern>, Located<Tile>)| {
                nodes.iter().any(|&node| matcher.node(&pattern.value, node))
            };
            rule.place.iter().rev().find(matches).map(|(_, tile)| tile)
        };
        let mut taken: HashMap<Tile, u32> = HashMap::new();
        let mut modules: Vec<Option<Tile>> = Vec::new();
        for k in 0..network.modules().len() {
            let tile = given(network.outputs(ModuleId::new(k)));
            if let Some(tile) = tile {
                let count = taken.entry(tile.value).or_default();
                *count += 1;
                if *count > rule.modules_per_tile {
                    let Tile { x, y } = tile.value;
                    let message = format!(
                        "tile [{x}, {y}] has places for {} modules, and {{{}}} is one more",
                        rule.modules_per_tile,
                        module_name(network, ModuleId::new(k))
                    );
                    let hint = "spread them over more tiles, or raise modules_per_tile".to_string();
                    return Err(self.source.fault(tile.span.clone(), message, Some(hint)));
                }
            }
            modules.push(tile.map(|tile| tile.value));
        }
        let free = modules.iter().filter(|tile| tile.is_none()).count();
        let count = |tile: Tile| taken.get(&tile).copied().unwrap_or(0);
        let Some(placed) = Mesh::snake(rule.columns, rule.rows, rule.modules_per_tile, count, free) else {
            let message = format!(
                "{} modules do not fit on {} x {} tiles of {}",
                modules.len(),
                rule.columns,
                rule.rows,
                rule.modules_per_tile
            );
            let tiles = u64::from(rule.columns) * u64::from(rule.rows);
            let hint = format!("modules_per_tile = {} would do", (modules.len() as u64).div_ceil(tiles.max(1)));
            return Err(self.source.fault(rule.span.clone(), message, Some(hint)));
        };
        let mut placed = placed.into_iter();
        let input = rule.input.value;
        Ok(Mesh {
            columns: rule.columns,
            rows: rule.rows,
            time_east_west: self.ticks(rule.time_east_west.value),
            time_north_south: self.ticks(rule.time_north_south.value),
            acknowledge: rule.acknowledge,
            arbiter: rule.arbiter,
            modules: modules.into_iter().map(|tile| tile.or_else(|| placed.next()).unwrap_or(input)).collect(),
            sources: network.sources().iter().map(|node| given(&[*node]).map_or(input, |tile| tile.value)).collect(),
        })
    }
}

fn kind(kind: &ModuleKind) -> &'static str {
    kind.name().trim_start_matches("module_")
}

/// Puts settings into a module, and notes what it has then.
fn apply(
    station: &mut Station,
    found: &HashMap<&'static str, (Setting, Origin)>,
    ticks: impl Fn(Duration) -> Tick,
    row: &mut Row,
) -> Energies {
    let Soma { time_per_neuron, time_per_update, time_per_spike } = &mut station.soma;
    let times: [(&'static str, &mut Tick, bool); 8] = [
        ("delay_to_process", &mut station.delay_to_process, true),
        ("time_per_operation", &mut station.time_per_operation, false),
        ("time_per_output", &mut station.time_per_output, false),
        ("time_per_message", &mut station.time_per_message, false),
        ("delay_to_ack", &mut station.delay_to_ack, true),
        ("time_per_neuron", time_per_neuron, false),
        ("time_per_update", time_per_update, false),
        ("time_per_spike", time_per_spike, false),
    ];
    for (key, time, in_prm) in times {
        let origin = match found.get(key) {
            Some((Setting::Time(value), origin)) => {
                *time = ticks(*value);
                *origin
            }
            _ if in_prm => Origin::Prm,
            _ => Origin::Absent,
        };
        row.values.push((key, Value::Time(*time), origin));
    }
    let origin = match found.get("fifo_depth") {
        Some((Setting::Depth(depth), origin)) => {
            station.fifo_depth = *depth;
            *origin
        }
        _ => Origin::Prm,
    };
    row.values.push(("fifo_depth", Value::Depth(Some(station.fifo_depth)), origin));
    let origin = match found.get("out_fifo_depth") {
        Some((Setting::Depth(depth), origin)) => {
            station.out_fifo_depth = NonZeroU32::new(*depth);
            *origin
        }
        _ => Origin::Absent,
    };
    row.values.push(("out_fifo_depth", Value::Depth(station.out_fifo_depth.map(NonZeroU32::get)), origin));
    let origin = match found.get(ARBITER) {
        Some((Setting::Arbiter(arbiter), origin)) => {
            station.arbiter = *arbiter;
            *origin
        }
        _ => Origin::Absent,
    };
    row.values.push((ARBITER, Value::Arbiter(station.arbiter), origin));
    let mut energies = Energies::default();
    let fields: [(&'static str, &mut f64); 6] = [
        ("energy_per_event", &mut energies.per_event),
        ("energy_per_operation", &mut energies.per_operation),
        ("energy_per_neuron", &mut energies.per_neuron),
        ("energy_per_update", &mut energies.per_update),
        ("energy_per_spike", &mut energies.per_spike),
        ("energy_per_message", &mut energies.per_message),
    ];
    for (key, energy) in fields {
        let origin = match found.get(key) {
            Some((Setting::Energy(joules), origin)) => {
                *energy = *joules;
                *origin
            }
            _ => Origin::Absent,
        };
        row.values.push((key, Value::Energy(*energy), origin));
    }
    energies
}
