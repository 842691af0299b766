//! Scanning and writing of netfile text: tokens, integers, line ends.
//!
//! Fields are separated by blanks and tabs; a carriage return counts as a blank, so CRLF needs no thought. Integers are
//! decimal, with an optional sign and any number of leading zeros (`+5`, `007`); fractions and exponents are refused.

use super::error::{ParseError, quoted};
use std::io::{self, Write};

/// A place in the bytes of a file.
#[derive(Debug, Clone)]
pub(super) struct Scanner<'a> {
    pub text: &'a [u8],
    pub at: usize,
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// Value and end of the integer at `at`, if there is one that fits 64 bits and ends at a blank, a line end or the
/// file's end.
#[inline(always)]
pub(super) fn integer_at(text: &[u8], at: usize) -> Option<(i64, usize)> {
    let (negative, start) = match text.get(at) {
        Some(b'-') => (true, at + 1),
        Some(b'+') => (false, at + 1),
        _ => (false, at),
    };
    // Eight bytes hold most numbers whole.
    if let Some(&word) = text.get(start..).and_then(|rest| rest.first_chunk::<8>()) {
        let (magnitude, digits) = leading_digits(word);
        if (1..8).contains(&digits) {
            let end = start + digits;
            let separated = is_blank(word[digits]) || word[digits] == b'\n';
            return separated.then_some((if negative { -magnitude } else { magnitude }, end));
        }
    }
    any_integer(text, start, negative)
}

/// The number that the digits at the start of eight bytes make, and how many digits there are: all eight at once,
/// without a branch on their number, which would be mispredicted once per number.
#[inline(always)]
fn leading_digits(word: [u8; 8]) -> (i64, usize) {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let nibbles = u64::from_le_bytes(word) ^ (EACH * u64::from(b'0'));
    // The top bit of each byte that is no digit: 10 or more once '0' is taken off.
    let others = (((nibbles & (EACH * 0x7f)) + EACH * 0x76) | nibbles) & (EACH * 0x80);
    let digits = (others.trailing_zeros() / 8) as usize;
    // Digits to the top, zeros before them; then pairs, fours, and all eight are put together side by side.
    let eight = nibbles.unbounded_shl(64 - 8 * digits as u32);
    let pairs = eight.wrapping_mul(10).wrapping_add(eight >> 8);
    const PAIR: u64 = 0x0000_00ff_0000_00ff;
    let upper = (pairs & PAIR).wrapping_mul(100 + (1_000_000 << 32));
    let lower = ((pairs >> 16) & PAIR).wrapping_mul(1 + (10_000 << 32));
    ((upper.wrapping_add(lower) >> 32) as i64, digits)
}

/// The digits at `start`, however many; also those at the very end of a text.
fn any_integer(text: &[u8], start: usize, negative: bool) -> Option<(i64, usize)> {
    let rest = text.get(start..)?;
    let length = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    if length == 0 || rest.get(length).is_some_and(|&byte| !is_blank(byte) && byte != b'\n') {
        return None;
    }
    long_integer(&rest[..length], negative).map(|value| (value, start + length))
}

/// Digits that may overflow.
fn long_integer(digits: &[u8], negative: bool) -> Option<i64> {
    let sign = if negative { -1 } else { 1 };
    digits.iter().try_fold(0i64, |value, digit| value.checked_mul(10)?.checked_add(sign * i64::from(digit - b'0')))
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    #[inline(always)]
    pub fn skip_blanks(&mut self) {
        if self.text.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        while self.text.get(self.at).is_some_and(|&byte| is_blank(byte)) {
            self.at += 1;
        }
    }

    /// Goes to the next byte that is neither blank nor a line end; false at the end of the file.
    pub fn next_line(&mut self) -> bool {
        while self.text.get(self.at).is_some_and(|&byte| is_blank(byte) || byte == b'\n') {
            self.at += 1;
        }
        self.at < self.text.len()
    }

    /// The run of bytes here that are not blank, without moving.
    pub fn peek(&self) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|&byte| is_blank(byte) || byte == b'\n').unwrap_or(rest.len());
        &rest[..length]
    }

    /// The next token of this line; empty at its end.
    pub fn token(&mut self) -> &'a [u8] {
        self.skip_blanks();
        let token = self.peek();
        self.at += token.len();
        token
    }

    /// Whether the line (after blanks) is over.
    pub fn at_line_end(&mut self) -> bool {
        self.skip_blanks();
        self.text.get(self.at).is_none_or(|&byte| byte == b'\n')
    }

    /// The next integer of this line, if there is one; fast, and without a complaint.
    #[inline(always)]
    pub fn field(&mut self) -> Option<i64> {
        self.skip_blanks();
        let (value, end) = integer_at(self.text, self.at)?;
        self.at = end;
        Some(value)
    }

    /// The next integer of this line.
    pub fn integer(&mut self, expected: impl FnOnce() -> String) -> Result<i64, ParseError> {
        self.field().ok_or_else(|| self.not_an_integer(expected()))
    }

    #[cold]
    fn not_an_integer(&self, expected: String) -> ParseError {
        let token = self.peek();
        let digits = token.strip_prefix(b"-").or(token.strip_prefix(b"+")).unwrap_or(token);
        if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
            return self.flaw(format!("{expected} within 64 bits"));
        }
        self.flaw(expected)
    }

    /// Refuses the rest of this line.
    pub fn end_line(&mut self, expected: impl FnOnce() -> String) -> Result<(), ParseError> {
        if self.at_line_end() { Ok(()) } else { Err(self.flaw(expected())) }
    }

    /// What is found here is not what was expected.
    pub fn flaw(&self, expected: impl Into<String>) -> ParseError {
        let token = self.peek();
        let found = match token {
            [] if self.text.iter().all(u8::is_ascii_whitespace) => "an empty file".into(),
            [] if self.at >= self.text.len() => "the end of the file".into(),
            [] => "the end of the line".into(),
            token => quoted(token),
        };
        ParseError { at: self.at, end: self.at + token.len(), expected: expected.into(), found }
    }

    /// Most integers that the rest of the file can hold: each takes a digit and a separator.
    pub fn room(&self) -> u64 {
        (self.text.len() - self.at).div_ceil(2) as u64
    }
}

/// Buffered text output; numbers are formatted in place.
pub(super) struct TextWriter<'a> {
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
}

const FLUSH_AT: usize = 1 << 16;
/// Longest 64-bit integer, with its separator.
const LONGEST_INTEGER: usize = 21;

impl<'a> TextWriter<'a> {
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self { out, buffer: Vec::with_capacity(FLUSH_AT + 8 * LONGEST_INTEGER) }
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= FLUSH_AT { self.flush() } else { Ok(()) }
    }

    pub fn line(&mut self, text: &str) -> io::Result<()> {
        self.bytes(text.as_bytes())?;
        self.bytes(b"\n")
    }

    /// `key value`.
    pub fn value(&mut self, key: &str, value: impl Into<i64>) -> io::Result<()> {
        self.bytes(key.as_bytes())?;
        self.bytes(b" ")?;
        self.row(&[value.into()])
    }

    /// Integers on a separate line.
    #[inline]
    pub fn row<N: Copy + Into<i64>>(&mut self, numbers: &[N]) -> io::Result<()> {
        for (k, &number) in numbers.iter().enumerate() {
            let start = self.buffer.len();
            self.buffer.resize(start + LONGEST_INTEGER, 0);
            let written = lexical_core::write::<i64>(number.into(), &mut self.buffer[start..]).len();
            self.buffer.truncate(start + written);
            self.buffer.push(if k + 1 < numbers.len() { b' ' } else { b'\n' });
            if self.buffer.len() >= FLUSH_AT {
                self.flush()?;
            }
        }
        Ok(())
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_are_those_of_the_standard_library(
            value: i64, zeros in 0usize..30, plus: bool, tail in "[ \t\r\n]?",
        ) {
            let sign = if value < 0 { "-" } else if plus { "+" } else { "" };
            let text = format!("{sign}{}{}{tail}", "0".repeat(zeros), value.unsigned_abs());
            prop_assert_eq!(integer_at(text.as_bytes(), 0), Some((value, text.len() - tail.len())));
        }

        #[test]
        fn nothing_else_is_an_integer(text in "[-+0-9.e a]{0,24}") {
            let token = text.split(' ').next().unwrap_or("");
            prop_assert_eq!(integer_at(text.as_bytes(), 0).map(|(value, _)| value), token.parse::<i64>().ok());
        }
    }
}
