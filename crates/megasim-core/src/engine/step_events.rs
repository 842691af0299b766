//! What a population reads in one step of clocked mode.

use super::action::{Action, actions};
use super::population::PlanInput;
use super::queue::{Events, Fifo};
use crate::network::{Polarity, Tick};

/// The inputs that have events in a step, and these events.
#[derive(Clone, Copy)]
pub(super) struct StepEvents<'s> {
    pub inputs: &'s [PlanInput],
    /// The inputs that have events, in order.
    pub heard: &'s [usize],
    /// Events of this step, by node.
    pub present: &'s [Fifo],
    /// Events of the step before, of nodes that are read over a feedback edge.
    pub past: &'s [Fifo],
    /// Steps that the events of each node travel.
    pub travel: &'s [Tick],
}

impl<'s> StepEvents<'s> {
    /// The events at one input.
    ///
    /// Events that travel are there from the start of the step in which they arrive, so that no edge feeds them back.
    #[inline(always)]
    fn of(self, input: usize) -> Option<Events<'s>> {
        let input = &self.inputs[input];
        let node = input.node?.index();
        let fed_back = input.feedback && self.travel[node] == 0;
        let events = if fed_back { self.past[node].events() } else { self.present[node].events() };
        (events.len() > 0).then_some(events)
    }

    /// Whether one of them has this polarity.
    #[inline(always)]
    pub fn any(self, polarity: Polarity) -> bool {
        // Folds, unlike `any`, look at many at once.
        let has = |events: Events<'_>| events.polarity.iter().fold(false, |any, &it| any | (it == polarity));
        self.heard.iter().filter_map(|&input| self.of(input)).any(has)
    }

    /// Calls `take` with runs of equal events and their ports, in the order in which the step reads them. An iterator
    /// over them made clocked mode take a tenth longer.
    ///
    /// # Errors
    /// The first of `take`.
    #[inline(always)]
    pub fn each<E>(self, mut take: impl FnMut(usize, Action, Events<'s>) -> Result<(), E>) -> Result<(), E> {
        for &port in self.heard {
            let Some(events) = self.of(port) else { continue };
            for (action, run) in actions(events) {
                take(port, action, run)?;
            }
        }
        Ok(())
    }
}
