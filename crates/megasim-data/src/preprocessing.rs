//! `preprocessing.toml`: how pictures become the numbers that a network was trained on.

use super::standardise::Wanted;
use super::{Error, InputScaling};
use crate::Shape;
use image::DynamicImage;
use image::imageops::FilterType;
use ndarray::Array2;
use serde::Deserialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// The name of the file in a data directory.
const FILE_NAME: &str = "preprocessing.toml";

/// The longest side that pictures are resized to, so that memory stays bounded.
const LONGEST_SIDE: u32 = 4096;

/// What is added to variances before whitening where nothing else is said; Keras's default.
const ZCA_EPSILON: f64 = 1e-6;

/// What a pixel consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channels {
    Grey,
    Colour,
}

impl Channels {
    pub(super) fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Colour => 3,
        }
    }
}

/// What is done to each picture: channels, then size, then values.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Preprocessing {
    /// Where it was read, if there is a file.
    path: Option<PathBuf>,
    resize: Option<Size>,
    crop: Option<Size>,
    /// None: values are divided by 255.
    rescale: Option<f32>,
    mean: Vec<f32>,
    std: Vec<f32>,
    pub(super) standardisation: Wanted,
    /// None: what the network takes.
    pub(super) channels: Option<Channels>,
}

/// Size in pixels, above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) height: u32,
    pub(super) width: u32,
}

impl Size {
    pub(super) fn of(image: &DynamicImage) -> Self {
        Self { height: image.height(), width: image.width() }
    }
}

/// What is done to samples, said elsewhere than in `preprocessing.toml`, whose keys these are; a file next to the data
/// is refused then.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GivenPreprocessing {
    /// The file that says it, for messages.
    pub path: PathBuf,
    /// Where in the file.
    pub place: String,
    /// Height and width that pictures are resized to.
    pub resize: Option<[u32; 2]>,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: Option<u8>,
    /// Factor on values from 0 to 255; else they are divided by 255.
    pub rescale: Option<f32>,
    /// The mean of each sample becomes 0.
    pub samplewise_center: bool,
    /// The standard deviation of each sample becomes 1.
    pub samplewise_std_normalization: bool,
    /// The mean of each channel (or feature) becomes 0.
    pub featurewise_center: bool,
    /// The standard deviation of each channel (or feature) becomes 1.
    pub featurewise_std_normalization: bool,
    /// Numbers of samples become uncorrelated.
    pub zca_whitening: bool,
    /// What is added to variances before whitening.
    pub zca_epsilon: Option<f64>,
}

impl GivenPreprocessing {
    fn keys(&self) -> Keys {
        Keys {
            resize: self.resize,
            crop: None,
            rescale: self.rescale,
            mean: None,
            std: None,
            channels: self.channels,
            samplewise_center: Some(self.samplewise_center),
            samplewise_std_normalization: Some(self.samplewise_std_normalization),
            featurewise_center: Some(self.featurewise_center),
            featurewise_std_normalization: Some(self.featurewise_std_normalization),
            zca_whitening: Some(self.zca_whitening),
            zca_epsilon: self.zca_epsilon,
        }
    }
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    resize: Option<[u32; 2]>,
    crop: Option<[u32; 2]>,
    rescale: Option<f32>,
    mean: Option<Vec<f32>>,
    std: Option<Vec<f32>>,
    channels: Option<u8>,
    samplewise_center: Option<bool>,
    samplewise_std_normalization: Option<bool>,
    featurewise_center: Option<bool>,
    featurewise_std_normalization: Option<bool>,
    zca_whitening: Option<bool>,
    zca_epsilon: Option<f64>,
}

fn line_at(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count()
}

/// The line of a key.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let (name, _) = table.get_ref().iter().find(|(name, _)| name.get_ref() == key)?;
    Some(line_at(text, name.span().start))
}

/// What the samples of a data directory are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Pictures,
    Arrays,
}

impl Preprocessing {
    /// What was given; else reads the file of a data directory, if there is one.
    pub(super) fn read(directory: &Path, of: Of, given: Option<&GivenPreprocessing>) -> Result<Self, Error> {
        let path = directory.join(FILE_NAME);
        let text = match (fs::read_to_string(&path), given) {
            (Err(error), None) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            (Err(error), Some(given)) if error.kind() == io::ErrorKind::NotFound => {
                let fault = |_: &str, message: String| Error::Unusable {
                    path: given.path.clone(),
                    place: given.place.clone(),
                    message,
                };
                return Self::of(given.keys(), of, None, &fault);
            }
            (Ok(_), Some(given)) => {
                let message = format!("expected what is done to samples in one place, found {} too", path.display());
                return Err(Error::Unusable { path: given.path.clone(), place: given.place.clone(), message });
            }
            (Ok(text), None) => text,
            (Err(source), _) => return Err(Error::Unreadable { path, source }),
        };
        let fault = |key: &str, message: String| {
            let line = line_of(&text, key).unwrap_or(1);
            Error::Unusable { path: path.clone(), place: format!("line {line}"), message }
        };
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let line = line_at(&text, error.span().map_or(0, |span| span.start));
            Error::Unusable { path: path.clone(), place: format!("line {line}"), message: error.message().to_string() }
        })?;
        // A message quotes the key that it is about before those that it expects.
        let keys: Keys = toml::Value::Table(table.clone()).try_into().map_err(|error: toml::de::Error| {
            let message = error.to_string().trim_end().replace('\n', " ");
            let key = message.split('`').skip(1).step_by(2).find(|quoted| table.contains_key(*quoted));
            fault(key.unwrap_or_default(), message.clone())
        })?;
        Self::of(keys, of, Some(path.clone()), &fault)
    }

    /// Checks keys; `fault` makes an error of a key and a message.
    fn of(keys: Keys, of: Of, path: Option<PathBuf>, fault: &dyn Fn(&str, String) -> Error) -> Result<Self, Error> {
        let of_pictures =
            [("resize", keys.resize.is_some()), ("crop", keys.crop.is_some()), ("channels", keys.channels.is_some())];
        if let (Of::Arrays, Some((key, _))) = (of, of_pictures.iter().find(|(_, is_given)| *is_given)) {
            return Err(fault(key, format!("expected '{key}' with pictures, found arrays, which have a shape")));
        }
        let size = |key: &str, value: Option<[u32; 2]>| {
            value
                .map(|value| match value {
                    [height, width] if [height, width].iter().all(|side| (1..=LONGEST_SIDE).contains(side)) => {
                        Ok(Size { height, width })
                    }
                    found => {
                        let message =
                            format!("expected '{key}' as [height, width] from 1 to {LONGEST_SIDE}, found {found:?}");
                        Err(fault(key, message))
                    }
                })
                .transpose()
        };
        let channels = keys.channels.map(|value| match value {
            1 => Ok(Channels::Grey),
            3 => Ok(Channels::Colour),
            found => Err(fault("channels", format!("expected 'channels' as 1 or 3, found {found}"))),
        });
        let channels = channels.transpose()?;
        let per_channel = |key: &str, value: Option<Vec<f32>>, fits: fn(f32) -> bool, what: &str| {
            let Some(found) = value else { return Ok(Vec::new()) };
            let expected = match (of, channels) {
                (Of::Arrays, _) => "1 or more".to_string(),
                (Of::Pictures, None) => "1 or 3".to_string(),
                (Of::Pictures, Some(channels)) => channels.count().to_string(),
            };
            let count = match of {
                Of::Arrays => !found.is_empty(),
                Of::Pictures => channels.map_or(matches!(found.len(), 1 | 3), |it| it.count() == found.len()),
            };
            if !count || !found.iter().all(|&value| fits(value)) {
                let message = format!("expected '{key}' as {expected} {what}, one a channel, found {found:?}");
                return Err(fault(key, message));
            }
            Ok(found)
        };
        let rescale = keys.rescale.map(|value| match value {
            factor if factor.is_finite() && factor != 0.0 => Ok(factor),
            found => Err(fault("rescale", format!("expected 'rescale' as a factor other than 0, found {found}"))),
        });
        let is_set = |key: Option<bool>| key.unwrap_or(false);
        let whitens = is_set(keys.zca_whitening);
        let epsilon = match keys.zca_epsilon {
            None => ZCA_EPSILON,
            Some(epsilon) if whitens && epsilon.is_finite() && epsilon > 0.0 => epsilon,
            Some(found) => {
                let message = format!("expected 'zca_epsilon' above 0, with 'zca_whitening = true', found {found}");
                return Err(fault("zca_epsilon", message));
            }
        };
        let standardisation = Wanted {
            sample_center: is_set(keys.samplewise_center),
            sample_std: is_set(keys.samplewise_std_normalization),
            feature_center: is_set(keys.featurewise_center),
            feature_std: is_set(keys.featurewise_std_normalization),
            whitening: whitens.then_some(epsilon),
        };
        Ok(Self {
            resize: size("resize", keys.resize)?,
            crop: size("crop", keys.crop)?,
            rescale: rescale.transpose()?,
            mean: per_channel("mean", keys.mean, f32::is_finite, "numbers")?,
            std: per_channel("std", keys.std, |value| value.is_finite() && value > 0.0, "numbers above 0")?,
            standardisation,
            channels,
            path,
        })
    }

    /// The file, if there is one.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Refuses what was made for another number of channels than the network takes.
    pub(super) fn check(&self, channels: Channels) -> Result<(), Error> {
        let expected = channels.count();
        let fault = |key: &str, found: usize| {
            let path = self.path.clone().unwrap_or_default();
            let message =
                format!("expected {expected}, as the network takes pictures of {expected} channels, found {found}");
            Err(Error::Unusable { path, place: format!("'{key}'"), message })
        };
        match (self.channels, self.mean.len(), self.std.len()) {
            (Some(found), ..) if found != channels => fault("channels", found.count()),
            (_, n, _) if n != 0 && n != expected => fault("mean", n),
            (.., n) if n != 0 && n != expected => fault("std", n),
            _ => Ok(()),
        }
    }

    /// Refuses means and deviations of another number of channels than an array of samples has; one is for all.
    pub(super) fn check_channels(&self, shape: Shape) -> Result<(), String> {
        let expected = shape.channels();
        let given = [("mean", self.mean.len()), ("std", self.std.len())];
        match given.into_iter().find(|&(_, found)| found > 1 && found != expected) {
            None => Ok(()),
            Some((key, found)) => {
                let each = if expected == 1 { String::new() } else { format!(" or {expected}, one a channel") };
                Err(format!("expected '{key}' of {FILE_NAME} with 1 number{each}, found {found}"))
            }
        }
    }

    /// Whether numbers are taken as they are stored, bytes too, and multiplied by a factor.
    pub(super) fn rescales(&self) -> bool {
        self.rescale.is_some()
    }

    /// Changes samples of an array that no network says the shape of: `(samples, numbers)`, axes of a sample as they
    /// are stored, channels first or last.
    pub(super) fn apply_as_stored(&self, samples: &mut Array2<f32>, sample: &[usize]) -> Result<(), String> {
        if !self.standardisation.is_none() {
            let message = "expected no standardisation where no network says the shape of samples, found it asked for";
            return Err(format!("{message} in {FILE_NAME}"));
        }
        let channels = self.mean.len().max(self.std.len());
        let numbers = samples.ncols();
        let factor = self.rescale.unwrap_or(1.0);
        let channel: Box<dyn Fn(usize) -> usize> = match (sample.first(), sample.last()) {
            _ if channels <= 1 => Box::new(|_| 0),
            (_, Some(&last)) if last == channels => Box::new(move |number| number % channels),
            (Some(&first), _) if first == channels => Box::new(move |number| number / (numbers / channels).max(1)),
            _ => return Err(format!("expected samples of {channels} channels, as {FILE_NAME} says, found {sample:?}")),
        };
        for ((_, number), value) in samples.indexed_iter_mut() {
            *value = self.standardised(*value * factor, channel(number));
        }
        Ok(())
    }

    /// Changes samples of an array, `(samples, numbers)`.
    pub(super) fn apply(&self, samples: &mut Array2<f32>, shape: Shape) {
        if self.rescale.is_none() && self.mean.is_empty() && self.std.is_empty() {
            return;
        }
        let factor = self.rescale.unwrap_or(1.0);
        let cells = shape.len() / shape.channels().max(1);
        for ((_, number), value) in samples.indexed_iter_mut() {
            *value = self.standardised(*value * factor, number / cells.max(1));
        }
    }

    /// Channels and size. Grey is made of colour with the weights of ITU-R BT.601, as Pillow, and so Keras and
    /// torchvision, do.
    ///
    /// # Errors
    /// If there is less to see than is to be cut out.
    pub(super) fn shaped(&self, image: DynamicImage, channels: Channels) -> Result<DynamicImage, String> {
        let mut image = match channels {
            Channels::Colour => DynamicImage::ImageRgb8(image.into_rgb8()),
            Channels::Grey => grey(image),
        };
        if let Some(Size { height, width }) = self.resize {
            image = image.resize_exact(width, height, FilterType::Triangle);
        }
        if let Some(Size { height, width }) = self.crop {
            let Size { height: rows, width: columns } = Size::of(&image);
            if rows < height || columns < width {
                return Err(format!(
                    "expected at least {height} x {width} pixels (height x width) to crop, found {rows} x {columns}; \
                        'resize' in {FILE_NAME} makes pictures of one size"
                ));
            }
            image = image.crop_imm((columns - width) / 2, (rows - height) / 2, width, height);
        }
        Ok(image)
    }

    /// The value of a byte of a channel.
    pub(super) fn value(&self, byte: u8, channel: usize, scaling: InputScaling) -> f32 {
        let byte = f32::from(byte);
        let value = self.rescale.map_or(byte / scaling.divisor(), |factor| byte * factor);
        self.standardised(value, channel)
    }

    fn standardised(&self, value: f32, channel: usize) -> f32 {
        let of = |values: &[f32]| values.get(channel).or(values.last()).copied();
        (value - of(&self.mean).unwrap_or(0.0)) / of(&self.std).unwrap_or(1.0)
    }
}

fn grey(image: DynamicImage) -> DynamicImage {
    if !image.color().has_color() {
        return DynamicImage::ImageLuma8(image.into_luma8());
    }
    let colour = image.into_rgb8();
    let luma = |x, y| {
        let [red, green, blue] = colour.get_pixel(x, y).0.map(u32::from);
        // 0.299 R + 0.587 G + 0.114 B in 16 fraction bits; the weights add up to 65,536, so at most 255 comes out.
        image::Luma([((19_595 * red + 38_470 * green + 7_471 * blue + 0x8000) >> 16) as u8])
    };
    DynamicImage::ImageLuma8(image::GrayImage::from_fn(colour.width(), colour.height(), luma))
}
