//! Which samples of a set are taken.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// The most samples that a list may name.
const MOST: usize = 10_000_000;

/// Samples between two that are wanted, up to which both are read at once: an archive is inflated from its start for
/// each read.
const GAP: usize = 64;

/// Samples of a set by their numbers, counted from 0.
///
/// As text: numbers and ranges, `5,17,100..200`, the end of a range not included.
///
/// ```
/// use megasim_data::SampleList;
///
/// let list: SampleList = "17,5,100..103".parse()?;
/// assert_eq!(list.numbers(), [5, 17, 100, 101, 102]);
/// assert_eq!(list.first(3).to_string(), "5,17,100");
/// assert!("7,5..8".parse::<SampleList>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleList {
    /// At least one; rising.
    numbers: Vec<usize>,
}

impl SampleList {
    /// The numbers, rising.
    pub fn numbers(&self) -> &[usize] {
        &self.numbers
    }

    /// The first `count` of them, at least one.
    pub fn first(&self, count: usize) -> Self {
        Self { numbers: self.numbers[..count.clamp(1, self.numbers.len())].to_vec() }
    }

    /// What is read at once: samples, and which of them are wanted.
    pub fn reads(&self) -> Vec<(Range<usize>, Vec<usize>)> {
        let near = |one: &usize, next: &usize| next - one <= GAP;
        let wanted = self.numbers.chunk_by(near).map(|some| {
            let first = some[0];
            (first..some[some.len() - 1] + 1, some.iter().map(|number| number - first).collect())
        });
        wanted.collect()
    }
}

impl FromStr for SampleList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected numbers and ranges of samples, as 5,17,100..200, found '{text}'");
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_| expected());
        let mut numbers = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let range = match part.split_once("..") {
                Some((first, end)) => number(first)?..number(end)?,
                None => {
                    let only = number(part)?;
                    only..only.checked_add(1).ok_or_else(expected)?
                }
            };
            if range.is_empty() {
                return Err(format!("expected a range with samples in it, as 100..200, found '{part}'"));
            }
            if numbers.len() + range.len() > MOST {
                return Err(format!("expected at most {MOST} samples, found more in '{part}'"));
            }
            numbers.extend(range);
        }
        numbers.sort_unstable();
        if let Some(twice) = numbers.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("expected each sample once, found {} again in '{text}'", twice[0]));
        }
        if numbers.is_empty() {
            return Err(expected());
        }
        Ok(Self { numbers })
    }
}

impl fmt::Display for SampleList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.numbers.chunk_by(|one, next| next - one == 1);
        // One sample alone is written as a range, as a number alone is a count.
        let is_alone = self.numbers.len() == 1;
        let runs = runs.map(|run| match run {
            [only] if !is_alone => only.to_string(),
            [one, two] => format!("{one},{two}"),
            run => format!("{}..{}", run[0], run[run.len() - 1] + 1),
        });
        f.write_str(&runs.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_sample_alone_is_a_list_with_a_comma_or_a_range() {
        for text in ["7,", "7..8", " 7 "] {
            let list: SampleList = text.parse().unwrap();
            assert_eq!((list.numbers(), &*list.to_string()), (&[7][..], "7..8"));
        }
    }

    #[test]
    fn faults_name_what_is_wrong() {
        for (text, message) in [
            ("", "expected numbers and ranges"),
            ("5,x", "found '5,x'"),
            ("5..5", "with samples in it"),
            ("9..5", "found '9..5'"),
            ("3,1,3", "found 3 again"),
            ("0..99999999999", "at most 10000000"),
            ("-1,2", "expected numbers and ranges"),
            ("18446744073709551615", "expected numbers"),
        ] {
            let error = text.parse::<SampleList>().unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn text_and_reads_are_those_of_the_numbers(
            numbers in proptest::collection::btree_set(0usize..500, 1..40)
        ) {
            let numbers: Vec<usize> = numbers.into_iter().collect();
            let list = SampleList { numbers: numbers.clone() };
            prop_assert_eq!(&list.to_string().parse::<SampleList>().unwrap(), &list);
            let read = list.reads().into_iter().flat_map(|(range, wanted)| {
                assert!(wanted.iter().all(|k| range.start + k < range.end));
                wanted.into_iter().map(move |k| range.start + k)
            });
            prop_assert_eq!(read.collect::<Vec<_>>(), numbers);
        }
    }
}
