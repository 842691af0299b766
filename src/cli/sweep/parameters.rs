//! The parameters that can be swept, and what each value changes.

use super::super::presentation::Presentation;
use super::super::run::Setting;
use megasim::network::Tick;
use megasim::study::sweep;

/// One `--over`.
#[derive(Debug, Clone)]
pub struct Over {
    /// Which.
    pub parameter: Parameter,
    /// Its name, as it was given.
    pub name: String,
    /// Its values, as they were given.
    pub values: String,
}

/// What can be swept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    Duration,
    TicksPerMs,
    InputRate,
    Encode,
    Seed,
    Dt,
    Percentile,
    ScalingFactor,
    Threshold,
    InitialPotential,
    /// A key of modules.
    Setting,
}

const PARAMETERS: [(&str, Parameter); 10] = [
    ("duration", Parameter::Duration),
    ("ticks-per-ms", Parameter::TicksPerMs),
    ("input-rate", Parameter::InputRate),
    ("encode", Parameter::Encode),
    ("seed", Parameter::Seed),
    ("dt", Parameter::Dt),
    ("percentile", Parameter::Percentile),
    ("scaling-factor", Parameter::ScalingFactor),
    ("v-thresh", Parameter::Threshold),
    ("initial-potential", Parameter::InitialPotential),
];

/// Reads one `--over` and tries all its values.
///
/// # Errors
/// What is wrong with it.
pub fn over(text: &str) -> Result<Over, String> {
    let (name, values) = text.split_once('=').ok_or("expected PARAMETER=VALUES, found no `=`")?;
    let known = PARAMETERS.iter().find(|(known, _)| *known == name).map(|(_, parameter)| *parameter);
    let parameter = match known {
        Some(parameter) => parameter,
        None if name.contains('.') => Parameter::Setting,
        None => {
            let names: Vec<_> = PARAMETERS.iter().map(|(name, _)| *name).collect();
            return Err(format!("no parameter `{name}`; there are {} and GLOB.KEY", names.join(", ")));
        }
    };
    let over = Over { parameter, name: name.into(), values: values.into() };
    let sample = Conditions::default_for_check();
    for value in over.all(0)? {
        sample.with(&over, &value)?;
    }
    Ok(over)
}

impl Over {
    /// Its values in their order, each once.
    pub fn all(&self, seed: u64) -> Result<Vec<String>, String> {
        let whole = !matches!(
            self.parameter,
            Parameter::InputRate
                | Parameter::Encode
                | Parameter::Percentile
                | Parameter::ScalingFactor
                | Parameter::Threshold
                | Parameter::InitialPotential
        );
        // A list of codes has commas between their parameters too.
        let values = match self.parameter {
            Parameter::Encode => self.values.split(';').map(|value| value.trim().to_string()).collect(),
            _ => sweep::values(&self.values, seed)?,
        };
        let mut all: Vec<String> = Vec::new();
        for value in values {
            // What a range gives for a whole number is the nearest one.
            let value = match value.parse::<f64>() {
                Ok(number) if whole && self.values.contains("..") => format!("{:.0}", number.round()),
                _ => value,
            };
            if !all.contains(&value) {
                all.push(value);
            }
        }
        Ok(all)
    }
}

/// Everything that a point can change.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// How samples are shown; none where values are only tried.
    pub presentation: Option<Presentation>,
    /// Ticks of a clocked step.
    pub dt: Tick,
    /// What is changed of the conversion.
    pub conversion: Conversion,
    /// What is changed of modules.
    pub settings: Vec<Setting>,
}

/// What a point changes of the conversion.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Conversion {
    /// `--percentile`.
    pub percentile: Option<f64>,
    /// `--scaling-factor`.
    pub scaling_factor: Option<f64>,
    /// `--v-thresh`.
    pub threshold: Option<f64>,
    /// `--initial-potential`.
    pub initial_potential: Option<f64>,
}

impl Conditions {
    /// Conditions on which values are only tried.
    pub fn default_for_check() -> Self {
        Self { presentation: None, dt: 1, conversion: Conversion::default(), settings: Vec::new() }
    }

    /// The same with one value changed.
    pub fn with(&self, over: &Over, value: &str) -> Result<Self, String> {
        let mut changed = self.clone();
        let fault = |expected: &str| format!("{}: expected {expected}, found `{value}`", over.name);
        let whole = |least: i64, most: i64| {
            let number: Option<i64> = value.parse().ok();
            number
                .filter(|n| (least..=most).contains(n))
                .ok_or_else(|| fault(&format!("a whole number from {least} to {most}")))
        };
        let real = |expected: &str, is_fine: fn(f64) -> bool| {
            let number: Option<f64> = value.parse().ok();
            number.filter(|n| n.is_finite() && is_fine(*n)).ok_or_else(|| fault(expected))
        };
        let positive = || real("a number above 0", |n| n > 0.0);
        let conversion = &mut changed.conversion;
        let mut presentation = changed.presentation.take();
        match over.parameter {
            Parameter::Duration => {
                let duration = whole(1, 1_000_000)? as u32;
                presentation.iter_mut().for_each(|it| it.duration = duration);
            }
            Parameter::TicksPerMs => {
                let ticks = whole(1, 1_000_000)? as u32;
                presentation.iter_mut().for_each(|it| it.ticks_per_ms = ticks);
            }
            Parameter::InputRate => {
                let rate = positive()?;
                presentation.iter_mut().for_each(|it| it.input_rate = rate);
            }
            Parameter::Seed => {
                let seed = whole(0, i64::MAX)? as u64;
                presentation.iter_mut().for_each(|it| it.seed = seed);
            }
            Parameter::Encode => {
                let choice: megasim::encode::registry::Choice = value.parse()?;
                presentation.iter_mut().for_each(|it| it.encode = choice.clone());
            }
            Parameter::Dt => changed.dt = whole(1, i64::MAX)?,
            Parameter::Percentile => {
                conversion.percentile = Some(real("a number above 0, at most 100", |n| n > 0.0 && n <= 100.0)?);
            }
            Parameter::ScalingFactor => conversion.scaling_factor = Some(positive()?),
            Parameter::Threshold => conversion.threshold = Some(positive()?),
            Parameter::InitialPotential => {
                let part = real("a number from 0, below 1", |n| (0.0..1.0).contains(&n))?;
                conversion.initial_potential = Some(part);
            }
            Parameter::Setting => changed.settings.push(format!("{}={value}", over.name).parse()?),
        }
        changed.presentation = presentation;
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_before_any_work() {
        assert!(over("duration=10..100:4").is_ok());
        assert!(over("encode=regular;poisson").is_ok());
        assert!(over("*.Tmin=0,1,5").is_ok());
        for wrong in ["duration", "speed=1,2", "duration=0", "percentile=101", "dt=1.5", "encode=morse", "seed=-1"] {
            assert!(over(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ranges_of_whole_numbers_are_rounded_and_have_each_value_once() {
        let over = over("duration=log:1..10:12").unwrap();
        assert_eq!(over.all(0).unwrap(), ["1", "2", "3", "4", "5", "7", "8", "10"]);
    }
}
