//! A question that changes nothing: what would have to be done if these inputs changed?
//! `cargo run -p taut-engine --example what_if`

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use taut_engine::{Cx, Engine, Fail, Hash, Options, Policy, Rule, WhatIf};

type World = Arc<Mutex<HashMap<&'static str, u64>>>;

/// A price on the market.
struct Price(World);

impl Rule for Price {
    type Key = String;
    type Value = u64;
    const NAME: &'static str = "price";

    fn policy(&self, _: &String) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, name: &String, _: Cx) -> Result<u64, Fail> {
        let prices = self.0.lock().expect("no panic");
        prices.get(&**name).copied().ok_or_else(|| Fail::task(format!("{name} is not for sale")))
    }

    fn content_hash(&self, _: &String, price: &u64) -> Option<Hash> {
        Some(Hash::from(*price))
    }
}

/// What a dish costs: its ingredients, rounded up to a hundred.
struct Dish;

impl Rule for Dish {
    type Key = String;
    type Value = u64;
    const NAME: &'static str = "dish";

    async fn value(&self, name: &String, cx: Cx) -> Result<u64, Fail> {
        let ingredients: &[&str] = match name.as_str() {
            "pancakes" => &["flour", "milk", "eggs"],
            "omelette" => &["eggs", "butter"],
            other => return Err(Fail::task(format!("no recipe for {other}"))),
        };
        let prices = cx.all::<Price>(ingredients.iter().map(|name| (*name).to_owned()).collect()).await;
        let sum: u64 = prices.into_iter().sum::<Result<u64, Fail>>()?;
        Ok(sum.div_ceil(100) * 100)
    }

    fn content_hash(&self, _: &String, price: &u64) -> Option<Hash> {
        Some(Hash::from(*price))
    }
}

fn main() -> Result<(), Fail> {
    let prices = [("flour", 80), ("milk", 110), ("eggs", 250), ("butter", 190)];
    let world: World = Arc::new(Mutex::new(prices.into()));
    let engine = Engine::builder().rule(Price(world.clone())).rule(Dish).build();
    let dishes = || ["pancakes".to_owned(), "omelette".to_owned()];
    let build = engine.begin().commit(Options::default());
    for (dish, price) in dishes().into_iter().zip(build.all::<Dish>(dishes())) {
        println!("{dish}: {}", price?);
    }

    // The market moves. Assume everything is as it was, but for the price of milk.
    world.lock().expect("no panic").extend([("milk", 260), ("butter", 990)]);
    let only_milk = WhatIf::new().except::<Price>("milk".to_owned()).except::<Dish>("pancakes".to_owned());
    let options = Options { what_if: Some(only_milk), ..Options::default() };
    let question = engine.begin().scan().commit(options);
    let answers: Vec<u64> = question.all::<Dish>(dishes()).into_iter().collect::<Result<_, _>>()?;
    println!("if only milk had changed: {answers:?}; it would take {:?}", question.ran());
    assert_eq!(answers, [600, 500]);

    // The question was only a question: a real build finds out about both prices.
    let build = engine.begin().scan().commit(Options::default());
    let now: Vec<u64> = build.all::<Dish>(dishes()).into_iter().collect::<Result<_, _>>()?;
    println!("now: {now:?}");
    assert_eq!(now, [600, 1300]);
    Ok(())
}
