//! The equations of neurons of each spike code.

use super::SpikeCode;

/// Neurons that read patterns from millisecond `first` on, and fire theirs behind it.
///
/// `v` is 16 times the sum of `w 2^-(i + 1)` over the spikes of the bits `i`; the level that it is, of `2^bits - 1`, is
/// rounded, and its bits are fired.
pub(super) fn pattern(bits: u32, first: u32) -> String {
    let full = 1u32 << bits;
    let levels = full - 1;
    let reads = "time + elapsed >= first && time + elapsed < first + bits";
    // What is behind the point is kept, so that the order of the input does not matter.
    let gain = format!("(if {reads} {{ input * 8 * shift_right(full, time + elapsed - first) }} else {{ 0 }})");
    let sum = format!("(v * full + low + {gain})");
    let fires = "time >= first + bits && time < first + 2 * bits && sent < time";
    let level = "min(levels, (max(v, 0) * levels * 2 + THplus * 16) / (THplus * 32))";
    format!(
        "[parameters]\nbits = {bits}\nfirst = {first}\nlevels = {levels}\nfull = {full}\n\n[state]\nv = 0\nlow = 0\n\
         time = 0\nsent = -1\n\n[update]\ntime = \"time + elapsed\"\nv = \"shift_right({sum}, bits)\"\nlow = \"{sum} - \
         shift_right({sum}, bits) * full\"\n\n[spike]\nwhen = \"{fires} \
         && shift_right({level}, first + 2 * bits - 1 - time) % 2 == 1\"\nreset.sent = \"time\"\n"
    )
}

/// Neurons whose first spike counts. Those that read `values` take them as a current of a millisecond; to the others a
/// spike is a current from then on.
///
/// A neuron is tested when a millisecond is over: it fires one later than it gets there, and all of its input of that
/// millisecond counts, in whatever order it came. So both modes make the same spikes.
pub(super) fn single_spikes(code: SpikeCode, values: bool) -> String {
    let sum = if values { "v + input" } else { "v + current * elapsed + input" };
    let (state, update) = if values { ("", "") } else { ("current = 0\n", "current = \"current + input\"\n") };
    let ready = "ready = \"if elapsed > 0 { v } else { ready }\"";
    if code == SpikeCode::Ttfs {
        return format!(
            "[state]\nv = 0\n{state}ready = 0\nfired = 0\n\n[update]\nv = \"if fired == 1 {{ v }} else {{ {sum} \
             }}\"\n{update}{ready}\n\n[spike]\nwhen = \"fired == 0 && ready >= THplus\"\nreset.fired = 1\n"
        );
    }
    format!(
        "[state]\nv = 0\n{state}ready = 0\non = 0\n\n[update]\nv = \"{sum}\"\n{update}{ready}\n\n[spike]\nwhen = \
         \"on == 0 && ready >= THplus\"\nreset.on = 1\n\n[negative_spike]\nwhen = \"on == 1 && ready < \
         THplus\"\nreset.on = 0\n"
    )
}

/// What a neuron of [`SpikeCode::TtfsDynThresh`] says, or the one next to it with the same input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// That it fires.
    Fires,
    /// That it is about to (1), and that it no longer is (-1): its current is positive, and it has not fired.
    IsAboutToFire,
}

/// Neurons whose first spike counts, and whose thresholds are higher by what all neurons could take away, or add, that
/// are about to fire.
///
/// Spikes come in even ticks, and who is about to fire in odd ones. As in [`single_spikes`], a neuron is tested when a
/// millisecond is over; the threshold is that of the millisecond before, as in SNN toolbox.
pub(super) fn waiting_spikes(values: bool, says: Says) -> String {
    let even = "(time + elapsed) % 2 == 0";
    // The first update of a millisecond; variables are those that the one before ended with.
    let begins = format!("elapsed > 0 && {even}");
    let spikes = format!("(if {even} {{ input }} else {{ 0 }})");
    let (gained, current) = match values {
        true => ("0".to_owned(), format!("(if {begins} {{ 0 }} else {{ current }}) + {spikes}")),
        false => (format!("(if {begins} {{ current }} else {{ 0 }})"), format!("current + {spikes}")),
    };
    let reaches = format!("{begins} && v >= THplus + raised");
    let state = "[state]\nv = 0\ncurrent = 0\nmissing = 0\nraised = 0\ntime = 0\nfired = 0\n";
    let update = format!(
        "\n[update]\ntime = \"time + elapsed\"\nv = \"if fired == 1 {{ v }} else {{ v + {gained} + {spikes} \
         }}\"\ncurrent = \"{current}\"\nmissing = \"if {even} {{ missing }} else {{ missing + input }}\"\nraised = \
         \"if {begins} {{ missing }} else {{ raised }}\"\nfired = \"if fired == 1 || ({reaches}) {{ 1 }} else {{ 0 \
         }}\"\n"
    );
    match says {
        Says::Fires => {
            format!("{state}sent = 0\n{update}\n[spike]\nwhen = \"fired == 1 && sent == 0\"\nreset.sent = 1\n")
        }
        Says::IsAboutToFire => format!(
            "{state}about = 0\nsent = 0\n{update}about = \"if {begins} {{ if current > 0 && fired == 0 && !({reaches}) \
             {{ 1 }} else {{ 0 }} }} else {{ about }}\"\n\n[spike]\nwhen = \"about == 1 && sent == 0\"\nreset.sent = \
             1\n\n[negative_spike]\nwhen = \"about == 0 && sent == 1\"\nreset.sent = 0\n"
        ),
    }
}
