//! Output as a page shows it, against output as it is.

/// Whether what was printed is what the page shows. In a line, `...` is any text (and blanks around it may be more or
/// fewer); a line of `...` is any number of lines.
pub fn matches(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first.trim() == "..." => {
            (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..]))
        }
        Some((first, rest)) => {
            printed.first().is_some_and(|line| line_matches(first, line)) && matches(rest, &printed[1..])
        }
    }
}

fn line_matches(shown: &str, printed: &str) -> bool {
    if !shown.contains("...") {
        return shown.trim_end() == printed.trim_end();
    }
    let one_blank = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let (shown, printed) = (one_blank(shown), one_blank(printed));
    let (start, rest) = shown.split_once("...").unwrap_or((&shown, ""));
    let Some(mut printed) = printed.strip_prefix(start) else { return false };
    let mut parts: Vec<_> = rest.split("...").collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = printed.find(part) else { return false };
        printed = &printed[at + part.len()..];
    }
    printed.ends_with(end)
}

/// What was printed, with the lines of the page where these leave something open and fit.
pub fn updated(shown: &[String], printed: &[String]) -> Vec<String> {
    let open: Vec<_> = shown.iter().filter(|it| it.contains("...") && it.trim() != "...").collect();
    let line = |line: &String| open.iter().find(|it| line_matches(it, line)).map_or(line, |it| *it).clone();
    printed.iter().map(line).collect()
}

#[test]
fn dots_stand_for_text_and_lines() {
    let lines = |text: &str| text.split('|').map(str::to_string).collect::<Vec<_>>();
    for (shown, printed, expected) in [
        ("a 1 b", "a 1 b", true),
        ("a 1 b", "a 2 b", false),
        ("a ... b", "a 17.5 b", true),
        ("a    ... b", "a  17.5 b", true),
        ("a ... b ... c", "a 1 b 2 c", true),
        ("a ... b ... c", "a 1 c", false),
        ("a ... b", "a 17.5 c", false),
        ("a|...|d", "a|b|c|d", true),
        ("a|...|d", "a|d", true),
        ("a|...|d", "a|b|c", false),
        ("a", "a|b", false),
        ("a|b", "a", false),
    ] {
        assert_eq!(matches(&lines(shown), &lines(printed)), expected, "{shown} against {printed}");
    }
}

#[test]
fn an_update_keeps_lines_with_dots() {
    let lines = |text: &str| text.split('|').map(str::to_string).collect::<Vec<_>>();
    assert_eq!(updated(&lines("x|took ... s"), &lines("y|took 3 s")), lines("y|took ... s"));
}
