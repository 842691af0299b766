//! Runs the commands of README.md, docs/ and the other pages, and compares what they print with what the pages show.
//!
//! The commands of a page run in order, in a scratch copy of what the project ships, with the program under test first
//! on the `PATH`. CONTRIBUTING.md says how a page marks what cannot run. `MEGASIM_DOCS_PAGE=PART` runs the pages whose
//! path contains `PART`; `MEGASIM_DOCS_UPDATE=1` writes what was printed into the pages, to be read before it is
//! committed.
#![cfg(unix)]

mod output;
mod page;

use page::{Block, Page};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// Pages, and directories of pages.
const PAGES: [&str; 7] = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs", "netfiles", "examples", "benches"];

/// What commands may use of the project.
const SHIPPED: [&str; 5] = ["README.md", "docs", "examples", "netfiles", "tests/data/models/digits-residual"];

#[test]
fn commands_of_readme_and_docs_do_what_the_pages_show() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let part = std::env::var("MEGASIM_DOCS_PAGE").unwrap_or_default();
    let update = std::env::var_os("MEGASIM_DOCS_UPDATE").is_some();
    let mut paths = Vec::new();
    PAGES.iter().for_each(|place| pages_in(root, Path::new(place), &mut paths));
    paths.retain(|path| path.to_string_lossy().contains(&part));
    assert!(!paths.is_empty(), "no page of that name");

    let waiting = Mutex::new(paths);
    let reports = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |it| it.get()) {
            scope.spawn(|| {
                loop {
                    let Some(path) = waiting.lock().unwrap().pop() else { break };
                    let report = check(root, &path, update);
                    reports.lock().unwrap().insert(path, report);
                }
            });
        }
    });

    let reports = reports.into_inner().unwrap();
    for (path, report) in &reports {
        println!("{}: {} commands run, {} blocks skipped", path.display(), report.run, report.skipped.len());
        report.skipped.iter().for_each(|reason| println!("    skipped: {reason}"));
    }
    let faults: Vec<_> = reports.values().flat_map(|report| &report.faults).cloned().collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n\n"));
    assert!(reports.values().any(|report| report.run > 0) || !part.is_empty(), "no command was found");
}

/// What came out of a page.
#[derive(Default)]
struct Report {
    run: usize,
    skipped: Vec<String>,
    faults: Vec<String>,
}

fn pages_in(root: &Path, place: &Path, pages: &mut Vec<PathBuf>) {
    if root.join(place).is_dir() {
        let names = fs::read_dir(root.join(place)).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.filter(|name| name != "environment").collect();
        names.sort();
        names.iter().for_each(|name| pages_in(root, &place.join(name), pages));
    } else if place.extension().is_some_and(|it| it == "md") {
        pages.push(place.to_path_buf());
    }
}

fn check(root: &Path, path: &Path, update: bool) -> Report {
    let mut page = Page::read(root, path);
    let place = |fault: &String| format!("{}:{fault}", path.display());
    let mut report = Report::default();
    report.faults.extend(page.faults.iter().map(place));
    report.faults.extend(page.broken_links(root).iter().map(place));

    let scratch = tempfile::tempdir().unwrap();
    SHIPPED.iter().for_each(|name| copy(&root.join(name), &scratch.path().join(name)));
    let mut replacements = Vec::new();
    for block in &page.blocks {
        if let Some(reason) = &block.skip {
            report.skipped.push(format!("{}: {reason}", block.commands.first().map_or(0, |it| it.line)));
            continue;
        }
        run(&page, block, scratch.path(), &mut report, &mut replacements);
    }
    if update && !replacements.is_empty() {
        for (range, lines) in replacements.into_iter().rev() {
            page.lines.splice(range, lines);
        }
        fs::write(root.join(path), page.lines.join("\n") + "\n").unwrap();
    }
    report
}

fn run(
    page: &Page,
    block: &Block,
    scratch: &Path,
    report: &mut Report,
    replacements: &mut Vec<(std::ops::Range<usize>, Vec<String>)>,
) {
    for (k, command) in block.commands.iter().enumerate() {
        report.run += 1;
        let done = Command::new("sh")
            .args(["-ec", &format!("exec 2>&1\n{}", command.text)])
            .current_dir(scratch)
            .env("PATH", search_path())
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&done.stdout);
        let place = format!("{}:{}: {}", page.path.display(), command.line, command.text);
        let status = if k + 1 == block.commands.len() { block.status } else { 0 };
        if done.status.code() != Some(status) {
            report.faults.push(format!("{place}\n{}, expected exit status {status}; printed\n{printed}", done.status));
            continue;
        }
        let Some(range) = command.output.clone() else { continue };
        let shown = &page.lines[range.clone()];
        let printed: Vec<_> = printed.lines().map(|line| line.trim_end().to_string()).collect();
        if !output::matches(shown, &printed) {
            replacements.push((range, output::updated(shown, &printed)));
            report.faults.push(format!("{place}\nprinted\n{}", printed.join("\n")));
        }
    }
}

/// The program under test comes first.
fn search_path() -> OsString {
    let program = Path::new(env!("CARGO_BIN_EXE_megasim")).parent().unwrap().to_path_buf();
    let others = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(program).chain(std::env::split_paths(&others))).unwrap()
}

/// Copies a file or directory, but not what a run in place left in a netfile directory.
fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    let ran_in_place = from.join("megasim.sch").exists();
    for entry in fs::read_dir(from).unwrap() {
        let name = entry.unwrap().file_name();
        let word = name.to_string_lossy();
        if !(ran_in_place && (word == "run.json" || word.ends_with(".evs"))) {
            copy(&from.join(&name), &to.join(&name));
        }
    }
}
