//! The bare loop: layers one after the other in each tick, rows added, thresholds tested after each spike, nothing
//! else.

use megasim::network::{Stimulus, Tick};
use megasim_core::vectorized;
use std::sync::Arc;

/// Input spikes tick by tick, as line indices.
pub struct Input {
    spikes: Vec<(u32, u32)>,
    /// Where each tick starts, and the end.
    ticks: Vec<usize>,
}

impl Input {
    pub fn of(stimulus: &Stimulus, ticks: Tick) -> Self {
        let spikes = stimulus.iter().map(|event| (event.x as u32, event.y as u32)).collect();
        let starts = (0..=ticks).map(|t| stimulus.t_pre().partition_point(|&at| at < t)).collect();
        Self { spikes, ticks: starts }
    }
}

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub operations: u64,
    pub spikes: u64,
}

pub enum Layer {
    /// Spikes are line indices.
    Dense { weights: Arc<[i32]>, v: Vec<i32> },
    /// Spikes are `(input map * side * side) + y * side + x`; potentials `(y, x, map)`, taps
    /// `(input map, row, column, map)`.
    Conv { taps: Vec<i32>, v: Vec<i32>, maps: usize, side: usize, kernel: usize, by_map: Vec<Vec<u32>> },
    /// Spikes `(map, y, x)`; every spike adds one weight to its 2x2 window.
    Pool { v: Vec<i32>, side: usize, weight: i32 },
    /// Spikes pass.
    Flatten,
}

impl Layer {
    pub fn dense(weights: Arc<[i32]>, n: usize) -> Self {
        Self::Dense { weights, v: vec![0; n] }
    }

    /// `kernels[map][input map]`, applied to the events as they are (`kernel[j][i]` reaches `x - (kernel - 1) + i`).
    pub fn conv(kernels: &[Vec<Arc<[i32]>>], side: usize, kernel: usize) -> Self {
        let (maps, inputs, out) = (kernels.len(), kernels[0].len(), side - kernel + 1);
        assert!(maps.is_power_of_two());
        let all = (0..inputs).flat_map(|input| (0..kernel * kernel).map(move |tap| (input, tap)));
        let taps = all.flat_map(|(input, tap)| kernels.iter().map(move |kernels| kernels[input][tap])).collect();
        Self::Conv { taps, v: vec![0; out * out * maps], maps, side, kernel, by_map: vec![Vec::new(); maps] }
    }

    pub fn pool(maps: usize, side: usize, weight: i32) -> Self {
        Self::Pool { v: vec![0; maps * (side / 2) * (side / 2)], side, weight }
    }

    pub fn flatten() -> Self {
        Self::Flatten
    }
}

pub struct Floor {
    layers: Vec<Layer>,
    /// Columns of the input.
    width: usize,
    pub threshold: i32,
    ring: Option<(usize, usize)>,
    now: Vec<u32>,
    next: Vec<u32>,
}

impl Floor {
    pub fn new(layers: Vec<Layer>, width: usize, threshold: i32) -> Self {
        Self { layers, width, threshold, ring: None, now: Vec::new(), next: Vec::new() }
    }

    pub fn ring(n: usize, spikes: usize, threshold: i32) -> Self {
        Self { layers: Vec::new(), width: 1, threshold, ring: Some((n, spikes)), now: Vec::new(), next: Vec::new() }
    }

    pub fn run(&mut self, input: &Input) -> Counts {
        let mut counts = Counts::default();
        if let Some((n, spikes)) = self.ring {
            self.run_ring(n, spikes, input.ticks.len() as u64, &mut counts);
            return counts;
        }
        for layer in &mut self.layers {
            match layer {
                Layer::Dense { v, .. } | Layer::Conv { v, .. } | Layer::Pool { v, .. } => v.fill(0),
                Layer::Flatten => {}
            }
        }
        for tick in input.ticks.windows(2) {
            self.now.clear();
            self.now.extend(input.spikes[tick[0]..tick[1]].iter().map(|&(x, y)| x + y * self.width as u32));
            for layer in &mut self.layers {
                self.next.clear();
                layer.take(&self.now, self.threshold, &mut self.next, &mut counts);
                std::mem::swap(&mut self.now, &mut self.next);
                counts.spikes += self.now.len() as u64;
            }
        }
        counts
    }

    /// A bucket for this tick and one for the next.
    fn run_ring(&mut self, n: usize, spikes: usize, ticks: u64, counts: &mut Counts) {
        let mut v = vec![0; n];
        self.now.clear();
        self.now.extend((0..n as u32).step_by(n / spikes));
        for _ in 0..ticks {
            self.next.clear();
            for &k in &self.now {
                let v = &mut v[k as usize];
                *v += self.threshold;
                counts.operations += 1;
                if *v >= self.threshold {
                    *v -= self.threshold;
                    counts.spikes += 1;
                    self.next.push(if k as usize + 1 == n { 0 } else { k + 1 });
                }
            }
            std::mem::swap(&mut self.now, &mut self.next);
        }
    }
}

impl Layer {
    fn take(&mut self, spikes: &[u32], threshold: i32, out: &mut Vec<u32>, counts: &mut Counts) {
        match self {
            Self::Dense { weights, v } => {
                counts.operations += (spikes.len() * v.len()) as u64;
                dense(v, weights, spikes, threshold, out);
            }
            Self::Conv { taps, v, maps, side, kernel, by_map } => {
                let mut crossed = std::mem::take(out);
                counts.operations += conv(v, taps, (*maps, *side, *kernel), spikes, threshold, &mut crossed);
                // Potentials are (y, x, map), spikes (map, y, x), and those of one map follow each other.
                let positions = (v.len() / *maps) as u32;
                let shift = maps.trailing_zeros();
                for &n in &crossed {
                    let map = n & (*maps as u32 - 1);
                    by_map[map as usize].push(map * positions + (n >> shift));
                }
                crossed.clear();
                *out = crossed;
                by_map.iter_mut().for_each(|spikes| out.append(spikes));
            }
            Self::Pool { v, side, weight } => {
                counts.operations += spikes.len() as u64;
                let (size, out_side) = (*side * *side, *side / 2);
                let mut spikes_out = 0;
                out.resize(spikes.len(), 0);
                for &spike in spikes {
                    let (map, at) = (spike as usize / size, spike as usize % size);
                    let n = map * out_side * out_side + at / *side / 2 * out_side + at % *side / 2;
                    let sum = v[n] + *weight;
                    let crossed = sum >= threshold;
                    // No processor predicts a branch here: all are noted, and those that did not cross are written
                    // over.
                    v[n] = sum - if crossed { threshold } else { 0 };
                    out[spikes_out] = n as u32;
                    spikes_out += usize::from(crossed);
                }
                out.truncate(spikes_out);
            }
            Self::Flatten => out.extend_from_slice(spikes),
        }
    }
}

fn dense(v: &mut [i32], weights: &[i32], lines: &[u32], threshold: i32, out: &mut Vec<u32>) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: detected.
        return unsafe { avx512::dense(v, weights, lines, threshold, out) };
    }
    portable_dense(v, weights, lines, threshold, out);
}

vectorized! {
    fn portable_dense(v: &mut [i32], weights: &[i32], lines: &[u32], threshold: i32, out: &mut Vec<u32>) {
        for &line in lines {
            add(v, &weights[line as usize * v.len()..][..v.len()], threshold, 0, out);
        }
    }
}

vectorized! {
    fn portable_conv(
        v: &mut [i32],
        taps: &[i32],
        shape: (usize, usize, usize),
        spikes: &[u32],
        threshold: i32,
        out: &mut Vec<u32>,
    ) -> u64 {
        each_row(v, taps, shape, spikes, |v, w, first| add(v, w, threshold, first, out))
    }
}

#[inline(always)]
fn add(v: &mut [i32], w: &[i32], threshold: i32, first: usize, out: &mut Vec<u32>) {
    let mut crossed = false;
    for (v, w) in v.iter_mut().zip(w) {
        *v += w;
        crossed |= *v >= threshold;
    }
    if crossed {
        for (k, v) in v.iter_mut().enumerate().filter(|(_, v)| **v >= threshold) {
            *v -= threshold;
            out.push((first + k) as u32);
        }
    }
}

fn conv(
    v: &mut [i32],
    taps: &[i32],
    shape: (usize, usize, usize),
    spikes: &[u32],
    threshold: i32,
    out: &mut Vec<u32>,
) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("popcnt") {
        // SAFETY: detected.
        return unsafe { avx512::conv(v, taps, shape, spikes, threshold, out) };
    }
    portable_conv(v, taps, shape, spikes, threshold, out)
}

/// The rows of taps that each spike adds, with the first neuron of each.
#[inline(always)]
fn each_row(
    v: &mut [i32],
    taps: &[i32],
    (maps, side, kernel): (usize, usize, usize),
    spikes: &[u32],
    mut add: impl FnMut(&mut [i32], &[i32], usize),
) -> u64 {
    let (size, out_side) = (side * side, side - kernel + 1);
    let mut operations = 0;
    for &spike in spikes {
        let (input, at) = (spike as usize / size, spike as usize % size);
        let (x, y) = (at % side, at / side);
        // Rows and columns of the kernel that land inside.
        let (i0, i1) = ((kernel - 1).saturating_sub(x), kernel.min(side - x));
        let (j0, j1) = ((kernel - 1).saturating_sub(y), kernel.min(side - y));
        let len = (i1 - i0) * maps;
        for j in j0..j1 {
            let neuron = ((y + j + 1 - kernel) * out_side + x + i0 + 1 - kernel) * maps;
            let tap = ((input * kernel + j) * kernel + i0) * maps;
            add(&mut v[neuron..neuron + len], &taps[tap..tap + len], neuron);
        }
        operations += (len * (j1 - j0)) as u64;
    }
    operations
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f")]
    pub fn dense(v: &mut [i32], weights: &[i32], lines: &[u32], threshold: i32, out: &mut Vec<u32>) {
        let n = v.len();
        for (k, &line) in lines.iter().enumerate() {
            let ahead = lines.get(k + 2).map(|&line| weights.as_ptr().wrapping_add(line as usize * n));
            row(v, &weights[line as usize * n..][..n], threshold, 0, ahead, out);
        }
    }

    #[target_feature(enable = "avx512f,popcnt")]
    pub fn conv(
        v: &mut [i32],
        taps: &[i32],
        shape: (usize, usize, usize),
        spikes: &[u32],
        threshold: i32,
        out: &mut Vec<u32>,
    ) -> u64 {
        super::each_row(v, taps, shape, spikes, |v, w, first| stretch(v, w, threshold, first, out))
    }

    /// One row of taps: spikes are so frequent that all vectors note theirs, without a question.
    #[inline]
    #[target_feature(enable = "avx512f,popcnt")]
    fn stretch(v: &mut [i32], w: &[i32], threshold: i32, first: usize, out: &mut Vec<u32>) {
        let n = v.len();
        assert_eq!(n, w.len());
        let upper = _mm512_set1_epi32(threshold);
        let all = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        out.reserve(n + 16);
        let mut count = out.len();
        for at in (0..n).step_by(16) {
            let lanes: __mmask16 = !0 >> (16 - (n - at).min(16));
            // SAFETY: masked lanes are not touched, the others lie in both slices; there is room for a vector more than
            // can spike.
            unsafe {
                let old = _mm512_maskz_loadu_epi32(lanes, v.as_ptr().add(at));
                let sum = _mm512_add_epi32(old, _mm512_maskz_loadu_epi32(lanes, w.as_ptr().add(at)));
                let crossed = _mm512_cmpge_epi32_mask(sum, upper);
                _mm512_mask_storeu_epi32(
                    v.as_mut_ptr().add(at),
                    lanes,
                    _mm512_mask_sub_epi32(sum, crossed, sum, upper),
                );
                let neurons = _mm512_add_epi32(all, _mm512_set1_epi32((first + at) as i32));
                _mm512_storeu_si512(out.as_mut_ptr().add(count).cast(), _mm512_maskz_compress_epi32(crossed, neurons));
                count += crossed.count_ones() as usize;
            }
        }
        // SAFETY: written up to here, and there was room.
        unsafe { out.set_len(count) };
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn row(v: &mut [i32], w: &[i32], threshold: i32, first: usize, ahead: Option<*const i32>, out: &mut Vec<u32>) {
        let n = v.len();
        assert_eq!(n, w.len());
        let upper = _mm512_set1_epi32(threshold);
        let mut at = 0;
        // Four vectors before one question: did any of 64 neurons cross?
        while at + 64 <= n {
            if let Some(ahead) = ahead {
                for k in 0..4 {
                    _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(at + 16 * k).cast());
                }
            }
            let mut crossed = 0u64;
            for k in 0..4 {
                // SAFETY: at + 64 <= n, the length of both slices.
                unsafe {
                    let pv = v.as_mut_ptr().add(at + 16 * k);
                    let old = _mm512_loadu_si512(pv.cast());
                    let sum = _mm512_add_epi32(old, _mm512_loadu_si512(w.as_ptr().add(at + 16 * k).cast()));
                    _mm512_storeu_si512(pv.cast(), sum);
                    crossed |= u64::from(_mm512_cmpge_epi32_mask(sum, upper)) << (16 * k);
                }
            }
            while crossed != 0 {
                let k = at + crossed.trailing_zeros() as usize;
                v[k] -= threshold;
                out.push((first + k) as u32);
                crossed &= crossed - 1;
            }
            at += 64;
        }
        while at < n {
            let lanes: __mmask16 = if n - at >= 16 { !0 } else { (1 << (n - at)) - 1 };
            if let Some(ahead) = ahead {
                _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(at).cast());
            }
            // SAFETY: masked lanes are not touched, the others lie in both slices.
            unsafe {
                let old = _mm512_maskz_loadu_epi32(lanes, v.as_ptr().add(at));
                let sum = _mm512_add_epi32(old, _mm512_maskz_loadu_epi32(lanes, w.as_ptr().add(at)));
                let crossed = _mm512_cmpge_epi32_mask(sum, upper);
                let after = _mm512_mask_sub_epi32(sum, crossed, sum, upper);
                _mm512_mask_storeu_epi32(v.as_mut_ptr().add(at), lanes, after);
                let mut left = crossed;
                while left != 0 {
                    out.push((first + at) as u32 + left.trailing_zeros());
                    left &= left - 1;
                }
            }
            at += 16;
        }
    }
}
