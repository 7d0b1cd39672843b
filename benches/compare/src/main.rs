mod contenders; mod draw; mod hits; mod measure; mod mixed; mod report; mod run; mod stats; mod writes;
fn main() {
    let mut run = run::Run::parse(std::env::args().skip(1)).unwrap();
    hits::rows(&mut run);
    writes::rows(&mut run);
    mixed::rows(&mut run);
}
