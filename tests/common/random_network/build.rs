//! Turns a sketch into a valid network and its stimuli.

use super::*;

/// A node as its readers see it.
#[derive(Debug, Clone)]
struct Wire {
    name: String,
    /// Least and largest address, `x` then `y`; nothing where no event ever has an address.
    addresses: Option<[(i32, i32); 2]>,
    /// Layer that drives it; sources come before all.
    layer: Option<usize>,
    /// No more events than these in a run.
    events: u64,
}

impl Wire {
    /// Size of an array from 0, 0 that holds every address, unless one is negative.
    fn array(&self) -> Option<(u32, u32)> {
        let [x, y] = self.addresses.unwrap_or([(0, 0); 2]);
        (x.0 >= 0 && y.0 >= 0).then(|| (x.1 as u32 + 1, y.1 as u32 + 1))
    }
}

pub(super) fn grow(sketch: &Sketch, options: Options) -> (Network, Vec<Stimulus>) {
    let mut wires = Vec::new();
    let mut sources: Vec<(String, bool, Stimulus)> = Vec::new();
    for (k, source) in sketch.sources.iter().enumerate() {
        let corner = if k == 0 { (0, 0) } else { source.corner };
        let (name, stimulus) = (format!("in_{k}"), source_events(source, corner));
        let addresses = Some([(corner.0, corner.0 + source.nx - 1), (corner.1, corner.1 + source.ny - 1)]);
        wires.push(Wire { name: name.clone(), addresses, layer: None, events: stimulus.len() as u64 });
        sources.push((name, source.late, stimulus));
    }
    let spike = |t_pre| StimulusEvent { t_pre, x: 0, y: 0, polarity: Polarity::Positive };
    sources.push(("bias_clk".into(), false, Stimulus::from_events(sketch.bias.iter().map(|&t| spike(t)))));
    let resets = sketch.resets.iter().map(
        |&(t, settle)| {
            if settle { StimulusEvent::settle(t) } else { StimulusEvent::reset(t) }
        },
    );
    let resets = Stimulus::from_events(resets);
    sources.push(("reset_event".into(), false, resets));
    let controls = Stimulus::from_events(sketch.controls.iter().map(|&t| StimulusEvent::control(t)));
    sources.push(("softmax_input".into(), true, controls));

    // What a layer sends depends on its own geometry only, so that layers can read from below.
    let first_layer_wire = wires.len();
    for (k, layer) in sketch.layers.iter().enumerate() {
        let addresses = layer.addresses();
        for map in 0..layer.maps {
            wires.push(Wire { name: format!("{k}_{map}"), addresses, layer: Some(k), events: MOST_EVENTS });
        }
    }

    let mut builder = NetworkBuilder::new();
    let mut stimuli = Vec::new();
    let mut add_sources = |builder: &mut NetworkBuilder, late| {
        for (name, _, stimulus) in sources.iter().filter(|source| source.1 == late) {
            builder.source(name).unwrap();
            stimuli.push(stimulus.clone());
        }
    };
    add_sources(&mut builder, false);
    let mut next = first_layer_wire;
    for (k, layer) in sketch.layers.iter().enumerate() {
        let sent = add_layer(&mut builder, layer, k, &wires, sketch.t_max, options);
        for wire in &mut wires[next..next + layer.maps] {
            wire.events = sent;
        }
        next += layer.maps;
    }
    add_sources(&mut builder, true);
    (builder.build(sketch.t_max).unwrap(), stimuli)
}

fn source_events(source: &SourceSketch, corner: (i32, i32)) -> Stimulus {
    Stimulus::from_events(source.events.iter().map(|event| {
        let (x, y) = (corner.0 + event.x % source.nx, corner.1 + event.y % source.ny);
        let spike = |polarity| StimulusEvent { t_pre: event.t_pre, x, y, polarity };
        match event.what {
            What::Positive => spike(Polarity::Positive),
            What::Negative => spike(Polarity::Negative),
            What::Reset => StimulusEvent::reset(event.t_pre),
            What::Control => StimulusEvent::control(event.t_pre),
            What::Settle => StimulusEvent::settle(event.t_pre),
        }
    }))
}

/// Builds the modules of a layer; returns the most events that one of their nodes may carry.
fn add_layer(
    builder: &mut NetworkBuilder,
    layer: &LayerSketch,
    position: usize,
    wires: &[Wire],
    t_max: Tick,
    options: Options,
) -> u64 {
    let full = matches!(layer.kind, KindSketch::FullyConnected | KindSketch::Softmax);
    let usable = |wire: &&Wire| !full || wire.array().is_some();
    let above: Vec<&Wire> =
        wires.iter().filter(|wire| wire.layer.is_none_or(|of| of < position)).filter(usable).collect();
    let below: Vec<&Wire> =
        wires.iter().filter(|wire| wire.layer.is_some_and(|of| of >= position)).filter(usable).collect();
    let ports = if layer.kind == KindSketch::MaxPool { 1 } else { layer.data.len() };
    let mut data: Vec<&Wire> = layer.data[..ports].iter().map(|pick| above[pick % above.len()]).collect();
    let mut looped = false;
    if let Some(pick) = layer.feedback
        && options.loops != Loops::None
        && !below.is_empty()
    {
        let last = data.len() - 1;
        data[last] = below[pick % below.len()];
        looped = true;
    }

    let has_neurons = !matches!(layer.kind, KindSketch::Flatten | KindSketch::MaxPool);
    let bias = has_neurons && layer.bias;
    let masked = match layer.kind {
        KindSketch::Conv | KindSketch::FullyConnected => layer.neurons.mask_tau > 0,
        KindSketch::MaxPool => layer.mask().is_some(),
        KindSketch::Softmax | KindSketch::Flatten => false,
    };
    let control = (layer.kind == KindSketch::Softmax || masked) && layer.control;
    let reset = layer.kind != KindSketch::Flatten && layer.reset;
    let mut inputs: Vec<String> = data.iter().map(|wire| wire.name.clone()).collect();
    if layer.undriven {
        inputs[0] = "nothing".into();
    }
    for (name, wanted) in [("bias_clk", bias), ("softmax_input", control), ("reset_event", reset)] {
        inputs.extend(wanted.then(|| name.to_string()));
    }
    // Names beyond the ports: of these only resets and controls act.
    match layer.extra {
        Some(0..3) => inputs.push("reset_event".into()),
        Some(pick) => inputs.push(wires[pick % wires.len()].name.clone()),
        None => {}
    }

    let mut timing = layer.timing;
    let mut neurons = layer.neurons;
    if layer.kind == KindSketch::Softmax {
        neurons.mask_tau = 0;
    }
    if layer.kind == KindSketch::Softmax || layer.spikes_per_touch() > 13 {
        neurons.dynamics = Dynamics::IntegrateAndFire;
    }
    let clocks = 40;
    let arriving = data.iter().map(|wire| wire.events).sum::<u64>() + clocks;
    let per_event = layer.spikes_per_event() * u64::from(timing.n_repeat);
    let ticks = t_max as u64 + 1;
    let slow = timing.delay_to_process > 0 || (neurons.t_min > 0 && has_neurons && layer.kind != KindSketch::Softmax);
    let must_advance = looped && options.loops == Loops::Advancing;
    if !slow && (must_advance || arriving * per_event > MOST_EVENTS) {
        if layer.odd_one && has_neurons && layer.kind != KindSketch::Softmax && neurons.signed().is_none() {
            neurons.t_min = 1;
        } else {
            timing.delay_to_process = 1;
        }
    }
    let sent = if timing.delay_to_process > 0 {
        (ticks + 8) * per_event
    } else if neurons.t_min > 0 && has_neurons {
        ticks * u64::from(layer.nx * layer.ny * timing.n_repeat)
    } else {
        arriving * per_event
    };

    for map in 0..layer.maps {
        let mut timing = timing;
        let mut neurons = neurons;
        if layer.odd_one && layer.maps > 1 && map == layer.maps - 1 {
            // Not the same population as its sisters, but nearly.
            timing.delay_to_ack += 1;
            match &mut neurons.dynamics {
                Dynamics::Signed(signed) => signed.hysteresis += 1,
                _ => neurons.refractory += 1,
            }
        }
        let module = Module {
            kind: layer.kind(&data, map, bias, control, reset, neurons),
            inputs: inputs.iter().cloned().map(Input::Undriven).collect(),
            timing,
            not_programmable: reset && matches!(layer.kind, KindSketch::Conv | KindSketch::FullyConnected),
        };
        let mut outputs = vec![format!("{position}_{map}")];
        outputs.extend(layer.second_output.then(|| format!("{position}_{map}_too")));
        builder.module(module, &outputs).unwrap();
    }
    sent
}

impl LayerSketch {
    fn array(&self) -> Array {
        let (x_min, y_min) = self.corner;
        let ny = if self.kind == KindSketch::Conv { self.ny } else { 1 };
        Array { nx: self.nx, ny, x_min, y_min }
    }

    fn output(&self) -> Output {
        let (whole, sketch) = (Output::whole(self.array()), self.output);
        Output {
            crop_xmin: whole.crop_xmin + sketch.crop.0,
            crop_xmax: whole.crop_xmax - sketch.crop.1,
            crop_ymin: whole.crop_ymin + sketch.crop.2,
            crop_ymax: whole.crop_ymax - sketch.crop.3,
            xshift_pre: sketch.pre.0,
            yshift_pre: sketch.pre.1,
            x_subsmp: sketch.subsample.0,
            y_subsmp: sketch.subsample.1,
            xshift_pos: sketch.pos.0,
            yshift_pos: sketch.pos.1,
            rectify: sketch.rectify && self.neurons.signed().is_none(),
        }
    }

    /// Least and largest address that it can send.
    fn addresses(&self) -> Option<[(i32, i32); 2]> {
        let span = |n: i32| (0, n - 1);
        match self.kind {
            KindSketch::Flatten => {
                let length = self.ports[..self.data.len()].iter().map(|port| port.nx * port.ny).sum::<u32>();
                Some([span(length as i32), (0, 0)])
            }
            KindSketch::MaxPool => Some([span(self.nx as i32), span(self.ny as i32)]),
            _ => {
                let (array, output) = (self.array(), self.output());
                let all = (0..array.ny as i32).flat_map(|y| (0..array.nx as i32).map(move |x| (x, y)));
                let sent = all.filter_map(|(x, y)| output.address(array.x_min + x, array.y_min + y));
                sent.fold(None, |bounds, (x, y)| {
                    let [bx, by] = bounds.unwrap_or([(x, x), (y, y)]);
                    Some([(bx.0.min(x), bx.1.max(x)), (by.0.min(y), by.1.max(y))])
                })
            }
        }
    }

    /// Most spikes of one neuron on one event.
    fn spikes_per_touch(&self) -> u64 {
        if self.neurons.signed().is_none() {
            return 1;
        }
        let largest = self.weights.iter().map(|weight| weight.unsigned_abs()).max().unwrap_or(0);
        u64::from(largest / self.neurons.threshold_plus as u32) + 1
    }

    /// Most output events, without repeats, of one input event.
    fn spikes_per_event(&self) -> u64 {
        let neurons = u64::from(self.nx * self.ny) * self.spikes_per_touch().min(13);
        match self.kind {
            KindSketch::Conv => (9 * self.spikes_per_touch().min(13)).min(neurons),
            KindSketch::FullyConnected => neurons,
            KindSketch::Softmax | KindSketch::Flatten => 1,
            KindSketch::MaxPool => u64::from(self.ports[0].nx * self.ports[0].ny).min(neurons),
        }
    }

    /// What the windows of a pool do: as its neurons would.
    fn rule(&self) -> PoolRule {
        match self.mask() {
            Some(mask) => PoolRule::Mask(mask),
            None if self.neurons.signed().is_some() => PoolRule::Signed,
            None => match self.weights[0].rem_euclid(3) {
                0 => PoolRule::Busiest,
                1 => PoolRule::Average { over: Tick::from(self.weights[0].rem_euclid(11)) + 1 },
                _ => PoolRule::Exponential { decay: (self.weights[0].unsigned_abs() << 24).clamp(1, 1 << 30) as i32 },
            },
        }
    }

    /// What makes the windows of a pool integrate, where its neurons have a mask.
    fn mask(&self) -> Option<PoolMask> {
        let tau = Some(self.neurons.mask_tau).filter(|&tau| tau > 0)?;
        Some(PoolMask { tau, weight: self.weights[0], threshold: self.neurons.threshold_plus.max(1) })
    }

    fn weights(&self, count: usize, map: usize, port: usize) -> std::sync::Arc<[i32]> {
        (0..count).map(|k| self.weights[(k * 5 + map * 3 + port * 11) % self.weights.len()]).collect()
    }

    fn kind(
        &self,
        data: &[&Wire],
        map: usize,
        bias: bool,
        control: bool,
        reset: bool,
        neurons: NeuronParameters,
    ) -> ModuleKind {
        match self.kind {
            KindSketch::Conv => ModuleKind::Conv(Conv {
                array: self.array(),
                neurons,
                ports: self.conv_ports(data.len(), map, bias, control, reset),
                output: self.output(),
            }),
            KindSketch::FullyConnected | KindSketch::Softmax => {
                let ports = self.full_ports(data, map, bias, control, reset);
                let full = FullyConnected { array: self.array(), neurons, ports, output: self.output() };
                if self.kind == KindSketch::Softmax {
                    ModuleKind::Softmax(full)
                } else {
                    ModuleKind::FullyConnected(full)
                }
            }
            KindSketch::Flatten => {
                let port = |port: &PortSketch| FlattenPort { nx: port.nx, ny: port.ny };
                ModuleKind::Flatten(self.ports[..data.len()].iter().map(port).collect())
            }
            KindSketch::MaxPool => {
                let port = self.ports[0];
                let [x, y] = data[0].addresses.unwrap_or([(0, 0); 2]);
                let data = PoolPort {
                    // Mostly the whole array of the node, sometimes less.
                    nx: (x.1 + 1).clamp(0, 4) as u32,
                    ny: (y.1 + 1).clamp(0, 4) as u32,
                    nx_pool: port.nx,
                    ny_pool: port.ny,
                    dx: port.dx,
                    dy: port.dy,
                    x_stride: port.stride.0,
                    y_stride: port.stride.1,
                    nx_out: self.nx,
                    ny_out: self.ny,
                };
                let resets = if reset { &[PoolPort::RESET][..] } else { &[] };
                let controls = if control { &[PoolPort::RESET][..] } else { &[] };
                ModuleKind::MaxPool(MaxPool { ports: [&[data], controls, resets].concat(), rule: self.rule() })
            }
        }
    }

    fn conv_ports(&self, data: usize, map: usize, bias: bool, control: bool, reset: bool) -> Vec<ConvPort> {
        let plain = |nx: u32, ny: u32, weights| ConvPort {
            nx,
            ny,
            dx: self.corner.0,
            dy: self.corner.1,
            x_stride: 1,
            y_stride: 1,
            x_expand: 1,
            y_expand: 1,
            weights,
        };
        let kernel = |(k, port): (usize, &PortSketch)| ConvPort {
            dx: port.dx,
            dy: port.dy,
            x_stride: port.stride.0,
            y_stride: port.stride.1,
            x_expand: port.expand.0,
            y_expand: port.expand.1,
            ..plain(port.nx, port.ny, self.weights((port.nx * port.ny) as usize, map, k))
        };
        let mut ports: Vec<_> = self.ports[..data].iter().enumerate().map(kernel).collect();
        if bias {
            ports.push(plain(self.nx, self.ny, self.weights((self.nx * self.ny) as usize, map, data)));
        }
        if control {
            ports.push(plain(1, 1, [0].into()));
        }
        if reset {
            ports.push(plain(1, 1, [0].into()));
        }
        ports
    }

    fn full_ports(
        &self,
        data: &[&Wire],
        map: usize,
        bias: bool,
        control: bool,
        reset: bool,
    ) -> Vec<FullyConnectedPort> {
        let n = self.nx as usize;
        let matrix = |(k, wire): (usize, &&Wire)| {
            let (nx_pre, ny_pre) = wire.array().unwrap_or((1, 1));
            let weights = self.weights((nx_pre * ny_pre) as usize * n, map, k);
            FullyConnectedPort { nx_pre, ny_pre, weights }
        };
        let mut ports: Vec<_> = data.iter().enumerate().map(matrix).collect();
        let line = |weights| FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights };
        ports.extend(bias.then(|| line(self.weights(n, map, data.len()))));
        ports.extend(control.then(|| line(vec![0; n].into())));
        ports.extend(reset.then(|| line(vec![0; n].into())));
        ports
    }
}
