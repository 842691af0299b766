//! The critical path of samples: which waits determined when they ended, by hardware key and place.

use super::Results;
use crate::hardware::{ModuleLayer, Resolved, module_name};
use megasim_core::engine::machine::{Causes, CriticalPath, PathSegment, Wait};
use megasim_core::network::{Driver, Network, NodeId, Tick};
use ordered_float::OrderedFloat;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Spans of time in which the path of a sample is drawn.
const SPANS: u32 = 512;

/// The critical paths of one sample, from its first input on; in ticks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamplePaths {
    /// To the last work.
    pub last_work: PathSums,
    /// To the decision that stays; none of a sample without one.
    pub decision: Option<PathSums>,
    /// That to the last work over time, in spans with the wait that takes most of each.
    pub course: Vec<PathSegment>,
}

/// What a critical path is made of, in ticks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathSums {
    /// Each wait.
    pub waits: Vec<(Wait, u64)>,
    /// Handshakes that held up the next event of a node.
    pub handshakes: Vec<(NodeId, u64)>,
}

impl PathSums {
    fn of(path: &CriticalPath) -> Self {
        Self { waits: path.waits().into_iter().collect(), handshakes: path.handshakes().into_iter().collect() }
    }
}

impl SamplePaths {
    /// Of a run; none where it had more moments than are kept.
    pub(super) fn of(causes: &Causes, first_input: Option<Tick>, settled: Option<Tick>) -> Option<Self> {
        let first = first_input.unwrap_or(0);
        let last_work = causes.last_work()?.from(first);
        let decision = settled.and_then(|time| causes.request_at(time)).map(|path| PathSums::of(&path.from(first)));
        Some(Self { decision, course: last_work.course(SPANS), last_work: PathSums::of(&last_work) })
    }
}

/// A hardware key at a place, with its share of critical paths.
#[derive(Debug, Clone, PartialEq)]
pub struct PathPart {
    /// The hardware key; `pace` of input that was not due, `barrier` of barriers.
    pub key: &'static str,
    /// Where: a layer, two layers with wires between them, a link of the mesh.
    pub place: String,
    /// Its share of the paths.
    pub share: f64,
    /// The waits that it is made of.
    pub waits: Vec<Wait>,
}

impl PathPart {
    /// It in words: key and place.
    pub fn name(&self) -> String {
        match self.waits.first() {
            Some(Wait::Input) => "input that is not due yet".into(),
            Some(Wait::Barrier) => "the barrier".into(),
            Some(Wait::Link(..) | Wait::AcknowledgeLink(..)) => format!("{} from {}", self.key, self.place),
            _ => format!("{} of {}", self.key, self.place),
        }
    }
}

/// What the critical paths of some samples are made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Critical {
    /// Samples whose paths these are.
    pub samples: usize,
    /// The parts of the paths to the last work, the largest first.
    pub last_work: Vec<PathPart>,
    /// Those of the paths to the decision that stays; empty without decisions.
    pub decision: Vec<PathPart>,
    /// The node whose handshakes, each of which held up its next event, are most of the way to the last work, and their
    /// share.
    pub handshake: Option<(NodeId, f64)>,
}

/// What names of waits are taken from.
pub struct PathContext<'a> {
    /// The network.
    pub network: &'a Network,
    /// Its layers.
    pub layers: &'a [ModuleLayer],
    /// The machine.
    pub hardware: &'a Resolved,
}

impl PathContext<'_> {
    fn layer(&self, module: megasim_core::network::ModuleId) -> String {
        let layer = self.layers.iter().find(|layer| layer.modules.contains(&module));
        layer.map_or_else(|| module_name(self.network, module), |layer| layer.name.clone())
    }

    /// Where a wait is.
    pub fn name(&self, wait: Wait) -> String {
        let link = |link: u32| match &self.hardware.machine.mesh {
            Some(mesh) => {
                let (tile, direction) = mesh.link(link as usize);
                format!("link ({}, {}) {direction:?}", tile.x, tile.y)
            }
            None => format!("link {link}"),
        };
        match wait {
            Wait::Input => "the input".into(),
            Wait::Barrier => "between steps".into(),
            Wait::Work(module, _) | Wait::Initial(module) | Wait::Travel(module) | Wait::Acknowledge(module) => {
                self.layer(module)
            }
            Wait::Link(node, module) | Wait::AcknowledgeLink(node, module) => {
                let node = &self.network.nodes()[node.index()];
                let from = match node.driver {
                    Driver::Source(_) => node.name.clone(),
                    Driver::Module(module) => self.layer(module),
                };
                format!("{from} to {}", self.layer(module))
            }
            Wait::EastWest(at) | Wait::NorthSouth(at) => link(at),
        }
    }

    fn parts<'p>(&self, paths: impl Iterator<Item = &'p PathSums>) -> Vec<PathPart> {
        let mut parts: Vec<(PathPart, u64)> = Vec::new();
        let mut all = 0;
        for (wait, ticks) in paths.flat_map(|path| &path.waits) {
            all += ticks;
            let (key, place) = (wait.key(), self.name(*wait));
            match parts.iter_mut().find(|(part, _)| part.key == key && part.place == place) {
                Some((part, sum)) => {
                    *sum += ticks;
                    if !part.waits.contains(wait) {
                        part.waits.push(*wait);
                    }
                }
                None => parts.push((PathPart { key, place, share: 0.0, waits: vec![*wait] }, *ticks)),
            }
        }
        parts.sort_by_key(|(_, ticks)| std::cmp::Reverse(*ticks));
        let share = |ticks: u64| ticks as f64 / all.max(1) as f64;
        parts.into_iter().map(|(part, ticks)| PathPart { share: share(ticks), ..part }).collect()
    }
}

impl Critical {
    /// Of the samples of a run that were traced; none where none was.
    pub fn of(context: &PathContext<'_>, results: &Results) -> Option<Self> {
        let paths: Vec<&SamplePaths> = results.samples.iter().filter_map(|sample| sample.paths.as_ref()).collect();
        let last_work = context.parts(paths.iter().map(|path| &path.last_work));
        if last_work.is_empty() {
            return None;
        }
        let all: u64 = paths.iter().flat_map(|path| &path.last_work.waits).map(|(_, ticks)| ticks).sum();
        let mut handshakes: BTreeMap<NodeId, u64> = BTreeMap::new();
        for &(node, ticks) in paths.iter().flat_map(|path| &path.last_work.handshakes) {
            *handshakes.entry(node).or_default() += ticks;
        }
        let most = handshakes.into_iter().max_by_key(|&(node, ticks)| (ticks, std::cmp::Reverse(node)));
        Some(Self {
            samples: paths.len(),
            last_work,
            decision: context.parts(paths.iter().filter_map(|path| path.decision.as_ref())),
            handshake: most.map(|(node, ticks)| (node, ticks as f64 / all.max(1) as f64)),
        })
    }

    /// What takes most of the way to the last work.
    pub fn bottleneck(&self) -> Option<&PathPart> {
        self.last_work.first()
    }

    /// The keys of the way to the last work with their shares, the largest first.
    pub fn keys(&self) -> Vec<(&'static str, f64)> {
        let mut sums: Vec<(&'static str, f64)> = Vec::new();
        for part in &self.last_work {
            match sums.iter_mut().find(|(key, _)| *key == part.key) {
                Some((_, sum)) => *sum += part.share,
                None => sums.push((part.key, part.share)),
            }
        }
        sums.sort_by_key(|(_, share)| std::cmp::Reverse(OrderedFloat(*share)));
        sums
    }
}
