//! The busiest resource of a machine. Being busy makes no bottleneck; that is what the critical path says.

use super::{Results, Setup};
use megasim_core::engine::machine::{Direction, Tile};
use megasim_core::network::{ModuleId, NodeId};
use ordered_float::OrderedFloat;

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

impl Busiest {
    /// Of a study's figures; none where nothing worked at all.
    pub fn of(setup: &Setup<'_>, results: &Results) -> Option<Self> {
        let statistics = &results.statistics;
        if statistics.elapsed == 0 {
            return None;
        }
        let share = |ticks: u64| ticks as f64 / statistics.elapsed as f64;
        let modules = statistics.modules.iter().enumerate().map(|(k, module)| {
            let busy = module.busy.total();
            let (key, most) = module.busy.parts().into_iter().max_by_key(|(_, ticks)| *ticks).unwrap_or(("", 0));
            (Resource::Module(ModuleId::new(k)), busy, (key, most as f64 / busy.max(1) as f64))
        });
        let mesh = setup.hardware.machine.mesh.as_ref();
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
}
