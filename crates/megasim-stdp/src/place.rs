//! Where in a text a description is wrong.

use super::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// An error of a description with the line of the key that it begins with, or of the table it is about.
pub(super) fn with_line(error: Error, text: &str) -> Error {
    let Error::Description { line: None, place, message } = error else { return error };
    let line = DeTable::parse(text).ok().and_then(|root| {
        let table = table_of(root.get_ref(), &place)?;
        let key = message.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        let start = key_of(table.get_ref(), key).unwrap_or(table.span().start);
        Some(1 + text.get(..start)?.matches('\n').count())
    });
    Error::Description { line, place, message }
}

/// The table that a place names: `[encoding]`, `[[layer]]`, or `layer 2`.
fn table_of<'t, 'i>(root: &'t DeTable<'i>, place: &str) -> Option<&'t Spanned<DeValue<'i>>> {
    if let Some(number) = place.strip_prefix("layer ") {
        let number: usize = number.parse().ok()?;
        return root.get("layer")?.get_ref().as_array()?.get(number.checked_sub(1)?);
    }
    root.get(place.trim_matches(['[', ']']))
}

/// Where a key is, in a table or in those in it.
fn key_of(value: &DeValue, key: &str) -> Option<usize> {
    let table = value.as_table()?;
    let own = table.iter().find(|(name, _)| name.get_ref() == key).map(|(name, _)| name.span().start);
    own.or_else(|| table.iter().find_map(|(_, value)| key_of(value.get_ref(), key)))
}

#[cfg(test)]
mod tests {
    use super::super::Description;

    const TEXT: &str = r#"name = "edges"
[input]
height = 28
width = 28
[encoding]
kernels = [{ dog = { window_size = 7, sigma1 = 1.0, sigma2 = 2.0 } }]
padding = 3
time_steps = 15
[[layer]]
type = "pooling"
kernel_size = 2
[[layer]]
type = "convolution"
maps = 2
kernel_size = 5
threshold = 10.0
[layer.learning]
rule = "stdp"
kwta = 3
"#;

    #[test]
    fn what_is_wrong_has_its_own_line() {
        assert!(Description::from_toml(TEXT).is_ok());
        for (from, to, expected) in [
            ("threshold = 10.0", "threshold = -1.0", "line 16: layer 2: threshold: expected at least 0"),
            ("kwta = 3", "kwta = 0", "line 19: layer 2: kwta: expected at least 1"),
            ("kwta = 3", "learning_rate = [[0.1, -0.1]]", "line 19: layer 2: learning_rate: expected 2 pairs"),
            ("sigma1 = 1.0", "sigma1 = -1.0", "line 6: [encoding]: kernels: expected window_size"),
            ("kernel_size = 5", "kernel_size = 50", "line 12: layer 2: convolution: a window of"),
            ("width = 28", "width = 28\nscale = 0", "line 5: [input]: scale: expected a positive number"),
            ("height = 28", "hight = 28", "line 3"),
            ("kwta = 3", "kwta = 3\n[readout]\ntype = \"linear\"\nc = 0.0", "line 22: [readout]: c: expected"),
        ] {
            let error = Description::from_toml(&TEXT.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(expected), "expected {expected}, found {error}");
        }
    }
}
