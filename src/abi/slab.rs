//! Memory for values that C holds by pointer. Any pointer from C can be checked before it is followed.
//!
//! Memory of a [`Slab`] is reused for values of the same type and never returned to the system. So a pointer that was
//! once given to C leads to readable memory for ever, and the state of its slot says whether C owns it now. A pointer
//! from elsewhere is recognised by its address.

use std::alloc::{self, Layout};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

use droplet_client::os::lock::Lock;
use droplet_client::os::sync::atomic::{AtomicPtr, AtomicU8, Ordering};
use droplet_client::os::sys;
use droplet_client::status::Error;

/// Number of slots in the first chunk; each further chunk has twice as many as the one before.
const FIRST_CHUNK: usize = 64;
const CHUNKS: usize = 20;

/// State of a slot without a value.
const FREE: u8 = 0;
/// State of a slot whose value Rust owns.
const OWNED_BY_RUST: u8 = 1;
/// State of a slot whose value C owns.
const OWNED_BY_C: u8 = 2;

/// A place for one value. The value comes first, so the address of the slot is the pointer that C has. Slots share no
/// cache line, because threads use neighbouring ones at the same time.
#[repr(C, align(64))]
struct Slot<T> {
    value: UnsafeCell<MaybeUninit<T>>,
    state: AtomicU8,
}

/// A type whose values all lie in one slab.
pub trait InSlab: Sized + 'static {
    /// Returns that slab.
    fn slab() -> &'static Slab<Self>;
}

/// Memory for values of one type.
pub struct Slab<T: 'static> {
    chunks: [AtomicPtr<Slot<T>>; CHUNKS],
    free: Lock<Free<T>>,
}

struct Free<T> {
    slots: Vec<NonNull<Slot<T>>>,
    chunks: usize,
}

// SAFETY: the pointers lead to slots, which are never freed, and may be followed by any thread.
unsafe impl<T> Send for Free<T> {}

// SAFETY: a value is reached through its only `Handle`, or shared through `get`, which requires `T: Sync`. The state of
// a slot is atomic, and a lock guards the list of free slots.
unsafe impl<T: Send> Sync for Slab<T> {}

impl<T> Slab<T> {
    /// A slab without memory.
    pub const fn new() -> Slab<T> {
        Slab {
            chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS],
            free: Lock::new(Free { slots: Vec::new(), chunks: 0 }),
        }
    }
}

impl<T: InSlab> Slab<T> {
    /// Puts a value into the slab. Rust owns it.
    pub fn insert(&'static self, value: T) -> Result<Handle<T>, Error> {
        Ok(self.reserve()?.fill(value))
    }

    /// Reserves a slot for a value that does not exist yet.
    pub fn reserve(&'static self) -> Result<Vacant<T>, Error> {
        Ok(Vacant { slot: self.take_slot()? })
    }

    /// Takes the value back from C. `None` if the pointer is not of this slab, or C does not own the value: it was
    /// taken back before.
    #[inline(always)]
    pub fn take(&'static self, pointer: *const T) -> Option<Handle<T>> {
        let slot = self.find(pointer)?;
        // SAFETY: `find` returns slots only, and slots are never freed.
        let state = unsafe { &slot.as_ref().state };
        // Acquire: this thread sees all writes of the thread that gave the value to C.
        state.compare_exchange(OWNED_BY_C, OWNED_BY_RUST, Ordering::Acquire, Ordering::Relaxed).ok()?;
        Some(Handle { slot })
    }

    /// Borrows a value that C owns, for any number of threads at once. C must not free it during a call that uses it.
    #[inline]
    pub fn get(&'static self, pointer: *const T) -> Option<&'static T>
    where
        T: Sync,
    {
        self.named(self.name(pointer)?)
    }

    /// Returns the name of the slot at an address. [`Slab::named`] finds the slot faster by its name.
    #[inline(always)]
    pub fn name(&'static self, pointer: *const T) -> Option<Name<T>> {
        self.find(pointer).map(Name)
    }

    /// Borrows the value that is in a slot now, if C owns one there; see [`Slab::get`].
    #[inline]
    pub fn named(&'static self, Name(slot): Name<T>) -> Option<&'static T>
    where
        T: Sync,
    {
        // SAFETY: a name leads to a slot, and slots are never freed. A slot in this state has a value, which C does not
        // free during a call that uses it (contracts of the functions that free).
        unsafe {
            let slot = slot.as_ref();
            let is_owned_by_c = slot.state.load(Ordering::Acquire) == OWNED_BY_C;
            is_owned_by_c.then(|| (*slot.value.get()).assume_init_ref())
        }
    }

    /// Returns the addresses of all values that C owns now.
    pub fn owned_by_c(&'static self) -> impl Iterator<Item = *const T> {
        self.slots().filter_map(|slot| {
            // SAFETY: `slots` returns slots only, and slots are never freed.
            let state = unsafe { &slot.as_ref().state };
            (state.load(Ordering::Acquire) == OWNED_BY_C).then_some(slot.as_ptr() as *const T)
        })
    }

    fn slots(&'static self) -> impl Iterator<Item = NonNull<Slot<T>>> {
        let chunks = self.chunks.iter().enumerate();
        let existing = chunks.map_while(|(index, chunk)| {
            NonNull::new(chunk.load(Ordering::Acquire)).map(|first| (index, first))
        });
        existing.flat_map(|(index, first)| {
            // SAFETY: chunk `index` has `chunk_size(index)` slots, so each offset lies in it.
            (0..chunk_size(index)).map(move |offset| unsafe { first.add(offset) })
        })
    }

    /// Returns the slot at this address, if there is one. Most slots lie in the first chunk.
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
        // SAFETY: `is_slot` says that the offset is a multiple of the size of a slot and lies in the chunk.
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
        // Room for all slots there are now, so that giving one back allocates nothing.
        free.slots.try_reserve(2 * count).map_err(|_| Error::OutOfMemory)?;
        let layout = Layout::array::<Slot<T>>(count).map_err(|_| Error::OutOfMemory)?;
        // SAFETY: the layout has a size above 0. Zeroed memory is an array of free slots, whose values are
        // uninitialised.
        let first = unsafe { alloc::alloc_zeroed(layout) }.cast::<Slot<T>>();
        let first = NonNull::new(first).ok_or(Error::OutOfMemory)?;
        free.chunks += 1;
        // SAFETY: the chunk has `count` slots, so each offset lies in it.
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

/// The name of a slot: it leads there without a search.
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

/// A reserved slot. Dropped, it becomes free again.
pub struct Vacant<T: InSlab> {
    slot: NonNull<Slot<T>>,
}

// SAFETY: it owns its slot, which has no value.
unsafe impl<T: InSlab + Send> Send for Vacant<T> {}

impl<T: InSlab> Vacant<T> {
    /// Puts a value into the slot.
    pub fn fill(self, value: T) -> Handle<T> {
        let slot = self.slot;
        std::mem::forget(self);
        // SAFETY: slots are never freed. This one is reserved, so nobody else reads or writes its value.
        unsafe {
            (*slot.as_ref().value.get()).write(value);
            slot.as_ref().state.store(OWNED_BY_RUST, Ordering::Relaxed);
        }
        Handle { slot }
    }
}

impl<T: InSlab> Drop for Vacant<T> {
    fn drop(&mut self) {
        T::slab().give_back(self.slot);
    }
}

/// A value of a slab that Rust owns, like a `Box`.
pub struct Handle<T: InSlab> {
    slot: NonNull<Slot<T>>,
}

// SAFETY: it owns its value, which may move to another thread.
unsafe impl<T: InSlab + Send> Send for Handle<T> {}

impl<T: InSlab> Handle<T> {
    /// Gives the value to C.
    #[inline]
    pub fn into_raw(self) -> *mut T {
        let slot = self.slot;
        std::mem::forget(self);
        // SAFETY: slots are never freed. Release: the thread that takes the value back sees all writes of this one.
        unsafe { slot.as_ref() }.state.store(OWNED_BY_C, Ordering::Release);
        slot.as_ptr().cast()
    }
}

impl<T: InSlab> Deref for Handle<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the slot of a handle has a value, which the handle alone owns.
        unsafe { (*self.slot.as_ref().value.get()).assume_init_ref() }
    }
}

impl<T: InSlab> DerefMut for Handle<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the slot of a handle has a value, which the handle alone owns.
        unsafe { (*self.slot.as_ref().value.get()).assume_init_mut() }
    }
}

impl<T: InSlab> Drop for Handle<T> {
    fn drop(&mut self) {
        // A destructor makes system calls, which may be cancellation points.
        sys::without_cancellation(|| {
            // SAFETY: the slot of a handle has a value, which the handle alone owns.
            unsafe { (*self.slot.as_ref().value.get()).assume_init_drop() }
        });
        // SAFETY: slots are never freed, and nobody reads the value of a free one.
        unsafe { self.slot.as_ref() }.state.store(FREE, Ordering::Relaxed);
        T::slab().give_back(self.slot);
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;

    macro_rules! in_slab {
        ($($type:ty)*) => { $(
            impl InSlab for $type {
                fn slab() -> &'static Slab<$type> {
                    static SLAB: Slab<$type> = Slab::new();
                    &SLAB
                }
            }
        )* };
    }
    in_slab!(u64 [u64; 4] usize);

    #[test]
    fn a_pointer_is_valid_while_c_owns_the_value() {
        let slab = u64::slab();
        let pointer = slab.insert(7).unwrap().into_raw();
        assert_eq!(slab.get(pointer), Some(&7));
        let held = slab.take(pointer).unwrap();
        assert_eq!(*held, 7);
        assert!(slab.take(pointer).is_none(), "taken back twice");
        assert!(slab.get(pointer).is_none(), "borrowed while Rust owns it");
        drop(held);
        assert!(slab.take(pointer).is_none(), "taken back after it was dropped");
    }

    #[test]
    fn pointers_from_elsewhere_are_rejected() {
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
        assert_eq!(slab.owned_by_c().count(), again.len());
        again.iter().for_each(|pointer| drop(slab.take(*pointer)));
    }
}
