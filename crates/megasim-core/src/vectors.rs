//! Plain loops for the widest vectors of the processor.

/// Defines a function that is compiled for AVX-512, for AVX2 and for what every processor has, and runs the fastest one
/// that the machine has. The results are the same: no instruction set changes the order of sums.
///
/// ```
/// megasim_core::vectorized! {
///     /// The sum of all values.
///     pub fn total(values: &[i32]) -> i32 {
///         values.iter().sum()
///     }
/// }
/// assert_eq!(total(&[1, 2, 3]), 6);
/// ```
#[macro_export]
macro_rules! vectorized {
    (
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $(-> $result:ty)? $body:block
    ) => {
        $(#[$attribute])*
        $visibility fn $name($($argument: $kind),*) $(-> $result)? {
            #[inline(always)]
            fn plain($($argument: $kind),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq")]
                fn avx512($($argument: $kind),*) $(-> $result)? {
                    plain($($argument),*)
                }

                #[target_feature(enable = "avx2")]
                fn avx2($($argument: $kind),*) $(-> $result)? {
                    plain($($argument),*)
                }

                if std::arch::is_x86_feature_detected!("avx512f")
                    && std::arch::is_x86_feature_detected!("avx512vl")
                    && std::arch::is_x86_feature_detected!("avx512bw")
                    && std::arch::is_x86_feature_detected!("avx512dq")
                {
                    // SAFETY: the instructions are there.
                    return unsafe { avx512($($argument),*) };
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: the instructions are there.
                    return unsafe { avx2($($argument),*) };
                }
            }
            // In a function of its own, so that the choice above needs no registers.
            #[inline(never)]
            fn portable($($argument: $kind),*) $(-> $result)? {
                plain($($argument),*)
            }
            portable($($argument),*)
        }
    };
}
