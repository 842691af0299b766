//! The busiest resource of a machine, and what makes the machine faster: it is run again with one thing better at a
//! time. Being busy makes no
//! bottleneck; that the machine gets faster where that resource does, is what confirms one.

use super::{Answer, Error, Question};
use megasim_core::engine::machine::{Direction, Machine, Pace, Station, Tile};
use megasim_core::network::{ModuleId, NodeId, Tick};
use ordered_float::OrderedFloat;
use std::num::NonZeroU32;

/// Something that does one thing at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// A module.
    Module(ModuleId),
    /// A link of the mesh.
    Link(Tile, Direction),
}

/// The busiest resource.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Busiest {
    /// It.
    pub resource: Resource,
    /// The share of the time in which it worked.
    pub utilisation: f64,
    /// The hardware key that took most of its time, and which share of it.
    pub cause: (&'static str, f64),
    /// The next busiest one, and the share of the time in which that worked.
    pub next: Option<(Resource, f64)>,
    /// The node that waited longest for acknowledges, and for which share of the time.
    pub handshake: Option<(NodeId, f64)>,
    /// The module that was stopped longest by full output FIFOs, and for which share of the time.
    pub stopped: Option<(ModuleId, f64)>,
}

/// The samples on a changed machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Relief {
    /// What was changed.
    pub change: String,
    /// Whether nothing but the busiest resource (of links of a mesh: all of them) got faster.
    pub of_busiest: bool,
    /// The time that the samples took, as a part of that on the unchanged machine.
    pub time: f64,
}

/// Part of the time below which a relief run confirms a bottleneck.
const RELIEVES: f64 = 0.99;

/// Whether the busiest resource is a bottleneck: a machine on which it alone is faster takes less time. None where no
/// run says it.
pub fn is_bottleneck(reliefs: &[Relief]) -> Option<bool> {
    let of_busiest = reliefs.iter().find(|relief| relief.of_busiest)?;
    Some(of_busiest.time < RELIEVES)
}

impl Busiest {
    /// Of a study's figures; none where nothing worked at all.
    pub fn of(question: &Question<'_>, answer: &Answer) -> Option<Self> {
        let statistics = &answer.statistics;
        if statistics.elapsed == 0 {
            return None;
        }
        let share = |ticks: u64| ticks as f64 / statistics.elapsed as f64;
        let modules = statistics.modules.iter().enumerate().map(|(k, module)| {
            let busy = module.busy.total();
            let (key, most) = module.busy.parts().into_iter().max_by_key(|(_, ticks)| *ticks).unwrap_or(("", 0));
            (Resource::Module(ModuleId::new(k)), busy, (key, most as f64 / busy.max(1) as f64))
        });
        let mesh = question.hardware.machine.mesh.as_ref();
        let links = mesh.into_iter().flat_map(|mesh| {
            statistics.links.iter().enumerate().map(|(k, link)| {
                let (tile, direction) = mesh.link(k);
                let key = if direction.is_east_west() { "time_east_west" } else { "time_north_south" };
                (Resource::Link(tile, direction), link.busy, (key, 1.0))
            })
        });
        let mut resources: Vec<_> = modules.chain(links).filter(|(_, busy, _)| *busy > 0).collect();
        resources.sort_by_key(|(_, busy, _)| std::cmp::Reverse(*busy));
        let stopped =
            statistics.modules.iter().enumerate().max_by_key(|(k, module)| (module.stopped, std::cmp::Reverse(*k)));
        let handshakes = statistics.nodes.iter().map(|node| node.handshake.sum() as f64 / statistics.elapsed as f64);
        let handshake =
            handshakes.enumerate().max_by_key(|&(node, share)| (OrderedFloat(share), std::cmp::Reverse(node)));
        let &(resource, busy, cause) = resources.first()?;
        Some(Self {
            resource,
            utilisation: share(busy),
            cause,
            next: resources.get(1).map(|(resource, busy, _)| (*resource, share(*busy))),
            handshake: handshake.filter(|(_, share)| *share > 0.0).map(|(k, share)| (NodeId::new(k), share)),
            stopped: stopped
                .filter(|(_, module)| module.stopped > 0)
                .map(|(k, module)| (ModuleId::new(k), share(module.stopped))),
        })
    }

    /// Runs the first samples again, as fast as they are taken, with one thing better at a time.
    ///
    /// # Errors
    /// If a run fails.
    pub fn reliefs(&self, question: &Question<'_>, samples: usize) -> Result<Vec<Relief>, Error> {
        let mut question = *question;
        question.samples = question.samples.min(samples);
        question.showing.pace = Pace::Fastest;
        question.showing.until = None;
        question.showing.warm_up = 0;
        // The ideal machine is the same next to all of them.
        let Some(ideal) = question.ideal(&())? else { return Ok(Vec::new()) };
        question.ideal = Some(&ideal);
        let run = |machine: Machine| -> Result<Tick, Error> {
            let hardware = crate::hardware::Resolved { machine, ..question.hardware.clone() };
            let answer = Question { hardware: &hardware, ..question }.answer(&())?;
            Ok(answer.samples.iter().map(|sample| sample.ended).sum())
        };
        let before = run(question.hardware.machine.clone())?;
        let mut reliefs = Vec::new();
        for Change { what, of_busiest, machine } in self.changes(&question) {
            if machine != question.hardware.machine {
                let after = run(machine)?;
                reliefs.push(Relief { change: what, of_busiest, time: after as f64 / before.max(1) as f64 });
            }
        }
        reliefs.sort_by_key(|relief| OrderedFloat(relief.time));
        Ok(reliefs)
    }

    fn changes(&self, question: &Question<'_>) -> Vec<Change> {
        let machine = &question.hardware.machine;
        let modules = question.network.modules().len();
        let mut changes = Vec::new();
        let name = |module: ModuleId| crate::hardware::module_name(question.network, module);
        if let Resource::Module(module) = self.resource {
            let mut faster = machine.clone();
            halve(faster.module_mut(module), self.cause.0);
            let what = format!("{} of {{{}}} halved", self.cause.0, name(module));
            changes.push(Change { what, of_busiest: true, machine: faster });
        }
        let mut all = |change: &str, with: &dyn Fn(&mut Machine)| {
            let mut changed = machine.clone();
            with(&mut changed);
            let of_busiest = change == MESH && matches!(self.resource, Resource::Link(..));
            changes.push(Change { what: change.into(), of_busiest, machine: changed });
        };
        let each = |machine: &mut Machine, with: &dyn Fn(&mut Station)| {
            (0..modules).for_each(|k| with(machine.module_mut(ModuleId::new(k))));
        };
        all(&format!("{} of all modules halved", self.cause.0), &|machine| {
            each(machine, &|station| halve(station, self.cause.0));
        });
        all("delay_to_ack of all modules halved", &|machine| each(machine, &|station| station.delay_to_ack /= 2));
        all("fifo_depth of all modules 4 times as large (at least 4)", &|machine| {
            each(machine, &|station| station.fifo_depth = station.fifo_depth.saturating_mul(4).max(4));
        });
        all("out_fifo_depth without limit", &|machine| {
            each(machine, &|station| station.out_fifo_depth = None::<NonZeroU32>)
        });
        all("delays of links halved", &|machine| {
            for (k, module) in question.network.modules().iter().enumerate() {
                for input in &module.inputs {
                    if let megasim_core::network::Input::Node(node) = input {
                        let mut link = machine.link(*node, ModuleId::new(k));
                        link.delay /= 2;
                        link.acknowledge_delay /= 2;
                        machine.set_link(*node, ModuleId::new(k), link);
                    }
                }
            }
        });
        all(MESH, &|machine| {
            if let Some(mesh) = &mut machine.mesh {
                mesh.time_east_west /= 2;
                mesh.time_north_south /= 2;
            }
        });
        all("the barrier halved", &|machine| {
            if let Some(barrier) = &mut machine.barrier {
                barrier.time /= 2;
            }
        });
        changes
    }
}

/// A machine with one thing better.
struct Change {
    what: String,
    of_busiest: bool,
    machine: Machine,
}

const MESH: &str = "links of the mesh twice as fast";

fn halve(station: &mut Station, key: &str) {
    let time = match key {
        "delay_to_process" => &mut station.delay_to_process,
        "time_per_operation" => &mut station.time_per_operation,
        "time_per_output" => &mut station.time_per_output,
        "time_per_message" => &mut station.time_per_message,
        "time_per_neuron" => &mut station.soma.time_per_neuron,
        "time_per_update" => &mut station.soma.time_per_update,
        "time_per_spike" => &mut station.soma.time_per_spike,
        _ => return,
    };
    *time /= 2;
}
