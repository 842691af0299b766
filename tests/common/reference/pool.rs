//! Maximum pooling: its masks, and which input of a window wins.

use super::*;

impl State {
    /// A spike on a pool with `mask_tau`.
    pub(super) fn charge_mask(&mut self, mask: &PoolMask, port: &PoolPort, event: &Event) {
        if let Some(address) = pool_address(port, event) {
            let sum = i128::from(self.masks[address]) + event.sign() * i128::from(mask.weight);
            self.masks[address] = sum.clamp(i32::MIN.into(), i32::MAX.into()) as i64;
        }
    }

    /// A control event on a pool with `mask_tau`.
    pub(super) fn discharge_masks(&mut self, mask: &PoolMask, port: &PoolPort) -> Vec<Leaving> {
        let mut out = Vec::new();
        for row in 0..port.ny_out {
            for column in 0..port.nx_out {
                let largest = window(port, column, row).into_iter().map(|cell| self.masks[cell]).max().unwrap_or(0);
                let potential = &mut self.potentials[(row * port.nx_out + column) as usize];
                *potential += largest / i64::from(mask.tau);
                *potential = (*potential).clamp(i32::MIN.into(), i32::MAX.into());
                if *potential >= mask.threshold.into() {
                    *potential = 0;
                    out.push((column as i32, row as i32, Polarity::Positive, None));
                }
            }
        }
        for value in &mut self.masks {
            *value -= *value / i64::from(mask.tau);
        }
        out
    }

    /// How high an address of a pool scores at `s`: the winner of a window is that of the highest score.
    fn score(&self, rule: &PoolRule, address: usize, s: Tick) -> u128 {
        let spikes = &self.spikes[address];
        match *rule {
            PoolRule::Average { over } => spikes.iter().filter(|&&spike| s - over < spike).count() as u128,
            PoolRule::Exponential { decay } => {
                let (mut score, mut last) = (0u128, 0);
                for &spike in spikes {
                    score = ((score * kept(decay, (spike - last) as u64) as u128) >> 62) + (1 << 32);
                    last = spike;
                }
                (score * kept(decay, (s - last) as u64) as u128) >> 62
            }
            _ => self.counts[address].into(),
        }
    }

    /// Lets the highest score of a window win: the standing winner on ties, else the lowest raster address; without a
    /// score there is no winner.
    pub(super) fn choose(&mut self, pool: &MaxPool, (column, row): (u32, u32), s: Tick) -> Option<usize> {
        let port = &pool.ports[0];
        let cells = window(port, column, row);
        let score = |cell: usize| self.score(&pool.rule, cell, s);
        let highest = cells.iter().map(|&cell| score(cell)).max().unwrap_or(0);
        let at = (row * port.nx_out + column) as usize;
        let mut winner = self.winners[at];
        if winner.map_or(0, score) < highest {
            winner = cells.iter().copied().find(|&cell| score(cell) == highest);
        }
        self.winners[at] = winner;
        winner
    }
}

/// The addresses of a max-pooling window that are inside the array, in raster order.
pub(super) fn window(port: &PoolPort, column: u32, row: u32) -> Vec<usize> {
    let mut cells = Vec::new();
    for j in 0..port.ny_pool as i64 {
        for i in 0..port.nx_pool as i64 {
            let x = i64::from(column) * i64::from(port.x_stride) + i64::from(port.dx) + i;
            let y = i64::from(row) * i64::from(port.y_stride) + i64::from(port.dy) + j;
            if (0..i64::from(port.nx)).contains(&x) && (0..i64::from(port.ny)).contains(&y) {
                cells.push(y as usize * port.nx as usize + x as usize);
            }
        }
    }
    cells
}

pub(super) fn pool_address(port: &PoolPort, event: &Event) -> Option<usize> {
    let inside = event.x >= 0 && event.y >= 0 && (event.x as u32) < port.nx && (event.y as u32) < port.ny;
    inside.then(|| event.y as usize * port.nx as usize + event.x as usize)
}
