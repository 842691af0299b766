//! What a point changes of the conversion.

use super::SweepError;
use megasim_convert::model_based::Schedule;
use megasim_convert::numbers::{not_negative, part, percentile, percentile_step, positive};
use megasim_convert::settings::Setting;
use megasim_convert::{ConvertOptions, Format, OutputForm, Precision, Weighting};
use megasim_core::encode::SoftmaxClock;
use megasim_core::equations::Decay;
use megasim_core::network::Reset;

/// A parameter of 'megasim convert' with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    Percentile(f64),
    PercentileStep(f64),
    ScalingFactor(f64),
    Threshold(f64),
    InitialPotential(f64),
    WeightBits(Precision),
    Reset(Reset),
    Weighting(Weighting),
    DepthScale(Schedule),
    ThresholdStep(f64),
    Floor(f64),
    DelayToArrive(i64),
    MaskTau(i32),
    MaxToAverage(bool),
    /// Milliseconds; none: potentials do not decay.
    MembraneTime(Option<f64>),
    /// Before scaling.
    RestingPotential(f64),
    SoftmaxClock(SoftmaxClock),
    Output(OutputForm),
    /// Milliseconds of the presentation that it is made for.
    Duration(u32),
}

type Make = fn(&str) -> Result<Change, String>;

/// The parameters by name.
pub(super) const PARAMETERS: [(&str, Make); 18] = [
    ("percentile", |text| percentile(text).map(Change::Percentile)),
    ("percentile-step", |text| percentile_step(text).map(Change::PercentileStep)),
    ("scaling-factor", |text| positive(text).map(Change::ScalingFactor)),
    ("v-thresh", |text| positive(text).map(Change::Threshold)),
    ("initial-potential", |text| part(text).map(Change::InitialPotential)),
    ("weight-bits", |text| match text {
        "full" => Ok(Change::WeightBits(Precision::Full)),
        _ => text.parse().map(Change::WeightBits),
    }),
    ("reset", |text| match text {
        "subtract" => Ok(Change::Reset(Reset::Subtract)),
        "zero" => Ok(Change::Reset(Reset::ToRest)),
        "modulo" => Ok(Change::Reset(Reset::Modulo)),
        _ => Err("expected subtract, zero or modulo".into()),
    }),
    ("weighting", |text| match text {
        "percentile" => Ok(Change::Weighting(Weighting::Percentile)),
        "model" => Ok(Change::Weighting(Weighting::Model(Schedule::default()))),
        "as-trained" => Ok(Change::Weighting(Weighting::AsTrained)),
        _ => Err("expected percentile, model or as-trained".into()),
    }),
    ("depth-scale", |text| text.parse().map(Change::DepthScale)),
    ("threshold-step", |text| not_negative(text).map(Change::ThresholdStep)),
    ("floor", |text| not_negative(text).map(Change::Floor)),
    ("delay-to-arrive", |text| whole(text, i64::from(i32::MAX)).map(Change::DelayToArrive)),
    ("mask-tau", |text| whole(text, i64::from(i32::MAX)).map(|ms| Change::MaskTau(ms as i32))),
    ("max-to-average", |text| text.parse().map(Change::MaxToAverage).map_err(|_| "expected true or false".to_string())),
    ("tau-mem", |text| match text {
        "none" => Ok(Change::MembraneTime(None)),
        _ => positive(text)
            .map(|tau| Change::MembraneTime(Some(tau)))
            .map_err(|_| "expected milliseconds above 0, or none".into()),
    }),
    ("resting-potential", |text| {
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.map(Change::RestingPotential).ok_or_else(|| "expected a number".into())
    }),
    ("softmax-clock", |text| text.parse().map(Change::SoftmaxClock)),
    ("output", |text| match text {
        "relu" => Ok(Change::Output(OutputForm::Relu)),
        "softmax" => Ok(Change::Output(OutputForm::Softmax)),
        "signed" => Ok(Change::Output(OutputForm::Signed)),
        "potential" => Ok(Change::Output(OutputForm::Potential)),
        _ => Err("expected relu, softmax, signed or potential".into()),
    }),
];

/// Options of a conversion for presentations of another duration.
fn made_for(options: &mut ConvertOptions, duration: u32) -> Result<(), SweepError> {
    let presentation = options.presentation.as_mut().ok_or(SweepError::NoPresentation)?;
    // A rate of the input other than one event per millisecond keeps its part of the duration.
    if let Weighting::LeastSquares { steps } = &mut options.rules.weighting {
        let before = f64::from(*steps) / f64::from(presentation.duration);
        *steps = (f64::from(duration) * before).round().max(1.0) as u32;
    }
    presentation.duration = duration;
    Ok(())
}

fn whole(text: &str, most: i64) -> Result<i64, String> {
    let number: Option<i64> = text.parse().ok();
    number.filter(|n| (0..=most).contains(n)).ok_or_else(|| format!("expected a whole number from 0 to {most}"))
}

/// Sets a parameter of all modules that 'megasim convert' sets before those of single layers, or leaves it out.
fn set(options: &mut ConvertOptions, key: &str, value: Option<i64>) -> Result<(), SweepError> {
    if options.format == Format::Original {
        return Err(SweepError::OriginalFormat(key.into()));
    }
    let start = format!("*.{key}=");
    options.settings.retain(|setting| !setting.to_string().starts_with(&start));
    if let Some(value) = value {
        let setting: Setting = format!("{start}{value}").parse().map_err(SweepError::Value)?;
        options.settings.insert(0, setting);
    }
    Ok(())
}

/// Everything that a point changes of the conversion.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Conversion {
    changes: Vec<Change>,
    /// The changes as they were asked for, `NAME=VALUE`.
    name: String,
}

impl Conversion {
    /// Whether the netfiles at hand are what is asked for.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// One change more, of the parameter with that name.
    pub fn push(&mut self, change: Change, name: &str, value: &str) {
        self.changes.push(change);
        let space = if self.name.is_empty() { "" } else { " " };
        self.name += &format!("{space}{name}={value}");
    }

    /// The changes as they were asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether integers of a threshold or weight of 1 change.
    pub fn scales(&self) -> bool {
        self.changes.iter().any(|change| matches!(change, Change::ScalingFactor(_) | Change::Threshold(_)))
    }

    /// The form of the output, where that is changed.
    pub fn output(&self) -> Option<OutputForm> {
        self.changes.iter().find_map(|change| match change {
            Change::Output(form) => Some(*form),
            _ => None,
        })
    }

    /// Puts the changes into the options with which the netfiles were made.
    ///
    /// # Errors
    /// Where one would change nothing, or does not go with the others.
    pub fn apply(&self, options: &mut ConvertOptions) -> Result<(), SweepError> {
        // A schedule is one of the weighting, whichever is named first.
        let mut changes: Vec<&Change> = self.changes.iter().collect();
        // A resting potential is scaled by the factor of the point.
        changes.sort_by_key(|change| matches!(change, Change::DepthScale(_) | Change::RestingPotential(_)));
        let code = options.rules.code;
        for change in changes {
            let has_form = matches!(
                change,
                Change::Percentile(_)
                    | Change::PercentileStep(_)
                    | Change::ScalingFactor(_)
                    | Change::Threshold(_)
                    | Change::WeightBits(_)
                    | Change::MaxToAverage(_)
                    | Change::Duration(_)
            );
            if !code.is_rate() && !has_form {
                return Err(SweepError::Coded(format!("{} has no form with the spike code {code}", self.name)));
            }
            let quantization = &mut options.quantization;
            match change {
                Change::Percentile(percentile) => options.percentile = *percentile,
                Change::PercentileStep(step) => options.percentile_step = *step,
                Change::ScalingFactor(factor) => quantization.scaling_factor = *factor,
                Change::Threshold(threshold) => quantization.threshold = *threshold,
                Change::InitialPotential(part) => quantization.initial_potential = *part,
                Change::WeightBits(precision) => options.precision = *precision,
                Change::Reset(reset) => {
                    quantization.reset = *reset;
                    // A strict threshold is one more in integers, which a reset by subtraction must not see.
                    options.rules.strict &= *reset == Reset::ToRest;
                }
                Change::Weighting(weighting) => options.rules.weighting = weighting.clone(),
                Change::DepthScale(schedule) => match &mut options.rules.weighting {
                    Weighting::Model(of) => *of = schedule.clone(),
                    _ => return Err(SweepError::NoSchedule),
                },
                Change::ThresholdStep(step) => options.rules.threshold_step = *step,
                Change::Floor(floor) => options.rules.floor = Some(*floor),
                Change::DelayToArrive(ticks) => options.rules.delay_to_arrive = *ticks,
                Change::MaskTau(ms) => options.rules.mask_tau = *ms,
                Change::MaxToAverage(average) => options.max_to_average = *average,
                Change::MembraneTime(tau) => {
                    let ticks = f64::from(quantization.ticks_per_ms);
                    set(options, "leak_decay", tau.map(|tau| Decay::part(tau * ticks).into()))?;
                }
                Change::RestingPotential(rest) => {
                    if quantization.initial_potential != 0.0 {
                        return Err(SweepError::RestingPotential);
                    }
                    let rest = (rest * quantization.scaling_factor).round();
                    set(options, "resting_potential", Some(rest as i64))?;
                }
                Change::SoftmaxClock(clock) => options.softmax_clock = *clock,
                Change::Output(form) => {
                    if quantization.signed.is_some() && *form == OutputForm::Softmax {
                        return Err(SweepError::SignedSoftmax);
                    }
                    options.output = *form;
                }
                Change::Duration(duration) => made_for(options, *duration)?,
            }
        }
        // Scales of least squared error are looked for near the percentile.
        let by_percentile = options.scales.is_none() && options.rules.weighting.needs_data();
        let is_percentile = |change: &Change| matches!(change, Change::Percentile(_) | Change::PercentileStep(_));
        if !by_percentile && self.changes.iter().any(is_percentile) {
            return Err(SweepError::NoPercentiles);
        }
        if options.scales.is_some() && self.changes.iter().any(|change| matches!(change, Change::Weighting(_))) {
            return Err(SweepError::GivenScales);
        }
        let is_clock = |change: &Change| matches!(change, Change::SoftmaxClock(_));
        if options.output != OutputForm::Softmax && self.changes.iter().any(is_clock) {
            return Err(SweepError::NoSoftmax);
        }
        if options.quantization.reset == Reset::ToRest && options.quantization.initial_potential != 0.0 {
            return Err(SweepError::InitialPotential);
        }
        Ok(())
    }
}
