//! Structs that begin with their size, which the caller sets. So a program and a library of different versions agree
//! on the fields that both know.

use std::ptr;

/// A struct for C that begins with its size in bytes.
///
/// # Safety
/// The type is `#[repr(C)]`, its first field is a `size_t`, and any bytes behind that are a valid value.
pub unsafe trait SizeFirst {}

/// Copies the fields of `value` that the caller has room for. Fields that only the caller knows become zero. Returns
/// false if there is no room, not even for the size.
///
/// # Safety
/// `out` is NULL or points to a `size_t` with which a struct begins, writable for that many bytes.
pub unsafe fn fill<T: SizeFirst>(out: *mut T, value: &T) -> bool {
    let head = size_of::<usize>();
    if out.is_null() || !out.is_aligned() {
        return false;
    }
    // SAFETY: aligned and not NULL, so it points to a `size_t` (contract of this function).
    let room = unsafe { out.cast::<usize>().read() };
    let known = room.min(size_of::<T>());
    if known < head {
        return false;
    }
    // SAFETY: `out` is writable for `room` bytes (contract of this function), and `known` is at most `room` and the
    // size of `value`.
    unsafe {
        let from = ptr::from_ref(value).cast::<u8>();
        out.cast::<u8>().add(head).copy_from(from.add(head), known - head);
        out.cast::<u8>().add(known).write_bytes(0, room - known);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    struct Two {
        size: usize,
        first: u64,
        second: u64,
    }

    // SAFETY: it is `repr(C)`, begins with its size, and consists of integers.
    unsafe impl SizeFirst for Two {}

    /// Fills in a struct of this size at the beginning of 40 bytes that were all ones, and returns them.
    fn filled(size: usize) -> (bool, [u64; 5]) {
        let mut memory = [u64::MAX; 5];
        memory[0] = size as u64;
        // SAFETY: the memory has 40 bytes, and no test passes a larger size.
        let good = unsafe { fill((&raw mut memory).cast(), &Two { size: 0, first: 1, second: 2 }) };
        (good, memory)
    }

    #[test]
    fn known_fields_are_filled_in() {
        const NOT_TOUCHED: u64 = u64::MAX;
        assert_eq!(filled(24), (true, [24, 1, 2, NOT_TOUCHED, NOT_TOUCHED]));
        assert_eq!(filled(16), (true, [16, 1, NOT_TOUCHED, NOT_TOUCHED, NOT_TOUCHED]));
        assert_eq!(filled(8), (true, [8, NOT_TOUCHED, NOT_TOUCHED, NOT_TOUCHED, NOT_TOUCHED]));
        assert_eq!(filled(40), (true, [40, 1, 2, 0, 0]));
    }

    #[test]
    fn a_struct_without_room_for_its_size_is_rejected() {
        for size in [0, 1, 7] {
            assert!(!filled(size).0, "{size}");
        }
        // SAFETY: NULL is allowed.
        assert!(!unsafe { fill(ptr::null_mut(), &Two { size: 0, first: 1, second: 2 }) });
    }
}
