//! Sends requests to two hosts, one of which is dead: cargo run --example rust DEAD:PORT,ALIVE:PORT [https]

use std::env;
use std::io::{self, Read, Write};

use droplet_client::Context;

fn get(context: &Context) -> io::Result<()> {
    let mut connection = context.connect()?;
    connection.write_all(b"GET / HTTP/1.1\r\nHost: example\r\n\r\n")?;
    let mut body = String::new();
    connection.reply()?.read_to_string(&mut body)?;
    println!("{} from {}, reused {} times", body.trim(), connection.peer(), connection.reused());
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().collect();
    let (hosts, https) = (&arguments[1], arguments.len() > 2);
    let context = Context::from_profile(&format!("use_https = {https}\nhost = {hosts}"))?;
    get(&context)?;
    get(&context)?;
    let now = context.statistics();
    println!("created {}, reused {}, idle {}", now.created, now.reused, now.idle);

    let first = hosts.split(',').next().unwrap_or_default();
    let dead = Context::from_profile(&format!("use_https = {https}\nhost = {first}"))?;
    if let Err(error) = get(&dead) {
        println!("error: {error}");
    }
    Ok(())
}
