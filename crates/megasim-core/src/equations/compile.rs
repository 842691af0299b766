//! Expressions to instructions. `syn` reads them as Rust's; what a name or an operator means is decided, and checked,
//! here.

use super::Equation;
use super::arithmetic::{Arithmetic, Binary, Function, Ternary, Unary, two};
use crate::source_error::nearest;
use std::ops::Range;
use syn::spanned::Spanned;
use syn::{BinOp, Expr, Lit, Stmt, UnOp};

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

/// Compiles an expression that gives a number or a truth, as `kind` says; `names` are those that it may read.
pub(super) fn compile<N: Arithmetic>(text: &str, names: &[(String, Meaning<N>)], kind: Kind) -> Result<Equation<N>> {
    let all = 0..text.len();
    let refuse = |message: String| CompileError { span: all.clone(), message, hint: None };
    if text.len() > LONGEST || depth(text) > DEEPEST {
        return Err(refuse(format!(
            "expected at most {LONGEST} characters and {DEEPEST} brackets or signs inside each other"
        )));
    }
    let read: Expr = syn::parse_str(text).map_err(|error| CompileError {
        span: error.span().byte_range(),
        message: format!("expected an expression: {error}"),
        hint: None,
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
    fn expression(&mut self, expression: &Expr) -> Result<Kind> {
        match expression {
            Expr::Paren(inner) => self.expression(&inner.expr),
            Expr::Group(inner) => self.expression(&inner.expr),
            Expr::Lit(literal) => self.literal(&literal.lit),
            Expr::Path(_) => {
                let name = identifier(expression)?;
                let Some((_, meaning)) = self.names.iter().find(|(known, _)| *known == name) else {
                    let known = self.names.iter().map(|(name, _)| name.as_str());
                    return Err(flaw(expression, format!("unknown name `{name}`"), nearest(&name, known)));
                };
                self.instructions.push(match *meaning {
                    Meaning::Constant(number) => Instruction::Constant(number),
                    Meaning::Slot(slot) => Instruction::Slot(slot),
                });
                Ok(Kind::Number)
            }
            Expr::Unary(unary) => {
                let (kind, apply): (Kind, Unary<N>) = match unary.op {
                    UnOp::Neg(_) => (Kind::Number, N::negate()),
                    UnOp::Not(_) => (Kind::Truth, |a| {
                        a.iter_mut().for_each(|a| *a = if *a == N::ZERO { N::ONE } else { N::ZERO });
                    }),
                    _ => return Err(unsupported(expression)),
                };
                self.expect(&unary.expr, kind)?;
                self.instructions.push(Instruction::Unary(apply));
                Ok(kind)
            }
            Expr::Binary(binary) => {
                let (of, kind, apply) = operator::<N>(&binary.op).ok_or_else(|| {
                    let hint = match binary.op {
                        BinOp::BitXor(_) => "a power is `pow(a, b)`, or a product",
                        BinOp::Shr(_) | BinOp::Shl(_) => "a shift of whole numbers is `shift_right(a, b)`",
                        BinOp::BitAnd(_) | BinOp::BitOr(_) => "truths are joined by `&&` and `||`",
                        _ => "operators are + - * / % == != < <= > >= && ||",
                    };
                    flaw(&binary.op, "unknown operator".into(), Some(hint.into()))
                })?;
                self.expect(&binary.left, of)?;
                self.expect(&binary.right, of)?;
                self.instructions.push(Instruction::Binary(apply));
                Ok(kind)
            }
            Expr::Call(call) => self.call(call),
            Expr::If(choice) => {
                self.expect(&choice.cond, Kind::Truth)?;
                let then = self.block(&choice.then_branch)?;
                let Some((_, otherwise)) = &choice.else_branch else {
                    return Err(flaw(expression, "expected an `else`".into(), None));
                };
                self.expect(otherwise, then)?;
                self.instructions.push(Instruction::Select);
                Ok(then)
            }
            Expr::Block(block) => self.block(&block.block),
            _ => Err(unsupported(expression)),
        }
    }

    fn expect(&mut self, expression: &Expr, kind: Kind) -> Result<()> {
        let found = self.expression(expression)?;
        if found == kind {
            return Ok(());
        }
        Err(flaw(expression, format!("expected {}, found {}", kind.name(), found.name()), None))
    }

    fn block(&mut self, block: &syn::Block) -> Result<Kind> {
        match &block.stmts[..] {
            [Stmt::Expr(expression, None)] => self.expression(expression),
            _ => Err(flaw(block, "expected one expression between the braces".into(), None)),
        }
    }

    fn literal(&mut self, literal: &Lit) -> Result<Kind> {
        let digits = match literal {
            Lit::Int(it) if it.suffix().is_empty() => it.base10_digits().to_string(),
            Lit::Float(it) if it.suffix().is_empty() => it.base10_digits().to_string(),
            _ => String::new(),
        };
        match N::read(&digits) {
            Some(number) => self.instructions.push(Instruction::Constant(number)),
            None => return Err(flaw(literal, format!("expected {}", N::NAME), None)),
        }
        Ok(Kind::Number)
    }

    fn call(&mut self, call: &syn::ExprCall) -> Result<Kind> {
        let name = identifier(&call.func)?;
        let known = N::functions();
        let Some((_, function)) = known.iter().find(|(known, _)| *known == name) else {
            let hint = nearest(&name, known.iter().map(|(name, _)| *name));
            return Err(flaw(&call.func, format!("unknown function `{name}`"), hint));
        };
        let takes = match function {
            Function::One(_) => 1,
            Function::Two(_) => 2,
            Function::Three(_) => 3,
        };
        if call.args.len() != takes {
            let found = call.args.len();
            return Err(flaw(call, format!("`{name}`: expected {takes} numbers, found {found}"), None));
        }
        for argument in &call.args {
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
fn operator<N: Arithmetic>(operator: &BinOp) -> Option<(Kind, Kind, Binary<N>)> {
    use Kind::{Number, Truth};
    let truth = |apply: Binary<N>| Some((Number, Truth, apply));
    match operator {
        BinOp::Add(_) => Some((Number, Number, N::binary('+'))),
        BinOp::Sub(_) => Some((Number, Number, N::binary('-'))),
        BinOp::Mul(_) => Some((Number, Number, N::binary('*'))),
        BinOp::Div(_) => Some((Number, Number, N::binary('/'))),
        BinOp::Rem(_) => Some((Number, Number, N::binary('%'))),
        BinOp::Eq(_) => truth(|a, b| two(a, b, |a, b| is(a == b))),
        BinOp::Ne(_) => truth(|a, b| two(a, b, |a, b| is(a != b))),
        BinOp::Lt(_) => truth(|a, b| two(a, b, |a, b| is(a < b))),
        BinOp::Le(_) => truth(|a, b| two(a, b, |a, b| is(a <= b))),
        BinOp::Gt(_) => truth(|a, b| two(a, b, |a, b| is(a > b))),
        BinOp::Ge(_) => truth(|a, b| two(a, b, |a, b| is(a >= b))),
        BinOp::And(_) => Some((Truth, Truth, |a, b| two(a, b, |a, b| is(a != N::ZERO && b != N::ZERO)))),
        BinOp::Or(_) => Some((Truth, Truth, |a, b| two(a, b, |a, b| is(a != N::ZERO || b != N::ZERO)))),
        _ => None,
    }
}

fn is<N: Arithmetic>(truth: bool) -> N {
    if truth { N::ONE } else { N::ZERO }
}

fn identifier(expression: &Expr) -> Result<String> {
    match expression {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident().map(ToString::to_string),
        _ => None,
    }
    .ok_or_else(|| flaw(expression, "expected a name".into(), None))
}

fn unsupported(expression: &Expr) -> CompileError {
    let hint =
        "expressions have numbers, names, + - * / %, comparisons, && || !, `if a { b } else { c }`, and functions";
    flaw(expression, "expected an expression of numbers".into(), Some(hint.into()))
}

fn flaw(place: &impl Spanned, message: String, hint: Option<String>) -> CompileError {
    CompileError { span: place.span().byte_range(), message, hint }
}
