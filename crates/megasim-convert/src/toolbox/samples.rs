//! What settings of `[input]` say of samples: recordings, frames, and Keras's `ImageDataGenerator`.

use super::settings::nearest;
use super::{Error, Ini};
use megasim_data::GivenPreprocessing;
use megasim_data::recording::Signs;

/// What a configuration says of the format of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatasetFormat {
    /// Arrays of numpy.
    Npz,
    /// Pictures in folders.
    Jpg,
    /// Event recordings.
    Aedat,
    /// Arrays whose samples are sequences of frames.
    Frames,
}

impl DatasetFormat {
    /// As a configuration spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Npz => "npz",
            Self::Jpg => "jpg",
            Self::Aedat => "aedat",
            Self::Frames => "frames",
        }
    }
}

/// How samples are taken of the data.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleSettings {
    /// `dataset_format`; the data tell theirs.
    pub format: Option<DatasetFormat>,
    /// Of a recording: as many events make a sample (`num_dvs_events_per_sample`).
    pub events: Option<u32>,
    /// Of a recording: pixels along the two axes of the sensor (`chip_size`).
    pub chip_size: Option<[u32; 2]>,
    /// Of a recording: how signs of changes become spikes (`frame_gen_method`).
    pub signs: Signs,
    /// Settings that only recordings have, as they were given.
    pub of_recordings: Vec<String>,
    /// `datagen_kwargs` and `dataflow_kwargs`.
    pub preprocessing: Option<GivenPreprocessing>,
}

const FRAME_METHODS: &[&str] =
    &["signed_sum", "rectified_sum", "rectified_polarity_channels", "signed_polarity_channels"];

const SIGNED_CHANNELS: &str = "[input] frame_gen_method = signed_polarity_channels: taken as \
    rectified_polarity_channels, as the map of a change tells its sign";

const DICTIONARY: &str = "a Python dictionary, such as {'rescale': 0.003922, 'featurewise_center': True}";

/// Arguments of Keras that vary samples or say what the data say, and why they mean nothing.
const NOTHING: &[(&[&str], &str)] = &[
    (
        &[
            "rotation_range",
            "width_shift_range",
            "height_shift_range",
            "brightness_range",
            "shear_range",
            "zoom_range",
            "channel_shift_range",
            "fill_mode",
            "cval",
            "horizontal_flip",
            "vertical_flip",
        ],
        "samples are shown as they are, not varied at random",
    ),
    (
        &["preprocessing_function"],
        "a function of Python is not called; `mean` and `std` of `preprocessing.toml` next to the data do what most do",
    ),
    (&["data_format", "dtype"], "the model tells the axes and kind of its input"),
    (&["batch_size", "shuffle", "seed"], "samples are taken in the order of the data"),
    (
        &[
            "directory",
            "classes",
            "class_mode",
            "subset",
            "validation_split",
            "follow_links",
            "save_to_dir",
            "save_prefix",
            "save_format",
            "keep_aspect_ratio",
        ],
        "files and classes are those of the data",
    ),
];

/// Arguments of Keras that act.
const ACTING: [&str; 10] = [
    "rescale",
    "samplewise_center",
    "samplewise_std_normalization",
    "featurewise_center",
    "featurewise_std_normalization",
    "zca_whitening",
    "zca_epsilon",
    "target_size",
    "color_mode",
    "interpolation",
];

impl SampleSettings {
    pub(super) fn of(ini: &Ini, remarks: &mut Vec<String>) -> Result<Self, Error> {
        let names = ["num_dvs_events_per_sample", "chip_size", "frame_gen_method"];
        let given = |key: &&str| ini.get("input", key).is_some_and(|text| !matches!(text, "" | "None"));
        let count = |text: &str| text.parse::<u32>().ok().filter(|&n| n > 0).map(Some);
        let chip_size = |text: &str| if text == "None" { Some(None) } else { pair(text).map(Some) };
        let signs = match ini.choice("input", "frame_gen_method", FRAME_METHODS)? {
            Some("rectified_sum") => Signs::Alike,
            Some("signed_sum") => Signs::Signed,
            Some("signed_polarity_channels") => {
                remarks.push(SIGNED_CHANNELS.into());
                Signs::Channels
            }
            _ => Signs::Channels,
        };
        let format = ini.choice("input", "dataset_format", &["npz", "jpg", "aedat", "frames"])?;
        Ok(Self {
            format: format.and_then(|format| match format {
                "npz" => Some(DatasetFormat::Npz),
                "jpg" => Some(DatasetFormat::Jpg),
                "aedat" => Some(DatasetFormat::Aedat),
                "frames" => Some(DatasetFormat::Frames),
                _ => None,
            }),
            events: ini.value("input", "num_dvs_events_per_sample", None, "a whole number above 0", count)?,
            chip_size: ini.value("input", "chip_size", None, "two numbers of pixels, as (240, 180)", chip_size)?,
            signs,
            of_recordings: names.iter().filter(|key| given(key)).map(|key| format!("[input] {key}")).collect(),
            preprocessing: preprocessing(ini, remarks)?,
        })
    }
}

fn preprocessing(ini: &Ini, remarks: &mut Vec<String>) -> Result<Option<GivenPreprocessing>, Error> {
    let mut given = GivenPreprocessing { path: ini.path.clone(), ..GivenPreprocessing::default() };
    let (mut acts, mut resizes_as) = (Vec::new(), "nearest".to_string());
    for key in ["datagen_kwargs", "dataflow_kwargs"] {
        let Some(text) = ini.get("input", key).filter(|text| !text.is_empty()) else { continue };
        let fault = |expected, found: &str| Error::Value {
            path: ini.path.clone(),
            section: "input".into(),
            key: key.into(),
            expected,
            found: found.into(),
        };
        let items = dictionary(text).ok_or_else(|| fault(DICTIONARY, text))?;
        for (name, value) in items {
            if value == "None" {
                continue;
            }
            let flag = || match value {
                "True" | "1" => Ok(true),
                "False" | "0" => Ok(false),
                _ => Err(fault("True or False", &format!("{name}: {value}"))),
            };
            let number = || number(value).ok_or_else(|| fault("a number", &format!("{name}: {value}")));
            match name {
                "rescale" => given.rescale = Some(number()? as f32),
                "samplewise_center" => given.samplewise_center = flag()?,
                "samplewise_std_normalization" => given.samplewise_std_normalization = flag()?,
                "featurewise_center" => given.featurewise_center = flag()?,
                "featurewise_std_normalization" => given.featurewise_std_normalization = flag()?,
                "zca_whitening" => given.zca_whitening = flag()?,
                "zca_epsilon" => given.zca_epsilon = Some(number()?),
                "target_size" => {
                    let size = pair(value).ok_or_else(|| fault("(height, width)", &format!("{name}: {value}")))?;
                    given.resize = Some(size);
                }
                "color_mode" => {
                    given.channels = match value.trim_matches(['\'', '"']) {
                        "grayscale" => Some(1),
                        "rgb" => Some(3),
                        _ => return Err(fault("'grayscale' or 'rgb'", &format!("{name}: {value}"))),
                    }
                }
                "interpolation" => resizes_as = value.trim_matches(['\'', '"']).into(),
                _ => {
                    let why = NOTHING.iter().find(|(names, _)| names.contains(&name)).map(|(_, why)| (*why).into());
                    let known = NOTHING.iter().flat_map(|(names, _)| names.iter()).chain(&ACTING).copied();
                    let unknown = || match nearest(name, known) {
                        Some(near) => format!("not an argument of Keras; did you mean '{near}'?"),
                        None => "not an argument of Keras".into(),
                    };
                    remarks.push(format!("[input] {key}: {name} = {value}: {}", why.unwrap_or_else(unknown)));
                    continue;
                }
            }
            if !acts.contains(&key) {
                acts.push(key);
            }
        }
    }
    if given.resize.is_some() && resizes_as != "bilinear" {
        remarks.push(format!("[input] dataflow_kwargs: pictures are resized as 'bilinear', not as '{resizes_as}'"));
    }
    given.place = format!("[input] {}", acts.join(", "));
    Ok((!acts.is_empty()).then_some(given))
}

/// Names and values of a Python dictionary, `{'name': value}` or `dict(name=value)`.
pub(super) fn dictionary(text: &str) -> Option<Vec<(&str, &str)>> {
    let text = text.trim();
    let (inner, between) = match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        Some(inner) => (inner, ':'),
        None => (text.strip_prefix("dict(")?.strip_suffix(')')?, '='),
    };
    let items = parts(inner).into_iter().filter(|item| !item.trim().is_empty());
    items
        .map(|item| {
            let (name, value) = item.split_once(between)?;
            let name = name.trim().trim_matches(['\'', '"']);
            (!name.is_empty() && !value.trim().is_empty()).then_some((name, value.trim()))
        })
        .collect()
}

/// What is between commas that are in no brackets and no quotes.
pub(super) fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_i32, None);
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth -= 1,
            (None, ',') if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// A number, or a fraction of two, as `1./255`.
pub(super) fn number(text: &str) -> Option<f64> {
    let one = |text: &str| text.trim().parse::<f64>().ok();
    let number = match text.split_once('/') {
        Some((above, below)) => one(above)? / one(below)?,
        None => one(text)?,
    };
    number.is_finite().then_some(number)
}

fn pair(text: &str) -> Option<[u32; 2]> {
    let inner = text.trim().trim_start_matches(['(', '[']).trim_end_matches([')', ']']);
    let numbers: Option<Vec<u32>> =
        inner.split(',').map(|number| number.trim().parse().ok().filter(|&n| n > 0)).collect();
    numbers?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Result<SampleSettings, Error>, Vec<String>) {
        let ini = Ini::parse("config".as_ref(), text).unwrap();
        let mut remarks = Vec::new();
        (SampleSettings::of(&ini, &mut remarks), remarks)
    }

    #[test]
    fn arguments_of_keras_are_keys_of_preprocessing() {
        let text = "[input]\ndatagen_kwargs = {'rescale': 1./255, \"featurewise_center\": True, 'zca_whitening': 0}\n\
            dataflow_kwargs = dict(target_size=(20, 30), color_mode='grayscale', interpolation='bilinear')\n";
        let (read, remarks) = read(text);
        let given = read.unwrap().preprocessing.unwrap();
        assert_eq!((given.resize, given.channels), (Some([20, 30]), Some(1)));
        assert_eq!(given.rescale, Some(1.0 / 255.0));
        assert!(given.featurewise_center && !given.zca_whitening && !given.samplewise_center);
        assert_eq!(given.place, "[input] datagen_kwargs, dataflow_kwargs");
        assert!(remarks.is_empty(), "{remarks:?}");
    }

    #[test]
    fn no_argument_of_keras_is_passed_over() {
        for name in NOTHING.iter().flat_map(|(names, _)| names.iter()) {
            let (read, remarks) = read(&format!("[input]\ndatagen_kwargs = {{'{name}': 0.2}}\n"));
            assert_eq!(read.unwrap().preprocessing, None);
            assert!(remarks[0].starts_with(&format!("[input] datagen_kwargs: {name} = 0.2: ")), "{remarks:?}");
        }
        for name in ACTING.iter().filter(|name| **name != "interpolation") {
            let (read, _) = read(&format!("[input]\ndatagen_kwargs = {{'{name}': 'x'}}\n"));
            let error = read.unwrap_err().to_string();
            assert!(error.contains(&format!("found `{name}: 'x'`")), "{error}");
        }
        let (_, remarks) = read("[input]\ndatagen_kwargs = {'featurewise_centre': True}\n");
        assert!(remarks[0].ends_with("did you mean 'featurewise_center'?"), "{remarks:?}");
        let (_, remarks) = read("[input]\ndataflow_kwargs = {'target_size': (2, 2)}\n");
        assert!(remarks[0].contains("resized as 'bilinear', not as 'nearest'"), "{remarks:?}");
    }

    #[test]
    fn damaged_dictionaries_are_refused() {
        for text in ["rescale", "{'rescale'}", "{'rescale': }", "{: 1}", "dict(rescale)"] {
            let (read, _) = read(&format!("[input]\ndatagen_kwargs = {text}\n"));
            assert!(read.unwrap_err().to_string().contains(DICTIONARY), "{text}");
        }
        for text in ["{}", "{'rescale': None}", "dict()"] {
            assert_eq!(read(&format!("[input]\ndatagen_kwargs = {text}\n")).0.unwrap().preprocessing, None);
        }
    }

    #[test]
    fn settings_of_recordings_are_read() {
        let text = "[input]\nnum_dvs_events_per_sample = 2000\nchip_size = (240, 180)\nframe_gen_method = signed_sum\n\
            dataset_format = aedat\n";
        let read = read(text).0.unwrap();
        assert_eq!((read.events, read.chip_size, read.signs), (Some(2000), Some([240, 180]), Signs::Signed));
        assert_eq!(read.of_recordings.len(), 3);
        assert_eq!(read.format, Some(DatasetFormat::Aedat));
    }
}
