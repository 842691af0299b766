//! The text of an expression as a tree. Operators, their precedence, and `if a { b } else { c }` are those of Rust.

use std::ops::Range;
use winnow::ascii::{digit1, multispace0};
use winnow::combinator::{
    Infix, Prefix, alt, cut_err, eof, expression as pratt, not, opt, preceded, separated, terminated,
};
use winnow::error::{ContextError, ErrMode, StrContext};
use winnow::token::{one_of, take_while};
use winnow::{LocatingSlice, ModalResult, Parser};

/// An expression and its place in the text, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    pub span: Range<usize>,
    pub node: Node,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// The digits, without `_`.
    Number(String),
    Name(String),
    Unary(UnaryOperator, Box<Tree>),
    Binary(BinaryOperator, Box<[Tree; 2]>),
    Call(String, Vec<Tree>),
    /// Condition, then, otherwise.
    If(Box<[Tree; 3]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnaryOperator {
    Negate,
    Not,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BinaryOperator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
    /// Operators of other languages, which are refused with a hint.
    Shift,
    Bits,
    Caret,
}

/// Where the text is no expression, in bytes, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ParseError {
    pub span: Range<usize>,
    pub expected: String,
}

type Input<'t> = LocatingSlice<&'t str>;

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Tree, ParseError> {
    let operator_or_end = preceded(multispace0, eof).context(expected("an operator or the end"));
    terminated(expression, operator_or_end).parse(LocatingSlice::new(text)).map_err(|error| {
        let found = error.inner().context().find_map(|context| match context {
            StrContext::Label(label) => Some(*label),
            _ => None,
        });
        let place = error.offset() + text[error.offset()..].len() - text[error.offset()..].trim_start().len();
        let end = text[place..].chars().next().map_or(place, |found| place + found.len_utf8());
        ParseError { span: place..end, expected: found.unwrap_or("an expression").to_string() }
    })
}

/// Whether a text is a name that expressions can read.
pub(super) fn is_name(text: &str) -> bool {
    name.parse(LocatingSlice::new(text)).is_ok()
}

const OPERAND: &str = "a number, a name, `(`, `-`, `!` or `if`";

fn expected(what: &'static str) -> StrContext {
    StrContext::Label(what)
}

/// A symbol, after spaces.
fn symbol<'t>(text: &'static str) -> impl Parser<Input<'t>, &'t str, ErrMode<ContextError>> {
    preceded(multispace0, text)
}

/// A symbol that has to follow.
fn closing<'t>(text: &'static str) -> impl Parser<Input<'t>, &'t str, ErrMode<ContextError>> {
    cut_err(symbol(text)).context(expected(text))
}

fn expression(input: &mut Input) -> ModalResult<Tree> {
    pratt(operand).prefix(prefix).infix(infix).parse_next(input)
}

type PrefixOf<'t> = Prefix<Input<'t>, Tree, ErrMode<ContextError>>;
type InfixOf<'t> = Infix<Input<'t>, Tree, ErrMode<ContextError>>;
/// Symbols and what they do.
type Operators<'t, const N: usize> = [(&'static str, InfixOf<'t>); N];

fn prefix<'t>(input: &mut Input<'t>) -> ModalResult<PrefixOf<'t>> {
    alt((
        symbol("-").value(Prefix(20, |_: &mut _, of| Ok(unary(UnaryOperator::Negate, of)))),
        symbol("!").value(Prefix(20, |_: &mut _, of| Ok(unary(UnaryOperator::Not, of)))),
    ))
    .context(expected(OPERAND))
    .parse_next(input)
}

fn infix<'t>(input: &mut Input<'t>) -> ModalResult<InfixOf<'t>> {
    use BinaryOperator as Of;
    use Infix::{Left, Neither};
    // Longer symbols come before those that they start with.
    let joined: Operators<'t, 5> = [
        ("&&", Left(6, |_, a, b| Ok(binary(Of::And, a, b)))),
        ("||", Left(4, |_, a, b| Ok(binary(Of::Or, a, b)))),
        ("<<", Left(12, |_, a, b| Ok(binary(Of::Shift, a, b)))),
        (">>", Left(12, |_, a, b| Ok(binary(Of::Shift, a, b)))),
        ("&", Left(11, |_, a, b| Ok(binary(Of::Bits, a, b)))),
    ];
    let compared: Operators<'t, 6> = [
        ("==", Neither(8, |_, a, b| Ok(binary(Of::Equal, a, b)))),
        ("!=", Neither(8, |_, a, b| Ok(binary(Of::NotEqual, a, b)))),
        ("<=", Neither(8, |_, a, b| Ok(binary(Of::LessOrEqual, a, b)))),
        (">=", Neither(8, |_, a, b| Ok(binary(Of::GreaterOrEqual, a, b)))),
        ("<", Neither(8, |_, a, b| Ok(binary(Of::Less, a, b)))),
        (">", Neither(8, |_, a, b| Ok(binary(Of::Greater, a, b)))),
    ];
    let calculated: Operators<'t, 7> = [
        ("|", Left(9, |_, a, b| Ok(binary(Of::Bits, a, b)))),
        ("^", Left(10, |_, a, b| Ok(binary(Of::Caret, a, b)))),
        ("+", Left(14, |_, a, b| Ok(binary(Of::Add, a, b)))),
        ("-", Left(14, |_, a, b| Ok(binary(Of::Subtract, a, b)))),
        ("*", Left(16, |_, a, b| Ok(binary(Of::Multiply, a, b)))),
        ("/", Left(16, |_, a, b| Ok(binary(Of::Divide, a, b)))),
        ("%", Left(16, |_, a, b| Ok(binary(Of::Remainder, a, b)))),
    ];
    let value = |(text, infix): (&'static str, InfixOf<'t>)| symbol(text).value(infix);
    alt((alt(joined.map(value)), alt(compared.map(value)), alt(calculated.map(value)))).parse_next(input)
}

fn unary(operator: UnaryOperator, of: Tree) -> Tree {
    Tree { span: of.span.clone(), node: Node::Unary(operator, Box::new(of)) }
}

fn binary(operator: BinaryOperator, left: Tree, right: Tree) -> Tree {
    Tree { span: left.span.start..right.span.end, node: Node::Binary(operator, Box::new([left, right])) }
}

fn operand(input: &mut Input) -> ModalResult<Tree> {
    multispace0.parse_next(input)?;
    alt((
        (symbol("("), cut_err(expression), closing(")")).map(|(_, inner, _)| inner),
        block,
        choice.with_span().map(|(node, span)| Tree { span, node }),
        call.with_span().map(|(node, span)| Tree { span, node }),
        name.with_span().map(|(name, span)| Tree { span, node: Node::Name(name.into()) }),
        number.with_span().map(|(node, span)| Tree { span, node }),
    ))
    .context(expected(OPERAND))
    .parse_next(input)
}

fn block(input: &mut Input) -> ModalResult<Tree> {
    (symbol("{"), cut_err(expression), closing("}")).map(|(_, inner, _)| inner).parse_next(input)
}

fn choice(input: &mut Input) -> ModalResult<Node> {
    let if_ = ("if", not(one_of(in_name)));
    let branch = || cut_err(block).context(expected("`{`"));
    let otherwise = preceded(multispace0, alt((block, choice.with_span().map(|(node, span)| Tree { span, node }))));
    let otherwise = cut_err(preceded(symbol("else"), otherwise)).context(expected("an `else`"));
    (preceded(if_, cut_err(expression)), branch(), otherwise)
        .map(|(condition, then, otherwise)| Node::If(Box::new([condition, then, otherwise])))
        .parse_next(input)
}

fn call(input: &mut Input) -> ModalResult<Node> {
    let arguments = terminated(separated(0.., expression, symbol(",")), opt(symbol(",")));
    (name, symbol("("), arguments, closing(")"))
        .map(|(name, _, arguments, _): (&str, _, _, _)| Node::Call(name.into(), arguments))
        .parse_next(input)
}

fn in_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn name<'t>(input: &mut Input<'t>) -> ModalResult<&'t str> {
    (one_of(|c: char| c == '_' || c.is_alphabetic()), take_while(0.., in_name))
        .take()
        .verify(|name: &str| !["_", "if", "else"].contains(&name))
        .parse_next(input)
}

fn number(input: &mut Input) -> ModalResult<Node> {
    let digits = || take_while(0.., |c: char| c.is_ascii_digit() || c == '_');
    let fraction = ('.', not(one_of(|c: char| c == '_' || c.is_alphabetic())), digits());
    let exponent = (one_of(['e', 'E']), opt(one_of(['+', '-'])), digit1);
    terminated((digit1, digits(), opt(fraction), opt(exponent)).take(), not(one_of(in_name)))
        .map(|text: &str| Node::Number(text.replace('_', "")))
        .parse_next(input)
}
