//! How loaded some modules are, and how long some nodes wait: figures of a layer out of those of its parts.

use megasim_core::engine::machine::{Busy, Distribution, Occupancy, Statistics};
use megasim_core::network::{ModuleId, NodeId};

/// Figures of modules that are shown together. Shares are of the time of all samples, warm-ups left out.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// How many modules there are.
    pub modules: usize,
    /// Share of the time in which a module works, mean.
    pub busy: f64,
    /// That of the busiest module.
    pub busiest: f64,
    /// Share of the time in which a module has an event, but no room for its outputs; that of the module that is
    /// stopped longest.
    pub stopped: f64,
    /// Share of the time that each hardware key takes, mean over the modules.
    pub causes: Vec<(&'static str, f64)>,
    /// Events that arrived and are not started: how many, weighted by ticks.
    pub queue: Distribution,
    /// The load over the time of a sample.
    pub queue_course: Occupancy,
    /// From arrival to start, in ticks.
    pub wait: Distribution,
    /// Events worked on.
    pub events: u64,
}

impl Load {
    /// Of these modules.
    pub fn of(statistics: &Statistics, modules: &[ModuleId]) -> Self {
        let share = |ticks: u64| ticks as f64 / statistics.elapsed.max(1) as f64;
        let mut load = Self { modules: modules.len(), ..Self::default() };
        load.causes = Busy::default().parts().map(|(key, _)| (key, 0.0)).into();
        let n = modules.len().max(1) as f64;
        let mut busy = 0;
        for id in modules {
            let module = &statistics.modules[id.index()];
            busy += module.busy.total();
            load.busiest = load.busiest.max(share(module.busy.total()));
            load.stopped = load.stopped.max(share(module.stopped));
            for ((_, sum), (_, ticks)) in load.causes.iter_mut().zip(module.busy.parts()) {
                *sum += share(ticks) / n;
            }
            load.queue.merge(&module.queue);
            load.queue_course.merge(&module.queue_course);
            load.wait.merge(&module.wait);
            load.events += module.events;
        }
        load.busy = share(busy) / n;
        load
    }
}

/// Figures of nodes that are shown together, in ticks.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// Events that all receivers have acknowledged.
    pub events: u64,
    /// From `t_pre` to the request.
    pub waiting: Distribution,
    /// From the request to the last acknowledge.
    pub handshake: Distribution,
}

impl Traffic {
    /// Of these nodes.
    pub fn of(statistics: &Statistics, nodes: &[NodeId]) -> Self {
        let mut traffic = Self::default();
        for id in nodes {
            let node = &statistics.nodes[id.index()];
            traffic.events += node.events;
            traffic.waiting.merge(&node.waiting);
            traffic.handshake.merge(&node.handshake);
        }
        traffic
    }
}
