//! What a manifest must fulfil: by itself, and with the network of its netfiles.

use super::{Conversion, InputLayer, Layer, Manifest, Presentation, SoftmaxClock};
use crate::emit;
use crate::model_based::Schedule;
use crate::rules::Weighting;
use crate::stage::is_permutation;
use megasim_ann::graph::{MAX_LAYER_SIZE, MAX_LAYERS};
use megasim_core::encode::registry::Choice;
use megasim_core::network::{Array, Driver, MAX_PAYLOAD_BITS, ModuleKind, Network, Output};
use std::collections::HashSet;
use std::path::{Component, Path};

/// How many numbers a shape holds, `[features]` or `[maps, height, width]`.
fn numbers(of: &str, shape: &[usize]) -> Result<usize, String> {
    let numbers = shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
    match (shape.len(), numbers) {
        (1 | 3, Some(numbers @ 1..=MAX_LAYER_SIZE)) => Ok(numbers),
        _ => Err(format!(
            "{of}: expected a shape [features] or [maps, height, width] of 1 to {MAX_LAYER_SIZE} numbers, found \
                {shape:?}"
        )),
    }
}

/// Expects one node, or one for each map.
fn expect_nodes(of: &str, shape: &[usize], nodes: &[String]) -> Result<(), String> {
    let maps = if shape.len() == 3 { shape[0] } else { 1 };
    if nodes.len() != 1 && nodes.len() != maps {
        return Err(format!("{of}: expected one node or {maps}, one for each map of {shape:?}, found {}", nodes.len()));
    }
    Ok(())
}

fn expect_number(name: &str, value: f64, expected: &str, fits: impl Fn(f64) -> bool) -> Result<(), String> {
    if value.is_finite() && fits(value) { Ok(()) } else { Err(format!("expected {expected} as {name}, found {value}")) }
}

impl Manifest {
    /// What does not depend on the network.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(Presentation { duration, encode, ticks_per_ms, .. }) = &self.presentation {
            if *duration == 0 || *ticks_per_ms == 0 {
                return Err("expected 1 or more as presentation.duration and presentation.ticks_per_ms".into());
            }
            encode.parse::<Choice>().map_err(|fault| format!("presentation.encode: {fault}"))?;
        }
        let is_inside = |part| matches!(part, Component::Normal(_));
        let copy = Path::new(&self.model.copy);
        if self.model.copy.is_empty() || !copy.components().all(is_inside) {
            return Err(format!("expected a model.copy within the directory, found {:?}", self.model.copy));
        }
        if self.model.sha256.is_empty() || !self.model.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("expected hexadecimal digits as model.sha256, found {:?}", self.model.sha256));
        }
        self.check_input()?;
        self.check_layers()?;
        if let Some(SoftmaxClock { rate, .. }) = self.softmax_clock {
            expect_number("softmax_clock.rate", rate, "more than 0 events per second", |rate| rate > 0.0)?;
        }
        if let Some(analog) = self.analog {
            expect_number("analog.accuracy", analog.accuracy, "a number from 0 to 1", |it| (0.0..=1.0).contains(&it))?;
        }
        self.conversion.check()
    }

    fn check_input(&self) -> Result<(), String> {
        let InputLayer { shape, nodes, order, .. } = &self.input;
        let addresses = numbers("input", shape)?;
        expect_nodes("input", shape, nodes)?;
        let features = self.conversion.input_features.as_ref();
        if let Some(features) = features.filter(|features| !features.fits(addresses)) {
            let found = features.scales().len();
            return Err(format!("expected conversion.input_features that go with {addresses} inputs, found {found}"));
        }
        match order {
            Some(order) if !is_permutation(order, addresses) => {
                Err(format!("expected an input.order that has each number below {addresses} once"))
            }
            _ => Ok(()),
        }
    }

    fn check_layers(&self) -> Result<(), String> {
        if self.layers.len() > MAX_LAYERS {
            return Err(format!("expected at most {MAX_LAYERS} layers, found {}", self.layers.len()));
        }
        let mut nodes: HashSet<&str> = self.input.nodes.iter().map(String::as_str).collect();
        let mut names = HashSet::from([emit::INPUT]);
        for layer in &self.layers {
            let of = format!("layer '{}'", layer.name);
            numbers(&of, &layer.shape)?;
            expect_nodes(&of, &layer.shape, &layer.nodes)?;
            for &scale in [&layer.scale].into_iter().chain(&layer.map_scales) {
                expect_number(&format!("scale of {of}"), scale, "a number above 0", |scale| scale > 0.0)?;
            }
            if let Some(levels) = layer.levels {
                let step = format!("levels of {of}: step");
                expect_number(&step, levels.step.into(), "a number above 0", |step| step > 0.0)?;
            }
            let (scales, channels) = (layer.map_scales.len(), layer.shape.first().copied().unwrap_or(0));
            if scales > 0 && scales != channels {
                return Err(format!("{of}: expected {channels} map_scales or none, found {scales}"));
            }
            if let Some(node) = layer.nodes.iter().find(|node| !nodes.insert(node)) {
                return Err(format!("{of}: expected nodes that are named once, found '{node}', which is named twice"));
            }
            if let Some(input) = layer.inputs.iter().find(|input| !names.contains(input.as_str())) {
                return Err(format!("{of}: expected inputs that are layers before it, found '{input}'"));
            }
            if !names.insert(&layer.name) {
                return Err(format!("{of}: expected layers of different names, found two of this one"));
            }
        }
        let Some(last) = self.layers.last() else { return Err("expected at least one layer, found none".into()) };
        if last.nodes != [self.output.node.as_str()] {
            let found = &self.output.node;
            return Err(format!(
                "expected the node of the last layer, '{}', as output.node, found '{found}'",
                last.name
            ));
        }
        let outputs = numbers("output", &last.shape)?;
        if self.output.classes != outputs {
            return Err(format!("expected {outputs} classes as output.classes, found {}", self.output.classes));
        }
        Ok(())
    }

    /// What only the network can tell: the nodes that the manifest names are driven, and as large as it says.
    pub(super) fn check_nodes(&self, network: &Network) -> Result<(), String> {
        let expect_source = |what: &str, name: &str| match network.node_named(name) {
            Some(node) if matches!(network.nodes()[node.index()].driver, Driver::Source(_)) => Ok(()),
            _ => Err(format!("{what}: expected a node that a source of the netlist drives, found '{name}'")),
        };
        for name in &self.input.nodes {
            expect_source("input", name)?;
        }
        let clocks = [("bias_clock", self.bias_clock.as_deref()), ("mask_clock", self.mask_clock.as_deref())];
        let softmax = self.softmax_clock.as_ref().map(|clock| clock.node.as_str());
        for (what, name) in clocks.into_iter().chain([("softmax_clock", softmax)]) {
            name.map_or(Ok(()), |name| expect_source(what, name))?;
        }
        expect_source("reset_event", &self.reset_event)?;
        self.layers.iter().try_for_each(|layer| check_layer(layer, network))
    }
}

fn check_layer(layer: &Layer, network: &Network) -> Result<(), String> {
    let of = format!("layer '{}'", layer.name);
    let mut cells = 0usize;
    for name in &layer.nodes {
        let driver = network.node_named(name).map(|node| network.nodes()[node.index()].driver);
        let Some(Driver::Module(module)) = driver else {
            return Err(format!("{of}: expected nodes that modules of the netlist drive, found '{name}'"));
        };
        let area = |nx: u32, ny: u32| (nx as usize).saturating_mul(ny as usize);
        let kind = &network.modules()[module.index()].kind;
        let own = match (kind, kind.neurons()) {
            (ModuleKind::Flatten(ports), _) => {
                ports.iter().fold(0, |n: usize, port| n.saturating_add(area(port.nx, port.ny)))
            }
            (ModuleKind::MaxPool(pool), _) => pool.ports.first().map_or(0, |port| area(port.nx_out, port.ny_out)),
            (_, Some((array, _, output))) => addresses(array, output),
            (_, None) => 0,
        };
        cells = cells.saturating_add(own);
    }
    let expected = numbers(&of, &layer.shape)?;
    if cells != expected {
        return Err(format!("{of}: expected {expected} cells, as its shape {:?} says, found {cells}", layer.shape));
    }
    Ok(())
}

/// Addresses that an array of neurons puts out, between its first and its last: pooling of the original format sends
/// the outputs of several neurons to one.
fn addresses(array: Array, output: &Output) -> usize {
    let last = |min: i32, n: u32| min.saturating_add_unsigned(n).saturating_sub(1);
    let (x0, x1) = (output.crop_xmin.max(array.x_min), output.crop_xmax.min(last(array.x_min, array.nx)));
    let (y0, y1) = (output.crop_ymin.max(array.y_min), output.crop_ymax.min(last(array.y_min, array.ny)));
    match (output.address(x0, y0), output.address(x1, y1)) {
        (Some((left, top)), Some((right, bottom))) if x0 <= x1 && y0 <= y1 => {
            let side = |from: i32, to: i32| from.abs_diff(to) as usize + 1;
            side(left, right).saturating_mul(side(top, bottom))
        }
        _ => 0,
    }
}

impl Conversion {
    fn check(&self) -> Result<(), String> {
        let positive = |name, value| expect_number(name, value, "a number above 0", |it| it > 0.0);
        let not_negative = |name, value| expect_number(name, value, "a number from 0 on", |it| it >= 0.0);
        expect_number("conversion.percentile", self.percentile, "a number above 0, at most 100", |it| {
            it > 0.0 && it <= 100.0
        })?;
        expect_number("conversion.percentile_step", self.percentile_step, "a number from 0 to 10", |it| {
            (0.0..=10.0).contains(&it)
        })?;
        positive("conversion.scaling_factor", self.scaling_factor)?;
        positive("conversion.v_thresh", self.v_thresh)?;
        positive("conversion.input_scale", self.input_scale)?;
        positive("conversion.input_events", self.input_events.into())?;
        expect_number("conversion.logit_shift", self.logit_shift, "a finite number", |_| true)?;
        expect_number("conversion.initial_potential", self.initial_potential, "a number from 0, below 1", |it| {
            (0.0..1.0).contains(&it)
        })?;
        if self.ticks_per_ms == 0 {
            return Err("expected 1 or more as conversion.ticks_per_ms, found 0".into());
        }
        for setting in &self.settings {
            let parts = setting.rsplit_once('=').and_then(|(left, value)| Some((left.rsplit_once('.')?, value)));
            let is_setting = |((glob, _), value): ((&str, &str), &str)| {
                glob::Pattern::new(glob).is_ok() && value.trim().parse::<i64>().is_ok()
            };
            // Names of files may have dots and equals signs.
            let is_neuron = |(glob, file): (&str, &str)| glob::Pattern::new(glob).is_ok() && !file.is_empty();
            if !parts.is_some_and(is_setting) && !setting.split_once(".neuron=").is_some_and(is_neuron) {
                return Err(format!(
                    "expected GLOB.KEY=INTEGER or GLOB.neuron=FILE in conversion.settings, found '{setting}'"
                ));
            }
        }
        let rules = &self.rules;
        expect_number("conversion.rules.threshold_step", rules.threshold_step, "a number", |_| true)?;
        expect_number("conversion.rules.offset", rules.offset, "a number", |_| true)?;
        for tau in [rules.currents.excitatory, rules.currents.inhibitory].into_iter().flatten() {
            positive("conversion.rules.currents", tau)?;
        }
        rules.floor.map_or(Ok(()), |floor| not_negative("conversion.rules.floor", floor))?;
        if rules.delay_to_arrive < 0 || rules.mask_tau < 0 {
            return Err("expected numbers from 0 on as conversion.rules.delay_to_arrive and mask_tau".into());
        }
        if let Some(bits) = rules.payload_bits.filter(|&bits| bits > MAX_PAYLOAD_BITS) {
            return Err(format!("expected 0 to {MAX_PAYLOAD_BITS} as conversion.rules.payload_bits, found {bits}"));
        }
        match &rules.weighting {
            Weighting::Model(Schedule::All(s)) => positive("conversion.rules.weighting", *s),
            Weighting::Model(Schedule::Layers(list)) => {
                list.iter().try_for_each(|&s| positive("conversion.rules.weighting", s))
            }
            Weighting::LeastSquares { steps: 0 } => {
                Err("expected 1 or more as steps of conversion.rules.weighting, found 0".into())
            }
            Weighting::LeastSquares { .. }
            | Weighting::Percentile
            | Weighting::Model(Schedule::Depth)
            | Weighting::AsTrained => Ok(()),
        }
    }
}
