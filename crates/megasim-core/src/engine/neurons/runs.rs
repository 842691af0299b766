//! Plain and signed neurons: many events at once where none can overflow, spikes inside the kernels.

use super::{Neurons, Outside, Port, Sign, Signs, Spikes, Synapses, Weights, Work};
use crate::engine::kernels::{self, Fire, FireReset, Recent};
use crate::engine::population::NeuronPopulation;
use crate::network::Tick;
use std::iter::Sum;
use std::ops::Range;

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
    pub(super) fn by_number(port: &Port, n: usize, signs: Signs<'_>) -> Self {
        let (up, down) = match signs {
            Signs::All(sign) => port.most(sign),
            Signs::Each(_) => (port.largest(), port.largest()),
        };
        Self { most_up: up, up: up * n as i64, down: down * n as i64 }
    }

    /// An address meets each weight of a neuron once per pass over the array.
    pub(super) fn by_address(port: &Port, x: &[i32], y: &[i32], signs: Signs<'_>) -> Self {
        let Self { most_up, up, down } = Self::by_number(port, x.len(), signs);
        let (sum_up, sum_down) = match signs {
            Signs::All(sign) => port.most_of_all(sign),
            Signs::Each(_) => (port.sum_up.saturating_add(port.sum_down), port.sum_up.saturating_add(port.sum_down)),
        };
        let passes = passes(x, y);
        Self { most_up, up: up.min(sum_up.saturating_mul(passes)), down: down.min(sum_down.saturating_mul(passes)) }
    }
}

impl Change {
    /// Changes by several ports. Those of ports that reach one map each do not add up.
    fn of_ports<'p>(changes: impl Iterator<Item = (&'p Port, Self)>) -> Self {
        let (mut of_one, mut of_all) = (Self::default(), Self::default());
        for (port, change) in changes {
            match port.reaches_one_map() {
                true => of_one = of_one.larger(change),
                false => of_all = [of_all, change].into_iter().sum(),
            }
        }
        [of_one, of_all].into_iter().sum()
    }

    /// The larger of changes of different potentials.
    fn larger(self, other: Self) -> Self {
        Self { most_up: self.most_up.max(other.most_up), up: self.up.max(other.up), down: self.down.max(other.down) }
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

/// Addresses and signs of events, and where those of each port end.
pub(in crate::engine) type LayerEvents<'e> = (&'e [i32], &'e [i32], Signs<'e>, &'e [usize]);

impl Neurons {
    /// Whether some events for plain or signed neurons can neither make a potential overflow nor bring it near the
    /// lower threshold. If so, they count as added.
    fn has_room(&mut self, plan: &NeuronPopulation, Change { most_up, up, down }: Change) -> bool {
        let parameters = &plan.neurons;
        let floor = i64::from(parameters.threshold_minus).max(i32::MIN.into());
        let threshold = i64::from(parameters.threshold_plus);
        // v + w < threshold, or a spike leaves v + w - threshold <= v: potentials do not rise above what they are or
        // the threshold. Where a spike may have to wait, or counts have a maximum, they do.
        let waits = || !self.last_spike.is_empty() || parameters.signed().is_some_and(|it| it.max_count < i32::MAX);
        let high = if most_up <= threshold && !waits() {
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
        let signs = Signs::All(sign);
        let exact = || Change::by_address(port, &x[..n], &y[..n], signs);
        if self.finds_room(plan, Change::by_number(port, n, signs), exact) {
            return n;
        }
        let (up, down) = port.most(sign);
        self.headroom(plan, up, down, n)
    }

    /// Spike events of successive ports; those of each port end where `ends` says. The same as one
    /// [`Neurons::receive_run`] after the other, but faster for signed neurons, and for plain ones if all are positive.
    pub(in crate::engine) fn receive_layer(
        &mut self,
        plan: &NeuronPopulation,
        variant: kernels::Variant,
        ports: &[Port],
        (x, y, signs, ends): LayerEvents<'_>,
        s: Tick,
        out: &mut impl Spikes,
    ) -> Result<Work, (usize, Outside)> {
        let runs = || {
            let mut start = 0;
            let runs = ports.iter().zip(ends).map(move |(port, &end)| (port, std::mem::replace(&mut start, end)..end));
            runs.filter(|(_, run)| !run.is_empty())
        };
        let cheap = Change::of_ports(runs().map(|(port, run)| (port, Change::by_number(port, run.len(), signs))));
        let exact = || {
            let by_address = |run: Range<usize>, port| Change::by_address(port, &x[run.clone()], &y[run], signs);
            Change::of_ports(runs().map(|(port, run)| (port, by_address(run, port))))
        };
        let at_once = plan.neurons.signed().is_some() || (plan.plain && matches!(signs, Signs::All(Sign::Plus)));
        if !at_once || !self.finds_room(plan, cheap, exact) {
            let mut work = Work::default();
            for (port, run) in runs() {
                for (alike, sign) in signs.runs(run) {
                    let start = alike.start;
                    let events = (&x[alike.clone()], &y[alike], sign);
                    let done = self.receive_run(plan, variant, port, events, s, out);
                    work += done.map_err(|(k, outside)| (start + k, outside))?;
                }
            }
            return Ok(work);
        }
        let operations = if let Some(signed) = plan.neurons.signed() {
            let most = ports.iter().map(Port::largest).max().unwrap_or(0);
            let mut operations = 0;
            for (port, run) in runs() {
                let done = self.run_signed((plan, signed), variant, (port, most), (x, y, signs), run);
                operations += done?;
            }
            operations
        } else {
            let (v, mut fire) = self.firing(plan, s);
            kernels::run_layer(variant, v, ports, (plan.array, plan.maps), (x, y, ends), &mut fire)
        };
        self.let_leave(plan, out);
        Ok(Work { operations, updates: operations })
    }

    /// Potentials and how plain neurons spike.
    fn firing(&mut self, plan: &NeuronPopulation, s: Tick) -> (&mut [i32], Fire<'_>) {
        let parameters = &plan.neurons;
        let reset = FireReset::of(parameters);
        let Self { v, last_spike, hits, .. } = self;
        let recent = (!last_spike.is_empty()).then_some(Recent { last_spike, t_min: parameters.t_min, now: s });
        (v, Fire { threshold: parameters.threshold_plus, reset, recent, hits })
    }

    /// Hands over the neurons that spiked.
    pub(super) fn let_leave(&mut self, plan: &NeuronPopulation, out: &mut impl Spikes) {
        if !self.hits.is_empty() {
            out.positive(plan, &self.hits);
            self.hits.clear();
        }
        if !self.spikes.is_empty() {
            out.signed(plan, &self.spikes, &mut self.hits);
            self.spikes.clear();
            self.hits.clear();
        }
    }

    /// Events that plain or signed neurons take without any chance of overflow.
    pub(super) fn run_unchecked(
        &mut self,
        plan: &NeuronPopulation,
        variant: kernels::Variant,
        port: &Port,
        (x, y, sign): (&[i32], &[i32], Sign),
        s: Tick,
        out: &mut impl Spikes,
    ) -> Result<u64, (usize, Outside)> {
        if let Some(signed) = plan.neurons.signed() {
            let run = (x, y, Signs::All(sign));
            let operations = self.run_signed((plan, signed), variant, (port, port.largest()), run, 0..x.len())?;
            self.let_leave(plan, out);
            return Ok(operations);
        }
        let mut lines = std::mem::take(&mut self.lines);
        if let Synapses::Matrix { nx_pre, ny_pre, .. } = port.synapses {
            lines.clear();
            lines_of((x, y), Outside { nx_pre, ny_pre }, &mut lines)?;
        }
        let n = self.v.len();
        let (v, mut fire) = self.firing(plan, s);
        let operations = match &port.synapses {
            Synapses::Matrix { weights: Weights::Wide(weights), .. } => {
                kernels::run_lines(variant, v, weights, &lines, sign, &mut fire);
                (lines.len() * n) as u64
            }
            Synapses::Matrix { weights: Weights::Narrow(matrix), .. } => {
                kernels::run_narrow(variant, v, matrix, &lines, sign, &mut fire);
                (lines.len() * n) as u64
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

/// The lines of a matrix that events read; fails with the number of the first event that has none.
#[inline(always)]
pub(super) fn lines_of(
    (x, y): (&[i32], &[i32]),
    matrix: Outside,
    lines: &mut Vec<u32>,
) -> Result<(), (usize, Outside)> {
    let Outside { nx_pre, ny_pre } = matrix;
    // Negative coordinates become large ones. Folds, unlike `all`, look at many at once.
    let furthest = x.iter().fold(0, |furthest: u32, &x| furthest.max(x as u32));
    if furthest < nx_pre && ny_pre > 0 && y.iter().fold(0, |any, &y| any | y) == 0 {
        lines.extend(x.iter().map(|&x| x as u32));
        return Ok(());
    }
    for (k, (&x, &y)) in x.iter().zip(y).enumerate() {
        let (column, row) = (x as u32, y as u32);
        if column >= nx_pre || row >= ny_pre {
            return Err((k, matrix));
        }
        lines.push(column + row * nx_pre);
    }
    Ok(())
}

/// How often the same address can be among these, at most: how many passes over the array in raster order they are.
fn passes(x: &[i32], y: &[i32]) -> i64 {
    let next = x.iter().skip(1).zip(y.iter().skip(1));
    let backwards = x.iter().zip(y).zip(next).map(|((x, y), (next_x, next_y))| (next_y, next_x) <= (y, x));
    1 + backwards.map(i64::from).sum::<i64>()
}
