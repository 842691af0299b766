//! The neurons of a module: their parameters, and the rules of those.

use super::check::range;
use crate::equations::Decay;
use crate::network::{NetworkError, Tick, at_least};
use std::num::NonZeroU32;

/// What becomes of the potential when a neuron spikes (`Reset_to_reminder`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reset {
    /// 0: it becomes `MembReset`.
    ToRest,
    /// 1: the threshold is subtracted.
    Subtract,
    /// 2: it becomes the remainder of a division by the threshold (an extension).
    Modulo,
}

/// By which rules the potentials of a module's neurons make spikes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Dynamics {
    /// Leaky integrate-and-fire, at most one spike per event.
    #[default]
    IntegrateAndFire,
    /// Extension keys: signed spikes that keep a count equal to the input so far.
    Signed(Signed),
    /// Extension key: the number of the equations ([`NeuronModel`](crate::network::NeuronModel)) that neurons follow.
    Model(NonZeroU32),
}

/// Signed neurons. A neuron has a potential `V` and a count `n`, 0 at the start and after a reset. On an event with
/// signed weight `w`, `V += w`; then, until neither rule holds:
///
/// ```text
/// V >= THplus        and n < max_count:  spike +1, V -= THplus, n += 1
/// V <  -hysteresis   and n > min_count:  spike -1, V += THplus, n -= 1
/// ```
///
/// A settle event ([`Polarity::Settle`](crate::network::Polarity::Settle)) makes the hysteresis 0 until the next reset
/// and tests all neurons. From then on, whenever nothing is pending,
/// `n = clip(floor((MembReset + sum(w)) / THplus), min_count, max_count)`, in whatever order the events came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signed {
    /// `hysteresis`: how far below 0 a potential may be before the settle event without a spike, 0 or more.
    pub hysteresis: i32,
    /// `min_count`: the least count, 0 or less. `i32::MIN` is no bound.
    pub min_count: i32,
    /// `max_count`: the largest count, 1 or more. `i32::MAX` is no bound.
    pub max_count: i32,
}

impl Default for Signed {
    /// A rectifier: no hysteresis, counts from 0 on.
    fn default() -> Self {
        Self { hysteresis: 0, min_count: 0, max_count: i32::MAX }
    }
}

/// Most thresholds that one weight, or the hysteresis, of signed neurons may have: as many spikes leave a neuron on one
/// event.
pub const MAX_SPIKES_PER_EVENT: i64 = 1 << 16;

/// Parameters of the neurons of one module, in scaled integers and ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NeuronParameters {
    /// `THplus`.
    pub threshold_plus: i32,
    /// `THplusInfo`: whether reaching `THplus` spikes (+1); otherwise it is a ceiling.
    pub fires_plus: bool,
    /// `THminus`.
    pub threshold_minus: i32,
    /// `THminusInfo`: whether reaching `THminus` spikes (-1); otherwise it is a floor.
    pub fires_minus: bool,
    /// `Reset_to_reminder`.
    pub reset: Reset,
    /// `MembReset`: where potentials start, leak to, and are reset to; with a `resting_potential` only where a spike
    /// puts them.
    pub membrane_reset: i32,
    /// `TLplus`: fall per tick of a potential above `MembReset`.
    pub leak_plus: i32,
    /// `TLminus`: rise per tick of a potential below `MembReset`.
    pub leak_minus: i32,
    /// `Tmin`: least ticks between two spikes of a neuron.
    pub t_min: Tick,
    /// `T_Refract`: ticks after a spike in which input is lost.
    pub refractory: Tick,
    /// Extension key: where above 0, spikes do not act on the potential but on a current, of which each control event
    /// moves this part (one in `mask_tau`) to the potential. ANNarchy's decaying mask.
    pub mask_tau: i32,
    /// Extension key: where above 0, potentials decay exponentially towards rest: of the distance, this part is lost a
    /// tick, in 2^-30 ([`Decay`](crate::equations::Decay)).
    pub leak_decay: i32,
    /// Extension key: where potentials start, leak to, and are put by reset events, if that is not `MembReset`.
    pub resting_potential: Option<i32>,
    /// Extension key: a spike carries a value, the spike itself and by how much the residual has grown since the last
    /// one, in thresholds with this many bits behind the point. SNN toolbox's payload.
    pub payload_bits: Option<u8>,
    /// Extension keys: the rules that they follow, if those are not integrate-and-fire.
    pub dynamics: Dynamics,
}

impl Default for NeuronParameters {
    /// What SNN toolbox writes: threshold 1 at scaling factor 10,000,000, floor at the 32-bit limit, reset by
    /// subtraction, no leak, no refractory time.
    fn default() -> Self {
        Self {
            threshold_plus: 10_000_000,
            fires_plus: true,
            threshold_minus: -2_147_483_646,
            fires_minus: false,
            reset: Reset::Subtract,
            membrane_reset: 0,
            leak_plus: 0,
            leak_minus: 0,
            t_min: 0,
            refractory: 0,
            mask_tau: 0,
            leak_decay: 0,
            resting_potential: None,
            payload_bits: None,
            dynamics: Dynamics::IntegrateAndFire,
        }
    }
}

impl NeuronParameters {
    /// Whether spikes may be negative.
    pub(crate) fn sends_negative(&self) -> bool {
        self.fires_minus || self.signed().is_some()
    }

    /// Where potentials start and leak to.
    pub fn rest(&self) -> i32 {
        self.resting_potential.unwrap_or(self.membrane_reset)
    }

    /// The number of the equations, where neurons follow some.
    pub fn model(&self) -> Option<NonZeroU32> {
        match self.dynamics {
            Dynamics::Model(number) => Some(number),
            Dynamics::IntegrateAndFire | Dynamics::Signed(_) => None,
        }
    }

    /// The counts and the hysteresis of signed neurons.
    pub fn signed(&self) -> Option<Signed> {
        match self.dynamics {
            Dynamics::Signed(signed) => Some(signed),
            Dynamics::IntegrateAndFire | Dynamics::Model(_) => None,
        }
    }

    /// What signed neurons may not have: whatever loses input or spikes would make counts depend on the order.
    fn check_signed(&self, signed: Signed) -> Result<(), NetworkError> {
        let default = Self::default();
        let rules: [(&'static str, bool, i64, &str); 11] = [
            ("THplusInfo", self.fires_plus, self.fires_plus.into(), "1"),
            (
                "THminus",
                self.threshold_minus <= default.threshold_minus,
                self.threshold_minus.into(),
                "-2147483646 or less",
            ),
            ("THminusInfo", !self.fires_minus, self.fires_minus.into(), "0"),
            ("Reset_to_reminder", self.reset == Reset::Subtract, if self.reset == Reset::ToRest { 0 } else { 2 }, "1"),
            ("TLplus", self.leak_plus == 0, self.leak_plus.into(), "0"),
            ("TLminus", self.leak_minus == 0, self.leak_minus.into(), "0"),
            ("Tmin", self.t_min == 0, self.t_min, "0"),
            ("T_Refract", self.refractory == 0, self.refractory, "0"),
            ("mask_tau", self.mask_tau == 0, self.mask_tau.into(), "0"),
            ("leak_decay", self.leak_decay == 0, self.leak_decay.into(), "0"),
            (
                "resting_potential",
                self.resting_potential.is_none(),
                self.resting_potential.unwrap_or(0).into(),
                "no such key",
            ),
        ];
        let wrong: Vec<_> = rules.iter().filter(|(_, holds, ..)| !holds).collect();
        if let Some(&&(key, _, found, expected)) = wrong.first() {
            let others: Vec<&str> = wrong[1..].iter().map(|(key, ..)| *key).collect();
            let others =
                if others.is_empty() { String::new() } else { format!(" (as {} may not act)", others.join(", ")) };
            return Err(range(key, &format!("{expected}, as neurons are signed{others}"), found));
        }
        at_least("THplus", self.threshold_plus.into(), 1)?;
        at_least("hysteresis", signed.hysteresis.into(), 0)?;
        at_least("max_count", signed.max_count.into(), 1)?;
        if signed.min_count > 0 {
            return Err(range("min_count", "0 or less", signed.min_count));
        }
        // Else a neuron would spike without an event.
        if signed.min_count < 0 && self.membrane_reset < -signed.hysteresis {
            return Err(range("MembReset", "not below -hysteresis, as min_count is below 0", self.membrane_reset));
        }
        let most = i64::from(self.threshold_plus) * MAX_SPIKES_PER_EVENT;
        for (key, found) in [("hysteresis", signed.hysteresis), ("MembReset", self.membrane_reset)] {
            if i64::from(found).abs() > most {
                return Err(range(key, &format!("at most {MAX_SPIKES_PER_EVENT} times THplus"), found));
            }
        }
        Ok(())
    }

    /// Refuses weights with which one event would make a signed neuron spike without end.
    pub(super) fn check_weights<'w>(&self, ports: impl Iterator<Item = &'w [i32]>) -> Result<(), NetworkError> {
        if self.signed().is_none() {
            return Ok(());
        }
        let largest = ports.flatten().map(|weight| i64::from(weight.unsigned_abs())).max().unwrap_or(0);
        if largest > i64::from(self.threshold_plus) * MAX_SPIKES_PER_EVENT {
            let expected =
                format!("at least 1/{MAX_SPIKES_PER_EVENT} of the largest weight ({largest}), as neurons are signed");
            return Err(range("THplus", &expected, self.threshold_plus));
        }
        Ok(())
    }

    /// What neurons may not have whose spikes carry what is in the potential.
    fn check_payload(&self) -> Result<(), NetworkError> {
        let because = "as spikes carry values (payload_bits)";
        if self.reset != Reset::Subtract {
            let found = if self.reset == Reset::ToRest { 0 } else { 2 };
            return Err(range("Reset_to_reminder", &format!("1, {because}"), found));
        }
        if self.signed().is_some() {
            return Err(range("signed", &format!("0, {because}"), 1));
        }
        if let Some(number) = self.model() {
            return Err(range("neuron_model", &format!("0, {because}"), number));
        }
        if self.mask_tau > 0 {
            return Err(range("mask_tau", &format!("0, {because}"), self.mask_tau));
        }
        if self.threshold_plus < 1 {
            return Err(range("THplus", &format!("1 or more, {because}"), self.threshold_plus));
        }
        if self.fires_minus && i64::from(self.threshold_minus) != -i64::from(self.threshold_plus) {
            return Err(range("THminus", &format!("-THplus, {because}"), self.threshold_minus));
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), NetworkError> {
        if let Some(signed) = self.signed() {
            self.check_signed(signed)?;
        }
        at_least("TLplus", self.leak_plus.into(), 0)?;
        at_least("TLminus", self.leak_minus.into(), 0)?;
        at_least("Tmin", self.t_min, 0)?;
        at_least("T_Refract", self.refractory, 0)?;
        at_least("mask_tau", self.mask_tau.into(), 0)?;
        if !(0..=Decay::WHOLE).contains(&self.leak_decay) {
            return Err(range("leak_decay", &format!("0 to {}", Decay::WHOLE), self.leak_decay));
        }
        for (key, leak) in [("TLplus", self.leak_plus), ("TLminus", self.leak_minus)] {
            if self.leak_decay > 0 && leak > 0 {
                return Err(range(key, "0, as leak_decay is above 0", leak));
            }
        }
        if let Some(rest) = self.resting_potential {
            if self.fires_plus && self.threshold_plus <= rest {
                return Err(range("resting_potential", "less than THplus, as THplusInfo is 1", rest));
            }
            if self.fires_minus && self.threshold_minus >= rest {
                return Err(range("resting_potential", "more than THminus, as THminusInfo is 1", rest));
            }
        }
        if self.model().is_some() && self.mask_tau > 0 {
            return Err(range("mask_tau", "0, as there is a neuron_model", self.mask_tau));
        }
        if self.payload_bits.is_some() {
            self.check_payload()?;
        }
        let modulo = self.reset == Reset::Modulo;
        if self.fires_plus && self.threshold_plus <= self.membrane_reset {
            return Err(range("THplus", "more than MembReset, as THplusInfo is 1", self.threshold_plus));
        }
        if self.fires_minus && self.threshold_minus >= self.membrane_reset {
            return Err(range("THminus", "less than MembReset, as THminusInfo is 1", self.threshold_minus));
        }
        if modulo && self.threshold_plus < 1 {
            return Err(range("THplus", "1 or more for a modulo reset", self.threshold_plus));
        }
        if modulo && self.fires_minus && self.threshold_minus > -1 {
            return Err(range("THminus", "-1 or less for a modulo reset, as THminusInfo is 1", self.threshold_minus));
        }
        Ok(())
    }
}
