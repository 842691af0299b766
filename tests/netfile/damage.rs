//! Damaged netfiles: whatever is done to their bytes, the reader comes back with a network or with faults, and never
//! asks for more memory at once than a small multiple of the bytes it was given.

use crate::random_network::random_network;
use megasim::netfile::{self, FileNames, Kind};
use proptest::prelude::*;
use proptest::sample::Index;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::Path;

/// Remembers the largest request of each thread: other tests run at the same time, and the reader uses one thread.
struct Watched;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn note(size: usize) {
    LARGEST.set(LARGEST.get().max(size));
}

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// Fewer where a case takes ten times as long.
const CASES: u32 = if cfg!(debug_assertions) { 150 } else { 1000 };

/// Room for the test's own needs, and for names and messages.
const AT_ONCE: usize = 4 << 20;

/// One thing that happens to a file.
#[derive(Debug, Clone)]
enum Damage {
    Flip(Index, u8),
    Truncate(Index),
    CutLine(Index),
    DoubleLine(Index),
    SwapLines(Index, Index),
    Number(Index, &'static str),
    Insert(Index, Vec<u8>),
    Empty,
}

const EXTREMES: [&str; 16] = [
    "0",
    "-1",
    "2",
    "1000000000",
    "99999999",
    "2147483647",
    "2147483648",
    "-2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999999999",
    "1.5",
    "1e9",
    "x",
];

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<Index>;
    prop_oneof![
        4 => (index(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        2 => index().prop_map(Damage::Truncate),
        2 => index().prop_map(Damage::CutLine),
        1 => index().prop_map(Damage::DoubleLine),
        1 => (index(), index()).prop_map(|(a, b)| Damage::SwapLines(a, b)),
        8 => (index(), prop::sample::select(&EXTREMES[..])).prop_map(|(at, number)| Damage::Number(at, number)),
        1 => (index(), proptest::collection::vec(any::<u8>(), 1..12)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => Just(Damage::Empty),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    if bytes.is_empty() {
        return;
    }
    let lines = || bytes.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    match damage {
        Damage::Flip(at, bit) => {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        Damage::Truncate(at) => bytes.truncate(at.index(bytes.len())),
        Damage::CutLine(at) => {
            let mut lines = lines();
            lines.remove(at.index(lines.len()));
            *bytes = lines.concat();
        }
        Damage::DoubleLine(at) => {
            let mut lines = lines();
            let at = at.index(lines.len());
            lines.insert(at, lines[at].clone());
            *bytes = lines.concat();
        }
        Damage::SwapLines(a, b) => {
            let mut lines = lines();
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
            *bytes = lines.concat();
        }
        Damage::Number(at, number) => {
            let is_digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'-';
            let near = bytes[at.index(bytes.len())..].iter().position(is_digit);
            let Some(start) = near.map(|near| near + at.index(bytes.len())) else { return };
            let end =
                bytes[start..].iter().position(|byte| !is_digit(byte)).map_or(bytes.len(), |length| start + length);
            bytes.splice(start..end, number.bytes());
        }
        Damage::Insert(at, more) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, more.iter().copied());
        }
        Damage::Empty => bytes.clear(),
    }
}

fn examine(directory: &Path, schematic: &str) -> netfile::Examination {
    LARGEST.set(0);
    let examination = netfile::examine(&directory.join(schematic));
    let largest = LARGEST.get();
    assert!(largest < AT_ONCE, "{largest} bytes asked for at once");
    examination
}

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]

    #[test]
    fn a_damaged_directory_is_read_or_refused(
        (network, stimuli) in random_network(),
        wounds in proptest::collection::vec((any::<Index>(), damage()), 1..4),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let names = FileNames::of(&network);
        netfile::write(directory.path(), &network, &stimuli, &names).unwrap();
        let files = files(directory.path());
        for (which, damage) in &wounds {
            // Half of all wounds go to the schematic, which matters most.
            let file = match which.index(2) {
                0 => directory.path().join(&names.schematic),
                _ => files[which.index(files.len())].clone(),
            };
            let mut bytes = fs::read(&file).unwrap();
            apply(&mut bytes, damage);
            fs::write(&file, bytes).unwrap();
        }
        let examination = examine(directory.path(), &names.schematic);
        prop_assert_eq!(examination.netfiles.is_some(), examination.faults.is_empty());
        for fault in &examination.faults {
            prop_assert!(!fault.to_string().is_empty());
            if let netfile::Error::Text { path, fault } = fault {
                let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
                prop_assert!(fault.line >= 1 && fault.line <= text.split('\n').count(), "{:?}", fault);
                prop_assert!(fault.text.get(fault.span.clone()).is_some(), "{:?}", fault);
                prop_assert!(fault.text.len() < 1000 && fault.found.len() < 1000);
            }
        }
        // What was read can be looked at, and says the same when written and read again.
        if let Some(read) = examination.netfiles {
            netfile::inspect::headroom(&read.network, &read.stimuli);
            netfile::inspect::samples(&read.network, &read.stimuli);
            netfile::inspect::misfits(&read.network, &read.stimuli);
            let again = tempfile::tempdir().unwrap();
            let names = FileNames::of(&read.network);
            netfile::write(again.path(), &read.network, &read.stimuli, &names).unwrap();
            let second = netfile::read(&again.path().join(&names.schematic)).unwrap();
            prop_assert_eq!(second.network, read.network);
            prop_assert_eq!(second.stimuli, read.stimuli);
        }
    }

    #[test]
    fn bytes_that_were_never_a_netfile(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = netfile::parse_schematic(&bytes);
        let _ = netfile::parse_state(&bytes);
        let _ = netfile::parse_stimulus(&bytes);
        let _ = netfile::events::read(&bytes);
        for kind in [Kind::Conv, Kind::FullyConnected, Kind::Softmax, Kind::Flatten, Kind::MaxPool] {
            let _ = netfile::parse_parameters(&bytes, kind);
        }
    }

    #[test]
    fn words_of_a_netfile_in_any_order(words in proptest::collection::vec(prop::sample::select(&WORDS[..]), 0..60)) {
        let text = words.concat();
        let _ = netfile::parse_schematic(text.as_bytes());
        for kind in [Kind::Conv, Kind::FullyConnected, Kind::Flatten, Kind::MaxPool] {
            let _ = netfile::parse_parameters(text.as_bytes(), kind);
        }
    }
}

const WORDS: [&str; 24] = [
    ".integers\n",
    ".floats\n",
    ".netlist\n",
    ".options\n",
    "Tmax=",
    "source ",
    "module_conv",
    "_NPP",
    " {",
    "}",
    ",",
    "a",
    "\n",
    " ",
    "n_in_ports 1\n",
    "Nx_array ",
    "Ny_array 1\n",
    "Nx_kernel ",
    "x_stride 1\n",
    "1",
    "-2 ",
    "99999999999999999999",
    "\r\n",
    "\u{feff}",
];
