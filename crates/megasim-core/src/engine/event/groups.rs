//! The events of nodes that are handled together.

use super::outputs::{GroupQueue, NEGATIVE, Outputs};
use super::{EventRun, MOST_OUTPUTS};
use crate::engine::Error;
use crate::engine::apply::Cells;
use crate::engine::kernels::Sign;
use crate::engine::neurons::{LayerEvents, Signs};
use crate::engine::node_groups::NodeGroup;
use crate::engine::plan::Plan;
use crate::engine::population::{PopulationKind, Target};
use crate::engine::queue::Events;
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
            queue.nodes.iter().for_each(|positions| self.polarity.extend(positions.iter().map(sign)));
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
        Events { t_pre: &self.t_pre, x: &self.x, y: &self.y, polarity: &self.polarity, value: &[] }
    }
}

impl EventRun<'_> {
    /// All events of the nodes of a group, which are due now.
    pub(super) fn handle_group(&mut self, id: usize, r: Tick) -> Result<(), Error> {
        let group = &self.plan.groups[id];
        let mut run = self.state.group_run.take().unwrap_or_default();
        run.take(&mut self.state.bus.groups[id], group, self.plan, r);
        self.state.bus.waiting -= run.x.len() as u64;
        let result = self.deliver_group(group, &run, r);
        self.state.group_run = Some(run);
        result
    }

    fn deliver_group(&mut self, group: &NodeGroup, run: &GroupRun, r: Tick) -> Result<(), Error> {
        let signs = if run.positive { Some(Signs::All(Sign::Plus)) } else { Signs::of(&run.polarity, &run.y) };
        for &reader in &group.whole {
            let layer = signs.map(|signs| (&run.x[..], &run.y[..], signs, &run.ends[..]));
            let taken = layer.map_or(Ok(false), |layer| self.deliver_spikes(reader, group.first, layer, r))?;
            if !taken {
                for (k, events) in run.runs() {
                    let reader = Target { port: reader.port + k, ..reader };
                    self.deliver_in_parts(reader, group.first + k, events, r)?;
                }
            }
        }
        for (k, events) in run.runs() {
            for &reader in &group.others[k] {
                let ends = [events.len()];
                let one = signs.map(|signs| match signs {
                    Signs::All(sign) => (events.x, events.y, Signs::All(sign), &ends[..]),
                    Signs::Each(_) => (events.x, events.y, Signs::Each(events.polarity), &ends[..]),
                });
                let taken = one.map_or(Ok(false), |one| self.deliver_spikes(reader, group.first + k, one, r))?;
                if !taken {
                    self.deliver_in_parts(reader, group.first + k, events, r)?;
                }
            }
            self.recorder.run(group.first + k, events, r);
        }
        self.wake(group.first, r)
    }

    /// Hands spikes to successive ports of neurons, from that of `reader` on, if that is what it is and what they make
    /// fits memory; else says no. `first` is the node of the first port.
    fn deliver_spikes(
        &mut self,
        reader: Target,
        first: usize,
        (x, y, signs, ends): LayerEvents<'_>,
        r: Tick,
    ) -> Result<bool, Error> {
        let population = &self.plan.populations[reader.population];
        let (PopulationKind::Neurons(plan), Cells::Neurons(neurons)) =
            (&population.kind, &mut self.populations[reader.population].cells)
        else {
            return Ok(false);
        };
        let ports = plan.ports.get(reader.port..reader.port + ends.len());
        let fits = x.len() as u64 <= MOST_OUTPUTS / population.fan_out;
        let Some(ports) = ports.filter(|_| fits) else { return Ok(false) };
        let done = r.saturating_add(population.timing.delay_to_arrive);
        let mut outputs = Outputs { population, bus: &mut self.state.bus, done };
        let work = match (ports, signs) {
            ([port], Signs::All(sign)) => {
                neurons.receive_run(plan, self.plan.kernel, port, (x, y, sign), r, &mut outputs)
            }
            _ => neurons.receive_layer(plan, self.plan.kernel, ports, (x, y, signs, ends), r, &mut outputs),
        };
        let work = work.map_err(|(k, outside)| {
            let node = first + ends.partition_point(|&end| end <= k);
            self.plan.outside(node, (r, x[k], y[k]), outside)
        })?;
        self.recorder.summary.add(work);
        Ok(true)
    }
}
