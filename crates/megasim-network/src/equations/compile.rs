//! Expressions to instructions: what names, operators and functions mean, and which of them give numbers.

use super::Equation;
use super::arithmetic::{Arithmetic, Binary, Function, Ternary, Unary, two};
use super::parse::{BinaryOperator, Node, ParseError, Tree, UnaryOperator, parse};
use crate::source_error::nearest;
use std::ops::Range;

/// A step of an evaluation.
#[derive(Debug, Clone, Copy)]
pub(super) enum Instruction<N> {
    Constant(N),
    Slot(usize),
    Unary(Unary<N>),
    Binary(Binary<N>),
    Ternary(Ternary<N>),
    /// Condition, then, otherwise.
    Select,
}

/// What a name means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning<N> {
    Constant(N),
    Slot(usize),
}

/// What an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Truth,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Truth => "a truth (as of `a > b`)",
        }
    }
}

/// What is wrong with an expression, and where in it, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CompileError {
    pub span: Range<usize>,
    pub message: String,
    pub hint: Option<String>,
}

type Result<T> = std::result::Result<T, CompileError>;

/// Longer expressions are refused; so are deeper ones, as reading them takes stack.
const LONGEST: usize = 2000;
const DEEPEST: usize = 40;
const ALLOWED: &str =
    "expressions have numbers, names, + - * / %, comparisons, && || !, `if a { b } else { c }`, and functions";

/// Compiles an expression that gives a number or a truth, as `kind` says; `names` are those that it may read.
pub(super) fn compile<N: Arithmetic>(text: &str, names: &[(String, Meaning<N>)], kind: Kind) -> Result<Equation<N>> {
    let all = 0..text.len();
    let refuse = |message: String| CompileError { span: all.clone(), message, hint: None };
    if text.len() > LONGEST || depth(text) > DEEPEST {
        return Err(refuse(format!(
            "expected at most {LONGEST} characters and {DEEPEST} brackets or signs inside each other"
        )));
    }
    let read = parse(text).map_err(|ParseError { span, expected }| {
        let found = text.get(span.clone()).filter(|found| !found.is_empty());
        let found = found.map_or("the end".into(), |found| format!("`{found}`"));
        CompileError { span, message: format!("expected {expected}, found {found}"), hint: Some(ALLOWED.into()) }
    })?;
    let mut compiler = Compiler { names, instructions: Vec::new() };
    let found = compiler.expression(&read)?;
    if found != kind {
        return Err(CompileError {
            hint: (kind == Kind::Truth).then(|| "compare it, as in `v > 1`".into()),
            ..refuse(format!("expected {}, found {}", kind.name(), found.name()))
        });
    }
    Ok(Equation { instructions: compiler.instructions })
}

/// The deepest nesting of brackets and signs.
fn depth(text: &str) -> usize {
    let (mut brackets, mut signs, mut deepest) = (0usize, 0, 0);
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => brackets += 1,
            ')' | ']' | '}' => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        signs = if "-!*&|".contains(c) {
            signs + 1
        } else if c.is_whitespace() {
            signs
        } else {
            0
        };
        deepest = deepest.max(brackets + signs);
    }
    deepest
}

struct Compiler<'n, N> {
    names: &'n [(String, Meaning<N>)],
    instructions: Vec<Instruction<N>>,
}

impl<N: Arithmetic> Compiler<'_, N> {
    fn expression(&mut self, tree: &Tree) -> Result<Kind> {
        match &tree.node {
            Node::Number(digits) => {
                let number = N::read(digits).ok_or_else(|| flaw(&tree.span, format!("expected {}", N::NAME), None))?;
                self.instructions.push(Instruction::Constant(number));
                Ok(Kind::Number)
            }
            Node::Name(name) => {
                let Some((_, meaning)) = self.names.iter().find(|(known, _)| known == name) else {
                    let known = self.names.iter().map(|(name, _)| name.as_str());
                    return Err(flaw(&tree.span, format!("unknown name `{name}`"), nearest(name, known)));
                };
                self.instructions.push(match *meaning {
                    Meaning::Constant(number) => Instruction::Constant(number),
                    Meaning::Slot(slot) => Instruction::Slot(slot),
                });
                Ok(Kind::Number)
            }
            Node::Unary(operator, of) => {
                let (kind, apply): (Kind, Unary<N>) = match operator {
                    UnaryOperator::Negate => (Kind::Number, N::negate()),
                    UnaryOperator::Not => (Kind::Truth, |a| {
                        a.iter_mut().for_each(|a| *a = if *a == N::ZERO { N::ONE } else { N::ZERO });
                    }),
                };
                self.expect(of, kind)?;
                self.instructions.push(Instruction::Unary(apply));
                Ok(kind)
            }
            Node::Binary(of, sides) => {
                let [left, right] = &**sides;
                let (takes, gives, apply) = operator::<N>(*of).map_err(|hint| {
                    flaw(&(left.span.end..right.span.start), "unknown operator".into(), Some(hint.into()))
                })?;
                self.expect(left, takes)?;
                self.expect(right, takes)?;
                self.instructions.push(Instruction::Binary(apply));
                Ok(gives)
            }
            Node::Call(name, arguments) => self.call(name, arguments, &tree.span),
            Node::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                self.expect(condition, Kind::Truth)?;
                let kind = self.expression(then)?;
                self.expect(otherwise, kind)?;
                self.instructions.push(Instruction::Select);
                Ok(kind)
            }
        }
    }

    fn expect(&mut self, tree: &Tree, kind: Kind) -> Result<()> {
        let found = self.expression(tree)?;
        if found == kind {
            return Ok(());
        }
        Err(flaw(&tree.span, format!("expected {}, found {}", kind.name(), found.name()), None))
    }

    fn call(&mut self, name: &str, arguments: &[Tree], span: &Range<usize>) -> Result<Kind> {
        let known = N::functions();
        let Some((_, function)) = known.iter().find(|(known, _)| *known == name) else {
            let hint = nearest(name, known.iter().map(|(name, _)| *name));
            return Err(flaw(span, format!("unknown function `{name}`"), hint));
        };
        let takes = match function {
            Function::One(_) => 1,
            Function::Two(_) => 2,
            Function::Three(_) => 3,
        };
        if arguments.len() != takes {
            let found = arguments.len();
            return Err(flaw(span, format!("`{name}`: expected {takes} numbers, found {found}"), None));
        }
        for argument in arguments {
            self.expect(argument, Kind::Number)?;
        }
        self.instructions.push(match *function {
            Function::One(apply) => Instruction::Unary(apply),
            Function::Two(apply) => Instruction::Binary(apply),
            Function::Three(apply) => Instruction::Ternary(apply),
        });
        Ok(Kind::Number)
    }
}

/// What an operator takes, what it gives, and how.
///
/// # Errors
/// A hint, where it is an operator of other languages.
fn operator<N: Arithmetic>(operator: BinaryOperator) -> std::result::Result<(Kind, Kind, Binary<N>), &'static str> {
    use BinaryOperator as Of;
    use Kind::{Number, Truth};
    let truth = |apply: Binary<N>| (Number, Truth, apply);
    Ok(match operator {
        Of::Add => (Number, Number, N::binary('+')),
        Of::Subtract => (Number, Number, N::binary('-')),
        Of::Multiply => (Number, Number, N::binary('*')),
        Of::Divide => (Number, Number, N::binary('/')),
        Of::Remainder => (Number, Number, N::binary('%')),
        Of::Equal => truth(|a, b| two(a, b, |a, b| is(a == b))),
        Of::NotEqual => truth(|a, b| two(a, b, |a, b| is(a != b))),
        Of::Less => truth(|a, b| two(a, b, |a, b| is(a < b))),
        Of::LessOrEqual => truth(|a, b| two(a, b, |a, b| is(a <= b))),
        Of::Greater => truth(|a, b| two(a, b, |a, b| is(a > b))),
        Of::GreaterOrEqual => truth(|a, b| two(a, b, |a, b| is(a >= b))),
        Of::And => (Truth, Truth, |a, b| two(a, b, |a, b| is(a != N::ZERO && b != N::ZERO))),
        Of::Or => (Truth, Truth, |a, b| two(a, b, |a, b| is(a != N::ZERO || b != N::ZERO))),
        Of::Caret => return Err("a power is `pow(a, b)`, or a product"),
        Of::Shift => return Err("a shift of whole numbers is `shift_right(a, b)`"),
        Of::Bits => return Err("truths are joined by `&&` and `||`"),
    })
}

fn is<N: Arithmetic>(truth: bool) -> N {
    if truth { N::ONE } else { N::ZERO }
}

fn flaw(span: &Range<usize>, message: String, hint: Option<String>) -> CompileError {
    CompileError { span: span.clone(), message, hint }
}
