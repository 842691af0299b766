//! The page: sections of text, tables and pictures in one HTML file, with SVG and CSV files in a directory next to it.

use super::{Error, Picture, Table};
use crate::display::plain;
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
    /// Parts of which the script of the page shows one at a time; without it they follow each other.
    pub choices: Vec<Choice>,
    /// Whether it is folded until somebody asks.
    pub folded: bool,
}

/// One of several alike parts of a section, as of a sample.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// What it is.
    pub name: String,
    /// A sentence or two.
    pub text: String,
    /// Pictures.
    pub pictures: Vec<Picture>,
}

impl Section {
    /// Whether there is nothing in it but words.
    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty() && self.tables.is_empty() && self.choices.is_empty()
    }

    /// All of its pictures, those of choices last.
    pub fn all_pictures(&self) -> impl Iterator<Item = &Picture> {
        self.pictures.iter().chain(self.choices.iter().flat_map(|choice| &choice.pictures))
    }
}

/// A report.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Its heading.
    pub title: String,
    /// The answer, in one to three sentences; none if empty.
    pub answer: String,
    /// The figures that matter, in a few words each: what and its value.
    pub figures: Vec<(String, String)>,
    /// What it is about, line by line: what and its value; the first ones are on the first screen.
    pub facts: Vec<(String, String)>,
    /// Its parts.
    pub sections: Vec<Section>,
}

/// Fonts of the system, black on white; on paper nothing is cut apart or hidden.
const STYLE: &str = include_str!("page.css");

/// Opens parts, and zooms into rasters; without it everything can be read.
const SCRIPT: &str = include_str!("page.js");

/// Facts that are on the first screen.
const FIRST_FACTS: usize = 3;

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
                    @if !self.answer.is_empty() { p class="answer" { (self.answer) } }
                    @if !self.facts.is_empty() {
                        p class="about" {
                            @for (k, (what, value)) in self.facts.iter().take(FIRST_FACTS).enumerate() {
                                @if k > 0 { "; " } (what) ": " (value)
                            }
                        }
                    }
                    @if !self.figures.is_empty() {
                        dl class="figures" {
                            @for (what, value) in &self.figures { div { dt { (what) } dd { (value) } } }
                        }
                    }
                    @for section in self.sections.iter().take(1) {
                        section id=(id(0)) { h2 { (section.title) } (first(section, files)) }
                    }
                    @if self.sections.len() > 2 {
                        nav aria-label="Parts" {
                            @for (k, section) in self.sections.iter().enumerate() {
                                a href={ "#" (id(k)) } { (section.title) }
                            }
                        }
                    }
                    @for (k, section) in self.sections.iter().enumerate().skip(1) {
                        section id=(id(k)) {
                            details open[!section.folded] { summary { (section.title) } (body(section, files)) }
                        }
                    }
                    @if self.facts.len() > FIRST_FACTS {
                        section {
                            details {
                                summary { "How it was run" }
                                dl { @for (what, value) in &self.facts { dt { (what) } dd { (value) } } }
                            }
                        }
                    }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        };
        plain(&page.into_string()).into_owned()
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
        for picture in self.sections.iter().flat_map(Section::all_pictures) {
            list.rows.push(vec![picture.file.clone(), picture.title.clone()]);
            let io = |path: &Path| {
                let path = path.to_path_buf();
                move |source| atomic_write::Error::Io { path, source }
            };
            let target = directory.path().join(format!("{}.svg", picture.file));
            fs::write(&target, plain(&picture.svg).as_bytes()).map_err(io(&target))?;
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

/// Most columns of a table that is next to a picture.
const MOST_COLUMNS: usize = 8;

/// Most rows of a table on the first screen.
const MOST_ROWS: usize = 24;

/// The part of the first screen: its table next to its first picture; a wide or a long table leaves no room for that,
/// and two pictures are next to each other.
fn first(section: &Section, files: &str) -> Markup {
    let table_first = section.tables.first();
    let is_narrow =
        table_first.is_some_and(|table| table.columns.len() <= MOST_COLUMNS && table.rows.len() <= MOST_ROWS);
    let (shown, more) = section.pictures.split_at(section.pictures.len().min(if is_narrow { 1 } else { 2 }));
    html! {
        @if !section.text.is_empty() { p { (section.text) } }
        @if is_narrow {
            div class="first" {
                div { @if let Some(shown) = table_first { (table(shown)) } }
                div { @for shown in shown { (figure(shown, files)) } }
            }
        } @else {
            (figures(shown, files))
            @if let Some(shown) = table_first {
                @if shown.rows.len() > MOST_ROWS {
                    details { summary { "Table of " (shown.rows.len()) " rows" } (table(shown)) }
                } @else {
                    (table(shown))
                }
            }
        }
        @for shown in section.tables.iter().skip(1) { (table(shown)) }
        @if !more.is_empty() {
            details {
                summary { "More pictures: " (titles(more)) }
                (figures(more, files))
            }
        }
    }
}

/// Titles of pictures in a row, the first of many.
fn titles(pictures: &[Picture]) -> String {
    const MOST: usize = 4;
    let mut titles: Vec<&str> = pictures.iter().take(MOST).map(|picture| picture.title.as_str()).collect();
    if pictures.len() > MOST {
        titles.push("...");
    }
    titles.join("; ")
}

fn body(section: &Section, files: &str) -> Markup {
    html! {
        @if !section.text.is_empty() { p { (section.text) } }
        @for shown in &section.tables { (table(shown)) }
        (figures(&section.pictures, files))
        @if !section.choices.is_empty() {
            div class="choices" {
                @for choice in &section.choices {
                    div class="choice" data-choice=(choice.name) {
                        h3 { (choice.name) }
                        @if !choice.text.is_empty() { p { (choice.text) } }
                        (figures(&choice.pictures, files))
                    }
                }
            }
        }
    }
}

fn table(of: &Table) -> Markup {
    html! {
        div class="scroll" tabindex="0" {
            table {
                thead { tr { @for name in &of.columns { th scope="col" { (name) } } } }
                tbody { @for row in &of.rows { tr { @for cell in row { td { (cell) } } } } }
            }
        }
        @if of.columns.len() > 4 { p class="hint" { "Scroll sideways for more columns." } }
    }
}

/// Pictures side by side, as far as there is room.
fn figures(of: &[Picture], files: &str) -> Markup {
    html! {
        @if !of.is_empty() { div class="pictures" { @for shown in of { (figure(shown, files)) } } }
    }
}

/// Pictures that are wider than this, in pixels, have a row to themselves.
const ALONE: u32 = 800;

/// Pictures that are wider than this, in pixels, scroll on small screens.
const NARROW: u32 = 420;

fn figure(of: &Picture, files: &str) -> Markup {
    let width = format!("{}px", of.width);
    html! {
        figure class=[(of.width > ALONE).then_some("alone")]
            style={ "max-width: min(100%, " (width) "); --width: " (width) } {
            div class=[(of.width > NARROW).then_some("wide")] { (PreEscaped(&of.svg)) }
            @if of.width > NARROW { p class="hint" { "Scroll sideways to see all of it." } }
            figcaption {
                b { (of.title) ". " } (of.caption) " "
                a href={ (files) "/" (of.file) ".svg" } { "SVG" } " "
                a href={ (files) "/" (of.file) ".csv" } { "CSV" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::{self, Axes};

    #[test]
    fn text_is_escaped_and_nothing_comes_from_elsewhere() {
        let page = Page {
            title: "a < b".into(),
            answer: "more > less".into(),
            facts: vec![("file".into(), "<script>".into())],
            sections: vec![Section { title: "one".into(), ..Section::default() }],
            ..Page::default()
        };
        let html = page.html("x_files");
        assert!(html.contains("a &lt; b") && html.contains("more &gt; less") && html.contains("&lt;script&gt;"));
        assert!(!html.contains("http") && !html.contains("@import") && !html.contains("url("));
    }

    const HOSTILE: &str = "</script><svg onload=alert(1)>&\"'";

    /// Names as a model file may have them, in every place of a page and in every kind of picture.
    #[test]
    fn hostile_names_are_escaped_in_pages_and_pictures() {
        let name = || HOSTILE.to_string();
        let axes = Axes { file: "f", title: HOSTILE, x: HOSTILE, y: HOSTILE, ..Axes::default() };
        let line = chart::Line { name: name(), points: vec![(0.0, 1.0), (1.0, 2.0)], ..chart::Line::default() };
        let bars = chart::Bars { groups: vec![name()], kinds: vec![(name(), vec![1.0]), (name(), vec![2.0])] };
        let rows = chart::Rows {
            name: name(),
            rows: 2,
            names: vec![name(); 2],
            spikes: vec![(0.5, 1)],
            ..chart::Rows::default()
        };
        let span = chart::Span { row: name(), kind: name(), from: 0.0, to: 1.0 };
        let panel = chart::Panel { name: name(), values: vec![1.0; 4], range: None };
        let extent = chart::Extent { maps: 1, ny: 2, nx: 2 };
        let raster = chart::Raster { name: name(), groups: vec![rows] };
        let potential = chart::Potential { layer: name(), neuron: name(), ..chart::Potential::default() };
        let pictures = vec![
            chart::lines(&axes, &[line.clone(), line]).unwrap().with_caption(HOSTILE),
            chart::bars(&axes, &bars).unwrap(),
            chart::rasters(&axes, 1.0, HOSTILE, &[raster]).unwrap(),
            chart::potentials(&axes, 1.0, &[potential]).unwrap(),
            chart::spans(&axes, &[span]).unwrap(),
            chart::grids("f", HOSTILE, extent, &[panel], 100).unwrap(),
            chart::matrix("f", HOSTILE, (HOSTILE, HOSTILE), &[name()], &[vec![1]]).unwrap(),
            chart::heat_map(&axes, &[name()], &[name()], &[vec![Some(1.0)]]).unwrap(),
        ];
        let mut table = Table::new(&[HOSTILE]);
        table.rows.push(vec![name()]);
        let choice = Choice { name: name(), text: name(), pictures: pictures.clone() };
        let section = Section {
            title: name(),
            text: name(),
            tables: vec![table],
            pictures,
            choices: vec![choice.clone(), choice],
            folded: true,
        };
        let page = Page {
            title: name(),
            answer: name(),
            figures: vec![(name(), name())],
            facts: vec![(name(), name()); 5],
            sections: vec![section.clone(), section.clone(), section],
        };
        let html = page.html("x_files");
        assert!(!html.contains("<svg onload") && html.matches("</script>").count() == 1);
    }
}
