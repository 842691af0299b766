//! What readers of Python's pickles share: the bytes, the stack, and the values that are remembered. What values are,
//! and which functions they stand for, each reader decides itself; nothing is executed.

/// A value of a stack.
pub trait Item: Clone {
    /// Whether this is the mark below the items of a container.
    fn is_mark(&self) -> bool;
}

/// The bytes of a pickle, and the state of a reader.
#[derive(Debug)]
pub struct Unpickler<'a, V> {
    bytes: &'a [u8],
    /// Bytes that were read.
    pub at: usize,
    /// Values, the last one on top.
    pub stack: Vec<V>,
    memo: Vec<V>,
}

impl<'a, V: Item> Unpickler<'a, V> {
    /// At the start of some bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, stack: Vec::new(), memo: Vec::new() }
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many values were remembered.
    pub fn remembered(&self) -> usize {
        self.memo.len()
    }

    /// The next bytes.
    ///
    /// # Errors
    /// If there are not as many.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let bytes = self.at.checked_add(count).and_then(|end| self.bytes.get(self.at..end));
        self.at = self.at.saturating_add(count);
        bytes.ok_or_else(|| format!("expected more of the pickle, found its end at {}", self.bytes.len()))
    }

    /// A number of `size` bytes, the lowest first.
    ///
    /// # Errors
    /// As [`Unpickler::take`].
    pub fn number(&mut self, size: usize) -> Result<usize, String> {
        Ok(self.take(size)?.iter().rev().fold(0, |n, &byte| n << 8 | usize::from(byte)))
    }

    /// Text up to the end of a line; `what` names it in messages.
    ///
    /// # Errors
    /// If it does not end, or is no text.
    pub fn line(&mut self, what: &str) -> Result<&'a str, String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| format!("expected {what} that ends"))?;
        let line = std::str::from_utf8(&rest[..length]).map_err(|_| format!("expected {what} of text"))?;
        self.at += length + 1;
        Ok(line)
    }

    /// The value on top.
    ///
    /// # Errors
    /// If there is none.
    pub fn pop(&mut self) -> Result<V, String> {
        self.stack.pop().ok_or_else(|| "expected a value on the stack, found none".into())
    }

    /// The values above the last mark, which goes too.
    ///
    /// # Errors
    /// If there is no mark.
    pub fn pop_to_mark(&mut self) -> Result<Vec<V>, String> {
        let mark = self.stack.iter().rposition(Item::is_mark).ok_or("expected a mark on the stack")?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    /// The last values, in order.
    ///
    /// # Errors
    /// If there are not as many.
    pub fn pop_last(&mut self, count: usize) -> Result<Vec<V>, String> {
        let start = self.stack.len().checked_sub(count).ok_or("expected values on the stack")?;
        Ok(self.stack.split_off(start))
    }

    /// Keeps a value under a number below `most`; numbers without a value so far get `nothing`.
    ///
    /// # Errors
    /// If the number is not below.
    pub fn remember(&mut self, index: usize, value: V, most: usize, nothing: V) -> Result<(), String> {
        if index >= most {
            return Err(format!("expected at most {most} remembered values, found number {index}"));
        }
        if index >= self.memo.len() {
            self.memo.resize(index + 1, nothing);
        }
        self.memo[index] = value;
        Ok(())
    }

    /// Puts the value of a number on the stack.
    ///
    /// # Errors
    /// If there is none.
    pub fn recall(&mut self, index: usize) -> Result<(), String> {
        let value = self.memo.get(index).cloned().ok_or_else(|| format!("expected a remembered value {index}"))?;
        self.stack.push(value);
        Ok(())
    }
}
