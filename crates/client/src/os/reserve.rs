//! The allocator of the libraries for C: malloc(3), with a reserve for when that fails.
//!
//! Rust ends the process when a small allocation fails. A library must not do that to a program that survives a
//! shortage of memory. What the program asks for (connections, contexts, strings) comes from allocations that may
//! fail, with DPL_ENOMEM. What a call needs meanwhile comes from the reserve. While half of that is used up, calls
//! open no connection ([`is_low`]).
//!
//! The reserve is a static block, whose pages cost nothing until they are used. Its state is a bitmap, which
//! changes by single atomic operations: no lock is held that a fork could divide.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Slots of one size. A block has a slot for itself.
#[repr(C, align(64))]
struct Slots<const SIZE: usize, const COUNT: usize, const WORDS: usize> {
    memory: UnsafeCell<[[u8; SIZE]; COUNT]>,
    /// A bit for each slot: 1 is used.
    used: [AtomicU64; WORDS],
}

// SAFETY: the thread that sets a slot's bit has the slot, until it clears the bit.
unsafe impl<const SIZE: usize, const COUNT: usize, const WORDS: usize> Sync for Slots<SIZE, COUNT, WORDS> {}

/// For most of what a call needs. A checkout that connects uses about thirty blocks at once.
static SMALL: Slots<512, 2048, 32> = Slots::new();

/// For messages and lists.
static LARGE: Slots<16384, 64, 1> = Slots::new();

/// Whether half of the reserve is in use.
pub fn is_low() -> bool {
    SMALL.is_half_used() || LARGE.is_half_used()
}

impl<const SIZE: usize, const COUNT: usize, const WORDS: usize> Slots<SIZE, COUNT, WORDS> {
    const fn new() -> Self {
        assert!(COUNT == WORDS * 64 && SIZE & 63 == 0);
        Slots { memory: UnsafeCell::new([[0; SIZE]; COUNT]), used: [const { AtomicU64::new(0) }; WORDS] }
    }

    fn offset(&self, block: *mut u8) -> usize {
        block.addr().wrapping_sub(self.memory.get().addr())
    }

    fn contains(&self, block: *mut u8) -> bool {
        self.offset(block) < SIZE * COUNT
    }

    fn is_half_used(&self) -> bool {
        let used: u32 = self.used.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum();
        used as usize >= COUNT / 2
    }

    /// A block, or NULL if none of its size is left.
    fn take(&self, layout: Layout) -> *mut u8 {
        if layout.size() > SIZE || layout.align() > 64 {
            return ptr::null_mut();
        }
        for (place, word) in self.used.iter().enumerate() {
            let set_lowest_zero = |bits: u64| bits.checked_add(1).map(|next| bits | next);
            if let Ok(bits) = word.fetch_update(Ordering::Acquire, Ordering::Relaxed, set_lowest_zero) {
                let slot = place * 64 + bits.trailing_ones() as usize;
                // SAFETY: the slot lies within the memory.
                return unsafe { self.memory.get().cast::<u8>().add(slot * SIZE) };
            }
        }
        ptr::null_mut()
    }

    fn give_back(&self, block: *mut u8) {
        let slot = self.offset(block) / SIZE;
        self.used[slot / 64].fetch_and(!(1 << (slot % 64)), Ordering::Release);
    }
}

fn take(layout: Layout) -> *mut u8 {
    let small = SMALL.take(layout);
    if small.is_null() { LARGE.take(layout) } else { small }
}

/// Takes a block back; false if it is not of the reserve.
fn give_back(block: *mut u8) -> bool {
    if SMALL.contains(block) {
        SMALL.give_back(block);
    } else if LARGE.contains(block) {
        LARGE.give_back(block);
    } else {
        return false;
    }
    true
}

/// malloc(3), and the reserve when that fails.
pub struct WithReserve;

// SAFETY: blocks come from the system's allocator or from the reserve, with the alignment of their layout, and go
// back to where they came from.
unsafe impl GlobalAlloc for WithReserve {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the rules of `alloc`.
        let block = unsafe { System.alloc(layout) };
        if block.is_null() { take(layout) } else { block }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the rules of `alloc_zeroed`.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            return block;
        }
        let block = take(layout);
        if !block.is_null() {
            // SAFETY: the block has this size; it may have been in use before.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !give_back(block) {
            // SAFETY: it came from the system's allocator, with this layout.
            unsafe { System.dealloc(block, layout) };
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if !SMALL.contains(block) && !LARGE.contains(block) {
            // SAFETY: it came from the system's allocator, with this layout.
            let grown = unsafe { System.realloc(block, layout, new_size) };
            if !grown.is_null() {
                return grown;
            }
        }
        // SAFETY: the caller states a valid size for this alignment. The old block stays until it is copied.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(block, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn blocks_have_a_slot_each_and_come_back() {
        static SLOTS: Slots<64, 128, 2> = Slots::new();
        let blocks: Vec<_> = (0..128).map(|_| SLOTS.take(layout(60, 8))).collect();
        assert!(blocks.iter().all(|block| SLOTS.contains(*block) && SLOTS.offset(*block) & 63 == 0));
        let mut distinct = blocks.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 128);
        assert!(SLOTS.take(layout(1, 1)).is_null(), "more than there are");
        blocks[..64].iter().for_each(|block| SLOTS.give_back(*block));
        assert!(SLOTS.is_half_used());
        assert_eq!(SLOTS.take(layout(64, 64)), blocks[0], "the first is free again");
        SLOTS.give_back(blocks[0]);
        SLOTS.give_back(blocks[127]);
        assert!(!SLOTS.is_half_used());
        assert!(SLOTS.take(layout(65, 8)).is_null() && SLOTS.take(layout(8, 128)).is_null());
    }

    #[test]
    fn what_is_not_of_the_reserve_is_told_apart() {
        let mut local = 0_u8;
        assert!(!give_back(&mut local));
        let (small, large) = (take(layout(512, 8)), take(layout(513, 8)));
        assert!(SMALL.contains(small) && LARGE.contains(large));
        assert!(give_back(small) && give_back(large));
        assert!(take(layout(16385, 8)).is_null());
    }
}
