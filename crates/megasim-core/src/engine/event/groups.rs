//! The events of nodes that are handled together.

use super::outputs::{GroupQueue, NEGATIVE, Outputs};
use super::{EventRun, MOST_OUTPUTS};
use crate::engine::node_groups::NodeGroup;
use crate::engine::plan::{Plan, PopulationKind, Target};
use crate::engine::queue::Events;
use crate::engine::{Cells, Error};
use crate::network::{Polarity, Tick};

/// The events of a group at one tick, in columns.
#[derive(Debug, Clone, Default)]
pub(super) struct GroupRun {
    t_pre: Vec<Tick>,
    x: Vec<i32>,
    y: Vec<i32>,
    polarity: Vec<Polarity>,
    /// By node: where its events end.
    ends: Vec<usize>,
    /// None is negative.
    positive: bool,
}

impl GroupRun {
    /// Takes all events of a queue.
    fn take(&mut self, queue: &mut GroupQueue, group: &NodeGroup, plan: &Plan, now: Tick) {
        self.x.clear();
        self.y.clear();
        self.ends.clear();
        let mut marks = 0;
        for (positions, &driver) in queue.nodes.iter_mut().zip(&group.drivers) {
            if !positions.is_empty()
                && let PopulationKind::Neurons(neurons) = &plan.populations[driver].kind
                && let Some((x, y)) = neurons.addresses.columns()
            {
                marks |= positions.iter().fold(0, |marks, &position| marks | position);
                self.x.extend(positions.iter().map(|&position| x[(position & !NEGATIVE) as usize]));
                self.y.extend(positions.iter().map(|&position| y[(position & !NEGATIVE) as usize]));
            }
            self.ends.push(self.x.len());
        }
        self.positive = marks & NEGATIVE == 0;
        self.polarity.clear();
        if self.positive {
            self.polarity.resize(self.x.len(), Polarity::Positive);
        } else {
            let sign = |&it: &u32| if it & NEGATIVE == 0 { Polarity::Positive } else { Polarity::Negative };
            self.polarity.extend(queue.nodes.iter().flatten().map(sign));
        }
        self.t_pre.clear();
        self.t_pre.resize(self.x.len(), now);
        queue.nodes.iter_mut().for_each(Vec::clear);
        queue.waiting = 0;
    }

    /// The nodes that have events, by their number in the group.
    fn runs(&self) -> impl Iterator<Item = (usize, Events<'_>)> {
        let mut start = 0;
        let runs = self.ends.iter().enumerate().map(move |(k, &end)| (k, std::mem::replace(&mut start, end)..end));
        runs.filter(|(_, run)| !run.is_empty()).map(|(k, run)| (k, self.all().slice(run)))
    }

    fn all(&self) -> Events<'_> {
        Events { t_pre: &self.t_pre, x: &self.x, y: &self.y, polarity: &self.polarity }
    }
}

impl EventRun<'_> {
    /// All events of the nodes of a group, which are due now.
    pub(super) fn handle_group(&mut self, id: usize, r: Tick) -> Result<(), Error> {
        let group = &self.plan.groups[id];
        let mut run = std::mem::take(&mut self.state.group_run);
        run.take(&mut self.state.bus.groups[id], group, self.plan, r);
        self.state.bus.waiting -= run.x.len() as u64;
        let result = self.deliver_group(group, &run, r);
        self.state.group_run = run;
        result
    }

    fn deliver_group(&mut self, group: &NodeGroup, run: &GroupRun, r: Tick) -> Result<(), Error> {
        for &reader in &group.whole {
            let population = &self.plan.populations[reader.population];
            let fits = run.x.len() as u64 <= MOST_OUTPUTS / population.fan_out;
            if let (true, true, PopulationKind::Neurons(plan), Cells::Neurons(neurons)) =
                (run.positive, fits, &population.kind, &mut self.populations[reader.population].cells)
            {
                let done = r.saturating_add(population.timing.delay_to_arrive);
                let mut outputs = Outputs { population, bus: &mut self.state.bus, done };
                let ports = &plan.ports[reader.port..][..run.ends.len()];
                let events = (&run.x[..], &run.y[..], &run.ends[..]);
                let work = neurons.receive_layer(plan, self.plan.kernel, ports, events, r, &mut outputs);
                let work = work.map_err(|(k, outside)| {
                    let node = group.first + run.ends.partition_point(|&end| end <= k);
                    self.plan.outside(node, (r, run.x[k], run.y[k]), outside)
                })?;
                self.recorder.summary.synaptic_operations += work.operations;
                self.recorder.summary.neuron_updates += work.updates;
            } else {
                for (k, events) in run.runs() {
                    let reader = Target { port: reader.port + k, ..reader };
                    self.deliver_in_parts(reader, group.first + k, events, r)?;
                }
            }
        }
        for (k, events) in run.runs() {
            for &reader in &group.others[k] {
                self.deliver_in_parts(reader, group.first + k, events, r)?;
            }
            self.recorder.run(group.first + k, events, r);
        }
        self.wake(group.first, r)
    }
}
