//! What packages of distributions call the libraries that pkg-config finds.

/// Which package of Debian has the headers and the `.pc` file of a library.
// A table, since Debian's names follow no rule. Fedora and openSUSE find a package by what it provides,
// `pkgconfig(…)`.
const OF_DEBIAN: [(&str, &str); 33] = [
    ("alsa", "libasound2-dev"),
    ("benchmark", "libbenchmark-dev"),
    ("bzip2", "libbz2-dev"),
    ("expat", "libexpat1-dev"),
    ("fmt", "libfmt-dev"),
    ("gl", "libgl-dev"),
    ("gmock", "libgmock-dev"),
    ("gmp", "libgmp-dev"),
    ("gnutls", "libgnutls28-dev"),
    ("gtest", "libgtest-dev"),
    ("gtest_main", "libgtest-dev"),
    ("jansson", "libjansson-dev"),
    ("libarchive", "libarchive-dev"),
    ("libcurl", "libcurl4-openssl-dev"),
    ("libevent", "libevent-dev"),
    ("libffi", "libffi-dev"),
    ("liblz4", "liblz4-dev"),
    ("liblzma", "liblzma-dev"),
    ("libnghttp2", "libnghttp2-dev"),
    ("libpng", "libpng-dev"),
    ("libsystemd", "libsystemd-dev"),
    ("libuv", "libuv1-dev"),
    ("libzstd", "libzstd-dev"),
    ("ncurses", "libncurses-dev"),
    ("openssl", "libssl-dev"),
    ("protobuf", "libprotobuf-dev"),
    ("readline", "libreadline-dev"),
    ("sdl2", "libsdl2-dev"),
    ("spdlog", "libspdlog-dev"),
    ("sqlite3", "libsqlite3-dev"),
    ("uuid", "uuid-dev"),
    ("x11", "libx11-dev"),
    ("zlib", "zlib1g-dev"),
];

/// Which package has a library, by its name for pkg-config, for people.
pub(crate) fn packaged(library: &str) -> String {
    let debian = OF_DEBIAN.iter().find(|(of, _)| *of == library);
    let debian = debian.map_or_else(String::new, |(_, name)| format!("{name} on Debian and Ubuntu, "));
    format!("{debian}pkgconfig({library}) on Fedora and openSUSE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_named_as_one_installs_them() {
        assert_eq!(
            packaged("zlib"),
            "zlib1g-dev on Debian and Ubuntu, pkgconfig(zlib) on Fedora and openSUSE"
        );
    }
}
