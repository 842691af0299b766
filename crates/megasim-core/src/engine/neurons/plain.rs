//! Plain neurons: many events at once where none can overflow, spikes inside the kernels.

use super::{Neurons, Outside, Port, Sign, Spikes, Synapses, Weights, Work};
use crate::engine::kernels::{self, Fire, FireReset, Recent};
use crate::engine::plan::NeuronPopulation;
use crate::network::{Reset, Tick};
use std::iter::Sum;

/// What some events can do to one potential.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Change {
    /// The most that one of them adds (0 or more).
    most_up: i64,
    /// The most that all of them add, and take away (0 or more).
    pub(super) up: i64,
    pub(super) down: i64,
}

impl Change {
    /// As if each of `n` events of a port met its largest weight.
    pub(super) fn by_number(port: &Port, n: usize, sign: Sign) -> Self {
        let (up, down) = port.most(sign);
        Self { most_up: up, up: up * n as i64, down: down * n as i64 }
    }

    /// An address meets each weight of a neuron once per pass over the array.
    pub(super) fn by_address(port: &Port, x: &[i32], y: &[i32], sign: Sign) -> Self {
        let Self { most_up, up, down } = Self::by_number(port, x.len(), sign);
        let (sum_up, sum_down) = port.most_of_all(sign);
        let passes = passes(x, y);
        Self { most_up, up: up.min(sum_up.saturating_mul(passes)), down: down.min(sum_down.saturating_mul(passes)) }
    }
}

impl Sum for Change {
    fn sum<I: Iterator<Item = Self>>(changes: I) -> Self {
        changes.fold(Self::default(), |sum, of| Self {
            most_up: sum.most_up.max(of.most_up),
            up: sum.up + of.up,
            down: sum.down + of.down,
        })
    }
}

impl Neurons {
    /// Whether some events for plain neurons can neither make a potential overflow nor bring it near the lower
    /// threshold. If so, they count as added.
    fn has_room(&mut self, plan: &NeuronPopulation, Change { most_up, up, down }: Change) -> bool {
        let parameters = &plan.neurons;
        let floor = i64::from(parameters.threshold_minus).max(i32::MIN.into());
        let threshold = i64::from(parameters.threshold_plus);
        // v + w < threshold, or a spike leaves v + w - threshold <= v: potentials do not rise above what they are or
        // the threshold. Where a spike may have to wait they do.
        let high = if most_up <= threshold && self.last_spike.is_empty() {
            if self.high + most_up > i64::from(i32::MAX) {
                return false;
            }
            self.high.max(threshold)
        } else {
            self.high + up
        };
        if high > i64::from(i32::MAX) || self.low - down <= floor {
            return false;
        }
        self.low -= down;
        self.high = high;
        true
    }

    /// As [`Neurons::has_room`], by bounds from cheap to expensive.
    fn finds_room(&mut self, plan: &NeuronPopulation, cheap: Change, exact: impl FnOnce() -> Change) -> bool {
        if self.has_room(plan, cheap) {
            return true;
        }
        let change = exact();
        if self.has_room(plan, change) {
            return true;
        }
        if self.bounds_backoff > 0 {
            return false;
        }
        self.bound(plan);
        self.has_room(plan, change)
    }

    /// How many of some events may be added one after the other as [`Neurons::has_room`] asks; 0 if not even one.
    pub(super) fn room(&mut self, plan: &NeuronPopulation, port: &Port, (x, y, sign): (&[i32], &[i32], Sign)) -> usize {
        // Sizes and weights have 32 bits, so that nothing overflows.
        let n = x.len().min(1 << 30);
        let exact = || Change::by_address(port, &x[..n], &y[..n], sign);
        if self.finds_room(plan, Change::by_number(port, n, sign), exact) {
            return n;
        }
        let (up, down) = port.most(sign);
        self.headroom(plan, up, down, n)
    }

    /// Positive events of successive ports of plain neurons; those of each port end where `ends` says. The same as one
    /// [`Neurons::receive_run`] after the other, but faster.
    pub(in crate::engine) fn receive_layer(
        &mut self,
        plan: &NeuronPopulation,
        variant: kernels::Variant,
        ports: &[Port],
        (x, y, ends): (&[i32], &[i32], &[usize]),
        s: Tick,
        out: &mut impl Spikes,
    ) -> Result<Work, (usize, Outside)> {
        let runs = || {
            let mut start = 0;
            ports.iter().zip(ends).map(move |(port, &end)| (port, std::mem::replace(&mut start, end)..end))
        };
        let busy = || runs().filter(|(_, run)| !run.is_empty());
        let cheap = busy().map(|(port, run)| Change::by_number(port, run.len(), Sign::Plus)).sum();
        let exact = || busy().map(|(port, run)| Change::by_address(port, &x[run.clone()], &y[run], Sign::Plus)).sum();
        if !self.finds_room(plan, cheap, exact) {
            let mut work = Work::default();
            for (port, run) in runs() {
                let start = run.start;
                let events = (&x[run.clone()], &y[run], Sign::Plus);
                let done = self.receive_run(plan, variant, port, events, s, out);
                let Work { operations, updates } = done.map_err(|(k, outside)| (start + k, outside))?;
                work.operations += operations;
                work.updates += updates;
            }
            return Ok(work);
        }
        let (v, mut fire) = self.firing(plan, s);
        let operations = kernels::run_layer(variant, v, ports, (plan.array, plan.maps), (x, y, ends), &mut fire);
        self.let_leave(plan, out);
        Ok(Work { operations, updates: operations })
    }

    /// Potentials and how plain neurons spike.
    fn firing(&mut self, plan: &NeuronPopulation, s: Tick) -> (&mut [i32], Fire<'_>) {
        let parameters = &plan.neurons;
        let reset = match parameters.reset {
            Reset::ToRest => FireReset::To(parameters.membrane_reset),
            _ => FireReset::Subtract,
        };
        let Self { v, last_spike, hits, .. } = self;
        let recent = (!last_spike.is_empty()).then_some(Recent { last_spike, t_min: parameters.t_min, now: s });
        (v, Fire { threshold: parameters.threshold_plus, reset, recent, hits })
    }

    /// Hands over the neurons that spiked.
    fn let_leave(&mut self, plan: &NeuronPopulation, out: &mut impl Spikes) {
        if !self.hits.is_empty() {
            out.positive(plan, &self.hits);
            self.hits.clear();
        }
    }

    /// Events that plain neurons take without any chance of overflow.
    pub(super) fn run_plain(
        &mut self,
        plan: &NeuronPopulation,
        variant: kernels::Variant,
        port: &Port,
        (x, y, sign): (&[i32], &[i32], Sign),
        s: Tick,
        out: &mut impl Spikes,
    ) -> Result<u64, (usize, Outside)> {
        let mut lines = std::mem::take(&mut self.lines);
        let (v, mut fire) = self.firing(plan, s);
        let operations = match &port.synapses {
            Synapses::Matrix { nx_pre, ny_pre, weights } => {
                lines.clear();
                let outside = Outside { nx_pre: *nx_pre, ny_pre: *ny_pre };
                // Negative coordinates become large ones. Folds, unlike `all`, look at many at once.
                let furthest = x.iter().fold(0, |furthest: u32, &x| furthest.max(x as u32));
                if furthest < *nx_pre && *ny_pre > 0 && y.iter().fold(0, |any, &y| any | y) == 0 {
                    lines.extend(x.iter().map(|&x| x as u32));
                } else {
                    for (k, (&x, &y)) in x.iter().zip(y).enumerate() {
                        let (column, row) = (x as u32, y as u32);
                        if column >= *nx_pre || row >= *ny_pre {
                            return Err((k, outside));
                        }
                        lines.push(column + row * *nx_pre);
                    }
                }
                match weights {
                    Weights::Wide(weights) => kernels::run_lines(variant, v, weights, &lines, sign, &mut fire),
                    Weights::Narrow(matrix) => kernels::run_narrow(variant, v, matrix, &lines, sign, &mut fire),
                }
                (lines.len() * v.len()) as u64
            }
            Synapses::Kernel(kernel) => {
                kernels::run_kernel(variant, v, kernel, (plan.array, plan.maps), (x, y), sign, &mut fire)
            }
        };
        self.lines = lines;
        self.let_leave(plan, out);
        Ok(operations)
    }
}

/// How often the same address can be among these, at most: how many passes over the array in raster order they are.
fn passes(x: &[i32], y: &[i32]) -> i64 {
    let next = x.iter().skip(1).zip(y.iter().skip(1));
    let backwards = x.iter().zip(y).zip(next).map(|((x, y), (next_x, next_y))| (next_y, next_x) <= (y, x));
    1 + backwards.map(i64::from).sum::<i64>()
}
