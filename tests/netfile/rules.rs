//! Rule by rule: what a reader of netfiles refuses, with line, expected and found; what it takes; what it warns about.

use megasim::netfile::*;
use megasim::network::{Array, MAX_NEURONS, ModuleKind, Network, Polarity};
use std::fs;
use std::path::Path;

const HEAD: &str =
    "n_in_ports 1\nn_out_ports 1\ndelay_to_process 0\ndelay_to_ack 0\nfifo_depth 0\nn_repeat 1\ndelay_to_repeat 15\n";
const CONV_NEURONS: &str = "Nx_array 4\nNy_array 3\nXmin 0\nYmin 0\nTHplus 100\nTHplusInfo 1\nTHminus -90\n\
    THminusInfo 1\n\
    Reset_to_reminder 1\nMembReset 0\nTLplus 0\nTLminus 0\nTmin 0\nT_Refract 0\n";
const KERNEL: &str = "Nx_kernel 2\nNy_kernel 2\nDx -1\nDy 0\n1 -2\n3 4\n";
const OUTPUT: &str = "crop_xmin 0\ncrop_xmax 3\ncrop_ymin 0\ncrop_ymax 2\nxshift_pre 0\nyshift_pre 0\nx_subsmp 1\n\
    y_subsmp 1\n\
    xshift_pos 0\nyshift_pos 0\nrectify 0\n";
const STATE: &str = ".integers\ntime_busy_initial 0\n.floats\n";

/// A convolution with one port.
fn conv() -> String {
    format!(".integers\n{HEAD}{CONV_NEURONS}{KERNEL}{OUTPUT}.floats\n")
}

/// A fully connected module of two neurons behind three addresses.
fn full() -> String {
    let neurons = CONV_NEURONS.replace("Nx_array 4\nNy_array 3", "population_size 2\nNy_array 1");
    format!(".integers\n{HEAD}{neurons}Nx_array_pre 3\nNy_array_pre 1\n1 2\n3 4\n5 6\n{OUTPUT}.floats\n")
}

fn pool() -> String {
    format!(
        ".integers\n{HEAD}Nx_array 4\nNy_array 4\nNx_pool 2\nNy_pool 2\nDx 0\nDy 0\nx_stride 2\ny_stride 2\nNx_out 2\n\
            Ny_out 2\n.floats\n"
    )
}

/// The text with one change, which must be one.
fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is in the text");
    text.replacen(from, to, 1)
}

#[track_caller]
fn refused(text: &str, kind: Kind, line: usize, expected: &str, found: &str) {
    let error = parse_parameters(text.as_bytes(), kind).expect_err("a fault");
    assert_eq!((error.line, error.expected.as_str(), error.found.as_str()), (line, expected, found), "{error:?}");
}

#[track_caller]
fn conv_refused(from: &str, to: &str, line: usize, expected: &str, found: &str) {
    refused(&with(&conv(), from, to), Kind::Conv, line, expected, found);
}

#[test]
fn the_examples_are_valid() {
    parse_parameters(conv().as_bytes(), Kind::Conv).unwrap();
    parse_parameters(full().as_bytes(), Kind::FullyConnected).unwrap();
    parse_parameters(full().as_bytes(), Kind::Softmax).unwrap();
    parse_parameters(pool().as_bytes(), Kind::MaxPool).unwrap();
}

#[test]
fn missing_unknown_and_double_keys() {
    conv_refused("Tmin 0\n", "", 22, "the key Tmin of the neurons", "`Nx_kernel`");
    conv_refused("Tmin 0\n", "tmin 0\n", 21, "one of the keys Tmin, T_Refract of the neurons", "`tmin`");
    conv_refused(
        "Dx -1\n",
        "Nx_kernel 3\n",
        25,
        "one of the keys Dx, Dy of port block 1 of 1",
        "`Nx_kernel` (a second time)",
    );
    conv_refused("Dy 0\n", "", 26, "the key Dy of port block 1 of 1", "`1`");
    conv_refused("rectify 0\n", "", 39, "the key rectify of the output", "`.floats`");
    conv_refused("rectify 0\n.floats\n", "", 39, "the key rectify of the output", "the end of the file");
    conv_refused("Xmin 0", "Xmin", 11, "an integer after `Xmin`", "the end of the line");
    conv_refused("Xmin 0", "Xmin 0 1", 11, "the end of the line after `Xmin 0`", "`1`");
    refused(&with(&full(), "population_size", "Nx_array"), Kind::FullyConnected, 9, ALL_NEURONS, "`Nx_array`");
    refused("", Kind::Conv, 1, "the section .integers", "an empty file");
    refused(" \r\n\n", Kind::Conv, 3, "the section .integers", "an empty file");
    conv_refused(".integers", ".intergers", 1, "the section .integers", "`.intergers`");
    conv_refused(".floats", ".doubles", 40, "the section .floats", "`.doubles`");
    conv_refused(".floats\n", ".floats\n1.5\n", 41, "the end of the file, as .floats is empty", "`1.5`");
}

const ALL_NEURONS: &str = "one of the keys population_size, Ny_array, Xmin, Ymin, THplus, THplusInfo, THminus, \
    THminusInfo, \
     Reset_to_reminder, MembReset, TLplus, TLminus, Tmin, T_Refract of the neurons";

#[test]
fn ports_match_the_head() {
    conv_refused("n_in_ports 1", "n_in_ports 2", 29, PORT_2, "`crop_xmin`");
    conv_refused(
        "n_in_ports 1",
        "n_in_ports 0",
        23,
        "no more port blocks, as n_in_ports is 0",
        "a further one (`Nx_kernel`)",
    );
    conv_refused("n_in_ports 1", "n_in_ports -1", 2, "0 to 4294967295 (32 bits) for n_in_ports", "-1");
    let more = format!("{KERNEL}{KERNEL}{OUTPUT}");
    conv_refused(
        &format!("{KERNEL}{OUTPUT}"),
        &more,
        29,
        "no more port blocks, as n_in_ports is 1",
        "a further one (`Nx_kernel`)",
    );
    let flatten = format!(".integers\n{HEAD}Nx_array 4\nNy_array 4\nNx_array 4\nNy_array 4\n.floats\n");
    refused(&flatten, Kind::Flatten, 11, "no more port blocks, as n_in_ports is 1", "a further one (`Nx_array`)");
}

const PORT_2: &str = "one of the keys Nx_kernel, Ny_kernel, Dx, Dy of port block 2 of 2";

/// The released toolbox writes kernel-height rows of C numbers for each of C x C' slices; where C is the kernel's
/// width, only the number of blocks tells.
#[test]
fn as_many_channels_as_the_kernel_is_wide() {
    let head = HEAD.replace("n_in_ports 1", "n_in_ports 3");
    let block = "Nx_kernel 3\nNy_kernel 3\nDx -1\nDy -1\n1 2 3\n4 5 6\n7 8 9\n";
    let text = |blocks: usize| format!(".integers\n{head}{CONV_NEURONS}{}{OUTPUT}.floats\n", block.repeat(blocks));
    parse_parameters(text(3).as_bytes(), Kind::Conv).unwrap();
    refused(&text(4), Kind::Conv, 44, "no more port blocks, as n_in_ports is 3", "a further one (`Nx_kernel`)");
    refused(&text(2), Kind::Conv, 37, &PORT_2.replace("2 of 2", "3 of 3"), "`crop_xmin`");
}

#[test]
fn rows_match_their_header() {
    let row = |k, expected: &str| format!("{expected} (row {k} of 2 of port block 1 of 1)");
    conv_refused("1 -2\n", "1 -2 7\n", 27, &row(1, "2 integers"), "3 integers");
    conv_refused("3 4\n", "3\n", 28, &row(2, "2 integers"), "1 integer");
    conv_refused("3 4\n", "", 28, &row(2, "integers of 32 bits"), "`crop_xmin`");
    conv_refused("3 4\n", "3 4\n5 6\n", 29, &format!("one of the keys {} of the output", output_keys()), "`5`");
    conv_refused("3 4", "3 4.5", 28, &row(2, "integers of 32 bits"), "`4.5`");
    conv_refused("3 4", "3 2147483648", 28, &row(2, "integers of 32 bits"), "`2147483648`");
    conv_refused("3 4", "3 -2147483649", 28, &row(2, "integers of 32 bits"), "`-2147483649`");
    let cut = &full()[..full().find("5 6").unwrap()];
    let room = "at most 5 integers for port block 1 of 1, the limit of what the rest of the file can hold";
    refused(cut, Kind::FullyConnected, 23, room, "3 rows of 2");
    let rows = "2 integers (row 3 of 3 of port block 1 of 1)";
    refused(&format!("{cut}    "), Kind::FullyConnected, 27, rows, "the end of the file");
    parse_parameters(with(&conv(), "3 4", "2147483647 -2147483648").as_bytes(), Kind::Conv).unwrap();
}

fn output_keys() -> String {
    let keys: Vec<_> = OUTPUT.lines().map(|line| line.split(' ').next().unwrap().trim()).collect();
    keys.join(", ")
}

#[test]
fn values_have_their_range() {
    let bits = "-2147483648 to 2147483647 (32 bits)";
    conv_refused("THplus 100", "THplus 2147483648", 13, &format!("{bits} for THplus"), "2147483648");
    conv_refused("Dx -1", "Dx 3000000000", 25, &format!("{bits} for Dx"), "3000000000");
    conv_refused("Nx_array 4", "Nx_array 4294967296", 9, "0 to 4294967295 (32 bits) for Nx_array", "4294967296");
    conv_refused(
        "Tmin 0",
        "Tmin 9223372036854775808",
        21,
        "an integer after `Tmin` within 64 bits",
        "`9223372036854775808`",
    );
    parse_parameters(with(&conv(), "Tmin 0", "Tmin 9223372036854775807").as_bytes(), Kind::Conv).unwrap();
    for (line, key) in
        [(4, "delay_to_process"), (5, "delay_to_ack"), (19, "TLplus"), (20, "TLminus"), (21, "Tmin"), (22, "T_Refract")]
    {
        conv_refused(&format!("{key} 0"), &format!("{key} -1"), line, &format!("0 or more for {key}"), "-1");
    }
    conv_refused("delay_to_repeat 15", "delay_to_repeat -1", 8, "0 or more for delay_to_repeat", "-1");
    conv_refused("n_repeat 1", "n_repeat 0", 7, "1 or more for n_repeat", "0");
    conv_refused("x_subsmp 1", "x_subsmp 0", 35, "1 or more for x_subsmp", "0");
    conv_refused("y_subsmp 1", "y_subsmp -2", 36, "1 or more for y_subsmp", "-2");
    for key in ["x_stride", "y_stride", "x_expand", "y_expand"] {
        let block = format!("Dy 0\n{key} 0\n");
        conv_refused("Dy 0\n", &block, 27, &format!("1 or more for {key}"), "0");
    }
    let rule = |keys: &str| with(&pool(), "Ny_out 2\n", &format!("Ny_out 2\n{keys}"));
    for keys in ["average_over 7\n", "leak_decay 1073741824\n", "average_over 0\nleak_decay 5\n", "signed 1\n"] {
        parse_parameters(rule(keys).as_bytes(), Kind::MaxPool).unwrap();
    }
    let one =
        "0; or, in the data port, one of mask_tau (with mask_weight and THplus), signed, average_over and leak_decay,";
    refused(&rule("average_over 7\nleak_decay 5\n"), Kind::MaxPool, 20, &format!("{one} for leak_decay"), "5");
    refused(&rule("signed 1\naverage_over 3\n"), Kind::MaxPool, 20, &format!("{one} for average_over"), "3");
    refused(&rule("average_over -1\n"), Kind::MaxPool, 19, "1 or more for average_over", "-1");
    let part = "1 to 1073741824, which is 2^30, in max pool for leak_decay";
    refused(&rule("leak_decay 1073741825\n"), Kind::MaxPool, 19, part, "1073741825");
    refused(&with(&pool(), "y_stride 2", "y_stride 0"), Kind::MaxPool, 16, "1 or more for y_stride", "0");
    conv_refused("THplusInfo 1", "THplusInfo 2", 14, "0 or 1 for THplusInfo", "2");
    conv_refused("rectify 0", "rectify -1", 39, "0 or 1 for rectify", "-1");
    conv_refused("Reset_to_reminder 1", "Reset_to_reminder 3", 17, "0, 1 or 2 for Reset_to_reminder", "3");
    let one = "1, as the module is not a convolution for Ny_array";
    refused(&with(&full(), "Ny_array 1", "Ny_array 2"), Kind::FullyConnected, 10, one, "2");
}

#[test]
fn thresholds_lie_on_their_sides() {
    let plus = "more than MembReset, as THplusInfo is 1 for THplus";
    let minus = "less than MembReset, as THminusInfo is 1 for THminus";
    conv_refused("THplus 100", "THplus 0", 13, plus, "0");
    conv_refused("MembReset 0", "MembReset 100", 13, plus, "100");
    conv_refused("THminus -90", "THminus 0", 15, minus, "0");
    let ceiling = with(&with(&conv(), "THplus 100", "THplus -5"), "THplusInfo 1", "THplusInfo 0");
    parse_parameters(ceiling.as_bytes(), Kind::Conv).unwrap();
    let modulo = with(&conv(), "Reset_to_reminder 1", "Reset_to_reminder 2");
    parse_parameters(modulo.as_bytes(), Kind::Conv).unwrap();
    let low = with(&with(&modulo, "MembReset 0", "MembReset -50"), "THplus 100", "THplus 0");
    refused(&low, Kind::Conv, 13, "1 or more for a modulo reset for THplus", "0");
    let high = with(&with(&modulo, "MembReset 0", "MembReset 50"), "THminus -90", "THminus 0");
    refused(&high, Kind::Conv, 15, "-1 or less for a modulo reset, as THminusInfo is 1 for THminus", "0");
}

/// What a header announces is compared with a limit, or with what the file can hold, before it is allocated.
#[test]
fn a_billion_is_refused_with_the_limit() {
    let neurons = format!("at most {MAX_NEURONS} neurons (the limit of one module) for Nx_array");
    conv_refused("Nx_array 4\nNy_array 3", "Nx_array 1000000000\nNy_array 1", 9, &neurons, "1000000000");
    conv_refused("Nx_array 4\nNy_array 3", "Nx_array 1000000\nNy_array 1000", 9, &neurons, "1000000000");
    let error = |text: &str, kind| parse_parameters(text.as_bytes(), kind).unwrap_err();
    let rows = error(&with(&full(), "Nx_array_pre 3", "Nx_array_pre 1000000000"), Kind::FullyConnected);
    assert_eq!((rows.line, rows.found.as_str()), (23, "1000000000 rows of 2"));
    assert!(rows.expected.contains("the limit of what the rest of the file can hold"), "{}", rows.expected);
    let rows = error(&with(&full(), "Ny_array_pre 1", "Ny_array_pre 4294967295"), Kind::FullyConnected);
    assert_eq!(rows.found, "12884901885 rows of 2");
    let kernel = error(&with(&conv(), "Ny_kernel 2", "Ny_kernel 1000000000"), Kind::Conv);
    assert_eq!((kernel.line, kernel.found.as_str()), (24, "1000000000 rows of 2"));
    let ports = error(&with(&conv(), "n_in_ports 1", "n_in_ports 1000000000"), Kind::Conv);
    assert_eq!(ports.expected, PORT_2.replace("2 of 2", "2 of 1000000000"));
    let pool = error(&with(&pool(), "Nx_array 4", "Nx_array 1000000000"), Kind::MaxPool);
    assert!(pool.expected.contains("limit of one module"), "{}", pool.expected);
}

/// Blanks, tabs, CRLF, blank lines, blanks behind `.floats`, keys in any order, signs and leading zeros.
#[test]
fn untidy_parameters_say_the_same() {
    let tidy = parse_parameters(conv().as_bytes(), Kind::Conv).unwrap();
    let same = |text: String| assert_eq!(parse_parameters(text.as_bytes(), Kind::Conv).unwrap(), tidy, "{text:?}");
    same(conv().replace('\n', "\r\n"));
    same(conv().replace('\n', " \t \n"));
    same(conv().replace('\n', "\n\n \t\n"));
    same(conv().replace(' ', "\t  "));
    same(conv() + "    ");
    same(conv() + "\n  \r\n");
    same(conv().trim_end().to_string());
    same(conv().replace(".floats\n", ""));
    same(with(&conv(), "THplus 100", "THplus +00000000000000000000100"));
    same(with(&conv(), "Dx -1", "Dx -01"));
    let reversed = |block: &str| block.lines().rev().map(|line| format!("{}\n", line.trim())).collect::<String>();
    same(format!(".integers\n{}{}{KERNEL}{}.floats\n", reversed(HEAD), reversed(CONV_NEURONS), reversed(OUTPUT)));
    same(with(&conv(), "Nx_kernel 2\nNy_kernel 2\nDx -1\nDy 0\n", "Dy 0\nDx -1\nNy_kernel 2\nNx_kernel 2\n"));
    same(with(&conv(), "Dy 0\n", "Dy 0\ny_expand 1\nx_stride 1\n"));
    for number in ["1e3", "1.0", "0x10", "1_000", "--1", "+", "1,5", "∞"] {
        conv_refused(
            "THplus 100",
            &format!("THplus {number}"),
            13,
            "an integer after `THplus`",
            &format!("`{number}`"),
        );
    }
}

#[test]
fn extension_keys_stand_anywhere_in_their_block() {
    let text = with(
        &conv(),
        "Nx_kernel 2\nNy_kernel 2\nDx -1\nDy 0\n",
        "x_stride 2\nNx_kernel 2\ny_expand 5\nNy_kernel 2\nDx -1\ny_stride 3\nDy 0\nx_expand 4\n",
    );
    let ModuleKind::Conv(conv) = parse_parameters(text.as_bytes(), Kind::Conv).unwrap().kind else { panic!("conv") };
    let port = &conv.ports[0];
    assert_eq!((port.x_stride, port.y_stride, port.x_expand, port.y_expand), (2, 3, 4, 5));
    assert_eq!(&port.weights[..], [1, -2, 3, 4]);
    assert_eq!(conv.array, Array { nx: 4, ny: 3, x_min: 0, y_min: 0 });
}

#[test]
fn state_files() {
    assert_eq!(parse_state(b".integers\r\ntime_busy_initial\t12 \r\n.floats\n   \n").unwrap(), 12);
    let error = |text: &str| parse_state(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(error(".integers\ntime_busy_initial -1\n"), "2: expected 0 or more for time_busy_initial, found -1");
    assert_eq!(error(".integers\nbusy 1\n"), "2: expected the key time_busy_initial of the state, found `busy`");
    assert_eq!(error(".integers\n.floats\n"), "2: expected the key time_busy_initial of the state, found `.floats`");
}

#[test]
fn stimuli() {
    let (stimulus, warnings) =
        parse_stimulus(b"\n 5 -1  -1 3 4 1\r\n\t5 -1 -1 -7 0 -1\n\n3 -1 -1 0 -2 -2  \n5 -1 -1 8 8 +1").unwrap();
    assert_eq!(stimulus.t_pre(), [3, 5, 5, 5]);
    assert_eq!(stimulus.x(), [0, 3, -7, 8], "the order within a tick stays");
    assert_eq!(stimulus.polarity()[0], Polarity::Reset);
    assert_eq!(warnings, [(5, WarningKind::Sorted)]);
    assert!(parse_stimulus(b"").unwrap().0.is_empty());
    assert_eq!(parse_stimulus(b"5 5 6 0 0 1\n").unwrap().1, [(1, WarningKind::Handshake)]);
    let error = |text: &str| parse_stimulus(text.as_bytes()).unwrap_err().to_string();
    let six = "6 integers (t_pre t_rqst t_ack x y polarity), or 7 with a value";
    assert_eq!(error("0 -1 -1 0 0 1\n0 -1 -1 0 0\n"), format!("2: expected {six}, found 5"));
    assert_eq!(error("0 -1 -1 0 0 1 1 1\n"), format!("1: expected {six}, found 8"));
    assert_eq!(error("-3 -1 -1 0 0 1\n"), "1: expected 0 or more for t_pre, found `-3`");
    assert_eq!(error("0 -1 -1 0 0 2\n"), "1: expected 1, -1, -2 or -3 for polarity, found `2`");
    assert_eq!(error("0 -1 -1 0 0 0\n"), "1: expected 1, -1, -2 or -3 for polarity, found `0`");
    assert_eq!(
        error("0 -1 -1 2147483648 0 1\n"),
        "1: expected -2147483648 to 2147483647 (32 bits) for x, found `2147483648`"
    );
    assert_eq!(
        error("0 -1 -1 0 -2147483649 1\n"),
        "1: expected -2147483648 to 2147483647 (32 bits) for y, found `-2147483649`"
    );
    assert_eq!(
        error("9223372036854775808 -1 -1 0 0 1"),
        "1: expected an integer for t_pre within 64 bits, found `9223372036854775808`"
    );
    assert_eq!(error("0 -1 -1 0 0.5 1\n"), "1: expected an integer for y, found `0.5`");
    assert_eq!(error("\n\n0 -1 -1 \u{1b}[31m 0 1\n"), "3: expected an integer for x, found `\u{fffd}[31m`");
}

#[test]
fn event_files_have_all_three_times() {
    let error = events::read(b"0 0 0 0 0 1\n1 -1 -1 0 0 1\n").unwrap_err();
    assert_eq!(error.to_string(), "2: expected 0 or more for t_rqst, found `-1`");
}

#[test]
fn schematics() {
    let text = ".netlist\r\nsource  {a%/b}\tdir/x{1},y.stim \r\n\nmodule_conv_NPP { a%/b , r }{c,d}  c.prm\tc.stt\n\
        .options\nTmax = 7 \n";
    let schematic = parse_schematic(text.as_bytes()).unwrap();
    assert_eq!(schematic.t_max, Some(7));
    assert_eq!(
        schematic.lines[0].element,
        LineElement::Source { node: "a%/b".into(), stimulus: "dir/x{1},y.stim".into() }
    );
    let LineElement::Module { kind, not_programmable, inputs, outputs, parameters, state } =
        &schematic.lines[1].element
    else {
        panic!("a module")
    };
    assert_eq!((*kind, *not_programmable, schematic.lines[1].number), (Kind::Conv, true, 4));
    assert_eq!((inputs.join("|"), outputs.join("|")), ("a%/b|r".into(), "c|d".into()));
    assert_eq!((parameters.as_str(), state.as_str()), ("c.prm", "c.stt"));

    let error = |text: &str| parse_schematic(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(error(""), "1: expected the section .netlist, found an empty file");
    assert_eq!(error("source {a} a.stim\n"), "1: expected the section .netlist, found `source`");
    assert_eq!(error(".options\nTmax=1\n"), "3: expected the section .netlist, found the end of the file");
    assert_eq!(error(".netlist\n.optoins\n"), "2: expected the section .netlist or .options, found `.optoins`");
    assert_eq!(error(".netlist\n.options\nTmin=3\n"), "3: expected the option Tmax, found `Tmin`");
    assert_eq!(error(".netlist\n.options\nTmax=1\nTmax=1\n"), "4: expected the option Tmax only once, found `Tmax=1`");
    assert_eq!(error(".netlist\n.options\nTmax=-1\n"), "3: expected 0 or more for Tmax, found `-1`");
    assert_eq!(error(".netlist\n.options\nTmax 5\n"), "3: expected `=` after Tmax, found `5`");
    assert_eq!(error(".netlist\nsource a a.stim\n"), "2: expected the node driven, in braces, found `a`");
    assert_eq!(error(".netlist\nsource {a,b} a.stim\n"), "2: expected one node behind `source`, found 2");
    assert_eq!(error(".netlist\nsource {} a.stim\n"), "2: expected one node behind `source`, found none");
    assert_eq!(error(".netlist\nsource {a b} a.stim\n"), "2: expected `,` or `}` after a node name, found `b}`");
    assert_eq!(error(".netlist\nsource {a,} a.stim\n"), "2: expected a node name, found none");
    assert_eq!(error(".netlist\nsource {a}\n"), "2: expected the file name of a stimulus, found the end of the line");
    assert_eq!(error(".netlist\nsource {a} a.stim more\n"), "2: expected the end of the line, found `more`");
    assert_eq!(
        error(".netlist\nmodule_flatten {a}{b} b.prm\n"),
        "2: expected the file name of the state, found the end of the line"
    );
    assert!(error(".netlist\nmodule_pool {a}{b} b.prm b.stt\n").ends_with("found `module_pool`"));
    assert!(error(".netlist\nmodule_flatten_NPP {a}{b} b.prm b.stt\n").ends_with("found `module_flatten_NPP`"));
    assert_eq!(
        error(".netlist\nsource {a} a.stim\nmodule_flatten {a}{b,a} b.prm b.stt\n"),
        "3: expected a node that nothing else drives, found `a`, driven in line 2 already"
    );
    let error = parse_schematic(b".netlist\nsource {a\xff} a.stim\n").unwrap_err();
    assert_eq!(error.to_string(), "2: expected a node name in UTF-8, found `a\u{fffd}`");
}

fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn messages(directory: &Path) -> Vec<String> {
    let examination = examine(&directory.join("n.sch"));
    let prefix = format!("{}/", directory.display());
    let faults = examination.faults.iter().map(|fault| fault.to_string().replace(&prefix, ""));
    faults.chain(examination.warnings.iter().map(|warning| warning.to_string().replace(&prefix, ""))).collect()
}

#[test]
fn a_directory_tells_every_fault() {
    let schematic = ".netlist\nsource {a} a.stim\nsource {b} nowhere.stim\nmodule_conv {a}{c} c.prm c.stt\nwhat \
        {a}{d} x y\n\
        module_conv {a}{e} e.prm c.stt\nmodule_conv {a}{f} f.prm f.stt\nmodule_conv {}{g} g.prm .\n";
    let bad = with(&conv(), "Tmin 0", "Tmin -4");
    let directory = directory(&[
        ("n.sch", schematic),
        ("a.stim", "0 -1 -1 0 0 3\n"),
        ("c.prm", &conv()),
        ("e.prm", &bad),
        ("f.prm", &conv()),
        ("g.prm", &conv()),
        ("c.stt", ""),
        ("f.stt", STATE),
    ]);
    let messages_found = messages(directory.path());
    let starts = [
        "n.sch:5: expected `source` or a module kind (module_conv, ",
        "a.stim:1: expected 1, -1, -2 or -3 for polarity, found `3`",
        "n.sch:3: expected a readable file `nowhere.stim`, found No such file or directory",
        "c.stt:1: expected the section .integers, found an empty file",
        "e.prm:21: expected 0 or more for Tmin, found -4",
        "n.sch:8: expected a readable file `.`, found a directory",
    ];
    assert_eq!(messages_found.len(), starts.len(), "{messages_found:#?}");
    for (message, start) in messages_found.iter().zip(starts) {
        assert!(message.starts_with(start), "{message} starts with {start}");
    }
}

#[test]
fn inputs_and_outputs_are_counted() {
    let schematic = ".netlist\nsource {a} a.stim\nmodule_conv {a,nothing,late}{c,d} c.prm c.stt\nmodule_conv {}{late} \
        c.prm c.stt\n";
    let files =
        [("n.sch", schematic), ("a.stim", "4 -1 -1 0 0 1\n3 -1 -1 0 0 1\n"), ("c.prm", &conv()), ("c.stt", STATE)];
    assert_eq!(
        messages(directory(&files).path()),
        [
            "n.sch:4: expected an input name for each of the 1 ports (n_in_ports), found 0 names",
            "a.stim:2: events out of time order were sorted",
            "n.sch:3: node {nothing} is read but never driven: no event arrives",
            "n.sch:3: input names beyond n_in_ports (1): on {nothing,late} only resets and controls act",
            "n.sch:3: n_out_ports is 1, but the schematic has 2 output names, which count",
        ]
    );
}

#[test]
fn the_line_at_fault_stands_beside_the_message() {
    let long = format!(".integers\n{}", "7 ".repeat(100_000));
    let error = parse_state(long.as_bytes()).unwrap_err();
    assert!(error.text.chars().count() < 130 && error.text.ends_with('…'), "{}", error.text);
    let far = format!("{}oops 7", "1 ".repeat(1000));
    let error = events::read(far.as_bytes()).unwrap_err();
    assert_eq!((error.line, error.column, &error.text[error.span.clone()]), (1, 2001, "oops"));
    assert!(error.text.starts_with('…'));
}

#[test]
fn no_schematic_to_read() {
    let temporary = tempfile::tempdir().unwrap();
    assert!(matches!(read(temporary.path()), Err(Error::NotAFile { found: "a directory", .. })));
    assert!(matches!(read(&temporary.path().join("n.sch")), Err(Error::Read { .. })));
    assert!(matches!(read(Path::new("/dev/null")), Err(Error::NotAFile { found: "a device or pipe", .. })));
}

#[test]
fn names_that_cannot_be_written() {
    let network = |node: &str| -> Network {
        let mut builder = megasim::network::NetworkBuilder::new();
        builder.source(node).unwrap();
        builder.build(9).unwrap()
    };
    let temporary = tempfile::tempdir().unwrap();
    let (network, stimuli) = (network("a/b"), [megasim::network::Stimulus::new()]);
    let mut files = FileNames::of(&network);
    assert_eq!(files.stimuli, ["source_0.stim"]);
    write(temporary.path(), &network, &stimuli, &files).unwrap();
    for name in ["../x.stim", "/x.stim", "a b.stim", "", "megasim.sch"] {
        files.stimuli = vec![name.into()];
        assert!(matches!(write(temporary.path(), &network, &stimuli, &files), Err(Error::FileName { .. })), "{name}");
    }
    let logs = [Some(megasim::network::EventLog::default())];
    assert!(matches!(write_event_files(temporary.path(), &network, &logs), Err(Error::FileName { .. })));
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 2, "nothing new is left behind");
}

#[test]
fn a_file_of_faults_is_not_read_to_its_end() {
    let lines = "module_nothing\n".repeat(500_000);
    let directory = directory(&[("n.sch", &format!(".netlist\n{lines}")), ("x.sch", &lines)]);
    assert_eq!(examine(&directory.path().join("n.sch")).faults.len(), 100);
    assert_eq!(examine(&directory.path().join("x.sch")).faults.len(), 1);
}

#[test]
fn a_shared_file_at_fault_is_told_once() {
    let schematic = ".netlist\nsource {a} a.stim\nsource {b} a.stim\nmodule_flatten {a}{c} c.prm c.stt\n\
        module_flatten {a}{d} c.prm c.stt\n";
    let directory = directory(&[("n.sch", schematic), ("a.stim", "x"), ("c.prm", ""), ("c.stt", "")]);
    assert_eq!(examine(&directory.path().join("n.sch")).faults.len(), 3);
}
