//! The table of keys in `docs/netfiles.md` is that of the reader. `MEGASIM_DOCS_UPDATE=1` writes it.

use megasim::network::{ParameterKey, parameter_keys};
use std::fmt::Write;
use std::fs;

const START: &str = "<!-- table of keys: start -->\n";
const END: &str = "<!-- table of keys: end -->\n";

/// Keys of a block that take the same values share a row.
fn table() -> String {
    let mut rows: Vec<(ParameterKey, String)> = Vec::new();
    for key in parameter_keys() {
        let name = format!("`{}`", key.key);
        match rows.last_mut() {
            Some((last, names)) if (last.block, last.values, &last.absent) == (key.block, key.values, &key.absent) => {
                *names += &format!(" {name}");
            }
            _ => rows.push((key, name)),
        }
    }
    let mut table = String::from("| block | keys | values | extension: without it |\n|---|---|---|---|\n");
    for (ParameterKey { block, values, absent, .. }, names) in rows {
        writeln!(table, "| {block} | {names} | {values} | {} |", absent.unwrap_or_default()).unwrap();
    }
    table
}

#[test]
fn the_documented_keys_are_those_of_the_reader() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/netfiles.md");
    let page = fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(START).expect("the start of the table");
    let (found, after) = rest.split_once(END).expect("the end of the table");
    if std::env::var_os("MEGASIM_DOCS_UPDATE").is_some() {
        fs::write(path, format!("{before}{START}{}{END}{after}", table())).unwrap();
    } else {
        assert_eq!(found, table(), "MEGASIM_DOCS_UPDATE=1 cargo test --test netfile writes it");
    }
}
