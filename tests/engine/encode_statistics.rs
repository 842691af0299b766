//! Random codes against their distributions: chi-square tests of counts, intervals and places in a millisecond, over
//! many seeds.

use megasim::encode::registry::{Choice, Common};
use megasim::encode::{Clock, Cpn, Poisson, Raster, Regular, SpikeEncoder};

/// The ticks of the only address.
fn train(code: &dyn SpikeEncoder, value: f32, sample: u64, clock: Clock) -> Vec<i64> {
    let mut raster = Raster::default();
    raster.start(clock.ticks());
    code.encode(&[value], sample, clock, &mut raster);
    let mut ticks = Vec::new();
    raster.in_time_order(|tick, _| ticks.push(tick));
    ticks
}

/// Whether counts fit expected ones: chi-square over bins of 5 or more, against the 99.9th percentile (Wilson and
/// Hilferty's cube root).
fn fits(found: &[f64], expected: &[f64]) -> bool {
    let mut statistic = 0.0;
    let (mut bins, mut pooled) = (0, (0.0, 0.0));
    for (found, expected) in found.iter().zip(expected) {
        pooled = (pooled.0 + found, pooled.1 + expected);
        if pooled.1 >= 5.0 {
            statistic += (pooled.0 - pooled.1).powi(2) / pooled.1;
            bins += 1;
            pooled = (0.0, 0.0);
        }
    }
    // What is left over at the end counts with its own expectation.
    if pooled.1 > 0.5 {
        statistic += (pooled.0 - pooled.1).powi(2) / pooled.1;
        bins += 1;
    }
    let freedom = f64::from(bins - 1);
    let spread = 2.0 / (9.0 * freedom);
    statistic < freedom * (1.0 - spread + 3.09 * spread.sqrt()).powi(3)
}

/// Counts of `n` presentations of 200 ms against the binomial distribution.
fn counts_fit(codes: impl Fn(u64) -> Box<dyn SpikeEncoder>, value: f32, probability: f64) -> bool {
    const MS: usize = 200;
    let clock = Clock { duration: MS as u32, ticks_per_ms: 4 };
    let mut found = vec![0.0; MS + 1];
    let n = 2000;
    for k in 0..n {
        found[train(&*codes(k / 20), value, k % 20, clock).len()] += 1.0;
    }
    let mut expected = Vec::new();
    let mut share = (1.0 - probability).powi(MS as i32);
    for k in 0..=MS {
        expected.push(share * n as f64);
        share *= (MS - k) as f64 / (k + 1) as f64 * probability / (1.0 - probability);
    }
    fits(&found, &expected)
}

/// Milliseconds between spikes against the geometric distribution.
fn intervals_fit(codes: impl Fn(u64) -> Box<dyn SpikeEncoder>, value: f32, probability: f64) -> bool {
    let clock = Clock { duration: 20_000, ticks_per_ms: 4 };
    let mut found = vec![0.0; 400];
    for seed in 0..20 {
        let ms: Vec<i64> = train(&*codes(seed), value, 0, clock).iter().map(|tick| tick / 4).collect();
        ms.windows(2).for_each(|pair| found[((pair[1] - pair[0]) as usize).min(399)] += 1.0);
    }
    let n: f64 = found.iter().sum();
    let share = |interval: usize| match interval {
        0 => 0.0,
        399 => (1.0 - probability).powi(398),
        k => probability * (1.0 - probability).powi(k as i32 - 1),
    };
    fits(&found, &(0..400).map(|k| n * share(k)).collect::<Vec<_>>())
}

#[test]
fn poisson_counts_and_intervals() {
    for (rate, value) in [(1000.0, 0.02f32), (1000.0, 0.3), (1000.0, 0.7), (250.0, 0.9)] {
        let codes = |seed| Box::new(Poisson { input_rate: rate, seed }) as Box<dyn SpikeEncoder>;
        let probability = f64::from(value) * rate / 1000.0;
        assert!(counts_fit(codes, value, probability), "counts of {value} at {rate}");
        assert!(intervals_fit(codes, value, probability), "intervals of {value} at {rate}");
    }
}

#[test]
fn cpn_counts_and_intervals() {
    for (max_f, value) in [(100.0, 1.0f32), (100.0, 0.2), (400.0, 0.9)] {
        let codes = |seed| Box::new(Cpn { max_f, seed }) as Box<dyn SpikeEncoder>;
        let probability = f64::from(value) * max_f / 1000.0;
        assert!(counts_fit(codes, value, probability), "counts of {value} at {max_f}");
        assert!(intervals_fit(codes, value, probability), "intervals of {value} at {max_f}");
    }
}

#[test]
fn poisson_spikes_fall_evenly_into_a_millisecond() {
    let clock = Clock { duration: 20_000, ticks_per_ms: 7 };
    let mut found = vec![0.0; 7];
    for tick in train(&Poisson { input_rate: 1000.0, seed: 3 }, 0.6, 0, clock) {
        found[(tick % 7) as usize] += 1.0;
    }
    let n: f64 = found.iter().sum();
    assert!(fits(&found, &[n / 7.0; 7]));
}

#[test]
fn neighbours_and_samples_are_independent() {
    // How often two addresses, and one address in two samples, fire in the same millisecond.
    let clock = Clock { duration: 50_000, ticks_per_ms: 1 };
    let mut raster = Raster::default();
    raster.start(clock.ticks());
    Cpn { max_f: 300.0, seed: 5 }.encode(&[1.0, 1.0], 0, clock, &mut raster);
    let mut together = [0.0; 3];
    raster.in_time_order(|_, trains| together[trains.len()] += 1.0);
    together[0] = 50_000.0 - together[1] - together[2];
    let expected = [0.49, 0.42, 0.09].map(|share| share * 50_000.0);
    assert!(fits(&together, &expected));

    let code = Cpn { max_f: 300.0, seed: 5 };
    let (one, other) = (train(&code, 1.0, 0, clock), train(&code, 1.0, 1, clock));
    let both = one.iter().filter(|tick| other.binary_search(tick).is_ok()).count() as f64;
    assert!(fits(&[both, 50_000.0 - both], &[0.09 * 50_000.0, 0.91 * 50_000.0]));
}

#[test]
fn the_test_can_fail() {
    let regular = |_| Box::new(Regular { input_rate: 1000.0 }) as Box<dyn SpikeEncoder>;
    assert!(!counts_fit(regular, 0.3, 0.3));
    assert!(!intervals_fit(regular, 0.3, 0.3));
    let poisson = |seed| Box::new(Poisson { input_rate: 1000.0, seed }) as Box<dyn SpikeEncoder>;
    assert!(!counts_fit(poisson, 0.3, 0.31));
    assert!(!intervals_fit(poisson, 0.3, 0.31));
}

#[test]
fn every_code_fires_only_while_shown_and_the_same_again() {
    let values: Vec<f32> = (0..60).map(|k| (k as f32 / 40.0) - 0.5).collect();
    for entry in megasim::encode::registry::ENTRIES {
        // As many events per millisecond as there are ticks at least.
        let name = if entry.name == "events" { "events:n=1" } else { entry.name };
        let choice: Choice = name.parse().unwrap();
        let code =
            choice.code(&Common { input_rate: 1000.0, seed: 7 }, Clock { duration: 70, ticks_per_ms: 3 }).unwrap();
        for clock in [Clock { duration: 70, ticks_per_ms: 3 }, Clock { duration: 1, ticks_per_ms: 1 }] {
            let run = || {
                let mut raster = Raster::default();
                raster.start(clock.ticks());
                code.encode(&values, 4, clock, &mut raster);
                let mut spikes = Vec::new();
                raster.in_time_order(|tick, trains| {
                    spikes.extend(trains.iter().map(|&train| (tick, raster.trains()[train as usize])));
                });
                spikes
            };
            let spikes = run();
            assert_eq!(spikes, run(), "{}", entry.name);
            assert!(!spikes.is_empty() || clock.duration == 1, "{}", entry.name);
            for &(tick, (address, negative)) in &spikes {
                assert!((0..clock.ticks()).contains(&tick), "{}", entry.name);
                assert!(code.is_current() || negative == (values[address as usize] < 0.0), "{}", entry.name);
            }
            let period = code.bias_period(clock);
            assert!(period >= 1.0 && period.is_finite(), "{}: {period}", entry.name);
        }
    }
}

#[test]
fn frames_share_the_presentation() {
    let clock = Clock { duration: 10, ticks_per_ms: 2 };
    let mut raster = Raster::default();
    raster.start(clock.ticks());
    // The second frame has only address 1.
    let choice: Choice = "latency".parse().unwrap();
    let code = choice.code(&Common { input_rate: 1000.0, seed: 0 }, clock).unwrap();
    code.encode_frames(&[1.0, 0.0, 0.0, 1.0], 2, 0, clock, &mut raster);
    let mut spikes = Vec::new();
    raster.in_time_order(|tick, trains| spikes.push((tick, raster.trains()[trains[0] as usize].0)));
    assert_eq!(spikes, [(0, 0), (10, 1)]);
}
