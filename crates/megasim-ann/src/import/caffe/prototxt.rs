//! The text form of protocol buffers, read into a plain tree: fields keep their order, and are taken out as they are
//! understood.

/// A message: its fields in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Message {
    fields: Vec<(String, Value)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    /// A number, word or string.
    Scalar(String),
    Message(Message),
}

impl Message {
    /// Takes the last scalar of this name.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.texts(key).pop()
    }

    /// Takes all scalars of this name.
    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let mut taken = Vec::new();
        self.fields.retain(|(name, value)| match value {
            Value::Scalar(text) if name == key => {
                taken.push(text.clone());
                false
            }
            _ => true,
        });
        taken
    }

    /// A scalar, left where it is.
    pub(super) fn peek(&self, key: &str) -> Option<String> {
        self.clone().text(key)
    }

    /// Takes the last message of this name.
    pub(super) fn message(&mut self, key: &str) -> Option<Message> {
        self.take_messages(key).pop()
    }

    /// Takes all messages of this name.
    pub(super) fn take_messages(&mut self, key: &str) -> Vec<Message> {
        let taken = self.messages(key);
        self.fields.retain(|(name, value)| name != key || !matches!(value, Value::Message(_)));
        taken
    }

    /// All messages of this name, left where they are.
    pub(super) fn messages(&self, key: &str) -> Vec<Message> {
        let named = self.fields.iter().filter(|(name, _)| name == key);
        named
            .filter_map(|(_, value)| if let Value::Message(message) = value { Some(message.clone()) } else { None })
            .collect()
    }

    /// Names of the fields that are left.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }
}

/// Parses a whole file.
pub(super) fn parse(text: &str) -> Result<Message, String> {
    let mut parser = Parser { rest: text, line: 1 };
    let message = parser.message(0)?;
    match parser.peek() {
        None => Ok(message),
        Some(other) => Err(format!("line {}: expected a field, found '{other}'", parser.line)),
    }
}

/// Messages within messages; no network goes deeper.
const MAX_DEPTH: usize = 32;

struct Parser<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Parser<'a> {
    /// The next character that means something.
    fn peek(&mut self) -> Option<char> {
        loop {
            let trimmed = self.rest.trim_start();
            self.line += self.rest[..self.rest.len() - trimmed.len()].matches('\n').count();
            self.rest = trimmed;
            if !trimmed.starts_with('#') {
                return trimmed.chars().next();
            }
            self.rest = trimmed.find('\n').map_or("", |end| &trimmed[end..]);
        }
    }

    fn take(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.rest = &self.rest[expected.len_utf8()..];
        }
        found
    }

    fn word(&mut self) -> Result<&'a str, String> {
        let next = self.peek();
        let is_part = |c: char| c.is_alphanumeric() || "_.+-".contains(c);
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        if end == 0 {
            let found = next.map_or("the end".to_string(), |c| format!("'{c}'"));
            return Err(format!("line {}: expected a name or value, found {found}", self.line));
        }
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(word)
    }

    fn string(&mut self, quote: char) -> Result<String, String> {
        let line = self.line;
        self.rest = &self.rest[1..];
        let end = self.rest.find(quote).ok_or_else(|| format!("line {line}: expected a string that ends"))?;
        let string = &self.rest[..end];
        self.line += string.matches('\n').count();
        self.rest = &self.rest[end + 1..];
        Ok(string.into())
    }

    fn message(&mut self, depth: usize) -> Result<Message, String> {
        if depth > MAX_DEPTH {
            return Err(format!("line {}: expected at most {MAX_DEPTH} messages within each other", self.line));
        }
        let mut fields = Vec::new();
        loop {
            match self.peek() {
                None if depth == 0 => return Ok(Message { fields }),
                None => return Err(format!("line {}: expected a message that ends", self.line)),
                Some('}' | '>') if depth > 0 => {
                    self.rest = &self.rest[1..];
                    return Ok(Message { fields });
                }
                Some(',' | ';') => self.rest = &self.rest[1..],
                Some(_) => {
                    let name = self.word()?.to_string();
                    let colon = self.take(':');
                    if self.take('[') {
                        while !self.take(']') {
                            let value = self.value(depth)?;
                            fields.push((name.clone(), value));
                            self.take(',');
                        }
                    } else if matches!(self.peek(), Some('{' | '<')) || colon {
                        let value = self.value(depth)?;
                        fields.push((name, value));
                    } else {
                        return Err(format!("line {}: expected ':' or '{{' after '{name}'", self.line));
                    }
                }
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        match self.peek() {
            Some('{' | '<') => {
                let line = self.line;
                self.rest = &self.rest[1..];
                let message = self.message(depth + 1).map_err(|message| match self.rest {
                    "" if depth == 0 => format!("{message} (it starts in line {line})"),
                    _ => message,
                })?;
                Ok(Value::Message(message))
            }
            Some(quote @ ('"' | '\'')) => self.string(quote).map(Value::Scalar),
            _ => self.word().map(|word| Value::Scalar(word.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_come_out_once_each() {
        let text = "name: \"net\" # a comment\nlayer { type: 'ReLU' relu_param < negative_slope: 0.1 > }\nlayer: { \
            top: \"a\", top: 'b' }\ndim: [1, 2]";
        let mut message = parse(text).unwrap();
        assert_eq!(message.text("name").as_deref(), Some("net"));
        assert_eq!(message.texts("dim"), ["1", "2"]);
        let mut layers = message.take_messages("layer");
        assert_eq!(layers[0].message("relu_param").unwrap().text("negative_slope").as_deref(), Some("0.1"));
        assert_eq!(layers[0].keys().collect::<Vec<_>>(), ["type"]);
        assert_eq!(layers[1].texts("top"), ["a", "b"]);
        assert_eq!(message, Message::default());
    }

    #[test]
    fn faults_name_the_line() {
        assert!(parse("a: 1\nb {\n c: 2\n").unwrap_err().contains("line 4"));
        assert!(parse("a: 1\nb 2").unwrap_err().contains("line 2: expected ':'"));
        assert!(parse("a: \"x").unwrap_err().contains("string that ends"));
        assert!(parse("}").is_err());
        assert!(parse(&"a{".repeat(100)).unwrap_err().contains("within each other"));
    }

    proptest! {
        #[test]
        fn anything_is_parsed_or_refused(text in "[a-c{}<>:,;\"'\\[\\]#\n 0-9é]{0,60}") {
            let _ = parse(&text);
        }
    }
}
