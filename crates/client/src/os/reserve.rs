//! The allocator of the libraries for C: malloc(3), and a reserve that is used when malloc(3) fails.
//!
//! Rust ends the process when a small allocation fails. A library must not do that to a program that can go on
//! without the memory. So the objects that a program asks for (connections, contexts, strings) are allocated by
//! functions that may fail, with DPL_ENOMEM. The memory that a call needs for itself comes from the reserve if
//! malloc(3) fails. While half of the reserve is in use, calls open no connection ([`is_low`]).
//!
//! The reserve is a static block, whose pages take no memory until they are used. Its state is a bitmap, which is
//! changed by single atomic operations, so that it is consistent at a fork without a lock.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Slots of one size. Each holds one block.
#[repr(C, align(64))]
struct Slots<const SIZE: usize, const COUNT: usize, const WORDS: usize> {
    memory: UnsafeCell<[[u8; SIZE]; COUNT]>,
    /// A bit for each slot, 1 if it is used.
    used: [AtomicU64; WORDS],
}

// SAFETY: a slot is accessed only by the owner of its block. One thread at a time sets the bit of a slot, and the
// bit is cleared when the block is freed.
unsafe impl<const SIZE: usize, const COUNT: usize, const WORDS: usize> Sync for Slots<SIZE, COUNT, WORDS> {}

/// Slots for most blocks. A checkout that connects has about thirty at once.
static SMALL: Slots<512, 2048, 32> = Slots::new();

/// Slots for messages and short lists.
static LARGE: Slots<16384, 64, 1> = Slots::new();

/// Slots for lists that grow with what a program or a server says. Callers look at [`is_low`] between their entries.
static HUGE: Slots<131_072, 64, 1> = Slots::new();

/// True once a block was taken. It spares [`is_low`] a look at all slots, which each field of a reply's head takes.
static WAS_USED: AtomicBool = AtomicBool::new(false);

/// True if half of the reserve is in use.
pub fn is_low() -> bool {
    WAS_USED.load(Ordering::Relaxed) && (SMALL.is_half_used() || LARGE.is_half_used() || HUGE.is_half_used())
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

    /// Returns a block. NULL if it does not fit into a slot, or no slot is free.
    fn take(&self, layout: Layout) -> *mut u8 {
        if layout.size() > SIZE || layout.align() > 64 {
            return ptr::null_mut();
        }
        for (place, word) in self.used.iter().enumerate() {
            let set_lowest_zero = |bits: u64| bits.checked_add(1).map(|next| bits | next);
            if let Ok(bits) = word.fetch_update(Ordering::Acquire, Ordering::Relaxed, set_lowest_zero) {
                let slot = place * 64 + bits.trailing_ones() as usize;
                // SAFETY: the slot is one of COUNT, so that it lies within the memory.
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
    let mut block = SMALL.take(layout);
    if block.is_null() {
        block = LARGE.take(layout);
    }
    if block.is_null() {
        block = HUGE.take(layout);
    }
    WAS_USED.store(true, Ordering::Relaxed);
    block
}

/// Frees a block of the reserve. Returns false for other blocks.
fn give_back(block: *mut u8) -> bool {
    if SMALL.contains(block) {
        SMALL.give_back(block);
    } else if LARGE.contains(block) {
        LARGE.give_back(block);
    } else if HUGE.contains(block) {
        HUGE.give_back(block);
    } else {
        return false;
    }
    true
}

/// An allocator: malloc(3), and the reserve when malloc(3) fails.
pub struct WithReserve;

// SAFETY: blocks come from the system's allocator or from the reserve, and have the size and alignment of their
// layout. Each is freed where it came from.
unsafe impl GlobalAlloc for WithReserve {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`.
        let block = unsafe { System.alloc(layout) };
        if block.is_null() { take(layout) } else { block }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            return block;
        }
        let block = take(layout);
        if !block.is_null() {
            // The slot may have been in use before.
            // SAFETY: the block is not smaller than the layout.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !give_back(block) {
            // SAFETY: not of the reserve, so that it came from the system's allocator, with this layout (contract
            // of `dealloc`).
            unsafe { System.dealloc(block, layout) };
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if !SMALL.contains(block) && !LARGE.contains(block) && !HUGE.contains(block) {
            // SAFETY: not of the reserve, so that it came from the system's allocator, with this layout (contract
            // of `realloc`).
            let grown = unsafe { System.realloc(block, layout, new_size) };
            if !grown.is_null() {
                return grown;
            }
        }
        // SAFETY: the new size is valid for this alignment (contract of `realloc`). The blocks do not overlap, and
        // the old one is freed after it was copied.
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
    fn each_block_has_a_slot_which_is_free_again_afterwards() {
        static SLOTS: Slots<64, 128, 2> = Slots::new();
        let blocks: Vec<_> = (0..128).map(|_| SLOTS.take(layout(60, 8))).collect();
        assert!(blocks.iter().all(|block| SLOTS.contains(*block) && SLOTS.offset(*block) & 63 == 0));
        let mut distinct = blocks.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 128);
        assert!(SLOTS.take(layout(1, 1)).is_null(), "all slots are used");
        blocks[..64].iter().for_each(|block| SLOTS.give_back(*block));
        assert!(SLOTS.is_half_used());
        assert_eq!(SLOTS.take(layout(64, 64)), blocks[0], "the first is free again");
        SLOTS.give_back(blocks[0]);
        SLOTS.give_back(blocks[127]);
        assert!(!SLOTS.is_half_used());
        assert!(SLOTS.take(layout(65, 8)).is_null() && SLOTS.take(layout(8, 128)).is_null());
    }

    #[test]
    fn blocks_of_malloc_are_told_from_those_of_the_reserve() {
        let mut local = 0_u8;
        assert!(!give_back(&mut local));
        let (small, large) = (take(layout(512, 8)), take(layout(513, 8)));
        assert!(SMALL.contains(small) && LARGE.contains(large));
        assert!(give_back(small) && give_back(large));
        let huge = take(layout(16385, 8));
        assert!(HUGE.contains(huge) && give_back(huge));
        assert!(take(layout(131_073, 8)).is_null());
    }
}
