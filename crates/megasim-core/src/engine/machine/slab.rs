//! Items under numbers that are used again.

/// Things under numbers that are used again.
#[derive(Debug, Clone)]
pub(super) struct Slab<T> {
    items: Vec<T>,
    free: Vec<u32>,
}

impl<T: Copy> Slab<T> {
    pub fn new() -> Self {
        Self { items: Vec::new(), free: Vec::new() }
    }

    /// Keeps an item, and returns its number.
    pub fn put(&mut self, item: T) -> u32 {
        match self.free.pop() {
            Some(index) => {
                self.items[index as usize] = item;
                index
            }
            None => {
                self.items.push(item);
                (self.items.len() - 1) as u32
            }
        }
    }

    pub fn get(&mut self, index: u32) -> &mut T {
        &mut self.items[index as usize]
    }

    pub fn of(&self, index: u32) -> &T {
        &self.items[index as usize]
    }

    /// Gives an item back; its number is free again.
    pub fn take(&mut self, index: u32) -> T {
        self.free.push(index);
        self.items[index as usize]
    }

    pub fn len(&self) -> usize {
        self.items.len() - self.free.len()
    }

    pub fn clear(&mut self) {
        self.items.clear();
        self.free.clear();
    }
}
