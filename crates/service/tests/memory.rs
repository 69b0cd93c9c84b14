//! What is held in memory is a service like others.

use taut_digest::HashFunction;
use taut_service::Memory;
use taut_testkit::services;

#[test]
fn memory_passes_the_cases() {
    for function in [HashFunction::GitSha1, HashFunction::Sha256] {
        services::check(&Memory::new(function));
    }
}
