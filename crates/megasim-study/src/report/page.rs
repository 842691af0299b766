//! The page: sections of text, tables and pictures in one HTML file, with SVG and CSV files in a directory next to it.

use super::{Error, Picture, Table};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use megasim_core::atomic_write::{self, AtomicDir, Overwrite};
use std::fs;
use std::path::{Path, PathBuf};

/// The list of the pictures in a directory that belongs to a page.
pub const PICTURE_LIST: &str = "pictures.csv";

/// One part of a page.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// A sentence or two.
    pub text: String,
    /// Numbers that are shown as such.
    pub tables: Vec<Table>,
    /// Pictures.
    pub pictures: Vec<Picture>,
    /// Whether it is folded until somebody asks.
    pub folded: bool,
}

/// A report.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Its heading.
    pub title: String,
    /// What it is about, line by line: what and its value.
    pub facts: Vec<(String, String)>,
    /// Its parts.
    pub sections: Vec<Section>,
}

/// Fonts of the system, black on white, pictures as wide as the page, nothing cut apart on paper.
const STYLE: &str = "
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Arial, sans-serif; color: #111;
  background: #fff; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: 0.5rem; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 0.4rem; border-bottom: 1px solid #999; }
dl { display: grid; grid-template-columns: max-content auto; gap: 0.1rem 1.2rem; }
dt { color: #444; } dd { margin: 0; overflow-wrap: anywhere; }
nav { columns: 16rem; font-size: 0.95rem; } nav a { display: block; }
figure { display: inline-block; vertical-align: top; margin: 1rem 1rem 1rem 0; break-inside: avoid; }
figure svg { max-width: 100%; height: auto; }
figcaption { font-size: 0.92rem; color: #333; } figcaption b { color: #111; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.84rem; font-variant-numeric: tabular-nums;
  break-inside: avoid; margin: 0.8rem 0; }
th, td { padding: 0.15rem 0.5rem; text-align: right; border-bottom: 1px solid #ccc; white-space: nowrap; }
th { border-bottom: 2px solid #333; vertical-align: bottom; white-space: normal; }
th:first-child, td:first-child { text-align: left; }
details > summary { cursor: pointer; font-size: 1.1rem; font-weight: 600; margin: 1rem 0; } a { color: #004b87; }
@media print { body { max-width: none; margin: 0; } nav { display: none; }
  a { color: inherit; text-decoration: none; } }
";

impl Page {
    /// The page as text; links to the files of pictures go to `files`.
    pub fn html(&self, files: &str) -> String {
        let id = |k: usize| format!("part-{k}");
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { (self.title) }
                    dl { @for (what, value) in &self.facts { dt { (what) } dd { (value) } } }
                    @if self.sections.len() > 2 {
                        nav {
                            @for (k, section) in self.sections.iter().enumerate() {
                                a href={ "#" (id(k)) } { (section.title) }
                            }
                        }
                    }
                    @for (k, section) in self.sections.iter().enumerate() {
                        section id=(id(k)) {
                            @if section.folded {
                                details { summary { (section.title) } (body(section, files)) }
                            } @else {
                                h2 { (section.title) }
                                (body(section, files))
                            }
                        }
                    }
                }
            }
        };
        page.into_string()
    }

    /// The directory next to `path` for the files of the pictures.
    pub fn files(path: &Path) -> PathBuf {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        path.with_file_name(format!("{stem}_files"))
    }

    /// Refuses, before the work, a page that could not be written after it.
    ///
    /// # Errors
    /// If something is in the way.
    pub fn check(path: &Path, replace: Overwrite) -> Result<(), Error> {
        let files = Self::files(path);
        atomic_write::check_file(path, replace)?;
        drop(AtomicDir::create(&files, replace)?);
        Ok(())
    }

    /// Writes the page, and next to it a directory `NAME_files` with an SVG and a CSV file of each picture.
    ///
    /// # Errors
    /// If something is in the way and may not be replaced, or cannot be written.
    pub fn write(&self, path: &Path, replace: Overwrite) -> Result<(), Error> {
        let files = Self::files(path);
        let directory = AtomicDir::create(&files, replace)?;
        let mut list = Table::new(&["file", "title"]);
        for picture in self.sections.iter().flat_map(|section| &section.pictures) {
            list.rows.push(vec![picture.file.clone(), picture.title.clone()]);
            let io = |path: &Path| {
                let path = path.to_path_buf();
                move |source| atomic_write::Error::Io { path, source }
            };
            let target = directory.path().join(format!("{}.svg", picture.file));
            fs::write(&target, &picture.svg).map_err(io(&target))?;
            let target = directory.path().join(format!("{}.csv", picture.file));
            fs::write(&target, picture.table.csv()).map_err(io(&target))?;
        }
        let target = directory.path().join(PICTURE_LIST);
        fs::write(&target, list.csv()).map_err(|source| atomic_write::Error::Io { path: target.clone(), source })?;
        let name = files.file_name().unwrap_or_default().to_string_lossy();
        let text = self.html(&name);
        directory.finish()?;
        Ok(atomic_write::write_file(path, replace, |file| file.write_all(text.as_bytes()))?)
    }
}

fn body(section: &Section, files: &str) -> Markup {
    html! {
        @if !section.text.is_empty() { p { (section.text) } }
        @for table in &section.tables {
            div class="scroll" {
                table {
                    thead { tr { @for name in &table.columns { th { (name) } } } }
                    tbody { @for row in &table.rows { tr { @for cell in row { td { (cell) } } } } }
                }
            }
        }
        @for picture in &section.pictures {
            figure style={ "max-width: min(100%, " (picture.width) "px)" } {
                (PreEscaped(&picture.svg))
                figcaption {
                    b { (picture.title) ". " } (picture.caption) " "
                    a href={ (files) "/" (picture.file) ".svg" } { "SVG" } " "
                    a href={ (files) "/" (picture.file) ".csv" } { "CSV" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_nothing_comes_from_elsewhere() {
        let page = Page {
            title: "a < b".into(),
            facts: vec![("file".into(), "<script>".into())],
            sections: vec![Section { title: "one".into(), ..Section::default() }],
        };
        let html = page.html("x_files");
        assert!(html.contains("a &lt; b") && html.contains("&lt;script&gt;"));
        assert!(!html.contains("http") && !html.contains("@import") && !html.contains("url("));
    }
}
