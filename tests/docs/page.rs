//! A page of documentation, taken apart into the commands that it shows.

use std::fs;
use std::path::{Path, PathBuf};

/// The comment in front of a block that says how to treat it.
const MARKER: &str = "<!-- doc-test:";

/// Programs whose lines have to be in a block that is run.
const PROGRAMS: [&str; 4] = ["megasim ", "cargo ", "python ", "$ "];

/// A Markdown file.
pub struct Page {
    pub path: PathBuf,
    pub lines: Vec<String>,
    pub blocks: Vec<Block>,
    /// What is wrong with the page itself, as `line: message`.
    pub faults: Vec<String>,
}

/// A block of commands.
pub struct Block {
    pub commands: Vec<Command>,
    /// Why it is not run.
    pub skip: Option<String>,
    /// The exit status of its last command.
    pub status: i32,
}

/// A command, and what it should print.
pub struct Command {
    /// Number of its first line, from 1.
    pub line: usize,
    pub text: String,
    /// Indices of the lines of output that the page shows; `None` where output is not compared.
    pub output: Option<std::ops::Range<usize>>,
}

impl Page {
    /// Reads the page at `path` below `root`.
    pub fn read(root: &Path, path: &Path) -> Self {
        let text = fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut page = Self {
            path: path.to_path_buf(),
            lines: text.lines().map(str::to_string).collect(),
            blocks: Vec::new(),
            faults: Vec::new(),
        };
        page.find_blocks();
        page
    }

    fn find_blocks(&mut self) {
        let mut marker = None;
        let mut at = 0;
        while at < self.lines.len() {
            let line = self.lines[at].clone();
            if let Some(language) = line.strip_prefix("```") {
                let end = (at + 1..self.lines.len()).find(|&k| self.lines[k].starts_with("```"));
                let Some(end) = end else {
                    self.faults.push(format!("{}: a block that does not end", at + 1));
                    return;
                };
                self.add_block(language.trim(), at + 1..end, marker.take());
                at = end + 1;
                continue;
            }
            if line.starts_with(MARKER) {
                marker = Some(line.clone());
            } else if !line.trim().is_empty() && marker.take().is_some() {
                self.faults.push(format!("{at}: a doc-test comment has to be in front of a block"));
            }
            if let Some(code) = line.strip_prefix("    ")
                && PROGRAMS.iter().any(|program| code.starts_with(program))
            {
                self.faults.push(format!("{}: a command outside a ```sh or ```console block is not run", at + 1));
            }
            if line.chars().count() > 120 && !line.starts_with('|') {
                self.faults.push(format!("{}: {} columns, at most 120", at + 1, line.chars().count()));
            }
            at += 1;
        }
    }

    fn add_block(&mut self, language: &str, lines: std::ops::Range<usize>, marker: Option<String>) {
        let text = |range: std::ops::Range<usize>| self.lines[range].join("\n");
        let commands = match language {
            "sh" => vec![Command { line: lines.start + 1, text: text(lines), output: None }],
            "console" => self.console(lines),
            _ => {
                let shown = lines.clone().find(|&k| PROGRAMS.iter().any(|it| self.lines[k].starts_with(it)));
                if let Some(k) = shown {
                    self.faults.push(format!("{}: a command in a block that is not run; use ```console", k + 1));
                }
                return;
            }
        };
        let mut block = Block { commands, skip: None, status: 0 };
        if let Some(marker) = marker {
            let words = marker.trim_start_matches(MARKER).trim_end().trim_end_matches("-->").trim();
            match (words.strip_prefix("skip: "), words.strip_prefix("status ").map(str::parse)) {
                (Some(reason), _) => block.skip = Some(reason.to_string()),
                (_, Some(Ok(status))) => block.status = status,
                _ => self.faults.push(format!("{}: unknown words in {marker}", block.commands[0].line - 2)),
            }
        }
        self.blocks.push(block);
    }

    /// Lines `$ command`, each with the output that follows; a `\` at the end of a line continues the command.
    fn console(&mut self, lines: std::ops::Range<usize>) -> Vec<Command> {
        let mut commands = Vec::<Command>::new();
        let mut at = lines.start;
        while at < lines.end {
            if let Some(first) = self.lines[at].strip_prefix("$ ") {
                let (line, mut text) = (at + 1, first.to_string());
                while text.ends_with('\\') && at + 1 < lines.end {
                    at += 1;
                    text = format!("{text}\n{}", self.lines[at]);
                }
                commands.push(Command { line, text, output: Some(at + 1..at + 1) });
            } else if let Some(Command { output: Some(output), .. }) = commands.last_mut() {
                output.end = at + 1;
            } else {
                self.faults.push(format!("{}: output before the first `$ command`", at + 1));
            }
            at += 1;
        }
        commands
    }

    /// Links to files that are missing, or to headings that they do not have.
    pub fn broken_links(&self, root: &Path) -> Vec<String> {
        let directory = root.join(&self.path).parent().map(Path::to_path_buf).unwrap_or_default();
        let mut faults = Vec::new();
        for (number, line) in outside_blocks(&self.lines) {
            for rest in line.split("](").skip(1) {
                let Some(target) = rest.split(')').next().filter(|it| !it.contains("://")) else { continue };
                let (file, heading) = target.split_once('#').unwrap_or((target, ""));
                let file = if file.is_empty() { root.join(&self.path) } else { directory.join(file) };
                if !file.exists() {
                    faults.push(format!("{number}: link to {target}: no such file"));
                } else if !heading.is_empty() && !headings(&file).contains(&heading.to_string()) {
                    faults.push(format!("{number}: link to {target}: no such heading"));
                }
            }
        }
        faults
    }
}

/// Lines that are not in a block, with their numbers.
fn outside_blocks(lines: &[String]) -> impl Iterator<Item = (usize, &String)> {
    let mut inside = false;
    lines.iter().enumerate().map(|(k, line)| (k + 1, line)).filter(move |(_, line)| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// The names that a page's headings have in links: lower case, blanks as hyphens, other punctuation left out.
fn headings(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = text.lines().map(str::to_string).collect();
    outside_blocks(&lines)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| {
            let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            title.chars().filter(|it| it.is_alphanumeric() || matches!(it, '-' | '_')).collect()
        })
        .collect()
}
