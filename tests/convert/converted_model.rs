//! The main job by library calls: convert, save, open, classify, cancel.

use megasim::atomic_write::Overwrite;
use megasim::convert::settings::Setting;
use megasim::convert::{Checkpoints, converted_model, labelled_samples};
use megasim::study::classification::{Modes, decisions};
use megasim::{
    ClassifyOptions, Control, Convert, ConvertOptions, ConvertedModel, Dataset, LabelledSamples, Model, classify,
};
use ndarray::Array2;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits")
}

fn convert(options: &ConvertOptions) -> (ConvertedModel, Dataset) {
    let data = Dataset::open(&digits()).unwrap();
    let model = Model::open(digits().join("digits_cnn.keras")).unwrap();
    (model.convert(&data, options).unwrap(), data)
}

/// The files below a directory with their contents.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let listed = megasim::atomic_write::files_below(directory).unwrap();
    listed.into_iter().map(|file| (file.path.clone(), fs::read(directory.join(&file.path)).unwrap())).collect()
}

#[test]
fn what_is_saved_opens_and_is_saved_alike() {
    let (converted, _) = convert(&ConvertOptions::new().set("*Dense*.T_Refract=3".parse::<Setting>().unwrap()));
    assert_eq!(converted.manifest().conversion.settings, ["*Dense*.T_Refract=3"]);
    let place = tempfile::tempdir().unwrap();
    let (first, second) = (place.path().join("first"), place.path().join("second"));
    converted.save(&first, Overwrite::Refuse).unwrap();
    let opened = ConvertedModel::open(&first).unwrap();
    assert_eq!(opened.manifest(), converted.manifest());
    assert_eq!(opened.network(), converted.network());
    assert_eq!(opened.stimuli(), converted.stimuli());
    opened.save(&second, Overwrite::Refuse).unwrap();
    assert_eq!(files(&first), files(&second));
    assert!(files(&first).contains_key("megasim.json"));

    // A directory is replaced only where that is asked for, and only if it holds nothing else.
    assert!(matches!(opened.save(&second, Overwrite::Refuse), Err(converted_model::Error::Write(_))));
    opened.save(&second, Overwrite::Allow).unwrap();
    fs::write(second.join("note.txt"), "mine").unwrap();
    assert!(matches!(opened.save(&second, Overwrite::Allow), Err(converted_model::Error::Write(_))));
    assert_eq!(fs::read(second.join("note.txt")).unwrap(), b"mine");
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let (converted, _) = convert(&ConvertOptions::new());
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("net");
    converted.save(&directory, Overwrite::Refuse).unwrap();
    let manifest = fs::read_to_string(directory.join("megasim.json")).unwrap();
    let sha256 = &converted.model().unwrap().source.sha256;
    fs::write(directory.join("megasim.json"), manifest.replace(sha256.as_str(), &"0".repeat(64))).unwrap();
    let refused = ConvertedModel::open(&directory).unwrap_err();
    assert!(matches!(refused, converted_model::Error::OtherModel { .. }), "{refused}");
    fs::write(directory.join("megasim.json"), &manifest[..manifest.len() / 2]).unwrap();
    let refused = ConvertedModel::open(&directory).unwrap_err();
    assert!(matches!(refused, converted_model::Error::Manifest(_)), "{refused}");
    fs::remove_dir_all(directory.join("source")).unwrap();
    fs::write(directory.join("megasim.json"), manifest).unwrap();
    let refused = ConvertedModel::open(&directory).unwrap_err();
    assert!(matches!(refused, converted_model::Error::Model(_)), "{refused}");
}

#[test]
fn samples_of_the_caller_are_checked() {
    let (converted, data) = convert(&ConvertOptions::new());
    let test = LabelledSamples::test(&converted, &data, 5, Some(20)).unwrap();
    let own = LabelledSamples::new(&converted, test.values().to_owned(), test.labels().unwrap().to_vec()).unwrap();
    assert_eq!(own.analog(), test.analog());
    assert_eq!((own.numbers().number(0), test.numbers().number(0)), (0, 5));
    let values = || Array2::zeros((2, 64));
    let new = |values, labels: &[usize]| LabelledSamples::new(&converted, values, labels.to_vec()).unwrap_err();
    use labelled_samples::Error;
    assert!(matches!(new(values(), &[1]), Error::Labels { samples: 2, labels: 1 }));
    assert!(matches!(new(values(), &[1, 10]), Error::Class { sample: 1, classes: 10, found: 10 }));
    assert!(matches!(new(Array2::zeros((2, 63)), &[1, 2]), Error::Numbers(_)));
    let mut faulty = values();
    faulty[[1, 3]] = f32::NAN;
    assert!(matches!(new(faulty, &[1, 2]), Error::NotFinite { sample: 1, .. }));
}

/// Counts what it hears, and cancels after a number of units.
struct Counted {
    parts: Mutex<Vec<(String, usize)>>,
    done: AtomicUsize,
    most: usize,
}

impl Counted {
    fn new(most: usize) -> Self {
        Self { parts: Mutex::default(), done: AtomicUsize::new(0), most }
    }
}

impl Control for Counted {
    fn start(&self, part: &str, units: usize) {
        self.parts.lock().unwrap().push((part.into(), units));
    }
    fn done(&self, n: usize) {
        self.done.fetch_add(n, Ordering::SeqCst);
    }
    fn is_cancelled(&self) -> bool {
        self.done.load(Ordering::SeqCst) >= self.most
    }
}

#[test]
fn progress_is_counted_and_work_can_be_cancelled() {
    let data = Dataset::open(&digits()).unwrap();
    let model = Model::open(digits().join("digits_cnn.keras")).unwrap();
    let control = Counted::new(usize::MAX);
    let conversion = model.convert_with(&data, &ConvertOptions::new(), &Checkpoints::default(), &control).unwrap();
    let [(part, units)] = &control.parts.lock().unwrap()[..] else { panic!("expected one part") };
    assert_eq!((part.as_str(), *units), ("normalising", control.done.load(Ordering::SeqCst)));
    let names: Vec<_> = conversion.stages.steps.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["as read", "parsed", "normalised", "as integers"]);

    let converted = conversion.converted;
    let samples = LabelledSamples::test(&converted, &data, 0, Some(30)).unwrap();
    let options = ClassifyOptions::new().duration(20);
    let control = Counted::new(usize::MAX);
    let whole = classify(&converted, &samples, &options, &control).unwrap();
    assert_eq!(*control.parts.lock().unwrap(), [("event".to_string(), 30), ("clocked".to_string(), 30)]);
    assert_eq!(control.done.load(Ordering::SeqCst), 60);
    let analog = whole.analog_decisions().unwrap();
    assert_eq!(whole.figures().accuracy.ann, whole.right(&analog).map(|right| right as f64 / 30.0));

    // What is complete is what it would have been.
    let event = ClassifyOptions::new().duration(20).modes(Modes::Event);
    match classify(&converted, &samples, &event, &Counted::new(7)) {
        Ok(part) => {
            assert!(part.len() < 30);
            let (found, all) = (decisions(&part.event).unwrap(), decisions(&whole.event).unwrap());
            assert_eq!(found, all[..part.len()]);
        }
        // The first sample may be the one that did not run.
        Err(error) => assert_eq!(error.to_string(), "stopped before the first samples were done"),
    }
    assert!(classify(&converted, &samples, &event, &Counted::new(0)).is_err());
}
