//! Custom equations, from TOML files: read once, evaluated for many pixels or neurons at a time.
//!
//! An equation is an expression in Rust's notation, read by `syn`: numbers, names, `+ - * / %`, comparisons, `&& || !`,
//! `if a { b } else { c }`, and the functions of its arithmetic. [`System`] is a file of them: variables with initial
//! values, how they change, when they spike, what a spike changes. Two arithmetics: `f64` (codes), and `i64` (neurons),
//! which saturates and never wraps.

mod arithmetic;
mod compile;
mod decay;
mod file;
mod parse;
mod system;

pub use arithmetic::Arithmetic;
pub use decay::Decay;
pub use file::Given;
pub use system::{Scratch, Sign, System, Vocabulary};

use compile::Instruction;

/// How many are worked on at a time.
pub const LANES: usize = 16;

/// A number for each lane. A truth is 1 or 0.
pub type Lanes<N> = [N; LANES];

/// One expression, compiled.
#[derive(Debug, Clone)]
struct Equation<N> {
    instructions: Vec<Instruction<N>>,
}

impl<N: Arithmetic> Equation<N> {
    fn constant(number: N) -> Self {
        Self { instructions: vec![Instruction::Constant(number)] }
    }

    /// The slots that it reads.
    fn slots(&self) -> impl Iterator<Item = usize> {
        self.instructions.iter().filter_map(|instruction| match instruction {
            Instruction::Slot(slot) => Some(*slot),
            _ => None,
        })
    }

    /// Its value; `slots` are the names that it may read.
    fn evaluate(&self, slots: &[Lanes<N>], stack: &mut Vec<Lanes<N>>) -> Lanes<N> {
        stack.clear();
        for instruction in &self.instructions {
            match *instruction {
                Instruction::Constant(number) => stack.push([number; LANES]),
                Instruction::Slot(slot) => stack.push(slots[slot]),
                Instruction::Unary(apply) => {
                    if let Some(top) = stack.last_mut() {
                        apply(top);
                    }
                }
                Instruction::Binary(apply) => {
                    if let (Some(right), Some(left)) = (stack.pop(), stack.last_mut()) {
                        apply(left, &right);
                    }
                }
                Instruction::Ternary(apply) => {
                    if let (Some(third), Some(second), Some(first)) = (stack.pop(), stack.pop(), stack.last_mut()) {
                        apply(first, &second, &third);
                    }
                }
                Instruction::Select => {
                    if let (Some(otherwise), Some(then), Some(condition)) = (stack.pop(), stack.pop(), stack.last_mut())
                    {
                        for k in 0..LANES {
                            condition[k] = if condition[k] == N::ZERO { otherwise[k] } else { then[k] };
                        }
                    }
                }
            }
        }
        stack.pop().unwrap_or([N::ZERO; LANES])
    }
}
