//! `--force` on what is no regular file: a table of options that name results, by what is under the name.
//!
//! Device nodes need the right to make them (root in a container has it); without, their rows are left out.

use crate::common::*;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

/// What is under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A block device without a driver: to open it fails, to replace it would not.
    Block,
    /// A device as /dev/null is.
    Character,
    /// A device as /dev/full is.
    Full,
    Fifo,
    Socket,
    LinkToFile,
    LinkToDirectory,
    LinkToNothing,
    LinkToDevice,
    /// With a file in it.
    Directory,
}

const KINDS: [Kind; 10] = [
    Kind::Block,
    Kind::Character,
    Kind::Full,
    Kind::Fifo,
    Kind::Socket,
    Kind::LinkToFile,
    Kind::LinkToDirectory,
    Kind::LinkToNothing,
    Kind::LinkToDevice,
    Kind::Directory,
];

impl Kind {
    /// Makes it; whether that is possible here.
    fn make(self, path: &Path) -> bool {
        let node = |kind: &str, numbers: [&str; 2]| {
            let numbers = if kind == "p" { &[][..] } else { &numbers };
            let mut command = Command::new("mknod");
            let status = command.arg(path).arg(kind).args(numbers).stderr(std::process::Stdio::null()).status();
            // In containers a device that may be made may still not be opened.
            status.is_ok_and(|it| it.success())
                && (!matches!(self, Self::Character | Self::Full)
                    || fs::OpenOptions::new().append(true).open(path).is_ok())
        };
        let near = |name: &str| path.with_file_name(name);
        match self {
            // A number that no driver has: 240 to 254 are for local use.
            Self::Block => node("b", ["240", "77"]),
            Self::Character => node("c", ["1", "3"]),
            Self::Full => node("c", ["1", "7"]),
            Self::Fifo => node("p", ["", ""]),
            Self::Socket => UnixListener::bind(path).is_ok(),
            Self::LinkToFile => symlink(near("file"), path).is_ok(),
            Self::LinkToDirectory => symlink(near("directory"), path).is_ok(),
            Self::LinkToNothing => symlink(near("nothing"), path).is_ok(),
            Self::LinkToDevice => symlink("/dev/null", path).is_ok(),
            Self::Directory => fs::create_dir(path).and_then(|()| fs::write(path.join("thesis"), "mine")).is_ok(),
        }
    }

    /// What a command says whose result is a file of this name; none where it writes to it.
    fn refuses_a_file(self) -> Option<&'static str> {
        match self {
            Self::Block => Some("found a block device"),
            Self::Socket => Some("found a socket"),
            Self::Full => Some("cannot be written"),
            Self::LinkToFile | Self::LinkToNothing => Some("found a symbolic link"),
            Self::LinkToDirectory | Self::Directory => Some("found a directory"),
            Self::Character | Self::LinkToDevice | Self::Fifo => None,
        }
    }

    /// What a command says whose result is a directory of this name.
    fn refuses_a_directory(self) -> &'static str {
        match self {
            Self::LinkToFile | Self::LinkToDirectory | Self::LinkToNothing | Self::LinkToDevice => "symbolic link",
            Self::Directory => "no run.json",
            _ => "no directory",
        }
    }
}

/// Each option that names a file, with a command; the name is put in the place of `@`.
#[rustfmt::skip]
const FILES: &[&[&str]] = &[
    &["eval", MODEL, "--data", DATA, "--samples", "3", "--json", "@"],
    &["eval", MODEL, "--data", DATA, "--samples", "3", "--outputs", "@.npy"],
    &["inspect", MODEL, "--json", "@"],
    &["run", "net/megasim.sch", "--out", "new", "--summary", "@"],
    &["encode", DATA, "--samples", "2", "--out", "@"],
    &["classify", "net", "--data", DATA, "--samples", "2", "--json", "@"],
    &["classify", "net", "--data", DATA, "--samples", "2", "--predictions", "@.csv"],
    &["merge", "part", "--json", "@"],
    &["merge", "part", "--predictions", "@.csv"],
    &["compare", "net", "--data", DATA, "--samples", "2", "--causes", "0", "--json", "@"],
    &["latency", "net", "--data", DATA, "--samples", "1", "--hardware", "ideal", "--relief", "0", "--json", "@"],
    &["latency", "net", "--data", DATA, "--samples", "1", "--hardware", "ideal", "--relief", "0", "--trace", "@.csv"],
    &["verify", "net", "--data", DATA, "--samples", "1", "--orders", "1", "--json", "@"],
    &["features", "model.npz", "--data", DATA, "--samples", "3", "--out", "@.npz"],
    &["features", "model.npz", "--data", DATA, "--samples", "3", "--out", "x.npz", "--picture", "@.svg"],
    &["train", "digits.toml", "--data", DATA, "--samples", "5", "--out", "@.npz"],
    &["convert", MODEL, "--data", DATA, "--preset", "toolbox", "--out", "new", "--save-scales", "@"],
    &["convert", MODEL, "--data", DATA, "--out", "new", "--save-parsed", "@.npz"],
    &["convert", MODEL, "--data", DATA, "--out", "new", "--save-normalised", "@.npz"],
    &["convert", MODEL, "--data", DATA, "--preset", "toolbox", "--out", "new", "--export", "@.nir"],
    &["export", "net", "--to", "nir", "--out", "@.nir"],
];

/// Pages: a file, and a directory of files next to it.
#[rustfmt::skip]
const PAGES: &[&[&str]] = &[
    &["classify", "net", "--data", DATA, "--samples", "2", "--report", "@.html"],
    &["report", "swept", "--out", "@.html"],
];

/// Each option that names a directory.
#[rustfmt::skip]
const DIRECTORIES: &[&[&str]] = &[
    &["run", "net/megasim.sch", "--out", "@"],
    &["convert", MODEL, "--data", DATA, "--preset", "toolbox", "--out", "@"],
    &["export", "net", "--to", "brian2", "--out", "@"],
    &["convert", MODEL, "--data", DATA, "--preset", "toolbox", "--out", "new", "--save-activations", "@"],
    &["convert", "model.npz", "--data", DATA, "--samples", "2", "--out", "@"],
    &["toolbox", "config", "--out", "@"],
];

fn place() -> tempfile::TempDir {
    let place = with_net();
    let here = place.path();
    description(here);
    let model = Path::new(MODEL);
    let (directory, name) = (model.parent().unwrap().display(), model.file_stem().unwrap().display());
    let paths = format!("[paths]\npath_wd = {directory}\ndataset_path = {DATA}\nfilename_ann = {name}\n");
    let more = "[simulation]\nduration = 5\nnum_to_test = 2\n[conversion]\nsoftmax_to_relu = True\n";
    fs::write(here.join("config"), paths + more).unwrap();
    for words in [
        &["train", "digits.toml", "--data", DATA, "--samples", "5", "--out", "model.npz"][..],
        &["sweep", "net", "--data", DATA, "--samples", "2", "--over", "duration=5,10", "--out", "swept"],
        &["classify", "net", "--data", DATA, "--samples", "2", "--outcomes", "part"],
    ] {
        megasim(here, words).assert().success();
    }
    fs::write(here.join("file"), "mine").unwrap();
    fs::create_dir(here.join("directory")).unwrap();
    fs::write(here.join("directory/mine"), "mine").unwrap();
    place
}

/// What a path is, so that a change shows: type, number of the file, device, target of a link.
fn state(path: &Path) -> String {
    let found = fs::symlink_metadata(path).unwrap();
    let kind = found.file_type();
    let kinds = [kind.is_block_device(), kind.is_char_device(), kind.is_fifo(), kind.is_socket(), kind.is_dir()];
    format!("{kinds:?} {} {} {:?}", found.ino(), found.rdev(), fs::read_link(path).ok())
}

/// Runs a command on a kind of target; what came out, in a word for the table.
fn run(here: &Path, words: &[&str], kind: Kind, expected: Option<&str>) -> Option<String> {
    let name = words.iter().find(|word| word.starts_with('@')).unwrap().replace('@', "target");
    let path = here.join(&name);
    if !kind.make(&path) {
        let _ = fs::remove_file(&path);
        return None;
    }
    let mine = || content(&here.join("directory")).len() + usize::from(fs::read(here.join("file")).unwrap() == b"mine");
    let before = (state(&path), mine());
    let words: Vec<&str> =
        words.iter().map(|word| if word.starts_with('@') { &name } else { *word }).chain(["--force"]).collect();
    let reader = (kind == Kind::Fifo && expected.is_none()).then(|| {
        let path = path.clone();
        std::thread::spawn(move || fs::read(path).unwrap())
    });
    let output = megasim(here, &words).timeout(std::time::Duration::from_secs(120)).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    match expected {
        Some(expected) => {
            assert_eq!(output.status.code(), Some(1), "{words:?} {kind:?}: {error}");
            // Lines of messages are broken at blanks.
            let line = error.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
            assert!(line.contains(expected), "{words:?} {kind:?}: {error}");
        }
        None => assert_eq!(output.status.code(), Some(0), "{words:?} {kind:?}: {error}"),
    }
    if let Some(reader) = reader {
        assert!(!reader.join().unwrap().is_empty(), "{words:?}");
    }
    assert_eq!((state(&path), mine()), before, "{words:?} {kind:?}");
    assert!(!here.join("nothing").exists(), "{words:?} {kind:?}");
    assert_eq!(leftovers(here), Vec::<std::path::PathBuf>::new(), "{words:?} {kind:?}");
    match kind {
        Kind::Directory => fs::remove_dir_all(&path).unwrap(),
        _ => fs::remove_file(&path).unwrap(),
    }
    Some(expected.map_or("written to, stays".into(), |why| format!("refused: {why}")))
}

#[test]
fn nothing_but_regular_files_and_own_directories_is_replaced() {
    let place = place();
    let here = place.path();
    let (mut done, mut left_out) = (0, 0);
    let mut count = |row: Option<String>, words: &[&str], kind: Kind| {
        match &row {
            Some(row) => println!("{:9} {:18} {:16} {row}", words[0], words[words.len() - 2], format!("{kind:?}")),
            None => println!("{:9} {kind:?} cannot be made here", words[0]),
        }
        *(if row.is_some() { &mut done } else { &mut left_out }) += 1;
    };
    for kind in KINDS {
        for &words in FILES.iter().chain(PAGES) {
            count(run(here, words, kind, kind.refuses_a_file()), words, kind);
        }
        for &words in DIRECTORIES {
            count(run(here, words, kind, Some(kind.refuses_a_directory())), words, kind);
        }
    }
    println!("{done} done, {left_out} left out");
    assert!(done > 150, "{done}");
}
