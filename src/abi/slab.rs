//! Memory for what C holds by pointer, such that any pointer can be checked before it is followed.
//!
//! Memory of an [`Slab`] is reused for the same type and never given back to the system: a pointer that
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

/// A type whose values lie in one slab.
pub trait InSlab: Sized + 'static {
    /// That slab.
    fn slab() -> &'static Slab<Self>;
}

/// A place for values of one type.
pub struct Slab<T: 'static> {
    chunks: [AtomicPtr<Slot<T>>; CHUNKS],
    free: Lock<Free<T>>,
}

struct Free<T> {
    slots: Vec<NonNull<Slot<T>>>,
    chunks: usize,
}

// SAFETY: the pointers lead to slots that are never freed; the mutex guards the list of them.
unsafe impl<T> Send for Free<T> {}

// SAFETY: values are reached through `Handle`, which is exclusive, or shared through `get`, which asks for
// T: Sync; the slots themselves change by atomics.
unsafe impl<T: Send> Sync for Slab<T> {}

impl<T> Slab<T> {
    /// An slab that has no memory yet.
    pub const fn new() -> Slab<T> {
        Slab {
            chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS],
            free: Lock::new(Free { slots: Vec::new(), chunks: 0 }),
        }
    }
}

impl<T: InSlab> Slab<T> {
    /// Puts a value into memory that C may be shown.
    pub fn insert(&'static self, value: T) -> Result<Handle<T>, Error> {
        Ok(self.reserve()?.fill(value))
    }

    /// Room for a value that is not there yet.
    pub fn reserve(&'static self) -> Result<Vacant<T>, Error> {
        Ok(Vacant { slot: self.take_slot()? })
    }

    /// Takes back what was handed out to C. Nothing, if this is no pointer of ours, or was taken back before.
    #[inline(always)]
    pub fn take(&'static self, pointer: *const T) -> Option<Handle<T>> {
        let slot = self.find(pointer)?;
        // SAFETY: `find` gives slots only, and slots are never freed.
        let state = unsafe { &slot.as_ref().state };
        // Acquire: what the thread that handed out it wrote is seen here.
        state.compare_exchange(LENT, HELD, Ordering::Acquire, Ordering::Relaxed).ok()?;
        Some(Handle { slot })
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

    /// Names the value behind a pointer, so that [`Slab::named`] need not look for it again.
    #[inline(always)]
    pub fn name(&'static self, pointer: *const T) -> Option<Name<T>> {
        self.find(pointer).map(Name)
    }

    /// As [`Slab::get`]: whatever is in the place that the named value had.
    #[inline]
    pub fn named(&'static self, Name(slot): Name<T>) -> Option<&'static T>
    where
        T: Sync,
    {
        // SAFETY: a name is that of a slot, and slots are never freed; a handed out one holds a value, of
        // which C keeps the lender's promise not to end it during the call.
        unsafe {
            let slot = slot.as_ref();
            let is_lent = slot.state.load(Ordering::Acquire) == LENT;
            is_lent.then(|| (*slot.value.get()).assume_init_ref())
        }
    }

    /// Every value that C has a pointer to now.
    pub fn handed_out(&'static self) -> impl Iterator<Item = *const T> {
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

/// A place in an slab.
pub struct Name<T>(NonNull<Slot<T>>);

impl<T> Clone for Name<T> {
    fn clone(&self) -> Name<T> {
        *self
    }
}

impl<T> Copy for Name<T> {}

impl<T> Name<T> {
    /// Forgets the type, so that modules below that of `T` can keep the name.
    pub fn erase(self) -> ErasedName {
        ErasedName(self.0.cast())
    }
}

/// A [`Name`] without its type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ErasedName(NonNull<()>);

// SAFETY: it is compared, and followed only by `restore`, whose caller vouches for it.
unsafe impl Send for ErasedName {}

impl ErasedName {
    /// Returns the name with its type.
    ///
    /// # Safety
    /// The name was erased from a `Name<T>`.
    #[inline]
    pub unsafe fn restore<T>(self) -> Name<T> {
        Name(self.0.cast())
    }
}

/// Room for a value in an slab, given back unless it is filled.
pub struct Vacant<T: InSlab> {
    slot: NonNull<Slot<T>>,
}

// SAFETY: it owns its slot, in which nothing is.
unsafe impl<T: InSlab + Send> Send for Vacant<T> {}

impl<T: InSlab> Vacant<T> {
    /// Puts a value there.
    pub fn fill(self, value: T) -> Handle<T> {
        let slot = self.slot;
        std::mem::forget(self);
        // SAFETY: the slot is free and was taken, so nobody else reads or writes it.
        unsafe {
            (*slot.as_ref().value.get()).write(value);
            slot.as_ref().state.store(HELD, Ordering::Relaxed);
        }
        Handle { slot }
    }
}

impl<T: InSlab> Drop for Vacant<T> {
    fn drop(&mut self) {
        T::slab().give_back(self.slot);
    }
}

/// A value in an slab, owned like a box.
pub struct Handle<T: InSlab> {
    slot: NonNull<Slot<T>>,
}

// SAFETY: it owns its value.
unsafe impl<T: InSlab + Send> Send for Handle<T> {}

impl<T: InSlab> Handle<T> {
    /// Hands the value to C.
    #[inline]
    pub fn into_raw(self) -> *mut T {
        let slot = self.slot;
        std::mem::forget(self);
        // SAFETY: slots are never freed. Release: what was written here is seen by whoever recalls it.
        unsafe { slot.as_ref() }.state.store(LENT, Ordering::Release);
        slot.as_ptr().cast()
    }
}

impl<T: InSlab> Deref for Handle<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: a held slot has a value, and it is ours alone.
        unsafe { (*self.slot.as_ref().value.get()).assume_init_ref() }
    }
}

impl<T: InSlab> DerefMut for Handle<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: a held slot has a value, and it is ours alone.
        unsafe { (*self.slot.as_ref().value.get()).assume_init_mut() }
    }
}

impl<T: InSlab> Drop for Handle<T> {
    fn drop(&mut self) {
        // Ending a value takes system calls.
        sys::without_cancellation(|| {
            // SAFETY: a held slot has a value, and it is ours alone.
            unsafe { (*self.slot.as_ref().value.get()).assume_init_drop() }
        });
        // SAFETY: slots are never freed. Nobody reads the value before it is written again.
        unsafe { self.slot.as_ref() }.state.store(FREE, Ordering::Relaxed);
        T::slab().give_back(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! in_arena {
        ($($type:ty)*) => { $(
            impl InSlab for $type {
                fn slab() -> &'static Slab<$type> {
                    static ARENA: Slab<$type> = Slab::new();
                    &ARENA
                }
            }
        )* };
    }
    in_arena!(u64 [u64; 4] usize);

    #[test]
    fn a_pointer_is_valid_from_lending_to_recall() {
        let slab = u64::slab();
        let pointer = slab.insert(7).unwrap().into_raw();
        assert_eq!(slab.get(pointer), Some(&7));
        let held = slab.take(pointer).unwrap();
        assert_eq!(*held, 7);
        assert!(slab.take(pointer).is_none(), "taken back twice");
        assert!(slab.get(pointer).is_none(), "seen while held");
        drop(held);
        assert!(slab.take(pointer).is_none(), "taken back after its end");
    }

    #[test]
    fn foreign_pointers_are_recognised() {
        let slab = <[u64; 4]>::slab();
        let own = slab.insert([0; 4]).unwrap().into_raw();
        let local = [0; 4];
        assert!(slab.get(&local).is_none());
        assert!(slab.get(ptr::null()).is_none());
        assert!(slab.get(ptr::without_provenance(8)).is_none());
        assert!(slab.get(own.wrapping_byte_add(8)).is_none(), "the inside of a slot");
        drop(slab.take(own));
    }

    #[test]
    fn chunks_are_added_and_slots_reused() {
        let slab = usize::slab();
        let into_raw = |value| slab.insert(value).unwrap().into_raw();
        let pointers: Vec<_> = (0..10 * FIRST_CHUNK).map(into_raw).collect();
        for (value, pointer) in pointers.iter().enumerate() {
            assert_eq!(slab.take(*pointer).map(|held| *held), Some(value));
        }
        let again: Vec<_> = (0..10 * FIRST_CHUNK).map(into_raw).collect();
        assert!(again.iter().all(|pointer| pointers.contains(pointer)));
        assert_eq!(slab.handed_out().count(), again.len());
        again.iter().for_each(|pointer| drop(slab.take(*pointer)));
    }
}
