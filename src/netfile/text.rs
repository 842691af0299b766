//! Scanning and writing of netfile text: tokens, integers, line ends.
//!
//! Fields are separated by blanks and tabs; a carriage return counts as a blank, so CRLF needs no thought. Integers are
//! decimal, with an optional sign and any number of leading zeros (`+5`, `007`); fractions and exponents are refused.

use super::error::{Flaw, quoted};
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

/// Value and end of the integer at `at`, if there is one that fits 64 bits and ends at a blank, a line end or the file's end.
#[inline(always)]
pub(super) fn integer_at(text: &[u8], at: usize) -> Option<(i64, usize)> {
    let (negative, start) = match text.get(at) {
        Some(b'-') => (true, at + 1),
        Some(b'+') => (false, at + 1),
        _ => (false, at),
    };
    let mut end = start;
    let mut magnitude = 0u64;
    while let Some(digit) = text.get(end).map(|byte| byte.wrapping_sub(b'0'))
        && digit < 10
    {
        magnitude = magnitude.wrapping_mul(10).wrapping_add(digit.into());
        end += 1;
    }
    if end == start || text.get(end).is_some_and(|&byte| !is_blank(byte) && byte != b'\n') {
        return None;
    }
    if end - start > 18 {
        return long_integer(&text[start..end], negative).map(|value| (value, end));
    }
    let magnitude = magnitude as i64;
    Some((if negative { -magnitude } else { magnitude }, end))
}

/// Digits that may overflow.
#[cold]
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

    /// The next integer of this line.
    pub fn integer(&mut self, expected: impl FnOnce() -> String) -> Result<i64, Flaw> {
        self.skip_blanks();
        match integer_at(self.text, self.at) {
            Some((value, end)) => {
                self.at = end;
                Ok(value)
            }
            None => Err(self.not_an_integer(expected())),
        }
    }

    #[cold]
    fn not_an_integer(&self, expected: String) -> Flaw {
        let token = self.peek();
        let digits = token.strip_prefix(b"-").or(token.strip_prefix(b"+")).unwrap_or(token);
        if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
            return self.flaw(format!("{expected} within 64 bits"));
        }
        self.flaw(expected)
    }

    /// Refuses what stands on the rest of this line.
    pub fn end_line(&mut self, expected: impl FnOnce() -> String) -> Result<(), Flaw> {
        if self.at_line_end() { Ok(()) } else { Err(self.flaw(expected())) }
    }

    /// What stands here is not what was expected.
    pub fn flaw(&self, expected: impl Into<String>) -> Flaw {
        let token = self.peek();
        let found = match token {
            [] if self.text.iter().all(u8::is_ascii_whitespace) => "an empty file".into(),
            [] if self.at >= self.text.len() => "the end of the file".into(),
            [] => "the end of the line".into(),
            token => quoted(token),
        };
        Flaw { at: self.at, end: self.at + token.len(), expected: expected.into(), found }
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

    /// Integers on a line of their own.
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
        fn integers_are_those_of_the_standard_library(value: i64, zeros in 0usize..30, plus: bool, tail in "[ \t\r\n]?") {
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
