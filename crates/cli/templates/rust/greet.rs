pub fn greet(name: &str) -> String {
    format!("Hello, {name}!")
}

#[test]
fn a_greeting_has_the_name() {
    assert_eq!(greet("test"), "Hello, test!");
}
