//! Headers that are known to be none of a project: those of the standard libraries of C, C++ and Linux, and of some
//! libraries for which pkg-config is asked.
//!
//! The tables do not list what is installed. They have what one can be certain of: a header of this name belongs to
//! this library, wherever it is found. Of all others a note is made.

/// Where a header comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Origin {
    /// A standard library; with the words for the linker that use of it may need.
    Standard(Option<&'static str>),
    /// A library by the name that pkg-config has for it.
    Package(&'static str),
}

/// What is known about a name in an `#include`.
pub(crate) fn origin(spelled: &str) -> Option<Origin> {
    if let Some((_, words)) = LINKED.iter().find(|(header, _)| *header == spelled) {
        return Some(Origin::Standard(Some(words)));
    }
    // A name with a directory is decided by that alone.
    let directory = spelled.split_once('/').map_or("", |(directory, _)| directory);
    let is_standard = if directory.is_empty() {
        STANDARD.split_ascii_whitespace().any(|header| header == spelled)
            || spelled
                .strip_suffix(".h")
                .is_some_and(|name| STANDARD_C.split_ascii_whitespace().any(|c| c == name))
            // Intrinsics of processors (`immintrin.h`, `x86intrin.h`) come with compilers.
            || spelled.ends_with("intrin.h")
    } else {
        SYSTEM_DIRECTORIES.contains(&directory)
    };
    if is_standard {
        return Some(Origin::Standard(None));
    }
    let names = |pattern: &str| match pattern.strip_suffix('/') {
        Some(pattern) => pattern == directory,
        None => pattern == spelled,
    };
    PACKAGES.iter().find(|(pattern, _)| names(pattern)).map(|(_, package)| Origin::Package(package))
}

/// Headers whose functions are in a library of their own, at least with older versions of the C library.
// glibc 2.34 has moved pthread and dl into the C library; the words do no harm there.
const LINKED: [(&str, &str); 18] = [
    ("math.h", "-lm"),
    ("cmath", "-lm"),
    ("complex.h", "-lm"),
    ("fenv.h", "-lm"),
    ("tgmath.h", "-lm"),
    ("pthread.h", "-pthread"),
    ("threads.h", "-pthread"),
    ("semaphore.h", "-pthread"),
    ("thread", "-pthread"),
    ("mutex", "-pthread"),
    ("shared_mutex", "-pthread"),
    ("condition_variable", "-pthread"),
    ("future", "-pthread"),
    ("dlfcn.h", "-ldl"),
    ("aio.h", "-lrt"),
    ("mqueue.h", "-lrt"),
    ("crypt.h", "-lcrypt"),
    ("resolv.h", "-lresolv"),
];

/// Headers of C and of Linux, without `.h`.
const STANDARD_C: &str = "
    assert ctype errno float inttypes iso646 limits locale setjmp signal stdalign stdarg stdatomic stdbit stdbool
    stdckdint stddef stdint stdio stdlib stdnoreturn string time uchar wchar wctype
    alloca ar argp argz byteswap cpio dirent elf endian envz err error execinfo fcntl features fmtmsg fnmatch fstab fts ftw
    gconv getopt glob gnu-versions grp gshadow iconv ifaddrs langinfo lastlog libgen libintl link malloc mcheck memory
    mntent monetary netdb nl_types nss obstack paths poll printf proc_service pty pwd re_comp regex regexp
    sched search sgtty shadow spawn stab stdio_ext stdc-predef strings syscall sysexits syslog tar termio termios thread_db
    ttyent ucontext ulimit unistd unwind ustat utime utmp utmpx values varargs wait wordexp xlocale cpuid cxxabi";

/// Headers of C++.
const STANDARD: &str = "
    algorithm any array atomic barrier bit bitset cassert ccomplex cctype cerrno cfenv cfloat charconv chrono cinttypes
    ciso646 climits clocale codecvt compare complex concepts coroutine csetjmp csignal cstdalign cstdarg cstdbool cstddef
    cstdint cstdio cstdlib cstring ctgmath ctime cuchar cwchar cwctype deque exception execution expected filesystem
    flat_map flat_set format forward_list fstream functional generator initializer_list iomanip ios iosfwd iostream istream
    iterator latch limits list locale map mdspan memory memory_resource new numbers numeric optional ostream print queue
    random ranges ratio regex scoped_allocator semaphore set source_location span spanstream sstream stack stacktrace
    stdexcept stdfloat stop_token streambuf string string_view strstream syncstream system_error text_encoding tuple
    type_traits typeindex typeinfo unordered_map unordered_set utility valarray variant vector version";

/// Directories below those in which compilers look, with the headers of the C library and of the kernel.
const SYSTEM_DIRECTORIES: [&str; 19] = [
    "arpa",
    "asm",
    "asm-generic",
    "bits",
    "drm",
    "ext",
    "gnu",
    "linux",
    "misc",
    "mtd",
    "net",
    "netinet",
    "netpacket",
    "protocols",
    "rpc",
    "scsi",
    "sound",
    "sys",
    "experimental",
];

/// Headers, or directories of headers, and what pkg-config calls their libraries.
// Sorted by header. The names of libraries are those of their `.pc` files.
const PACKAGES: [(&str, &str); 34] = [
    ("GL/", "gl"),
    ("SDL2/", "sdl2"),
    ("X11/", "x11"),
    ("alsa/", "alsa"),
    ("archive.h", "libarchive"),
    ("archive_entry.h", "libarchive"),
    ("benchmark/", "benchmark"),
    ("bzlib.h", "bzip2"),
    ("curl/", "libcurl"),
    ("curses.h", "ncurses"),
    ("event2/", "libevent"),
    ("expat.h", "expat"),
    ("ffi.h", "libffi"),
    ("fmt/", "fmt"),
    ("gmock/", "gmock"),
    ("gmp.h", "gmp"),
    ("gnutls/", "gnutls"),
    ("google/", "protobuf"),
    ("gtest/", "gtest"),
    ("jansson.h", "jansson"),
    ("lz4.h", "liblz4"),
    ("lzma.h", "liblzma"),
    ("ncurses.h", "ncurses"),
    ("nghttp2/", "libnghttp2"),
    ("openssl/", "openssl"),
    ("png.h", "libpng"),
    ("readline/", "readline"),
    ("spdlog/", "spdlog"),
    ("sqlite3.h", "sqlite3"),
    ("systemd/", "libsystemd"),
    ("uuid/", "uuid"),
    ("uv.h", "libuv"),
    ("zlib.h", "zlib"),
    ("zstd.h", "libzstd"),
];

#[cfg(test)]
mod tests {
    use super::{Origin::*, *};
    use crate::packages::packaged;

    #[test]
    fn headers_are_known_by_their_names() {
        for (spelled, expected) in [
            ("stdio.h", Some(Standard(None))),
            ("vector", Some(Standard(None))),
            ("sys/epoll.h", Some(Standard(None))),
            ("emmintrin.h", Some(Standard(None))),
            ("math.h", Some(Standard(Some("-lm")))),
            ("openssl/ssl.h", Some(Package("openssl"))),
            ("zlib.h", Some(Package("zlib"))),
            ("glib.h", None),
            ("vector.h", None),
        ] {
            assert_eq!(origin(spelled), expected, "{spelled}");
        }
    }

    #[test]
    fn each_library_has_a_package() {
        for (_, library) in PACKAGES {
            assert!(packaged(library).contains("-dev on Debian"), "{library}");
        }
    }
}
