//! The page of a classification.

use super::chart::{self, Axes, Line};
use super::comparison::file;
use super::history::History;
use super::picture::short;
use super::samples::{OfSamples, ShownSample, section};
use super::{Error, Page, Section, Table, class_name};
use crate::classification::Course;
use crate::compare::Accuracy;

/// One mode.
#[derive(Debug)]
pub struct ShownMode {
    /// Its name.
    pub name: String,
    /// Share of right decisions.
    pub accuracy: Accuracy,
    /// Samples by label and decision; the last column are those without one.
    pub confusion: Vec<Vec<usize>>,
    /// All samples over time.
    pub course: Course,
}

/// What a page shows.
#[derive(Debug)]
pub struct PageContent<'a> {
    /// Heading of the page.
    pub title: String,
    /// The answer.
    pub answer: String,
    /// What was run, line by line.
    pub facts: Vec<(String, String)>,
    /// The modes.
    pub modes: Vec<ShownMode>,
    /// The analog network, where there is one.
    pub analog: Option<Accuracy>,
    /// What is the same for all shown samples.
    pub of_samples: OfSamples<'a>,
    /// Samples in full, the chosen one first.
    pub samples: Vec<ShownSample>,
    /// How the network was trained.
    pub history: Option<&'a History>,
}

/// The page.
///
/// # Errors
/// If a picture cannot be drawn.
pub fn page(of: &PageContent) -> Result<Page, Error> {
    let mut sections = vec![decisions(of)?, over_time(of)?];
    if !of.samples.is_empty() {
        sections.push(section(&of.of_samples, &of.samples)?);
    }
    sections.extend(of.history.map(History::section).transpose()?);
    sections.retain(|section| !section.is_empty());
    sections.iter_mut().for_each(|section| section.folded = true);
    let (title, answer, facts) = (of.title.clone(), of.answer.clone(), of.facts.clone());
    Ok(Page { title, answer, facts, sections, ..Page::default() })
}

fn lines(of: &PageContent, get: impl Fn(&Course) -> Option<Vec<f64>>) -> Vec<Line> {
    let line = |mode: &ShownMode| {
        let points = mode.course.ms.iter().copied().zip(get(&mode.course)?).collect();
        Some(Line { name: mode.name.clone(), points, ..Line::default() })
    };
    of.modes.iter().filter_map(line).collect()
}

fn decisions(of: &PageContent) -> Result<Section, Error> {
    let mut table = Table::new(&["", "accuracy (%)", "95 % interval (%)", "spikes", "operations"]);
    let total = |of: Option<&Vec<f64>>| of.and_then(|of| of.last()).map_or("-".into(), |&sum| short(sum));
    let row = |name: &str, it: &Accuracy, course: Option<&Course>| {
        let two = |share: f64| format!("{:.2}", 100.0 * share);
        let sums = [total(course.map(|it| &it.spikes)), total(course.map(|it| &it.operations))];
        let row = [name.to_string(), two(it.share), format!("{} to {}", two(it.interval.0), two(it.interval.1))];
        row.into_iter().chain(sums).collect()
    };
    table.rows.extend(of.analog.iter().map(|analog| row("analog", analog, None)));
    table.rows.extend(of.modes.iter().map(|mode| row(&mode.name, &mode.accuracy, Some(&mode.course))));
    let mut section = Section { title: "Decisions".into(), tables: vec![table], ..Section::default() };
    let percents = |shares: &[f64]| shares.iter().map(|share| 100.0 * (1.0 - share)).collect::<Vec<_>>();
    let mut accuracy = lines(of, |course| course.error.as_deref().map(percents));
    if !accuracy.is_empty() {
        if let (Some(first), Some(analog)) = (accuracy.first(), &of.analog) {
            let level = first.points.iter().map(|&(ms, _)| (ms, 100.0 * analog.share)).collect();
            accuracy.push(Line { name: "analog".into(), points: level, ..Line::default() });
        }
        let axes = Axes {
            file: "accuracy-over-time",
            title: "Accuracy over time",
            x: "time (ms)",
            y: "right decisions (%)",
            from_zero: true,
            ..Axes::default()
        };
        let caption = "Share of samples that are decided right on the spikes up to a time.";
        section.pictures.push(chart::lines(&axes, &accuracy)?.with_caption(caption));
    } else {
        section.text = "Potentials decide at the end of a sample, so there is no accuracy over time.".into();
    }
    for mode in &of.modes {
        let classes = mode.confusion.len();
        let names = (0..classes).map(|class| class_name(class, of.of_samples.classes));
        let columns: Vec<String> = names.chain(["none".to_string()]).collect();
        let picture = chart::matrix(
            &format!("confusion-{}", file(&mode.name)),
            &format!("Confusion matrix, {}", mode.name),
            ("label", "decision"),
            &columns,
            &mode.confusion,
        )?;
        section.pictures.push(picture.with_caption("Samples by label (row) and decision (column)."));
    }
    Ok(section)
}

fn over_time(of: &PageContent) -> Result<Section, Error> {
    let axes = |file, title, y| Axes { file, title, x: "time (ms)", y, from_zero: true, ..Axes::default() };
    let operations = axes("operations-over-time", "Operations over time", "weights added so far, per sample");
    let spikes = axes("spikes-over-time", "Spikes over time", "spikes so far, per sample");
    let pictures = vec![
        chart::lines(&operations, &lines(of, |course| Some(course.operations.clone())))?
            .with_caption("Weights added to potentials, mean over the samples."),
        chart::lines(&spikes, &lines(of, |course| Some(course.spikes.clone())))?
            .with_caption("Spikes of all layers, mean over the samples."),
    ];
    Ok(Section { title: "Over time".into(), pictures, ..Section::default() })
}
