//! `image chain`: the chain as a start would see it.

use crate::workbench::Workbench;

#[test]
fn chain_shows_every_layer_down_to_the_base() {
    let bench = Workbench::new();
    bench.image(&["create", "-q", "-f", "raw", "base.raw", "8M"]);
    bench.image(&["create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", "top.qcow2"]);
    let chain = bench.json(&["image", "chain", "top.qcow2"]);
    let layers = chain["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2, "{chain}");
    assert_eq!((&layers[0]["format"], &layers[0]["below"]), (&"qcow2".into(), &1.into()));
    assert_eq!((&layers[1]["format"], &layers[1]["below"]), (&"raw".into(), &serde_json::Value::Null));
    assert_eq!(layers[1]["virtual_size"], 8 << 20);
    let text = bench.ok(&["image", "chain", "top.qcow2"]);
    assert!(text.contains("top.qcow2") && text.contains("base.raw"), "{text}");
}

#[test]
fn missing_layer_names_layer_and_reference() {
    let bench = Workbench::new();
    bench.image(&["create", "-q", "-f", "qcow2", "-u", "-b", "gone.raw", "-F", "raw", "top.qcow2", "1M"]);
    let answer = bench.run(&["image", "chain", "top.qcow2"]);
    assert_eq!(answer.status, 3, "{}", answer.stderr);
    assert!(answer.stderr.contains("gone.raw") && answer.stderr.contains("top.qcow2"), "{}", answer.stderr);
}
