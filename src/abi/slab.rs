//! Memory for what C holds by pointer, such that any pointer can be checked before it is followed.
//!
//! Memory of an [`Arena`] is reused for the same type and never given back to the system: a pointer that
//! was once handed out leads to readable memory for ever, and its [`State`] tells whether it is still
//! valid. A pointer from elsewhere is recognised by its address alone.

use std::alloc::{self, Layout};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

use droplet_client::os::lock::Lock;
use droplet_client::os::sys;
use droplet_client::status::Error;

/// Slots in the first chunk; each further one has twice as many.
const FIRST_CHUNK: usize = 64;
const CHUNKS: usize = 20;

/// Nothing is in the slot.
const FREE: u8 = 0;
/// Rust owns the value.
const HELD: u8 = 1;
/// C has the pointer.
const LENT: u8 = 2;

/// The value comes first: a pointer to the slot is the pointer that C has. Slots share no cache line, since
/// threads use neighbouring ones at the same time.
#[repr(C, align(64))]
struct Slot<T> {
    value: UnsafeCell<MaybeUninit<T>>,
    state: AtomicU8,
}

/// A type whose values lie in one arena.
pub trait InArena: Sized + 'static {
    /// That arena.
    fn arena() -> &'static Arena<Self>;
}

/// A place for values of one type.
pub struct Arena<T: 'static> {
    chunks: [AtomicPtr<Slot<T>>; CHUNKS],
    free: Lock<Free<T>>,
}

struct Free<T> {
    slots: Vec<NonNull<Slot<T>>>,
    chunks: usize,
}

// SAFETY: the pointers lead to slots that are never freed; the mutex guards the list of them.
unsafe impl<T> Send for Free<T> {}

// SAFETY: values are reached through `Held`, which is exclusive, or shared through `get`, which asks for
// T: Sync; the slots themselves change by atomics.
unsafe impl<T: Send> Sync for Arena<T> {}

impl<T> Arena<T> {
    /// An arena that has no memory yet.
    pub const fn new() -> Arena<T> {
        Arena {
            chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS],
            free: Lock::new(Free { slots: Vec::new(), chunks: 0 }),
        }
    }
}

impl<T: InArena> Arena<T> {
    /// Puts a value into memory that C may be shown.
    pub fn insert(&'static self, value: T) -> Result<Held<T>, Error> {
        Ok(self.reserve()?.fill(value))
    }

    /// Room for a value that is not there yet.
    pub fn reserve(&'static self) -> Result<Vacant<T>, Error> {
        Ok(Vacant { slot: self.take_slot()? })
    }

    /// Takes back what was lent to C. Nothing, if this is no pointer of ours, or was taken back before.
    #[inline(always)]
    pub fn recall(&'static self, pointer: *const T) -> Option<Held<T>> {
        let slot = self.find(pointer)?;
        // SAFETY: `find` gives slots only, and slots are never freed.
        let state = unsafe { &slot.as_ref().state };
        // Acquire: what the thread that lent it wrote is seen here.
        state.compare_exchange(LENT, HELD, Ordering::Acquire, Ordering::Relaxed).ok()?;
        Some(Held { slot })
    }

    /// What C has a pointer to and any number of threads may use. It stays valid until it is recalled,
    /// which C must not cause while it is in use.
    #[inline]
    pub fn get(&'static self, pointer: *const T) -> Option<&'static T>
    where
        T: Sync,
    {
        self.named(self.name(pointer)?)
    }

    /// Names the value behind a pointer, so that [`Arena::named`] need not look for it again.
    #[inline(always)]
    pub fn name(&'static self, pointer: *const T) -> Option<Name<T>> {
        self.find(pointer).map(Name)
    }

    /// As [`Arena::get`]: whatever is in the place that the named value had.
    #[inline]
    pub fn named(&'static self, Name(slot): Name<T>) -> Option<&'static T>
    where
        T: Sync,
    {
        // SAFETY: a name is that of a slot, and slots are never freed; a lent one holds a value, of
        // which C keeps the lender's promise not to end it during the call.
        unsafe {
            let slot = slot.as_ref();
            let is_lent = slot.state.load(Ordering::Acquire) == LENT;
            is_lent.then(|| (*slot.value.get()).assume_init_ref())
        }
    }

    /// Every value that C has a pointer to now.
    pub fn lent(&'static self) -> impl Iterator<Item = *const T> {
        self.slots().filter_map(|slot| {
            // SAFETY: `slots` gives slots only, and slots are never freed.
            let state = unsafe { &slot.as_ref().state };
            (state.load(Ordering::Acquire) == LENT).then_some(slot.as_ptr() as *const T)
        })
    }

    fn slots(&'static self) -> impl Iterator<Item = NonNull<Slot<T>>> {
        let chunks = self.chunks.iter().enumerate();
        let existing = chunks.map_while(|(index, chunk)| {
            NonNull::new(chunk.load(Ordering::Acquire)).map(|first| (index, first))
        });
        existing.flat_map(|(index, first)| {
            // SAFETY: a chunk has this many slots.
            (0..chunk_size(index)).map(move |offset| unsafe { first.add(offset) })
        })
    }

    /// The slot at this address, if there is one: as a rule it lies in the first chunk.
    #[inline(always)]
    fn find(&self, pointer: *const T) -> Option<NonNull<Slot<T>>> {
        self.find_in_chunk(0, pointer).or_else(|| self.find_further(pointer))
    }

    #[cold]
    fn find_further(&self, pointer: *const T) -> Option<NonNull<Slot<T>>> {
        (1..CHUNKS).find_map(|index| self.find_in_chunk(index, pointer))
    }

    #[inline(always)]
    fn find_in_chunk(&self, index: usize, pointer: *const T) -> Option<NonNull<Slot<T>>> {
        let first = NonNull::new(self.chunks[index].load(Ordering::Acquire))?;
        let offset = pointer.addr().wrapping_sub(first.addr().get());
        let is_slot = offset % size_of::<Slot<T>>() == 0 && offset / size_of::<Slot<T>>() < chunk_size(index);
        // SAFETY: the offset is that of a slot within the chunk.
        is_slot.then(|| unsafe { first.byte_add(offset) })
    }

    fn take_slot(&self) -> Result<NonNull<Slot<T>>, Error> {
        let mut free = self.free.lock();
        if free.slots.is_empty() {
            self.grow(&mut free)?;
        }
        free.slots.pop().ok_or(Error::OutOfMemory)
    }

    fn grow(&self, free: &mut Free<T>) -> Result<(), Error> {
        let index = free.chunks;
        let chunk = self.chunks.get(index).ok_or(Error::OutOfMemory)?;
        let count = chunk_size(index);
        // Room for every slot that will ever be free, so that giving one back needs no memory.
        free.slots.try_reserve(2 * count).map_err(|_| Error::OutOfMemory)?;
        let layout = Layout::array::<Slot<T>>(count).map_err(|_| Error::OutOfMemory)?;
        // SAFETY: the layout is not empty; zeroed memory is a row of free slots.
        let first = unsafe { alloc::alloc_zeroed(layout) }.cast::<Slot<T>>();
        let first = NonNull::new(first).ok_or(Error::OutOfMemory)?;
        free.chunks += 1;
        // SAFETY: the chunk has this many slots.
        free.slots.extend((0..count).rev().map(|offset| unsafe { first.add(offset) }));
        chunk.store(first.as_ptr(), Ordering::Release);
        Ok(())
    }

    fn give_back(&self, slot: NonNull<Slot<T>>) {
        self.free.lock().slots.push(slot);
    }
}

const fn chunk_size(index: usize) -> usize {
    FIRST_CHUNK << index
}

/// A place in an arena.
pub struct Name<T>(NonNull<Slot<T>>);

impl<T> Clone for Name<T> {
    fn clone(&self) -> Name<T> {
        *self
    }
}

impl<T> Copy for Name<T> {}

/// Room for a value in an arena, given back unless it is filled.
pub struct Vacant<T: InArena> {
    slot: NonNull<Slot<T>>,
}

// SAFETY: it owns its slot, in which nothing is.
unsafe impl<T: InArena + Send> Send for Vacant<T> {}

impl<T: InArena> Vacant<T> {
    /// Puts a value there.
    pub fn fill(self, value: T) -> Held<T> {
        let slot = self.slot;
        std::mem::forget(self);
        // SAFETY: the slot is free and was taken, so nobody else reads or writes it.
        unsafe {
            (*slot.as_ref().value.get()).write(value);
            slot.as_ref().state.store(HELD, Ordering::Relaxed);
        }
        Held { slot }
    }
}

impl<T: InArena> Drop for Vacant<T> {
    fn drop(&mut self) {
        T::arena().give_back(self.slot);
    }
}

/// A value in an arena, owned like a box.
pub struct Held<T: InArena> {
    slot: NonNull<Slot<T>>,
}

// SAFETY: it owns its value.
unsafe impl<T: InArena + Send> Send for Held<T> {}

impl<T: InArena> Held<T> {
    /// Hands the value to C.
    #[inline]
    pub fn lend(self) -> *mut T {
        let slot = self.slot;
        std::mem::forget(self);
        // SAFETY: slots are never freed. Release: what was written here is seen by whoever recalls it.
        unsafe { slot.as_ref() }.state.store(LENT, Ordering::Release);
        slot.as_ptr().cast()
    }
}

impl<T: InArena> Deref for Held<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: a held slot has a value, and it is ours alone.
        unsafe { (*self.slot.as_ref().value.get()).assume_init_ref() }
    }
}

impl<T: InArena> DerefMut for Held<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: a held slot has a value, and it is ours alone.
        unsafe { (*self.slot.as_ref().value.get()).assume_init_mut() }
    }
}

impl<T: InArena> Drop for Held<T> {
    fn drop(&mut self) {
        // Ending a value takes system calls.
        sys::without_cancellation(|| {
            // SAFETY: a held slot has a value, and it is ours alone.
            unsafe { (*self.slot.as_ref().value.get()).assume_init_drop() }
        });
        // SAFETY: slots are never freed. Nobody reads the value before it is written again.
        unsafe { self.slot.as_ref() }.state.store(FREE, Ordering::Relaxed);
        T::arena().give_back(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! in_arena {
        ($($type:ty)*) => { $(
            impl InArena for $type {
                fn arena() -> &'static Arena<$type> {
                    static ARENA: Arena<$type> = Arena::new();
                    &ARENA
                }
            }
        )* };
    }
    in_arena!(u64 [u64; 4] usize);

    #[test]
    fn a_pointer_is_valid_from_lending_to_recall() {
        let arena = u64::arena();
        let pointer = arena.insert(7).unwrap().lend();
        assert_eq!(arena.get(pointer), Some(&7));
        let held = arena.recall(pointer).unwrap();
        assert_eq!(*held, 7);
        assert!(arena.recall(pointer).is_none(), "recalled twice");
        assert!(arena.get(pointer).is_none(), "seen while held");
        drop(held);
        assert!(arena.recall(pointer).is_none(), "recalled after its end");
    }

    #[test]
    fn foreign_pointers_are_recognised() {
        let arena = <[u64; 4]>::arena();
        let own = arena.insert([0; 4]).unwrap().lend();
        let local = [0; 4];
        assert!(arena.get(&local).is_none());
        assert!(arena.get(ptr::null()).is_none());
        assert!(arena.get(ptr::without_provenance(8)).is_none());
        assert!(arena.get(own.wrapping_byte_add(8)).is_none(), "the inside of a slot");
        drop(arena.recall(own));
    }

    #[test]
    fn chunks_are_added_and_slots_reused() {
        let arena = usize::arena();
        let lend = |value| arena.insert(value).unwrap().lend();
        let pointers: Vec<_> = (0..10 * FIRST_CHUNK).map(lend).collect();
        for (value, pointer) in pointers.iter().enumerate() {
            assert_eq!(arena.recall(*pointer).map(|held| *held), Some(value));
        }
        let again: Vec<_> = (0..10 * FIRST_CHUNK).map(lend).collect();
        assert!(again.iter().all(|pointer| pointers.contains(pointer)));
        assert_eq!(arena.lent().count(), again.len());
        again.iter().for_each(|pointer| drop(arena.recall(*pointer)));
    }
}
