//! The meaning of a run, written to be read: `docs/engine.md` line by line, no attention to speed. The engine is held
//! to it.

#![allow(dead_code, unused_imports)] // each test binary takes what it needs

mod clocked;
mod flatten;
mod payload;
mod pool;

pub use clocked::{run_clocked, run_clocked_with};
use flatten::flattened;
use payload::complete;
use pool::{pool_address, window};

use megasim::equations::{Scratch, Sign};
use megasim::network::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// An event on its way or on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    pub t_pre: Tick,
    pub x: i32,
    pub y: i32,
    pub polarity: Polarity,
    /// What it counts for, in units of 2^-16, if it carries that.
    pub value: Option<i32>,
}

/// What leaves a module: address, sign, and the value that it carries.
type Leaving = (i32, i32, Polarity, Option<i32>);

impl Event {
    /// The `k`-th event of a stimulus.
    fn of(stimulus: &Stimulus, k: usize) -> Self {
        let StimulusEvent { t_pre, x, y, polarity } = stimulus.event(k);
        Self { t_pre, x, y, polarity, value: stimulus.value().get(k).copied() }
    }
    /// What a neuron gets through a weight: halves are rounded up.
    fn input(&self, weight: i64) -> i128 {
        let value = i128::from(self.value.unwrap_or(65_536));
        (self.sign() * i128::from(weight) * value + 32_768).div_euclid(65_536)
    }
    fn is_reset(&self) -> bool {
        self.polarity == Polarity::Reset
    }
    fn is_control(&self) -> bool {
        self.polarity == Polarity::Negative && self.y == -1
    }
    fn is_settle(&self) -> bool {
        self.polarity == Polarity::Settle
    }
    fn is_spike(&self) -> bool {
        !self.is_reset() && !self.is_settle() && !self.is_control()
    }
    fn sign(&self) -> i128 {
        if self.polarity == Polarity::Negative { -1 } else { 1 }
    }
}

/// A run that leaves the matrix of a fully connected module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideMatrix;

#[derive(Debug, Clone)]
struct Neuron {
    v: i64,
    refractory_until: Option<Tick>,
    last_spike: Option<Tick>,
    updated: Tick,
    current: i64,
    /// Spikes of a signed neuron, with their signs.
    count: i64,
    /// Parts of the residual that were sent with values.
    sent: i128,
    /// Variables of a custom neuron; the first is `v`.
    variables: Vec<i64>,
}

struct State {
    neurons: Vec<Neuron>,
    masks: Vec<i64>,
    potentials: Vec<i64>,
    counts: Vec<u64>,
    winners: Vec<Option<usize>>,
    /// Of a pool of averages: the ticks of the spikes of each address.
    spikes: Vec<Vec<Tick>>,
    /// A settle event came after the last reset.
    settled: bool,
    /// Of a signed pool: spikes of each address with their signs, and what each window has sent.
    signed: Vec<i64>,
    sent: Vec<i64>,
    busy_until: Tick,
    accepted_starts: Vec<Tick>,
    model: Option<Arc<NeuronModel>>,
}

impl State {
    fn new(network: &Network, module: &Module) -> Self {
        let number = module.kind.neurons().and_then(|(_, parameters, _)| parameters.model());
        let mut state = State {
            neurons: Vec::new(),
            masks: Vec::new(),
            potentials: Vec::new(),
            counts: Vec::new(),
            winners: Vec::new(),
            spikes: Vec::new(),
            settled: false,
            signed: Vec::new(),
            sent: Vec::new(),
            busy_until: module.timing.time_busy_initial,
            accepted_starts: Vec::new(),
            model: number.map(|number| network.models()[&number].clone()),
        };
        state.reset(module, 0);
        state
    }

    fn reset(&mut self, module: &Module, s: Tick) {
        self.settled = false;
        if let Some((array, parameters, _)) = module.kind.neurons() {
            let variables = self.model.as_ref().map_or(Vec::new(), |model| {
                let mut slots = model.slots(parameters);
                model.system().start(&mut slots, &mut Scratch::default());
                slots[..model.system().states().len()].iter().map(|lanes| lanes[0]).collect()
            });
            let v = variables.first().copied().unwrap_or(rest(parameters).into());
            self.neurons = vec![
                Neuron {
                    v,
                    refractory_until: None,
                    last_spike: None,
                    updated: s,
                    current: 0,
                    count: 0,
                    sent: 0,
                    variables
                };
                array.len()
            ];
        }
        if let ModuleKind::MaxPool(pool) = &module.kind {
            let port = pool.ports.first().copied().unwrap_or(PoolPort::RESET);
            self.counts = vec![0; (port.nx * port.ny) as usize];
            self.masks = vec![0; self.counts.len()];
            self.spikes = vec![Vec::new(); self.counts.len()];
            self.signed = vec![0; self.counts.len()];
            self.sent = vec![0; (port.nx_out * port.ny_out) as usize];
            self.potentials = vec![0; (port.nx_out * port.ny_out) as usize];
            self.winners = vec![None; (port.nx_out * port.ny_out) as usize];
        }
    }

    fn leak(&mut self, parameters: &NeuronParameters, n: usize, s: Tick) {
        let neuron = &mut self.neurons[n];
        let ticks = i128::from(s - neuron.updated);
        neuron.updated = s;
        let (v, rest) = (i128::from(neuron.v), i128::from(rest(parameters)));
        if parameters.leak_decay > 0 {
            let left = ((v - rest).abs() * kept(parameters.leak_decay, ticks as u64)) >> 62;
            neuron.v = (rest + if v < rest { -left } else { left }) as i64;
            return;
        }
        let leaked = if v > rest {
            (v - ticks * i128::from(parameters.leak_plus)).max(rest)
        } else {
            (v + ticks * i128::from(parameters.leak_minus)).min(rest)
        };
        neuron.v = leaked as i64;
    }

    /// A custom neuron is updated, and tested if it is not refractory.
    fn follow(&mut self, parameters: &NeuronParameters, n: usize, input: i128, s: Tick) -> Option<Polarity> {
        let model = self.model.clone().unwrap();
        let (system, mut slots, mut scratch) = (model.system(), model.slots(parameters), Scratch::default());
        let tested = !self.is_refractory(n, s);
        let neuron = &mut self.neurons[n];
        slots.iter_mut().zip(&neuron.variables).for_each(|(lanes, variable)| lanes[0] = *variable);
        slots[model.input()][0] = if tested { input as i64 } else { 0 };
        slots[model.elapsed()][0] = s - neuron.updated;
        neuron.updated = s;
        system.advance(&mut slots, &mut scratch);
        let mut fires = |sign| parameters.fires_plus && system.fires(sign, &slots, &mut scratch) & 1 == 1;
        let sign = if fires(Sign::Plus) {
            Some(Sign::Plus)
        } else if fires(Sign::Minus) {
            Some(Sign::Minus)
        } else {
            None
        };
        let rested = neuron.last_spike.is_none_or(|last| s - last >= parameters.t_min);
        let sign = sign.filter(|_| tested && rested);
        if let Some(sign) = sign {
            system.reset(sign, 1, &mut slots, &mut scratch);
            neuron.last_spike = Some(s);
            neuron.refractory_until = Some(s + parameters.refractory);
        }
        neuron.variables.iter_mut().zip(&slots).for_each(|(variable, lanes)| *variable = lanes[0]);
        neuron.v = neuron.variables[0];
        sign.map(|sign| if sign == Sign::Plus { Polarity::Positive } else { Polarity::Negative })
    }

    /// The spikes of a signed neuron until no rule holds.
    fn test_signed(&mut self, parameters: &NeuronParameters, signed: Signed, n: usize) -> Vec<Polarity> {
        let threshold = i64::from(parameters.threshold_plus);
        let hysteresis = if self.settled { 0 } else { i64::from(signed.hysteresis) };
        let neuron = &mut self.neurons[n];
        let mut spikes = Vec::new();
        loop {
            if neuron.v >= threshold && neuron.count < signed.max_count.into() {
                neuron.v -= threshold;
                neuron.count += 1;
                spikes.push(Polarity::Positive);
            } else if neuron.v < -hysteresis && neuron.count > signed.min_count.into() {
                neuron.v += threshold;
                neuron.count -= 1;
                spikes.push(Polarity::Negative);
            } else {
                return spikes;
            }
        }
    }

    /// What a signed pool sends after a change of its counts.
    fn changes(&mut self, port: &PoolPort) -> Vec<Leaving> {
        let mut out = Vec::new();
        for row in 0..port.ny_out {
            for column in 0..port.nx_out {
                let largest = window(port, column, row).into_iter().map(|cell| self.signed[cell]).max().unwrap_or(0);
                let sent = &mut self.sent[(row * port.nx_out + column) as usize];
                while *sent != largest {
                    let step = (largest - *sent).signum();
                    *sent += step;
                    let polarity = if step > 0 { Polarity::Positive } else { Polarity::Negative };
                    out.push((column as i32, row as i32, polarity, None));
                }
            }
        }
        out
    }

    /// Whether a neuron would spike again at once.
    fn is_beyond(&self, parameters: &NeuronParameters, n: usize) -> bool {
        if parameters.signed().is_some() {
            return false;
        }
        let neuron = &self.neurons[n];
        let Some(model) = &self.model else {
            let p = parameters;
            return (p.fires_plus && neuron.v >= p.threshold_plus.into())
                || (p.fires_minus && neuron.v <= p.threshold_minus.into());
        };
        let mut slots = model.slots(parameters);
        slots.iter_mut().zip(&neuron.variables).for_each(|(lanes, variable)| lanes[0] = *variable);
        let fires = |sign| model.system().fires(sign, &slots, &mut Scratch::default()) & 1 == 1;
        parameters.fires_plus && (fires(Sign::Plus) || fires(Sign::Minus))
    }

    fn is_refractory(&self, n: usize, s: Tick) -> bool {
        self.neurons[n].refractory_until.is_some_and(|until| s < until)
    }

    /// A spike on a neuron with `mask_tau`.
    fn charge(&mut self, n: usize, input: i128) {
        let sum = i128::from(self.neurons[n].current) + input;
        self.neurons[n].current = sum.clamp(i32::MIN.into(), i32::MAX.into()) as i64;
    }

    /// A control event on a neuron with `mask_tau`: what its potential gets.
    fn discharge(&mut self, parameters: &NeuronParameters, n: usize) -> i128 {
        let part = self.neurons[n].current / i64::from(parameters.mask_tau);
        self.neurons[n].current -= part;
        part.into()
    }

    fn add(&mut self, n: usize, input: i128) {
        let sum = i128::from(self.neurons[n].v) + input;
        self.neurons[n].v = sum.clamp(i32::MIN.into(), i32::MAX.into()) as i64;
    }

    fn test(&mut self, parameters: &NeuronParameters, n: usize, s: Tick) -> Option<Polarity> {
        let neuron = &mut self.neurons[n];
        let (plus, minus) = (i64::from(parameters.threshold_plus), i64::from(parameters.threshold_minus));
        let rested = neuron.last_spike.is_none_or(|last| s - last >= parameters.t_min);
        let reset = i64::from(parameters.membrane_reset);
        let (polarity, v) = if neuron.v >= plus {
            if !parameters.fires_plus {
                neuron.v = plus;
                return None;
            }
            let v = match parameters.reset {
                Reset::ToRest => reset,
                Reset::Subtract => neuron.v - plus,
                Reset::Modulo => neuron.v.rem_euclid(plus),
            };
            (Polarity::Positive, v)
        } else if neuron.v <= minus {
            if !parameters.fires_minus {
                neuron.v = minus;
                return None;
            }
            let v = match parameters.reset {
                Reset::ToRest => reset,
                Reset::Subtract => neuron.v - minus,
                Reset::Modulo => -((-neuron.v).rem_euclid(-minus)),
            };
            (Polarity::Negative, v)
        } else {
            return None;
        };
        if !rested {
            return None;
        }
        neuron.v = v.clamp(i32::MIN.into(), i32::MAX.into());
        neuron.last_spike = Some(s);
        neuron.refractory_until = Some(s + parameters.refractory);
        Some(polarity)
    }
}

fn rest(parameters: &NeuronParameters) -> i32 {
    parameters.resting_potential.unwrap_or(parameters.membrane_reset)
}

/// The part of a distance that is kept after `ticks` ticks, in 2^-62: by its binary digits, the lowest first, cut off
/// after each product.
fn kept(leak_decay: i32, ticks: u64) -> i128 {
    let mut power = (1i128 << 62) - (i128::from(leak_decay) << 32);
    let mut kept = 1i128 << 62;
    for digit in 0..63 {
        if ticks & (1 << digit) != 0 {
            kept = (kept * power) >> 62;
        }
        power = (power * power) >> 62;
    }
    kept
}

/// The neurons that a spike touches through a port, with their weights, in raster order.
fn touched(kind: &ModuleKind, port: usize, event: &Event) -> Result<Vec<(usize, i64)>, OutsideMatrix> {
    let mut touched = Vec::new();
    match kind {
        ModuleKind::Conv(conv) => {
            let ConvPort { nx, ny, dx, dy, x_stride, y_stride, x_expand, y_expand, ref weights } = conv.ports[port];
            let along = |at: i32, expand: i32, d: i32, k: u32, stride: i32, min: i32, n: u32| {
                let raw = i64::from(at) * i64::from(expand) + i64::from(d) + i64::from(k);
                let position = raw.div_euclid(stride.into()) - i64::from(min);
                (raw % i64::from(stride) == 0 && (0..i64::from(n)).contains(&position)).then_some(position as usize)
            };
            let array = conv.array;
            for j in 0..ny {
                for i in 0..nx {
                    let column = along(event.x, x_expand, dx, i, x_stride, array.x_min, array.nx);
                    let row = along(event.y, y_expand, dy, j, y_stride, array.y_min, array.ny);
                    if let (Some(column), Some(row)) = (column, row) {
                        let weight = weights[(j * nx + i) as usize];
                        touched.push((row * array.nx as usize + column, weight.into()));
                    }
                }
            }
        }
        ModuleKind::FullyConnected(full) | ModuleKind::Softmax(full) => {
            let FullyConnectedPort { nx_pre, ny_pre, ref weights } = full.ports[port];
            if event.x < 0 || event.y < 0 || event.x as u32 >= nx_pre || event.y as u32 >= ny_pre {
                return Err(OutsideMatrix);
            }
            let n = full.array.nx as usize;
            let line = event.x as usize + event.y as usize * nx_pre as usize;
            touched.extend((0..n).map(|k| (k, i64::from(weights[line * n + k]))));
        }
        _ => {}
    }
    touched.sort();
    Ok(touched)
}

fn leaving(kind: &ModuleKind, n: usize, polarity: Polarity) -> Option<Leaving> {
    let (array, _, output) = kind.neurons()?;
    let x = array.x_min + (n % array.nx as usize) as i32;
    let y = array.y_min + (n / array.nx as usize) as i32;
    if x < output.crop_xmin || x > output.crop_xmax || y < output.crop_ymin || y > output.crop_ymax {
        return None;
    }
    let x = (x + output.xshift_pre).div_euclid(output.x_subsmp) + output.xshift_pos;
    let y = (y + output.yshift_pre).div_euclid(output.y_subsmp) + output.yshift_pos;
    Some((x, y, if output.rectify { Polarity::Positive } else { polarity }, None))
}

fn strongest(state: &State) -> Option<usize> {
    let highest = state.neurons.iter().map(|neuron| neuron.v).max()?;
    state.neurons.iter().position(|neuron| neuron.v == highest)
}

/// What one event does in a module in event mode: the events that leave.
fn receive(
    module: &Module,
    state: &mut State,
    port: usize,
    event: &Event,
    s: Tick,
) -> Result<Vec<Leaving>, OutsideMatrix> {
    let mut out = Vec::new();
    if event.is_reset() {
        state.reset(module, s);
        return Ok(out);
    }
    if event.is_settle() {
        if let Some((_, parameters, _)) = module.kind.neurons()
            && let Some(signed) = parameters.signed()
        {
            state.settled = true;
            for n in 0..state.neurons.len() {
                let spikes = state.test_signed(parameters, signed, n);
                out.extend(spikes.into_iter().filter_map(|polarity| leaving(&module.kind, n, polarity)));
            }
        }
        return Ok(out);
    }
    if event.is_control() {
        if let ModuleKind::Softmax(full) = &module.kind {
            for n in 0..state.neurons.len() {
                state.leak(&full.neurons, n, s);
            }
            out.extend(strongest(state).and_then(|n| leaving(&module.kind, n, Polarity::Positive)));
        } else if let Some((_, parameters, _)) = module.kind.neurons()
            && parameters.mask_tau > 0
        {
            for n in 0..state.neurons.len() {
                let part = state.discharge(parameters, n);
                if !state.is_refractory(n, s) {
                    state.leak(parameters, n, s);
                    state.add(n, part);
                    out.extend(state.test_and_leave(&module.kind, n, s));
                }
            }
        } else if let ModuleKind::MaxPool(MaxPool { ports, rule: PoolRule::Mask(mask) }) = &module.kind {
            out.extend(ports.first().map(|port| state.discharge_masks(mask, port)).unwrap_or_default());
        }
        return Ok(out);
    }
    if port >= module.kind.ports() {
        return Ok(out);
    }
    match &module.kind {
        ModuleKind::Conv(_) | ModuleKind::FullyConnected(_) | ModuleKind::Softmax(_) => {
            let (_, parameters, _) = module.kind.neurons().unwrap();
            for (n, weight) in touched(&module.kind, port, event)? {
                if parameters.mask_tau > 0 {
                    state.charge(n, event.input(weight));
                    continue;
                }
                if state.is_refractory(n, s) {
                    continue;
                }
                if state.model.is_some() {
                    let polarity = state.follow(parameters, n, event.input(weight), s);
                    out.extend(polarity.and_then(|polarity| leaving(&module.kind, n, polarity)));
                    continue;
                }
                state.leak(parameters, n, s);
                state.add(n, event.input(weight));
                if let Some(signed) = parameters.signed() {
                    let spikes = state.test_signed(parameters, signed, n);
                    out.extend(spikes.into_iter().filter_map(|polarity| leaving(&module.kind, n, polarity)));
                    continue;
                }
                if matches!(module.kind, ModuleKind::Softmax(_)) {
                    continue;
                }
                out.extend(state.test_and_leave(&module.kind, n, s));
            }
        }
        ModuleKind::Flatten(ports) => {
            out.extend(flattened(ports, port, event).map(|x| (x, 0, event.polarity, event.value)));
        }
        ModuleKind::MaxPool(pool) => {
            let geometry = &pool.ports[port];
            if let PoolRule::Mask(mask) = &pool.rule {
                state.charge_mask(mask, geometry, event);
            } else if pool.rule == PoolRule::Signed {
                if let Some(address) = pool_address(geometry, event) {
                    state.signed[address] += event.sign() as i64;
                    out.extend(state.changes(geometry));
                }
            } else if let Some(address) = pool_address(geometry, event) {
                state.counts[address] += 1;
                state.spikes[address].push(s);
                let averages = matches!(pool.rule, PoolRule::Average { .. } | PoolRule::Exponential { .. });
                for row in 0..geometry.ny_out {
                    for column in 0..geometry.nx_out {
                        if !window(geometry, column, row).contains(&address) {
                            continue;
                        }
                        if averages {
                            if state.choose(pool, (column, row), s) == Some(address) {
                                out.push((column as i32, row as i32, event.polarity, None));
                            }
                            continue;
                        }
                        let winner = &mut state.winners[(row * geometry.nx_out + column) as usize];
                        if winner.is_none_or(|winner| state.counts[address] > state.counts[winner]) {
                            *winner = Some(address);
                        }
                        if *winner == Some(address) {
                            out.push((column as i32, row as i32, event.polarity, None));
                        }
                    }
                }
            }
        }
    }
    Ok(out)
}

/// Event mode: the events of each node.
pub fn run_event(network: &Network, stimuli: &[Stimulus]) -> Result<Vec<EventLog>, OutsideMatrix> {
    run_event_with(network, stimuli, &mut |_, _, _| {})
}

/// What may change a network during a run: asked with the time of what happens next, and what was recorded before.
pub type Change<'c> = &'c mut dyn FnMut(Tick, &[EventLog], &mut Network);

/// Event mode with a network that changes.
pub fn run_event_with(
    network: &Network,
    stimuli: &[Stimulus],
    change: Change<'_>,
) -> Result<Vec<EventLog>, OutsideMatrix> {
    let mut network = network.clone();
    let nodes = network.nodes().len();
    let mut logs = vec![EventLog::default(); nodes];
    // Pending events by (t_pre, order of creation).
    let mut pending: Vec<Vec<(Tick, u64, Event)>> = vec![Vec::new(); nodes];
    let mut created = 0;
    let mut last_ack: Vec<Option<Tick>> = vec![None; nodes];
    let mut states: Vec<State> = network.modules().iter().map(|module| State::new(&network, module)).collect();
    for (source, stimulus) in network.sources().iter().zip(stimuli) {
        for event in (0..stimulus.len()).map(|k| Event::of(stimulus, k)) {
            pending[source.index()].push((event.t_pre, created, event));
            created += 1;
        }
    }
    loop {
        let head = |node: usize| pending[node].iter().min_by_key(|(t, created, _)| (*t, *created)).copied();
        let request = |node: usize| head(node).map(|(t, ..)| last_ack[node].map_or(t, |ack| t.max(ack)));
        let next = (0..nodes).filter_map(|node| request(node).map(|r| (r, node))).min();
        let Some((r, node)) = next.filter(|&(r, _)| r <= network.t_max()) else {
            complete(&network, stimuli, &mut logs);
            return Ok(logs);
        };
        change(r, &logs, &mut network);
        let (_, creation, event) = head(node).unwrap();
        pending[node].retain(|&(_, created, _)| created != creation);

        let mut t_ack = r;
        for (id, module) in network.modules().iter().enumerate() {
            for (port, input) in module.inputs.iter().enumerate() {
                if *input != Input::Node(NodeId::new(node)) {
                    continue;
                }
                let state = &mut states[id];
                let depth = module.timing.fifo_depth as usize;
                let enter = if depth == 0 {
                    r.max(state.busy_until)
                } else {
                    let waiting_at = |t: Tick| state.accepted_starts.iter().filter(|&&start| start > t).count();
                    let mut candidates: BTreeSet<Tick> =
                        state.accepted_starts.iter().copied().filter(|&start| start > r).collect();
                    candidates.insert(r);
                    candidates.into_iter().find(|&t| waiting_at(t) < depth).unwrap()
                };
                let start = enter.max(state.busy_until);
                state.accepted_starts.push(start);
                let done = start + module.timing.delay_to_process;
                state.busy_until = done;
                let arrival = done + module.timing.delay_to_arrive;
                t_ack = t_ack.max(enter + module.timing.delay_to_ack);
                let out = receive(module, state, port, &event, start)?;
                for (x, y, polarity, value) in out {
                    for output in network.outputs(ModuleId::new(id)) {
                        for repeat in 0..module.timing.n_repeat {
                            let t_pre = arrival + Tick::from(repeat) * module.timing.delay_to_repeat;
                            pending[output.index()].push((t_pre, created, Event { t_pre, x, y, polarity, value }));
                            created += 1;
                        }
                    }
                }
            }
        }
        last_ack[node] = Some(t_ack);
        let Event { t_pre, x, y, polarity, value } = event;
        logs[node].push_valued(StimulusEvent { t_pre, x, y, polarity }, value, (r, t_ack));
    }
}
