//! A source that touches all neurons at the end of each tick, but where that would change nothing.

use super::{EventRun, EventState};
use crate::engine::apply::Cells;
use crate::engine::population::PopulationKind;
use crate::network::{NodeId, Polarity, StimulusEvent, Tick};

impl EventState {
    /// Puts a touch on the list.
    pub(super) fn touch_at(&mut self, touch: usize, t_pre: Tick) {
        self.bus.push(NodeId::new(touch), StimulusEvent { t_pre, x: 0, y: 0, polarity: Polarity::Positive }, None);
        self.bus.woken.clear();
        self.schedule.put(touch, t_pre);
    }
}

impl EventRun<'_> {
    /// Sees to it that neurons are touched at the end of this tick, after events of `node`, and of the next one where
    /// that matters.
    pub(super) fn touch(&mut self, touch: usize, node: usize, r: Tick) {
        if node == touch {
            self.state.touched = r;
        }
        if self.state.bus.pending[touch].len(self.stimuli) > 0 {
            return;
        }
        let populations = self.populations.iter().zip(&self.plan.populations);
        let mut restless = populations.filter_map(|(state, population)| match (&state.cells, &population.kind) {
            (Cells::Neurons(neurons), PopulationKind::Neurons(plan)) => Some(neurons.restless(plan)),
            _ => None,
        });
        if self.state.touched != r {
            self.state.touch_at(touch, r);
        } else if node != touch || restless.any(|restless| restless) {
            self.state.touch_at(touch, r.saturating_add(1));
        }
    }
}
