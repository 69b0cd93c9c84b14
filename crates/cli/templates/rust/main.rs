fn main() {
    let name = std::env::args().nth(1);
    println!("{}", greet::greet(name.as_deref().unwrap_or("world")));
}
