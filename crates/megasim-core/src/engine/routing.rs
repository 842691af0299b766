//! Address modules: flatten and max pooling. They pass events on under other addresses and have no potentials.

use super::action::Action;
use super::pool_scores::Scores;
use super::sign::Sign;
use super::step_events::StepEvents;
use crate::network::{FlattenPort, MaxPool, Polarity, PoolMask, PoolPort, PoolRule, Tick};
use std::convert::Infallible;

/// Where the events of one flatten port leave: at `n + y * nx + x`, `n` the sizes of the ports before added up.
pub(super) struct Flatten {
    port: FlattenPort,
    before: i64,
}

impl Flatten {
    pub fn new(ports: &[FlattenPort], port: usize) -> Self {
        let before = ports[..port].iter().map(|port| i64::from(port.nx) * i64::from(port.ny)).sum();
        Self { port: ports[port], before }
    }

    /// Where an event at `(x, y)` leaves, if it is inside the port's array; it fits, as a checked module's sizes do.
    #[inline]
    pub fn of(&self, x: i32, y: i32) -> Option<i32> {
        let FlattenPort { nx, ny } = self.port;
        let inside = (0..i64::from(nx)).contains(&x.into()) && (0..i64::from(ny)).contains(&y.into());
        inside.then_some((self.before + i64::from(y) * i64::from(nx) + i64::from(x)) as i32)
    }
}

/// The counts and winners of a max-pooling module.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    /// Events of each input address so far, `y * nx + x`.
    counts: Vec<u64>,
    /// The winning address of each window, `Y * nx_out + X`.
    winners: Vec<Option<u32>>,
    /// The polarity of the last event of each address in this clocked step, and the addresses that have one.
    last: Vec<Option<Polarity>>,
    arrived: Vec<u32>,
    /// Where windows integrate: the mask of each input address and the potential of each window.
    masks: Vec<i32>,
    potentials: Vec<i32>,
    /// Where spikes are signed: those of each input address so far, with their signs, and the largest of each window.
    signed: Vec<i64>,
    largest: Vec<i64>,
    /// Where the winner is that of an average: those of the inputs.
    scores: Option<Scores>,
}

impl Pool {
    pub fn new(plan: &MaxPool) -> Self {
        let port = plan.ports.first().copied().unwrap_or(PoolPort::RESET);
        let (inputs, windows) = (port.nx as usize * port.ny as usize, port.nx_out as usize * port.ny_out as usize);
        let masked = |n: usize| vec![0; if plan.mask().is_some() { n } else { 0 }];
        let signed = |n: usize| vec![0; if plan.rule == PoolRule::Signed { n } else { 0 }];
        Self {
            counts: vec![0; inputs],
            winners: vec![None; windows],
            last: vec![None; inputs],
            arrived: Vec::new(),
            masks: masked(inputs),
            potentials: masked(windows),
            signed: signed(inputs),
            largest: signed(windows),
            scores: Scores::new(plan.rule, inputs),
        }
    }

    /// What one event at `s` does to a max-pooling module in event mode and on machines. Without a port of pooling,
    /// which is one beyond those of the module, only resets and controls act.
    #[inline]
    pub fn apply(
        &mut self,
        plan: &MaxPool,
        port: Option<usize>,
        action: Action,
        (x, y, polarity): (i32, i32, Polarity),
        s: Tick,
        mut out: impl FnMut(i32, i32, Polarity),
    ) {
        match (action, port) {
            (Action::Reset, _) => self.reset(),
            (Action::Control, _) => {
                if let (Some(mask), Some(port)) = (plan.mask(), plan.ports.first()) {
                    self.discharge(port, mask, |x, y| out(x, y, Polarity::Positive));
                }
            }
            (Action::Spikes(sign), Some(port)) => {
                let port = &plan.ports[port];
                match plan.rule {
                    PoolRule::Mask(mask) => self.charge(port, mask, x, y, polarity),
                    PoolRule::Busiest => self.receive(port, x, y, |x, y| out(x, y, polarity)),
                    PoolRule::Signed => self.receive_signed(port, x, y, sign, out),
                    PoolRule::Average { .. } | PoolRule::Exponential { .. } => {
                        self.count(port, x, y, polarity, s);
                        self.step_winners(port, s, out);
                    }
                }
            }
            (Action::Settle, _) | (Action::Spikes(_), None) => {}
        }
    }

    /// Forgets counts and winners.
    pub fn reset(&mut self) {
        self.counts.fill(0);
        self.winners.fill(None);
        self.last.fill(None);
        self.arrived.clear();
        self.masks.fill(0);
        self.potentials.fill(0);
        self.signed.fill(0);
        self.largest.fill(0);
        self.scores.iter_mut().for_each(Scores::reset);
    }

    /// Where spikes are signed: one spike at `(x, y)`. Calls `out` with the change of the largest count of each window
    /// that covers it, in raster order.
    fn receive_signed(&mut self, port: &PoolPort, x: i32, y: i32, sign: Sign, mut out: impl FnMut(i32, i32, Polarity)) {
        let Some(address) = address(port, x, y) else { return };
        let Self { signed, largest, .. } = self;
        let before = signed[address];
        signed[address] += sign.factor();
        for_windows(port, x, y, |window, at| {
            let largest = &mut largest[window];
            // A count that falls changes the largest only where it was that.
            let new = match sign {
                Sign::Plus => signed[address].max(*largest),
                Sign::Minus if before < *largest => *largest,
                Sign::Minus => largest_of(signed, port, at),
            };
            change(largest, new, at, &mut out);
        });
    }

    /// Clocked mode: counts a signed spike of the step.
    fn count_signed(&mut self, port: &PoolPort, x: i32, y: i32, sign: Sign) {
        let Some(address) = address(port, x, y) else { return };
        self.signed[address] += sign.factor();
        self.arrived.push(address as u32);
    }

    /// Clocked mode: calls `out` with the change of the largest count of each window in this step, in raster order.
    fn step_signed(&mut self, port: &PoolPort, mut out: impl FnMut(i32, i32, Polarity)) {
        for (window, at) in self.touched_windows(port) {
            let new = largest_of(&self.signed, port, at);
            change(&mut self.largest[window], new, at, &mut out);
        }
        self.arrived.clear();
    }

    /// The windows that cover an event of this clocked step, in raster order.
    fn touched_windows(&self, port: &PoolPort) -> Vec<(usize, (i32, i32))> {
        let mut windows = Vec::new();
        for &address in &self.arrived {
            let (x, y) = (address % port.nx, address / port.nx);
            for_windows(port, x as i32, y as i32, |window, at| windows.push((window, at)));
        }
        windows.sort_unstable();
        windows.dedup();
        windows
    }

    /// Where windows integrate: a spike at `(x, y)`.
    fn charge(&mut self, port: &PoolPort, mask: PoolMask, x: i32, y: i32, polarity: Polarity) {
        if let Some(address) = address(port, x, y) {
            let weight = if polarity == Polarity::Negative { -i64::from(mask.weight) } else { mask.weight.into() };
            self.masks[address] = narrow(i64::from(self.masks[address]) + weight);
        }
    }

    /// Where windows integrate: a control event. Calls `out` with each window that spikes, in raster order.
    fn discharge(&mut self, port: &PoolPort, mask: PoolMask, mut out: impl FnMut(i32, i32)) {
        for row in 0..port.ny_out as i32 {
            for column in 0..port.nx_out as i32 {
                let largest = cells(port, (column, row)).map(|cell| self.masks[cell]).max().unwrap_or(0);
                let potential = &mut self.potentials[row as usize * port.nx_out as usize + column as usize];
                *potential = narrow(i64::from(*potential) + i64::from(largest / mask.tau));
                if *potential >= mask.threshold {
                    *potential = 0;
                    out(column, row);
                }
            }
        }
        self.masks.iter_mut().for_each(|it| *it -= *it / mask.tau);
    }

    /// One event at `(x, y)`: counts it, and calls `out` with each window whose winner it is, in raster order.
    fn receive(&mut self, port: &PoolPort, x: i32, y: i32, mut out: impl FnMut(i32, i32)) {
        let Some(address) = address(port, x, y) else { return };
        self.counts[address] += 1;
        let count = self.counts[address];
        for_windows(port, x, y, |window, at| {
            let winner = &mut self.winners[window];
            if winner.is_none_or(|winner| count > self.counts[winner as usize]) {
                *winner = Some(address as u32);
            }
            if *winner == Some(address as u32) {
                out(at.0, at.1);
            }
        });
    }

    /// Counts an event of a step, or one event.
    fn count(&mut self, port: &PoolPort, x: i32, y: i32, polarity: Polarity, s: Tick) {
        let Some(address) = address(port, x, y) else { return };
        match &mut self.scores {
            Some(scores) => scores.count(address, s),
            None => self.counts[address] += 1,
        }
        if self.last[address].replace(polarity).is_none() {
            self.arrived.push(address as u32);
        }
    }

    /// Clocked mode: the events of the step at `s`. Calls `out` with what leaves.
    pub fn step(&mut self, plan: &MaxPool, events: StepEvents<'_>, s: Tick, mut out: impl FnMut(i32, i32, Polarity)) {
        let Some(port) = plan.ports.first() else { return };
        let mut controls = 0;
        let Ok(()) = events.each(|at, action, run| {
            match (action, plan.rule) {
                (Action::Spikes(sign), rule) if at == 0 => {
                    for (k, (&x, &y)) in run.x.iter().zip(run.y).enumerate() {
                        match rule {
                            PoolRule::Mask(mask) => self.charge(port, mask, x, y, run.polarity[k]),
                            PoolRule::Signed => self.count_signed(port, x, y, sign),
                            PoolRule::Busiest | PoolRule::Average { .. } | PoolRule::Exponential { .. } => {
                                self.count(port, x, y, run.polarity[k], s);
                            }
                        }
                    }
                }
                (Action::Control, _) => controls += run.len(),
                (Action::Spikes(_) | Action::Reset | Action::Settle, _) => {}
            }
            Ok::<(), Infallible>(())
        });
        match plan.rule {
            PoolRule::Mask(mask) => {
                (0..controls).for_each(|_| self.discharge(port, mask, |x, y| out(x, y, Polarity::Positive)));
            }
            PoolRule::Signed => self.step_signed(port, out),
            PoolRule::Busiest | PoolRule::Average { .. } | PoolRule::Exponential { .. } => {
                self.step_winners(port, s, out);
            }
        }
    }

    /// In each window that covers an event of the step the highest count or score wins (the standing winner on ties,
    /// else the lowest raster address), and one event leaves if the winner had one, with the polarity of its last.
    fn step_winners(&mut self, port: &PoolPort, s: Tick, mut out: impl FnMut(i32, i32, Polarity)) {
        for (window, at) in self.touched_windows(port) {
            let score = |address: usize| match &self.scores {
                Some(scores) => scores.at(address, s),
                None => self.counts[address] as i64,
            };
            let mut best = self.winners[window].map(|winner| (winner, score(winner as usize)));
            for candidate in cells(port, at) {
                let found = score(candidate);
                if found > best.map_or(0, |(_, highest)| highest) {
                    best = Some((candidate as u32, found));
                }
            }
            self.winners[window] = best.map(|(winner, _)| winner);
            if let Some(polarity) = best.and_then(|(winner, _)| self.last[winner as usize]) {
                out(at.0, at.1, polarity);
            }
        }
        for address in self.arrived.drain(..) {
            self.last[address as usize] = None;
        }
    }
}

/// The largest count of a window.
fn largest_of(counts: &[i64], port: &PoolPort, at: (i32, i32)) -> i64 {
    cells(port, at).map(|cell| counts[cell]).max().unwrap_or(0)
}

/// Makes the largest count of a window another one, and calls `out` for each step in between.
fn change(largest: &mut i64, new: i64, at: (i32, i32), out: &mut impl FnMut(i32, i32, Polarity)) {
    let polarity = if new > *largest { Polarity::Positive } else { Polarity::Negative };
    for _ in 0..new.abs_diff(*largest) {
        out(at.0, at.1, polarity);
    }
    *largest = new;
}

/// The most events that one event can make.
pub(super) fn most_events(plan: &MaxPool, port: Option<usize>, action: Action, (x, y): (i32, i32)) -> u64 {
    match (action, plan.rule, port) {
        (Action::Control, PoolRule::Mask(_), _) => {
            plan.ports.first().map_or(0, |port| u64::from(port.nx_out) * u64::from(port.ny_out))
        }
        (Action::Spikes(_), PoolRule::Mask(_), _) => 0,
        (Action::Spikes(_), _, Some(port)) => windows(&plan.ports[port], x, y),
        _ => 0,
    }
}

/// How many windows cover an address, 0 outside the array.
fn windows(port: &PoolPort, x: i32, y: i32) -> u64 {
    let mut windows = 0;
    if address(port, x, y).is_some() {
        for_windows(port, x, y, |_, _| windows += 1);
    }
    windows
}

fn narrow(sum: i64) -> i32 {
    sum.clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

fn address(port: &PoolPort, x: i32, y: i32) -> Option<usize> {
    let inside = (0..i64::from(port.nx)).contains(&x.into()) && (0..i64::from(port.ny)).contains(&y.into());
    inside.then(|| y as usize * port.nx as usize + x as usize)
}

/// The windows along one axis that cover `at`.
fn windows_along(at: i32, pool: u32, d: i32, stride: i32, out: u32) -> std::ops::Range<i64> {
    let (at, stride) = (i64::from(at) - i64::from(d), i64::from(stride));
    let last = at.div_euclid(stride);
    let first = (at - i64::from(pool) + 1 + stride - 1).div_euclid(stride);
    first.max(0)..(last + 1).min(out.into())
}

fn for_windows(port: &PoolPort, x: i32, y: i32, mut visit: impl FnMut(usize, (i32, i32))) {
    for row in windows_along(y, port.ny_pool, port.dy, port.y_stride, port.ny_out) {
        for column in windows_along(x, port.nx_pool, port.dx, port.x_stride, port.nx_out) {
            visit(row as usize * port.nx_out as usize + column as usize, (column as i32, row as i32));
        }
    }
}

/// The input addresses of a window, in raster order.
fn cells(port: &PoolPort, (column, row): (i32, i32)) -> impl Iterator<Item = usize> + use<> {
    let along = |at: i32, stride: i32, d: i32, pool: u32, n: u32| {
        let first = i64::from(at) * i64::from(stride) + i64::from(d);
        first.max(0)..(first + i64::from(pool)).min(n.into())
    };
    let columns = along(column, port.x_stride, port.dx, port.nx_pool, port.nx);
    let nx = port.nx as usize;
    along(row, port.y_stride, port.dy, port.ny_pool, port.ny)
        .flat_map(move |y| columns.clone().map(move |x| y as usize * nx + x as usize))
}
