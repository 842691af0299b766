//! A TOML file of equations.

use super::compile::{CompileError, Kind, Meaning, compile};
use super::parse::is_name;
use super::system::Rule;
use super::{Arithmetic, Equation, System, Vocabulary};
use crate::source_error::{Source, TextError, nearest};
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Parameters that replace those of the file, as text.
pub type Given = [(String, String)];

type Result<T> = std::result::Result<T, Box<TextError>>;
type Names<N> = Vec<(String, Meaning<N>)>;
/// A key, its place, its value.
type Entry<'t> = (&'t str, Range<usize>, &'t Spanned<DeValue<'t>>);

impl<N: Arithmetic> System<N> {
    /// Reads a text; `path` is its name in errors.
    ///
    /// # Errors
    /// The place of the error, what was expected there, and a hint.
    pub fn parse(path: &Path, text: &str, vocabulary: &Vocabulary, given: &Given) -> Result<Self> {
        let source = Source::new(path, text);
        let document = DeTable::parse(text)
            .map_err(|error| source.fault(error.span().unwrap_or(0..0), error.message().trim(), None))?;
        Reader { source: &source, vocabulary }.system(document.get_ref(), given)
    }
}

struct Reader<'t> {
    source: &'t Source,
    vocabulary: &'t Vocabulary,
}

/// In the order of the file.
fn entries<'t>(table: &'t DeTable<'t>) -> Vec<Entry<'t>> {
    let mut entries: Vec<Entry<'t>> =
        table.iter().map(|(key, value)| (key.get_ref().as_ref(), key.span(), value)).collect();
    entries.sort_by_key(|(_, span, _)| span.start);
    entries
}

impl<'t> Reader<'t> {
    fn fault(&self, span: Range<usize>, message: impl Into<String>) -> Box<TextError> {
        self.source.fault(span, message, None)
    }

    /// The line of a place, from 1.
    fn line(&self, span: &Range<usize>) -> usize {
        self.source.text.bytes().take(span.start).filter(|&byte| byte == b'\n').count() + 1
    }

    /// The entries of a table at the top; none where it is absent.
    fn table(&self, top: &'t DeTable<'t>, name: &str) -> Result<Option<Vec<Entry<'t>>>> {
        let Some((_, span, value)) = entries(top).into_iter().find(|(key, ..)| *key == name) else { return Ok(None) };
        match value.get_ref() {
            DeValue::Table(table) => Ok(Some(entries(table))),
            _ => Err(self.fault(span, format!("{name}: expected a table"))),
        }
    }

    fn only(&self, entries: &[Entry<'t>], known: &[&str]) -> Result<()> {
        match entries.iter().find(|(key, ..)| !known.contains(key)) {
            Some((key, span, _)) => {
                let hint = nearest(key, known.iter().copied());
                Err(self.source.fault(span.clone(), format!("unknown key `{key}`"), hint))
            }
            None => Ok(()),
        }
    }

    fn system<N: Arithmetic>(&self, top: &'t DeTable<'t>, given: &Given) -> Result<System<N>> {
        let Vocabulary { what, inputs, choices, negative } = *self.vocabulary;
        let mut known = vec!["about", "parameters", "state", "update", "spike"];
        known.extend(negative.then_some("negative_spike"));
        known.extend(choices.iter().map(|(key, _)| *key));
        let all = entries(top);
        self.only(&all, &known)?;
        if let Some((_, span, _)) =
            all.iter().find(|(key, _, value)| *key == "about" && value.get_ref().as_str().is_none())
        {
            return Err(self.fault(span.clone(), "about: expected a text in quotes"));
        }
        let needed = |name: &str| {
            let message = format!("expected a table `[{name}]`, as every {what} has one, found none");
            self.table(top, name)?.ok_or_else(|| self.fault(0..0, message))
        };

        let mut names: Names<N> = Vec::new();
        for (key, span, value) in self.table(top, "parameters")?.unwrap_or_default() {
            self.name(&names, key, span)?;
            let number = match given.iter().rev().find(|(name, _)| name == key) {
                Some((_, text)) => N::read(text).filter(|it| !it.is_nan()).ok_or_else(|| {
                    self.fault(value.span(), format!("{key}: expected {}, found '{text}' on the command line", N::NAME))
                })?,
                None => self.number(key, value)?,
            };
            names.push((key.into(), Meaning::Constant(number)));
        }
        if let Some((name, _)) = given.iter().find(|(name, _)| !names.iter().any(|(known, _)| known == name)) {
            let hint = nearest(name, names.iter().map(|(name, _)| name.as_str()));
            return Err(self.source.fault(0..0, format!("no parameter `{name}` in `[parameters]`"), hint));
        }
        let state = needed("state")?;
        let outside = inputs.iter().enumerate();
        names.extend(outside.map(|(k, name)| ((*name).to_string(), Meaning::Slot(state.len() + k))));
        let (mut states, mut initial) = (Vec::new(), Vec::new());
        for (key, span, value) in &state {
            self.name(&names, key, span.clone())?;
            if states.iter().any(|known| known == key) {
                return Err(self.fault(span.clone(), format!("`{key}` is given twice")));
            }
            states.push((*key).to_string());
            initial.push(self.equation(key, value, &names, Kind::Number)?);
        }
        names.extend(states.iter().enumerate().map(|(k, name)| (name.clone(), Meaning::Slot(k))));
        let changing = needed("update")?;
        let update = self.changes(&changing, &states, &names)?;
        // A variable that `[update]` does not change keeps what its line in `[state]` or a reset says.
        let changed = |(key, span, _): &Entry<'t>| match changing.iter().find(|(name, ..)| name == key) {
            Some((_, span, _)) => self.line(span),
            None => self.line(span),
        };
        let lines = state.iter().map(changed).collect();
        let plus = self.rule("spike", &needed("spike")?, &states, &names)?;
        let minus = self.table(top, "negative_spike")?;
        let minus = minus.map(|entries| self.rule("negative_spike", &entries, &states, &names)).transpose()?;

        let equations = initial.iter().chain(update.iter().map(|(_, equation)| equation));
        let rules = [Some(&plus), minus.as_ref()];
        let of_rules = rules
            .into_iter()
            .flatten()
            .flat_map(|rule| std::iter::once(&rule.when).chain(rule.reset.iter().map(|(_, equation)| equation)));
        let mut reads = vec![false; inputs.len()];
        equations.chain(of_rules).flat_map(Equation::slots).for_each(|slot| {
            if let Some(input) = slot.checked_sub(states.len()) {
                reads[input] = true;
            }
        });
        let choices = choices.iter().map(|(key, words)| self.choice(top, key, words)).collect::<Result<_>>()?;
        Ok(System { states, lines, inputs: inputs.len(), reads, initial, update, plus, minus, choices })
    }

    /// Refuses names that no equation could read, or that have a meaning already.
    fn name<N: Arithmetic>(&self, names: &Names<N>, key: &str, span: Range<usize>) -> Result<()> {
        if !is_name(key) {
            return Err(self.fault(span, format!("expected a name of letters, digits and _, found `{key}`")));
        }
        let taken = names.iter().any(|(name, _)| name == key) || self.vocabulary.inputs.contains(&key);
        if taken || N::functions().iter().any(|(name, _)| *name == key) {
            return Err(self.fault(span, format!("`{key}` has a meaning already; expected another name")));
        }
        Ok(())
    }

    fn number<N: Arithmetic>(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<N> {
        let text = match value.get_ref() {
            DeValue::Integer(integer) if integer.radix() == 10 => Some(integer.as_str()),
            DeValue::Float(float) => Some(float.as_str()),
            _ => None,
        };
        text.and_then(N::read).filter(|number| !number.is_nan()).ok_or_else(|| {
            let found = self.source.text.get(value.span()).unwrap_or_default();
            self.fault(value.span(), format!("{key}: expected {}, found {found}", N::NAME))
        })
    }

    /// An expression; a plain number is one, too.
    fn equation<N: Arithmetic>(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        names: &Names<N>,
        kind: Kind,
    ) -> Result<Equation<N>> {
        let DeValue::String(text) = value.get_ref() else {
            if kind == Kind::Truth {
                return Err(self.fault(value.span(), format!("{key}: expected a condition in quotes")));
            }
            return Ok(Equation::constant(self.number(key, value)?));
        };
        compile(text, names, kind).map_err(|CompileError { span, message, hint }| {
            // Without escapes and line breaks the text is in the file unchanged.
            let whole = value.span();
            let inside = self.source.text.get(whole.start + 1..whole.end.saturating_sub(1)) == Some(text.as_ref());
            let place = if inside { whole.start + 1 + span.start..whole.start + 1 + span.end } else { whole };
            self.source.fault(place, format!("{key}: {message}"), hint)
        })
    }

    /// Equations for variables.
    fn changes<N: Arithmetic>(
        &self,
        entries: &[Entry<'t>],
        states: &[String],
        names: &Names<N>,
    ) -> Result<Vec<(usize, Equation<N>)>> {
        let change = |(key, span, value): &Entry<'t>| {
            let state = states.iter().position(|state| state == key).ok_or_else(|| {
                let hint = nearest(key, states.iter().map(String::as_str));
                self.source.fault(span.clone(), format!("no variable `{key}` in `[state]`"), hint)
            })?;
            Ok((state, self.equation(key, value, names, Kind::Number)?))
        };
        entries.iter().map(change).collect()
    }

    fn rule<N: Arithmetic>(
        &self,
        name: &str,
        entries: &[Entry<'t>],
        states: &[String],
        names: &Names<N>,
    ) -> Result<Rule<N>> {
        self.only(entries, &["when", "reset"])?;
        let get = |wanted: &str| entries.iter().find(|(key, ..)| *key == wanted);
        let Some((_, span, condition)) = get("when") else {
            return Err(self.fault(0..0, format!("expected a condition `when` in `[{name}]`, found none")));
        };
        let reset = match get("reset") {
            None => Vec::new(),
            Some((_, span, value)) => match value.get_ref() {
                DeValue::Table(table) => self.changes(&self::entries(table), states, names)?,
                _ => return Err(self.fault(span.clone(), format!("expected a table `[{name}.reset]`"))),
            },
        };
        Ok(Rule { line: self.line(span), when: self.equation("when", condition, names, Kind::Truth)?, reset })
    }

    fn choice(&self, top: &'t DeTable<'t>, key: &str, words: &[&'static str]) -> Result<&'static str> {
        let Some((_, _, value)) = entries(top).into_iter().find(|(name, ..)| *name == key) else { return Ok(words[0]) };
        let found = value.get_ref().as_str().unwrap_or_default();
        words.iter().find(|word| **word == found).copied().ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
            self.fault(value.span(), format!("{key}: expected {}", words.join(" or ")))
        })
    }
}
