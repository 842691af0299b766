//! `[parameter_sweep]`: a run for each value, one table, and pictures against the parameter.

use super::log::log_folder;
use super::{Arguments, Run, check_paths, model_of, one};
use crate::cli::diagnostic::report;
use crate::cli::sweep::tables;
use crate::cli::{answer, interrupt, output, print, provenance};
use megasim::atomic_write::{self, Overwrite};
use megasim::report::{self as pages, Table};
use megasim::study::sweep::{Axis, Figures, Point, Sweep, values};
use megasim::toolbox::{Configuration, Method, ParameterSweep, SweptValues};
use miette::{Result, bail, miette};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The table.
const TABLE: &str = "sweep.csv";

/// The table with all digits.
const FIGURES: &str = "sweep.json";

/// The pictures: accuracy, spikes and operations against the parameter.
const PICTURES: [&str; 3] = ["sweep-accuracy.svg", "sweep-spikes.svg", "sweep-operations.svg"];

/// A value of the parameter, with what it makes of the settings.
struct Planned {
    value: String,
    it: Configuration,
    out: PathBuf,
    /// Whether its netfiles are those of all values.
    shares: bool,
}

/// Runs the experiment once for each value.
pub fn run(arguments: &Arguments, base: &Configuration, asked: &ParameterSweep, replace: Overwrite) -> Result<()> {
    let planned = plan(arguments, base, asked)?;
    let models = planned.iter().map(|planned| model_of(&planned.it)).collect::<Result<Vec<_>>>()?;
    let folder = log_folder(base, &arguments.out);
    for (Planned { it, out, .. }, model) in planned.iter().zip(&models) {
        check_paths(arguments, model, it, out)?;
    }
    let simulates = planned.iter().any(|planned| planned.it.simulate);
    if simulates && folder.is_dir() {
        for name in [TABLE, FIGURES].iter().chain(&PICTURES) {
            atomic_write::check_file(&folder.join(name), replace).map_err(report)?;
        }
        provenance::check(&folder).map_err(report)?;
    }
    let mut sweep = Sweep {
        parameters: vec![Axis { name: asked.name().into(), logarithmic: asked.logarithmic() }],
        points: Vec::new(),
    };
    for (Planned { value, it, out, shares }, model) in planned.iter().zip(&models) {
        print(&format!("{} = {value}\n", asked.name()));
        // Of a setting of version 0.1 the section is another one by now.
        let text = |remark: &str| remark.split_once(']').map_or(remark.to_string(), |(_, rest)| rest.to_string());
        let is_new = |remark: &&String| base.remarks.iter().all(|known| text(known) != text(remark));
        for remark in it.remarks.iter().filter(is_new) {
            output::warn(format_args!("{remark}"));
        }
        let figures = one(&Run { arguments, model, it, out, replace, shares: *shares })?;
        if interrupt::asked() {
            output::warn(format_args!("stopped at {} = {value}, which the table leaves out", asked.name()));
            break;
        }
        sweep.points.extend(figures.map(|figures| Point { values: vec![value.clone()], figures }));
    }
    if sweep.points.is_empty() {
        return Ok(());
    }
    print(&format!("{}\n", tables::both_modes(&sweep).trim_end()));
    write(arguments, &sweep, &folder, replace)?;
    print(&format!("Table and pictures: {}\n", folder.display()));
    answer(&tables::answer_in_both_modes(&sweep));
    Ok(())
}

/// All values with their settings, each of them tried before any work.
fn plan(arguments: &Arguments, base: &Configuration, asked: &ParameterSweep) -> Result<Vec<Planned>> {
    let mut planned: Vec<Planned> = Vec::new();
    for value in expanded(asked)? {
        let (value, mut it) = at(asked, &value)?;
        let mut name = arguments.out.as_os_str().to_os_string();
        name.push(format!("-{}", value.replace(['/', '\\'], "_")));
        let own = PathBuf::from(name);
        // Without a conversion, netfiles that are there are those of all values.
        let shares = !base.convert && !own.exists() && arguments.out.is_dir();
        // Each value has its own records and exports.
        it.log_dir = it.log_dir.zip(own.file_name()).map(|(folder, name)| folder.join(name));
        if it.log_dir.is_none() && shares {
            let mut log = own.as_os_str().to_os_string();
            log.push("-log");
            it.log_dir = Some(log.into());
        }
        let out = if shares { arguments.out.clone() } else { own };
        if planned.iter().any(|known| known.value == value || (!shares && known.out == out)) {
            if matches!(asked.values(), SweptValues::Range { .. }) {
                continue;
            }
            bail!(
                "{}: [parameter_sweep] param_values: expected each value once, found {value} again",
                arguments.config.display()
            );
        }
        planned.push(Planned { value, it, out, shares });
    }
    Ok(planned)
}

/// The values in their order.
fn expanded(asked: &ParameterSweep) -> Result<Vec<String>> {
    match asked.values() {
        SweptValues::List(list) => Ok(list.clone()),
        SweptValues::Range { method, start, stop, count } => {
            let kind = match method {
                Method::Linear => "linear",
                Method::Log => "log",
                Method::Random => "random",
            };
            let range = values(&format!("{kind}:{start}..{stop}:{count}"), 0);
            range.map_err(|message| miette!("[parameter_sweep] param_values: {message}"))
        }
    }
}

/// The settings with a value; the nearest whole number of a range where the setting takes only these.
fn at(asked: &ParameterSweep, value: &str) -> Result<(String, Configuration)> {
    let error = match asked.at(value) {
        Ok(it) => return Ok((value.into(), it)),
        Err(error) => error,
    };
    let is_range = matches!(asked.values(), SweptValues::Range { .. });
    let whole = value.parse::<f64>().ok().filter(|_| is_range).map(|number| format!("{:.0}", number.round()));
    let whole = whole.and_then(|whole| asked.at(&whole).ok().map(|it| (whole, it)));
    whole.ok_or_else(|| report(error))
}

/// Writes the table and the pictures.
fn write(arguments: &Arguments, sweep: &Sweep<Figures>, folder: &Path, replace: Overwrite) -> Result<()> {
    atomic_write::make_directory(folder).map_err(|error| miette!("{}: cannot be made: {error}", folder.display()))?;
    let mut written: Vec<PathBuf> = Vec::new();
    let mut keep = |name: &str, text: &str| {
        let path = folder.join(name);
        atomic_write::write_file(&path, replace, |file| file.write_all(text.as_bytes())).map_err(report)?;
        written.push(path);
        Ok::<_, miette::Report>(())
    };
    keep(TABLE, &Table { columns: sweep.columns(), rows: sweep.rows().collect() }.csv())?;
    keep(FIGURES, &format!("{:#}\n", json!(sweep)))?;
    let section = pages::sweep::section(sweep, false).map_err(report)?;
    for picture in &section.pictures {
        keep(&format!("{}.svg", picture.file), &picture.svg)?;
    }
    let results: Vec<&Path> = written.iter().map(PathBuf::as_path).collect();
    let parameters = json!({ "parameter": sweep.parameters[0].name });
    provenance::write_beside(&results, &[&arguments.config], Some(0), parameters).map_err(report)
}
