//! Clocked mode: all events of a step together.

use super::*;

/// Clocked mode: the events of each node.
pub fn run_clocked(network: &Network, stimuli: &[Stimulus], dt: Tick) -> Result<Vec<EventLog>, OutsideMatrix> {
    run_clocked_with(network, stimuli, dt, None)
}

/// Clocked mode, with every step up to `Tmax` if the network changes.
pub fn run_clocked_with(
    network: &Network,
    stimuli: &[Stimulus],
    dt: Tick,
    mut change: Option<Change<'_>>,
) -> Result<Vec<EventLog>, OutsideMatrix> {
    let mut network = network.clone();
    let nodes = network.nodes().len();
    let mut logs = vec![EventLog::default(); nodes];
    let mut states: Vec<State> = network.modules().iter().map(|module| State::new(&network, module)).collect();
    let mut past: Vec<Vec<Event>> = vec![Vec::new(); nodes];
    // Events that travel: the step in which they arrive, node, event.
    let mut late: Vec<(Tick, usize, Event)> = Vec::new();
    let mut taken = vec![0; stimuli.len()];
    let mut s = 0;
    while s <= network.t_max() {
        if let Some(change) = &mut change {
            change(s, &logs, &mut network);
        }
        let source_left = stimuli
            .iter()
            .zip(&taken)
            .any(|(stimulus, &taken)| stimulus.t_pre().get(taken).is_some_and(|&t| t <= network.t_max()));
        let read_back = |node: usize| {
            network.modules().iter().enumerate().any(|(id, module)| {
                let read = module.inputs.contains(&Input::Node(NodeId::new(node)));
                read && is_feedback(&network, id, NodeId::new(node)) && travel(&network, NodeId::new(node), dt) == 0
            })
        };
        let fed = (0..nodes).any(|node| !past[node].is_empty() && read_back(node));
        let beyond = network.modules().iter().zip(&states).any(|(module, state)| {
            !matches!(module.kind, ModuleKind::Softmax(_))
                && module
                    .kind
                    .neurons()
                    .is_some_and(|(_, p, _)| (0..state.neurons.len()).any(|n| state.is_beyond(p, n)))
        });
        if change.is_none() && !source_left && !fed && !beyond && late.is_empty() {
            break;
        }
        let mut present: Vec<Vec<Event>> = vec![Vec::new(); nodes];
        for (k, (source, stimulus)) in network.sources().iter().zip(stimuli).enumerate() {
            while let Some(&t) = stimulus.t_pre().get(taken[k])
                && t < s + dt
                && t <= network.t_max()
            {
                present[source.index()].push(Event { t_pre: s, ..Event::of(stimulus, taken[k]) });
                taken[k] += 1;
            }
        }
        for &(_, node, event) in late.iter().filter(|(step, ..)| *step == s / dt) {
            present[node].push(Event { t_pre: s, ..event });
        }
        late.retain(|(step, ..)| *step != s / dt);
        for (id, module) in network.modules().iter().enumerate() {
            let read = |input: &Input| match input {
                Input::Node(node) if is_feedback(&network, id, *node) && travel(&network, *node, dt) == 0 => {
                    past[node.index()].clone()
                }
                Input::Node(node) => present[node.index()].clone(),
                Input::Undriven(_) => Vec::new(),
            };
            let input: Vec<(usize, Event)> = module
                .inputs
                .iter()
                .enumerate()
                .flat_map(|(port, input)| read(input).into_iter().map(move |event| (port, event)))
                .collect();
            let out = step(module, &mut states[id], &input, s)?;
            for output in network.outputs(ModuleId::new(id)) {
                let events = out.iter().map(|&(x, y, polarity, value)| Event { t_pre: s, x, y, polarity, value });
                match travel(&network, *output, dt) {
                    0 => present[output.index()] = events.collect(),
                    steps => late.extend(events.map(|event| (s / dt + steps, output.index(), event))),
                }
            }
        }
        for (log, events) in logs.iter_mut().zip(&present) {
            for &Event { t_pre, x, y, polarity, value } in events {
                log.push_valued(StimulusEvent { t_pre, x, y, polarity }, value, (s, s));
            }
        }
        past = present;
        s += dt;
    }
    complete(&network, stimuli, &mut logs);
    Ok(logs)
}

/// Steps that the events of a node travel.
fn travel(network: &Network, node: NodeId, dt: Tick) -> Tick {
    match network.nodes()[node.index()].driver {
        Driver::Source(_) => 0,
        Driver::Module(id) => network.modules()[id.index()].timing.delay_to_arrive / dt,
    }
}

/// The driver is at or after the reader in the netlist.
fn is_feedback(network: &Network, reader: usize, node: NodeId) -> bool {
    let reader = Element::Module(ModuleId::new(reader));
    network.driver_position(node) >= network.elements().iter().position(|&element| element == reader).unwrap()
}

/// One module in one step: `input` is (port, event), port by port.
fn step(module: &Module, state: &mut State, input: &[(usize, Event)], s: Tick) -> Result<Vec<Leaving>, OutsideMatrix> {
    if input.iter().any(|(_, event)| event.is_reset()) {
        state.reset(module, s);
    }
    state.settled |= input.iter().any(|(_, event)| event.is_settle());
    let spikes = || input.iter().filter(|(port, event)| event.is_spike() && *port < module.kind.ports());
    let mut out = Vec::new();
    match &module.kind {
        ModuleKind::Flatten(ports) => {
            for (port, event) in spikes() {
                out.extend(flattened(ports, *port, event).map(|x| (x, 0, event.polarity, event.value)));
            }
        }
        ModuleKind::MaxPool(pool) => {
            let Some(port) = pool.ports.first() else { return Ok(out) };
            if pool.rule == PoolRule::Signed {
                for (_, event) in spikes().filter(|(port, _)| *port == 0) {
                    if let Some(address) = pool_address(port, event) {
                        state.signed[address] += event.sign() as i64;
                    }
                }
                return Ok(state.changes(port));
            }
            if let PoolRule::Mask(mask) = &pool.rule {
                for (_, event) in spikes().filter(|(port, _)| *port == 0) {
                    state.charge_mask(mask, port, event);
                }
                for _ in input.iter().filter(|(_, event)| event.is_control()) {
                    out.extend(state.discharge_masks(mask, port));
                }
                return Ok(out);
            }
            let mut last = vec![None; state.counts.len()];
            for (_, event) in spikes().filter(|(port, _)| *port == 0) {
                if let Some(address) = pool_address(port, event) {
                    state.counts[address] += 1;
                    state.spikes[address].push(s);
                    last[address] = Some(event.polarity);
                }
            }
            for row in 0..port.ny_out {
                for column in 0..port.nx_out {
                    let cells = window(port, column, row);
                    if !cells.iter().any(|&cell| last[cell].is_some()) {
                        continue;
                    }
                    let winner = state.choose(pool, (column, row), s);
                    if let Some(polarity) = winner.and_then(|winner| last[winner]) {
                        out.push((column as i32, row as i32, polarity, None));
                    }
                }
            }
        }
        kind => {
            let (_, parameters, _) = kind.neurons().unwrap();
            let mut sums = vec![0i128; state.neurons.len()];
            for (port, event) in spikes() {
                for (n, weight) in touched(kind, *port, event)? {
                    sums[n] += event.input(weight);
                }
            }
            for (n, mut sum) in sums.into_iter().enumerate() {
                if parameters.mask_tau > 0 {
                    state.charge(n, sum);
                    let controls = input.iter().filter(|(_, event)| event.is_control());
                    sum = controls.map(|_| state.discharge(parameters, n)).sum();
                }
                if state.model.is_some() {
                    let polarity = state.follow(parameters, n, sum, s);
                    out.extend(polarity.and_then(|polarity| leaving(kind, n, polarity)));
                    continue;
                }
                if parameters.leak_decay > 0 {
                    state.leak(parameters, n, s);
                }
                if state.is_refractory(n, s) {
                    continue;
                }
                state.leak(parameters, n, s);
                state.add(n, sum);
                if let Some(signed) = parameters.signed() {
                    let spikes = state.test_signed(parameters, signed, n);
                    out.extend(spikes.into_iter().filter_map(|polarity| leaving(kind, n, polarity)));
                    continue;
                }
                if !matches!(kind, ModuleKind::Softmax(_)) {
                    out.extend(state.test_and_leave(kind, n, s));
                }
            }
            if matches!(kind, ModuleKind::Softmax(_)) {
                for _ in input.iter().filter(|(_, event)| event.is_control()) {
                    out.extend(strongest(state).and_then(|n| leaving(kind, n, Polarity::Positive)));
                }
            }
        }
    }
    Ok(out)
}
