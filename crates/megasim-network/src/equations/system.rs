//! Equations that belong together: variables, how they change, when they spike.

use super::{Arithmetic, Equation, LANES, Lanes};

/// What equations of one use are about.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary {
    /// What such a file describes, for messages.
    pub what: &'static str,
    /// The names that are given from outside; a caller fills their slots in this order.
    pub inputs: &'static [&'static str],
    /// Keys at the top of the file, with the words that each may have; the first where it is absent.
    pub choices: &'static [(&'static str, &'static [&'static str])],
    /// Whether there may be negative spikes.
    pub negative: bool,
}

/// The sign of a spike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// `[spike]`
    Plus,
    /// `[negative_spike]`
    Minus,
}

/// When a spike is made, and what it changes.
#[derive(Debug, Clone)]
pub(super) struct Rule<N> {
    /// Where the condition is in the file.
    pub line: usize,
    pub when: Equation<N>,
    pub reset: Vec<(usize, Equation<N>)>,
}

/// Variables and their equations. Slots hold a number for each lane: those of the variables, in the order of the file,
/// then those of the inputs.
#[derive(Debug, Clone)]
pub struct System<N> {
    pub(super) states: Vec<String>,
    /// Where each variable is changed in the file.
    pub(super) lines: Vec<usize>,
    pub(super) inputs: usize,
    /// Which inputs are read.
    pub(super) reads: Vec<bool>,
    pub(super) initial: Vec<Equation<N>>,
    pub(super) update: Vec<(usize, Equation<N>)>,
    pub(super) plus: Rule<N>,
    pub(super) minus: Option<Rule<N>>,
    /// The word that was chosen for each key.
    pub(super) choices: Vec<&'static str>,
}

/// Memory for evaluations.
#[derive(Debug, Clone)]
pub struct Scratch<N> {
    stack: Vec<Lanes<N>>,
    next: Vec<Lanes<N>>,
}

impl<N> Default for Scratch<N> {
    fn default() -> Self {
        Self { stack: Vec::new(), next: Vec::new() }
    }
}

/// All lanes.
const ALL: u32 = (1 << LANES) - 1;

impl<N: Arithmetic> System<N> {
    /// The variables.
    pub fn states(&self) -> &[String] {
        &self.states
    }

    /// The line of the file that changes a variable, from 1.
    pub fn line_of(&self, state: usize) -> usize {
        self.lines[state]
    }

    /// The line of the file with the condition of a positive spike, from 1.
    pub fn line_of_spike(&self) -> usize {
        self.plus.line
    }

    /// Room for the numbers of all names.
    pub fn slots(&self) -> Vec<Lanes<N>> {
        vec![[N::ZERO; LANES]; self.states.len() + self.inputs]
    }

    /// Whether an equation reads the input.
    pub fn reads(&self, input: usize) -> bool {
        self.reads[input]
    }

    /// The word that the file has for a key of [`Vocabulary::choices`].
    pub fn choice(&self, key: usize) -> &'static str {
        self.choices[key]
    }

    /// Puts variables to their initial values. As all that changes variables it returns the lanes, as bits, in which a
    /// number was cut off.
    pub fn start(&self, slots: &mut [Lanes<N>], scratch: &mut Scratch<N>) -> u32 {
        let equations = self.initial.iter().enumerate();
        change(equations, ALL, slots, scratch)
    }

    /// Changes all variables, each from the old values.
    pub fn advance(&self, slots: &mut [Lanes<N>], scratch: &mut Scratch<N>) -> u32 {
        let equations = self.update.iter().map(|(state, equation)| (*state, equation));
        change(equations, ALL, slots, scratch)
    }

    /// The lanes, as bits, in which there is to be a spike of this sign.
    pub fn fires(&self, sign: Sign, slots: &[Lanes<N>], scratch: &mut Scratch<N>) -> u32 {
        let Some(rule) = self.rule(sign) else { return 0 };
        let truth = rule.when.evaluate(slots, &mut scratch.stack);
        (0..LANES).fold(0, |bits, k| bits | u32::from(truth[k] != N::ZERO) << k)
    }

    /// What a spike changes, in the lanes that have one.
    pub fn reset(&self, sign: Sign, lanes: u32, slots: &mut [Lanes<N>], scratch: &mut Scratch<N>) -> u32 {
        let Some(rule) = self.rule(sign) else { return 0 };
        let equations = rule.reset.iter().map(|(state, equation)| (*state, equation));
        change(equations, lanes, slots, scratch)
    }

    fn rule(&self, sign: Sign) -> Option<&Rule<N>> {
        match sign {
            Sign::Plus => Some(&self.plus),
            Sign::Minus => self.minus.as_ref(),
        }
    }
}

fn change<'e, N: Arithmetic>(
    equations: impl Iterator<Item = (usize, &'e Equation<N>)> + Clone,
    lanes: u32,
    slots: &mut [Lanes<N>],
    scratch: &mut Scratch<N>,
) -> u32 {
    let Scratch { stack, next } = scratch;
    next.clear();
    next.extend(equations.clone().map(|(_, equation)| equation.evaluate(slots, stack)));
    let mut cut = 0;
    for ((state, _), next) in equations.zip(next) {
        for (k, next) in next.iter().enumerate().filter(|(k, _)| lanes >> k & 1 == 1) {
            let kept = next.kept();
            cut |= u32::from(kept != *next && !next.is_nan()) << k;
            slots[state][k] = kept;
        }
    }
    cut
}
